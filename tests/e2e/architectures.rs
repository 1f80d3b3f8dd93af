//! Jobs move between instruction sets in the middle of what they do: this processor's, that of
//! wasmtime's interpreter, and aarch64, emulated by qemu. Together the legs write what one
//! uninterrupted run on this processor writes, bit for bit.

use std::path::Path;

use wherry_tests::{Done, Home, Machine, Random, Workload, repository};

use crate::workloads::Job;

const CAPTURED: i32 = 85;

/// How many times a job moves.
const MOVES: usize = 4;

#[track_caller]
fn moves(workload: Workload, arguments: &[&'static str], other: &Machine) {
    let Some(job) = Job::new(workload, arguments) else {
        return;
    };
    let reference = job.uninterrupted();
    let mut random = Random::new();
    // Every program passes a thousand safepoints.
    let at = |leg| {
        let bits = if leg == 0 { 9 } else { 16 };
        format!("--checkpoint-at={}", random.magnitude(bits))
    };
    let machines = [Machine::This, other.clone()];
    let (effect, captures) = job.on(&machines).in_legs_of(MOVES, at);
    assert_eq!(effect, reference, "moved {captures} times");
    assert!(captures > 0, "moved at least once");
}

/// Small amounts of work. `conformance/tests/programs.rs` has more programs, in one process.
const PROGRAMS: [(Workload, &[&str]); 3] = [
    (Workload::Prebuilt("nbody"), &["20000"]),
    (Workload::Built("graphs"), &["8"]),
    (Workload::Built("sqlite"), &["300", "orders.db"]),
];

#[test]
fn between_the_processor_and_the_interpreter() {
    for (workload, arguments) in PROGRAMS {
        moves(workload, arguments, &Machine::Interpreter);
    }
}

#[test]
fn between_x86_64_and_aarch64() {
    let Some(aarch64) = Machine::aarch64() else {
        return;
    };
    for (workload, arguments) in PROGRAMS {
        moves(workload, arguments, &aarch64);
    }
}

/// A deterministic job's checkpoint `after` so many safepoints, made there.
fn position(machine: &Machine, module: &Path, after: u64, home: &Home) -> std::path::PathBuf {
    let to = home.file(&format!("{after}.ckpt"));
    let mut run = home.command_on(machine, ["run", "--deterministic", "--checkpoint-to"]);
    run.arg(&to).args(["--checkpoint-at", &after.to_string()]);
    Done::of(run.arg(module)).expect(CAPTURED);
    to
}

/// What one machine did, another one verifies, by doing it again.
#[track_caller]
fn verifies(one: &Machine, other: &Machine) {
    let module = repository().join("workloads/prebuilt/nbody.wasm");
    let home = Home::new();
    let earlier = position(one, &module, 2_000, &home);
    let later = home.file("later.ckpt");
    let mut resume = home.command_on(one, ["resume", "--checkpoint-at", "3000"]);
    resume.arg("--checkpoint-to").args([&later, &earlier]);
    Done::of(resume).expect(CAPTURED);

    let elsewhere = Home::new();
    let mut verify = elsewhere.command_on(other, ["verify", "--module"]);
    Done::of(verify.args([&module, &earlier, &later])).expect(0);
}

#[test]
fn the_interpreter_verifies_what_the_processor_did() {
    verifies(&Machine::This, &Machine::Interpreter);
    verifies(&Machine::Interpreter, &Machine::This);
}

#[test]
fn aarch64_verifies_what_x86_64_did() {
    let Some(aarch64) = Machine::aarch64() else {
        return;
    };
    verifies(&Machine::This, &aarch64);
    verifies(&aarch64, &Machine::This);
}
