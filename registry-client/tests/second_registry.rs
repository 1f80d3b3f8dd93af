//! Against a registry by others that has the referrers API.

mod support;

use support::proxy::{Fate, Proxy};
use support::second::SecondRegistry;
use support::{Recorder, artifact, client, noise, reference, store, workload};
use wherry_registry_client::{Quiet, RegistryError};

const MIB: u64 = 1 << 20;
/// After a cut, blobs are sent in steps of so many bytes.
const STEP: u64 = 16 * MIB;
const KIND: &str = "application/vnd.test";

#[test]
fn what_is_pushed_is_pulled_byte_for_byte() {
    let Some(registry) = SecondRegistry::start() else {
        return;
    };
    let (directory, from) = store();
    let (_other, to) = store();
    let client = client(directory.path());
    let packed = workload(&from);
    let name = reference(&registry.name("team/job:1.0"));
    client.push(&from, &packed.digest, &name, &Quiet).unwrap();
    assert_eq!(client.pull(&to, &name, &Quiet).unwrap(), packed.digest);
    assert_eq!(
        from.stored(&packed.digest).unwrap().bytes,
        to.stored(&packed.digest).unwrap().bytes
    );
    let again = Recorder::default();
    client.push(&from, &packed.digest, &name, &again).unwrap();
    assert!(again.all_skipped());
}

#[test]
fn referrers_are_its_own_business() {
    let Some(registry) = SecondRegistry::start() else {
        return;
    };
    let (directory, from) = store();
    let client = client(directory.path());
    let subject = workload(&from).digest;
    let name = reference(&registry.name("team/job:1.0"));
    client.push(&from, &subject, &name, &Quiet).unwrap();
    assert_eq!(client.referrers(&name, &subject, None).unwrap(), []);
    let about = from.stored(&subject).unwrap().descriptor;
    let [one, other] = ["application/vnd.one", "application/vnd.other"].map(|kind| {
        let digest = artifact(&from, kind, &[kind.as_bytes().to_vec()], Some(&about));
        client
            .push(&from, &digest, &name.at_digest(&digest), &Quiet)
            .unwrap();
        digest
    });
    let listed = |kind: Option<&str>| {
        let referrers = client.referrers(&name, &subject, kind).unwrap().into_iter();
        let mut digests: Vec<_> = referrers.map(|one| one.descriptor.digest).collect();
        digests.sort_unstable();
        digests
    };
    let mut both = vec![one, other];
    both.sort_unstable();
    assert_eq!(listed(None), both);
    assert_eq!(listed(Some("application/vnd.one")), [one]);
    assert_eq!(listed(Some("application/vnd.none")), []);
    // Nobody needs the tag of registries that do not list.
    let tag = format!("{}:sha256-{}", name.repository(), subject.hex());
    assert!(matches!(
        client.resolve(&reference(&tag)),
        Err(RegistryError::NotFound { .. })
    ));
}

#[test]
fn it_does_not_mount_and_gets_the_bytes() {
    let Some(registry) = SecondRegistry::start() else {
        return;
    };
    let (directory, from) = store();
    let (_other, to) = store();
    let client = client(directory.path());
    let digest = artifact(&from, KIND, &[noise(1, 300_000)], None);
    let names = ["first:1", "second:1"].map(|name| reference(&registry.name(name)));
    client.push(&from, &digest, &names[0], &Quiet).unwrap();
    from.tag(&digest, &names[0]).unwrap();
    client.push(&from, &digest, &names[1], &Quiet).unwrap();
    assert_eq!(client.fetch(&to, &names[1], &Quiet).unwrap(), digest);
}

#[test]
fn a_download_goes_on_where_there_are_no_ranges() {
    let Some(registry) = SecondRegistry::start() else {
        return;
    };
    let (directory, from) = store();
    let (_other, to) = store();
    let client = client(directory.path());
    let digest = artifact(&from, KIND, &[noise(1, 4 << 20)], None);
    let name = reference(&registry.name("a:1"));
    client.push(&from, &digest, &name, &Quiet).unwrap();
    let proxy = Proxy::start(&registry.host, |number| Fate {
        cut_down: (number == 1).then_some(3 * MIB),
        ..Fate::default()
    });
    let name = reference(&proxy.name("a:1"));
    assert_eq!(client.fetch(&to, &name, &Quiet).unwrap(), digest);
}

#[test]
fn an_upload_goes_on_at_the_last_step() {
    let Some(registry) = SecondRegistry::start() else {
        return;
    };
    let (directory, from) = store();
    let size = 2 * STEP + 5 * MIB;
    let digest = artifact(
        &from,
        KIND,
        &[noise(1, usize::try_from(size).unwrap())],
        None,
    );
    // In one go at first; what is cut inside a request, this registry forgets.
    let proxy = Proxy::start(&registry.host, |number| Fate {
        cut_up: match number {
            0 => None,
            1..=2 => Some(STEP + 3 * MIB),
            _ => None,
        },
        ..Fate::default()
    });
    let pushed = Recorder::default();
    let name = reference(&proxy.name("a:1"));
    client(directory.path())
        .push(&from, &digest, &name, &pushed)
        .unwrap();
    // Lost are the first try, and a part of a step of the second.
    let most = size + (STEP + 3 * MIB) + 3 * MIB;
    assert!(proxy.up() <= most + MIB, "{} of {most}", proxy.up());
    let (_other, to) = store();
    let name = reference(&registry.name("a:1"));
    assert_eq!(
        client(directory.path()).fetch(&to, &name, &Quiet).unwrap(),
        digest
    );
}
