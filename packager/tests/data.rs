//! Data that workloads bring along: packed, shared, lent, deleted; and refused if it is hostile.

use std::env;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};
use wherry_packager::{
    ArtifactError, DataForm, DataLayer, Descriptor, Digest, Document, LentData, Packed, Problem,
    Store, StoreError, Sweep, media_type, pack,
};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
const LONG: &str = "a-directory-with-a-long-name/in-which-there-is-another-one-of-which-the-name-is-\
                    even-longer/and-a-file-whose-path-has-more-than-a-hundred-bytes.txt";

fn store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(directory.path().join("store")).expect("a new store");
    (directory, store)
}

fn write(path: &Path, content: &[u8]) {
    fs::create_dir_all(path.parent().expect("in a directory")).expect("a directory");
    fs::write(path, content).expect("written");
}

fn module() -> Vec<u8> {
    let text = r#"(module (memory (export "memory") 1) (func (export "_start")))"#;
    wat::parse_str(text).expect("valid text")
}

/// The project of the golden manifest.
fn project(directory: &Path) {
    let file = fs::read(format!("{GOLDEN}/data.workload.toml")).expect("golden file");
    write(&directory.join("workload.toml"), &file);
    write(&directory.join("classify.wasm"), &module());
    write(&directory.join("labels.txt"), b"cat\ndog\n");
    write(&directory.join("models/net.bin"), &[7; 1000]);
    write(&directory.join("models/Readme"), b"");
    write(&directory.join("models").join(LONG), b"deep");
    fs::create_dir_all(directory.join("models/empty")).expect("a directory");
}

/// A project with one source of data.
fn project_with(directory: &Path, name: &str, data: &str) {
    let text = format!(
        "name = '{name}'\nversion = '1'\nmodule = 'm.wasm'\n[[data]]\npath = '{data}'\nguest = '/data'\n"
    );
    write(&directory.join("workload.toml"), text.as_bytes());
    write(&directory.join("m.wasm"), &module());
}

fn packed(directory: &Path, store: &Store) -> Packed {
    pack(directory, store).expect("packed")
}

fn layers(store: &Store, name: &str) -> Vec<DataLayer> {
    store.workload(name).expect("whole").data
}

fn lend(store: &Store, name: &str) -> LentData {
    store.lend(&layers(store, name)[0]).expect("lent")
}

fn count(store: &Store, directory: &str) -> usize {
    let entries = fs::read_dir(store.directory().join(directory));
    entries.map_or(0, Iterator::count)
}

fn blob(store: &Store, digest: &Digest) -> PathBuf {
    store.directory().join("blobs/sha256").join(digest.hex())
}

fn problems(store: &Store, repair: bool) -> Vec<Problem> {
    store.check(repair, |_| {}).expect("readable").problems
}

#[test]
fn a_manifest_with_data_byte_for_byte() {
    let (directory, store) = store();
    project(directory.path());
    let packed = packed(directory.path(), &store);
    let manifest = fs::read(blob(&store, &packed.digest)).unwrap();
    let path = format!("{GOLDEN}/data.manifest.json");
    if env::var_os("WHERRY_BLESS").is_some() {
        fs::write(&path, &manifest).unwrap();
    }
    let expected = fs::read_to_string(&path).expect("golden file");
    assert_eq!(String::from_utf8(manifest).unwrap(), expected);

    let [models, labels] = &layers(&store, "team/classify:1.0")[..] else {
        panic!("two layers");
    };
    assert_eq!(models.form, DataForm::Directory);
    assert_eq!(labels.form, DataForm::File("labels.txt".to_owned()));
    // A file is a layer as it is: whoever has its SHA-256 knows the layer.
    assert_eq!(labels.blob.digest, Digest::of(b"cat\ndog\n"));
    let (models, labels) = (store.lend(models).unwrap(), store.lend(labels).unwrap());
    assert_eq!(
        (models.guest.as_str(), labels.guest.as_str()),
        ("/models", "/labels")
    );
    let read = |lent: &LentData, name: &str| fs::read(lent.directory.join(name)).unwrap();
    assert_eq!(read(&labels, "labels.txt"), b"cat\ndog\n");
    assert_eq!(read(&models, "net.bin"), [7; 1000]);
    assert_eq!(read(&models, "Readme"), b"");
    assert_eq!(read(&models, LONG), b"deep");
    assert!(models.directory.join("empty").is_dir());
    let mode = fs::metadata(models.directory.join("net.bin"))
        .unwrap()
        .permissions();
    assert_eq!(mode.mode() & 0o222, 0);
    assert_eq!(problems(&store, false), []);
}

#[test]
fn the_same_content_is_one_layer_whoever_packs_it_and_when() {
    let (directory, store) = store();
    let [one, two] = ["one", "two"].map(|name| directory.path().join(name));
    project_with(&one, "one", "d");
    project_with(&two, "two", "elsewhere");
    for name in ["a/x", "b", "a/y"] {
        write(&one.join("d").join(name), name.as_bytes());
    }
    for name in ["b", "a/y"] {
        write(&two.join("elsewhere").join(name), name.as_bytes());
    }
    // A link to a file is the file.
    write(&two.join("x"), b"a/x");
    symlink(two.join("x"), two.join("elsewhere/a/x")).unwrap();
    let file = File::options()
        .write(true)
        .open(two.join("elsewhere/b"))
        .unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(77))
        .unwrap();
    fs::set_permissions(two.join("elsewhere/b"), fs::Permissions::from_mode(0o700)).unwrap();
    packed(&one, &store);
    let before = count(&store, "blobs/sha256");
    packed(&two, &store);
    assert_eq!(layers(&store, "one:1"), layers(&store, "two:1"));
    // The module is shared, too: only manifest and config are new.
    assert_eq!(count(&store, "blobs/sha256"), before + 2);
    let (a, b) = (lend(&store, "one:1"), lend(&store, "two:1"));
    assert_eq!(a.directory, b.directory);
    assert_eq!(count(&store, "data"), 1);
}

#[test]
fn what_is_no_data_is_refused_by_its_name() {
    let (directory, store) = store();
    let directory = directory.path();
    project_with(directory, "a", "d");
    let refused = |words: &[&str]| {
        let message = pack(directory, &store).unwrap_err().to_string();
        for word in words {
            assert!(message.contains(word), "no `{word}` in {message}");
        }
        assert_eq!(store.images().unwrap(), []);
    };
    refused(&["/data", "cannot read", "/d"]);
    fs::create_dir(directory.join("d")).unwrap();
    let _socket = UnixListener::bind(directory.join("d/socket")).unwrap();
    refused(&["d/socket", "neither a file nor a directory"]);
    fs::remove_file(directory.join("d/socket")).unwrap();
    symlink("..", directory.join("d/up")).unwrap();
    refused(&["d/up", "link to a directory"]);
    fs::remove_file(directory.join("d/up")).unwrap();
    let name = std::ffi::OsStr::from_bytes(b"\xff");
    fs::write(directory.join("d").join(name), "").unwrap();
    refused(&["UTF-8"]);
    project_with(directory, "a", "");
    let text = fs::read_to_string(directory.join("workload.toml")).unwrap();
    let more = format!("{text}[[mounts]]\nguest = '/data'\n");
    fs::write(directory.join("workload.toml"), more).unwrap();
    refused(&["line 6", "data[0].guest", "has this path"]);
}

#[test]
fn what_is_lent_stays_and_what_nobody_needs_goes() {
    let (directory, store) = store();
    project_with(directory.path(), "a", "d");
    write(&directory.path().join("d/f"), b"content");
    packed(directory.path(), &store);
    let lent = lend(&store, "a:1");
    assert_eq!(
        store.sweep(false).unwrap(),
        Sweep::Done { blobs: 0, bytes: 0 }
    );
    store.remove("a:1").unwrap();
    // A job that runs has it still.
    assert_eq!(fs::read(lent.directory.join("f")).unwrap(), b"content");
    drop(lent);
    assert_eq!(
        store.sweep(true).unwrap(),
        Sweep::Done { blobs: 0, bytes: 7 }
    );
    assert_eq!(count(&store, "data"), 1);
    assert_eq!(
        store.sweep(false).unwrap(),
        Sweep::Done { blobs: 0, bytes: 7 }
    );
    assert_eq!((count(&store, "data"), count(&store, "ingest")), (0, 0));

    packed(directory.path(), &store);
    assert_eq!(
        fs::read(lend(&store, "a:1").directory.join("f")).unwrap(),
        b"content"
    );
    // What a crash left goes with the next removal.
    write(&store.directory().join("ingest/.data-x/half"), b"content");
    store.sweep(false).unwrap();
    assert_eq!((count(&store, "data"), count(&store, "ingest")), (1, 0));
}

#[test]
fn damage_of_what_was_unpacked_is_found_and_repaired() {
    let (directory, store) = store();
    project(directory.path());
    packed(directory.path(), &store);
    let layers = layers(&store, "team/classify:1.0");
    let find = |layer: &DataLayer| store.lend(layer).unwrap().directory;
    let damages: [&dyn Fn(&Path); 4] = [
        &|models| rewrite(&models.join("net.bin"), &[8; 1000]),
        &|models| rewrite(&models.join("net.bin"), &[7; 1001]),
        &|models| fs::remove_file(models.join("Readme")).unwrap(),
        &|models| fs::write(models.join("more"), "").unwrap(),
    ];
    for damage in damages {
        damage(&find(&layers[0]));
        let found = |removed| {
            vec![Problem::DamagedData {
                layer: layers[0].blob.digest,
                removed,
            }]
        };
        assert_eq!(problems(&store, false), found(false));
        assert_eq!(problems(&store, true), found(true));
        assert_eq!(
            fs::read(find(&layers[0]).join("net.bin")).unwrap(),
            [7; 1000]
        );
        assert_eq!(problems(&store, false), []);
    }
    // A file has the blob's bytes: both are damaged at once.
    let file = find(&layers[1]).join("labels.txt");
    rewrite(&file, b"cat\ncow\n");
    assert_eq!(problems(&store, true).len(), 2);
    packed(directory.path(), &store);
    assert_eq!(
        fs::read(find(&layers[1]).join("labels.txt")).unwrap(),
        b"cat\ndog\n"
    );
    write(&store.directory().join("data/readme"), b"");
    assert_eq!(
        problems(&store, false),
        [Problem::Foreign("readme".to_owned())]
    );
}

/// Writes a file that may be read only.
fn rewrite(path: &Path, content: &[u8]) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).expect("ours");
    fs::write(path, content).expect("written");
}

#[test]
fn what_is_unpacked_counts_for_the_quota_and_a_file_only_once() {
    let (directory, store) = store();
    project(directory.path());
    packed(directory.path(), &store);
    let layers = layers(&store, "team/classify:1.0");
    let used = store.quota().unwrap().used;
    store.set_quota(Some(used + 100)).unwrap();
    store.lend(&layers[1]).unwrap();
    assert_eq!(store.quota().unwrap().used, used);
    assert!(matches!(
        store.lend(&layers[0]),
        Err(StoreError::Quota { .. })
    ));
    assert_eq!((count(&store, "data"), count(&store, "ingest")), (1, 0));
    store.set_quota(None).unwrap();
    store.lend(&layers[0]).unwrap();
    assert_eq!(store.quota().unwrap().used, used + layers[0].blob.size);
}

#[test]
fn many_want_the_same_at_once() {
    let (directory, store) = store();
    project(directory.path());
    packed(directory.path(), &store);
    let layers = layers(&store, "team/classify:1.0");
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let store = Store::open(store.directory()).unwrap();
                for layer in &layers {
                    let lent = store.lend(layer).unwrap();
                    assert!(fs::read_dir(lent.directory).unwrap().count() > 0);
                    store.sweep(false).unwrap();
                }
            });
        }
    });
    assert_eq!((count(&store, "data"), count(&store, "ingest")), (2, 0));
    assert_eq!(problems(&store, false), []);
}

const VICTIM: &str = "WHERRY_TEST_STORE_OF_DATA_VICTIM";

/// Not a test by itself: what the next one starts and kills. Unpacks and deletes for a long time.
#[test]
fn unpacks_until_killed() {
    let Some(directory) = env::var_os(VICTIM) else {
        return;
    };
    let store = Store::open(directory).expect("a store");
    for _ in 0..10_000 {
        let lent = lend(&store, "a:1");
        drop(lent);
        fs::remove_dir_all(store.directory().join("data")).expect("deleted");
    }
}

#[test]
fn what_lies_there_is_whole_after_its_maker_was_killed() {
    let (directory, store) = store();
    project_with(directory.path(), "a", "d");
    for number in 0..40 {
        let content = [number; 3000];
        write(&directory.path().join(format!("d/{number}")), &content);
    }
    packed(directory.path(), &store);
    for round in 0..8 {
        let mut victim = Command::new(env::current_exe().expect("this test"))
            .args(["--exact", "unpacks_until_killed", "--nocapture"])
            .env(VICTIM, store.directory())
            .stdout(Stdio::null())
            .spawn()
            .expect("started");
        // Another moment every time, told by how far it is with what it unpacks.
        let mut reached = 0;
        while reached < round * 5 {
            let ingest = fs::read_dir(store.directory().join("ingest"));
            let unpacking = ingest.into_iter().flatten().flatten();
            reached = unpacking
                .filter_map(|entry| Some(fs::read_dir(entry.path()).ok()?.count()))
                .max()
                .unwrap_or(0);
            assert!(victim.try_wait().expect("a child").is_none(), "it ended");
            thread::yield_now();
        }
        victim.kill().expect("killed");
        victim.wait().expect("ended");
        assert_eq!(problems(&store, true), []);
        let lent = lend(&store, "a:1");
        assert_eq!(fs::read_dir(&lent.directory).unwrap().count(), 40);
        drop(lent);
        fs::remove_dir_all(store.directory().join("data")).unwrap();
    }
    store.sweep(false).unwrap();
    assert_eq!(count(&store, "ingest"), 0);
}

/// A workload whose only data layer has these bytes, whatever they are.
fn foreign(store: &Store, layer: &[u8], kind: &str, annotations: &Value) -> Digest {
    let (wasm, config) = (module(), br#"{"format":1,"scratch":"/"}"#.to_vec());
    let ingest = store.ingest().expect("a lock");
    let described = |kind: &str, bytes: &[u8]| {
        let blob = Descriptor::of(kind, bytes);
        ingest.put(&blob, bytes).expect("written");
        json!({ "mediaType": kind, "digest": blob.digest.to_string(), "size": blob.size })
    };
    let mut data = described(kind, layer);
    data["annotations"] = annotations.clone();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type::MANIFEST,
        "artifactType": media_type::WORKLOAD,
        "config": described(media_type::WORKLOAD_CONFIG, &config),
        "layers": [described(media_type::WASM, &wasm), data],
    });
    let bytes = serde_json::to_vec(&manifest).expect("JSON");
    let manifest = Descriptor::of(media_type::MANIFEST, &bytes);
    ingest.put(&manifest, &bytes).expect("written");
    ingest.commit(&manifest, None).expect("written");
    manifest.digest
}

fn foreign_directory(store: &Store, archive: &[u8]) -> DataLayer {
    let annotations = json!({ "io.wherry.data.guest": "/data" });
    let digest = foreign(store, archive, media_type::DATA_DIRECTORY, &annotations);
    layers(store, &digest.to_string()).remove(0)
}

#[test]
fn layers_that_cannot_be_lent_are_refused_before_anything_is_fetched() {
    let guest = |guest: &str| json!({ "io.wherry.data.guest": guest });
    let file = |name: &str| json!({ "io.wherry.data.guest": "/data", "org.opencontainers.image.title": name });
    let (directory, file_type) = (media_type::DATA_DIRECTORY, media_type::DATA_FILE);
    let long = "n".repeat(129);
    for (kind, annotations, reason) in [
        (directory, json!({}), "no annotation"),
        (directory, guest("data"), "not an absolute guest path"),
        (directory, guest("/a/../b"), "not an absolute guest path"),
        (
            "application/vnd.oci.image.layer.v1.tar+gzip",
            guest("/data"),
            "tar+gzip",
        ),
        (file_type, guest("/data"), "without a name"),
        (file_type, file(".."), "not the name of a file"),
        (file_type, file("a/b"), "not the name of a file"),
        (file_type, file("/etc/passwd"), "not the name of a file"),
        (file_type, file(""), "not the name of a file"),
        (file_type, file(&long), "129 bytes"),
    ] {
        let (_directory, store) = store();
        let digest = foreign(&store, b"x", kind, &annotations);
        // What a pull asks of a manifest.
        let document = Document::parse(&fs::read(blob(&store, &digest)).unwrap()).unwrap();
        let error = document.runnable().unwrap_err();
        assert!(matches!(error, ArtifactError::Data { .. }), "{error}");
        assert!(error.to_string().contains(reason), "{error}");
    }
    let (_directory, store) = store();
    let digest = foreign(&store, b"x", directory, &guest("/"));
    let error = store.workload(&digest.to_string()).unwrap_err().to_string();
    assert!(error.contains("data[0].guest"), "{error}");
}

/// An archive with one entry, of which nothing was checked.
fn archive(kind: EntryType, path: &str, content: &[u8], size: u64) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    let mut tar = Builder::new(Vec::new());
    tar.append(&header, content).expect("written");
    tar.into_inner().expect("written")
}

#[test]
fn hostile_archives_are_refused_by_the_name_of_what_is_wrong() {
    let file = EntryType::Regular;
    let two = {
        let mut tar = Builder::new(Vec::new());
        for _ in 0..2 {
            let mut header = Header::new_ustar();
            header.set_size(1);
            tar.append_data(&mut header, "twice", &b"x"[..]).unwrap();
        }
        tar.into_inner().unwrap()
    };
    let below_a_file = {
        let mut tar = Builder::new(Vec::new());
        for path in ["file", "file/below"] {
            let mut header = Header::new_ustar();
            header.set_size(1);
            tar.append_data(&mut header, path, &b"x"[..]).unwrap();
        }
        tar.into_inner().unwrap()
    };
    let mut flipped = archive(file, "ok", b"x", 1);
    flipped[150] ^= 1;
    for (archive, words) in [
        (
            archive(file, "/etc/passwd", b"x", 1),
            ["/etc/passwd", "absolute"],
        ),
        (archive(file, "../up", b"x", 1), ["../up", "leads out"]),
        (
            archive(file, "a/../../up", b"x", 1),
            ["a/../../up", "leads out"],
        ),
        (
            archive(EntryType::Directory, "..", b"", 0),
            ["..", "leads out"],
        ),
        (
            archive(EntryType::Symlink, "link", b"", 0),
            ["link", "symbolic link"],
        ),
        (
            archive(EntryType::Link, "link", b"", 0),
            ["link", "hard link"],
        ),
        (archive(EntryType::Char, "null", b"", 0), ["null", "device"]),
        (archive(EntryType::Block, "sda", b"", 0), ["sda", "device"]),
        (archive(EntryType::Fifo, "pipe", b"", 0), ["pipe", "a pipe"]),
        (
            archive(EntryType::GNUSparse, "holes", b"", 0),
            ["holes", "with holes"],
        ),
        (
            archive(EntryType::XHeader, "pax", b"", 0),
            ["pax", "extended header"],
        ),
        (
            archive(EntryType::new(b'!'), "what", b"", 0),
            ["what", "unknown kind"],
        ),
        (
            archive(file, "dir/", b"x", 1),
            ["dir/", "a directory at once"],
        ),
        (
            archive(file, "bomb", b"x", 1 << 50),
            ["bomb", "1125899906842624 bytes"],
        ),
        (
            archive(file, "bomb", b"x", u64::MAX),
            ["", "not a tar archive"],
        ),
        (
            archive(EntryType::GNULongName, "", &[b'a'; 1 << 16], 1 << 40),
            ["", "not a tar"],
        ),
        (two, ["twice", "two of this path"]),
        (below_a_file, ["file/below", "two of this path"]),
        (flipped, ["", "not a tar archive"]),
        (b"not an archive".repeat(100), ["", "not a tar archive"]),
    ] {
        let (_directory, store) = store();
        let layer = foreign_directory(&store, &archive);
        let error = store.lend(&layer).unwrap_err();
        assert!(matches!(error, StoreError::Layer { .. }), "{error}");
        let message = error.to_string();
        for word in words {
            assert!(message.contains(word), "no `{word}` in: {message}");
        }
        assert_eq!(
            (count(&store, "data"), count(&store, "ingest")),
            (0, 0),
            "{message}"
        );
    }
}

#[test]
fn a_damaged_layer_is_not_lent() {
    let (_directory, store) = store();
    let archive = archive(EntryType::Regular, "f", b"content", 7);
    let layer = foreign_directory(&store, &archive);
    let path = blob(&store, &layer.blob.digest);
    let mut bytes = archive.clone();
    bytes[515] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert!(matches!(
        store.lend(&layer),
        Err(StoreError::WrongDigest { .. })
    ));
    // Behind its end nobody looks, but the digest.
    let mut bytes = archive;
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
    assert!(matches!(
        store.lend(&layer),
        Err(StoreError::WrongDigest { .. })
    ));
    assert_eq!((count(&store, "data"), count(&store, "ingest")), (0, 0));
    fs::remove_file(&path).unwrap();
    let whole = store.workload(&store.images().unwrap()[0].digest.to_string());
    assert!(matches!(whole, Err(StoreError::MissingBlob { .. })));
}

/// What `tar` and Python make, as far as it is files and directories.
#[test]
fn archives_of_other_tools() {
    let directory = tempfile::tempdir().unwrap();
    write(&directory.path().join("d/sub/f"), b"content");
    write(&directory.path().join("d").join(LONG), b"deep");
    for format in ["gnu", "ustar"] {
        let made = Command::new("tar")
            .args(["--create", "--file=-", "--directory"])
            .arg(directory.path().join("d"))
            .args([&format!("--format={format}"), "."])
            .output();
        let Ok(made) = made else {
            let _ = writeln!(std::io::stderr(), "SKIPPED: tar is not installed");
            return;
        };
        let (_directory, store) = store();
        let layer = foreign_directory(&store, &made.stdout);
        let lent = store.lend(&layer).unwrap();
        assert_eq!(fs::read(lent.directory.join("sub/f")).unwrap(), b"content");
        assert_eq!(fs::read(lent.directory.join(LONG)).unwrap(), b"deep");
        assert_eq!(problems(&store, false), []);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is changed in an archive: it is refused, or what is unpacked lies in its place.
    #[test]
    fn a_changed_archive_leads_nowhere_else(changes in prop::collection::vec((0_usize..3072, any::<u8>()), 1..8)) {
        let mut tar = Builder::new(Vec::new());
        for path in ["a/b", "c"] {
            let mut header = Header::new_ustar();
            header.set_size(3);
            tar.append_data(&mut header, path, &b"xyz"[..]).unwrap();
        }
        let mut bytes = tar.into_inner().unwrap();
        for (place, byte) in changes {
            let place = place % bytes.len();
            bytes[place] = byte;
        }
        for header in [0, 1024] {
            // The sum of a header, so that it is looked at.
            bytes[header + 148..header + 156].fill(b' ');
            let sum: u32 = bytes[header..header + 512].iter().map(|byte| u32::from(*byte)).sum();
            let sum = format!("{sum:06o}\0 ");
            bytes[header + 148..header + 156].copy_from_slice(sum.as_bytes());
        }
        let (directory, store) = store();
        let layer = foreign_directory(&store, &bytes);
        let lent = store.lend(&layer);
        prop_assert_eq!(count(&store, "data"), usize::from(lent.is_ok()));
        prop_assert_eq!(count(&store, "ingest"), 0);
        prop_assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
