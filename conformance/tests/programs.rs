//! Real programs, stopped at random safepoints: what they print and the files that they leave
//! are those of an uninterrupted run. `WHERRY_CAPTURES` is the number of stops of each (12
//! unless set), `WHERRY_SEED` where they come from. Then the same with every other leg on
//! another instruction set, that of wasmtime's interpreter.

#![expect(clippy::print_stdout, reason = "a test tells how much it did")]

use std::{env, path::Path};

use wasmtime::{Result, ensure, error::Context};
use wherry_conformance::{Program, Random};
use wherry_engine::{Engine, EngineConfig, Target};

#[test]
fn a_language_model() -> Result<()> {
    survives("babble", &["300"])
}

#[test]
fn graph_kernels() -> Result<()> {
    survives("graphs", &["10"])
}

#[test]
fn a_javascript_interpreter() -> Result<()> {
    survives("quickjs", &["2"])
}

#[test]
fn a_database() -> Result<()> {
    survives("sqlite", &["2000", "orders.db"])
}

#[test]
fn go_with_a_garbage_collector() -> Result<()> {
    survives("jsonsum", &["-orders", "300"])
}

#[test]
fn rust_that_archives() -> Result<()> {
    survives("archive", &["/input", "input.tar.gz", "6"])
}

fn survives(name: &str, args: &[&str]) -> Result<()> {
    let workloads = Path::new(env!("CARGO_MANIFEST_DIR")).join("../workloads");
    let path = workloads.join(format!("out/{name}.wasm"));
    if !path.exists() {
        println!("SKIPPED: {name} is not built (workloads/build {name})");
        return Ok(());
    }
    let engine = |target| {
        let config = EngineConfig {
            target,
            ..EngineConfig::default()
        };
        Engine::new(config)
    };
    let engines = [engine(Target::Native)?, engine(Target::Interpreter)?];
    for engines in [&engines[..1], &engines] {
        let program = Program::new(engines, &path, args)?;
        let program = program.with_input(&workloads.join("prebuilt/kernels"));
        let across = engines.len() > 1;
        stop_often(&program).with_context(|| format!("{name}, across: {across}"))?;
    }
    Ok(())
}

fn stop_often(program: &Program) -> Result<()> {
    let expected = program.uninterrupted()?;
    ensure!(expected.code == 0, "exit code {}", expected.code);
    ensure!(!expected.stdout.is_empty(), "it prints something");

    let (captures, seed) = (setting("WHERRY_CAPTURES", 12), setting("WHERRY_SEED", 1));
    let mut random = Random::new(seed);
    let (mut stops, mut runs) = (0, 0);
    while stops < captures {
        // A stop in a hot loop comes after a few safepoints, or after very many.
        let left = usize::try_from(captures - stops)?.min(100);
        let legs = std::iter::repeat_with(|| {
            let bits = random.below(21);
            1 + random.below(1 << bits)
        });
        let (found, stopped) = program.in_legs(legs.take(left)).context("in legs")?;
        // A first leg may be longer than a short program.
        ensure!(runs < 20 + captures, "it passes too few safepoints");
        ensure!(
            found == expected,
            "WHERRY_SEED={seed}: after {stopped} stops, {} instead of {}",
            String::from_utf8_lossy(&found.stdout),
            String::from_utf8_lossy(&expected.stdout)
        );
        (stops, runs) = (stops + stopped, runs + 1);
    }
    println!("{stops} stops in {runs} runs");
    Ok(())
}

fn setting(name: &str, default: u64) -> u64 {
    let value = env::var(name).ok();
    value
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}
