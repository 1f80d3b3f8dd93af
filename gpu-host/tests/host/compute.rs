//! Computing, on every driver that there is.

use wherry_gpu_abi::*;

use crate::guest::{Guest, LAVAPIPE, SWIFTSHADER, driver};

pub(crate) const STORAGE: BufferUsage = BufferUsage::STORAGE;

/// One step of a hash for each word.
pub(crate) const STEP: &str = "
@group(0) @binding(0) var<storage, read_write> values: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < arrayLength(&values) { values[id.x] = values[id.x] * 1664525u + 1013904223u; }
}";

pub(crate) fn step(words: &mut [u32], times: u32) {
    for word in words {
        for _ in 0..times {
            *word = word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        }
    }
}

fn on_each_driver(test: impl Fn(Guest)) {
    for name in [LAVAPIPE, SWIFTSHADER] {
        if let Some(choice) = driver(name) {
            test(Guest::new(choice));
        }
    }
}

#[test]
fn integers_are_exact() {
    on_each_driver(|mut guest| {
        let mut words: Vec<u32> = (0..1000).collect();
        let usage = STORAGE | BufferUsage::COPY_DST | BufferUsage::COPY_SRC;
        let buffer = guest.buffer(4000, usage);
        guest.write_words(buffer, &words);
        let pipeline = guest.compute(STEP);
        let group = guest.group(pipeline, &[buffer]);
        for _ in 0..3 {
            guest.dispatch(pipeline, group, 16);
        }
        step(&mut words, 3);
        assert_eq!(guest.read_words(buffer, 1000), words);
    });
}

/// Several stages long, not a whole number of them, both ways.
#[test]
fn large_contents_arrive_whole() {
    on_each_driver(|mut guest| {
        let size = 18 << 20 | 20;
        let data: Vec<u8> = (0..size)
            .map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        let buffer = guest.buffer(size.into(), BufferUsage::COPY_DST | BufferUsage::COPY_SRC);
        guest.write(buffer, &data);
        assert!(guest.read(buffer, size.into()) == data);
        let mapped = guest.buffer(size.into(), BufferUsage::MAP_WRITE | BufferUsage::COPY_SRC);
        let memory = &mut guest.memory;
        assert_eq!(guest.gpu.map(memory, mapped, 2, 0, size.into()).unwrap(), 0);
        guest.write(mapped, &data);
        assert_eq!(guest.gpu.unmap(&mut guest.memory, mapped).unwrap(), 0);
        assert!(guest.read(mapped, size.into()) == data);
    });
}

#[test]
fn wild_indices_stay_within_the_buffer() {
    on_each_driver(|mut guest| {
        let usage = STORAGE | BufferUsage::COPY_SRC;
        let (wild, next) = (guest.buffer(256, usage), guest.buffer(256, usage));
        let pipeline = guest.compute(
            "@group(0) @binding(0) var<storage, read_write> values: array<u32>;
             @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
                 values[id.x * 16777259u] = 7u;
             }",
        );
        let group = guest.group(pipeline, &[wild]);
        guest.dispatch(pipeline, group, 64);
        assert_eq!(guest.read_words(next, 64), [0; 64]);
    });
}

#[test]
fn pipelines_take_constants_and_indirect_sizes() {
    on_each_driver(|mut guest| {
        let usage = STORAGE | BufferUsage::COPY_DST | BufferUsage::COPY_SRC;
        let buffer = guest.buffer(1024, usage);
        let sizes = guest.buffer(12, BufferUsage::INDIRECT | BufferUsage::COPY_DST);
        guest.write_words(sizes, &[2, 1, 1]);
        let module = guest.shader(
            "override by: u32 = 1;
             @group(0) @binding(0) var<storage, read_write> values: array<u32>;
             @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
                 values[id.x] += by;
             }",
        );
        let pipeline = guest.create(ComputePipelineDescriptor {
            label: String::new(),
            layout: 0,
            compute: ProgrammableStage {
                module,
                entry_point: "main".into(),
                constants: vec![Constant {
                    key: "by".into(),
                    value: 5.0,
                }],
            },
        });
        let group = guest.group(pipeline, &[buffer]);
        let mut commands = crate::guest::dispatch(pipeline, group, 0);
        commands[3] = Command::DispatchWorkgroupsIndirect {
            buffer: sizes,
            offset: 0,
        };
        guest.submit(&commands);
        let words = guest.read_words(buffer, 256);
        assert!(words[..128].iter().all(|word| *word == 5));
        assert!(words[128..].iter().all(|word| *word == 0));
    });
}

/// wgpu keeps small writes until something is submitted.
#[test]
fn what_was_written_is_read_without_a_submission() {
    on_each_driver(|mut guest| {
        let buffer = guest.buffer(64, BufferUsage::MAP_READ | BufferUsage::COPY_DST);
        guest.write(buffer, &[7; 64]);
        assert_eq!(guest.read_mapped(buffer, 64), [7; 64]);
    });
}
