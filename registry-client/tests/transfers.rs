//! Transfers that are cut, held up, changed on the way, refused for a while, or not needed.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use support::fake::{FakeRegistry, response};
use support::proxy::{Fate, Proxy};
use support::real::{Kind, RealRegistry};
use support::tokens::WithTokens;
use support::{Recorder, artifact, client, noise, options, packed, reference, store};
use wherry_packager::{Digest, Store};
use wherry_registry_client::{Options, Patience, Progress, Quiet, Registry, RegistryError};

const MIB: u64 = 1 << 20;
const KIND: &str = "application/vnd.test";

/// An artifact of one blob with so many bytes.
fn one_blob(store: &Store, length: u64) -> Digest {
    let length = usize::try_from(length).expect("small");
    artifact(store, KIND, &[noise(1, length)], None)
}

fn registry() -> Option<RealRegistry> {
    RealRegistry::start(Kind::default())
}

fn same_blobs(a: &Store, b: &Store, digest: &Digest) {
    let stored = a.stored(digest).expect("stored");
    for blob in stored.document.children().expect("blobs") {
        for store in [a, b] {
            let mut reader = store.open_blob(&blob).expect("there");
            while reader.next_chunk().expect("undamaged").is_some() {}
        }
    }
}

#[test]
fn a_download_goes_on_after_a_cut_at_any_byte() {
    let Some(registry) = registry() else { return };
    let (directory, from) = store();
    let size = 4 * MIB;
    let digest = one_blob(&from, size);
    let client = client(directory.path());
    client
        .push(&from, &digest, &reference(&registry.name("a:1")), &Quiet)
        .unwrap();
    for cut in [1, 200, 700, 65_537, MIB + 1, 3 * MIB + 12_345] {
        // Connection after connection is cut there, but every other one only once it is useful.
        let proxy = Proxy::start(&registry.host, move |number| Fate {
            cut_down: Some(if number % 2 == 0 { cut } else { MIB }),
            ..Fate::default()
        });
        let (_other, to) = store();
        let pulled = Recorder::default();
        let name = reference(&proxy.name("a:1"));
        assert_eq!(client.fetch(&to, &name, &pulled).unwrap(), digest);
        same_blobs(&from, &to, &digest);
        assert!(proxy.connections() > 2, "{cut}");
        // No byte of the blob came twice, but for those that were on their way.
        assert!(proxy.down() < size + MIB, "cut at {cut}: {}", proxy.down());
        let counts = pulled.counts();
        assert!(counts.iter().all(|count| count.advanced == count.total));
    }
}

#[test]
fn a_download_goes_on_in_another_process() {
    let Some(registry) = registry() else { return };
    let (directory, from) = store();
    let (_other, to) = store();
    let digest = one_blob(&from, 4 * MIB);
    let patient = client(directory.path());
    let name = reference(&registry.name("a:1"));
    patient.push(&from, &digest, &name, &Quiet).unwrap();
    let proxy = Proxy::start(&registry.host, |_| Fate {
        cut_down: Some(3 * MIB),
        ..Fate::default()
    });
    let mut options = options(directory.path());
    options.patience.tries = 1;
    let impatient = Registry::new(options).unwrap();
    let error = impatient
        .fetch(&to, &reference(&proxy.name("a:1")), &Quiet)
        .unwrap_err();
    assert!(
        matches!(error, RegistryError::Interrupted { .. }),
        "{error}"
    );
    assert_eq!(to.images().unwrap(), []);

    let counting = Proxy::start(&registry.host, |_| Fate::default());
    let name = reference(&counting.name("a:1"));
    assert_eq!(patient.fetch(&to, &name, &Quiet).unwrap(), digest);
    same_blobs(&from, &to, &digest);
    assert!(counting.down() < 2 * MIB, "{}", counting.down());
}

#[test]
fn a_piece_that_was_changed_on_the_way_costs_the_others_but_no_error() {
    let Some(registry) = registry() else { return };
    let (directory, from) = store();
    let (_other, to) = store();
    let digest = one_blob(&from, 2 * MIB);
    let client = client(directory.path());
    let name = reference(&registry.name("a:1"));
    client.push(&from, &digest, &name, &Quiet).unwrap();
    let proxy = Proxy::start(&registry.host, |number| Fate {
        // The first connections are for the question whether it speaks plain HTTP, and for the
        // manifest and the config.
        cut_down: (number < 3).then_some(MIB),
        flip_down: (number == 3).then_some(MIB / 2),
        ..Fate::default()
    });
    let pulled = Recorder::default();
    let name = reference(&proxy.name("a:1"));
    assert_eq!(client.fetch(&to, &name, &pulled).unwrap(), digest);
    same_blobs(&from, &to, &digest);
}

#[test]
fn a_transfer_that_stands_still_is_begun_anew() {
    let Some(registry) = registry() else { return };
    let (directory, from) = store();
    let (_other, to) = store();
    let digest = one_blob(&from, 2 * MIB);
    let name = reference(&registry.name("a:1"));
    client(directory.path())
        .push(&from, &digest, &name, &Quiet)
        .unwrap();
    let proxy = Proxy::start(&registry.host, |number| Fate {
        stall_down: (number < 3).then_some(MIB),
        ..Fate::default()
    });
    let options = Options {
        patience: Patience {
            idle: Duration::from_millis(300),
            ..options(directory.path()).patience
        },
        ..options(directory.path())
    };
    let client = Registry::new(options).unwrap();
    let name = reference(&proxy.name("a:1"));
    assert_eq!(client.fetch(&to, &name, &Quiet).unwrap(), digest);
    same_blobs(&from, &to, &digest);
}

/// Lets the proxy go on once three blobs are through.
struct ReleaseAfterThree<'a>(&'a Proxy, AtomicUsize);

impl Progress for ReleaseAfterThree<'_> {
    fn planned(&self, _total: u64) {}
    fn started(&self, _blob: &Digest, _total: u64) {}
    fn advanced(&self, _blob: &Digest, _bytes: u64) {}
    fn rewound(&self, _blob: &Digest, _done: u64) {}
    fn skipped(&self, _blob: &Digest, _total: u64) {}
    fn finished(&self, _blob: &Digest) {
        if self.1.fetch_add(1, Ordering::SeqCst) == 2 {
            self.0.release();
        }
    }
}

#[test]
fn one_connection_that_is_slow_holds_up_no_other_and_goes_on_or_is_cut() {
    let Some(registry) = registry() else { return };
    let (directory, from) = store();
    let blobs: Vec<_> = (1..=4).map(|seed| noise(seed, 2 << 20)).collect();
    let digest = artifact(&from, KIND, &blobs, None);
    let client = client(directory.path());
    let name = reference(&registry.name("a:1"));
    client.push(&from, &digest, &name, &Quiet).unwrap();
    for cut in [None, Some(MIB)] {
        let (_other, to) = store();
        // The first is for the question whether it speaks plain HTTP.
        let proxy = Proxy::start(&registry.host, move |number| Fate {
            hold_down: (number == 1).then_some(MIB),
            cut_down: cut.filter(|_| number == 1),
            ..Fate::default()
        });
        let name = reference(&proxy.name("a:1"));
        // The config and two blobs arrive before it.
        let progress = ReleaseAfterThree(&proxy, AtomicUsize::new(0));
        assert_eq!(client.fetch(&to, &name, &progress).unwrap(), digest);
        same_blobs(&from, &to, &digest);
    }
}

#[test]
fn what_comes_byte_by_byte_is_read_as_it_is_meant() {
    let Some(registry) = registry() else { return };
    let (directory, from) = store();
    let (_other, to) = store();
    let digest = one_blob(&from, 100_000);
    let proxy = Proxy::start(&registry.host, |_| Fate {
        trickle: 20_000,
        ..Fate::default()
    });
    let client = client(directory.path());
    let name = reference(&proxy.name("a:1"));
    client.push(&from, &digest, &name, &Quiet).unwrap();
    assert_eq!(client.fetch(&to, &name, &Quiet).unwrap(), digest);
    same_blobs(&from, &to, &digest);
}

#[test]
fn a_registry_that_is_busy_in_the_middle_of_an_upload_is_asked_again_when_it_says() {
    let refused = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&refused);
    let registry = FakeRegistry::start(move |request| {
        let method = request.line.split(' ').next().expect("a method");
        match method {
            "HEAD" => b"HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n".to_vec(),
            "POST" => response("202 Accepted", "Location: /v2/up/1\r\n", b""),
            "PATCH" if count.fetch_add(1, Ordering::SeqCst) < 2 => {
                response("429 Too Many Requests", "Retry-After: 0\r\n", b"")
            }
            "PATCH" => response("202 Accepted", "Location: /v2/up/1\r\n", b""),
            "GET" if request.line.contains("/up/") => {
                let headers = "Location: /v2/up/1\r\nRange: 0-0\r\n";
                response("204 No Content", headers, b"")
            }
            "PUT" => response("201 Created", "", b""),
            _ => support::fake::ok(b"{}"),
        }
    });
    let (directory, from) = store();
    let digest = packed(&from, 1000, "a:1").digest;
    let name = reference(&registry.name("a:1"));
    client(directory.path())
        .push(&from, &digest, &name, &Quiet)
        .unwrap();
    // Two blobs, and two tries more.
    assert_eq!(refused.load(Ordering::SeqCst), 4);
}

#[test]
fn an_upload_goes_on_after_a_cut_at_any_byte() {
    let Some(registry) = registry() else { return };
    let (directory, from) = store();
    let digest = one_blob(&from, 4 * MIB);
    let client = client(directory.path());
    for (round, cut) in [1, 150, 400, 70_001, MIB + 1, 4 * MIB]
        .into_iter()
        .enumerate()
    {
        let proxy = Proxy::start(&registry.host, move |number| Fate {
            cut_up: (1..4).contains(&number).then_some(cut),
            ..Fate::default()
        });
        let name = format!("cut{round}:1");
        let pushed = Recorder::default();
        client
            .push(&from, &digest, &reference(&proxy.name(&name)), &pushed)
            .unwrap();
        let counts = pushed.counts();
        assert!(
            counts
                .iter()
                .all(|count| count.skipped || count.advanced == count.total),
            "cut at {cut}: {counts:?}"
        );
        let (_other, to) = store();
        let name = reference(&registry.name(&name));
        assert_eq!(client.fetch(&to, &name, &Quiet).unwrap(), digest);
        same_blobs(&from, &to, &digest);
    }
}

#[test]
fn a_registry_that_is_busy_is_asked_again_when_it_says() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let busy = FakeRegistry::start(move |request| match request.line.as_str() {
        "GET /v2/" => support::fake::ok(b"{}"),
        _ if count.fetch_add(1, Ordering::SeqCst) < 3 => {
            response("503 Service Unavailable", "Retry-After: 0\r\n", b"")
        }
        _ => support::fake::not_found(),
    });
    let (directory, to) = store();
    let name = reference(&busy.name("a:1"));
    let error = client(directory.path())
        .pull(&to, &name, &Quiet)
        .unwrap_err();
    assert!(matches!(error, RegistryError::NotFound { .. }), "{error}");
    assert_eq!(asked.load(Ordering::SeqCst), 4);

    let closed = FakeRegistry::start(|request| match request.line.as_str() {
        "GET /v2/" => support::fake::ok(b"{}"),
        _ => response("429 Too Many Requests", "Retry-After: 86400\r\n", b""),
    });
    let name = reference(&closed.name("a:1"));
    let error = client(directory.path())
        .pull(&to, &name, &Quiet)
        .unwrap_err();
    assert!(
        matches!(&error, RegistryError::Refused { status: 429, retry_after: Some(wait), .. } if wait.as_secs() == 86400),
        "{error}"
    );
}

#[test]
fn blobs_are_mounted_from_repositories_that_the_store_knows() {
    let Some(registry) = registry() else { return };
    let (directory, from) = store();
    let digest = one_blob(&from, 2 * MIB);
    let client = client(directory.path());
    let proxy = Proxy::start(&registry.host, |_| Fate::default());
    let first = reference(&proxy.name("team/first:1"));
    client.push(&from, &digest, &first, &Quiet).unwrap();
    from.tag(&digest, &first).unwrap();
    let before = proxy.up();
    let mounted = Recorder::default();
    let second = reference(&proxy.name("team/second:1"));
    client.push(&from, &digest, &second, &mounted).unwrap();
    assert!(mounted.all_skipped());
    assert!(proxy.up() - before < MIB / 8);
    let (_other, to) = store();
    assert_eq!(client.fetch(&to, &second, &Quiet).unwrap(), digest);
}

#[test]
fn a_registry_that_does_not_mount_gets_the_bytes() {
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    let registry = FakeRegistry::start(move |request| {
        let (method, target) = request.line.split_once(' ').expect("a request line");
        match method {
            "HEAD" => b"HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n".to_vec(),
            "POST" if target.contains("mount=") && target.contains("from=first") => {
                response("202 Accepted", "Location: /v2/up/1\r\n", b"")
            }
            "POST" => response("500 Internal Server Error", "", b""),
            "PATCH" => {
                count.fetch_add(1, Ordering::SeqCst);
                response("202 Accepted", "Location: /v2/up/2\r\n", b"")
            }
            "PUT" => response("201 Created", "", b""),
            _ => support::fake::ok(b"{}"),
        }
    });
    let (directory, from) = store();
    let digest = packed(&from, 1000, "a:1").digest;
    from.tag(&digest, &reference(&registry.name("first:1")))
        .unwrap();
    client(directory.path())
        .push(
            &from,
            &digest,
            &reference(&registry.name("second:1")),
            &Quiet,
        )
        .unwrap();
    assert_eq!(taken.load(Ordering::SeqCst), 2);
}

#[test]
fn tokens_are_asked_for_what_is_read_and_written_and_renewed_on_the_way() {
    // The first token of every session does not allow to push.
    let Some(tokens) = WithTokens::start(|number, scope| match number % 2 {
        0 => scope.replace("pull,push", "pull"),
        _ => scope.to_owned(),
    }) else {
        return;
    };
    let (directory, from) = store();
    let digest = one_blob(&from, MIB);
    let client = client(directory.path());
    client
        .login(&tokens.registry.host, "alice", "s3cret")
        .unwrap();
    let first = reference(&tokens.registry.name("team/first:1"));
    tokens.asked.lock().unwrap().clear();
    client.push(&from, &digest, &first, &Quiet).unwrap();
    let asked = tokens.asked.lock().unwrap().clone();
    assert_eq!(asked[0], ["repository:team/first:pull,push"]);
    assert!(asked.len() >= 2, "{asked:?}");

    from.tag(&digest, &first).unwrap();
    let mounted = Recorder::default();
    let second = reference(&tokens.registry.name("team/second:1"));
    client.push(&from, &digest, &second, &mounted).unwrap();
    assert!(mounted.all_skipped());
    let asked = tokens.asked.lock().unwrap().clone();
    assert_eq!(
        asked.last().unwrap(),
        &[
            "repository:team/second:pull,push",
            "repository:team/first:pull"
        ]
    );
    let (_other, to) = store();
    assert_eq!(client.fetch(&to, &second, &Quiet).unwrap(), digest);
}
