//! How fast memories become checkpoints and come back, beside what no checkpoint can beat:
//! copying the same bytes in memory, and through the same disk with fsync.
//!
//! Two kinds of content: *records* compress about as the heaps of programs do, *noise* not at
//! all. Sizes in MiB are taken from `WHERRY_MIB`, a list with commas.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use wherry_snapshot::{
    Accounting, Base, CHUNK_SIZE, Contents, Execution, Key, Lineage, Memory, Phase, Reader,
    Settings, Workload, Writer, Written,
};

/// One page in so many changes between two checkpoints.
const ONE_IN: usize = 100;

fn contents(memory: Memory) -> Contents {
    Contents {
        workload: Workload {
            module: [0; 32],
            manifest: None,
            instrumentation: 1,
        },
        execution: Execution {
            phase: Phase::Main,
            frames: Vec::new(),
            globals: Vec::new(),
            tables: Vec::new(),
            dropped_data: Vec::new(),
            dropped_elements: Vec::new(),
        },
        memories: vec![memory],
        wasi: Vec::new(),
        settings: Settings::default(),
        accounting: Accounting::default(),
        lineage: Lineage::default(),
        profile: None,
        usage: None,
        gpu: None,
    }
}

/// Numbers that do not repeat (xorshift).
fn noise(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// Records of 32 bytes: a pointer, a small number, a float, a flag.
fn records(bytes: usize) -> Vec<u8> {
    let (mut state, mut content) = (0x9e37_79b9_7f4a_7c15, Vec::with_capacity(bytes));
    while content.len() < bytes {
        let number = noise(&mut state);
        content.extend_from_slice(&(0x1_0000 + (number & 0x00ff_fff8)).to_le_bytes());
        content.extend_from_slice(&(number >> 56).to_le_bytes());
        let float = f64::from(u16::try_from(number >> 24 & 0xffff).unwrap_or(0)) / 8.0;
        content.extend_from_slice(&float.to_le_bytes());
        content.extend_from_slice(&(number >> 60 & 1).to_le_bytes());
    }
    content.truncate(bytes);
    content
}

fn write(path: &Path, memory: &[u8], base: Option<(&Base, &[u64])>) -> Written {
    let file = File::create(path).expect("it is created");
    let mut writer = match base {
        Some((base, _)) => Writer::delta(&file, base).expect("it begins"),
        None => Writer::new(&file).expect("it begins"),
    };
    let memory = match base {
        Some((base, changed)) => {
            writer.changed_memory(memory, None, base.memories().first(), changed)
        }
        None => writer.memory(memory, None),
    };
    let contents = contents(memory.expect("it is stored"));
    let written = writer.finish(&contents).expect("it is complete");
    file.sync_all().expect("it is on the disk");
    written
}

fn complete(mut writer: Writer<&File>, memory: &[u8]) -> Written {
    let memory = writer.memory(memory, None).expect("it is stored");
    writer.finish(&contents(memory)).expect("it is complete")
}

fn bench_memory(group: &mut BenchmarkGroup<'_, WallTime>, directory: &Path, memory: &mut [u8]) {
    let (full, sealed, delta, copy) = (
        directory.join("full"),
        directory.join("sealed"),
        directory.join("delta"),
        directory.join("copy"),
    );
    group.bench_function("copy to disk, fsync", |bencher| {
        bencher.iter(|| {
            let mut file = File::create(&copy).expect("it is created");
            file.write_all(memory).expect("it is written");
            file.sync_all().expect("it is on the disk");
        });
    });
    group.bench_function("write, fsync", |bencher| {
        bencher.iter(|| write(&full, memory, None));
    });
    let key = Key::new([7; 32]);
    group.bench_function("write encrypted, fsync", |bencher| {
        bencher.iter(|| {
            let file = File::create(&sealed).expect("it is created");
            let writer = Writer::sealed(&file, None, &key).expect("it begins");
            complete(writer, memory);
            file.sync_all().expect("it is on the disk");
        });
    });
    let base = write(&full, memory, None).base;
    let pages = memory.len() / CHUNK_SIZE;
    let changed: Vec<usize> = (0..pages).step_by(ONE_IN).collect();
    for page in &changed {
        memory[page * CHUNK_SIZE] ^= 0x55;
    }
    let changed: Vec<u64> = changed.into_iter().map(|page| page as u64).collect();
    group.bench_function("write delta of 1 %, fsync", |bencher| {
        bencher.iter(|| write(&delta, memory, Some((&base, &changed))));
    });
    let mut target = memory.to_vec();
    group.bench_function("copy in memory", |bencher| {
        bencher.iter(|| target.copy_from_slice(black_box(memory)));
    });
    group.bench_function("read back the copy", |bencher| {
        bencher.iter(|| {
            let mut file = File::open(&copy).expect("it is there");
            std::io::Read::read_exact(&mut file, &mut target).expect("it is read");
        });
    });
    let open = |path: &Path| File::open(path).expect("it is there");
    let mut restore = |name: &str, path: &Path| {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let find = |_: &[u8; 32]| Ok(Some(open(&full)));
                let reader = Reader::open_sealed(open(path), Some(&key), find);
                let reader = reader.expect("it is complete");
                let memory = &reader.contents().memories[0];
                reader
                    .restore_memory(memory, &mut target)
                    .expect("it is restored");
            });
        });
    };
    restore("restore", &full);
    restore("restore encrypted", &sealed);
    restore("restore delta", &delta);
    assert!(target == memory, "what was restored is what was written");
    say_sizes(&full, &delta);
}

#[expect(clippy::print_stdout, reason = "a figure as the others")]
fn say_sizes(full: &Path, delta: &Path) {
    let length = |path| fs::metadata(path).expect("it is there").len() >> 10;
    println!("full {} KiB, delta {} KiB", length(full), length(delta));
}

fn bench(criterion: &mut Criterion) {
    // On the disk of the build, not in a temporary directory that may be memory.
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let sizes = std::env::var("WHERRY_MIB").unwrap_or_else(|_| "64,1024".to_owned());
    for mib in sizes.split(',') {
        let bytes = mib.trim().parse::<usize>().expect("a number of MiB") << 20;
        for kind in ["records", "noise"] {
            let mut memory = if kind == "records" {
                records(bytes)
            } else {
                let mut state = 1;
                let words = (0..bytes / 8).map(|_| noise(&mut state).to_le_bytes());
                words.flatten().collect()
            };
            let mut group = criterion.benchmark_group(format!("{mib} MiB of {kind}"));
            group
                .sample_size(10)
                .warm_up_time(Duration::from_millis(1))
                .measurement_time(Duration::from_secs(1))
                .throughput(Throughput::Bytes(bytes as u64));
            bench_memory(&mut group, directory.path(), &mut memory);
            group.finish();
        }
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
