//! GPUs on the command line: what is lent, what is refused, and what to do about it.

use std::path::Path;

use wherry_tests::{Done, Driver, Home, program};

const CONFIG: i32 = 78;
const BAD_DATA: i32 = 65;
const USAGE: i32 = 64;

fn home() -> Home {
    let home = Home::new();
    std::fs::write(home.file("device.wasm"), program("device")).unwrap();
    home
}

#[test]
fn a_gpu_is_lent_only_on_request() {
    let home = home();
    let refused = home.wherry(["run", "device.wasm"]);
    refused.expect_refusal(CONFIG, &["uses a GPU", "--gpu"]);
    // There is no such job left behind.
    assert_eq!(
        home.wherry(["ps", "--all", "--json"])
            .expect(0)
            .text()
            .trim(),
        "[]"
    );
    let Some(driver) = Driver::lavapipe() else {
        return;
    };
    Done::of(&mut driver.command(&home, "run", ["device.wasm"])).expect(11);
}

#[test]
fn what_is_not_there_is_refused_by_name() {
    let home = home();
    let refused = home.wherry(["run", "--gpu", "--gpu-feature=antigravity", "device.wasm"]);
    refused.expect_refusal(USAGE, &["antigravity"]);
    let refused = home.wherry(["run", "--gpu", "--gpu-limit=max_speed=3", "device.wasm"]);
    refused.expect_refusal(USAGE, &["max_speed"]);
    let Some(driver) = Driver::lavapipe() else {
        return;
    };
    let limit = "--gpu-limit=max_bind_groups=4000000000";
    let refused = Done::of(&mut driver.command(&home, "run", [limit, "device.wasm"]));
    refused.expect_refusal(CONFIG, &["max_bind_groups", "4000000000", driver.name]);
    let mut other = driver.command(&home, "run", ["device.wasm"]);
    other.env("VK_DRIVER_FILES", Path::new("/nowhere.json"));
    Done::of(&mut other).expect_refusal(CONFIG, &["no GPU", "Vulkan"]);
}

#[test]
fn a_module_that_imports_something_else_is_refused() {
    let home = Home::new();
    let text = r#"(module (import "wherry_gpu" "teleport" (func)) (func (export "_start")))"#;
    std::fs::write(home.file("wrong.wasm"), wat::parse_str(text).unwrap()).unwrap();
    let refused = home.wherry(["run", "--gpu", "wrong.wasm"]);
    refused.expect_refusal(BAD_DATA, &["wherry_gpu", "teleport"]);
}
