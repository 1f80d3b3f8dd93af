//! What it costs that a job can be captured, while nobody captures it.
//!
//! The kernels of `workloads/kernels` run as plain modules, in the form that every job
//! starts in, in the form that a resumed job has, counting safepoints as `--checkpoint-at`
//! does, as a deterministic job, which counts and has canonical NaNs, and with wasmtime's
//! epoch interruption.
//! criterion reports each way's CPU time. Then the ways take turns, so that what disturbs the
//! machine disturbs all, and the table gives the median ratio to the plain module.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use criterion::Criterion;
use rustix::time::{ClockId, clock_gettime};
use wasmtime::{Config, Engine, Linker, MemoryType, Module, SharedMemory, Store, TypedFunc};
use wherry_instrument::{FLAG_MODULE, FLAG_NAME, Options, instrument};

/// A turn of the plain module takes at least this long.
const TURN: Duration = Duration::from_millis(20);
const TURNS: usize = 21;

#[derive(Clone, Copy)]
enum Way {
    Plain,
    Leaving,
    Resumable,
    Counting,
    Deterministic,
    Epochs,
}

const WAYS: [(&str, Way); 6] = [
    ("plain", Way::Plain),
    ("checkpointable", Way::Leaving),
    ("resumed", Way::Resumable),
    ("counting", Way::Counting),
    ("deterministic", Way::Deterministic),
    ("wasmtime epochs", Way::Epochs),
];

struct Kernel {
    store: Store<()>,
    run: TypedFunc<u32, u32>,
}

impl Kernel {
    fn new(wasm: &[u8], way: Way) -> wasmtime::Result<Self> {
        let mut config = Config::new();
        config.wasm_branch_hinting(true).shared_memory(true);
        config.epoch_interruption(matches!(way, Way::Epochs));
        let deterministic = matches!(way, Way::Deterministic);
        config.cranelift_nan_canonicalization(deterministic);
        config.relaxed_simd_deterministic(deterministic);
        let engine = Engine::new(&config)?;
        let resumable = matches!(way, Way::Resumable);
        let instrumented = match way {
            Way::Plain | Way::Epochs => wasm.to_vec(),
            Way::Leaving | Way::Resumable | Way::Counting | Way::Deterministic => {
                let countdown = matches!(way, Way::Counting | Way::Deterministic);
                let options = Options {
                    resumable,
                    countdown,
                    unroll: !countdown,
                    ..Options::default()
                };
                instrument(wasm, &options)?.wasm
            }
        };
        let module = Module::from_binary(&engine, &instrumented)?;
        let mut store = Store::new(&engine, ());
        if matches!(way, Way::Epochs) {
            store.set_epoch_deadline(1 << 40);
        }
        let flag = SharedMemory::new(&engine, MemoryType::shared(1, 1))?;
        let mut linker = Linker::new(&engine);
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

    fn run(&mut self, rounds: u32) -> wasmtime::Result<(Duration, u32)> {
        let start = cpu_time();
        let sum = self.run.call(&mut self.store, rounds)?;
        Ok((cpu_time() - start, sum))
    }
}

fn main() -> wasmtime::Result<()> {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(500))
        .configure_from_args();
    let kernels = kernels();
    for path in &kernels {
        report(&mut criterion, path)?;
    }
    criterion.final_summary();
    // `cargo test --benches` passes no `--bench`: there is nothing to compare.
    if std::env::args().any(|arg| arg == "--bench") {
        table(&kernels)?;
    }
    Ok(())
}

/// Every way by itself.
fn report(criterion: &mut Criterion, path: &Path) -> wasmtime::Result<()> {
    let wasm = std::fs::read(path)?;
    let rounds = calibrate(&wasm)?;
    let mut group = criterion.benchmark_group(format!("idle overhead/{}", name(path)));
    for (label, way) in WAYS {
        let mut kernel = Kernel::new(&wasm, way)?;
        group.bench_function(label, |bencher| {
            bencher.iter_custom(|turns| {
                let turn = |_| kernel.run(rounds).expect("a kernel does not trap").0;
                (0..turns).map(turn).sum()
            });
        });
    }
    group.finish();
    Ok(())
}

/// All ways by turns.
fn table(kernels: &[PathBuf]) -> wasmtime::Result<()> {
    println!("CPU time relative to the plain module, median of {TURNS} interleaved turns\n");
    print!("{:14}", "kernel");
    WAYS[1..].iter().for_each(|(name, _)| print!("{name:>18}"));
    println!();
    let mut logarithms = [0.0; WAYS.len()];
    for path in kernels {
        let ratios = measure(path)?;
        print!("{:14}", name(path));
        for (sum, ratio) in logarithms.iter_mut().zip(ratios).skip(1) {
            print!("{ratio:18.3}");
            *sum += ratio.ln();
        }
        println!();
    }
    print!("{:14}", "geometric mean");
    let count = u32::try_from(kernels.len()).map_or(1.0, f64::from);
    logarithms[1..]
        .iter()
        .for_each(|sum| print!("{:18.3}", (sum / count).exp()));
    println!();
    Ok(())
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

/// The ratio of each way to the plain module.
fn measure(path: &Path) -> wasmtime::Result<[f64; WAYS.len()]> {
    let wasm = std::fs::read(path)?;
    let mut kernels = Vec::new();
    for (_, way) in WAYS {
        kernels.push(Kernel::new(&wasm, way)?);
    }
    let rounds = calibrate(&wasm)?;
    let mut ratios = [const { Vec::new() }; WAYS.len()];
    for turn in 0..TURNS {
        let mut times = [(Duration::ZERO, 0); WAYS.len()];
        for place in 0..WAYS.len() {
            let way = (place + turn) % WAYS.len();
            times[way] = kernels[way].run(rounds)?;
        }
        for (ratios, (time, sum)) in ratios.iter_mut().zip(times) {
            assert_eq!(sum, times[0].1, "{}: results differ", path.display());
            ratios.push(time.as_secs_f64() / times[0].0.as_secs_f64());
        }
    }
    Ok(ratios.map(median))
}

fn calibrate(wasm: &[u8]) -> wasmtime::Result<u32> {
    let mut rounds = 1;
    while Kernel::new(wasm, Way::Plain)?.run(rounds)?.0 < TURN {
        rounds *= 2;
    }
    Ok(rounds)
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
