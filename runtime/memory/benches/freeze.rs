//! What freezing costs: the stop itself, the program's first writes after it, and restoring;
//! each way of tracking beside a copy of as much memory. All figures are CPU time of one thread.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use rustix::time::{ClockId, clock_gettime};
use wherry_memory::{Error, Memory, Tracking};

const PAGE: usize = 4096;
const MIB: usize = 1 << 20;

const TRACKINGS: [Tracking; 4] = [
    Tracking::WriteProtect,
    Tracking::PrivatePages,
    Tracking::Pagemap,
    Tracking::Compare,
];

/// A memory in which every page was written, frozen.
fn memory(bytes: usize, tracking: Tracking) -> Result<Memory, Error> {
    let mut memory = Memory::new(bytes, bytes, 0)?;
    memory.track_by(tracking);
    write(&memory, &(0..bytes / PAGE).collect::<Vec<_>>(), 1);
    memory.freeze()?;
    Ok(memory)
}

/// Writes a number to each of these pages.
fn write(memory: &Memory, pages: &[usize], number: usize) {
    for page in pages {
        let place = memory.as_ptr().wrapping_add(page * PAGE).cast::<usize>();
        #[expect(unsafe_code, reason = "what a program would do")]
        // SAFETY: the page lies in the memory, which is used here only.
        unsafe {
            place.write_volatile(number);
        }
    }
}

/// CPU time that `work` takes.
fn time<T>(work: impl FnOnce() -> T) -> Duration {
    let start = cpu_time();
    let result = work();
    let time = cpu_time() - start;
    drop(result);
    time
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), nanoseconds)
}

/// Every nth page, in an order that no prefetcher foresees.
fn scattered(bytes: usize, share: f64) -> Vec<usize> {
    let count = bytes / PAGE;
    // A Weyl sequence: all of them once, as the step is odd.
    let all = (0..count).map(|index| index.wrapping_mul(0x9e37_79b9) % count);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of some pages"
    )]
    all.take((count as f64 * share) as usize).collect()
}

fn bench(criterion: &mut Criterion) {
    for size in [64 * MIB, 1024 * MIB] {
        let mut group = criterion.benchmark_group(format!("{} MiB", size / MIB));
        group.sample_size(10);
        group
            .warm_up_time(Duration::from_millis(1))
            .measurement_time(Duration::from_secs(1));
        let (from, mut to) = (vec![1_u8; size], vec![2_u8; size]);
        group.bench_function("copy all of it", |bencher| {
            let mut copy = || time(|| to.copy_from_slice(black_box(&from)));
            bencher.iter_custom(|times| (0..times).map(|_| copy()).sum());
        });
        drop((from, to));
        for tracking in TRACKINGS.into_iter().filter(|tracking| tracking.works()) {
            let mut memory = memory(size, tracking).expect("there is memory");
            for share in [0.001, 0.01, 0.1] {
                let pages = scattered(size, share);
                let name = format!("{tracking}, {}% written", share * 100.0);
                let mut number = 1;
                let mut round = |memory: &mut Memory| {
                    number += 1;
                    let written = time(|| write(memory, &pages, number));
                    (written, time(|| memory.freeze().expect("it can be frozen")))
                };
                group.bench_function(format!("{name}: freeze"), |bencher| {
                    bencher.iter_custom(|times| (0..times).map(|_| round(&mut memory).1).sum());
                });
                group.bench_function(format!("{name}: the first writes"), |bencher| {
                    bencher.iter_custom(|times| (0..times).map(|_| round(&mut memory).0).sum());
                });
            }
        }
        group.finish();
    }
}

/// A memory that is filled by a copy, beside that copy.
fn restore(criterion: &mut Criterion) {
    let size = 64 * MIB;
    let from = vec![1_u8; size];
    let mut group = criterion.benchmark_group("restore 64 MiB");
    group.sample_size(10);
    let new = || Memory::new(size, size, 0).expect("there is memory");
    let copy = || {
        let memory = new();
        #[expect(unsafe_code, reason = "what a program would do")]
        // SAFETY: the memory is that long, and used here only.
        unsafe {
            std::slice::from_raw_parts_mut(memory.as_ptr(), size).copy_from_slice(&from);
        }
        memory
    };
    let restore = || {
        let mut memory = new();
        let restored = memory.restore(size, |content| {
            content.copy_from_slice(&from);
            Ok::<(), Error>(())
        });
        restored.expect("it can be restored");
        memory
    };
    group.bench_function("copy into new memory", |bencher| {
        bencher.iter_custom(|times| (0..times).map(|_| time(copy)).sum());
    });
    group.bench_function("restore", |bencher| {
        bencher.iter_custom(|times| (0..times).map(|_| time(restore)).sum());
    });
    group.finish();
}

criterion_group!(benches, bench, restore);
criterion_main!(benches);
