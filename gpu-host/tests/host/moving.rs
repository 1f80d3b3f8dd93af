//! Moving between drivers, in both directions: what was done goes on as if nothing had happened.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use wherry_gpu_abi::*;
use wherry_gpu_host::{Adapter, AdapterChoice, GpuState, Request, Settings};

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

/// Results of queries are as they were, also where no other driver would give the same.
#[test]
fn timestamps_move() {
    let request = Request::new(&["timestamp-query".to_owned()], &BTreeMap::new()).unwrap();
    let with = |choice: AdapterChoice| Settings {
        request: request.clone(),
        ..Settings::new(choice)
    };
    let has_it = |choice: &AdapterChoice| Adapter::suitable(&with(choice.clone())).is_ok();
    let drivers = [driver(LAVAPIPE), driver(SWIFTSHADER)]
        .into_iter()
        .flatten();
    let drivers: Vec<AdapterChoice> = drivers.filter(has_it).collect();
    for from in &drivers {
        for to in &drivers {
            let mut guest = Guest::closed(with(from.clone()));
            guest.open(&[Feature::TimestampQuery], Limits::DEFAULT);
            let set = guest.create(QuerySetDescriptor {
                label: String::new(),
                query_type: QueryType::Timestamp,
                count: 4,
            });
            let into = guest.buffer(32, BufferUsage::QUERY_RESOLVE | BufferUsage::COPY_SRC);
            let pass = |first| {
                [
                    Command::BeginComputePass {
                        label: String::new(),
                        timestamp_writes: Some(PassTimestampWrites {
                            query_set: set,
                            beginning_of_pass: first,
                            end_of_pass: first + 1,
                        }),
                    },
                    Command::EndComputePass {},
                ]
            };
            let resolved = |guest: &mut Guest| {
                guest.submit(&[Command::ResolveQuerySet {
                    query_set: set,
                    first_query: 0,
                    query_count: 4,
                    destination: into,
                    destination_offset: 0,
                }]);
                let bytes = guest.read(into, 32);
                let (values, _) = bytes.as_chunks::<8>();
                values
                    .iter()
                    .map(|value| u64::from_le_bytes(*value))
                    .collect::<Vec<_>>()
            };
            guest.submit(&pass(0));
            let before = resolved(&mut guest);
            assert!(before[0] > 0 && before[1] >= before[0] && before[2..] == [0, 0]);
            let (mut guest, _) = guest.moved(to.clone());
            assert_eq!(resolved(&mut guest), before);
            guest.submit(&pass(2));
            let after = resolved(&mut guest);
            assert_eq!(after[..2], before[..2]);
            assert!(after[2] > 0 && after[3] >= after[2], "{after:?}");
        }
    }
}

/// Each feature and limit that one driver has and the other lacks.
#[test]
fn what_the_other_driver_lacks_is_named() {
    let tried = Cell::new(0);
    let all = wherry_gpu_host::capabilities().adapters;
    both_ways(|from, to| {
        let of = |choice: &AdapterChoice| {
            let name = choice.name.as_deref().unwrap();
            all.iter().find(|one| one.name.contains(name)).unwrap()
        };
        let (has, lacks) = (of(&from), of(&to));
        let features = has
            .features
            .iter()
            .filter(|one| !lacks.features.contains(one));
        let features = features.map(|name| (name, Request::new([name], &BTreeMap::new())));
        let is_more =
            |name: &str, value: u64| name.starts_with("max") && value > lacks.limits[name];
        let limits = has
            .limits
            .iter()
            .filter(|(name, value)| is_more(name, **value));
        let limits = limits.map(|limit| (limit.0, Request::new([], [limit])));
        for (name, request) in features.chain(limits) {
            let request = request.unwrap();
            let settings = Settings {
                request,
                ..Settings::new(from.clone())
            };
            let state = Guest::closed(settings).save().unwrap();
            let settings = Settings::new(to.clone());
            let refused = restore(&state, Duration::ZERO, settings, &Store::default());
            let refused = refused.err().expect(name).to_string();
            assert!(
                refused.contains(name) && refused.contains(&lacks.name),
                "{refused}"
            );
            tried.set(tried.get() + 1);
        }
    });
    if driver(LAVAPIPE).is_some() && driver(SWIFTSHADER).is_some() {
        assert!(tried.get() > 4, "{tried:?}");
    }
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
