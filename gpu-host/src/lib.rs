//! Gives jobs a GPU: WebGPU over wgpu, for guests that import `wherry_gpu` (`gpu-host/ABI.md`).
//! The only crate that links wgpu.
//!
//! A [`Gpu`] belongs to one job. It keeps for each of the job's objects how it was made, so that
//! they can be [saved](Gpu::save) and [made again](Gpu::restore) on another adapter, under the same
//! handles. What a guest asks for that WebGPU forbids is an error value of that guest; nothing it
//! sends makes the host panic.

mod adapter;
mod calls;
mod capabilities;
mod content;
mod convert;
mod create;
mod device;
mod error;
mod fault;
mod format;
mod gpu;
mod limits;
mod object;
mod probe;
mod references;
mod restore;
mod save;
mod settings;
mod staging;
mod state;
mod submit;
mod table;
mod texels;
mod wgsl;

pub use adapter::{Adapter, AdapterChoice};
pub use capabilities::{AdapterCapabilities, Capabilities, SelfTest, capabilities};
pub use error::Error;
pub use fault::Fault;
pub use gpu::{Gpu, Usage};
pub use probe::Defect;
pub use settings::{Interrupted, Quota, Request, Settings};
pub use state::GpuState;
