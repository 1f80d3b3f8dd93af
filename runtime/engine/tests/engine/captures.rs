//! Every program of `tests/programs` is captured at safepoints, written, read back and
//! resumed, and must end exactly as its uninterrupted run did.

use crate::common::{Captured, checkpoint, module, prebuilt, programs, reader, resume, start};
use wherry_engine::{Job, Module, Outcome, Reason, Scratch, Settings};

/// More captures in one run prove no more.
const MAX_CAPTURES: usize = 300;

#[derive(Debug, PartialEq)]
struct End {
    outcome: Outcome,
    output: String,
    memory: [u8; 32],
}

fn end(job: &Job, outcome: Outcome, output: &Captured) -> End {
    End {
        outcome,
        output: output.text(),
        memory: job.memory_digest(),
    }
}

fn uninterrupted(module: &Module) -> End {
    let output = Captured::default();
    let mut job = start(module, output.settings());
    let outcome = job.run().expect("it runs");
    end(&job, outcome, &output)
}

fn counting(output: &Captured, countdown: u64) -> Settings {
    Settings {
        countdown: Some(countdown),
        ..output.settings()
    }
}

/// Captures after `step` safepoints, again and again, each time in a new instance.
fn through_files(module: &Module, step: u64) -> (usize, End) {
    let output = Captured::default();
    let mut job = start(module, counting(&output, step));
    let mut captures = 0;
    loop {
        let outcome = job.run().expect("it runs");
        if outcome != Outcome::Stopped(Reason::Countdown) {
            return (captures, end(&job, outcome, &output));
        }
        captures += 1;
        let file = checkpoint(&mut job);
        let countdown = (captures < MAX_CAPTURES).then_some(step);
        job = resume(
            module,
            &file,
            Settings {
                countdown,
                ..output.settings()
            },
        );
    }
}

/// Stops after `step` safepoints, again and again, and goes on in the same process.
fn in_place(module: &Module, step: u64) -> (usize, End) {
    let output = Captured::default();
    let mut job = start(module, counting(&output, step));
    let mut stops = 0;
    loop {
        let outcome = job.run().expect("it runs");
        if outcome != Outcome::Stopped(Reason::Countdown) {
            return (stops, end(&job, outcome, &output));
        }
        stops += 1;
        job.set_countdown((stops < MAX_CAPTURES).then_some(step));
    }
}

#[test]
fn captured_programs_end_as_uninterrupted_ones() {
    for (name, module) in programs() {
        let expected = uninterrupted(&module);
        for step in [1, 2, 3, 7, 50] {
            let (captures, found) = through_files(&module, step);
            assert_eq!(found, expected, "{name}, captured every {step} safepoints");
            assert!(captures > 0 || step > 1, "{name} was never captured");
        }
    }
}

#[test]
fn captured_workloads_end_as_uninterrupted_ones() {
    for name in ["nbody.wasm", "spectral.wasm"] {
        let module = prebuilt(name);
        let expected = uninterrupted(&module);
        assert_eq!(expected.outcome, Outcome::Exited(0), "{name}");
        assert!(!expected.output.is_empty(), "{name}");
        for step in [101, 397] {
            let (captures, found) = through_files(&module, step);
            assert_eq!(found, expected, "{name}, captured every {step} safepoints");
            assert!(captures > 0, "{name}, captured every {step} safepoints");
        }
    }
}

/// A function of more than 50,000 instructions around one `br_table` with 5,000 targets. Some
/// of them call a function with safepoints of its own, with an operand waiting.
fn large() -> Module {
    const CASES: usize = 5_000;
    let targets: String = (0..CASES).map(|case| format!(" {case}")).collect();
    let cases: String = (0..CASES)
        .map(|case| {
            let work = if case % 40 == 0 {
                "local.get $x call $loop i32.add"
            } else {
                "local.get $x i32.const 3 i32.rotl i32.add"
            };
            // What follows the last case is that many blocks further out.
            let out = CASES - 1 - case;
            format!(
                "end local.get $sum {work} i32.const {case} i32.xor i32.const 5 i32.mul
                 local.set $sum br {out}\n"
            )
        })
        .collect();
    module(&format!(
        "(module (memory (export \"memory\") 1)
          (func $loop (param i32) (result i32)
            (loop (br_if 0 (local.tee 0 (i32.shr_u (local.get 0) (i32.const 4)))))
            (i32.const 9))
          (func (export \"_start\") (local $x i32) (local $n i32) (local $sum i32)
            loop $next
              block
              {}
              local.get $x br_table {targets} 0
              {cases}
              end
              local.get $x i32.const 40 i32.add i32.const {CASES} i32.rem_u local.set $x
              i32.const 0 local.get $sum i32.store
              local.get $n i32.const 1 i32.add local.tee $n i32.const 300 i32.lt_u br_if $next
            end))",
        "block ".repeat(CASES)
    ))
}

#[test]
fn large_functions_are_captured() {
    let module = large();
    let expected = uninterrupted(&module);
    assert_eq!(expected.outcome, Outcome::Exited(0));
    let (captures, found) = through_files(&module, 37);
    assert_eq!(found, expected);
    assert!(captures > 10, "{captures}");
}

#[test]
fn programs_go_on_in_place() {
    for (name, module) in programs() {
        let expected = uninterrupted(&module);
        for step in [1, 5] {
            let (stops, found) = in_place(&module, step);
            assert_eq!(found, expected, "{name}, stopped every {step} safepoints");
            assert!(stops > 0 || step > 1, "{name} was never stopped");
        }
    }
}

/// The clocks of two runs differ, and they are part of the state; all else is compared.
fn assert_same_state(a: &[u8], b: &[u8], name: &str) {
    let (a, b) = (reader(a), reader(b));
    assert_eq!(a.contents().execution, b.contents().execution, "{name}");
    assert_eq!(a.contents().memories, b.contents().memories, "{name}");
}

fn captured_after(module: &Module, countdown: u64) -> Vec<u8> {
    let output = Captured::default();
    let mut job = start(module, counting(&output, countdown));
    assert_eq!(
        job.run().expect("it runs"),
        Outcome::Stopped(Reason::Countdown)
    );
    checkpoint(&mut job)
}

#[test]
fn a_countdown_stops_at_the_same_state_every_time() {
    for (name, module) in programs() {
        assert_same_state(
            &captured_after(&module, 2),
            &captured_after(&module, 2),
            &name,
        );
    }
}

#[test]
fn a_resumed_state_is_the_same_state() {
    for (name, module) in programs() {
        let file = captured_after(&module, 2);
        let mut again = resume(&module, &file, Captured::default().settings());
        assert_same_state(&file, &checkpoint(&mut again), &name);
    }
}

/// Writes a file, passes safepoints with it open, and exits with what it reads from it.
pub(crate) const FILE: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write"
        (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_pread"
        (func $read (param i32 i32 i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\64\00\00\00\04\00\00\00")
    (data (i32.const 8) "\c8\00\00\00\04\00\00\00")
    (data (i32.const 100) "text")
    (data (i32.const 300) "name")
    (func $check (param i32) (if (local.get 0) (then (unreachable))))
    (func (export "_start") (local $i i32)
        (call $check (call $open (i32.const 3) (i32.const 0) (i32.const 300) (i32.const 4)
            (i32.const 1) (i64.const 0x66) (i64.const 0) (i32.const 0) (i32.const 16)))
        (loop $again
            (call $check
                (call $write (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i32.const 20)))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $i) (i32.const 8))))
        (call $check (call $read
            (i32.load (i32.const 16)) (i32.const 8) (i32.const 1) (i64.const 29) (i32.const 20)))
        (call $exit (i32.load8_u (i32.const 200)))))"#;

#[test]
fn files_in_scratch_travel_with_the_job() {
    let module = module(FILE);
    let scratch = || {
        let directory = tempfile::tempdir().expect("a directory");
        let host = directory.path().to_owned();
        let scratch = Some(Scratch {
            host,
            guest: "/".to_owned(),
        });
        let settings = Captured::default().settings();
        (
            directory,
            Settings {
                scratch,
                countdown: Some(3),
                ..settings
            },
        )
    };
    let (mut directory, settings) = scratch();
    let mut job = start(&module, settings);
    let mut captures = 0;
    let outcome = loop {
        let outcome = job.run().expect("it runs");
        if outcome != Outcome::Stopped(Reason::Countdown) {
            break outcome;
        }
        captures += 1;
        let file = checkpoint(&mut job);
        // What the job resumes with is what was captured, not what was done to it since.
        std::fs::write(directory.path().join("name"), "something else").expect("it is ours");
        let fresh = scratch();
        job = resume(&module, &file, fresh.1);
        directory = fresh.0;
    };
    assert_eq!(outcome, Outcome::Exited(u32::from(b'e')));
    assert!(captures > 3, "{captures}");
    let content = std::fs::read_to_string(directory.path().join("name")).expect("it is there");
    assert_eq!(content, "text".repeat(8));
}
