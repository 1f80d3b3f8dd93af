//! What is limited in time: how much is under way, and for how long the GPU works.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use wherry_gpu_abi::*;
use wherry_gpu_host::{Fault, Gpu, Quota, Settings};

use crate::guest::{Guest, SWIFTSHADER, Store, dispatch, driver, restore};

/// Takes a while on every driver on the CPU.
const SLOW: &str = "
@group(0) @binding(0) var<storage, read_write> values: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    var x = values[id.x];
    for (var i = 0u; i < 60000u; i++) { x = x * 1664525u + id.x; }
    values[id.x] = x;
}";

/// A guest that is to leave when the flag says so, and commands that take their time.
fn slow(quota: Quota) -> Option<(Guest, Arc<AtomicBool>, Vec<Command>)> {
    let settings = Settings {
        quota,
        ..Settings::new(driver(SWIFTSHADER)?)
    };
    let leave = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&leave);
    let gpu = Gpu::new(settings, Box::new(move || told.load(Ordering::SeqCst)));
    let mut guest = Guest::of(gpu.unwrap());
    guest.open(&[], Limits::DEFAULT);
    let buffer = guest.buffer(64 << 10, BufferUsage::STORAGE);
    let pipeline = guest.compute(SLOW);
    let group = guest.group(pipeline, &[buffer]);
    Some((guest, leave, dispatch(pipeline, group, 256)))
}

#[test]
fn a_submission_beyond_the_quota_waits_for_one_before() {
    let quota = Quota {
        submissions: 2,
        ..Quota::default()
    };
    let Some((mut guest, leave, commands)) = slow(quota) else {
        return;
    };
    // Whoever waits leaves.
    leave.store(true, Ordering::SeqCst);
    let mut submit = || guest.call_submit(&commands, SubmitMode::Run);
    assert_eq!((submit().unwrap(), submit().unwrap()), (1, 2));
    assert!(matches!(submit(), Err(Fault::Interrupted)));
    leave.store(false, Ordering::SeqCst);
    assert_eq!(submit().unwrap(), 3);
    assert_eq!(guest.gpu.wait(&mut guest.memory, 0, u64::MAX).unwrap(), 0);
}

/// The time counts over the whole life of the job, wherever it ran, and closing the device does not
/// start it anew.
#[test]
fn gpu_time_is_used_up_once() {
    let little = Some(Duration::from_micros(10));
    let quota = |gpu_time| Quota {
        gpu_time,
        ..Quota::default()
    };
    let Some((mut guest, _, commands)) = slow(quota(little)) else {
        return;
    };
    let is_up = |result: Result<u32, Fault>| matches!(result, Err(Fault::GpuTime));
    guest.submit(&commands);
    assert!(is_up(guest.gpu.wait(&mut guest.memory, 0, u64::MAX)));
    let store = Store::default();
    let state = guest.gpu.save(&mut &store).unwrap();
    let used = guest.gpu.time_used();
    assert!(used > Duration::from_micros(10), "{used:?}");

    let again = |gpu_time| {
        let settings = Settings {
            quota: quota(gpu_time),
            ..Settings::new(driver(SWIFTSHADER).unwrap())
        };
        Guest::of(restore(&state, used, settings, &store).unwrap())
    };
    let mut there = again(little);
    assert!(is_up(there.gpu.wait(&mut there.memory, 0, u64::MAX)));
    let more = there.call_submit(&commands, SubmitMode::Run);
    assert!(matches!(more, Err(Fault::GpuTime)));
    let mut there = again(None);
    there.submit(&commands);
    assert_eq!(there.gpu.wait(&mut there.memory, 0, u64::MAX).unwrap(), 0);
    let later = there.gpu.time_used();
    assert!(later > used, "{later:?}");
    there.gpu.close(&mut there.memory).unwrap();
    assert_eq!(there.gpu.time_used(), later);
}
