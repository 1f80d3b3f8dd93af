//! `api`: what of wgpu the other programs do not call, each with a check. Natively it passes on wgpu's own
//! backends, which shows that a job is told the same.

mod buffers;
mod errors;
mod queries;
mod textures;

use std::process::ExitCode;

use gpu_device::{Gpu, Result};
use wgpu::BufferUsages;

const CHECKS: &[(&str, fn(&Gpu) -> Result<()>)] = &[
    ("mapping", buffers::mapping),
    ("writing", buffers::writing),
    ("copies", buffers::copies),
    ("callbacks", buffers::callbacks),
    ("indirect dispatch", buffers::indirect_dispatch),
    ("overrides", buffers::overrides),
    ("use after drop", buffers::use_after_drop),
    ("texture copies", textures::copies),
    ("mip levels", textures::mip_levels),
    ("storage textures", textures::storage),
    ("volumes", textures::volumes),
    ("stencil", textures::stencil),
    ("occlusion", queries::occlusion),
    ("indirect draws", queries::indirect_draws),
    ("error scopes", errors::scopes),
    ("invalid commands", errors::commands),
    ("mapped buffers", errors::mapped),
    ("compilation", errors::compilation),
    ("out of memory", errors::too_large),
];

fn main() -> ExitCode {
    gpu_device::main("api", |_| {
        let gpu = Gpu::open()?;
        for (name, check) in CHECKS {
            check(&gpu).map_err(|error| format!("{name}: {error}"))?;
            println!("ok {name}");
        }
        errors::destroyed(gpu)?;
        println!("ok destroyed devices");
        Ok(())
    })
}

/// Fails with what was expected and what is there.
fn same<T: PartialEq + std::fmt::Debug>(got: T, expected: T) -> Result<()> {
    if got == expected {
        return Ok(());
    }
    Err(format!("{got:?}, and not {expected:?}").into())
}

fn empty(gpu: &Gpu, size: u64, usage: BufferUsages) -> wgpu::Buffer {
    gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size,
        usage,
        mapped_at_creation: false,
    })
}

fn encoder(gpu: &Gpu) -> wgpu::CommandEncoder {
    gpu.device.create_command_encoder(&Default::default())
}
