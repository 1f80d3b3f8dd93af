//! GPUs on the command line: what is lent, what is refused, and what to do about it.

use std::path::Path;

use serde_json::{Value, json};
use wherry_tests::{Done, Driver, Home, Workload, program};

const CONFIG: i32 = 78;
const POLICY: i32 = 79;
const CAPTURED: i32 = 85;
const TIME_LIMIT: i32 = 124;
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

/// A project in `folder` with a program, and what its `workload.toml` says besides.
fn project(home: &Home, folder: &str, module: &[u8], more: &str) -> String {
    let text = format!("name = \"{folder}\"\nversion = \"1\"\nmodule = \"m.wasm\"\n{more}");
    home.write(&format!("{folder}/workload.toml"), text);
    let module = home.write(&format!("{folder}/m.wasm"), module);
    module.parent().unwrap().display().to_string()
}

/// `--policy` with such a table, which lets the rest run.
fn policy(home: &Home, gpu: &str) -> String {
    let text = format!(
        "[who]\nfiles = true\n[signatures]\nunsigned = \"allow\"\ncheckpoints = {{ unsigned = \"allow\" }}\n{gpu}"
    );
    format!("--policy={}", home.write("policy.toml", text).display())
}

const GENEROUS: &str = "[gpu]\nadapter = \"any\"\nmemory = \"1 GiB\"\ntime = \"1h\"";

/// A driver on the CPU is taken because the policy has thought of it.
#[test]
fn a_workload_that_declares_a_gpu_gets_one_if_the_policy_lets_it() {
    let home = Home::new();
    let declared = project(&home, "declared", &program("device"), "[gpu]");
    let silent = project(&home, "silent", &program("device"), "");
    let none = policy(&home, "");
    home.wherry(["run", &none, &declared])
        .expect_refusal(POLICY, &["gpu", "`adapter` in [gpu] is \"none\""]);
    home.wherry(["run", "--no-gpu", &declared])
        .expect_refusal(CONFIG, &["uses a GPU", "lent none"]);
    let Some(driver) = Driver::lavapipe() else {
        return;
    };
    let run = |options: &[&str]| Done::of(driver.plain(&home, "run").args(options));
    let any = policy(&home, GENEROUS);
    run(&[&any, &declared]).expect(11);
    run(&[&any, &silent]).expect_refusal(CONFIG, &["uses a GPU", "--gpu"]);
    run(&[&any, "--no-gpu", &declared]).expect_refusal(CONFIG, &["uses a GPU", "lent none"]);
    // Without a policy, too; but a driver on the CPU is slow, and wants to be named.
    run(&[&declared]).expect_refusal(CONFIG, &["more than a driver on the CPU", driver.name]);
    let named = format!("--gpu={}", driver.name);
    run(&[&named, &declared]).expect(11);
    let hardware = policy(&home, &GENEROUS.replace("any", "hardware"));
    let refused = run(&[&hardware, &named, &declared]);
    refused.expect_refusal(CONFIG, &["not a driver on the CPU"]);
}

#[test]
fn what_is_lacking_is_named_before_anything_is_compiled() {
    let home = Home::new();
    let Some(driver) = Driver::lavapipe() else {
        return;
    };
    let run = |verb, workload: &str| {
        let mut command = driver.plain(&home, verb);
        Done::of(command.args([&policy(&home, GENEROUS), workload]))
    };
    for (name, table, lacking) in [
        (
            "etc",
            "[gpu]\nfeatures = [\"texture-compression-astc-sliced-3d\"]",
            "texture-compression-astc-sliced-3d",
        ),
        (
            "groups",
            "[gpu.limits]\nmax_bind_groups = 4000000000",
            "max_bind_groups",
        ),
    ] {
        let needed = project(&home, name, &program("device"), table);
        let empty = home.file("empty");
        let mut command = driver.plain(&home, "run");
        command.arg("--home").arg(&empty);
        let done = Done::of(command.args([&policy(&home, GENEROUS), &needed]));
        done.expect_refusal(CONFIG, &[driver.name, lacking]);
        let cache = std::fs::read_dir(empty.join("cache")).into_iter();
        assert_eq!(cache.flatten().count(), 0);
        let told = run("explain", &needed).expect(POLICY).text();
        assert!(told.contains(lacking) && told.contains("REFUSED"), "{told}");

        let optional = table.replace("[gpu]", "[gpu]\noptional = true");
        let optional = optional.replace("[gpu.limits]", "[gpu]\noptional = true\n[gpu.limits]");
        let optional = project(&home, "optional", &program("device"), &optional);
        // The interface is there, and no device.
        let done = run("run", &optional).expect(11);
        assert!(done.stderr.contains("without a GPU") && done.stderr.contains(lacking));
        let told = run("explain", &optional).expect(0).text();
        assert!(told.contains("reduced"), "{told}");
        home.wherry(["run", "--no-gpu", &optional]).expect(11);
        home.wherry(["run", &policy(&home, ""), &optional])
            .expect(11);
    }
}

#[test]
fn nodes_are_matched_by_their_gpus() {
    let home = Home::new();
    let mut node: Value =
        serde_json::from_slice(&home.wherry(["doctor", "--json"]).expect(0).stdout).unwrap();
    let mut with = |name: &str, gpus: Value| {
        node["name"] = name.into();
        node["gpus"] = gpus;
        home.write(&format!("{name}.json"), node.to_string())
    };
    let gpu = |features: &[&str], size: u64, defects: Value| {
        json!([{
            "name": "Some GPU", "kind": "discrete", "backend": "vulkan", "driver": "d", "vendor_id": 1,
            "device_id": 2, "subgroup_sizes": [4, 8], "features": features,
            "limits": { "max_buffer_size": size }, "portable": true,
            "self_test": { "defects": defects, "upload": 1.0, "readback": 1.0 },
        }])
    };
    let nodes = [
        with("none", json!([])),
        with("plain", gpu(&[], 1 << 30, json!([]))),
        with("small", gpu(&["shader-f16"], 1 << 28, json!([]))),
        with(
            "wrong",
            gpu(&["shader-f16"], 1 << 30, json!(["arithmetic"])),
        ),
        with("good", gpu(&["shader-f16"], 1 << 30, json!([]))),
    ];
    let table = "[gpu]\nfeatures = [\"shader-f16\"]\nlimits = { max_buffer_size = 1073741824 }\n";
    let wants = |name: &str, more: &str| {
        let workload = project(&home, name, &program("device"), &format!("{table}{more}"));
        let mut command = home.command(["match", "--json", &workload]);
        let done = Done::of(command.args(&nodes)).expect(0);
        serde_json::from_slice::<Value>(&done.stdout).unwrap()["nodes"].clone()
    };
    let ranked = wants("needed", "");
    let find = |ranked: &Value, name: &str| {
        let mut all = ranked.as_array().unwrap().iter();
        all.find(|node| node["node"] == name).unwrap().clone()
    };
    assert_eq!(
        (&ranked[0]["node"], &ranked[0]["fits"]),
        (&json!("good"), &json!(true))
    );
    for (name, lacking) in [
        ("none", "no adapter"),
        ("plain", "shader-f16"),
        ("small", "max_buffer_size"),
        ("wrong", "cannot be trusted"),
    ] {
        let node = find(&ranked, name);
        assert_eq!(node["fits"], false);
        let reasons = node["reasons"].to_string();
        assert!(reasons.contains(lacking), "{reasons}");
    }
    let ranked = wants("optional", "optional = true");
    assert_eq!(ranked[0]["node"], "good");
    assert!(find(&ranked, "none")["fits"] == true);
}

/// Neither `wherry resume` nor the same command has to be told of the GPU again, nor does another node.
#[test]
fn a_job_remembers_its_gpu() {
    let Some(driver) = Driver::lavapipe() else {
        return;
    };
    let home = Home::new();
    let module = home.program("device-in-a-loop");
    let state = format!("--state={}", home.file("state").display());
    let file = home.file("job.ckpt");
    let at = "--checkpoint-at=500";
    let run = |more: &[&str]| {
        let mut command = driver.plain(&home, "run");
        command.args([&state, at]).args(more).arg(&module);
        Done::of(&mut command)
    };
    let named = format!("--gpu={}", driver.name);
    run(&[&named, "--gpu-memory=64MiB"]).expect(CAPTURED);
    let job = std::fs::read_dir(home.file("state")).unwrap().flatten();
    let record = job
        .map(|entry| entry.path().join("job.json"))
        .find(|path| path.exists());
    let record: Value = serde_json::from_slice(&std::fs::read(record.unwrap()).unwrap()).unwrap();
    assert_eq!(record["gpu"]["adapter"]["name"], driver.name);
    assert_eq!(record["gpu"]["quota"]["bytes"], 64 << 20);
    run(&["--no-gpu"]).expect_refusal(CONFIG, &["uses a GPU", "lent none"]);
    run(&[]).expect(CAPTURED);

    let to = format!("--checkpoint-to={}", file.display());
    let once = |options: &[&str]| {
        let mut command = driver.plain(&home, "run");
        Done::of(command.args([&named, at, &to]).args(options).arg(&module))
    };
    once(&[]).expect(CAPTURED);
    let jobs = home.wherry(["ps", "--all", "--json"]).expect(0);
    let jobs: Value = serde_json::from_slice(&jobs.stdout).unwrap();
    let id = jobs[0]["id"].as_str().unwrap().to_owned();
    let checkpoint = home.write("copy.ckpt", std::fs::read(&file).unwrap());
    Done::of(driver.plain(&home, "resume").arg(&id)).expect(11);

    let other = Home::new();
    let resume = |options: &[&str]| {
        let mut command = driver.plain(&other, "resume");
        command.args(options).arg("--module").arg(&module);
        Done::of(command.arg(&checkpoint))
    };
    resume(&[&policy(&other, "")]).expect_refusal(POLICY, &["gpu"]);
    resume(&[&policy(&other, GENEROUS)]).expect(11);
    resume(&["--no-gpu"]).expect_refusal(CONFIG, &["uses a GPU", "lent none"]);
}

#[test]
fn a_module_that_imports_something_else_is_refused() {
    let home = Home::new();
    let text = r#"(module (import "wherry_gpu" "teleport" (func)) (func (export "_start")))"#;
    std::fs::write(home.file("wrong.wasm"), wat::parse_str(text).unwrap()).unwrap();
    let refused = home.wherry(["run", "--gpu", "wrong.wasm"]);
    refused.expect_refusal(BAD_DATA, &["wherry_gpu", "teleport"]);
}

/// What the policy grants of memory and time bounds the program, and the receipt says what it used.
#[test]
fn a_policy_bounds_what_is_used_of_a_gpu_and_the_receipt_tells_it() {
    let (Some(driver), Some(module)) = (Driver::lavapipe(), Workload::Built("gpu/matmul").module())
    else {
        return;
    };
    let home = Home::new();
    let (receipt, checkpoint) = (home.file("receipt.json"), home.file("job.ckpt"));
    let grants = |memory: &str, time: &str| {
        let gpu = format!("[gpu]\nadapter = \"any\"\nmemory = \"{memory}\"\ntime = \"{time}\"");
        policy(&home, &gpu)
    };
    let to = format!("--receipt={}", receipt.display());
    let run = |policy: String| {
        let capture = format!("--checkpoint-to={}", checkpoint.display());
        let mut command = driver.command(&home, "run", [&policy, &to, &capture]);
        Done::of(command.arg(&module).args(["192", "16"]))
    };
    let used = || {
        let shown = home.wherry(["receipt", "verify", "--json", receipt.to_str().unwrap()]);
        let shown: Value = serde_json::from_slice(&shown.expect(0).stdout).unwrap();
        let receipt = &shown["receipt"];
        let number = |name: &str| receipt["used"][name].as_u64().unwrap();
        let outcome = receipt["outcome"].as_str().unwrap().to_owned();
        (outcome, number("gpu_bytes"), number("gpu_ms"))
    };
    // Three matrices, and one more to read from.
    let matrix = 192 * 192 * 4;
    run(grants("1 GiB", "1h")).expect(0);
    let (outcome, all, time) = used();
    assert!(outcome == "exited" && all >= 4 * matrix && time > 0);

    let refused = run(grants("400 kB", "1h"));
    assert_ne!(refused.code, Some(0));
    assert!(
        refused.stderr.contains("Out of Memory"),
        "{}",
        refused.stderr
    );
    let (_, bytes, _) = used();
    assert!((1..=400_000).contains(&bytes), "{bytes}");

    run(grants("1 GiB", "1ms")).expect(TIME_LIMIT);
    let (outcome, _, before) = used();
    assert!(outcome == "time-limit" && before >= 1, "{before}");
    let mut resume = driver.command(&home, "resume", [&grants("1 GiB", "1h"), &to]);
    Done::of(resume.arg(&checkpoint)).expect(0);
    let (outcome, bytes, time) = used();
    assert!(
        outcome == "exited" && bytes == all && time > before,
        "{time}"
    );
}
