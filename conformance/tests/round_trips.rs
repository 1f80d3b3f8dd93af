//! Programs stopped and moved at safepoints behave as if they had not been.
//!
//! `WHERRY_MODULES` is the number of random modules (300 unless set), `WHERRY_SEED` the first
//! seed: a failure names the seed that repeats it. A quarter as many move between this
//! processor's instruction set and that of wasmtime's interpreter.

#![expect(clippy::print_stdout, reason = "a test tells how much it did")]

use wasmtime::{FuncType, Module, Result, error::Context};
use wherry_conformance::{Engines, Report, Subject, random_trial};
use wherry_instrument::Options;

/// Safepoints beyond which a program is not interrupted at every one of them.
const MANY: u64 = 300;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

#[test]
fn random_modules() -> Result<()> {
    round_trips(&Engines::native()?, setting("WHERRY_MODULES", 300), "")
}

#[test]
fn random_modules_across_instruction_sets() -> Result<()> {
    let modules = setting("WHERRY_MODULES", 300).div_ceil(4);
    round_trips(&Engines::across()?, modules, "--across ")
}

fn round_trips(engines: &Engines, modules: u64, option: &str) -> Result<()> {
    let first = setting("WHERRY_SEED", 1);
    let mut total = Report::default();
    for seed in first..first + modules {
        match random_trial(engines, seed) {
            Ok(report) => total += report,
            Err(failure) => panic!(
                "WHERRY_SEED={seed}: {:#}; `soak {option}--seed {seed} --modules 1` makes a small case of it",
                failure.error
            ),
        }
    }
    println!(
        "{modules} modules ({} refused), {} calls, {} round trips, {} with a way back in part",
        total.refused, total.calls, total.round_trips, total.in_part
    );
    assert!(total.refused * 4 < modules, "too many are refused");
    assert!(
        total.round_trips > modules * 10,
        "too few round trips to mean anything"
    );
    assert!(
        total.in_part * 3 > total.round_trips,
        "too few with a way back in part"
    );
    Ok(())
}

/// The programs of the engine's tests that need no host, at every safepoint or nearly so.
#[test]
fn programs() -> Result<()> {
    programs_on(&Engines::native()?)
}

#[test]
fn programs_across_instruction_sets() -> Result<()> {
    programs_on(&Engines::across()?)
}

fn programs_on(engines: &Engines) -> Result<()> {
    let engine = &engines.each[0];
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../runtime/engine/tests/programs"
    );
    let mut total = Report::default();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let wasm = wat::parse_file(&path)?;
        if Module::imports(&Module::new(engine, &wasm)?).len() > 0 {
            continue;
        }
        for unroll in [false, true] {
            total += program(engines, &wasm, unroll).with_context(|| path.display().to_string())?;
        }
    }
    println!("{} calls, {} round trips", total.calls, total.round_trips);
    assert!(total.round_trips > 1_000, "too few round trips");
    Ok(())
}

fn options(unroll: bool) -> Options {
    Options {
        unroll,
        canonical_nans: unroll,
        ..Options::default()
    }
}

fn program(engines: &Engines, wasm: &[u8], unroll: bool) -> Result<Report> {
    let subject = Subject::new(engines, wasm, options(unroll))?;
    let ty = FuncType::new(&engines.each[0], [], []);
    let passed = subject
        .safepoints("_start", &ty, &[])?
        .context("it cannot be started")?;
    let mut total = Report::default();
    for every in [1 + passed / MANY, 2 + passed / 7, 3 + passed / 3] {
        total += subject.interrupt("_start", &ty, &[], every)?;
    }
    Ok(total)
}

/// The kernels, at hundreds of places each: `(name, rounds, every nth safepoint)`.
const KERNELS: [(&str, i32, u64); 10] = [
    ("coremix", 10, 97),
    ("deep", 2, 41),
    ("dot", 1, 61),
    ("fib", 20, 31),
    ("interp", 2, 113),
    ("matmul", 1, 5_003),
    ("matmul_simd", 1, 5_003),
    ("nbody", 1, 101),
    ("sha256", 1, 1_009),
    ("sorthash", 1, 5_003),
];

#[test]
fn kernels() -> Result<()> {
    kernels_on(&Engines::native()?)
}

#[test]
fn kernels_across_instruction_sets() -> Result<()> {
    kernels_on(&Engines::across()?)
}

fn kernels_on(engines: &Engines) -> Result<()> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../workloads/prebuilt/kernels");
    let both = [false, true].map(|unroll| KERNELS.map(|kernel| (unroll, kernel)));
    for (unroll, (name, rounds, every)) in both.into_iter().flatten() {
        let wasm = std::fs::read(format!("{folder}/{name}.wasm"))?;
        let subject = Subject::new(engines, &wasm, options(unroll))?;
        let exports = subject.exports();
        let (_, ty) = exports
            .iter()
            .find(|(export, _)| export == "run")
            .context("no export `run`")?;
        let report = subject
            .interrupt("run", ty, &[rounds.into()], every)
            .context(name)?;
        println!("{name}: {} round trips", report.round_trips);
        // Four turns of an unrolled loop may share a safepoint.
        let least = if unroll { 25 } else { 100 };
        assert!(
            report.round_trips >= least,
            "{name}: only {} round trips",
            report.round_trips
        );
    }
    Ok(())
}
