//! Round trips for as long as one likes: random modules, stopped and moved through the
//! checkpoint format. What fails is made smaller and kept as a file for `tests/regressions`.

#![expect(clippy::print_stdout, reason = "it is a command")]

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Parser;
use wasmtime::Result;
use wherry_conformance::{Engines, Failure, Report, minimise, random_trial, repeat};

/// Between two lines about the progress.
const PROGRESS: Duration = Duration::from_secs(60);

#[derive(Parser)]
struct Options {
    /// The first seed; every module has the next one.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// End after this many modules.
    #[arg(long, default_value_t = u64::MAX)]
    modules: u64,
    /// End after this many minutes.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Where cases that failed are kept.
    #[arg(long, default_value = "conformance/tests/regressions")]
    keep: PathBuf,
    /// Move between this processor and wasmtime's interpreter, back and forth.
    #[arg(long)]
    across: bool,
}

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    let engines = if options.across {
        Engines::across()?
    } else {
        Engines::native()?
    };
    let start = Instant::now();
    let end = start + Duration::from_secs(60 * options.minutes);
    let (mut total, mut failures, mut modules) = (Report::default(), 0, 0);
    let mut next_line = start + PROGRESS;
    while modules < options.modules && Instant::now() < end {
        let seed = options.seed + modules;
        modules += 1;
        match random_trial(&engines, seed) {
            Ok(report) => total += report,
            Err(failure) => {
                failures += 1;
                println!("seed {seed}: {:#}", failure.error);
                keep(&engines, &options, seed, *failure)?;
            }
        }
        if Instant::now() >= next_line {
            next_line += PROGRESS;
            tell(&options, modules, total, failures, start);
        }
    }
    tell(&options, modules, total, failures, start);
    Ok(if failures == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn tell(options: &Options, modules: u64, total: Report, failures: u64, start: Instant) {
    let (first, seconds) = (options.seed, start.elapsed().as_secs());
    println!(
        "seeds {first} to {}: {modules} modules ({} refused), {} calls, {} round trips ({} with a way back in part), {failures} failures, {seconds} s",
        first + modules - 1,
        total.refused,
        total.calls,
        total.round_trips,
        total.in_part,
    );
}

/// Writes the case down, as small as it can be made.
fn keep(engines: &Engines, options: &Options, seed: u64, mut failure: Failure) -> Result<()> {
    let call = failure.call.clone();
    let fails = |wasm: &[u8]| repeat(engines, wasm, call.as_ref()).is_err();
    if fails(&failure.wasm) {
        failure.wasm = minimise(failure.wasm, fails);
    }
    std::fs::create_dir_all(&options.keep)?;
    let path = options.keep.join(format!("seed-{seed}.wat"));
    std::fs::write(&path, failure.to_text()?)?;
    println!("kept as {}", path.display());
    Ok(())
}
