//! The independent reader of checkpoints, which was written from `docs/checkpoint-format.md`
//! alone, finds in every golden file what it always found, and what `wherry inspect` shows.
//! `WHERRY_BLESS=1` writes down what it finds.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use wherry_tests::{Done, Home, repository, skip};

const BAD_DATA: i32 = 65;

fn read(checkpoint: &Path) -> Done {
    let mut python = Command::new("python3");
    python.arg("-B");
    python.arg(repository().join("conformance/checkpoint-reader/read.py"));
    Done::of(python.arg(checkpoint))
}

/// Whether this machine has what the reader needs.
fn can_read() -> bool {
    ["import zstandard", "import compression.zstd"]
        .iter()
        .any(|import| {
            let found = Command::new("python3").args(["-c", import]).output();
            found.is_ok_and(|output| output.status.success())
        })
}

macro_rules! needs_python {
    () => {
        if !can_read() {
            skip!("the independent reader needs python3 with the package zstandard");
        }
    };
}

fn golden_files() -> Vec<PathBuf> {
    let directories = ["runtime/snapshot/tests/golden", "tests/golden"];
    let entries = directories.map(|directory| fs::read_dir(repository().join(directory)));
    let paths = entries
        .into_iter()
        .flat_map(|entries| entries.expect("the golden files"));
    let mut paths: Vec<_> = paths.map(|entry| entry.expect("a file").path()).collect();
    let is_checkpoint = |path: &Path| {
        path.extension()
            .is_some_and(|end| end == "wherry" || end == "ckpt")
    };
    paths.retain(|path| is_checkpoint(path) && *path != encrypted());
    paths.sort();
    assert!(paths.len() > 2, "{paths:?}");
    paths
}

/// It has no keys.
fn encrypted() -> PathBuf {
    repository().join("runtime/snapshot/tests/golden/format-1-sealed.wherry")
}

#[test]
fn refuses_what_is_encrypted() {
    needs_python!();
    read(&encrypted()).expect_refusal(BAD_DATA, &["encrypted"]);
}

#[test]
fn finds_what_it_always_found() {
    needs_python!();
    for checkpoint in golden_files() {
        let found = read(&checkpoint).expect(0).text();
        let expected = checkpoint.with_extension("json");
        if std::env::var_os("WHERRY_BLESS").is_some() {
            fs::write(&expected, &found).expect("written");
        }
        let expected = fs::read_to_string(expected).expect("what it found first");
        assert_eq!(found, expected, "{}", checkpoint.display());
    }
}

#[test]
fn finds_what_inspect_shows() {
    needs_python!();
    let home = Home::new();
    for checkpoint in golden_files() {
        let found: Value = serde_json::from_str(&read(&checkpoint).expect(0).text()).unwrap();
        let mut inspect = home.command(["inspect", "--json"]);
        let shown = Done::of(inspect.arg(&checkpoint)).expect(0).text();
        let shown: Value = serde_json::from_str(&shown).unwrap();
        let name = checkpoint.display().to_string();
        // They describe a file of the scratch directory, and a value, in different ways.
        let compared = same(&found, &shown, &name) + same(&found["wasi"], &shown, &name);
        assert!(compared > 60, "{name}: {compared}");
        for key in [
            "state_digest",
            "sections",
            "profile",
            "frames",
            "memories",
            "settings",
        ] {
            assert!(
                found.get(key).is_some() && shown.get(key).is_some(),
                "{key}"
            );
        }
    }
}

/// Compares what both say, and counts it.
fn same(one: &Value, other: &Value, place: &str) -> usize {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let both = one
                .iter()
                .filter_map(|(key, value)| Some((key, value, other.get(key)?)));
            let both = both.filter(|(key, ..)| *key != "scratch");
            both.map(|(key, one, other)| same(one, other, &format!("{place}.{key}")))
                .sum()
        }
        (Value::Array(one), Value::Array(other)) => {
            assert_eq!(one.len(), other.len(), "{place}");
            let both = one.iter().zip(other).enumerate();
            both.map(|(index, (one, other))| same(one, other, &format!("{place}[{index}]")))
                .sum()
        }
        _ => {
            assert_eq!(one, other, "{place}");
            1
        }
    }
}

#[test]
fn refuses_every_damage() {
    needs_python!();
    let golden = repository().join("runtime/snapshot/tests/golden/format-1.wherry");
    let (good, home) = (fs::read(golden).expect("the golden file"), Home::new());
    for at in (0..good.len()).step_by(37) {
        let mut bad = good.clone();
        bad[at] ^= 0x11;
        let bad = home.write("bad.wherry", bad);
        read(&bad).expect_refusal(BAD_DATA, &["bad.wherry"]);
    }
    let short = home.write("short.wherry", &good[..good.len() - 1]);
    read(&short).expect_refusal(BAD_DATA, &["short.wherry"]);
}
