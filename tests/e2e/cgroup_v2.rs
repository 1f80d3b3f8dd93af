//! Jobs under control groups of version 2, on a machine of their own: `tests/cgroup-v2/run` boots it.

use std::process::{Command, Stdio};

use wherry_tests::{Home, binary, repository, skip};

#[test]
fn jobs_have_groups_of_version_2() {
    let Some(kernel) = std::env::var_os("WHERRY_KERNEL") else {
        skip!("WHERRY_KERNEL names no kernel with control groups to boot");
    };
    for tool in ["qemu-system-x86_64", "busybox", "strip"] {
        let mut tool_is_there = Command::new("sh");
        tool_is_there.args(["-c", "command -v \"$1\"", "sh", tool]);
        let there = tool_is_there.stdout(Stdio::null()).status();
        if !there.is_ok_and(|status| status.success()) {
            skip!("there is no {tool}");
        }
    }
    let home = Home::new();
    let mut run = Command::new(repository().join("tests/cgroup-v2/run"));
    run.arg(kernel).arg(binary()).arg(home.program("hoard"));
    let output = run.output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{errors}");
}
