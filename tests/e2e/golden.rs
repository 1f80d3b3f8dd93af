//! Checkpoints that earlier versions wrote are resumed for ever.
//!
//! `tests/golden/NAME.ckpt` is of the module `NAME.wasm`, and `NAME.stdout` is what the program
//! writes from there on. A new version of a format gets new files; none is ever replaced:
//! `tests/golden/write` adds those that are missing.

use std::fs;
use std::path::{Path, PathBuf};

use wherry_tests::{Done, Home, program, repository};

const CAPTURED: i32 = 85;

fn directory() -> PathBuf {
    repository().join("tests/golden")
}

#[test]
fn checkpoints_of_every_released_format_are_resumed() {
    let files = fs::read_dir(directory()).expect("the golden files");
    let files = files.map(|file| file.expect("a file").path());
    let checkpoints = files.filter(|path| path.extension().is_some_and(|end| end == "ckpt"));
    let mut resumed = 0;
    for checkpoint in checkpoints {
        let stdout = fs::read(checkpoint.with_extension("stdout")).expect("its output");
        let done = resume(&checkpoint);
        assert_eq!(done.stdout, stdout, "{}", checkpoint.display());
        resumed += 1;
    }
    assert!(resumed > 0, "there are golden files");
}

fn resume(checkpoint: &Path) -> Done {
    let home = Home::new();
    let mut command = home.command(["resume", "--module"]);
    command.arg(checkpoint.with_extension("wasm"));
    Done::of(command.arg(checkpoint)).expect(0)
}

#[test]
#[ignore = "writes into the repository"]
fn write_golden_checkpoints() {
    let nbody = repository().join("workloads/prebuilt/nbody.wasm");
    let nbody = fs::read(nbody).expect("checked in");
    let (steps, plain, deterministic) = (&["100000"][..], &[][..], &["--deterministic"][..]);
    // Computes, with floats on the stack; has a file open, in scratch; both deterministic.
    for (name, module, safepoint, options, arguments) in [
        ("checkpoint-v1-nbody", nbody.clone(), "700000", plain, steps),
        (
            "checkpoint-v1-journal",
            program("journal"),
            "5500",
            plain,
            &[],
        ),
        (
            "checkpoint-v1-profile-nbody",
            nbody,
            "700000",
            deterministic,
            steps,
        ),
        (
            "checkpoint-v1-profile-journal",
            program("journal"),
            "5500",
            deterministic,
            &[],
        ),
    ] {
        let checkpoint = directory().join(name).with_extension("ckpt");
        if checkpoint.exists() {
            continue;
        }
        let path = checkpoint.with_extension("wasm");
        fs::write(&path, module).expect("written");
        let home = Home::new();
        let mut run = home.command(["run", "--checkpoint-at", safepoint]);
        run.args(options)
            .arg("--checkpoint-to")
            .args([&checkpoint, &path])
            .args(arguments);
        let before = Done::of(&mut run).expect(CAPTURED).stdout;
        let mut run = home.command(["run"]);
        let whole = Done::of(run.args(options).arg(&path).args(arguments))
            .expect(0)
            .stdout;
        let after = whole.strip_prefix(before.as_slice()).expect("the same");
        fs::write(checkpoint.with_extension("stdout"), after).expect("written");
    }
}
