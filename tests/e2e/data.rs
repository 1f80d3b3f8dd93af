//! Data that workloads bring along: packed, shared in registries, and lent to jobs wherever they are.

use std::fs;
use std::path::Path;

use serde_json::Value;
use wherry_tests::{Done, Home};

use crate::registry_server::RegistryServer;

const CAPTURED: i32 = 85;
const USAGE: i32 = 64;
const BAD_DATA: i32 = 65;
/// `rofs` of preview 1: what the program ends with when it has tried to write beside its data.
const READ_ONLY: i32 = 69;

/// Packs `team/NAME:1.0`, which reads `file` of the directory `weights` and finds that as `/weights`.
fn pack(home: &Home, name: &str, file: &str) {
    home.write("project/weights.wasm", wherry_tests::program("weights"));
    let text = format!(
        "name = 'team/{name}'\nversion = '1.0'\nmodule = 'weights.wasm'\nargs = ['{file}']\n\
         [scratch]\nguest = '/tmp'\n\
         [[data]]\npath = 'weights'\nguest = '/weights'\n"
    );
    home.write("project/workload.toml", text);
    home.wherry(["pack", "project"]).expect(0);
}

/// Weights for [`pack`], with much else beside them.
fn weights(home: &Home) -> String {
    let text: String = (0..200_u8).map(|at| char::from(b'a' + at % 26)).collect();
    home.write("project/weights/layers/first", &text);
    let mut noise = 1_u32;
    let bytes: Vec<u8> = std::iter::repeat_with(|| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        noise.to_be_bytes()[0]
    })
    .take(1 << 20)
    .collect();
    home.write("project/weights/second", bytes);
    text
}

fn json(done: &Done) -> Value {
    serde_json::from_slice(&done.stdout).expect("JSON")
}

fn unpacked(home: &Home) -> usize {
    fs::read_dir(home.directory().join("store/data")).map_or(0, Iterator::count)
}

#[test]
fn a_workload_reads_what_it_brought_along_and_cannot_change_it() {
    let home = Home::new();
    let text = weights(&home);
    pack(&home, "read", "layers/first");
    // Nothing of the project is needed any more.
    fs::remove_dir_all(home.file("project")).expect("deleted");
    let done = home.wherry(["run", "team/read:1.0"]).expect(READ_ONLY);
    assert_eq!(done.text(), text);
    for (option, value) in [("--dir", ".::/weights"), ("--scratch", "/weights")] {
        home.wherry(["run", option, value, "team/read:1.0"])
            .expect_refusal(USAGE, &["brings its own data", "/weights"]);
    }
    home.wherry(["store", "verify"]).expect(0);
    assert_eq!(unpacked(&home), 1);
    home.wherry(["rm", "team/read:1.0"]).expect(0);
    assert_eq!(unpacked(&home), 0);
}

#[test]
fn data_is_part_of_the_workload_and_no_directory_of_the_node() {
    let home = Home::new();
    let text = weights(&home);
    pack(&home, "read", "layers/first");
    // A node that lends nobody any directory.
    home.write(
        "policy.toml",
        "[who]\nrepositories = ['local/*']\n[signatures]\nunsigned = 'allow'\n",
    );
    let run = ["run", "--policy", "policy.toml"];
    let done = home.wherry(run.iter().chain(&["team/read:1.0"]));
    assert_eq!(done.expect(READ_ONLY).text(), text);
    let job = json(&home.wherry(["ps", "--all", "--json"]).expect(0));
    assert!(!job.to_string().contains("/weights"), "{job}");
}

#[test]
fn a_job_finds_its_data_wherever_it_goes_on() {
    let Some(registry) = RegistryServer::plain() else {
        return;
    };
    let (here, there) = (Home::new(), Home::new());
    let text = weights(&here);
    pack(&here, "read", "layers/first");
    let name = |tag: &str| format!("{}/team/read:{tag}", registry.host);
    here.wherry(["push", "team/read:1.0", &name("1.0")])
        .expect(0);
    let run = [
        "run",
        "--checkpoint-at=50000",
        "--checkpoint-to=half",
        "team/read:1.0",
    ];
    let first = here.wherry(run).expect(CAPTURED).text();
    assert!(!first.is_empty() && first.len() < text.len(), "{first}");
    here.wherry(["push", "half", &name("half")]).expect(0);
    // Nothing was pulled there before, and nothing is said of directories.
    let second = there.wherry(["resume", &name("half")]).expect(READ_ONLY);
    assert_eq!(first.clone() + &second.text(), text);

    // A job of this machine goes on with them, too.
    let jobs = json(&here.wherry(["ps", "--json"]).expect(0));
    let job = jobs[0]["id"].as_str().expect("an id");
    let second = here.wherry(["resume", job]).expect(READ_ONLY).text();
    assert_eq!(first + &second, text);
    // Who has the module alone has no data.
    let elsewhere = Home::new();
    let module = elsewhere.program("weights");
    elsewhere.write("half", fs::read(here.file("half")).expect("a checkpoint"));
    let mut resume = elsewhere.command(["resume", "--module"]);
    resume.arg(module).arg("half");
    Done::of(resume).expect_refusal(78, &["/weights"]);
}

#[test]
fn two_workloads_share_a_layer_and_only_the_rest_moves() {
    let Some(registry) = RegistryServer::plain() else {
        return;
    };
    let (here, there) = (Home::new(), Home::new());
    weights(&here);
    let names = ["one", "two"].map(|name| {
        pack(&here, name, "layers/first");
        let pushed = format!("{}/team/{name}:1.0", registry.host);
        here.wherry(["push", &format!("team/{name}:1.0"), &pushed])
            .expect(0);
        pushed
    });
    let large = |home: &Home| {
        let blobs = fs::read_dir(home.directory().join("store/blobs/sha256")).expect("blobs");
        let sizes = blobs.map(|blob| blob.expect("a blob").metadata().expect("a file").len());
        sizes.filter(|size| *size > 1 << 20).count()
    };
    assert_eq!(large(&here), 1);
    let [first, second] = names.map(|name| {
        let pulled = there.wherry(["pull", "--json", &name]).expect(0);
        let events = pulled.stderr.lines().rev();
        let event = events.filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let last = event
            .into_iter()
            .find(|event| event["event"] == "transfer")
            .expect("events");
        let number = |field: &str| last[field].as_u64().expect("a number");
        assert_eq!(number("done"), number("total"));
        there.wherry(["run", &name]).expect(READ_ONLY);
        number("done") - number("skipped")
    });
    assert!(
        first > 1 << 20 && second < 1000,
        "{first}, then {second} bytes"
    );
    assert_eq!((large(&there), unpacked(&there)), (1, 1));
}

#[test]
fn a_hostile_layer_is_refused_before_anything_is_compiled() {
    let Some(registry) = RegistryServer::plain() else {
        return;
    };
    let (here, there) = (Home::new(), Home::new());
    // As long as the link that takes its place.
    here.write("project/weights/file", "");
    pack(&here, "read", "file");
    let digest = replace_layer(&here, |tar| {
        let at = tar
            .windows(4)
            .position(|name| name == b"file")
            .expect("an entry");
        let header = &mut tar[at..at + 512];
        header[156] = b'2';
        header[157..168].copy_from_slice(b"/etc/passwd");
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    });
    let name = format!("{}/team/read:1.0", registry.host);
    here.wherry(["push", &digest, &name]).expect(0);
    there.wherry(["pull", &name]).expect(0);
    fs::remove_file(there.directory().join("cache")).expect("a link");
    there
        .wherry(["run", &name])
        .expect_refusal(BAD_DATA, &["data layer", "`file`", "symbolic link"]);
    assert!(!there.directory().join("cache").exists());
    assert_eq!(unpacked(&there), 0);
}

/// Makes another artifact of the one in the store, whose data layer is changed. Returns its digest.
fn replace_layer(home: &Home, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let shown = json(
        &home
            .wherry(["inspect", "--json", "team/read:1.0"])
            .expect(0),
    );
    let blobs = home.directory().join("store/blobs/sha256");
    let mut manifest = shown["manifest"].clone();
    let layer = &mut manifest["layers"][1];
    let old = layer["digest"]
        .as_str()
        .expect("a digest")
        .replace("sha256:", "");
    let mut bytes = fs::read(blobs.join(old)).expect("a blob");
    change(&mut bytes);
    layer["digest"] = put(&blobs, &bytes).into();
    let manifest = serde_json::to_vec(&manifest).expect("JSON");
    let digest = put(&blobs, &manifest);
    let path = home.directory().join("store/index.json");
    let mut index: Value =
        serde_json::from_slice(&fs::read(&path).expect("an index")).expect("JSON");
    let entry = &mut index["manifests"][0];
    entry["digest"] = digest.clone().into();
    entry["size"] = manifest.len().into();
    fs::write(path, index.to_string()).expect("written");
    digest
}

fn put(blobs: &Path, bytes: &[u8]) -> String {
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(bytes);
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(blobs.join(&hex), bytes).expect("written");
    format!("sha256:{hex}")
}

#[test]
fn a_deterministic_job_with_data_is_verified_with_its_data() {
    let home = Home::new();
    weights(&home);
    pack(&home, "read", "layers/first");
    let run = [
        "run",
        "--deterministic",
        "--checkpoint-at=50000",
        "--checkpoint-to=1.ckpt",
    ];
    home.wherry(run.iter().chain(&["team/read:1.0"]))
        .expect(CAPTURED);
    home.wherry([
        "resume",
        "--checkpoint-at=50000",
        "--checkpoint-to=2.ckpt",
        "1.ckpt",
    ])
    .expect(CAPTURED);
    let done = home
        .wherry(["verify", "--json", "1.ckpt", "2.ckpt"])
        .expect(0);
    let found = json(&done);
    assert_eq!(found["verified"], true);
    assert_eq!(
        found["not_checked"].as_array().map(Vec::len),
        Some(1),
        "{found}"
    );
}
