//! The contract with schedulers: the same command, however often it is interrupted, ends the job
//! once, with every byte of its output once. `docs/integrating.md` has it in words.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;
use wherry_tests::{Done, Home, Running, Workload, skip};

const USAGE: i32 = 64;
const BAD_DATA: i32 = 65;
const UNAVAILABLE: i32 = 69;
const CAPTURED: i32 = 85;
/// What `count` exits with.
const COUNTED: i32 = 6;

/// A command with a state directory, and where its output goes.
pub(crate) struct Job {
    pub(crate) home: Home,
    module: PathBuf,
    arguments: Vec<&'static str>,
}

impl Job {
    pub(crate) fn of(program: &str) -> Self {
        let home = Home::new();
        let module = home.program(program);
        Job {
            home,
            module,
            arguments: Vec::new(),
        }
    }

    pub(crate) fn of_workload(workload: Workload, arguments: &[&'static str]) -> Option<Self> {
        let module = workload.module()?;
        let arguments = arguments.to_vec();
        Some(Job {
            home: Home::new(),
            module,
            arguments,
        })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.file(name)
    }

    /// `wherry run --json --state … --output … OPTIONS MODULE ARGUMENTS`
    pub(crate) fn command(&self, options: &[&str]) -> Command {
        let to = |option: &str, name: &str| format!("--{option}={}", self.path(name).display());
        let mut command = self.home.command(["run", "--json"]);
        command.args([to("state", "state"), to("output", "out"), to("log", "log")]);
        command
            .args(options)
            .arg(&self.module)
            .args(&self.arguments);
        command
    }

    pub(crate) fn run(&self, options: &[&str]) -> Done {
        Done::of(self.command(options))
    }

    pub(crate) fn written(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_default()
    }

    fn start(&self, options: &[&str]) -> Running {
        let to = |option: &str, name: &str| format!("--{option}={}", self.path(name).display());
        let fixed = [to("state", "state"), to("output", "out")];
        let arguments = ["run", "--json"]
            .map(str::to_owned)
            .into_iter()
            .chain(fixed);
        let options = options.iter().map(|option| (*option).to_owned());
        let module = self.module.to_str().expect("a name").to_owned();
        self.home.start(arguments.chain(options).chain([module]))
    }
}

/// The last line of standard error.
fn outcome(done: &Done) -> Value {
    let line = done.stderr.lines().last().expect("a line");
    serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))
}

/// What `ledger` writes.
fn ledger() -> Vec<u8> {
    (0..1000)
        .flat_map(|number| format!("entry {number:04}\n").into_bytes())
        .collect()
}

#[test]
fn the_same_command_goes_on_until_the_job_has_ended_once() {
    let job = Job::of("ledger");
    let mut legs = 0;
    loop {
        let done = job.run(&["--checkpoint-at=40000000"]);
        if done.code != Some(CAPTURED) {
            done.expect(0);
            break;
        }
        legs += 1;
        assert!(legs < 20, "it goes on from where it was");
    }
    assert!(legs > 1);
    assert_eq!(job.written("out"), ledger());
    assert_eq!(job.written("log"), ledger());
    // Once more, nothing is done.
    fs::remove_file(job.path("out")).unwrap();
    let again = job.run(&[]).expect(0);
    assert_eq!(outcome(&again)["again"], true);
    assert!(!job.path("out").exists());
}

#[test]
fn the_code_of_the_program_is_remembered() {
    let job = Job::of("count");
    let first = job.run(&[]).code;
    assert_eq!(first, Some(COUNTED));
    assert_eq!(job.run(&[]).code, first);
    let trap = Job::of("trap");
    assert_eq!(trap.run(&[]).code, Some(134));
    assert_eq!(trap.run(&[]).code, Some(134));
}

#[test]
fn signals_leave_a_checkpoint_and_85() {
    for signal in [Signal::USR1, Signal::TERM, Signal::INT] {
        let job = Job::of("until");
        fs::create_dir(job.path("mounted")).unwrap();
        let dir = format!("--dir={}::/", job.path("mounted").display());
        let options = ["--no-scratch", &dir, "--grace=1h"];
        let running = job.start(&options);
        until(|| job.written("out") == b"running\n");
        running.signal(signal);
        running.wait().expect(CAPTURED);
        let running = job.start(&options);
        fs::write(job.path("mounted/stop"), "").unwrap();
        running.wait().expect(0);
        assert_eq!(job.written("out"), b"running\nstopped\n");
    }
}

/// The checkpoint cannot be written, as there is no directory for it; the grace time ends that.
#[test]
fn after_the_grace_time_the_job_has_left() {
    let job = Job::of("until");
    fs::create_dir(job.path("mounted")).unwrap();
    let dir = format!("--dir={}::/", job.path("mounted").display());
    let options = ["--no-scratch", &dir, "--grace=50ms"];
    let running = job.start(&options);
    until(|| job.written("out") == b"running\n");
    let id = only_job(&job.path("state"));
    fs::write(id.join("checkpoints"), "in the way").unwrap();
    running.signal(Signal::TERM);
    let done = running.wait().expect(CAPTURED);
    assert!(done.stderr.contains("grace"), "{}", done.stderr);
    // From the beginning, since there was no checkpoint.
    fs::remove_file(id.join("checkpoints")).unwrap();
    let running = job.start(&options);
    fs::write(job.path("mounted/stop"), "").unwrap();
    running.wait().expect(0);
    assert_eq!(job.written("out"), b"running\nstopped\n");
}

#[test]
fn a_state_directory_of_another_job_is_refused_by_name() {
    let job = Job::of("count");
    job.run(&["--checkpoint-at=3000"]).expect(CAPTURED);
    let before = tree(&job.path("state"));
    assert!(before.len() > 2, "a record, a lock, a checkpoint");
    let state = format!("--state={}", job.path("state").display());
    let other = job.home.program("journal");
    let refused = job.home.wherry(["run", &state, other.to_str().unwrap()]);
    refused.expect_refusal(USAGE, &["state of another job", "count.wasm", "sha256:"]);
    let count = job.path("count.wasm");
    let refused = job
        .home
        .wherry(["run", &state, count.to_str().unwrap(), "more"]);
    refused.expect_refusal(USAGE, &["another job", "\"more\""]);
    let refused = job
        .home
        .wherry(["run", &state, "--env=A=B", count.to_str().unwrap()]);
    refused.expect_refusal(USAGE, &["another job", "environment"]);
    let own = format!("--state={}", job.path("").display());
    let refused = job.home.wherry(["run", &own, count.to_str().unwrap()]);
    refused.expect_refusal(USAGE, &["not the state of a job"]);
    assert_eq!(tree(&job.path("state")), before);
    job.run(&[]).expect(COUNTED);
}

#[test]
fn of_two_processes_one_works() {
    let job = Job::of("until");
    fs::create_dir(job.path("mounted")).unwrap();
    let dir = format!("--dir={}::/", job.path("mounted").display());
    let running = job.start(&["--no-scratch", &dir]);
    until(|| job.written("out") == b"running\n");
    let second = job.run(&["--no-scratch", &dir]);
    second.expect_refusal(UNAVAILABLE, &["in use by another process"]);
    fs::write(job.path("mounted/stop"), "").unwrap();
    running.wait().expect(0);
}

#[test]
fn output_that_lost_bytes_is_not_made_up() {
    let job = Job::of("ledger");
    job.run(&["--checkpoint-at=40000000"]).expect(CAPTURED);
    let written = job.written("out");
    assert!(written.len() > 11);
    fs::write(job.path("out"), &written[..11]).unwrap();
    job.run(&[])
        .expect_refusal(BAD_DATA, &["out", "11 bytes", &written.len().to_string()]);
    // Brought back, even with what a killed process wrote after it.
    fs::write(job.path("out"), [&written, &b"and more"[..]].concat()).unwrap();
    job.run(&[]).expect(0);
    assert_eq!(job.written("out"), ledger());
}

#[test]
fn events_tell_what_happens() {
    let job = Job::of("ledger");
    let events = |options: &str| {
        let file = job.path("events");
        let shell = format!("exec \"$@\" 7>{}", file.display());
        let mut command = Command::new("/bin/sh");
        let inner = job.command(&["--events=7", options]);
        command
            .args(["-c", &shell, "sh"])
            .arg(inner.get_program())
            .args(inner.get_args());
        for (name, value) in inner.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        let done = Done::of(command);
        let text = fs::read_to_string(file).unwrap();
        let lines = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"));
        (done, lines.collect::<Vec<Value>>())
    };
    let names = |events: &[Value]| {
        let name = |event: &Value| event["event"].as_str().unwrap().to_owned();
        events.iter().map(name).collect::<Vec<_>>()
    };
    let (done, first) = events("--checkpoint-at=40000000");
    done.expect(CAPTURED);
    assert_eq!(
        names(&first),
        ["started", "confined", "checkpointed", "finished"]
    );
    assert_eq!(first[1]["isolation"][0]["facility"], "process");
    assert_eq!(first[3]["exit"], CAPTURED);
    assert_eq!(first[2]["checkpoint"]["sequence"], 1);
    let (done, second) = events("--max-log=100B");
    done.expect(134);
    assert_eq!(
        names(&second),
        ["resumed", "confined", "limit-reached", "finished"]
    );
    assert_eq!(second[0]["from"]["sequence"], 1);
    assert_eq!(second[2]["limit"], "log");
    assert_eq!(second[0]["job"], first[0]["job"]);
    let closed = job.run(&["--events=200"]);
    closed.expect_refusal(USAGE, &["--events 200", "not open"]);
}

/// Nothing in it is compared with the clock.
#[test]
fn a_clock_that_jumps_changes_nothing() {
    let job = Job::of("ledger");
    job.run(&["--checkpoint-at=40000000"]).expect(CAPTURED);
    let record = only_job(&job.path("state")).join("job.json");
    let mut value: Value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
    for far in [0, u64::MAX / 1_000_000] {
        value["created"] = far.into();
        value["status"]["at"] = far.into();
        value["checkpoints"][0]["at"] = far.into();
        fs::write(&record, value.to_string()).unwrap();
        let done = job.run(&["--checkpoint-at=1000000"]).expect(CAPTURED);
        assert!(done.stderr.contains("\"resumed\""), "{}", done.stderr);
        value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
    }
    job.run(&[]).expect(0);
    assert_eq!(job.written("out"), ledger());
}

/// On a file system of its own, which is full, and then read-only.
#[test]
fn a_full_or_read_only_disk_is_named_and_the_state_stays() {
    let job = Job::of("ledger");
    let disk = job.path("disk");
    fs::create_dir(&disk).unwrap();
    symlink(disk.join("state"), job.path("state")).unwrap();
    symlink(disk.join("out"), job.path("out")).unwrap();
    let script = r#"
        set -eu; disk=$1; shift
        mount -t tmpfs -o size=256k none "$disk" || exit 99
        mkdir "$disk/state"; : >"$disk/out"
        "$@" --checkpoint-at=40000000 "$WASM" && exit 1 || [ $? = 85 ]
        cp "$disk/out" "$disk/before"
        dd if=/dev/zero of="$disk/fill" bs=4k 2>/dev/null || :
        "$@" "$WASM" 2>"$OUT.full" && exit 2 || echo "full $?"
        # Removed directories that Landlock had rules for are freed a moment after the process.
        for _ in $(seq 1000); do mount -o remount,ro "$disk" 2>/dev/null && break; done
        "$@" "$WASM" 2>"$OUT.ro" && exit 3 || echo "read-only $?"
        mount -o remount,rw "$disk"; rm "$disk/fill"
        "$@" "$WASM"; echo "then $?"
        cp "$disk/out" "$OUT"
    "#;
    let inner = job.command(&[]);
    let mut arguments: Vec<_> = inner.get_args().map(ToOwned::to_owned).collect();
    let module = arguments.pop().expect("the module");
    let mut command = Command::new("unshare");
    command
        .args(["-rm", "/bin/sh", "-c", script, "sh"])
        .arg(&disk)
        .arg(inner.get_program());
    command
        .args(arguments)
        .env("WASM", module)
        .env("OUT", job.path("result"));
    for (name, value) in inner.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    let Ok(output) = command.output() else {
        skip!("there is no unshare");
    };
    let done = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.code() == Some(99) || stderr.contains("unshare failed") {
        skip!("no file system can be mounted here");
    }
    let said = |name: &str| fs::read_to_string(job.path(name)).unwrap_or_default();
    let why = format!("{done}{stderr}{}{}", said("result.full"), said("result.ro"));
    assert_eq!(
        done.lines().collect::<Vec<_>>(),
        ["full 74", "read-only 73", "then 0"],
        "{why}"
    );
    assert!(
        said("result.full").to_lowercase().contains("no space"),
        "{why}"
    );
    assert!(
        said("result.ro").to_lowercase().contains("read-only"),
        "{why}"
    );
    assert_eq!(fs::read(job.path("result")).unwrap(), ledger());
}

/// The directory of the only job in a state directory.
pub(crate) fn only_job(state: &Path) -> PathBuf {
    let entries = fs::read_dir(state).expect("a directory").flatten();
    let mut jobs = entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir());
    jobs.next().expect("a job")
}

/// All files below a directory, with their contents.
fn tree(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(tree(&path));
        } else {
            files.push((path.clone(), fs::read(&path).unwrap_or_default()));
        }
    }
    files.sort();
    files
}

/// Waits for something that another process does.
fn until(happened: impl Fn() -> bool) {
    while !happened() {
        std::thread::yield_now();
    }
}
