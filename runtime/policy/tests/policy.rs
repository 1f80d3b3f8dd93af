//! Policies that are read, and what jobs get under them.

use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;
use wherry_policy::{
    Adapter, Amounts, GpuRequest, Item, Limit, MountRequest, Origin, Policy, Request, Verdict,
    grant,
};

const EXAMPLE: &str = include_str!("../example.toml");

fn example() -> Policy {
    Policy::parse(EXAMPLE).unwrap()
}

/// A workload that the example lets in.
fn welcome() -> Request {
    Request {
        origin: Origin::Repository("registry.example/team/sum".to_owned()),
        signer: Some("team.pub".to_owned()),
        ..Request::default()
    }
}

fn row(request: &Request, policy: &Policy, item: &str) -> (Verdict, String) {
    let grant = grant(request, policy);
    let row = grant.rows.iter().find(|row| row.item == item).unwrap();
    (row.verdict, row.reason.clone())
}

#[test]
fn the_example_says_what_its_comments_say() {
    let policy = example();
    assert!(!policy.who.files);
    assert_eq!(policy.signatures.trust[0].keys, [PathBuf::from("team.pub")]);
    assert_eq!(policy.limit(Item::Memory), Limit::AtMost(4 << 30));
    assert_eq!(policy.limit(Item::GpuTime), Limit::AtMost(600_000));
    assert_eq!(policy.adapter, Adapter::Hardware);
    assert_eq!(policy.clock, Duration::from_millis(1));
    assert!(policy.when.hours[0].contains(0) && !policy.when.hours[0].contains(12 * 60));
    assert!(policy.mounts[0].read_only);
}

#[test]
fn an_empty_policy_lets_nobody_in() {
    let nobody = Policy::parse("").unwrap();
    assert_eq!(nobody, Policy::deny_all());
    for origin in [Origin::File, Origin::Digest, welcome().origin] {
        let request = Request {
            origin,
            signer: None,
            ..welcome()
        };
        let grant = grant(&request, &nobody);
        let refused: Vec<_> = grant.refusals().map(|row| row.item.as_str()).collect();
        assert_eq!(refused, ["origin", "signer"]);
    }
    // What is not mentioned is bounded, never unlimited.
    for item in Item::ALL {
        assert_eq!(nobody.limit(item), Limit::AtMost(item.unmentioned()));
    }
}

#[test]
fn whom_the_policy_names_may_run() {
    let policy = example();
    assert!(grant(&welcome(), &policy).fits());
    let stranger = Request {
        signer: None,
        ..welcome()
    };
    assert_eq!(row(&stranger, &policy, "signer").0, Verdict::Refused);
    // `team/*` is not `team-of-others`.
    let other = Origin::Repository("registry.example/team-of-others/sum".to_owned());
    let other = Request {
        origin: other,
        ..welcome()
    };
    assert_eq!(row(&other, &policy, "origin").0, Verdict::Refused);
}

#[test]
fn what_cannot_fit_is_refused_with_numbers() {
    let policy = example();
    let mut request = welcome();
    request.asks = Amounts::default().with(Item::Memory, Some(8 << 30));
    assert_eq!(row(&request, &policy, "memory").0, Verdict::Reduced);
    request.needs = Amounts::default().with(Item::Memory, Some(6 << 30));
    let (verdict, reason) = row(&request, &policy, "memory");
    assert_eq!(verdict, Verdict::Refused);
    assert!(reason.contains("6 GiB"), "{reason}");
}

#[test]
fn a_gpu_needs_an_adapter_memory_and_time() {
    let mut request = welcome();
    request.gpu = Some(GpuRequest::default());
    assert_eq!(row(&request, &example(), "gpu").0, Verdict::Granted);
    let none = Policy::parse("[gpu]\nadapter = \"any\"\ntime = \"1m\"").unwrap();
    let (verdict, reason) = row(&request, &none, "gpu");
    assert_eq!(verdict, Verdict::Refused);
    assert!(reason.contains("memory"), "{reason}");
    assert_eq!(
        row(&request, &Policy::deny_all(), "gpu").0,
        Verdict::Refused
    );
    request.gpu = Some(GpuRequest {
        optional: false,
        beyond: vec!["shader-f16".to_owned()],
    });
    let granted = grant(&request, &example());
    assert!(granted.gpu && granted.fits());
    let asked = granted.rows.iter().find(|row| row.item == "gpu").unwrap();
    assert_eq!(asked.request.to_string(), "an adapter with shader-f16");
}

/// Whoever can do without a GPU runs without, also where it would get less than it needs of it.
#[test]
fn an_optional_gpu_is_left_out() {
    let mut request = welcome();
    request.gpu = Some(GpuRequest {
        optional: true,
        ..GpuRequest::default()
    });
    assert!(grant(&request, &example()).gpu);
    let mut none = example();
    none.adapter = Adapter::None;
    let without = grant(&request, &none);
    assert!(without.fits() && !without.gpu);
    let (verdict, reason) = row(&request, &none, "gpu");
    assert_eq!(verdict, Verdict::Reduced);
    assert!(reason.contains("can do without"), "{reason}");

    request.needs = request.needs.with(Item::GpuMemory, Some(1 << 50));
    let without = grant(&request, &example());
    assert!(without.fits() && !without.gpu);
    request.gpu = Some(GpuRequest::default());
    assert!(!grant(&request, &example()).fits());
}

fn wants(guest: &str, host: Option<&str>, required: bool) -> Request {
    let mount = MountRequest {
        guest: guest.to_owned(),
        host: host.map(PathBuf::from),
        read_only: false,
        required,
    };
    Request {
        mounts: vec![mount],
        ..welcome()
    }
}

#[test]
fn directories_are_lent_as_the_policy_says() {
    let policy = example();
    let lent = grant(&wants("/data", None, true), &policy);
    assert_eq!(lent.mounts[0].host, PathBuf::from("/srv/public"));
    assert!(lent.mounts[0].read_only);
    let inside = grant(&wants("/in", Some("/srv/public/a"), false), &policy);
    assert_eq!(inside.mounts[0].host, PathBuf::from("/srv/public/a"));
    for (guest, host, required, verdict) in [
        ("/in", Some("/etc"), false, Verdict::Refused),
        ("/in", Some("/srv/publicity"), false, Verdict::Refused),
        ("/other", None, true, Verdict::Refused),
        ("/other", None, false, Verdict::Reduced),
    ] {
        let request = wants(guest, host, required);
        let item = format!("mount {guest}");
        assert_eq!(row(&request, &policy, &item).0, verdict, "{guest} {host:?}");
        assert!(grant(&request, &policy).mounts.is_empty());
    }
}

#[test]
fn the_whole_policy_reads_back() {
    for policy in [example(), Policy::deny_all(), Policy::own_machine()] {
        let text = policy.to_toml();
        assert_eq!(Policy::parse(&text).unwrap(), policy, "{text}");
    }
}

fn amounts() -> impl Strategy<Value = Vec<Option<u64>>> {
    proptest::collection::vec(proptest::option::of(0..=u64::MAX), Item::ALL.len())
}

fn as_amounts(numbers: &[Option<u64>]) -> Amounts {
    let all = Item::ALL.into_iter().zip(numbers);
    all.fold(Amounts::default(), |amounts, (item, number)| {
        amounts.with(item, *number)
    })
}

proptest! {
    #[test]
    fn no_job_gets_more_than_it_asks_for_or_the_policy_says(asks in amounts(), needs in amounts()) {
        let policy = example();
        let request = Request { asks: as_amounts(&asks), needs: as_amounts(&needs), ..welcome() };
        let grant = grant(&request, &policy);
        for item in Item::ALL {
            let got = grant.limit(item);
            prop_assert!(got <= policy.limit(item));
            prop_assert!(got <= Limit::from(request.asks.of(item)));
            let too_little = request.needs.of(item).is_some_and(|needed| Limit::AtMost(needed) > got);
            // What is needed of a GPU by a job that uses none.
            let of_a_gpu = matches!(item, Item::GpuMemory | Item::GpuTime);
            let refused = grant.refusals().any(|row| row.item == item.name());
            prop_assert_eq!(too_little && !of_a_gpu, refused);
        }
        prop_assert!(serde_json::to_string(&grant.rows).is_ok());
    }

    #[test]
    fn any_text_is_read_or_refused_with_a_place(text in "\\PC{0,60}|[\\[\\]a-z =\"\n0-9.]{0,200}") {
        check(&text);
    }

    #[test]
    fn a_damaged_example_is_read_or_refused_with_a_place(place: usize, byte: u8, cut: bool) {
        let mut bytes = EXAMPLE.as_bytes().to_vec();
        let place = place % bytes.len();
        if cut { bytes.remove(place); } else { bytes[place] = byte; }
        if let Ok(text) = String::from_utf8(bytes) {
            check(&text);
        }
    }
}

fn check(text: &str) {
    match Policy::parse(text) {
        Ok(policy) => assert_eq!(Policy::parse(&policy.to_toml()).unwrap(), policy),
        Err(refused) => {
            assert!(!refused.problems.is_empty());
            for problem in &refused.problems {
                assert!(problem.line <= text.lines().count().max(1) + 1, "{problem}");
                assert!(problem.to_string().contains('^'));
            }
        }
    }
}
