//! Receipts: every run ends with one, signed by the node; a changed byte is found.

use std::fs;

use serde_json::Value;
use wherry_tests::{Done, Home, repository};

const BAD_DATA: i32 = 65;
const CAPTURED: i32 = 85;
/// What `count` exits with.
const COUNTED: i32 = 6;

/// `wherry receipt …`
fn receipt(home: &Home, arguments: &[&str]) -> Done {
    home.wherry(["receipt"].iter().chain(arguments))
}

#[test]
fn a_run_leaves_a_receipt_that_is_verified_here_and_elsewhere() {
    let home = Home::new();
    let (module, copy) = (home.program("count"), home.file("receipt.json"));
    let state = format!("--state={}", home.file("state").display());
    let to = format!("--receipt={}", copy.display());
    let run = |options: &[&str]| {
        let mut command = home.command(["run", &state, &to]);
        Done::of(command.args(options).arg(&module))
    };
    run(&["--checkpoint-at=3000"]).expect(CAPTURED);
    let copy = copy.to_str().unwrap();
    let verified = |name: &str| {
        let done = receipt(&home, &["verify", "--json", name]).expect(0);
        serde_json::from_slice::<Value>(&done.stdout).unwrap()["receipt"].clone()
    };
    let first = verified(copy);
    assert_eq!(first["outcome"], "checkpointed");
    assert_eq!(first["lineage"]["last"]["sequence"], 1);
    assert!(first["lineage"]["resumedFrom"].is_null());
    run(&[]).expect(COUNTED);
    let second = verified(home.file("state").to_str().unwrap());
    assert_eq!(second, verified(copy));
    assert_eq!(
        (&second["outcome"], &second["exit"]),
        (&"exited".into(), &COUNTED.into())
    );
    assert_eq!(second["lineage"]["resumedFrom"], first["lineage"]["last"]);
    assert_eq!(second["used"]["stdout_bytes"], 70);
    assert!(second["module"].as_str().unwrap().starts_with("sha256:"));

    let other = Home::new();
    let key = home.directory().join("node.pub");
    receipt(&other, &["verify", copy]).expect_refusal(78, &["no key yet"]);
    receipt(&other, &["verify", "--key", key.to_str().unwrap(), copy]).expect(0);
    let shown = receipt(&other, &["show", copy]).expect(0).text();
    assert!(
        shown.contains("count.wasm") && shown.contains("exited with code 6"),
        "{shown}"
    );
    // Another node did not sign it.
    let module = other.program("count");
    other
        .wherry(["run", module.to_str().unwrap()])
        .expect(COUNTED);
    receipt(&other, &["verify", copy]).expect_refusal(BAD_DATA, &["not made by a trusted key"]);
}

#[test]
fn a_changed_byte_is_found() {
    let golden = repository().join("runtime/node/tests/golden");
    let (file, key) = (golden.join("receipt-1.json"), golden.join("node.pub"));
    let home = Home::new();
    let verify = |bytes: &[u8]| {
        let file = home.write("receipt.json", bytes);
        let file = file.to_str().unwrap();
        receipt(&home, &["verify", "--key", key.to_str().unwrap(), file])
    };
    let bytes = fs::read(file).unwrap();
    verify(&bytes).expect(0);
    for place in [0, bytes.len() / 3, bytes.len() / 2, bytes.len() - 2] {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        verify(&changed).expect_refusal(BAD_DATA, &["receipt.json", "refused"]);
    }
    verify(&bytes[..bytes.len() - 1]).expect_refusal(BAD_DATA, &["refused"]);
    verify(b"").expect_refusal(BAD_DATA, &["refused"]);
    receipt(&home, &["show", "nothing"]).expect_refusal(66, &["nothing"]);
}
