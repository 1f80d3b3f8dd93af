//! What it costs that a job can be captured, while nobody captures it.
//!
//! The kernels of `workloads/kernels` run as plain modules, in the form that every job
//! starts in, in the form that a job is resumed in first, which can go on from one stack, and in
//! that which can go on from any, counting safepoints as `--checkpoint-at` does, as a deterministic job, which counts and has canonical NaNs; with wasmtime's
//! epoch interruption; and with a poll in every loop and Binaryen's asyncify, if there is a
//! `wasm-opt`.
//! criterion reports each way's CPU time. Then the ways take turns, so that what disturbs the
//! machine disturbs all, and the table gives the ratio to the plain module. Where code lies in
//! memory, and where in a cache line the stack begins, can make it a third faster or slower: so
//! every few turns all code is moved, and the stack with it. The ratio is the median of the turns
//! with the stack at one place, and the geometric mean over those places.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Duration;

use criterion::Criterion;
use rustix::time::{ClockId, clock_gettime};
use wasmtime::{Config, Engine, Linker, MemoryType, Module, SharedMemory, Store, TypedFunc};
use wherry_instrument::{FLAG_MODULE, FLAG_NAME, Options, instrument, instrument_to_resume};

mod asyncify;
mod stack;

/// A turn of the plain module takes at least this long.
const TURN: Duration = Duration::from_millis(20);
/// Places at which all code is put, one after the other; at each, the stack begins at the next of
/// [`ALIGNMENTS`].
const PLACES: usize = 8;
/// Multiples of 16 bytes, which is how stacks are aligned, within a cache line.
const ALIGNMENTS: usize = 4;
/// Turns at each.
const TURNS: usize = 3;

#[derive(Clone, Copy, PartialEq)]
enum Way {
    Plain,
    Leaving,
    Resumed,
    ResumedAnywhere,
    Counting,
    Deterministic,
    Epochs,
    Asyncify,
}

const WAYS: [(&str, Way); 8] = [
    ("plain", Way::Plain),
    ("checkpointable", Way::Leaving),
    ("resumed", Way::Resumed),
    ("resumed anywhere", Way::ResumedAnywhere),
    ("counting", Way::Counting),
    ("deterministic", Way::Deterministic),
    ("wasmtime epochs", Way::Epochs),
    ("asyncify", Way::Asyncify),
];

/// A compiled kernel.
struct Compiled {
    engine: Engine,
    way: Way,
    code: Vec<u8>,
}

/// One that can be called.
struct Kernel {
    store: Store<()>,
    run: TypedFunc<u32, u32>,
}

impl Compiled {
    fn new(wasm: &[u8], way: Way) -> wasmtime::Result<Self> {
        let mut config = Config::new();
        config.wasm_branch_hinting(true).shared_memory(true);
        config.epoch_interruption(way == Way::Epochs);
        config.relaxed_simd_deterministic(way == Way::Deterministic);
        let engine = Engine::new(&config)?;
        let code = engine.precompile_module(&made(wasm, way)?)?;
        Ok(Compiled { engine, way, code })
    }

    /// Loads the code, to where nothing is yet, and makes an instance.
    #[expect(unsafe_code, reason = "compiled code is trusted")]
    fn load(&self) -> wasmtime::Result<Kernel> {
        // SAFETY: the code is what this engine's compiler gave.
        let module = unsafe { Module::deserialize(&self.engine, &self.code)? };
        let mut store = Store::new(&self.engine, ());
        if self.way == Way::Epochs {
            store.set_epoch_deadline(1 << 40);
        }
        let flag = SharedMemory::new(&self.engine, MemoryType::shared(1, 1))?;
        let mut linker = Linker::new(&self.engine);
        linker.define(&store, FLAG_MODULE, FLAG_NAME, flag)?;
        // SQLite's C library imports calls that the kernel never makes.
        linker.define_unknown_imports_as_default_values(&mut store, &module)?;
        let instance = linker.instantiate(&mut store, &module)?;
        if let Some(initialize) = instance.get_func(&mut store, "_initialize") {
            initialize.call(&mut store, &[], &mut [])?;
        }
        let run = instance.get_typed_func(&mut store, "run")?;
        Ok(Kernel { store, run })
    }
}

/// The module as this way needs it.
fn made(wasm: &[u8], way: Way) -> wasmtime::Result<Vec<u8>> {
    let countdown = match way {
        Way::Plain | Way::Epochs => return Ok(wasm.to_vec()),
        Way::Asyncify => return asyncify::asyncify(wasm),
        Way::Leaving | Way::Resumed | Way::ResumedAnywhere => false,
        Way::Counting | Way::Deterministic => true,
    };
    let options = Options {
        resumable: way == Way::ResumedAnywhere,
        countdown,
        unroll: !countdown,
        canonical_nans: way == Way::Deterministic,
        ..Options::default()
    };
    let instrumented = if way == Way::Resumed {
        instrument_to_resume(wasm, &options, &stack::functions(wasm)?)?
    } else {
        instrument(wasm, &options)?
    };
    Ok(instrumented.wasm)
}

impl Kernel {
    /// Runs on a stack that begins at this one of [`ALIGNMENTS`].
    fn run(&mut self, rounds: u32, alignment: usize) -> wasmtime::Result<(Duration, u32)> {
        let call = || {
            let start = cpu_time();
            let sum = self.run.call(&mut self.store, rounds)?;
            Ok((cpu_time() - start, sum))
        };
        match alignment % ALIGNMENTS {
            0 => below::<0, _>(call),
            1 => below::<16, _>(call),
            2 => below::<32, _>(call),
            _ => below::<48, _>(call),
        }
    }
}

/// Calls with so many bytes more on the stack.
#[inline(never)]
fn below<const BYTES: usize, T>(call: impl FnOnce() -> T) -> T {
    let bytes = black_box([0_u8; BYTES]);
    let result = call();
    black_box(&bytes);
    result
}

fn main() -> wasmtime::Result<()> {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(500))
        .configure_from_args();
    let mut ways = WAYS.to_vec();
    if !asyncify::is_there() {
        ways.retain(|&(_, way)| way != Way::Asyncify);
    }
    let kernels = kernels();
    for path in &kernels {
        report(&mut criterion, &ways, path)?;
    }
    criterion.final_summary();
    // `cargo test --benches` passes no `--bench`: there is nothing to compare.
    if std::env::args().any(|arg| arg == "--bench") {
        table(&ways, &kernels)?;
    }
    Ok(())
}

/// Every way by itself.
fn report(criterion: &mut Criterion, ways: &[(&str, Way)], path: &Path) -> wasmtime::Result<()> {
    let wasm = std::fs::read(path)?;
    let rounds = calibrate(&wasm)?;
    let mut group = criterion.benchmark_group(format!("idle overhead/{}", name(path)));
    for &(label, way) in ways {
        group.bench_function(label, |bencher| {
            let kernel = Compiled::new(&wasm, way).and_then(|compiled| compiled.load());
            let mut kernel = kernel.expect("a kernel can be instantiated");
            bencher.iter_custom(|turns| {
                let alignments = (0..ALIGNMENTS).cycle().zip(0..turns);
                let turn = |(alignment, _)| {
                    let ran = kernel.run(rounds, alignment);
                    ran.expect("a kernel does not trap").0
                };
                alignments.map(turn).sum()
            });
        });
    }
    group.finish();
    Ok(())
}

/// All ways by turns.
fn table(ways: &[(&str, Way)], kernels: &[PathBuf]) -> wasmtime::Result<()> {
    println!("\nCPU time relative to the plain module, by interleaved turns\n");
    let names: Vec<&str> = ways[1..].iter().map(|&(name, _)| name).collect();
    println!("| kernel | {} |", names.join(" | "));
    println!("| --- |{}", " --- |".repeat(names.len()));
    let mut all = vec![Vec::new(); names.len()];
    for path in kernels {
        let ratios = measure(ways, path)?;
        println!("| {} {}", name(path), row(&ratios));
        for (all, ratio) in all.iter_mut().zip(ratios) {
            all.push(ratio);
        }
    }
    let means: Vec<f64> = all.iter().map(|ratios| geometric_mean(ratios)).collect();
    println!("| **geometric mean** {}", row(&means));
    Ok(())
}

fn row(ratios: &[f64]) -> String {
    let cells = ratios.iter().map(|ratio| format!("| {ratio:.3} "));
    cells.collect::<String>() + "|"
}

fn name(path: &Path) -> String {
    path.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// The kernels that are checked in, and SQLite if `workloads/build sqlite` has made it.
fn kernels() -> Vec<PathBuf> {
    let workloads = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../workloads");
    let entries = std::fs::read_dir(workloads.join("prebuilt/kernels"))
        .into_iter()
        .flatten();
    let mut kernels: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    let sqlite = workloads.join("out/kernels/sqlite.wasm");
    if sqlite.exists() {
        kernels.push(sqlite);
    } else {
        println!("SKIPPED: the kernel sqlite: workloads/build has not built it");
    }
    kernels.sort_by_key(|path| name(path));
    kernels
}

/// The ratio of each way but the first to the first, the plain module.
fn measure(ways: &[(&str, Way)], path: &Path) -> wasmtime::Result<Vec<f64>> {
    let wasm = std::fs::read(path)?;
    let rounds = calibrate(&wasm)?;
    let compiled = ways.iter().map(|&(_, way)| Compiled::new(&wasm, way));
    let compiled = compiled.collect::<wasmtime::Result<Vec<_>>>()?;
    let mut ratios = vec![vec![Vec::new(); ALIGNMENTS]; ways.len()];
    // What was loaded before stays, so that nothing is loaded to the same place again.
    let mut loaded = Vec::new();
    for place in 0..PLACES {
        let alignment = place % ALIGNMENTS;
        let kernels = compiled.iter().map(Compiled::load);
        let mut kernels = kernels.collect::<wasmtime::Result<Vec<_>>>()?;
        for turn in 0..TURNS {
            let mut times = vec![(Duration::ZERO, 0); ways.len()];
            for next in 0..ways.len() {
                let way = (next + turn) % ways.len();
                times[way] = kernels[way].run(rounds, alignment)?;
            }
            for (ratios, &(time, sum)) in ratios.iter_mut().zip(&times) {
                assert_eq!(sum, times[0].1, "{}: results differ", path.display());
                ratios[alignment].push(time.as_secs_f64() / times[0].0.as_secs_f64());
            }
        }
        loaded.push(kernels);
    }
    let mean = |by_alignment: Vec<Vec<f64>>| {
        let medians: Vec<f64> = by_alignment.into_iter().map(median).collect();
        geometric_mean(&medians)
    };
    Ok(ratios.into_iter().skip(1).map(mean).collect())
}

fn calibrate(wasm: &[u8]) -> wasmtime::Result<u32> {
    let mut kernel = Compiled::new(wasm, Way::Plain)?.load()?;
    let mut rounds = 1;
    while kernel.run(rounds, 0)?.0 < TURN {
        rounds *= 2;
    }
    Ok(rounds)
}

fn geometric_mean(values: &[f64]) -> f64 {
    let count = u32::try_from(values.len()).map_or(1.0, f64::from);
    let logarithms = values.iter().map(|value| value.ln());
    (logarithms.sum::<f64>() / count).exp()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), nanoseconds)
}
