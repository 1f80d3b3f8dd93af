//! Moving between drivers, in both directions: what was done goes on as if nothing had happened.

use std::path::Path;

use wherry_gpu_abi::*;
use wherry_gpu_host::{AdapterChoice, GpuState, Settings};

use crate::compute::{STEP, STORAGE, step};
use crate::guest::{Guest, LAVAPIPE, SWIFTSHADER, Store, driver, noop, restore};

fn both_ways(test: impl Fn(AdapterChoice, AdapterChoice)) {
    let (Some(a), Some(b)) = (driver(LAVAPIPE), driver(SWIFTSHADER)) else {
        return;
    };
    test(a.clone(), b.clone());
    test(b, a);
}

#[test]
fn a_computation_goes_on() {
    both_ways(|from, to| {
        let mut words: Vec<u32> = (0..2_000_000).collect();
        let mut guest = Guest::new(from.clone());
        let usage = STORAGE | BufferUsage::COPY_DST | BufferUsage::COPY_SRC;
        let buffer = guest.buffer(8_000_000, usage);
        let unwritten = guest.buffer(4096, usage);
        guest.write_words(buffer, &words);
        let pipeline = guest.compute(STEP);
        let group = guest.group(pipeline, &[buffer]);
        for round in 0..4 {
            // Submitted, and not waited for.
            guest.dispatch(pipeline, group, 31250);
            let to = if round % 2 == 0 { &to } else { &from };
            guest = guest.moved(to.clone()).0;
            guest.dispatch(pipeline, group, 31250);
        }
        step(&mut words, 8);
        assert!(guest.read_words(buffer, 2_000_000) == words);
        assert_eq!(guest.read_words(unwritten, 1024), [0; 1024]);
    });
}

/// What did not change since is not read back again.
#[test]
fn only_what_was_written_is_read_back() {
    both_ways(|from, _| {
        let mut guest = Guest::new(from);
        let usage = STORAGE | BufferUsage::COPY_DST | BufferUsage::COPY_SRC;
        let buffers: Vec<Handle> = (0..8).map(|_| guest.buffer(4096, usage)).collect();
        for buffer in &buffers {
            guest.write_words(*buffer, &[*buffer; 1024]);
        }
        let pipeline = guest.compute(STEP);
        let group = guest.group(pipeline, &[buffers[3]]);
        let store = Store::default();
        let first = guest.gpu.save(&mut &store).unwrap();
        assert_eq!(store.len(), 8);
        assert_eq!(guest.gpu.save(&mut &store).unwrap(), first);
        assert_eq!(store.len(), 8);
        guest.dispatch(pipeline, group, 16);
        guest.gpu.save(&mut &store).unwrap();
        assert_eq!(store.len(), 9);
        guest.write_words(buffers[0], &[1]);
        guest.submit(&[Command::ClearBuffer {
            buffer: buffers[1],
            offset: 0,
            size: WHOLE_SIZE,
        }]);
        guest.gpu.save(&mut &store).unwrap();
        assert_eq!(store.len(), 11);
    });
}

#[test]
fn saving_what_was_restored_gives_the_same() {
    both_ways(|from, to| {
        let mut guest = Guest::new(from);
        let usage = STORAGE | BufferUsage::COPY_DST | BufferUsage::COPY_SRC;
        let dropped = guest.buffer(64, usage);
        let buffer = guest.buffer(4096, usage);
        guest.write_words(buffer, &[5; 1024]);
        let pipeline = guest.compute(STEP);
        guest.group(pipeline, &[buffer]);
        guest.gpu.drop_handle(&mut guest.memory, dropped).unwrap();
        let store = Store::default();
        let state = guest.gpu.save(&mut &store).unwrap();
        let mut there = restore(&state, guest.gpu.time_used(), Settings::new(to), &store).unwrap();
        assert_eq!(there.save(&mut &store).unwrap(), state);
    });
}

/// What version 1 of the checkpoint format has: `WHERRY_BLESS=1` writes it anew, which is only done
/// while that version is not released.
#[test]
fn the_saved_form_stays() {
    let mut guest = Guest::new(noop());
    let usage = STORAGE | BufferUsage::COPY_DST | BufferUsage::COPY_SRC;
    let written = guest.buffer(64, usage);
    guest.write_words(written, &[9; 16]);
    let mapped = guest.buffer(64, BufferUsage::MAP_READ | BufferUsage::COPY_DST);
    guest.gpu.map(&mut guest.memory, mapped, 1, 8, 16).unwrap();
    let destroyed = guest.buffer(32, usage);
    guest.gpu.destroy(&mut guest.memory, destroyed).unwrap();
    // The shader stays for the pipeline, without a handle.
    let pipeline = guest.compute(STEP);
    guest
        .gpu
        .drop_handle(&mut guest.memory, pipeline - 1)
        .unwrap();
    guest.group(pipeline, &[written]);
    guest.create(QuerySetDescriptor {
        label: "queries".into(),
        query_type: QueryType::Occlusion,
        count: 4,
    });
    guest.try_create(ShaderModuleDescriptor {
        label: String::new(),
        wgsl: "wrong".into(),
    });
    guest.submit(&[]);
    let store = Store::default();
    let state = guest.gpu.save(&mut &store).unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/state-1.bin");
    if std::env::var_os("WHERRY_BLESS").is_some() {
        std::fs::write(&file, postcard::to_stdvec(&state).unwrap()).unwrap();
    }
    let golden: GpuState = postcard::from_bytes(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(golden, state);
    let used = std::time::Duration::ZERO;
    let mut there = restore(&golden, used, Settings::new(noop()), &store).unwrap();
    assert_eq!(there.save(&mut &store).unwrap(), golden);
}
