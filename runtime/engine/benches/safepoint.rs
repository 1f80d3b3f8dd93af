//! How long a program runs on once it is asked to leave: from the moment another thread raises
//! the flag to the return of the outermost call, the whole stack being stored on the way. Beside
//! it wasmtime's epochs, which end a program in a trap.
//!
//! criterion reports the mean. The table has the median and the 99th percentile of requests
//! that come at random moments.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use criterion::Criterion;
use wasmtime::{Config, Engine, Linker, MemoryType, Module, SharedMemory, Store};
use wherry_instrument::{FLAG_LEAVE, FLAG_MODULE, FLAG_NAME, Options, instrument};

/// Requests to each kernel.
const REQUESTS: usize = 400;

/// The latest moment of a request after the kernel's start.
const LATEST_MICROSECONDS: u64 = 3_000;

/// More than any kernel gets done.
const ROUNDS: u32 = u32::MAX;

const WAYS: [(&str, Way); 2] = [("leaving", Way::Leaving), ("wasmtime epochs", Way::Epochs)];

#[derive(Clone, Copy, PartialEq)]
enum Way {
    Leaving,
    Epochs,
}

struct Kernel {
    engine: Engine,
    module: Module,
    way: Way,
}

impl Kernel {
    fn new(path: &Path, way: Way) -> wasmtime::Result<Self> {
        let mut config = Config::new();
        config.wasm_branch_hinting(true).shared_memory(true);
        config.epoch_interruption(way == Way::Epochs);
        let engine = Engine::new(&config)?;
        let mut wasm = std::fs::read(path)?;
        if way == Way::Leaving {
            let options = Options {
                unroll: true,
                ..Options::default()
            };
            wasm = instrument(&wasm, &options)?.wasm;
        }
        let module = Module::from_binary(&engine, &wasm)?;
        Ok(Kernel {
            engine,
            module,
            way,
        })
    }

    /// Starts the kernel, asks it to leave after `moment`, and returns how long that took.
    fn leave(&self, moment: Duration) -> wasmtime::Result<Duration> {
        let mut store = Store::new(&self.engine, ());
        if self.way == Way::Epochs {
            store.set_epoch_deadline(1);
        }
        let flag = SharedMemory::new(&self.engine, MemoryType::shared(1, 1))?;
        let mut linker = Linker::new(&self.engine);
        linker.define(&store, FLAG_MODULE, FLAG_NAME, flag.clone())?;
        // SQLite's C library imports calls that the kernel never makes.
        linker.define_unknown_imports_as_default_values(&mut store, &self.module)?;
        let instance = linker.instantiate(&mut store, &self.module)?;
        if let Some(initialize) = instance.get_func(&mut store, "_initialize") {
            initialize.call(&mut store, &[], &mut [])?;
        }
        let run = instance.get_typed_func::<u32, u32>(&mut store, "run")?;
        thread::scope(|scope| {
            let asker = scope.spawn(move || {
                let started = Instant::now();
                while started.elapsed() < moment {
                    std::hint::spin_loop();
                }
                let asked = Instant::now();
                match self.way {
                    Way::Leaving => raise(&flag),
                    Way::Epochs => self.engine.increment_epoch(),
                }
                asked
            });
            let returned = run.call(&mut store, ROUNDS);
            let left = Instant::now();
            assert_eq!(returned.is_err(), self.way == Way::Epochs, "{returned:?}");
            Ok(left - asker.join().expect("the asker does not panic"))
        })
    }
}

#[expect(
    unsafe_code,
    reason = "a shared memory is accessed through its address"
)]
fn raise(flag: &SharedMemory) {
    // SAFETY: the byte lives as long as `flag`, and is accessed with atomic instructions only.
    let byte = unsafe { AtomicU8::from_ptr(flag.data()[0].get()) };
    byte.fetch_or(FLAG_LEAVE, Ordering::SeqCst);
}

fn main() -> wasmtime::Result<()> {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(50))
        .measurement_time(Duration::from_millis(200))
        .configure_from_args();
    let kernels = kernels();
    for path in &kernels {
        let mut group = criterion.benchmark_group(format!("time to safepoint/{}", name(path)));
        for (label, way) in WAYS {
            let kernel = Kernel::new(path, way)?;
            group.bench_function(label, |bencher| {
                bencher.iter_custom(|turns| {
                    let turn = |_| kernel.leave(moment()).expect("a kernel does not trap");
                    (0..turns).map(turn).sum()
                });
            });
        }
        group.finish();
    }
    criterion.final_summary();
    // `cargo test --benches` passes no `--bench`: there is nothing to tell.
    if std::env::args().any(|arg| arg == "--bench") {
        table(&kernels)?;
    }
    Ok(())
}

fn table(kernels: &[PathBuf]) -> wasmtime::Result<()> {
    let cells = WAYS.map(|(name, _)| format!(" {name}: median | p99 |"));
    println!("\n| kernel |{}", cells.concat());
    println!("| --- |{}", " --- | --- |".repeat(WAYS.len()));
    for path in kernels {
        print!("| {} |", name(path));
        for (_, way) in WAYS {
            let kernel = Kernel::new(path, way)?;
            let requests = (0..REQUESTS).map(|_| kernel.leave(moment()));
            let mut times = requests.collect::<wasmtime::Result<Vec<_>>>()?;
            times.sort_unstable();
            let (median, p99) = (times[REQUESTS / 2], times[REQUESTS * 99 / 100]);
            print!(" {median:.0?} | {p99:.0?} |");
        }
        println!();
    }
    Ok(())
}

/// A random moment.
fn moment() -> Duration {
    let random = RandomState::new().hash_one(0);
    Duration::from_micros(random % LATEST_MICROSECONDS)
}

fn name(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default();
    stem.to_string_lossy().into_owned()
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
