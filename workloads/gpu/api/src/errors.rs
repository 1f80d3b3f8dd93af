//! What a program is told when it does something wrong.

use std::sync::mpsc::channel;

use gpu_device::{Gpu, Result};
use pollster::block_on;
use wgpu::{BufferUsages, Error, ErrorFilter, MapMode};

use crate::{empty, encoder, same};

/// Whether this is an error of validation.
fn is_invalid(gpu: &Gpu, work: impl FnOnce()) -> bool {
    let scope = gpu.device.push_error_scope(ErrorFilter::Validation);
    work();
    matches!(block_on(scope.pop()), Some(Error::Validation { .. }))
}

pub fn scopes(gpu: &Gpu) -> Result<()> {
    let wrong = BufferUsages::MAP_READ | BufferUsages::STORAGE;
    same(is_invalid(gpu, || drop(empty(gpu, 4, wrong))), true)?;
    same(
        is_invalid(gpu, || drop(empty(gpu, 4, BufferUsages::STORAGE))),
        false,
    )?;

    let outer = gpu.device.push_error_scope(ErrorFilter::Validation);
    let inner = is_invalid(gpu, || drop(empty(gpu, 4, BufferUsages::empty())));
    same((inner, block_on(outer.pop()).is_none()), (true, true))?;

    // An invalid object makes what it is used for invalid.
    let scope = gpu.device.push_error_scope(ErrorFilter::Validation);
    let module = gpu.shader("broken", "@compute fn");
    let text = block_on(scope.pop()).ok_or("no error")?.to_string();
    same(text.contains("broken"), true)?;
    same(
        is_invalid(gpu, || drop(gpu.pipeline(&module, "main"))),
        true,
    )
}

/// `finish` tells it while somebody listens.
pub fn commands(gpu: &Gpu) -> Result<()> {
    let small = empty(gpu, 8, BufferUsages::COPY_SRC | BufferUsages::COPY_DST);
    let mut wrong = encoder(gpu);
    wrong.copy_buffer_to_buffer(&small, 0, &small, 4, 8);
    let mut finished = None;
    same(is_invalid(gpu, || finished = Some(wrong.finish())), true)?;
    same(is_invalid(gpu, || drop(gpu.queue.submit(finished))), true)?;

    let open = is_invalid(gpu, || {
        let mut commands = encoder(gpu);
        let _pass = commands
            .begin_compute_pass(&Default::default())
            .forget_lifetime();
        let _invalid = commands.finish();
    });
    same(open, true)?;
    let size = wgpu::BufferSize::new(16).expect("it is not 0");
    let mut view = None;
    same(
        is_invalid(gpu, || view = gpu.queue.write_buffer_with(&small, 0, size)),
        true,
    )?;
    same(view.is_none(), true)
}

/// What is mapped cannot be used, nor be mapped again.
pub fn mapped(gpu: &Gpu) -> Result<()> {
    let buffer = empty(gpu, 8, BufferUsages::MAP_READ | BufferUsages::COPY_DST);
    buffer.map_async(MapMode::Read, .., |mapped| mapped.expect("mapped"));
    let (sender, again) = channel();
    buffer.map_async(MapMode::Read, .., move |mapped| {
        sender.send(mapped.is_err()).expect("it is listened to");
    });
    same(again.try_recv()?, true)?;
    gpu.wait()?;
    let mut commands = encoder(gpu);
    commands.clear_buffer(&buffer, 0, None);
    let commands = commands.finish();
    same(is_invalid(gpu, || drop(gpu.queue.submit([commands]))), true)?;
    same(
        is_invalid(gpu, || gpu.queue.write_buffer(&buffer, 0, &[0; 4])),
        true,
    )?;
    buffer.unmap();
    same(
        is_invalid(gpu, || gpu.queue.write_buffer(&buffer, 0, &[0; 4])),
        false,
    )?;

    // Unmapping gives up a mapping that is asked for.
    let (sender, aborted) = channel();
    gpu.queue.submit([encoder(gpu).finish()]);
    buffer.map_async(MapMode::Read, .., move |mapped| {
        sender.send(mapped.is_err()).expect("it is listened to");
    });
    buffer.unmap();
    gpu.wait()?;
    same(aborted.try_recv()?, true)
}

pub fn compilation(gpu: &Gpu) -> Result<()> {
    let scope = gpu.device.push_error_scope(ErrorFilter::Validation);
    let module = gpu.shader(
        "broken",
        "// This is fine.\nfn broken() { return nothing; }",
    );
    drop(block_on(scope.pop()));
    let info = block_on(module.get_compilation_info());
    let message = info.messages.first().ok_or("no message")?;
    same(message.message_type, wgpu::CompilationMessageType::Error)?;
    let location = message.location.ok_or("no location")?;
    same(location.line_number, 2)?;
    let info = block_on(gpu.shader("fine", "").get_compilation_info());
    same(info.messages.is_empty(), true)
}

/// More than a buffer may have is against the limits.
pub fn too_large(gpu: &Gpu) -> Result<()> {
    let size = gpu.device.limits().max_buffer_size + 4;
    let work = || drop(empty(gpu, size, BufferUsages::STORAGE));
    same(is_invalid(gpu, work), true)
}

pub fn destroyed(gpu: Gpu) -> Result<()> {
    let (sender, receiver) = channel();
    gpu.device.set_device_lost_callback(move |reason, _| {
        sender.send(reason).expect("it is listened to");
    });
    gpu.device.destroy();
    // Nothing of this is an error, and nothing of it happens.
    let buffer = empty(&gpu, 4, BufferUsages::COPY_DST);
    gpu.queue.submit([encoder(&gpu).finish()]);
    drop(buffer);
    let _ = gpu.device.poll(wgpu::PollType::Poll);
    same(receiver.try_recv()?, wgpu::DeviceLostReason::Destroyed)
}
