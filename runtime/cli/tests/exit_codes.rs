//! The exit codes that the command tells are those of the documentation.

use std::path::Path;
use std::process::Command;

#[test]
fn the_command_and_the_documentation_agree() {
    let output = Command::new(env!("CARGO_BIN_EXE_wherry"))
        .arg("exit-codes")
        .output()
        .unwrap();
    let told = codes(&String::from_utf8(output.stdout).unwrap(), |line| line);
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/exit-codes.md");
    let documented = codes(&std::fs::read_to_string(document).unwrap(), |line| {
        line.trim_start_matches('|')
    });
    assert!(told.len() > 10, "the command tells only {told:?}");
    assert_eq!(told, documented);
}

/// Numbers that begin a line, once `strip` has taken away what stands before.
fn codes(text: &str, strip: fn(&str) -> &str) -> Vec<u8> {
    let first = |line| {
        strip(line)
            .split_whitespace()
            .next()
            .and_then(|word| word.parse().ok())
    };
    let mut codes: Vec<u8> = text.lines().filter_map(first).collect();
    codes.sort_unstable();
    codes
}
