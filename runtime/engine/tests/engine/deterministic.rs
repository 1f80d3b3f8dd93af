//! Deterministic jobs: a position is a state, whoever comes to it, and however.

use std::io::Cursor;
use std::thread;

use crate::common::{Captured, checkpoint, module, prebuilt, programs, reader};
use wherry_engine::{
    Command, Control, Error, Job, Limits, Module, Mount, Outcome, Reason, Rerun, Scratch, Settings,
    verify,
};
use wherry_snapshot::Digest;

/// 2001-09-09, in nanoseconds since 1970.
const START: u64 = 1_000_000_000_000_000_000;

fn command() -> Command {
    Command {
        deterministic: Some(START),
        ..crate::common::command()
    }
}

fn counting(countdown: Option<u64>) -> Settings {
    Settings {
        countdown,
        ..Captured::default().settings()
    }
}

fn start(module: &Module, countdown: Option<u64>) -> Job {
    let control = Control::new().expect("a control");
    Job::start(module, command(), counting(countdown), &control).expect("it starts")
}

fn resume(module: &Module, file: &[u8], settings: Settings) -> Result<Job, Error> {
    let control = Control::new().expect("a control");
    Job::resume(module, &reader(file), settings, &control)
}

/// The checkpoint at a position, if the job gets there.
fn at(module: &Module, position: u64) -> Option<Vec<u8>> {
    let mut job = start(module, Some(position));
    if job.run().expect("it runs") != Outcome::Stopped(Reason::Countdown) {
        return None;
    }
    assert_eq!(job.safepoints_passed(), Some(position));
    Some(checkpoint(&mut job))
}

/// The checkpoint `steps` after this one.
fn after(module: &Module, file: &[u8], steps: u64) -> Vec<u8> {
    let mut job = resume(module, file, counting(Some(steps))).expect("it resumes");
    let outcome = job.run().expect("it runs");
    assert_eq!(outcome, Outcome::Stopped(Reason::Countdown));
    checkpoint(&mut job)
}

fn state(file: &[u8]) -> Digest {
    reader(file).state_digest()
}

/// Everything but the time that was used and the checkpoints before.
fn canonical(file: &[u8]) -> Vec<(String, u64, Digest)> {
    let sections = reader(file).sections().into_iter();
    let sections = sections.filter(|section| !["accounting", "lineage"].contains(&&*section.name));
    sections
        .map(|section| (section.name, section.length, section.digest))
        .collect()
}

#[test]
fn a_position_is_a_state() {
    let mut modules = programs();
    modules.extend(["nbody.wasm", "spectral.wasm"].map(|name| (name.to_owned(), prebuilt(name))));
    let mut compared = 0;
    for (name, module) in modules {
        for position in [2, 7, 40, 400] {
            let Some(straight) = at(&module, position) else {
                break;
            };
            let first = at(&module, 1).expect("it got further");
            let in_steps = after(&module, &first, position - 1);
            assert_eq!(state(&straight), state(&in_steps), "{name} at {position}");
            assert_eq!(
                canonical(&straight),
                canonical(&in_steps),
                "{name} at {position}"
            );
            compared += 1;
        }
    }
    assert!(compared > 20, "{compared}");
}

#[test]
fn what_is_stopped_anywhere_is_found_again() {
    let module = prebuilt("nbody.wasm");
    let control = Control::new().expect("a control");
    let command = Command {
        args: vec!["nbody".to_owned(), "100000000".to_owned()],
        ..command()
    };
    let mut job =
        Job::start(&module, command.clone(), counting(None), &control).expect("it starts");
    let request = thread::spawn(move || control.request_checkpoint());
    let outcome = job.run().expect("it runs");
    assert_eq!(outcome, Outcome::Stopped(Reason::Checkpoint));
    request.join().expect("no panic");
    let position = job.safepoints_passed().expect("it counts");
    let stopped = checkpoint(&mut job);
    let control = Control::new().expect("a control");
    let mut again =
        Job::start(&module, command, counting(Some(position)), &control).expect("it starts");
    assert_eq!(
        again.run().expect("it runs"),
        Outcome::Stopped(Reason::Countdown)
    );
    assert_eq!(state(&checkpoint(&mut again)), state(&stopped));
}

/// What a division of zero by zero gives has another sign on x86-64 than on other processors.
const NAN: &str = r#"(module
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (func $divide (param f64 f64) (result i64)
        (i64.reinterpret_f64 (f64.div (local.get 0) (local.get 1))))
    (func (export "_start")
        (call $exit (i32.wrap_i64 (i64.shr_u
            (call $divide (f64.load (i32.const 0)) (f64.load (i32.const 8)))
            (i64.const 48))))))"#;

#[test]
fn nans_are_canonical() {
    let outcome = start(&module(NAN), None).run().expect("it runs");
    assert_eq!(outcome, Outcome::Exited(0x7ff8));
}

#[test]
fn what_depends_on_the_machine_is_refused() {
    let module = prebuilt("nbody.wasm");
    let directory = tempfile::tempdir().expect("a directory");
    let mount = |read_only| Settings {
        mounts: vec![Mount {
            host: directory.path().to_owned(),
            guest: "/in".to_owned(),
            read_only,
        }],
        ..counting(None)
    };
    let control = Control::new().expect("a control");
    let refused = Job::start(&module, command(), mount(false), &control).err();
    assert!(
        matches!(refused, Some(Error::NotDeterministic { .. })),
        "{refused:?}"
    );
    assert!(Job::start(&module, command(), mount(true), &control).is_ok());

    let file = at(&module, 100).expect("it gets there");
    let limits = Limits {
        memory_bytes: Some(1 << 30),
        ..Limits::default()
    };
    let settings = Settings {
        limits,
        ..counting(None)
    };
    let refused = resume(&module, &file, settings).err();
    assert!(
        matches!(refused, Some(Error::NotDeterministic { .. })),
        "{refused:?}"
    );
}

fn verified(module: &Module, earlier: &[u8], later: &[u8]) -> Result<Rerun, Error> {
    let capture = Cursor::new(Vec::new());
    let settings = Captured::default().settings();
    let done = verify(module, &reader(earlier), &reader(later), settings, capture)?;
    assert_eq!(done.states.1, state(later));
    Ok(done.result)
}

#[test]
fn a_segment_is_verified_by_running_it_again() {
    for name in ["nbody.wasm", "spectral.wasm"] {
        let module = prebuilt(name);
        let first = at(&module, 200).expect("it gets there");
        let second = after(&module, &first, 300);
        let third = after(&module, &second, 1);
        for (earlier, later) in [(&first, &second), (&second, &third), (&first, &third)] {
            assert_eq!(
                verified(&module, earlier, later).expect("it runs"),
                Rerun::Same
            );
        }
        for (earlier, later) in [(&second, &first), (&first, &first)] {
            let refused = verified(&module, earlier, later).err();
            assert!(
                matches!(refused, Some(Error::NotComparable { .. })),
                "{refused:?}"
            );
        }
    }
}

/// A job that is given other work is another job, even if it says that it is the next.
#[test]
fn another_job_is_found_out() {
    let module = prebuilt("nbody.wasm");
    let first = at(&module, 200).expect("it gets there");
    let control = Control::new().expect("a control");
    let other = Command {
        args: vec!["program".to_owned(), "60".to_owned()],
        ..command()
    };
    let mut job = Job::start(&module, other, counting(Some(100)), &control).expect("it starts");
    let mut later = Vec::new();
    for _ in 0..3 {
        job.run().expect("it runs");
        later = checkpoint(&mut job);
        job.set_countdown(Some(100));
    }
    let Rerun::Different { differences, .. } = verified(&module, &first, &later).expect("it runs")
    else {
        panic!("it is another job");
    };
    let arguments = differences.iter().find(|row| row.place == "arguments");
    assert_eq!(
        arguments.map(|row| row.section),
        Some("wasi"),
        "{differences:?}"
    );
}

#[test]
fn files_in_scratch_are_part_of_it() {
    let module = module(crate::captures::FILE);
    let lent = |countdown| {
        let directory = tempfile::tempdir().expect("a directory");
        let scratch = Some(Scratch {
            host: directory.path().to_owned(),
            guest: "/".to_owned(),
        });
        let settings = Settings {
            scratch,
            ..counting(countdown)
        };
        (directory, settings)
    };
    let control = Control::new().expect("a control");
    let (_first, settings) = lent(Some(5));
    let mut job = Job::start(&module, command(), settings, &control).expect("it starts");
    job.run().expect("it runs");
    let earlier = checkpoint(&mut job);
    job.set_countdown(Some(6));
    job.run().expect("it runs");
    let later = checkpoint(&mut job);
    let (_second, settings) = lent(None);
    let capture = Cursor::new(Vec::new());
    let done = verify(
        &module,
        &reader(&earlier),
        &reader(&later),
        settings,
        capture,
    );
    assert_eq!(done.expect("it runs").result, Rerun::Same);
}
