//! A job with 64 MiB of live memory: its checkpoint written (with fsync and rename) and
//! restored, each beside a plain copy of the same bytes to the same disk (with fsync).

use std::fs::{self, File};
use std::hint::black_box;
use std::io::Write;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use wherry_engine::{
    Command, Control, Engine, EngineConfig, Job, Settings, Stdio, write_atomically,
};
use wherry_snapshot::Reader;

const BYTES: u64 = 64 << 20;

/// Fills its memory with numbers that do not repeat, an eighth of every one of them random,
/// which compresses about as the heaps of programs do; then stops being interesting.
const PROGRAM: &str = "(module (memory (export \"memory\") 1024)
    (func (export \"_start\") (local $at i32) (local $x i64)
        (local.set $x (i64.const 0x9e3779b97f4a7c15))
        (loop $fill
            (local.set $x (i64.xor (local.get $x) (i64.shl (local.get $x) (i64.const 13))))
            (local.set $x (i64.xor (local.get $x) (i64.shr_u (local.get $x) (i64.const 7))))
            (local.set $x (i64.xor (local.get $x) (i64.shl (local.get $x) (i64.const 17))))
            (i64.store (local.get $at) (i64.or (i64.and (local.get $x) (i64.const 0xff))
                (i64.shl (i64.extend_i32_u (local.get $at)) (i64.const 8))))
            (local.set $at (i32.add (local.get $at) (i32.const 8)))
            (br_if $fill (i32.lt_u (local.get $at) (i32.const 0x4000000))))
        (loop $wait (br $wait))))";

fn settings(countdown: Option<u64>) -> Settings {
    Settings {
        countdown,
        ..Settings::new(Stdio::null())
    }
}

fn bench(criterion: &mut Criterion) {
    let engine = Engine::new(EngineConfig::default()).expect("an engine");
    let module = engine.load(wat::parse_str(PROGRAM).expect("valid text"));
    let control = Control::new().expect("a control");
    // After the loop that fills the memory.
    let rounds = BYTES / 8 + 10;
    let mut job = Job::start(
        &module,
        Command::default(),
        settings(Some(rounds)),
        &control,
    )
    .expect("it starts");
    job.run().expect("it runs");
    // On the disk of the build, not in a temporary directory that may be memory.
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let (checkpoint, copy) = (
        directory.path().join("checkpoint"),
        directory.path().join("copy"),
    );
    write_atomically(&checkpoint, |file| job.checkpoint(file)).expect("it is written");
    let open = || Reader::open(File::open(&checkpoint).expect("it is there")).expect("it is valid");
    let mut content = vec![0; usize::try_from(BYTES).expect("it fits")];
    open()
        .restore_memory(&open().contents().memories[0], &mut content)
        .expect("it is valid");

    let mut group = criterion.benchmark_group("64 MiB");
    group.sample_size(10).throughput(Throughput::Bytes(BYTES));
    group.bench_function("copy to disk, fsync", |bencher| {
        bencher.iter(|| {
            let mut file = File::create(&copy).expect("it is created");
            file.write_all(&content).expect("it is written");
            file.sync_all().expect("it is on the disk");
        });
    });
    group.bench_function("write checkpoint, fsync", |bencher| {
        bencher.iter(|| write_atomically(&checkpoint, |file| job.checkpoint(file)));
    });
    group.bench_function("read back the copy", |bencher| {
        bencher.iter(|| black_box(fs::read(&copy).expect("it is there")));
    });
    group.bench_function("restore checkpoint", |bencher| {
        let resume =
            || Job::resume(&module, &open(), settings(None), &control).expect("it resumes");
        bencher.iter_batched(|| (), |()| resume(), BatchSize::PerIteration);
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
