//! Jobs whose processes die while the one that answers for them lives: that is said by name, counted,
//! and the job goes on from its last checkpoint.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use wherry_tests::{Done, Home, Running, skip};

const INTERNAL: i32 = 70;
const CONFIG: i32 = 78;

/// A job that has left a checkpoint and runs on.
struct Job {
    home: Home,
    running: Running,
    id: String,
}

impl Job {
    fn start(program: &str) -> Self {
        let home = Home::new();
        let module = home.program(program);
        fs::create_dir(home.file("lent")).expect("a directory");
        let dir = format!("--dir={}::/", home.file("lent").display());
        let out = format!("--output={}", home.file("out").display());
        let module = module.to_str().expect("a name");
        let options = ["run", "--no-scratch", "--memory=256MiB", &dir, &out, module];
        let running = home.start(options);
        until(|| fs::read(home.file("out")).is_ok_and(|out| out == b"running\n"));
        let listed = home.wherry(["ps", "--json"]).expect(0).text();
        let listed: Value = serde_json::from_str(&listed).expect("JSON");
        let id = listed[0]["id"].as_str().expect("an id").to_owned();
        home.wherry(["checkpoint", "--continue", &id]).expect(0);
        Job { home, running, id }
    }

    /// The process that runs it.
    fn process(&self) -> Pid {
        let parent = format!("PPid:\t{}", self.running.id());
        let is_child = |process: &PathBuf| {
            let status = fs::read_to_string(process.join("status")).unwrap_or_default();
            let command = fs::read(process.join("cmdline")).unwrap_or_default();
            status.lines().any(|line| line == parent) && command.starts_with(b"wherry-job\0")
        };
        let processes = fs::read_dir("/proc").expect("readable").flatten();
        let mut processes = processes.map(|entry| entry.path());
        let process = processes.find(is_child).expect("it runs");
        let name = process.file_name().and_then(|name| name.to_str());
        let pid = name.and_then(|name| name.parse().ok());
        Pid::from_raw(pid.expect("a number")).expect("a process")
    }

    fn stop(&self) {
        fs::write(self.home.file("lent/stop"), "").expect("written");
    }

    /// It died, which has this exit code and is said in these words; and nothing is lost.
    #[track_caller]
    fn has_died(self, code: i32, words: &[&str]) {
        let Job { home, running, id } = self;
        running.wait().expect_refusal(code, words);
        let listed = home.wherry(["ps", "--all", "--json"]).expect(0).text();
        let listed: Value = serde_json::from_str(&listed).expect("JSON");
        assert_eq!(listed[0]["state"], "lost");
        let receipt = receipt(&home, &id);
        assert_eq!(receipt["outcome"], "died");
        assert_eq!(receipt["exit"], code);
        assert_eq!(receipt["lineage"]["last"]["sequence"], 1);
        // What the node has seen of it, in steps of 10 ms: of so short a run perhaps nothing.
        assert!(receipt["used"]["cpu_ms"].is_u64(), "{receipt}");

        fs::write(home.file("lent/stop"), "").expect("written");
        home.wherry(["resume", "--strict", &id]).expect(0);
        let out = fs::read(home.file("out")).expect("it is there");
        assert_eq!(out, b"running\nstopped\n");
        assert_eq!(self::receipt(&home, &id)["outcome"], "exited");
    }
}

fn receipt(home: &Home, id: &str) -> Value {
    let done: Done = home.wherry(["receipt", "verify", "--json", id]);
    let verified: Value = serde_json::from_slice(&done.expect(0).stdout).expect("JSON");
    verified["receipt"].clone()
}

#[track_caller]
fn killed_by(signal: Signal, name: &str) {
    let job = Job::start("until");
    let process = job.process();
    // The first may come while the engine takes it for the program's, and only once.
    while kill_process(process, signal).is_ok() {
        std::thread::yield_now();
    }
    job.has_died(INTERNAL, &["the process of the job died", name, "resume"]);
}

#[test]
fn killed_from_outside() {
    killed_by(Signal::KILL, "SIGKILL");
}

#[test]
fn killed_by_a_fault() {
    killed_by(Signal::SEGV, "SIGSEGV");
}

#[test]
fn killed_for_a_system_call() {
    killed_by(Signal::SYS, "SIGSYS");
}

#[test]
fn killed_by_itself() {
    killed_by(Signal::ABORT, "SIGABRT");
}

/// The limit of its control group is lowered to what it has.
#[test]
fn killed_for_its_memory() {
    let job = Job::start("hoard");
    let Some(group) = group_of(job.process()) else {
        skip!("there is no control group for memory");
    };
    let usage = fs::read_to_string(group.join("memory.usage_in_bytes")).expect("readable");
    let usage: u64 = usage.trim().parse().expect("a number");
    // Rather than writing it to a disk, if there is one for that.
    fs::write(group.join("memory.swappiness"), "0").expect("its owner may");
    let limit = (usage + (8 << 20)).to_string();
    fs::write(group.join("memory.limit_in_bytes"), limit).expect("its owner may");
    job.stop();
    job.has_died(CONFIG, &["it took more than", "bytes of memory"]);
}

/// The group of version 1 that was made for a process.
fn group_of(process: Pid) -> Option<PathBuf> {
    let groups = format!("/proc/{}/cgroup", process.as_raw_nonzero());
    let groups = fs::read_to_string(groups).ok()?;
    let is_memory = |line: &&str| line.split(':').nth(1) == Some("memory");
    let path = groups.lines().find(is_memory)?.splitn(3, ':').nth(2)?;
    let name = Path::new(path).file_name()?.to_str()?;
    if !name.starts_with("wherry-") {
        return None;
    }
    // Whatever of the hierarchy is mounted, the group is below the one of this process.
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = own.lines().find(is_memory)?.splitn(3, ':').nth(2)?;
    let below = Path::new(path).strip_prefix(own).ok()?;
    let mounted = ["/sys/fs/cgroup/memory", "/sys/fs/cgroup"].map(Path::new);
    let places = mounted.iter().flat_map(|point| {
        let whole = point.join(path.trim_start_matches('/'));
        [whole, point.join(below)]
    });
    places
        .into_iter()
        .find(|place| place.join("memory.usage_in_bytes").is_file())
}

/// Waits for something that another process does.
fn until(mut happened: impl FnMut() -> bool) {
    while !happened() {
        std::thread::yield_now();
    }
}
