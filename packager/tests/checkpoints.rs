//! Checkpoints as artifacts: every file comes back byte for byte, only what is new is new, and
//! what is none is refused.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use wherry_packager::{
    ArtifactError, CheckpointError, CheckpointNote, Descriptor, Digest, PackedCheckpoint, Store,
    assemble_checkpoint, media_type, pack_checkpoint,
};
use wherry_snapshot::{
    Accounting, Base, CHUNK_SIZE, Contents, Execution, Key, Limits, Lineage, Phase, Reader,
    Settings, Workload, Writer,
};

const MIB: usize = 1 << 20;

fn store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(directory.path().join("store")).expect("a new store");
    (directory, store)
}

fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
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

/// Other content in every `nth` page, from `first` on.
fn change(memory: &mut [u8], seed: u64, first: usize, nth: usize) {
    let pages = memory.chunks_exact_mut(CHUNK_SIZE).skip(first).step_by(nth);
    for (number, page) in (1..).zip(pages) {
        page.copy_from_slice(&noise(seed * 1_000_003 + number, CHUNK_SIZE));
    }
}

fn contents(memories: Vec<wherry_snapshot::Memory>, sequence: u64) -> Contents {
    Contents {
        workload: Workload {
            module: [1; 32],
            manifest: None,
            instrumentation: 1,
        },
        execution: Execution {
            phase: Phase::Main,
            frames: Vec::new(),
            globals: Vec::new(),
            tables: Vec::new(),
            dropped_data: Vec::new(),
            dropped_elements: Vec::new(),
        },
        memories,
        wasi: b"state of the host".to_vec(),
        settings: Settings {
            args: vec!["program".to_owned()],
            env: Vec::new(),
            mounts: Vec::new(),
            limits: Limits::default(),
        },
        accounting: Accounting::default(),
        lineage: Lineage {
            sequence,
            parent: None,
        },
        profile: None,
        usage: None,
        gpu: None,
    }
}

/// A place for checkpoint files.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Files(tempfile::tempdir().expect("a directory"))
    }

    fn write(
        &self,
        name: &str,
        memory: &[u8],
        base: Option<&Base>,
        key: Option<&Key>,
    ) -> (PathBuf, Base) {
        let path = self.0.path().join(name);
        let file = File::create(&path).expect("created");
        let writer = match (key, base) {
            (Some(key), base) => Writer::sealed(file, base, key),
            (None, Some(base)) => Writer::delta(file, base),
            (None, None) => Writer::new(file),
        };
        let mut writer = writer.expect("a writer");
        let memory = writer.memory(memory, None).expect("written");
        let written = writer.finish(&contents(vec![memory], 1)).expect("written");
        (path, written.base)
    }
}

fn pack(store: &Store, files: &[&Path]) -> PackedCheckpoint {
    let mut opened: Vec<_> = files
        .iter()
        .map(|path| File::open(path).expect("there"))
        .collect();
    let note = CheckpointNote {
        module: Some("sha256:01".to_owned()),
        ..CheckpointNote::default()
    };
    pack_checkpoint(store, &mut opened, &note, None, None).expect("packed")
}

/// Makes files of it again, and compares them with `expected`.
fn assert_comes_back(store: &Store, digest: &Digest, expected: &[&Path]) {
    let directory = tempfile::tempdir().expect("a directory");
    let to = directory.path().join("checkpoint");
    let written = assemble_checkpoint(store, digest, &to).expect("assembled");
    assert_eq!(written.len(), expected.len());
    for (found, expected) in written.iter().zip(expected) {
        assert!(fs::read(found).unwrap() == fs::read(expected).unwrap());
    }
    assert_eq!(
        fs::read_dir(directory.path()).unwrap().count(),
        written.len()
    );
}

fn packs(store: &Store, digest: &Digest) -> Vec<Descriptor> {
    let stored = store.stored(digest).expect("stored");
    stored.document.checkpoint().unwrap().unwrap().packs
}

#[test]
fn a_delta_push_is_what_changed_and_the_index() {
    let (files, (_directory, store)) = (Files::new(), store());
    let mut memory = noise(1, 32 * MIB);
    let (first, _) = files.write("1", &memory, None, None);
    let full = pack(&store, &[&first]);
    assert_comes_back(&store, &full.digest, &[&first]);

    // One page in a hundred.
    change(&mut memory, 2, 7, 100);
    let (second, _) = files.write("2", &memory, None, None);
    let delta = pack(&store, &[&second]);
    assert!(delta.fresh * 100 <= full.size * 3, "{full:?} {delta:?}");
    assert_comes_back(&store, &delta.digest, &[&second]);
    // Again, it is the same.
    let again = pack(&store, &[&second]);
    assert_eq!(again.digest, delta.digest);
}

#[test]
fn a_delta_file_travels_with_the_files_that_it_builds_on() {
    let (files, (_directory, store)) = (Files::new(), store());
    for key in [None, Some(Key::new([7; 32]))] {
        let key = key.as_ref();
        let mut memory = noise(1, 6 * MIB);
        let (first, base) = files.write("1", &memory, None, key);
        change(&mut memory, 2, 3, 50);
        let (second, base) = files.write("2", &memory, Some(&base), key);
        change(&mut memory, 3, 4, 50);
        let (third, _) = files.write("3", &memory, Some(&base), key);
        let full = pack(&store, &[&first]);
        let delta = pack(&store, &[&third, &second, &first]);
        assert!(delta.fresh * 10 < full.fresh, "{full:?} {delta:?}");
        assert_comes_back(&store, &delta.digest, &[&third, &second, &first]);

        // In another store too, and what comes out is read as it was.
        let directory = tempfile::tempdir().unwrap();
        let to = directory.path().join("checkpoint");
        let found = assemble_checkpoint(&store, &delta.digest, &to).unwrap();
        let open = |path: &PathBuf| File::open(path).unwrap();
        let by_digest = |wanted: &wherry_snapshot::Digest| {
            let is_it = |path: &&PathBuf| {
                wherry_snapshot::Anatomy::read(&mut open(path))
                    .unwrap()
                    .file
                    == *wanted
            };
            Ok(found.iter().find(is_it).map(open))
        };
        let reader = Reader::open_sealed(open(&found[0]), key, by_digest).unwrap();
        let mut restored = vec![0; memory.len()];
        let memories = &reader.contents().memories;
        reader.restore_memory(&memories[0], &mut restored).unwrap();
        assert!(restored == memory);
    }
}

#[test]
fn packs_keep_their_digests_where_nothing_is_known_of_earlier_ones() {
    let files = Files::new();
    let memory = noise(1, 48 * MIB);
    let (first, _) = files.write("1", &memory, None, None);
    // One page more at the front: everything lies elsewhere.
    let moved = [noise(9, CHUNK_SIZE), memory].concat();
    let (second, _) = files.write("2", &moved, None, None);
    let ((_a, a), (_b, b)) = (store(), store());
    let first = packs(&a, &pack(&a, &[&first]).digest);
    let second = packs(&b, &pack(&b, &[&second]).digest);
    let known: BTreeSet<_> = first.iter().collect();
    let shared: u64 = second
        .iter()
        .filter(|pack| known.contains(pack))
        .map(|pack| pack.size)
        .sum();
    assert!(
        shared > 24 * MIB as u64,
        "{shared} of {} in {} packs",
        48 * MIB,
        second.len()
    );
}

#[test]
fn packs_that_are_hardly_of_use_any_more_are_left_behind() {
    let (files, (_directory, store)) = (Files::new(), store());
    let mut memory = noise(1, 8 * MIB);
    for round in 0..8_usize {
        change(&mut memory, round as u64 + 2, round % 3, 3);
        let (path, _) = files.write(&round.to_string(), &memory, None, None);
        let packed = pack(&store, &[&path]);
        assert_comes_back(&store, &packed.digest, &[&path]);
        let carried: u64 = packs(&store, &packed.digest)
            .iter()
            .map(|pack| pack.size)
            .sum();
        assert!(carried <= 2 * 8 * MIB as u64, "round {round}: {carried}");
    }
}

#[test]
fn the_golden_checkpoint_has_a_golden_manifest() {
    let (_directory, store) = store();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = golden.join("../runtime/snapshot/tests/golden/format-1.wherry");
    let note = CheckpointNote {
        state: Some(
            "sha256:26f5a0c4e2ee4c1d4bb8ac552490e5ef15f6d77293eee7424286e9c19508d836".into(),
        ),
        parent: None,
        sequence: Some(1),
        module: Some(format!("sha256:{}", "01".repeat(32))),
    };
    let subject = Descriptor::of(media_type::MANIFEST, b"a workload");
    let mut files = [File::open(&file).unwrap()];
    let packed = pack_checkpoint(&store, &mut files, &note, Some(&subject), None).unwrap();
    let stored = store.stored(&packed.digest).unwrap();
    let path = golden.join("tests/golden/checkpoint.manifest.json");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, &stored.bytes).unwrap();
    }
    assert_eq!(
        String::from_utf8_lossy(&stored.bytes),
        fs::read_to_string(&path).unwrap()
    );
    assert_eq!(CheckpointNote::of(&stored.document.annotations()), note);
    assert_eq!(stored.document.subject(), Some(subject));
    assert_comes_back(&store, &packed.digest, &[&file]);
}

#[test]
fn a_damaged_file_is_not_packed() {
    let (files, (_directory, store)) = (Files::new(), store());
    let (path, _) = files.write("1", &noise(1, MIB), None, None);
    let mut bytes = fs::read(&path).unwrap();
    bytes[300_000] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let note = CheckpointNote::default();
    let mut opened = [File::open(&path).unwrap()];
    let error = pack_checkpoint(&store, &mut opened, &note, None, None).unwrap_err();
    assert!(matches!(error, CheckpointError::Damaged { .. }), "{error}");
    assert_eq!(store.images().unwrap(), []);
}

/// Puts other blobs in the place of those of a packed checkpoint, and tries to make files of it.
struct Twisted {
    _directory: tempfile::TempDir,
    store: Store,
    manifest: Value,
    config: Value,
    /// The layer of the file.
    file: Vec<u8>,
}

impl Twisted {
    fn new() -> Self {
        let (files, (directory, store)) = (Files::new(), store());
        let (path, _) = files.write("1", &noise(1, MIB), None, None);
        let packed = pack(&store, &[&path]);
        let stored = store.stored(&packed.digest).unwrap();
        let blob = |digest: &Digest| {
            fs::read(store.directory().join("blobs/sha256").join(digest.hex())).unwrap()
        };
        let parts = stored.document.checkpoint().unwrap().unwrap();
        Twisted {
            manifest: serde_json::from_slice(&stored.bytes).unwrap(),
            config: serde_json::from_slice(&blob(&parts.config.digest)).unwrap(),
            file: blob(&parts.files[0].digest),
            _directory: directory,
            store,
        }
    }

    fn put(&self, media_type: &str, bytes: &[u8]) -> Value {
        let blob = Descriptor::of(media_type, bytes);
        self.store.ingest().unwrap().put(&blob, bytes).unwrap();
        json!({ "mediaType": media_type, "digest": blob.digest.to_string(), "size": blob.size })
    }

    /// Why it is refused, with nothing written.
    fn refusal(mut self) -> String {
        let config = serde_json::to_vec(&self.config).unwrap();
        self.manifest["config"] = self.put(media_type::CHECKPOINT_CONFIG, &config);
        let file = self.put(media_type::CHECKPOINT_FILE, &self.file.clone());
        self.manifest["layers"][0] = file;
        self.refusal_of_manifest()
    }

    fn refusal_of_manifest(&self) -> String {
        let manifest = serde_json::to_vec(&self.manifest).unwrap();
        let descriptor = Descriptor::of(media_type::MANIFEST, &manifest);
        let ingest = self.store.ingest().unwrap();
        ingest.put(&descriptor, &manifest).unwrap();
        ingest.commit(&descriptor, None).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let to = directory.path().join("checkpoint");
        let error = assemble_checkpoint(&self.store, &descriptor.digest, &to).unwrap_err();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        error.to_string()
    }
}

#[test]
fn artifacts_that_are_no_checkpoints_are_refused_by_what_is_wrong() {
    let refusal = |twist: &dyn Fn(&mut Twisted), expected: &str| {
        let mut twisted = Twisted::new();
        twist(&mut twisted);
        let refusal = twisted.refusal();
        assert!(refusal.contains(expected), "{expected}: {refusal}");
    };
    refusal(&|it| it.config["format"] = 2.into(), "format 2");
    refusal(&|it| it.config["more"] = 1.into(), "unknown field");
    refusal(&|it| it.config["files"] = json!([]), "other files");
    refusal(
        &|it| it.config["files"][0]["length"] = u64::MAX.into(),
        "not as long",
    );
    refusal(
        &|it| it.config["files"][0]["digest"] = "sha256:00".into(),
        "its config says another",
    );
    refusal(&|it| it.file.truncate(9), "incomplete");
    refusal(&|it| it.file[8] = 9, "known version");
    refusal(&|it| it.file[12..16].fill(0xff), "too many parts");
    refusal(&|it| it.file[16] ^= 1, "");
    refusal(&|it| it.file.extend([0; 100]), "all that it lacks");
    refusal(
        &|it| it.file.extend(vec![0; 2 * MIB]),
        "longer than it says",
    );
    refusal(
        &|it| {
            it.manifest["layers"].as_array_mut().unwrap().truncate(1);
        },
        "all that it lacks",
    );
    let other = |it: &mut Twisted| {
        let layer = it.put("application/octet-stream", b"../../etc/passwd");
        it.manifest["layers"].as_array_mut().unwrap().push(layer);
    };
    refusal(&other, "application/octet-stream");
    let large = |it: &mut Twisted| it.manifest["layers"][1]["size"] = (64 * MIB).into();
    refusal(&large, "more than");
    let second = |it: &mut Twisted| {
        let file = it.put(media_type::CHECKPOINT_FILE, b"x");
        it.manifest["layers"].as_array_mut().unwrap().push(file);
    };
    refusal(&second, "other files");

    let mut twisted = Twisted::new();
    twisted.manifest["config"]["mediaType"] = "application/json".into();
    let refusal = twisted.refusal_of_manifest();
    assert!(refusal.contains("application/json"), "{refusal}");
    twisted.manifest["artifactType"] = "application/x-other".into();
    let refusal = twisted.refusal_of_manifest();
    assert!(refusal.contains("something else"), "{refusal}");
}

#[test]
fn a_pack_with_a_flipped_bit_makes_no_file() {
    let (files, (_directory, store)) = (Files::new(), store());
    let (path, _) = files.write("1", &noise(1, MIB), None, None);
    let packed = pack(&store, &[&path]);
    let pack = packs(&store, &packed.digest)[0].digest;
    let kept = store.directory().join("blobs/sha256").join(pack.hex());
    let mut bytes = fs::read(&kept).unwrap();
    bytes[500] ^= 1;
    fs::write(&kept, bytes).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let to = directory.path().join("checkpoint");
    let error = assemble_checkpoint(&store, &packed.digest, &to).unwrap_err();
    assert!(matches!(error, CheckpointError::Store(_)), "{error}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    let workload = Descriptor::of(media_type::MANIFEST, b"{}");
    assert!(matches!(
        assemble_checkpoint(&store, &workload.digest, &to),
        Err(CheckpointError::Store(_) | CheckpointError::Artifact(ArtifactError::Checkpoint(_)))
    ));
}
