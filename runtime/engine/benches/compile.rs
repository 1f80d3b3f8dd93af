//! What a module costs before it runs: the time to instrument and compile it, and the size of
//! the machine code, relative to the plain module.
//!
//! criterion reports each way's time. The table gives the median of turns in which the ways
//! take their turn, in CPU time of the whole process, since the compiler uses all cores.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use criterion::Criterion;
use rustix::time::{ClockId, clock_gettime};
use wasmtime::{Config, Engine, Module};
use wherry_instrument::{Options, instrument};

const TURNS: usize = 7;

const WAYS: [(&str, Option<bool>); 3] = [
    ("plain", None),
    ("checkpointable", Some(false)),
    ("resumed", Some(true)),
];

/// Modules that take long enough to be timed, by what they were written in.
const MODULES: [&str; 3] = ["kernels/sqlite.wasm", "archive.wasm", "jsonsum.wasm"];

fn main() -> wasmtime::Result<()> {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let mut config = Config::new();
    config.wasm_branch_hinting(true).shared_memory(true);
    let engine = Engine::new(&config)?;
    let modules = modules();
    // `cargo test --benches` passes no `--bench`: there is nothing to compare.
    if std::env::args().any(|arg| arg == "--bench") {
        for path in &modules {
            report(&mut criterion, &engine, path)?;
        }
        table(&engine, &modules)?;
    }
    criterion.final_summary();
    Ok(())
}

fn report(criterion: &mut Criterion, engine: &Engine, path: &Path) -> wasmtime::Result<()> {
    let wasm = std::fs::read(path)?;
    let mut group = criterion.benchmark_group(format!("compile/{}", name(path)));
    for (label, form) in WAYS {
        group.bench_function(label, |bencher| {
            bencher.iter(|| compile(engine, &wasm, form).expect("it compiles"));
        });
    }
    group.finish();
    Ok(())
}

fn table(engine: &Engine, modules: &[PathBuf]) -> wasmtime::Result<()> {
    println!("| module | compile: checkpointable | resumed | code: checkpointable | resumed |");
    println!("| --- | --- | --- | --- | --- |");
    for path in modules {
        let wasm = std::fs::read(path)?;
        let mut times = [const { Vec::new() }; WAYS.len()];
        let mut sizes = [0; WAYS.len()];
        for _ in 0..TURNS {
            for (way, (_, form)) in WAYS.iter().enumerate() {
                let start = cpu_time();
                let module = compile(engine, &wasm, *form)?;
                times[way].push((cpu_time() - start).as_secs_f64());
                sizes[way] = module.text().len();
            }
        }
        let times = times.map(median);
        println!(
            "| {} | {:.2} | {:.2} | {:.2} | {:.2} |",
            name(path),
            times[1] / times[0],
            times[2] / times[0],
            ratio(sizes[1], sizes[0]),
            ratio(sizes[2], sizes[0]),
        );
    }
    Ok(())
}

fn compile(engine: &Engine, wasm: &[u8], form: Option<bool>) -> wasmtime::Result<Module> {
    let Some(resumable) = form else {
        return Module::from_binary(engine, wasm);
    };
    let options = Options {
        resumable,
        countdown: false,
        unroll: true,
        ..Options::default()
    };
    Module::from_binary(engine, &instrument(wasm, &options)?.wasm)
}

fn modules() -> Vec<PathBuf> {
    let out = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../workloads/out");
    let (there, missing): (Vec<_>, Vec<_>) = MODULES
        .iter()
        .map(|module| out.join(module))
        .partition(|path| path.exists());
    for path in missing {
        println!("SKIPPED: {}: workloads/build has not built it", name(&path));
    }
    there
}

fn name(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default();
    stem.to_string_lossy().into_owned()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a ratio of sizes far below 2^52"
)]
fn ratio(a: usize, b: usize) -> f64 {
    a as f64 / b as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), nanoseconds)
}
