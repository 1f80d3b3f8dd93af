//! `calls [DISPATCHES [SUBMISSIONS]]`: what calling the GPU costs. Records and submits dispatches that do
//! next to nothing, each with its pipeline and its bind group, and checks that all of them ran.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use gpu_device::{Arguments, Gpu, Result};
use wgpu::BufferUsages;

const COUNT: &str = "
@group(0) @binding(0) var<storage, read_write> count: u32;

@compute @workgroup_size(1)
fn increment() {
    count++;
}
";

fn main() -> ExitCode {
    gpu_device::main("calls [DISPATCHES [SUBMISSIONS]] [--time]", calls)
}

fn calls(arguments: &Arguments) -> Result<()> {
    let dispatches = arguments.number(0, 1000);
    let submissions = arguments.number(1, 20);
    let gpu = Gpu::open()?;
    let count = gpu.buffer(
        "count",
        &[0u32],
        BufferUsages::STORAGE | BufferUsages::COPY_SRC,
    );
    let pipeline = gpu.pipeline(&gpu.shader("count", COUNT), "increment");
    let group = gpu.bind_group(&pipeline, &[&count]);

    // The first submission is not counted: buffers grow to their size in it.
    let mut taken = Duration::ZERO;
    for submission in 0..=submissions {
        let start = Instant::now();
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        for _ in 0..dispatches {
            pass.set_pipeline(&pipeline);
            pass.set_bind_group(0, &group, &[]);
            pass.dispatch_workgroups(1, 1, 1);
        }
        drop(pass);
        gpu.queue.submit([encoder.finish()]);
        if submission > 0 {
            taken += start.elapsed();
        }
        gpu.wait()?;
    }
    arguments.report("recording and submitting", taken);

    let expected = dispatches * (submissions + 1);
    match gpu.read::<u32>(&count)?[..] {
        [counted] if counted == expected => {
            println!("{expected} dispatches, counted on the GPU");
            Ok(())
        }
        ref counted => Err(format!("calls: {counted:?} of {expected} dispatches ran").into()),
    }
}
