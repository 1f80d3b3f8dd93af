//! Requests, limits and traps: how a run ends, and what is left of the job.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::thread;
use std::time::Duration;

use crate::common::{Captured, checkpoint, command, module, resume, start};
use wherry_engine::{
    Control, Error, Input, Job, Limits, Outcome, Reason, Settings, Stdio, TrapKind,
};

const ENDLESS: &str = "(module
    (memory (export \"memory\") 1)
    (func (export \"_start\") (loop $again
        (i64.store (i32.const 0) (i64.add (i64.load (i32.const 0)) (i64.const 1)))
        (br $again))))";

fn limited(limits: Limits) -> Settings {
    Settings {
        limits,
        ..Captured::default().settings()
    }
}

#[test]
fn a_request_stops_a_loop_that_never_ends() {
    let control = Control::new().expect("a control");
    let settings = Captured::default().settings();
    let mut job = Job::start(&module(ENDLESS), command(), settings, &control).expect("it starts");
    for reason in [Reason::Checkpoint, Reason::Killed, Reason::Checkpoint] {
        let control = control.clone();
        let request = thread::spawn(move || match reason {
            Reason::Killed => control.kill(),
            _ => control.request_checkpoint(),
        });
        assert_eq!(job.run().expect("it runs"), Outcome::Stopped(reason));
        request.join().expect("no panic");
    }
}

/// How often the loop that never ends has been around.
fn rounds(file: &[u8]) -> u64 {
    let reader = crate::common::reader(file);
    let mut content = vec![0; 1 << 16];
    let memory = &reader.contents().memories[0];
    reader
        .restore_memory(memory, &mut content)
        .expect("a memory");
    u64::from_le_bytes(*content.first_chunk().expect("eight bytes"))
}

#[test]
fn a_countdown_counts_from_where_the_job_is() {
    let module = module(ENDLESS);
    let counting = || Settings {
        countdown: Some(100),
        ..Captured::default().settings()
    };
    let mut job = start(&module, counting());
    assert_eq!(
        job.run().expect("it runs"),
        Outcome::Stopped(Reason::Countdown)
    );
    let first = checkpoint(&mut job);
    let mut again = resume(&module, &first, counting());
    assert_eq!(
        again.run().expect("it runs"),
        Outcome::Stopped(Reason::Countdown)
    );
    assert_eq!(rounds(&checkpoint(&mut again)), rounds(&first) + 100);
}

#[test]
fn cpu_time_is_limited_over_the_whole_life_of_a_job() {
    let module = module(ENDLESS);
    let limits = Limits {
        cpu: Some(Duration::from_millis(5)),
        ..Limits::default()
    };
    let mut job = start(&module, limited(limits));
    assert_eq!(
        job.run().expect("it runs"),
        Outcome::Stopped(Reason::CpuTime)
    );
    let file = checkpoint(&mut job);
    let mut again = resume(&module, &file, limited(Limits::default()));
    assert_eq!(
        again.run().expect("it runs"),
        Outcome::Stopped(Reason::CpuTime)
    );
}

#[test]
fn wall_time_is_limited() {
    let limits = Limits {
        wall: Some(Duration::from_millis(5)),
        ..Limits::default()
    };
    let mut job = start(&module(ENDLESS), limited(limits));
    assert_eq!(
        job.run().expect("it runs"),
        Outcome::Stopped(Reason::WallTime)
    );
    assert!(job.accounting().wall_ns >= 5_000_000);
}

#[test]
fn memory_is_limited() {
    let growing = module(
        "(module (memory (export \"memory\") 1) (func (export \"_start\")
            (drop (memory.grow (i32.const 8)))
            (if (i32.ne (memory.grow (i32.const 1)) (i32.const -1)) (then (unreachable)))))",
    );
    let limits = |memory| Limits {
        memory_bytes: Some(memory),
        ..Limits::default()
    };
    let mut job = start(&growing, limited(limits(9 << 16)));
    assert_eq!(job.run().expect("it runs"), Outcome::Exited(0));
    let control = Control::new().expect("a control");
    let refused = Job::start(&growing, command(), limited(limits(1000)), &control);
    assert!(matches!(
        refused.err(),
        Some(Error::MemoryLimit {
            needed: 65536,
            limit: 1000
        })
    ));
}

#[test]
fn a_read_that_blocks_is_made_again_after_a_resume() {
    let module = module(
        "(module
            (import \"wasi_snapshot_preview1\" \"fd_read\"
                (func $read (param i32 i32 i32 i32) (result i32)))
            (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))
            (memory (export \"memory\") 1)
            (data (i32.const 0) \"\\10\\00\\00\\00\\01\\00\\00\\00\")
            (func (export \"_start\")
                (if (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8))
                    (then (unreachable)))
                (call $exit (i32.load8_u (i32.const 16)))))",
    );
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    let settings = |reader: OwnedFd| {
        Settings::new(Stdio {
            stdin: Input::Fd(reader),
            ..Stdio::null()
        })
    };
    let control = Control::new().expect("a control");
    let stdin = reader.try_clone().expect("a descriptor");
    let mut job =
        Job::start(&module, command(), settings(stdin.into()), &control).expect("it starts");
    control.request_checkpoint();
    assert_eq!(
        job.run().expect("it runs"),
        Outcome::Stopped(Reason::Checkpoint)
    );
    let file = checkpoint(&mut job);
    writer.write_all(&[7]).expect("the pipe takes a byte");
    let mut again = resume(&module, &file, settings(reader.into()));
    assert_eq!(again.run().expect("it runs"), Outcome::Exited(7));
}

#[test]
fn a_trap_names_its_functions() {
    let module =
        module("(module (func $inner (unreachable)) (func (export \"_start\") (call $inner)))");
    let Outcome::Trapped(trap) = start(&module, Captured::default().settings())
        .run()
        .expect("it runs")
    else {
        panic!("it must trap")
    };
    assert_eq!(trap.kind, TrapKind::Unreachable);
    assert_eq!(trap.backtrace[0].name.as_deref(), Some("inner"));
    assert_eq!(
        (trap.backtrace[0].function, trap.backtrace[1].function),
        (0, 1)
    );
}

#[test]
fn an_exception_that_nobody_catches_is_a_trap() {
    let module = module("(module (tag $t) (func (export \"_start\") (throw $t)))");
    let outcome = start(&module, Captured::default().settings())
        .run()
        .expect("it runs");
    let Outcome::Trapped(trap) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(trap.kind, TrapKind::UncaughtException);
    assert!(trap.message.contains("nobody catches"), "{trap}");
}

#[test]
fn recursion_without_end_is_a_trap() {
    let module = module("(module (func $f (export \"_start\") (call $f) (call $f)))");
    let outcome = start(&module, Captured::default().settings())
        .run()
        .expect("it runs");
    assert!(matches!(outcome, Outcome::Trapped(trap) if trap.kind == TrapKind::StackOverflow));
}

#[test]
fn a_job_that_ended_does_not_run_again() {
    let mut job = start(
        &module("(module (func (export \"_start\")))"),
        Captured::default().settings(),
    );
    assert_eq!(job.run().expect("it runs"), Outcome::Exited(0));
    assert!(matches!(job.run(), Err(Error::NotStopped)));
    let mut file = std::io::Cursor::new(Vec::new());
    assert!(matches!(job.checkpoint(&mut file), Err(Error::NotStopped)));
    let mut rest = Vec::new();
    file.read_to_end(&mut rest).expect("it is memory");
    assert!(rest.is_empty());
}
