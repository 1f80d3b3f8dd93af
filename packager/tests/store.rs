//! The content store: names, damage, removal, and several users at once.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

use proptest::prelude::*;
use wherry_packager::{
    Descriptor, Digest, Reference, Store, StoreError, Sweep, media_type, pack_module,
};

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

fn path(store: &Store, digest: &Digest) -> PathBuf {
    store.directory().join("blobs/sha256").join(digest.hex())
}

fn blobs(store: &Store) -> usize {
    fs::read_dir(store.directory().join("blobs/sha256"))
        .expect("a directory")
        .count()
}

fn names(store: &Store) -> Vec<Option<String>> {
    store
        .images()
        .expect("readable")
        .into_iter()
        .map(|image| image.reference)
        .collect()
}

#[test]
fn it_is_an_oci_layout() {
    let (_directory, store) = store();
    let digest = packed(&store, 1, "a:1");
    let marker = fs::read_to_string(store.directory().join("oci-layout")).unwrap();
    assert_eq!(marker, r#"{"imageLayoutVersion":"1.0.0"}"#);
    let index: serde_json::Value =
        serde_json::from_slice(&fs::read(store.directory().join("index.json")).unwrap()).unwrap();
    let entry = &index["manifests"][0];
    assert_eq!(index["schemaVersion"], 2);
    assert_eq!(entry["digest"], digest.to_string());
    assert_eq!(entry["mediaType"], media_type::MANIFEST);
    assert_eq!(
        entry["annotations"]["org.opencontainers.image.ref.name"],
        "a:1"
    );
    assert_eq!(
        fs::read_dir(store.directory().join("ingest"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn names_digests_and_prefixes_are_resolved() {
    let (_directory, store) = store();
    let one = packed(&store, 1, "team/a:1");
    let two = packed(&store, 2, "localhost:5000/a");
    for name in [
        "team/a:1".to_owned(),
        one.to_string(),
        one.hex(),
        one.short(),
        format!("sha256:{}", one.short()),
        format!("x@{one}"),
    ] {
        assert_eq!(store.resolve(&name).unwrap(), one, "{name}");
    }
    assert_eq!(store.resolve("localhost:5000/a:latest").unwrap(), two);
    assert!(matches!(
        store.resolve(&one.hex()[..3]),
        Err(StoreError::NotFound { .. })
    ));
    let error = store.resolve("team/a:2").unwrap_err();
    assert!(
        matches!(&error, StoreError::NotFound { similar, .. } if similar == &["team/a:1"]),
        "{error}"
    );
    assert!(matches!(
        store.resolve("../../etc/passwd"),
        Err(StoreError::NotFound { .. })
    ));
}

#[test]
fn an_ambiguous_prefix_is_refused() {
    let (_directory, store) = store();
    let mut seen = std::collections::BTreeMap::new();
    // By the birthday bound, two of a few thousand digests share four digits.
    let (a, b) = (0u32..)
        .find_map(|number| {
            let text = number.to_string();
            let digest = Digest::of(text.as_bytes());
            seen.insert(digest.hex()[..4].to_owned(), text.clone())
                .map(|other| (other, text))
        })
        .expect("a pair");
    for text in [&a, &b] {
        let manifest = Descriptor::of(media_type::MANIFEST, text.as_bytes());
        store.ingest().unwrap().commit(&manifest, None).unwrap();
    }
    let prefix = &Digest::of(a.as_bytes()).hex()[..4];
    assert!(matches!(
        store.resolve(prefix),
        Err(StoreError::Ambiguous { count: 2, .. })
    ));
}

#[test]
fn a_flipped_bit_anywhere_is_named_and_repaired_by_packing_again() {
    let (_directory, store) = store();
    let manifest = packed(&store, 1, "a:1");
    let layer = Digest::of(&module(1));
    for digest in [manifest, layer] {
        let mut bytes = fs::read(path(&store, &digest)).unwrap();
        bytes[5] ^= 1;
        fs::write(path(&store, &digest), &bytes).unwrap();
        let error = store.workload("a:1").unwrap_err();
        assert!(
            matches!(error, StoreError::WrongDigest { expected, .. } if expected == digest),
            "{error}"
        );
        assert_eq!(names(&store), [Some("a:1".to_owned())]);
        packed(&store, 1, "a:1");
        store.workload("a:1").unwrap();
    }
    let cut = fs::read(path(&store, &layer)).unwrap();
    fs::write(path(&store, &layer), &cut[..10]).unwrap();
    assert!(matches!(
        store.workload("a:1"),
        Err(StoreError::WrongSize { actual: 10, .. })
    ));
}

#[test]
fn a_name_that_moves_leaves_what_it_named() {
    let (_directory, store) = store();
    let old = packed(&store, 1, "a:1");
    let new = packed(&store, 2, "a:1");
    assert_eq!(store.resolve("a:1").unwrap(), new);
    assert_eq!(store.workload(&old.to_string()).unwrap().module, module(1));
    assert_eq!(names(&store), [None, Some("a:1".to_owned())]);
}

#[test]
fn removal_deletes_what_nothing_needs() {
    let (_directory, store) = store();
    let one = packed(&store, 1, "a:1");
    packed(&store, 2, "b:1");
    store.tag(&one, &"a:2".parse().unwrap()).unwrap();
    assert_eq!(blobs(&store), 6);
    assert!(
        store.needed_only_by("a:1").unwrap().is_empty(),
        "a:2 needs them"
    );
    let by_digest = store.needed_only_by(&one.to_string()).unwrap();
    assert_eq!(by_digest.len(), 3);
    let removed = store.remove("a:1").unwrap();
    assert_eq!(
        (removed.digest, removed.references),
        (one, vec!["a:1".to_owned()])
    );
    assert_eq!(removed.sweep, Sweep::Done { blobs: 0, bytes: 0 });
    assert_eq!(store.needed_only_by("a:2").unwrap(), by_digest);
    assert!(matches!(
        store.remove("a:2").unwrap().sweep,
        Sweep::Done { blobs: 3, .. }
    ));
    assert!(matches!(
        store.remove("a:2"),
        Err(StoreError::NotFound { .. })
    ));
    assert_eq!(store.workload("b:1").unwrap().module, module(2));
    assert_eq!(blobs(&store), 3);
}

#[test]
fn removal_by_digest_takes_every_name() {
    let (_directory, store) = store();
    let digest = packed(&store, 1, "a:1");
    store.tag(&digest, &"a:2".parse().unwrap()).unwrap();
    assert_eq!(
        store.remove(&digest.short()).unwrap().references,
        ["a:1", "a:2"]
    );
    assert_eq!((names(&store), blobs(&store)), (vec![], 0));
}

#[test]
fn nothing_is_deleted_while_something_is_added_or_in_doubt() {
    let (_directory, store) = store();
    packed(&store, 1, "a:1");
    let damaged = packed(&store, 2, "b:1");
    let ingest = store.ingest().unwrap();
    assert_eq!(store.remove("a:1").unwrap().sweep, Sweep::Busy);
    drop(ingest);
    assert_eq!(blobs(&store), 6);
    packed(&store, 3, "c:1");
    fs::write(path(&store, &damaged), b"{}").unwrap();
    assert!(
        matches!(store.remove("c:1").unwrap().sweep, Sweep::Unsure(reason) if reason.contains("damaged"))
    );
    assert!(matches!(
        store.remove("b:1").unwrap().sweep,
        Sweep::Done { blobs: 9, .. }
    ));
}

#[test]
fn a_writer_takes_nothing_but_what_was_announced() {
    let (_directory, store) = store();
    let ingest = store.ingest().unwrap();
    let blob = Descriptor::of("a/b", b"hello");
    let mut writer = ingest.writer(&blob).unwrap();
    writer.write(b"hel").unwrap();
    assert!(matches!(
        writer.commit(),
        Err(StoreError::WrongSize {
            expected: 5,
            actual: 3,
            ..
        })
    ));
    let mut writer = ingest.writer(&blob).unwrap();
    assert!(matches!(
        writer.write(b"hello!"),
        Err(StoreError::WrongSize { actual: 6, .. })
    ));
    drop(writer);
    let mut writer = ingest.writer(&blob).unwrap();
    writer.write(b"hellO").unwrap();
    assert!(matches!(
        writer.commit(),
        Err(StoreError::WrongDigest { .. })
    ));
    assert!(!ingest.has(&blob).unwrap());
    assert_eq!(
        (
            blobs(&store),
            fs::read_dir(store.directory().join("ingest"))
                .unwrap()
                .count()
        ),
        (0, 0)
    );
    let mut writer = ingest.writer(&blob).unwrap();
    writer.write(b"hel").unwrap();
    writer.write(b"lo").unwrap();
    writer.commit().unwrap();
    assert!(ingest.has(&blob).unwrap());
}

#[test]
fn what_a_crash_left_is_swept() {
    let (_directory, store) = store();
    packed(&store, 1, "a:1");
    fs::write(store.directory().join("ingest/.new-crashed"), b"half").unwrap();
    fs::write(path(&store, &Digest::of(b"orphan")), b"orphan").unwrap();
    assert_eq!(store.workload("a:1").unwrap().module, module(1));
    packed(&store, 2, "b:1");
    assert!(matches!(
        store.remove("b:1").unwrap().sweep,
        Sweep::Done { blobs: 4, .. }
    ));
    assert_eq!(
        fs::read_dir(store.directory().join("ingest"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn many_users_lose_no_name() {
    let (_directory, store) = store();
    thread::scope(|scope| {
        for user in 0..8 {
            let store = store.clone();
            scope.spawn(move || {
                for turn in 0..5 {
                    packed(&store, user * 5 + turn, &format!("user{user}:{turn}"));
                    packed(&store, user, &format!("gone:{user}"));
                    store.remove(&format!("gone:{user}")).expect("removed");
                    store.images().expect("readable at any moment");
                }
            });
        }
    });
    assert_eq!(names(&store).len(), 40);
    for user in 0..8 {
        for turn in 0..5 {
            assert_eq!(
                store
                    .workload(&format!("user{user}:{turn}"))
                    .unwrap()
                    .module,
                module(user * 5 + turn)
            );
        }
    }
}

/// Not a test by itself: what the next one starts and kills. Packs for a long time.
#[test]
fn packs_until_killed() {
    let Some(directory) = env::var_os(VICTIM) else {
        return;
    };
    let store = Store::open(directory).expect("a store");
    for number in 0..10_000 {
        packed(&store, number % 50, &format!("a:{}", number % 20));
    }
}

const VICTIM: &str = "WHERRY_TEST_STORE_OF_VICTIM";

#[test]
fn a_store_is_whole_after_its_user_was_killed() {
    let (_directory, store) = store();
    for round in 0..12 {
        let mut victim = Command::new(env::current_exe().expect("this test"))
            .args(["--exact", "packs_until_killed", "--nocapture"])
            .env(VICTIM, store.directory())
            .stdout(Stdio::null())
            .spawn()
            .expect("started");
        // Another moment every time, told by what was done, not by a clock.
        let index = store.directory().join("index.json");
        let mut seen = fs::read(&index).unwrap_or_default();
        for _ in 0..=round {
            while fs::read(&index).unwrap_or_default() == seen {
                let ended = victim.try_wait().expect("a child");
                assert!(ended.is_none(), "it ended before it was killed");
                thread::yield_now();
            }
            seen = fs::read(&index).unwrap_or_default();
        }
        victim.kill().expect("killed");
        victim.wait().expect("ended");
        let images = Store::open(store.directory())
            .expect("a store")
            .images()
            .expect("readable");
        assert!(!images.is_empty());
        for image in images {
            store.workload(&image.digest.to_string()).expect("whole");
        }
    }
    packed(&store, 1, "last:1");
    assert!(matches!(
        store.remove("last:1").unwrap().sweep,
        Sweep::Done { .. }
    ));
    assert_eq!(
        fs::read_dir(store.directory().join("ingest"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn other_directories_are_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("thesis.tex"), "x").unwrap();
    assert!(matches!(
        Store::open(directory.path()),
        Err(StoreError::Layout { .. })
    ));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    let newer = directory.path().join("newer");
    fs::create_dir(&newer).unwrap();
    fs::write(
        newer.join("oci-layout"),
        r#"{"imageLayoutVersion":"2.0.0"}"#,
    )
    .unwrap();
    assert!(
        Store::open(newer)
            .unwrap_err()
            .to_string()
            .contains("2.0.0")
    );
}

#[test]
fn a_damaged_index_is_named_and_left_alone() {
    let (_directory, store) = store();
    packed(&store, 1, "a:1");
    let index = store.directory().join("index.json");
    for bad in [
        b"".to_vec(),
        b"{".to_vec(),
        b"[]".to_vec(),
        vec![b' '; 5 << 20],
    ] {
        fs::write(&index, &bad).unwrap();
        let message = store.images().unwrap_err().to_string();
        assert!(message.contains("index.json"), "{message}");
        assert!(pack_module(&module(2), None, &store).is_err());
        assert_eq!(fs::read(&index).unwrap(), bad);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_index_is_read_or_refused(at in any::<prop::sample::Index>(), byte: u8, name in ".{0,80}") {
        let (_directory, store) = store();
        packed(&store, 1, "a:1");
        let path = store.directory().join("index.json");
        let mut index = fs::read(&path).unwrap();
        let position = at.index(index.len());
        index[position] = byte;
        fs::write(&path, index).unwrap();
        let _ = (store.images(), store.resolve(&name), store.workload("a:1"), store.inspect("a:1"), store.remove("a:1"));
    }
}

#[test]
fn what_had_arrived_of_a_blob_is_there_for_the_next_writer() {
    let (_directory, store) = store();
    let bytes: Vec<u8> = (0..3 << 20).map(|at: u32| at.to_le_bytes()[1]).collect();
    let blob = Descriptor::of("application/x-test", &bytes);
    let ingest = store.ingest().unwrap();
    let mut first = ingest.resume(&blob).unwrap();
    first.write(&bytes[..2 << 20]).unwrap();
    // Who writes it at the same time has nothing of it.
    assert_eq!(ingest.resume(&blob).unwrap().written(), 0);
    drop(first);
    let mut second = ingest.resume(&blob).unwrap();
    assert_eq!(second.written(), 2 << 20);
    second.write(&bytes[2 << 20..]).unwrap();
    second.commit().unwrap();
    assert!(ingest.has(&blob).unwrap());

    // What is wrong is not kept, and neither is what is hardly worth it.
    let mut wrong = ingest.resume(&blob).unwrap();
    wrong.write(&vec![1; bytes.len()]).unwrap();
    assert!(matches!(
        wrong.commit(),
        Err(StoreError::WrongDigest { .. })
    ));
    let mut little = ingest.resume(&blob).unwrap();
    assert_eq!(little.written(), 0);
    little.write(&bytes[..1000]).unwrap();
    drop(little);
    let left = fs::read_dir(store.directory().join("ingest")).unwrap();
    assert_eq!(left.count(), 0);
}
