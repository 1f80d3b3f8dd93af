//! What a job is resumed in can rewind into the functions of one stack; when another is asked for, into all.

use std::fs;

use wherry_engine::{Engine, EngineConfig, Job, Module, Outcome, Reason, Settings};

use crate::common::{Captured, checkpoint, resume, start};

/// Three functions, one after the other, each with a loop; the exit code is what they counted.
const THREE: &str = r#"(module
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (func $count (param $more i32) (local $i i32)
        (loop $next
            (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (local.get $more)))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $i) (i32.const 10)))))
    (func $first (local $i i32)
        (loop $next
            (call $count (i32.const 1))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $i) (i32.const 2)))))
    (func $second (local $i i32)
        (loop $next
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $i) (i32.const 20))))
        (call $count (i32.const 3)))
    (func (export "_start")
        (call $first)
        (call $second)
        (call $exit (i32.load (i32.const 8)))))"#;

/// What [`THREE`] exits with.
const COUNTED: u32 = 50;

fn load(cache: &std::path::Path) -> Module {
    let config = EngineConfig {
        cache_dir: Some(cache.to_owned()),
        ..EngineConfig::default()
    };
    let engine = Engine::new(config).expect("an engine");
    engine.load(wat::parse_str(THREE).expect("valid text"))
}

fn after(safepoints: u64) -> Settings {
    Settings {
        countdown: Some(safepoints),
        ..Captured::default().settings()
    }
}

fn stopped(job: &mut Job) {
    let outcome = job.run().expect("it runs");
    assert_eq!(outcome, Outcome::Stopped(Reason::Countdown));
}

/// A checkpoint after so many safepoints, made without a trace in the cache.
fn checkpoint_after(safepoints: u64) -> Vec<u8> {
    let cache = tempfile::tempdir().expect("a directory");
    let mut job = start(&load(cache.path()), after(safepoints));
    stopped(&mut job);
    checkpoint(&mut job)
}

/// Entries of the cache, and their bytes.
fn entries(cache: &std::path::Path) -> (usize, u64) {
    let entries = fs::read_dir(cache).expect("readable").flatten();
    let lengths = entries.map(|entry| entry.metadata().expect("readable").len());
    lengths.fold((0, 0), |(count, sum), length| (count + 1, sum + length))
}

fn ends(module: &Module, file: &[u8]) {
    let mut job = resume(module, file, Captured::default().settings());
    assert_eq!(job.run().expect("it runs"), Outcome::Exited(COUNTED));
}

/// How many safepoints the program passes, so that tests can stop it at each.
fn safepoints() -> u64 {
    let cache = tempfile::tempdir().expect("a directory");
    let module = load(cache.path());
    let passes = |count: &u64| {
        let mut job = start(&module, after(*count));
        job.run().expect("it runs") == Outcome::Exited(COUNTED)
    };
    (1..).find(passes).expect("it ends") - 1
}

#[test]
fn a_job_is_resumed_at_every_safepoint_with_a_way_back_there_alone() {
    for count in 1..=safepoints() {
        let file = checkpoint_after(count);
        let cache = tempfile::tempdir().expect("a directory");
        ends(&load(cache.path()), &file);
        assert_eq!(entries(cache.path()).0, 1, "it is compiled once");
    }
}

#[test]
fn a_second_stack_gets_a_way_back_into_all() {
    let (first, last) = (checkpoint_after(1), checkpoint_after(safepoints() - 1));
    let cache = tempfile::tempdir().expect("a directory");
    ends(&load(cache.path()), &first);
    let (count, part) = entries(cache.path());
    assert_eq!(count, 1);
    // The same stack again, in a process that knows nothing of it: what is kept will do.
    ends(&load(cache.path()), &first);
    assert_eq!(entries(cache.path()).0, 1);
    ends(&load(cache.path()), &last);
    let (count, both) = entries(cache.path());
    assert_eq!(count, 2);
    assert!(both - part >= part, "{} is less than {part}", both - part);
    for count in 1..=safepoints() {
        ends(&load(cache.path()), &checkpoint_after(count));
    }
    assert_eq!(entries(cache.path()).0, 2, "it has a way back into all");
}

/// A job that is stopped over and over in one process leaves the functions that its first form can
/// be rewound into.
#[test]
fn a_job_goes_on_in_place_wherever_it_is_stopped() {
    for step in [1, 3, 7] {
        let cache = tempfile::tempdir().expect("a directory");
        let mut job = resume(&load(cache.path()), &checkpoint_after(2), after(step));
        loop {
            match job.run().expect("it runs") {
                Outcome::Stopped(_) => job.set_countdown(Some(step)),
                outcome => break assert_eq!(outcome, Outcome::Exited(COUNTED)),
            }
        }
        assert_eq!(entries(cache.path()).0, 2, "a part, and then the whole");
    }
}
