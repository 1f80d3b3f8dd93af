//! What a module costs before it runs: the time to instrument and compile it, and the size of
//! the machine code, relative to the plain module; and the same of what Binaryen's asyncify
//! makes, if there is a `wasm-opt` (whose own time does not count).
//!
//! criterion reports each way's time. The table gives the median of turns in which the ways
//! take their turn, in CPU time of the whole process, since the compiler uses all cores.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use criterion::Criterion;
use rustix::time::{ClockId, clock_gettime};
use wasmtime::{Config, Engine, Module};
use wherry_instrument::{Options, instrument, instrument_to_resume};

mod asyncify;
mod stack;

const TURNS: usize = 7;

#[derive(Clone, Copy, PartialEq)]
enum Way {
    Plain,
    Leaving,
    Resumed,
    ResumedAnywhere,
    Asyncify,
}

const WAYS: [(&str, Way); 5] = [
    ("plain", Way::Plain),
    ("checkpointable", Way::Leaving),
    ("resumed", Way::Resumed),
    ("resumed anywhere", Way::ResumedAnywhere),
    ("asyncify", Way::Asyncify),
];

/// Programs that take long enough to be timed by themselves.
const PROGRAMS: [&str; 3] = ["kernels/sqlite.wasm", "archive.wasm", "jsonsum.wasm"];

/// Modules that are compiled one after the other, in all forms that are not made on the way.
struct Subject {
    name: String,
    modules: Vec<Vec<u8>>,
    /// The functions on a stack of each.
    stacks: Vec<BTreeSet<u32>>,
    asyncified: Vec<Vec<u8>>,
}

impl Subject {
    fn new(name: &str, paths: &[PathBuf], asyncify: bool) -> wasmtime::Result<Self> {
        let modules = paths.iter().map(std::fs::read);
        let modules = modules.collect::<std::io::Result<Vec<_>>>()?;
        let stacks = modules.iter().map(|wasm| stack::functions(wasm));
        let stacks = stacks.collect::<wasmtime::Result<_>>()?;
        let mut asyncified = Vec::new();
        if asyncify {
            for wasm in &modules {
                asyncified.push(asyncify::asyncify(wasm)?);
            }
        }
        Ok(Self {
            name: name.to_owned(),
            modules,
            stacks,
            asyncified,
        })
    }

    /// Compiles all; returns the bytes of machine code of their functions.
    fn compile(&self, engine: &Engine, way: Way) -> wasmtime::Result<usize> {
        let modules = match way {
            Way::Asyncify => &self.asyncified,
            _ => &self.modules,
        };
        let mut bytes = 0;
        for (wasm, stack) in modules.iter().zip(&self.stacks) {
            let module = compile(engine, wasm, way, stack)?;
            bytes += module
                .functions()
                .map(|function| function.len)
                .sum::<usize>();
        }
        Ok(bytes)
    }
}

fn compile(
    engine: &Engine,
    wasm: &[u8],
    way: Way,
    stack: &BTreeSet<u32>,
) -> wasmtime::Result<Module> {
    let options = Options {
        resumable: way == Way::ResumedAnywhere,
        unroll: true,
        ..Options::default()
    };
    let instrumented = match way {
        Way::Plain | Way::Asyncify => return Module::from_binary(engine, wasm),
        Way::Leaving | Way::ResumedAnywhere => instrument(wasm, &options)?,
        Way::Resumed => instrument_to_resume(wasm, &options, stack)?,
    };
    Module::from_binary(engine, &instrumented.wasm)
}

fn main() -> wasmtime::Result<()> {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let mut config = Config::new();
    config.wasm_branch_hinting(true).shared_memory(true);
    let engine = Engine::new(&config)?;
    // `cargo test --benches` passes no `--bench`: there is nothing to compare.
    if std::env::args().any(|arg| arg == "--bench") {
        let mut ways = WAYS.to_vec();
        if !asyncify::is_there() {
            ways.pop();
        }
        let subjects = subjects(ways.len() == WAYS.len())?;
        for subject in &subjects {
            report(&mut criterion, &engine, &ways, subject);
        }
        table(&engine, &ways, &subjects)?;
    }
    criterion.final_summary();
    Ok(())
}

fn report(criterion: &mut Criterion, engine: &Engine, ways: &[(&str, Way)], subject: &Subject) {
    let mut group = criterion.benchmark_group(format!("compile/{}", subject.name));
    for &(label, way) in ways {
        group.bench_function(label, |bencher| {
            bencher.iter(|| subject.compile(engine, way).expect("it compiles"));
        });
    }
    group.finish();
}

fn table(engine: &Engine, ways: &[(&str, Way)], subjects: &[Subject]) -> wasmtime::Result<()> {
    println!("\nCPU time to compile, and size of the code, relative to the plain module\n");
    let names = ways[1..].iter();
    let cells: String = names
        .map(|(name, _)| format!(" {name}: time | code |"))
        .collect();
    println!("| module |{cells}");
    println!("| --- |{}", " --- | --- |".repeat(ways.len() - 1));
    for subject in subjects {
        let mut times = vec![Vec::new(); ways.len()];
        let mut sizes = vec![0; ways.len()];
        for _ in 0..TURNS {
            for (place, &(_, way)) in ways.iter().enumerate() {
                let start = cpu_time();
                sizes[place] = subject.compile(engine, way)?;
                times[place].push((cpu_time() - start).as_secs_f64());
            }
        }
        let times: Vec<f64> = times.into_iter().map(median).collect();
        let cells: String = (1..ways.len())
            .map(|way| {
                let time = times[way] / times[0];
                format!(" {time:.2} | {:.2} |", ratio(sizes[way], sizes[0]))
            })
            .collect();
        println!("| {} |{cells}", subject.name);
    }
    Ok(())
}

/// The kernels that are checked in, together, and the programs that `workloads/build` has built.
fn subjects(asyncify: bool) -> wasmtime::Result<Vec<Subject>> {
    let workloads = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../workloads");
    let entries = std::fs::read_dir(workloads.join("prebuilt/kernels"))?;
    let kernels: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    let mut subjects = vec![Subject::new("kernels", &kernels, asyncify)?];
    for program in PROGRAMS {
        let path = workloads.join("out").join(program);
        let stem = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.exists() {
            subjects.push(Subject::new(&stem, &[path], asyncify)?);
        } else {
            println!("SKIPPED: {stem}: workloads/build has not built it");
        }
    }
    Ok(subjects)
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
