//! What the policy of a node grants, and what becomes of jobs that want more.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use wherry_tests::{Done, Home};

const CAPTURED: i32 = 85;
const BAD_DATA: i32 = 65;
const NOT_NOW: i32 = 75;
const POLICY: i32 = 79;
/// `dquot` of preview 1.
const QUOTA: i32 = 19;

/// Lets modules in files run, and `more`.
fn policy(home: &Home, more: &str) -> String {
    let text = format!(
        "{more}\n[who]\nfiles = true\n[signatures]\nunsigned = 'allow'\ncheckpoints = {{ unsigned = 'allow' }}\n"
    );
    let path = home.write("policy.toml", text);
    format!("--policy={}", path.display())
}

fn run(home: &Home, policy: &str, options: &[&str], program: &str, args: &[&str]) -> Done {
    let module = home.program(program);
    let mut command = home.command(["run", policy]);
    command.args(options).arg(module).args(args);
    Done::of(command)
}

#[test]
fn what_is_not_granted_is_refused_before_it_is_compiled() {
    let home = Home::new();
    let empty = home.write("policy.toml", "");
    let module = home.program("count");
    let other = home.file("other");
    let arguments = [
        "run",
        "--policy",
        empty.to_str().unwrap(),
        "--home",
        other.to_str().unwrap(),
    ];
    let done = Done::of(home.command(arguments).arg(&module));
    done.expect_refusal(POLICY, &["origin", "no files", "signer", "unsigned"]);
    assert!(!other.join("cache").exists() && !other.join("jobs").exists());
}

#[test]
fn a_policy_holds_where_it_lies() {
    let home = Home::new();
    let module = home.program("count");
    fs::write(home.directory().join("policy.toml"), "").unwrap();
    let done = home.wherry(["run", module.to_str().unwrap()]);
    done.expect_refusal(POLICY, &["origin"]);
    fs::write(home.directory().join("policy.toml"), "[limts]").unwrap();
    let done = home.wherry(["run", module.to_str().unwrap()]);
    done.expect_refusal(
        BAD_DATA,
        &["policy.toml", "line 1, column 2", "`limits`", "^^^^^"],
    );
}

#[test]
fn what_a_job_writes_is_limited() {
    let home = Home::new();
    let limits =
        "[limits]\noutput = \"10000 B\"\nlog = \"5000 B\"\nscratch = \"9000 B\"\nfiles = 300";
    let policy = policy(&home, limits);
    let flood = |what: &str| run(&home, &policy, &[], "flood", &[what]);
    let lengths = |done: &Done| (done.stdout.len(), done.stderr.len());
    assert_eq!(lengths(&flood("1").expect(QUOTA)), (10_000, 0));
    assert_eq!(lengths(&flood("2").expect(QUOTA)), (0, 5_000));
    assert_eq!(lengths(&flood("f").expect(QUOTA)), (0, 0));
    assert_eq!(lengths(&flood("d").expect(QUOTA)), (0, 0));
    // Whoever starts a job can only take away.
    for (options, length) in [
        (["--max-output=1KiB"], 1 << 10),
        (["--max-output=1TiB"], 10_000),
    ] {
        let done = run(&home, &policy, &options, "flood", &["1"]).expect(QUOTA);
        assert_eq!(done.stdout.len(), length);
    }
}

/// It counts over the whole life of a job, wherever that goes on.
#[test]
fn a_job_that_goes_on_has_written_before() {
    let home = Home::new();
    let to = home.file("job.ckpt");
    let to_option = format!("--checkpoint-to={}", to.display());
    let options = ["--max-output=35B", "--checkpoint-at=3000", &to_option];
    let first = run(&home, &policy(&home, ""), &options, "count", &[]).expect(CAPTURED);
    let written = first.stdout.len();
    assert!((7..35).contains(&written), "{written}");
    // The program traps when it cannot write; the last line is cut.
    let other = Home::new();
    let module = format!("--module={}", home.program("count").display());
    let resumed = other
        .wherry(["resume", &module, to.to_str().unwrap()])
        .expect(134);
    assert_eq!(written + resumed.stdout.len(), 35);
    // Today's policy of this node counts.
    let smaller = policy(&home, "[limits]\noutput = \"10 B\"");
    let policed = other.wherry(["resume", &smaller, &module, to.to_str().unwrap()]);
    assert_eq!(
        policed.expect(134).stdout.len(),
        10_usize.saturating_sub(written)
    );
}

#[test]
fn memory_that_is_not_granted_is_not_there() {
    let home = Home::new();
    let grow = |memory: &str| {
        let policy = policy(&home, &format!("[limits]\nmemory = \"{memory}\""));
        run(&home, &policy, &["--memory=1TiB"], "grow", &[])
    };
    grow("8MiB").expect(7);
    grow("64KiB").expect(0);
    grow("1KiB").expect_refusal(POLICY, &["memory", "64 KiB", "1 KiB"]);
}

#[test]
fn directories_are_lent_by_the_policy_alone() {
    let home = Home::new();
    let (lent, other) = (home.file("lent"), home.file("other"));
    for directory in [&lent, &other] {
        fs::create_dir(directory).unwrap();
    }
    let lent = lent.canonicalize().unwrap();
    let mounts = format!("[[mounts]]\nhost = {lent:?}");
    let policy = policy(&home, &mounts);
    let dir = |host: &PathBuf| format!("--dir={}::/data", host.display());
    run(&home, &policy, &[&dir(&lent)], "count", &[]).expect(COUNTED);
    run(&home, &policy, &[&dir(&other)], "count", &[])
        .expect_refusal(POLICY, &["/data", "[[mounts]]"]);
    // A link does not lead out.
    let link = lent.join("link");
    std::os::unix::fs::symlink(&other, &link).unwrap();
    run(&home, &policy, &[&dir(&link)], "count", &[]).expect_refusal(POLICY, &["/data"]);
    // It may only be read, whatever is asked for.
    let done = run(
        &home,
        &policy,
        &[&format!("--dir={}::/", lent.display())],
        "flood",
        &["f"],
    );
    done.expect(134);
}

/// What `count` exits with.
const COUNTED: i32 = 6;

#[test]
fn at_another_hour_the_answer_is_not_now() {
    let home = Home::new();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let hour = now.as_secs() / 3600 % 24;
    let hours = |from: u64, to: u64| {
        let when = format!(
            "[when]\nhours = [\"{:02}:00-{:02}:00\"]",
            from % 24,
            to % 24
        );
        run(&home, &policy(&home, &when), &[], "count", &[])
    };
    hours(hour + 23, hour + 3).expect(COUNTED);
    hours(hour + 3, hour + 23).expect_refusal(NOT_NOW, &["hours", "UTC"]);
    let when = "[when.signal]\nfile = \"/no/such/file\"\nat_most = 1";
    run(&home, &policy(&home, when), &[], "count", &[]).expect_refusal(NOT_NOW, &["/no/such/file"]);
}

#[test]
fn the_explanation_is_what_happens() {
    let home = Home::new();
    let module = home.program("grow");
    let explain = |limits: &str| {
        let policy = policy(&home, limits);
        let done = home.wherry([
            "explain",
            "--json",
            &policy,
            "--memory=1GiB",
            module.to_str().unwrap(),
        ]);
        let value: Value = serde_json::from_slice(&done.stdout).unwrap();
        let memory = value["items"]
            .as_array()
            .unwrap()
            .iter()
            .find(|row| row["item"] == "memory");
        (done.code, value["fits"].clone(), memory.unwrap().clone())
    };
    let (code, fits, memory) = explain("[limits]\nmemory = \"8 MiB\"");
    assert_eq!((code, fits), (Some(0), true.into()));
    assert_eq!(memory["request"], 1 << 30);
    assert_eq!(memory["policy"], 8 << 20);
    assert_eq!(memory["grant"], 8 << 20);
    assert_eq!(memory["verdict"], "reduced");
    let (code, fits, memory) = explain("[limits]\nmemory = \"1 KiB\"");
    assert_eq!((code, fits), (Some(POLICY), false.into()));
    assert_eq!(memory["verdict"], "refused");
    let table = home
        .wherry(["explain", module.to_str().unwrap()])
        .expect(0)
        .text();
    assert!(
        table.contains("REQUEST") && table.contains("memory"),
        "{table}"
    );
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let home = Home::new();
    let file = home.write("bad.toml", "[limits]\nmemry = 1\nfiles = -1\n");
    let done = home
        .wherry(["policy", "check", file.to_str().unwrap()])
        .expect(BAD_DATA);
    for line in [
        "line 2, column 1",
        "did you mean `memory`?",
        "line 3, column 9",
    ] {
        assert!(done.text().contains(line), "{}", done.text());
    }
    let json = home
        .wherry(["policy", "check", "--json", file.to_str().unwrap()])
        .expect(BAD_DATA);
    let value: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(value["problems"][1]["line"], 3);
    // What is shown is a policy itself.
    let good = home.write("good.toml", "");
    let shown = home
        .wherry(["policy", "show", "--policy", good.to_str().unwrap()])
        .expect(0);
    let shown = home.write("shown.toml", shown.stdout);
    home.wherry(["policy", "check", shown.to_str().unwrap()])
        .expect(0);
    let missing = home.wherry(["policy", "check", "no-such-file.toml"]);
    missing.expect_refusal(66, &["no-such-file.toml"]);
}

#[test]
fn checkpoints_are_encrypted_if_the_policy_wants_it() {
    let home = Home::new();
    let policy = policy(&home, "[checkpoints]\nencrypted = true");
    run(&home, &policy, &[], "count", &[]).expect_refusal(POLICY, &["encrypted", "--key"]);
    let key = home.file("key");
    home.wherry(["key", "new", key.to_str().unwrap()]).expect(0);
    let key = format!("--key={}", key.display());
    run(&home, &policy, &[&key], "count", &[]).expect(COUNTED);
}
