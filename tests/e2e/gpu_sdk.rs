//! The Rust SDK for the GPU.

use wherry_tests::{Home, Workload};

/// Its unit tests, which play the host themselves and need no GPU.
#[test]
fn its_unit_tests_pass_as_a_job() {
    let Some(module) = Workload::Built("gpu/sdk-tests").module() else {
        return;
    };
    let home = Home::new();
    let done = home.wherry(["run", module.to_str().unwrap()]).expect(0);
    let text = done.text();
    assert!(
        text.contains("test result: ok.") && !text.contains("running 0"),
        "{text}"
    );
}
