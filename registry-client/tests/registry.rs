//! Push, pull and login against a real registry: plain, with passwords, with TLS.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;
use support::real::{Kind, RealRegistry, skopeo};
use support::{
    Recorder, assert_untouched, client, module, options, packed, reference, store, workload,
};
use wherry_packager::{Descriptor, Digest, media_type};
use wherry_registry_client::{Options, Quiet, Registry, RegistryError};

const PLAIN: Kind = Kind {
    tls: false,
    password: false,
};

#[test]
fn what_is_pushed_is_pulled_byte_for_byte() {
    let Some(registry) = RealRegistry::start(PLAIN) else {
        return;
    };
    let (directory, from) = store();
    let (_other, to) = store();
    let client = client(directory.path());
    let packed = workload(&from);
    let name = reference(&registry.name("team/job:1.0"));
    client.push(&from, &packed.digest, &name, &Quiet).unwrap();
    assert_eq!(client.pull(&to, &name, &Quiet).unwrap(), packed.digest);
    let workload = to.workload(&name.to_string()).unwrap();
    assert_eq!(
        (workload.digest, workload.module),
        (packed.digest, module(100))
    );
    assert_eq!(workload.config.args, ["x"]);
    assert_eq!(
        from.stored(&packed.digest).unwrap().bytes,
        to.stored(&packed.digest).unwrap().bytes
    );
}

#[test]
fn progress_counts_every_byte_once_and_what_is_there_is_skipped() {
    let Some(registry) = RealRegistry::start(PLAIN) else {
        return;
    };
    let (directory, from) = store();
    let (_other, to) = store();
    let client = client(directory.path());
    let digest = packed(&from, 3 << 20, "big:1").digest;
    let name = reference(&registry.name("big:1"));
    let (pushed, pulled) = (Recorder::default(), Recorder::default());
    client.push(&from, &digest, &name, &pushed).unwrap();
    client.pull(&to, &name, &pulled).unwrap();
    for recorder in [&pushed, &pulled] {
        let counts = recorder.counts();
        assert_eq!(counts.len(), 2);
        assert!(
            counts
                .iter()
                .all(|count| count.finished && count.advanced == count.total),
            "{counts:?}"
        );
        assert!(counts.iter().any(|count| count.total > 3 << 20));
    }
    let (again, back) = (Recorder::default(), Recorder::default());
    client.push(&from, &digest, &name, &again).unwrap();
    client.pull(&to, &name, &back).unwrap();
    assert!(again.all_skipped() && back.all_skipped());
}

#[test]
fn by_digest_without_a_tag() {
    let Some(registry) = RealRegistry::start(PLAIN) else {
        return;
    };
    let (directory, from) = store();
    let (_other, to) = store();
    let client = client(directory.path());
    let digest = packed(&from, 1, "a:1").digest;
    let name = reference(&registry.name(&format!("a@{digest}")));
    client.push(&from, &digest, &name, &Quiet).unwrap();
    assert_eq!(client.pull(&to, &name, &Quiet).unwrap(), digest);
    assert_eq!(to.images().unwrap()[0].reference, None);
    let other = reference(&registry.name(&format!("a@{}", Digest::of(b"other"))));
    assert!(matches!(
        client.push(&from, &digest, &other, &Quiet),
        Err(RegistryError::WrongDigest { .. })
    ));
    assert!(matches!(
        client.pull(&to, &other, &Quiet),
        Err(RegistryError::NotFound { .. })
    ));
}

#[test]
fn of_an_index_the_part_for_wasm_is_pulled() {
    let Some(registry) = RealRegistry::start(PLAIN) else {
        return;
    };
    let (directory, from) = store();
    let (_other, to) = store();
    let client = client(directory.path());
    let digest = packed(&from, 1, "a:1").digest;
    let child = from.stored(&digest).unwrap().descriptor;
    let index = json!({
        "schemaVersion": 2,
        "mediaType": media_type::INDEX,
        "manifests": [{
            "mediaType": child.media_type, "digest": child.digest.to_string(), "size": child.size,
            "platform": { "os": "wasip1", "architecture": "wasm" },
        }],
    });
    let index = serde_json::to_vec(&index).unwrap();
    let descriptor = Descriptor::of(media_type::INDEX, &index);
    let ingest = from.ingest().unwrap();
    ingest.put(&descriptor, &index).unwrap();
    ingest
        .commit(&descriptor, Some(&reference("multi:1")))
        .unwrap();
    let name = reference(&registry.name("multi:1"));
    client
        .push(&from, &descriptor.digest, &name, &Quiet)
        .unwrap();
    assert_eq!(client.pull(&to, &name, &Quiet).unwrap(), digest);
}

#[test]
fn skopeo_copies_what_we_pushed() {
    let Some(registry) = RealRegistry::start(PLAIN) else {
        return;
    };
    let (directory, from) = store();
    let client = client(directory.path());
    for (digest, name) in [
        (workload(&from).digest, "job:1"),
        (packed(&from, 1, "a:1").digest, "a:1"),
    ] {
        let name = registry.name(name);
        client
            .push(&from, &digest, &reference(&name), &Quiet)
            .unwrap();
        let copy = directory.path().join(digest.short());
        let target = format!("oci:{}:copied:1", copy.display());
        let arguments = [
            "copy",
            "--src-tls-verify=false",
            &format!("docker://{name}"),
            &target,
        ];
        if skopeo(&arguments).is_none() {
            return;
        }
        let copy = wherry_packager::Store::open(&copy).unwrap();
        let copied = copy.workload("copied:1").unwrap();
        assert_eq!(
            (copied.digest, copied.module),
            (digest, from.workload(&digest.hex()).unwrap().module)
        );
    }
}

#[test]
fn we_pull_what_skopeo_pushed_from_our_store() {
    let Some(registry) = RealRegistry::start(PLAIN) else {
        return;
    };
    let (directory, from) = store();
    let (_other, to) = store();
    let digest = workload(&from).digest;
    let source = format!("oci:{}:team/job:1.0", from.directory().display());
    let name = registry.name("from-skopeo:1");
    if skopeo(&[
        "copy",
        "--dest-tls-verify=false",
        &source,
        &format!("docker://{name}"),
    ])
    .is_none()
    {
        return;
    }
    assert_eq!(
        client(directory.path())
            .pull(&to, &reference(&name), &Quiet)
            .unwrap(),
        digest
    );
    assert_eq!(to.workload(&name).unwrap().module, module(100));
}

#[test]
fn a_blob_that_was_flipped_in_the_registry_is_refused() {
    let Some(registry) = RealRegistry::start(PLAIN) else {
        return;
    };
    let (directory, from) = store();
    let (_other, to) = store();
    let client = client(directory.path());
    let digest = packed(&from, 200_000, "a:1").digest;
    let name = reference(&registry.name("a:1"));
    client.push(&from, &digest, &name, &Quiet).unwrap();
    let layer = Digest::of(&module(200_000));
    let kept = registry.blob(&layer);
    let good = fs::read(&kept).unwrap();

    let mut flipped = good.clone();
    flipped[150_000] ^= 4;
    fs::write(&kept, &flipped).unwrap();
    let error = client.pull(&to, &name, &Quiet).unwrap_err();
    assert!(
        matches!(error, RegistryError::WrongDigest { expected, .. } if expected == layer),
        "{error}"
    );
    assert_eq!(to.images().unwrap(), []);
    assert!(to.workload(&digest.hex()).is_err());

    fs::write(&kept, &good[..100_000]).unwrap();
    let error = client.pull(&to, &name, &Quiet).unwrap_err();
    assert!(
        matches!(
            error,
            RegistryError::WrongLength {
                actual: 100_000,
                ..
            }
        ),
        "{error}"
    );

    fs::write(&kept, &good).unwrap();
    assert_eq!(client.pull(&to, &name, &Quiet).unwrap(), digest);
}

#[test]
fn a_blob_that_was_flipped_in_the_store_is_not_pushed() {
    let Some(registry) = RealRegistry::start(PLAIN) else {
        return;
    };
    let (directory, from) = store();
    let client = client(directory.path());
    let digest = packed(&from, 200_000, "a:1").digest;
    let layer = Digest::of(&module(200_000));
    let path = from.directory().join("blobs/sha256").join(layer.hex());
    let mut bytes = fs::read(&path).unwrap();
    bytes[199_000] ^= 1;
    fs::write(&path, bytes).unwrap();
    let name = reference(&registry.name("a:1"));
    let error = client
        .push(&from, &digest, &name, &Quiet)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&layer.to_string()) && error.contains("damaged"),
        "{error}"
    );
    assert!(matches!(
        client.pull(&store().1, &name, &Quiet),
        Err(RegistryError::NotFound { .. })
    ));
}

#[test]
fn passwords() {
    let Some(registry) = RealRegistry::start(Kind {
        password: true,
        ..PLAIN
    }) else {
        return;
    };
    let (directory, from) = store();
    let auth_file = directory.path().join("auth.json");
    let client = client(directory.path());
    let digest = packed(&from, 1, "a:1").digest;
    let name = reference(&registry.name("a:1"));

    let error = client.push(&from, &digest, &name, &Quiet).unwrap_err();
    assert!(
        matches!(error, RegistryError::Unauthorized { .. })
            && error.to_string().contains("wherry login"),
        "{error}"
    );
    let error = client.login(&registry.host, "alice", "wr0ng").unwrap_err();
    assert!(
        matches!(error, RegistryError::Unauthorized { .. }),
        "{error}"
    );
    assert!(!format!("{error} {error:?} {client:?}").contains("wr0ng"));
    assert!(!auth_file.exists());

    assert_eq!(
        client.login(&registry.host, "alice", "s3cret").unwrap(),
        auth_file
    );
    assert_eq!(
        fs::metadata(&auth_file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    client.push(&from, &digest, &name, &Quiet).unwrap();
    let (_other, to) = store();
    assert_eq!(client.pull(&to, &name, &Quiet).unwrap(), digest);
    let authfile = format!("--authfile={}", auth_file.display());
    let _ = skopeo(&[
        "inspect",
        "--raw",
        "--tls-verify=false",
        &authfile,
        &format!("docker://{name}"),
    ]);

    assert!(client.logout(&registry.host).unwrap());
    assert!(!client.logout(&registry.host).unwrap());
    assert!(matches!(
        client.pull(&to, &name, &Quiet),
        Err(RegistryError::Unauthorized { .. })
    ));
}

#[test]
fn tls_with_an_authority_of_its_own() {
    let Some(registry) = RealRegistry::start(Kind {
        tls: true,
        password: true,
    }) else {
        return;
    };
    let (directory, from) = store();
    let digest = packed(&from, 1, "a:1").digest;
    let name = reference(&registry.name("a:1"));

    let error = client(directory.path())
        .login(&registry.host, "alice", "s3cret")
        .unwrap_err();
    assert!(
        matches!(error, RegistryError::Tls { .. }) && error.to_string().contains("WHERRY_CA_FILE"),
        "{error}"
    );

    let trusting = Options {
        ca_file: Some(registry.ca_file()),
        ..options(directory.path())
    };
    let client = Registry::new(trusting).unwrap();
    client.login(&registry.host, "alice", "s3cret").unwrap();
    client.push(&from, &digest, &name, &Quiet).unwrap();
    let (_other, to) = store();
    assert_eq!(client.pull(&to, &name, &Quiet).unwrap(), digest);
}

#[test]
fn what_is_not_there_is_named() {
    let Some(registry) = RealRegistry::start(PLAIN) else {
        return;
    };
    let (directory, to) = store();
    let client = client(directory.path());
    let error = client
        .pull(&to, &reference(&registry.name("nobody/knows:1")), &Quiet)
        .unwrap_err();
    assert!(
        matches!(&error, RegistryError::NotFound { what, .. } if what.contains("nobody/knows")),
        "{error}"
    );
    let gone = reference(&registry.name("a:1"));
    drop(registry);
    let error = client.pull(&to, &gone, &Quiet).unwrap_err();
    assert!(
        matches!(error, RegistryError::Unreachable { .. }),
        "{error}"
    );
    assert_untouched(&to);
}
