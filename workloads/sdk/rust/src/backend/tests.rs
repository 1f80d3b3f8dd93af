//! Ordinary wgpu programs against a host that only notes what it is told.

mod errors;
pub(crate) mod host;
mod mapping;
mod recording;

use pollster::block_on;
use wgpu::BufferUsages;

/// The adapter of a new host. In WebAssembly, all tests run in one thread and so with one host.
fn adapter() -> wgpu::Adapter {
    host::host(|host| *host = Default::default());
    block_on(super::instance().request_adapter(&Default::default())).expect("there is one")
}

fn open() -> (wgpu::Device, wgpu::Queue) {
    block_on(adapter().request_device(&Default::default())).expect("it opens")
}

fn buffer(device: &wgpu::Device, size: u64, usage: BufferUsages) -> wgpu::Buffer {
    device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("buffer"),
        size,
        usage,
        mapped_at_creation: false,
    })
}

/// Runs it in a validation scope, and gives the error's text.
fn caught(device: &wgpu::Device, work: impl FnOnce()) -> Option<String> {
    let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
    work();
    block_on(scope.pop()).map(|error| error.to_string())
}
