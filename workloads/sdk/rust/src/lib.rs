//! The GPU of the node that a job runs on, as an ordinary [`wgpu`] instance.
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let instance = wherry_gpu::instance();
//! let adapter = instance.request_adapter(&Default::default()).await?;
//! let (device, queue) = adapter.request_device(&Default::default()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Everything else is plain wgpu: this one line is the difference to any other program. In a module
//! for `wasm32-wasip1` the instance speaks to Wherry through the imports of `wherry_gpu` (the
//! specification is `gpu-host/ABI.md`); built for the machine itself it is `wgpu::Instance::new` with the
//! driver that is there, so that a program can be tried and measured without Wherry.
//!
//! # What differs from a native instance
//!
//! - There is one adapter, and one device at a time: a second `request_device` is refused while
//!   the first device, or anything made from it, lives. The device has the limits and features of the
//!   portable profile, unless the workload declares more.
//! - Commands are recorded in the program's own memory and checked by the node. What is wrong with
//!   them is told when they are submitted; while an error scope is open, already by
//!   [`finish`](wgpu::CommandEncoder::finish).
//! - `poll` with [`PollType::Wait`](wgpu::PollType::Wait) blocks the program, not the node: a job
//!   that waits can be stopped, moved and resumed, and goes on waiting elsewhere.
//! - Surfaces, ray tracing, mesh shaders, immediates, pipeline caches and shaders in other languages than WGSL
//!   are not there. Using one is a validation error that names it.
//! - A module is WebAssembly, and so has at most 4 GiB of memory; the GPU's may be larger.

#[cfg(any(target_family = "wasm", test))]
mod backend;

/// The instance: on a node, the way to its GPU; elsewhere, wgpu's own, set up from the environment
/// variables that wgpu knows (`WGPU_BACKEND` and others).
#[must_use]
pub fn instance() -> wgpu::Instance {
    #[cfg(target_family = "wasm")]
    return backend::instance();
    #[cfg(not(target_family = "wasm"))]
    return wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env());
}
