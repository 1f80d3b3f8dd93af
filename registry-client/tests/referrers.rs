//! What refers to a manifest: by the registry's own list, and by the tag that clients keep.

mod support;

use std::collections::BTreeSet;
use std::thread;

use serde_json::json;
use support::fake::{FakeRegistry, not_found, ok, response};
use support::real::{Kind, RealRegistry};
use support::{artifact, client, noise, packed, reference, store};
use wherry_packager::{Digest, media_type};
use wherry_registry_client::{Quiet, RegistryError};

const SIGNATURE: &str = "application/vnd.test.signature";
const SBOM: &str = "application/vnd.test.sbom";

#[test]
fn a_referrer_is_found_by_its_subject_and_type() {
    let Some(registry) = RealRegistry::start(Kind::default()) else {
        return;
    };
    let (directory, from) = store();
    let client = client(directory.path());
    let name = reference(&registry.name("a:1"));
    let workload = packed(&from, 1, "a:1").digest;
    client.push(&from, &workload, &name, &Quiet).unwrap();
    assert_eq!(client.referrers(&name, &workload, None).unwrap(), []);

    let subject = from.stored(&workload).unwrap().descriptor;
    let signature = artifact(&from, SIGNATURE, &[noise(1, 10)], Some(&subject));
    let sbom = artifact(&from, SBOM, &[noise(2, 10)], Some(&subject));
    for digest in [signature, sbom, signature] {
        client
            .push(&from, &digest, &name.at_digest(&digest), &Quiet)
            .unwrap();
    }
    let all = client.referrers(&name, &workload, None).unwrap();
    let found: BTreeSet<_> = all.iter().map(|one| one.descriptor.digest).collect();
    assert_eq!((all.len(), found), (2, BTreeSet::from([signature, sbom])));
    let signatures = client.referrers(&name, &workload, Some(SIGNATURE)).unwrap();
    assert_eq!(signatures.len(), 1);
    assert_eq!(signatures[0].descriptor.digest, signature);
    assert_eq!(signatures[0].artifact_type.as_deref(), Some(SIGNATURE));
    assert_eq!(signatures[0].annotations["test.type"], SIGNATURE);

    let (_other, to) = store();
    let found = name.at_digest(&signature);
    assert_eq!(client.fetch(&to, &found, &Quiet).unwrap(), signature);
}

#[test]
fn no_referrer_is_lost_when_many_are_added_at_once() {
    let Some(registry) = RealRegistry::start(Kind::default()) else {
        return;
    };
    let (directory, from) = store();
    let name = reference(&registry.name("a:1"));
    let workload = packed(&from, 1, "a:1").digest;
    client(directory.path())
        .push(&from, &workload, &name, &Quiet)
        .unwrap();
    let subject = from.stored(&workload).unwrap().descriptor;
    let added: BTreeSet<Digest> = (0..8)
        .map(|number| artifact(&from, SIGNATURE, &[noise(number, 10)], Some(&subject)))
        .collect();
    thread::scope(|scope| {
        for digest in &added {
            let (directory, from, name) = (directory.path(), &from, &name);
            scope.spawn(move || {
                client(directory)
                    .push(from, digest, &name.at_digest(digest), &Quiet)
                    .unwrap();
            });
        }
    });
    let all = client(directory.path())
        .referrers(&name, &workload, None)
        .unwrap();
    let found: BTreeSet<_> = all.iter().map(|one| one.descriptor.digest).collect();
    assert_eq!(found, added);
}

/// An index with an entry for each of `names`.
fn index(names: &[&str]) -> Vec<u8> {
    let entry = |name: &&str| {
        json!({
            "mediaType": media_type::MANIFEST, "size": 2,
            "digest": Digest::of(name.as_bytes()).to_string(), "artifactType": SBOM,
        })
    };
    let manifests: Vec<_> = names.iter().map(entry).collect();
    let index = json!({
        "schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": manifests,
    });
    index.to_string().into_bytes()
}

#[test]
fn the_list_of_a_registry_has_pages_and_they_are_its_own() {
    let registry = FakeRegistry::start(|request| match request.line.as_str() {
        "GET /v2/" => ok(b"{}"),
        line if line.contains("page=2") => ok(&index(&["c"])),
        line if line.starts_with("GET /v2/far/referrers/") => {
            let next = "Link: <http://127.0.0.1:9/v2/next>; rel=\"next\"\r\n";
            response("200 OK", next, &index(&["a"]))
        }
        line if line.starts_with("GET /v2/loop/referrers/") => {
            let next = "Link: </v2/loop/referrers/again>; rel=\"next\"\r\n";
            response("200 OK", next, &index(&["a"]))
        }
        line if line.starts_with("GET /v2/bad/referrers/") => ok(b"{\"manifests\": 1}"),
        line if line.starts_with("GET /v2/a/referrers/") => {
            let next = "Link: </v2/a/referrers/x?page=2>; rel=\"next\"\r\n";
            response("200 OK", next, &index(&["a", "b"]))
        }
        _ => not_found(),
    });
    let directory = tempfile::tempdir().unwrap();
    let client = client(directory.path());
    let list = |name: &str, kind| {
        client.referrers(&reference(&registry.name(name)), &Digest::of(b"x"), kind)
    };
    assert_eq!(list("a", None).unwrap().len(), 3);
    assert_eq!(list("a", Some(SBOM)).unwrap().len(), 3);
    assert_eq!(list("a", Some(SIGNATURE)).unwrap().len(), 0);
    for name in ["far", "loop", "bad"] {
        let error = list(name, None).unwrap_err();
        assert!(
            matches!(error, RegistryError::Protocol { .. }),
            "{name}: {error}"
        );
    }
}
