//! Checkpoints that earlier versions wrote are resumed for ever.

use std::fs;
use std::path::Path;

use wherry_tests::{Home, repository};

/// `tests/golden/NAME.ckpt` is of the module `NAME.wasm`, and `NAME.stdout` is what it writes
/// from there on.
#[test]
fn checkpoints_of_every_released_format_are_resumed() {
    let directory = repository().join("tests/golden");
    let files = fs::read_dir(&directory)
        .expect("the golden files")
        .flatten();
    let files = files.map(|file| file.path());
    let checkpoints = files.filter(|path| path.extension().is_some_and(|end| end == "ckpt"));
    let mut resumed = 0;
    for checkpoint in checkpoints {
        ends_as_it_did(&checkpoint);
        resumed += 1;
    }
    assert!(resumed > 0, "there are golden files");
}

#[track_caller]
fn ends_as_it_did(checkpoint: &Path) {
    let module = checkpoint.with_extension("wasm");
    let stdout = fs::read_to_string(checkpoint.with_extension("stdout")).expect("its output");
    let home = Home::new();
    let mut command = home.command(["resume", "--module"]);
    command.arg(module).arg(checkpoint);
    let done = wherry_tests::Done::of(command).expect(0);
    assert_eq!(done.text(), stdout, "{}", checkpoint.display());
}
