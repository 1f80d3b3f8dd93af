//! Buffers and compute passes.

use std::sync::mpsc::channel;

use bytemuck::cast_slice;
use gpu_device::{Gpu, Result};
use wgpu::{BufferUsages, MapMode};

use crate::{empty, encoder, same};

const STORAGE: BufferUsages = BufferUsages::STORAGE.union(BufferUsages::COPY_SRC);

/// At creation, to be written, to be read, in parts.
pub fn mapping(gpu: &Gpu) -> Result<()> {
    let source = gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: 64,
        usage: BufferUsages::MAP_WRITE | BufferUsages::COPY_SRC,
        mapped_at_creation: true,
    });
    source.get_mapped_range_mut(8..16)?.copy_from_slice(&[1; 8]);
    source
        .get_mapped_range_mut(32..36)?
        .copy_from_slice(&[2; 4]);
    same(source.get_mapped_range(0..8)?.to_vec(), vec![0; 8])?;
    source.unmap();

    source.map_async(MapMode::Write, 16..48, |mapped| mapped.expect("mapped"));
    gpu.wait()?;
    source
        .get_mapped_range_mut(24..28)?
        .copy_from_slice(&[3; 4]);
    source.unmap();

    let read = empty(gpu, 64, BufferUsages::MAP_READ | BufferUsages::COPY_DST);
    let mut commands = encoder(gpu);
    commands.copy_buffer_to_buffer(&source, 0, &read, 0, None);
    commands.map_buffer_on_submit(&read, MapMode::Read, 8..40, |mapped| {
        mapped.expect("mapped")
    });
    gpu.queue.submit([commands.finish()]);
    gpu.wait()?;
    same(read.get_mapped_range(8..16)?.to_vec(), vec![1; 8])?;
    same(read.get_mapped_range(16..24)?.to_vec(), vec![0; 8])?;
    let rest = [[3; 4], [0; 4], [2; 4], [0; 4]].concat();
    same(read.get_mapped_range(24..40)?.to_vec(), rest)?;
    same(read.get_mapped_range(0..8).is_err(), true)?;
    read.unmap();
    same(read.get_mapped_range(8..16).is_err(), true)
}

/// By the queue, in both ways that it has.
pub fn writing(gpu: &Gpu) -> Result<()> {
    let buffer = empty(gpu, 16, STORAGE | BufferUsages::COPY_DST);
    gpu.queue.write_buffer(&buffer, 4, &[1; 8]);
    let size = wgpu::BufferSize::new(4).expect("it is not 0");
    let view = gpu.queue.write_buffer_with(&buffer, 8, size);
    view.ok_or("no view")?.copy_from_slice(&[2; 4]);
    same(
        gpu.read(&buffer)?,
        [[0u8; 4], [1; 4], [2; 4], [0; 4]].concat(),
    )
}

pub fn copies(gpu: &Gpu) -> Result<()> {
    let source = gpu.buffer("source", &[1u32, 2, 3, 4], BufferUsages::COPY_SRC);
    let target = gpu.buffer("target", &[9u32; 4], STORAGE | BufferUsages::COPY_DST);
    let mut commands = encoder(gpu);
    commands.push_debug_group("copies");
    commands.copy_buffer_to_buffer(&source, 4, &target, 8, 8);
    commands.clear_buffer(&target, 0, Some(4));
    commands.insert_debug_marker("done");
    commands.pop_debug_group();
    gpu.queue.submit([commands.finish()]);
    same(gpu.read(&target)?, vec![0u32, 9, 2, 3])
}

/// In the order in which the work was submitted.
pub fn callbacks(gpu: &Gpu) -> Result<()> {
    let (sender, receiver) = channel();
    for number in 0..3 {
        let submission = gpu.queue.submit([encoder(gpu).finish()]);
        let sender = sender.clone();
        gpu.queue.on_submitted_work_done(move || {
            sender.send(number).expect("it is listened to");
        });
        if number == 1 {
            gpu.device.poll(wgpu::PollType::Wait {
                submission_index: Some(submission),
                timeout: None,
            })?;
        }
    }
    gpu.wait()?;
    same(receiver.try_iter().collect(), vec![0, 1, 2])
}

const COUNT: &str = "
override step: u32 = 1;
@group(0) @binding(0) var<storage, read_write> count: array<atomic<u32>>;

@compute @workgroup_size(1)
fn increment() {
    atomicAdd(&count[0], step);
}
";

pub fn indirect_dispatch(gpu: &Gpu) -> Result<()> {
    let pipeline = gpu.pipeline(&gpu.shader("count", COUNT), "increment");
    let count = gpu.buffer("count", &[0u32; 4], STORAGE);
    let group = gpu.bind_group(&pipeline, &[&count]);
    let arguments = gpu.buffer("arguments", &[0u32, 2, 3, 4], BufferUsages::INDIRECT);
    let mut commands = encoder(gpu);
    let mut pass = commands.begin_compute_pass(&Default::default());
    pass.set_pipeline(&pipeline);
    pass.set_bind_group(0, &group, &[]);
    pass.dispatch_workgroups_indirect(&arguments, 4);
    drop(pass);
    gpu.queue.submit([commands.finish()]);
    same(gpu.read(&count)?, vec![24u32, 0, 0, 0])
}

pub fn overrides(gpu: &Gpu) -> Result<()> {
    let pipeline = gpu
        .device
        .create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: None,
            layout: None,
            module: &gpu.shader("count", COUNT),
            entry_point: None,
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &[("step", 5.0)],
                ..Default::default()
            },
            cache: None,
        });
    let count = gpu.buffer("count", &[0u32; 4], STORAGE);
    let mut commands = encoder(gpu);
    let mut pass = commands.begin_compute_pass(&Default::default());
    pass.set_pipeline(&pipeline);
    pass.set_bind_group(0, &gpu.bind_group(&pipeline, &[&count]), &[]);
    pass.dispatch_workgroups(3, 1, 1);
    drop(pass);
    gpu.queue.submit([commands.finish()]);
    same(gpu.read(&count)?, vec![15u32, 0, 0, 0])
}

/// All that commands and bind groups refer to may be dropped before it is used.
pub fn use_after_drop(gpu: &Gpu) -> Result<()> {
    let result = empty(gpu, 16, BufferUsages::MAP_READ | BufferUsages::COPY_DST);
    let mut commands = encoder(gpu);
    {
        let pipeline = gpu.pipeline(&gpu.shader("count", COUNT), "increment");
        let count = gpu.buffer("count", &[7u32; 4], STORAGE);
        let group = gpu.bind_group(&pipeline, &[&count]);
        let mut pass = commands.begin_compute_pass(&Default::default());
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups(1, 1, 1);
        drop(pass);
        commands.copy_buffer_to_buffer(&count, 0, &result, 0, None);
    }
    // What is made now must not take the places of what was dropped.
    let other = gpu.buffer("other", &[100u32; 4], STORAGE);
    let commands = commands.finish();
    gpu.queue.write_buffer(&result, 0, cast_slice(&[0u32; 4]));
    gpu.queue.submit([commands]);
    same(gpu.read(&other)?, vec![100u32; 4])?;
    same(gpu.mapped(&result)?, vec![8u32, 7, 7, 7])
}
