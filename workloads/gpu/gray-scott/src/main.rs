//! `gray-scott [SIDE [STEPS]]`: lets two substances diffuse and react on the GPU, checks the result
//! against the same steps on the CPU, and writes the pattern as `gray-scott.png`.

mod reference;

use std::fs::File;
use std::io::BufWriter;
use std::process::ExitCode;

use gpu_device::{Arguments, Gpu, Random, Result};
use reference::Concentration;
use wgpu::BufferUsages;

const PICTURE: &str = "gray-scott.png";
/// Steps in one submission: small enough that a node can stop the job between two of them.
const BATCH: u32 = 50;
/// The pattern amplifies rounding errors (a GPU fuses a multiplication and an addition), slowly.
const TOLERANCE: f32 = 1e-3;

fn main() -> ExitCode {
    gpu_device::main("gray-scott [SIDE [STEPS]] [--time]", gray_scott)
}

fn gray_scott(arguments: &Arguments) -> Result<()> {
    let side = arguments.number(0, 160);
    let steps = arguments.number(1, 1000);
    let start = start(side as usize);

    let gpu = Gpu::open()?;
    let state = arguments.timed(format_args!("{steps} steps of side {side}"), || {
        react(&gpu, side, steps, &start)
    })?;
    write_picture(side, &state)?;

    let expected = reference::react(side as usize, steps, start);
    let error = difference(&state, &expected);
    if error.is_nan() || error > TOLERANCE {
        return Err(format!("gray-scott: wrong after {steps} steps: off by {error:.1e}").into());
    }
    println!("{steps} steps of side {side}: as on the CPU, within {TOLERANCE:.0e}; see {PICTURE}");
    Ok(())
}

/// All feed, but for some random squares of half as much, with catalyst.
fn start(side: usize) -> Vec<Concentration> {
    let mut random = Random::new(side as u64);
    let mut state = vec![[1.0, 0.0]; side * side];
    for _ in 0..12 {
        let (x0, y0) = (random.below(side), random.below(side));
        for offset in 0..64 {
            let (x, y) = ((x0 + offset % 8) % side, (y0 + offset / 8) % side);
            state[y * side + x] = [0.5, 0.25];
        }
    }
    state
}

fn react(gpu: &Gpu, side: u32, steps: u32, start: &[Concentration]) -> Result<Vec<Concentration>> {
    let usage = BufferUsages::STORAGE | BufferUsages::COPY_SRC;
    let states = [
        gpu.buffer("even", start, usage),
        gpu.buffer("odd", start, usage),
    ];
    let uniform = gpu.buffer("side", &[side], BufferUsages::UNIFORM);
    let shader = gpu.shader("gray-scott", include_str!("gray_scott.wgsl"));
    let pipeline = gpu.pipeline(&shader, "step");
    let [even, odd] = &states;
    let groups = [
        gpu.bind_group(&pipeline, &[even, odd, &uniform]),
        gpu.bind_group(&pipeline, &[odd, even, &uniform]),
    ];

    let tiles = side.div_ceil(16);
    for first in (0..steps).step_by(BATCH as usize) {
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&pipeline);
        for step in first..steps.min(first + BATCH) {
            pass.set_bind_group(0, &groups[step as usize % 2], &[]);
            pass.dispatch_workgroups(tiles, tiles, 1);
        }
        drop(pass);
        gpu.queue.submit([encoder.finish()]);
        println!("step {} of {steps}", steps.min(first + BATCH));
    }
    gpu.read(&states[steps as usize % 2])
}

fn difference(a: &[Concentration], b: &[Concentration]) -> f32 {
    let differences = a.as_flattened().iter().zip(b.as_flattened());
    differences
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, |most, one| {
            if one > most || one.is_nan() {
                one
            } else {
                most
            }
        })
}

/// The catalyst, from dark blue over orange to white.
fn write_picture(side: u32, state: &[Concentration]) -> Result<()> {
    let file = BufWriter::new(File::create(PICTURE)?);
    let mut encoder = png::Encoder::new(file, side, side);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header()?;
    let pixels: Vec<u8> = state.iter().flat_map(|cell| colour(cell[1])).collect();
    writer.write_image_data(&pixels)?;
    writer.finish()?;
    Ok(())
}

fn colour(catalyst: f32) -> [u8; 3] {
    let level = (catalyst / 0.4).clamp(0.0, 1.0);
    [level.sqrt(), level, 0.25 + 0.75 * level * level].map(|part| (part * 255.0).round() as u8)
}
