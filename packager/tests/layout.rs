//! What is attached to artifacts, checked, and carried in archives.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;

use proptest::prelude::*;
use wherry_packager::{
    Check, Digest, Imported, Problem, Quota, Reference, Store, StoreError, Sweep, pack_module,
};

const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

fn store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(directory.path().join("store")).expect("a new store");
    (directory, store)
}

/// A command whose bytes differ by `number`.
fn module(number: u32) -> Vec<u8> {
    let text = format!(
        r#"(module (memory (export "memory") 1) (func (export "_start") i32.const {number} drop))"#
    );
    wat::parse_str(text).expect("valid text")
}

fn packed(store: &Store, number: u32, name: &str) -> Digest {
    let reference: Reference = name.parse().expect("a reference");
    pack_module(&module(number), Some(&reference), store)
        .expect("packed")
        .digest
}

fn attach(store: &Store, subject: &Digest, content: &str) -> Digest {
    let annotations = BTreeMap::from([("key".to_owned(), "value".to_owned())]);
    store
        .attach(subject, BUNDLE, content.as_bytes(), &annotations)
        .expect("attached")
}

fn path(store: &Store, digest: &Digest) -> PathBuf {
    store.directory().join("blobs/sha256").join(digest.hex())
}

fn blobs(store: &Store) -> usize {
    fs::read_dir(store.directory().join("blobs/sha256"))
        .expect("a directory")
        .count()
}

fn check(store: &Store) -> Check {
    store.check(false, |_| {}).expect("readable")
}

fn exported(store: &Store, names: &[&str]) -> Vec<u8> {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    let mut tar = Vec::new();
    store.export(&names, &mut tar).expect("exported");
    tar
}

#[test]
fn an_attachment_is_a_referrer_as_other_tools_write_it() {
    let (_directory, store) = store();
    let subject = packed(&store, 1, "a:1");
    let digest = attach(&store, &subject, "{}");
    let manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(path(&store, &digest)).unwrap()).unwrap();
    assert_eq!(manifest["artifactType"], BUNDLE);
    assert_eq!(manifest["subject"]["digest"], subject.to_string());
    assert_eq!(
        manifest["config"]["mediaType"],
        "application/vnd.oci.empty.v1+json"
    );
    assert_eq!(manifest["config"]["size"], 2);
    assert_eq!(manifest["layers"][0]["mediaType"], BUNDLE);
    assert_eq!(manifest["annotations"]["key"], "value");
    let index = fs::read(store.directory().join("index.json")).unwrap();
    let index: serde_json::Value = serde_json::from_slice(&index).unwrap();
    let entries = index["manifests"].as_array().unwrap();
    let entry = entries
        .iter()
        .find(|entry| entry["digest"] == digest.to_string());
    assert_eq!(entry.unwrap()["artifactType"], BUNDLE);

    let attachments = store.attachments(&subject).unwrap();
    assert_eq!(attachments.len(), 1);
    let layers = attachments[0].manifest.document.layers().unwrap();
    assert_eq!(store.read_small(&layers[0].blob).unwrap(), b"{}");
    // Nobody asked for it by name, and the same content is the same attachment.
    assert_eq!(store.images().unwrap().len(), 1);
    assert_eq!(attach(&store, &subject, "{}"), digest);
    assert_eq!(store.attachments(&subject).unwrap().len(), 1);
    let missing = store.attach(&Digest::of(b"nothing"), BUNDLE, b"{}", &BTreeMap::new());
    assert!(matches!(missing, Err(StoreError::MissingBlob { .. })));
}

#[test]
fn an_attachment_goes_with_what_it_is_attached_to() {
    let (_directory, store) = store();
    let subject = packed(&store, 1, "a:1");
    packed(&store, 2, "b:1");
    let signature = attach(&store, &subject, "signature");
    attach(&store, &signature, "signature of the signature");
    assert_eq!(
        store.sweep(false).unwrap(),
        Sweep::Done { blobs: 0, bytes: 0 }
    );
    let needed = store.needed_only_by("a:1").unwrap();
    assert!(needed.contains(&signature), "removing it removes that too");
    // Three blobs of the artifact, two of each attachment, and the empty config.
    let removed = store.remove("a:1").unwrap();
    assert!(
        matches!(removed.sweep, Sweep::Done { blobs: 8, .. }),
        "{removed:?}"
    );
    assert!(store.attachments(&subject).unwrap().is_empty());
    assert_eq!(check(&store).problems, []);
    assert_eq!((store.images().unwrap().len(), blobs(&store)), (1, 3));
}

#[test]
fn what_is_wrong_is_named() {
    let (_directory, store) = store();
    let damaged = packed(&store, 1, "damaged:1");
    let missing = packed(&store, 2, "missing:1");
    packed(&store, 3, "whole:1");
    let signature = attach(&store, &missing, "signature");
    assert_eq!(check(&store).problems, []);
    assert_eq!(check(&store).blobs, 12);

    let layer = Digest::of(&module(1));
    let mut bytes = fs::read(path(&store, &layer)).unwrap();
    bytes[9] ^= 0x10;
    fs::write(path(&store, &layer), bytes).unwrap();
    fs::remove_file(path(&store, &Digest::of(&module(2)))).unwrap();
    fs::remove_file(path(&store, &signature)).unwrap();
    fs::write(store.directory().join("blobs/sha256/readme"), "").unwrap();
    let expected = |removed| {
        vec![
            Problem::Damaged {
                blob: layer,
                removed,
            },
            Problem::Foreign("readme".to_owned()),
            Problem::Missing {
                artifact: "missing:1".to_owned(),
                blob: Digest::of(&module(2)),
            },
            Problem::Missing {
                artifact: signature.to_string(),
                blob: signature,
            },
        ]
    };
    let mut found = check(&store).problems;
    found.sort_by_key(|problem| format!("{problem:?}"));
    let mut wanted = expected(false);
    wanted.sort_by_key(|problem| format!("{problem:?}"));
    assert_eq!(found, wanted);

    // A repair takes away what is no use; packing again brings it back.
    let repaired = store.check(true, |_| {}).unwrap();
    assert!(repaired.problems.contains(&expected(true)[0]));
    assert!(!path(&store, &layer).exists());
    packed(&store, 1, "damaged:1");
    packed(&store, 2, "missing:1");
    assert_eq!(
        store.workload(&damaged.to_string()).unwrap().module,
        module(1)
    );
    let ingest = store.ingest().unwrap();
    assert!(matches!(store.check(true, |_| {}), Err(StoreError::InUse)));
    drop(ingest);
}

#[test]
fn an_artifact_that_lies_about_its_parts() {
    let (_directory, store) = store();
    let digest = packed(&store, 1, "a:1");
    let text = fs::read_to_string(path(&store, &digest)).unwrap();
    let size = format!("\"size\":{}", module(1).len());
    let forged = text.replace(&size, "\"size\":99");
    assert_eq!(forged.len(), text.len());
    assert_ne!(forged, text);
    let forged_digest = Digest::of(forged.as_bytes());
    fs::write(path(&store, &forged_digest), &forged).unwrap();
    let index = store.directory().join("index.json");
    let text = fs::read_to_string(&index).unwrap();
    fs::write(&index, text.replace(&digest.hex(), &forged_digest.hex())).unwrap();
    let problems = check(&store).problems;
    let wrong = Problem::WrongSize {
        artifact: "a:1".to_owned(),
        blob: Digest::of(&module(1)),
    };
    assert!(problems.contains(&wrong), "{problems:?}");
}

#[test]
fn a_quota_is_for_every_process() {
    let (_directory, store) = store();
    packed(&store, 1, "a:1");
    let used = store.quota().unwrap().used;
    store.set_quota(Some(used + 100)).unwrap();
    let again = Store::open(store.directory()).unwrap();
    let limit = Some(used + 100);
    assert_eq!(again.quota().unwrap(), Quota { used, limit });
    let error = pack_module(&module(2), None, &again)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&format!("may have {} bytes", used + 100)),
        "{error}"
    );
    assert_eq!(store.images().unwrap().len(), 1);
    packed(&store, 1, "a:2");
    store.set_quota(None).unwrap();
    packed(&store, 2, "b:1");
    fs::write(store.directory().join("quota"), "much").unwrap();
    assert!(matches!(store.quota(), Err(StoreError::Layout { .. })));
}

#[test]
fn an_archive_carries_artifacts_and_what_is_attached() {
    let (_directory, one) = store();
    let digest = packed(&one, 1, "team/a:1");
    let signature = attach(&one, &digest, "signature");
    packed(&one, 2, "b:1");
    let archive = exported(&one, &["team/a:1"]);
    assert_eq!(
        archive,
        exported(&one, &["team/a:1"]),
        "the same bytes every time"
    );
    let (_directory, two) = store();
    let imported = two.import(archive.as_slice()).unwrap();
    let expected = [
        Imported {
            digest,
            reference: Some("team/a:1".to_owned()),
            is_attachment: false,
        },
        Imported {
            digest: signature,
            reference: None,
            is_attachment: true,
        },
    ];
    assert_eq!(imported, expected);
    assert_eq!(two.workload("team/a:1").unwrap().module, module(1));
    assert_eq!(two.attachments(&digest).unwrap().len(), 1);
    assert_eq!(check(&two).problems, []);
    assert_eq!(blobs(&two), 6);
    assert!(matches!(
        one.export(&["no:1".to_owned()], Vec::new()),
        Err(StoreError::NotFound { .. })
    ));
}

/// A tar file with one more entry, at its beginning.
fn with(name: &str, content: &[u8], archive: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    // As it is, whatever the library thinks of it.
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.set_cksum();
    let mut tar = header.as_bytes().to_vec();
    tar.extend_from_slice(content);
    tar.resize(tar.len().next_multiple_of(512), 0);
    tar.extend_from_slice(archive);
    tar
}

#[test]
fn archives_that_lie() {
    let (_directory, one) = store();
    let digest = packed(&one, 1, "a:1");
    let archive = exported(&one, &["a:1"]);
    let (directory, two) = store();
    let refused = |archive: &[u8], expected: &str| {
        let error = two.import(archive).unwrap_err().to_string();
        assert!(error.contains(expected), "{error} / {expected}");
        assert_eq!(two.images().unwrap(), []);
    };
    refused(b"", "not an OCI layout");
    refused(&[7; 4096], "archive");
    let blob = format!("blobs/sha256/{}", digest.hex());
    refused(&with(&blob, b"something else", &archive), "is damaged");
    refused(&with("index.json", b"[]", &[0; 1024]), "archive");
    refused(
        &with(
            "index.json",
            br#"{"schemaVersion":2,"manifests":[]}"#,
            &[0; 1024],
        ),
        "0 entries",
    );
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":1}}]}}"#
    );
    refused(&with("index.json", index.as_bytes(), &[0; 1024]), "missing");
    refused(&archive[..archive.len() / 2], "");
    // What is not part of a layout goes nowhere, least of all outside.
    for name in [
        "../escaped",
        "/tmp/escaped",
        "blobs/sha256/../../escaped",
        "manifest.json",
    ] {
        two.import(with(name, b"content", &archive).as_slice())
            .unwrap();
    }
    let files: Vec<_> = fs::read_dir(directory.path()).unwrap().collect();
    assert_eq!(files.len(), 1, "nothing but the store: {files:?}");
    assert_eq!(blobs(&two), 3);
}

#[test]
fn a_name_that_cannot_be_one_here_is_left_out() {
    let (_directory, one) = store();
    let digest = packed(&one, 1, "a:1");
    let index = one.directory().join("index.json");
    let text = fs::read_to_string(&index).unwrap();
    fs::write(&index, text.replace("\"a:1\"", "\"../1\"")).unwrap();
    let archive = exported(&one, &[&digest.to_string()]);
    let (_directory, two) = store();
    assert_eq!(two.import(archive.as_slice()).unwrap()[0].reference, None);
    assert_eq!(two.workload(&digest.to_string()).unwrap().module, module(1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_archive_is_taken_whole_or_refused(at in any::<prop::sample::Index>(), byte: u8) {
        let (_directory, one) = store();
        let digest = packed(&one, 1, "a:1");
        attach(&one, &digest, "signature");
        let mut archive = exported(&one, &["a:1"]);
        let position = at.index(archive.len());
        archive[position] = byte;
        let (_directory, two) = store();
        let _ = two.import(archive.as_slice());
        prop_assert_eq!(check(&two).problems, []);
        for image in two.images().unwrap() {
            two.workload(&image.digest.to_string()).expect("whole");
        }
    }
}

/// Not a test by itself: what the next ones start several times, and kill. It does everything
/// that changes a store.
#[test]
fn works_until_killed() {
    let (Some(directory), Ok(user)) = (env::var_os(VICTIM), env::var(USER)) else {
        return;
    };
    let user: u32 = user.parse().expect("a number");
    let store = Store::open(directory).expect("a store");
    for turn in 0..10_000 {
        let kept = packed(&store, user, &format!("kept{user}:1"));
        attach(&store, &kept, &format!("by {user}"));
        let gone = packed(&store, 1000 + user * 7 + turn % 5, &format!("gone{user}:1"));
        attach(&store, &gone, &format!("by {user} in {turn}"));
        let archive = exported(&store, &[&gone.to_string()]);
        store.remove(&gone.to_string()).expect("removed");
        store.import(archive.as_slice()).expect("imported");
        store.sweep(false).expect("swept");
        writeln!(std::io::stdout(), "{turn}").expect("somebody reads");
    }
}

const VICTIM: &str = "WHERRY_TEST_STORE_OF_WORKER";
const USER: &str = "WHERRY_TEST_USER";

fn worker(store: &Store, user: u32) -> Child {
    Command::new(env::current_exe().expect("this test"))
        .args(["--exact", "works_until_killed", "--nocapture"])
        .env(VICTIM, store.directory())
        .env(USER, user.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started")
}

/// Waits until a worker has done that many turns. As long as its output is kept, it goes on.
fn turns(worker: &mut Child, turns: usize) -> BufReader<ChildStdout> {
    let mut output = BufReader::new(worker.stdout.take().expect("a pipe"));
    let (mut line, mut done) = (String::new(), 0);
    while done < turns {
        line.clear();
        let read = output.read_line(&mut line).expect("readable");
        assert_ne!(read, 0, "it ended before it was killed");
        done += usize::from(line.trim().parse::<u32>().is_ok());
    }
    output
}

#[test]
fn several_processes_and_kills_leave_a_whole_store() {
    let (_directory, store) = store();
    for round in 0..4 {
        let mut workers: Vec<_> = (0..3).map(|user| worker(&store, user)).collect();
        let _outputs: Vec<_> = thread::scope(|scope| {
            let waiting: Vec<_> = (0..)
                .zip(&mut workers)
                .map(|(user, worker)| scope.spawn(move || turns(worker, 1 + (round + user) % 4)))
                .collect();
            // Reading is possible at any moment, and finds nothing wrong.
            for _ in 0..5 {
                assert_eq!(check(&store).problems, []);
                store.images().expect("readable");
            }
            let output = |thread: thread::ScopedJoinHandle<_>| thread.join().expect("turns");
            waiting.into_iter().map(output).collect()
        });
        for worker in &mut workers {
            worker.kill().expect("killed");
            worker.wait().expect("ended");
        }
        assert_eq!(check(&store).problems, [], "after a kill");
    }
    for user in 0..3 {
        let kept = store.workload(&format!("kept{user}:1")).expect("kept");
        assert_eq!(kept.module, module(user));
        assert_eq!(store.attachments(&kept.digest).unwrap().len(), 1);
    }
    assert!(matches!(store.sweep(false).unwrap(), Sweep::Done { .. }));
    let ingest = fs::read_dir(store.directory().join("ingest")).unwrap();
    assert_eq!(ingest.count(), 0);
}
