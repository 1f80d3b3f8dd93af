//! A program moves between two instruction sets, this processor's and the interpreter's, in
//! the middle of its execution, and ends as if it had never left.

use std::thread;
use std::time::Duration;

use crate::common::{
    Captured, checkpoint, interpreted, module, on_both, prebuilt_wasm, reader, resume, start,
    wasm_programs,
};
use wherry_engine::{
    Command, Control, Job, Limits, Module, Outcome, Reason, Rerun, Settings, TrapKind, verify,
};

/// More moves in one run prove no more.
const MAX_MOVES: usize = 100;

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

/// Begins with the first, and moves to the next one after every `step` safepoints.
fn moving(modules: [&Module; 2], step: u64) -> (usize, End) {
    let output = Captured::default();
    let settings = |countdown| Settings {
        countdown,
        ..output.settings()
    };
    let mut job = start(modules[0], settings(Some(step)));
    let mut moves = 0;
    loop {
        let outcome = job.run().expect("it runs");
        if outcome != Outcome::Stopped(Reason::Countdown) {
            return (moves, end(&job, outcome, &output));
        }
        moves += 1;
        let file = checkpoint(&mut job);
        let countdown = (moves < MAX_MOVES).then_some(step);
        job = resume(modules[moves % 2], &file, settings(countdown));
    }
}

fn workloads() -> Vec<(String, Vec<u8>)> {
    let mut programs = wasm_programs();
    let prebuilt = ["nbody.wasm", "spectral.wasm"];
    programs.extend(prebuilt.map(|name| (name.to_owned(), prebuilt_wasm(name))));
    programs
}

#[test]
fn moved_programs_end_as_those_that_stayed() {
    let mut all = 0;
    for (name, wasm) in workloads() {
        let [native, interpreted] = on_both(&wasm);
        let expected = uninterrupted(&native);
        assert_eq!(uninterrupted(&interpreted), expected, "{name}, interpreted");
        for step in [1, 2, 3, 50, 397] {
            for modules in [[&native, &interpreted], [&interpreted, &native]] {
                let (moves, found) = moving(modules, step);
                assert_eq!(found, expected, "{name}, moved every {step} safepoints");
                assert!(moves > 0 || step > 1, "{name} was never moved");
                all += moves;
            }
        }
    }
    assert!(all > 3_000, "only {all} moves");
}

/// 2001-09-09, in nanoseconds since 1970.
const START: u64 = 1_000_000_000_000_000_000;

/// A deterministic job after so many safepoints, if it gets there.
fn at(module: &Module, position: u64) -> Option<Vec<u8>> {
    let command = Command {
        deterministic: Some(START),
        ..crate::common::command()
    };
    let settings = Settings {
        countdown: Some(position),
        ..Captured::default().settings()
    };
    let control = Control::new().expect("a control");
    let mut job = Job::start(module, command, settings, &control).expect("it starts");
    let outcome = job.run().expect("it runs");
    (outcome == Outcome::Stopped(Reason::Countdown)).then(|| checkpoint(&mut job))
}

#[test]
fn a_position_is_a_state_on_both() {
    let mut compared = 0;
    for (name, wasm) in workloads() {
        let [native, interpreted] = on_both(&wasm);
        for position in [1, 2, 7, 40, 400] {
            let Some(file) = at(&native, position) else {
                break;
            };
            let found = at(&interpreted, position).expect("it gets as far");
            let digests = [&file, &found].map(|file| reader(file).state_digest());
            assert_eq!(digests[0], digests[1], "{name} at {position}");
            compared += 1;
        }
    }
    assert!(compared > 30, "{compared}");
}

/// Someone else's run is checked on another instruction set than it was made on.
#[test]
fn the_interpreter_verifies_what_the_processor_did() {
    let [native, interpreted] = on_both(&prebuilt_wasm("nbody.wasm"));
    let earlier = at(&native, 40).expect("it gets there");
    let settings = |countdown| Settings {
        countdown,
        ..Captured::default().settings()
    };
    let mut job = resume(&native, &earlier, settings(Some(300)));
    let outcome = job.run().expect("it runs");
    assert_eq!(outcome, Outcome::Stopped(Reason::Countdown));
    let later = checkpoint(&mut job);
    let capture = std::io::Cursor::new(Vec::new());
    let found = verify(
        &interpreted,
        &reader(&earlier),
        &reader(&later),
        settings(None),
        capture,
    );
    assert_eq!(found.expect("it can be run again").result, Rerun::Same);
}

const ENDLESS: &str = "(module
    (memory (export \"memory\") 1)
    (func (export \"_start\") (loop $again
        (i64.store (i32.const 0) (i64.add (i64.load (i32.const 0)) (i64.const 1)))
        (br $again))))";

#[test]
fn a_request_stops_an_interpreted_loop() {
    let control = Control::new().expect("a control");
    let settings = Captured::default().settings();
    let module = interpreted(ENDLESS);
    let mut job =
        Job::start(&module, crate::common::command(), settings, &control).expect("it starts");
    for reason in [Reason::Checkpoint, Reason::Killed, Reason::Checkpoint] {
        let control = control.clone();
        let request = thread::spawn(move || match reason {
            Reason::Killed => control.kill(),
            _ => control.request_checkpoint(),
        });
        assert_eq!(job.run().expect("it runs"), Outcome::Stopped(reason));
        request.join().expect("no panic");
    }
    // One that comes before the run is met as well, also while the program rewinds.
    control.request_checkpoint();
    let outcome = job.run().expect("it runs");
    assert_eq!(outcome, Outcome::Stopped(Reason::Checkpoint));
}

#[test]
fn limits_of_time_hold_for_interpreted_programs() {
    let settings = Settings {
        limits: Limits {
            cpu: Some(Duration::from_millis(5)),
            ..Limits::default()
        },
        ..Captured::default().settings()
    };
    let mut job = start(&interpreted(ENDLESS), settings);
    let outcome = job.run().expect("it runs");
    assert_eq!(outcome, Outcome::Stopped(Reason::CpuTime));
}

/// What a hostile program does ends there as it ends here: the interpreter has no guard pages.
#[test]
fn traps_are_the_same_on_both() {
    use TrapKind::{
        DivisionByZero, IntegerOverflow, InvalidConversion, MemoryOutOfBounds, NullFunction,
        StackOverflow, TableOutOfBounds, Unreachable, WrongFunctionType,
    };
    let traps = [
        (MemoryOutOfBounds, "i32.const 65533 i32.load drop"),
        (
            MemoryOutOfBounds,
            "i32.const -1 i32.load offset=4294967295 drop",
        ),
        (MemoryOutOfBounds, "i32.const 65536 i32.const 1 i32.store8"),
        (
            MemoryOutOfBounds,
            "i32.const 0 i32.const 0 i32.const 65537 memory.fill",
        ),
        (MemoryOutOfBounds, "i64.const -1 i32.load 1 drop"),
        (
            MemoryOutOfBounds,
            "i64.const 0x100000000 i64.const 7 i64.store 1",
        ),
        (MemoryOutOfBounds, "i32.const 65521 v128.load drop"),
        (
            MemoryOutOfBounds,
            "i32.const 1 memory.grow drop i32.const 131072 i32.load8_u drop",
        ),
        (TableOutOfBounds, "i32.const 9 call_indirect (type $none)"),
        (NullFunction, "i32.const 1 call_indirect (type $none)"),
        (
            WrongFunctionType,
            "i32.const 0 call_indirect (type $one) drop",
        ),
        (DivisionByZero, "i32.const 1 i32.const 0 i32.div_s drop"),
        (
            IntegerOverflow,
            "i32.const 0x80000000 i32.const -1 i32.div_s drop",
        ),
        (InvalidConversion, "f32.const nan i32.trunc_f32_s drop"),
        (StackOverflow, "call $deep"),
        (Unreachable, "unreachable"),
    ];
    for (kind, code) in traps {
        let wat = format!(
            "(module (type $none (func)) (type $one (func (result i32)))
              (memory (export \"memory\") 1 2) (memory i64 1)
              (table 2 funcref) (elem (i32.const 0) $deep)
              (func $deep (type $none) call $deep call $deep)
              (func (export \"_start\") (i32.store (i32.const 4) (i32.const 5)) {code}))"
        );
        let end = |module: Module| {
            let mut end = uninterrupted(&module);
            if let Outcome::Trapped(trap) = &mut end.outcome {
                assert_eq!(trap.kind, kind, "{code}");
                if kind == StackOverflow {
                    // How deep that is depends on the frames.
                    trap.backtrace.clear();
                }
            } else {
                panic!("{code}: {:?}", end.outcome);
            }
            end
        };
        assert_eq!(end(module(&wat)), end(interpreted(&wat)), "{code}");
    }
}
