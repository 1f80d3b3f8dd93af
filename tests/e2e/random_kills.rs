//! `kill -9` at random moments, again and again, until the same command has ended the job: no
//! checkpoint is unreadable, no byte of the output lost or doubled.
//!
//! `WHERRY_KILLS=1000` makes so many kills; without it there are some dozens.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use wherry_tests::{Random, Workload};

use crate::contract::Job;

/// What the kills did.
#[derive(Debug, Default)]
struct Tally {
    kills: u64,
    resumed: u64,
    runs: u64,
}

fn wanted() -> u64 {
    let number = std::env::var("WHERRY_KILLS").ok();
    number.map_or(24, |number| {
        number.parse().expect("WHERRY_KILLS is a number")
    })
}

/// Kills the job until it has ended in spite of that, as often as there are kills to be made.
#[expect(
    clippy::print_stdout,
    reason = "how many kills there were is worth knowing"
)]
fn survives(job: &dyn Fn() -> Option<Job>, every: &str, wanted: u64) {
    let Some(reference) = job() else {
        return;
    };
    warm_up(&reference, every);
    let reference = job().expect("as before");
    let started = std::time::Instant::now();
    reference.run(&[every]).expect(0);
    let whole = started.elapsed();
    let expected = (reference.written("out"), reference.written("log"));
    assert!(!expected.0.is_empty(), "the program writes something");
    let (mut random, mut tally) = (Random::new(), Tally::default());
    // A few kills may all come before the first checkpoint; many do not.
    while tally.kills < wanted || (tally.resumed == 0 && tally.kills < 50 * wanted) {
        tally.runs += 1;
        let job = job().expect("as before");
        // From shorter than a start to longer than the job; later more, so that it ends.
        let mut longest = u64::try_from(whole.as_micros()).expect("short") / 2;
        while !killed(&job, every, random.below(longest.max(1)), &mut tally) {
            longest += longest / 16;
        }
        let written = (job.written("out"), job.written("log"));
        assert!(
            written == expected,
            "after {tally:?}: the output is another"
        );
    }
    println!("{tally:?}");
    assert!(tally.resumed > 0, "it went on from checkpoints: {tally:?}");
}

/// Both forms of the module get compiled: a command that is killed while it compiles gets nowhere.
fn warm_up(job: &Job, every: &str) {
    let mut command = job.command(&[every]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("it starts");
    let has_checkpoint = || {
        let jobs = fs::read_dir(job.path("state"))
            .into_iter()
            .flatten()
            .flatten();
        jobs.into_iter()
            .any(|one| one.path().join("checkpoints/1").exists())
    };
    while child.try_wait().expect("a child").is_none() && !has_checkpoint() {
        std::thread::yield_now();
    }
    child.kill().expect("a child");
    child.wait().expect("a child");
    job.run(&[every]).expect(0);
}

/// Runs the command, and kills it after `after` microseconds. Returns whether it had ended.
fn killed(job: &Job, every: &str, after: u64, tally: &mut Tally) -> bool {
    let said = job.path("stderr");
    let file = fs::File::create(&said).expect("created");
    let mut command = job.command(&[every]);
    command.stdout(Stdio::null()).stderr(file);
    let mut child = command.spawn().expect("it starts");
    std::thread::sleep(Duration::from_micros(after));
    child.kill().expect("a child");
    let status = child.wait().expect("a child");
    let said = fs::read_to_string(said).expect("readable");
    if let Some(resumed) = said
        .lines()
        .find(|line| line.contains("\"event\":\"resumed\""))
    {
        tally.resumed += 1;
        let resumed: Value = serde_json::from_str(resumed).expect("JSON");
        assert_eq!(resumed["damaged"], serde_json::json!([]), "after {tally:?}");
    }
    if let Some(code) = status.code() {
        assert_eq!(code, 0, "after {tally:?}: {said}");
        return true;
    }
    tally.kills += 1;
    false
}

#[test]
fn a_program_that_writes_all_the_time() {
    survives(
        &|| Some(Job::of("ledger")),
        "--checkpoint-after=5ms",
        wanted(),
    );
}

#[test]
fn a_program_that_computes() {
    let nbody = || Job::of_workload(Workload::Prebuilt("nbody"), &["2000000"]);
    survives(&nbody, "--checkpoint-after=20ms", wanted());
}

#[test]
fn a_database() {
    let sqlite = || Job::of_workload(Workload::Built("sqlite"), &["3000", "orders.db"]);
    survives(&sqlite, "--checkpoint-after=20ms", wanted() / 4);
}

#[test]
fn an_interpreter() {
    let quickjs = || Job::of_workload(Workload::Built("quickjs"), &["60"]);
    survives(&quickjs, "--checkpoint-after=20ms", wanted() / 4);
}
