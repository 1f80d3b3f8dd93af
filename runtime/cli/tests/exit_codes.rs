//! The binary tells the exit codes of the documentation, and needs no home to do so.

use std::path::Path;
use std::process::Command;

#[test]
fn the_command_and_the_documentation_agree() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wherry"));
    let output = command.arg("exit-codes").env_remove("WHERRY_HOME").output();
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
    let told = codes(&String::from_utf8(output.stdout).unwrap());
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/exit-codes.md");
    let documented = codes(&std::fs::read_to_string(document).unwrap().replace('|', " "));
    assert!(told.len() > 10, "the command tells only {told:?}");
    assert_eq!(told, documented);
}

/// The numbers that lines begin with.
fn codes(text: &str) -> Vec<u8> {
    let words = text
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    let mut codes: Vec<u8> = words.filter_map(|word| word.parse().ok()).collect();
    codes.sort_unstable();
    codes
}
