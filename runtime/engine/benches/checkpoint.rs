//! A job with a large heap, of which one page in a hundred is written between checkpoints: how
//! long it stands still, how long a checkpoint takes, and how long it takes to resume from one;
//! beside what the same bytes take in memory and on the same disk, and beside CRIU with a
//! native process that has the same heap.
//!
//! The heap has 1 GiB, or `WHERRY_MIB`. CRIU is `criu`, or `WHERRY_CRIU`; it needs privileges.
//! The native process is this program itself.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio as Io};
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use wherry_engine::{
    Checkpoint, Command, Control, Engine, EngineConfig, Extent, Job, Module, NewFile, Outcome,
    Reason, Settings, Stdio, write_atomically,
};
use wherry_snapshot::{Digest, Reader};

/// Makes this program the native process with the same heap.
const NATIVE: &str = "WHERRY_BENCH_NATIVE_HEAP";

fn mebibytes() -> u64 {
    let mib = std::env::var("WHERRY_MIB").ok();
    mib.and_then(|mib| mib.parse().ok()).unwrap_or(1024)
}

/// Fills its heap with numbers of which a byte is random and the rest is not, which compresses
/// about as the heaps of programs do; then writes to pages at random for ever. A safepoint is a
/// number, and then a page.
fn program(bytes: u64) -> String {
    let (pages, end) = (bytes >> 16, bytes.min(0xffff_fff8));
    format!(
        "(module (memory (export \"memory\") {pages})
    (func (export \"_start\") (local $at i32) (local $x i64)
        (local.set $x (i64.const 0x9e3779b97f4a7c15))
        (loop $fill
            (local.set $x (i64.xor (local.get $x) (i64.shl (local.get $x) (i64.const 13))))
            (local.set $x (i64.xor (local.get $x) (i64.shr_u (local.get $x) (i64.const 7))))
            (local.set $x (i64.xor (local.get $x) (i64.shl (local.get $x) (i64.const 17))))
            (i64.store (local.get $at) (i64.or (i64.and (local.get $x) (i64.const 0xff))
                (i64.shl (i64.extend_i32_u (local.get $at)) (i64.const 8))))
            (local.set $at (i32.add (local.get $at) (i32.const 8)))
            (br_if $fill (i32.lt_u (local.get $at) (i32.const {end}))))
        (loop $write
            (local.set $x (i64.xor (local.get $x) (i64.shl (local.get $x) (i64.const 13))))
            (local.set $x (i64.xor (local.get $x) (i64.shr_u (local.get $x) (i64.const 7))))
            (local.set $x (i64.xor (local.get $x) (i64.shl (local.get $x) (i64.const 17))))
            (local.set $at (i32.wrap_i64 (i64.shl (i64.rem_u (i64.shr_u (local.get $x)
                (i64.const 8)) (i64.const {})) (i64.const 12))))
            (i64.store (local.get $at) (local.get $x))
            (br $write))))",
        bytes >> 12,
    )
}

/// The same heap in a native process, which says when it is there and then waits to be killed.
fn be_native(bytes: usize) {
    let mut x: u64 = 0x9e37_79b9_7f4a_7c15;
    let heap: Vec<u64> = (0..bytes as u64 / 8)
        .map(|index| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            x & 0xff | index << 11
        })
        .collect();
    println!("ready");
    let _ = std::io::stdout().flush();
    loop {
        std::thread::park();
        black_box(&heap);
    }
}

struct Bench {
    bytes: u64,
    module: Module,
    control: Control,
    job: Job,
    directory: tempfile::TempDir,
    sequence: u64,
}

impl Bench {
    fn new() -> Self {
        let bytes = mebibytes() << 20;
        let engine = Engine::new(EngineConfig::default()).expect("an engine");
        let module = engine.load(wat::parse_str(program(bytes)).expect("valid text"));
        let control = Control::new().expect("a control");
        let settings = settings(Some(bytes / 8 + 10));
        let job = Job::start(&module, Command::default(), settings, &control);
        let mut job = job.expect("it starts");
        stopped(&mut job);
        Bench {
            bytes,
            module,
            control,
            job,
            // On the disk of the build, not in a temporary directory that may be memory.
            directory: tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory"),
            sequence: 0,
        }
    }

    /// Lets the job write to one page in a hundred.
    fn write_pages(&mut self) {
        self.job.set_countdown(Some((self.bytes >> 12) / 100));
        stopped(&mut self.job);
    }

    /// A checkpoint: how long the job stands still, and how long it takes until it is on the
    /// disk.
    fn checkpoint(&mut self, extent: Extent) -> (Duration, Duration, Checkpoint) {
        if extent == Extent::Full {
            // Nothing builds on those before it any more.
            let before = fs::read_dir(self.directory.path()).expect("readable");
            for file in before.flatten() {
                fs::remove_file(file.path()).expect("it is there");
            }
        }
        self.sequence += 1;
        let path = self.last();
        let start = Instant::now();
        let file = NewFile::replacing(&path).expect("it is made");
        let capture = self.job.capture(file.handle().expect("open"), extent);
        let capture = capture.expect("it is captured");
        let pause = start.elapsed();
        let checkpoint = capture.write().expect("it is written");
        file.complete().expect("it is on the disk");
        let total = start.elapsed();
        self.job.written(&checkpoint, true);
        (pause, total, checkpoint)
    }

    fn measure(
        &mut self,
        extent: Extent,
        times: u64,
        of: fn(Duration, Duration) -> Duration,
    ) -> Duration {
        let time = |_| {
            self.write_pages();
            let (pause, total, _) = self.checkpoint(extent);
            of(pause, total)
        };
        (0..times).map(time).sum()
    }

    fn open(&self, path: &Path) -> Reader<File> {
        let find = |wanted: &Digest| {
            let files = fs::read_dir(self.directory.path())?.flatten();
            let file = files.filter_map(|entry| File::open(entry.path()).ok());
            let mut file = file.filter(|file| {
                let outline = wherry_snapshot::Outline::read(&mut &*file);
                outline.is_ok_and(|outline| outline.file == *wanted)
            });
            Ok(file.next())
        };
        Reader::open_with(File::open(path).expect("it is there"), find).expect("complete")
    }

    fn resume(&self, path: &Path) -> Job {
        let reader = self.open(path);
        Job::resume(&self.module, &reader, settings(None), &self.control).expect("it resumes")
    }

    fn last(&self) -> PathBuf {
        self.directory.path().join(self.sequence.to_string())
    }
}

fn settings(countdown: Option<u64>) -> Settings {
    Settings {
        countdown,
        ..Settings::new(Stdio::null())
    }
}

fn stopped(job: &mut Job) {
    let outcome = job.run().expect("it runs");
    assert_eq!(outcome, Outcome::Stopped(Reason::Countdown));
}

fn peers(group: &mut BenchmarkGroup<'_, WallTime>, bench: &Bench) {
    let copy = bench.directory.path().join("copy");
    let reader = bench.open(&bench.last());
    let mut content = vec![0; usize::try_from(bench.bytes).expect("it fits")];
    let memory = &reader.contents().memories[0];
    reader
        .restore_memory(memory, &mut content)
        .expect("it is valid");
    let mut target = vec![1; content.len()];
    group.bench_function("peer: copy in memory", |bencher| {
        bencher.iter(|| target.copy_from_slice(black_box(&content)));
    });
    group.bench_function("peer: copy to disk, fsync", |bencher| {
        bencher.iter(|| {
            write_atomically(&copy, |file| Ok(file.write_all(&content)?)).expect("written");
        });
    });
    group.bench_function("peer: read back the copy", |bencher| {
        bencher.iter(|| {
            let mut file = File::open(&copy).expect("it is there");
            file.read_exact(&mut target).expect("it is read");
        });
    });
    fs::remove_file(copy).expect("it is there");
}

/// What CRIU takes to dump a native process with the same heap to the same disk, and to make
/// it run again. Nothing is compressed, and nothing is synchronised but by `sync_file`.
fn criu(group: &mut BenchmarkGroup<'_, WallTime>, bytes: u64) {
    let criu = std::env::var("WHERRY_CRIU").unwrap_or_else(|_| "criu".to_owned());
    let checked = Process::new(&criu).arg("check").output();
    match checked {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            let reason = String::from_utf8_lossy(&output.stderr);
            let reason = reason.lines().last().unwrap_or("it does not say why");
            return println!("SKIPPED: CRIU: `{criu} check` refuses: {reason}");
        }
        Err(error) => return println!("SKIPPED: CRIU: `{criu}` cannot be run: {error}"),
    }
    group.bench_function("peer: CRIU dump", |bencher| {
        bencher.iter_custom(|times| (0..times).map(|_| criu_turn(&criu, bytes).0).sum());
    });
    group.bench_function("peer: CRIU restore", |bencher| {
        bencher.iter_custom(|times| (0..times).map(|_| criu_turn(&criu, bytes).1).sum());
    });
}

fn criu_turn(criu: &str, bytes: u64) -> (Duration, Duration) {
    let images = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let mut native = native(bytes);
    let run = |arguments: &[&str]| {
        let start = Instant::now();
        let mut command = Process::new(criu);
        command.args(arguments).arg("--shell-job").arg("-D");
        let done = command.arg(images.path()).output().expect("it runs");
        let reason = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "criu {arguments:?}: {reason}");
        start.elapsed()
    };
    let pid = native.id().to_string();
    let dump = run(&["dump", "-t", &pid]);
    for entry in fs::read_dir(images.path()).expect("readable").flatten() {
        let file = File::open(entry.path()).expect("readable");
        file.sync_all().expect("it is on the disk");
    }
    // Killed by the dump; its number is free once it was waited for.
    native.wait().expect("a child");
    let restore = run(&["restore", "-d"]);
    let restored = rustix::process::Pid::from_raw(pid.parse().expect("a number"));
    let kill = rustix::process::Signal::KILL;
    rustix::process::kill_process(restored.expect("not 0"), kill).expect("it runs");
    (dump, restore)
}

fn native(bytes: u64) -> Child {
    let mut command = Process::new(std::env::current_exe().expect("this program"));
    command.env(NATIVE, bytes.to_string());
    // A file that somebody else goes on writing to could not be restored.
    let command = command.stdin(Io::null()).stderr(Io::null());
    let mut child = command.stdout(Io::piped()).spawn().expect("it starts");
    let mut line = String::new();
    let output = child.stdout.take().expect("piped");
    BufReader::new(output).read_line(&mut line).expect("ready");
    child
}

fn main() {
    if let Ok(bytes) = std::env::var(NATIVE) {
        return be_native(bytes.parse().expect("a number"));
    }
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(1))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    // `cargo test --benches` passes no `--bench`: a gigabyte is too much for that.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let mut bench = Bench::new();
    let name = format!("{} MiB, 1 % of the pages written", mebibytes());
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Bytes(bench.bytes));
    // The first one moves the memory, the second one is as all others.
    let (first, _, _) = bench.checkpoint(Extent::Full);
    println!("the first pause, in which the memory moves: {first:?}");
    group.bench_function("full checkpoint, fsync", |bencher| {
        bencher.iter_custom(|times| bench.measure(Extent::Full, times, |_, total| total));
    });
    let full = bench.last();
    group.bench_function("incremental: pause", |bencher| {
        bencher.iter_custom(|times| bench.measure(Extent::Delta, times, |pause, _| pause));
    });
    group.bench_function("incremental: pause and write, fsync", |bencher| {
        bencher.iter_custom(|times| bench.measure(Extent::Delta, times, |_, total| total));
    });
    bench.write_pages();
    let (_, _, delta) = bench.checkpoint(Extent::Delta);
    let (bytes, bases) = (delta.summary.bytes, delta.summary.bases);
    println!(
        "the last one has {} KiB and builds on {bases} files",
        bytes >> 10
    );
    group.bench_function("resume from a full checkpoint", |bencher| {
        bencher.iter_with_large_drop(|| bench.resume(&full));
    });
    group.bench_function("resume from the last", |bencher| {
        bencher.iter_with_large_drop(|| bench.resume(&bench.last()));
    });
    peers(&mut group, &bench);
    let bytes = bench.bytes;
    drop(bench);
    criu(&mut group, bytes);
    group.finish();
    criterion.final_summary();
}
