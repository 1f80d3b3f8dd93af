//! What the tests of the registry client share: artifacts, a real registry, and a server
//! that answers whatever a test wants.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod fake;
pub(crate) mod proxy;
pub(crate) mod real;
pub(crate) mod second;
pub(crate) mod tokens;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use wherry_packager::{Descriptor, Digest, Packed, Reference, Store, media_type, pack_module};
use wherry_registry_client::{Options, Patience, Progress, Registry};

/// Says that a test did not run, where the test harness does not swallow it.
pub(crate) fn skipped(reason: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {reason}");
}

pub(crate) fn store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(directory.path().join("store")).expect("a new store");
    (directory, store)
}

/// A command that carries `padding` bytes of data.
pub(crate) fn module(padding: usize) -> Vec<u8> {
    let data: String = (0..padding)
        .map(|at| char::from(b'a' + u8::try_from(at * at % 23).expect("small")))
        .collect();
    wat::parse_str(format!(
        r#"(module (memory (export "memory") 1) (data "{data}") (func (export "_start")))"#
    ))
    .expect("valid text")
}

pub(crate) fn packed(store: &Store, padding: usize, name: &str) -> Packed {
    pack_module(&module(padding), Some(&reference(name)), store).expect("packed")
}

/// A full workload, named `team/job:1.0`.
pub(crate) fn workload(store: &Store) -> Packed {
    let project = tempfile::tempdir().expect("a directory");
    let file = "name = 'team/job'\nversion = '1.0'\nmodule = 'job.wasm'\nargs = ['x']\n";
    fs::write(project.path().join("workload.toml"), file).expect("written");
    fs::write(project.path().join("job.wasm"), module(100)).expect("written");
    wherry_packager::pack(project.path(), store).expect("packed")
}

pub(crate) fn reference(text: &str) -> Reference {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// A client that knows no credentials but those in `directory`.
pub(crate) fn client(directory: &Path) -> Registry {
    Registry::new(options(directory)).expect("a client")
}

pub(crate) fn options(directory: &Path) -> Options {
    Options {
        auth_file: Some(directory.join("auth.json")),
        registries_file: Some(directory.join("registries.conf")),
        patience: Patience {
            first_wait: Duration::from_millis(1),
            ..Patience::default()
        },
        ..Options::default()
    }
}

/// Nothing was added to the store: no name, no blob, nothing half-done.
#[track_caller]
pub(crate) fn assert_untouched(store: &Store) {
    assert_eq!(store.images().expect("readable"), []);
    for directory in ["blobs/sha256", "ingest"] {
        let left = fs::read_dir(store.directory().join(directory)).map_or(0, Iterator::count);
        assert_eq!(left, 0, "{directory}");
    }
}

/// A blob's announced size, the bytes that were counted, and whether it was finished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) total: u64,
    pub(crate) advanced: u64,
    pub(crate) finished: bool,
    pub(crate) skipped: bool,
    pub(crate) rewound: bool,
}

/// Keeps what it is told.
#[derive(Debug, Default)]
pub(crate) struct Recorder(RefCell<BTreeMap<Digest, Count>>);

impl Recorder {
    fn update(&self, blob: &Digest, change: impl FnOnce(&mut Count)) {
        change(self.0.borrow_mut().entry(*blob).or_default());
    }

    pub(crate) fn counts(&self) -> Vec<Count> {
        self.0.borrow().values().copied().collect()
    }

    pub(crate) fn all_skipped(&self) -> bool {
        let counts = self.counts();
        !counts.is_empty()
            && counts
                .iter()
                .all(|count| count.skipped && count.advanced == 0)
    }
}

impl Progress for Recorder {
    fn planned(&self, _total: u64) {}
    fn rewound(&self, blob: &Digest, done: u64) {
        self.update(blob, |count| {
            count.advanced = done;
            count.rewound = true;
        });
    }
    fn started(&self, blob: &Digest, total: u64) {
        self.update(blob, |count| count.total = total);
    }
    fn advanced(&self, blob: &Digest, bytes: u64) {
        self.update(blob, |count| count.advanced += bytes);
    }
    fn finished(&self, blob: &Digest) {
        self.update(blob, |count| count.finished = true);
    }
    fn skipped(&self, blob: &Digest, total: u64) {
        self.update(blob, |count| {
            count.total = total;
            count.skipped = true;
        });
    }
}

/// An artifact of any kind: blobs with a manifest, about `subject` if there is one.
pub(crate) fn artifact(
    store: &Store,
    artifact_type: &str,
    blobs: &[Vec<u8>],
    subject: Option<&Descriptor>,
) -> Digest {
    let ingest = store.ingest().expect("a store");
    let descriptor = |media_type: &str, bytes: &[u8]| {
        let descriptor = Descriptor::of(media_type, bytes);
        ingest.put(&descriptor, bytes).expect("written");
        described(&descriptor)
    };
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type::MANIFEST,
        "artifactType": artifact_type,
        "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"),
        "layers": blobs.iter().map(|blob| descriptor("application/x-test", blob)).collect::<Vec<_>>(),
        "annotations": { "test.type": artifact_type },
    });
    if let Some(subject) = subject {
        manifest["subject"] = described(subject);
    }
    let manifest = serde_json::to_vec(&manifest).expect("JSON");
    let descriptor = Descriptor::of(media_type::MANIFEST, &manifest);
    ingest.put(&descriptor, &manifest).expect("written");
    ingest.commit(&descriptor, None).expect("written");
    descriptor.digest
}

fn described(descriptor: &Descriptor) -> Value {
    json!({
        "mediaType": descriptor.media_type,
        "digest": descriptor.digest.to_string(),
        "size": descriptor.size,
    })
}

/// Bytes that no two places share.
pub(crate) fn noise(seed: u8, length: usize) -> Vec<u8> {
    let mut state = u64::from(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
