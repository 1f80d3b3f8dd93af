//! Jobs that are interrupted from outside, and what becomes of them.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use wherry_tests::{Done, Home, Running};

const CAPTURED: i32 = 85;
const KILLED: i32 = 130;

/// Two homes, a program, and where its checkpoint goes.
struct Setting {
    home: Home,
    other: Home,
    module: PathBuf,
    checkpoint: PathBuf,
}

impl Setting {
    fn new(program: &str) -> Self {
        let home = Home::new();
        let (module, checkpoint) = (home.program(program), home.file("job.ckpt"));
        fs::create_dir(home.file("mounted")).expect("a directory");
        Setting {
            home,
            other: Home::new(),
            module,
            checkpoint,
        }
    }

    fn options(&self) -> [String; 2] {
        [
            format!("--dir={}::/", self.home.file("mounted").display()),
            format!("--checkpoint-to={}", self.checkpoint.display()),
        ]
    }

    fn start(&self, options: &[&str]) -> Running {
        let [dir, to] = self.options();
        let arguments = ["run", "--no-scratch", &dir, &to];
        let module = self.module.to_str().expect("a name");
        self.home
            .start(arguments.iter().chain(options).chain([&module]))
    }

    /// Resumes the checkpoint in another home.
    fn resume(&self, from: &Path, options: &[&str]) -> Running {
        let [dir, to] = self.options();
        let module = format!("--module={}", self.module.display());
        let arguments = ["resume", &dir, &to, &module];
        let from = from.to_str().expect("a name");
        self.other
            .start(arguments.iter().chain(options).chain([&from]))
    }

    /// Makes `until` stop, and asserts that it had not stopped before.
    fn stop(&self) {
        fs::write(self.home.file("mounted/stop"), "").expect("written");
    }
}

#[track_caller]
fn assert_ends(done: Done, stdout: &str) {
    assert_eq!(done.expect(0).text(), stdout);
}

#[test]
fn sigusr1_suspends_a_job_that_computes() {
    suspended_by(Signal::USR1);
}

#[test]
fn sigterm_suspends_a_job() {
    suspended_by(Signal::TERM);
}

#[test]
fn the_first_interrupt_suspends_a_job() {
    suspended_by(Signal::INT);
}

#[track_caller]
fn suspended_by(signal: Signal) {
    let setting = Setting::new("until");
    let mut job = setting.start(&[]);
    job.wait_for("running");
    job.signal(signal);
    assert_eq!(job.wait().expect(CAPTURED).text(), "running\n");
    let resumed = setting.resume(&setting.checkpoint, &[]);
    setting.stop();
    assert_ends(resumed.wait(), "stopped\n");
}

/// The first interrupt's checkpoint cannot be written, so that the job goes on.
#[test]
fn the_second_interrupt_kills() {
    let mut setting = Setting::new("until");
    let directory = setting.home.file("gone");
    fs::create_dir(&directory).expect("made");
    setting.checkpoint = directory.join("job.ckpt");
    let mut job = setting.start(&[]);
    job.wait_for("running");
    fs::remove_dir(&directory).expect("removed");
    // Signals that come together count once.
    while job.runs() {
        job.signal(Signal::INT);
        std::thread::yield_now();
    }
    assert_eq!(job.wait().expect(KILLED).text(), "running\n");
}

#[test]
fn with_continue_a_job_goes_on_and_its_checkpoint_is_good() {
    let setting = Setting::new("until");
    let mut job = setting.start(&["--continue"]);
    job.wait_for("running");
    job.signal(Signal::USR1);
    until(|| setting.checkpoint.exists());
    assert!(job.runs());
    setting.stop();
    assert_ends(job.wait(), "running\nstopped\n");
    assert_ends(setting.resume(&setting.checkpoint, &[]).wait(), "stopped\n");
}

/// A job that checkpoints itself loses what it did since the last one, and no more.
#[test]
fn after_kill_9_the_last_checkpoint_is_resumed() {
    let setting = Setting::new("until");
    let mut job = setting.start(&["--continue", "--checkpoint-after=1ms"]);
    job.wait_for("running");
    // The first may be from before it said so, and the second have been captured before.
    let mut seen = std::collections::BTreeSet::new();
    until(|| {
        seen.extend(std::fs::read(&setting.checkpoint).ok());
        seen.len() > 2
    });
    job.signal(Signal::KILL);
    let killed = job.wait();
    assert_eq!((killed.code, killed.text()), (None, "running\n".to_owned()));
    setting.stop();
    assert_ends(setting.resume(&setting.checkpoint, &[]).wait(), "stopped\n");
}

#[test]
fn a_lost_job_is_shown_and_resumed_by_its_name() {
    let setting = Setting::new("until");
    let mut job = setting.start(&[]);
    job.wait_for("running");
    let (id, state) = only_job(&setting.home);
    assert_eq!(state, "running");
    let to = setting.checkpoint.to_str().expect("a name");
    setting
        .home
        .wherry(["checkpoint", "--continue", "--to", to, &id])
        .expect(0);
    job.signal(Signal::KILL);
    assert_eq!(job.wait().code, None);
    assert_eq!(only_job(&setting.home), (id.clone(), "lost".to_owned()));
    setting.stop();
    assert_ends(setting.home.wherry(["resume", &id]), "stopped\n");
}

#[test]
fn another_process_suspends_a_job_and_kills_one() {
    let setting = Setting::new("until");
    let mut job = setting.start(&[]);
    job.wait_for("running");
    let (id, _) = only_job(&setting.home);
    setting.home.wherry(["checkpoint", &id]).expect(0);
    job.wait().expect(CAPTURED);
    assert_eq!(only_job(&setting.home).1, "suspended");

    let resumed = setting.home.start(["resume", &id]);
    until(|| only_job(&setting.home).1 == "running");
    setting.home.wherry(["kill", &id]).expect(0);
    resumed.wait().expect(KILLED);
}

#[test]
fn a_read_that_waits_for_input_is_captured_and_resumed() {
    let setting = Setting::new("echo");
    let mut job = setting.start(&[]);
    job.wait_for("ready");
    let mut input = job.stdin();
    input.write_all(b"one\n").expect("it reads");
    job.wait_for("one");
    job.signal(Signal::USR1);
    assert_eq!(job.wait().expect(CAPTURED).text(), "ready\none\n");
    drop(input);

    let mut resumed = setting.resume(&setting.checkpoint, &[]);
    let mut input = resumed.stdin();
    input.write_all(b"two\n").expect("it reads");
    resumed.wait_for("two");
    drop(input);
    assert_ends(resumed.wait(), "two\n");
}

/// The program itself checks that it did not wake too early. Of the sleep that is left only
/// that much is slept, which `runtime/wasi` tests with a clock of its own.
#[test]
fn a_sleep_is_captured_and_resumed() {
    let setting = Setting::new("sleep");
    let mut job = setting.start(&[]);
    job.wait_for("sleeps");
    job.signal(Signal::USR1);
    assert_eq!(job.wait().expect(CAPTURED).text(), "sleeps\n");
    assert_ends(setting.resume(&setting.checkpoint, &[]).wait(), "awake\n");
}

/// No file may be larger than 1 MiB, and the checkpoint has more: as on a full disk.
#[test]
fn when_the_disk_is_full_the_previous_checkpoint_is_kept() {
    let setting = Setting::new("fill");
    let previous = b"the previous checkpoint";
    fs::write(&setting.checkpoint, previous).expect("written");
    let [_, to] = setting.options();
    let module = setting.module.to_str().expect("a name");
    let arguments = ["run", "--no-scratch", "--checkpoint-at=300000", &to, module];
    let limit = "trap '' XFSZ; ulimit -f 2048";
    let done = Done::of(setting.home.command_after(limit, arguments));
    done.expect_refusal(74, &["job.ckpt", "too large"]);
    assert_eq!(fs::read(&setting.checkpoint).expect("readable"), previous);
    let files = fs::read_dir(setting.checkpoint.parent().expect("a directory"));
    let left = files
        .expect("readable")
        .flatten()
        .map(|file| file.file_name());
    let mut left: Vec<_> = left.collect();
    left.sort();
    assert_eq!(left, ["fill.wasm", "home", "job.ckpt", "mounted"]);
}

/// The identity and the state of the only job in a home.
fn only_job(home: &Home) -> (String, String) {
    let listed = home.wherry(["ps", "--all", "--json"]).expect(0).text();
    let jobs: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
    let field = |name| jobs[0][name].as_str().expect(name).to_owned();
    assert_eq!(jobs.as_array().map(Vec::len), Some(1), "{listed}");
    (field("id"), field("state"))
}

/// Waits for something that another process does.
fn until(mut happened: impl FnMut() -> bool) {
    while !happened() {
        std::thread::yield_now();
    }
}
