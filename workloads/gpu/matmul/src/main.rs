//! `matmul [SIDE [PRODUCTS]]`: multiplies a matrix by a rotation again and again, on the GPU, and
//! checks the last product against the CPU.
//!
//! The check is Freivalds': for a random vector v, (R^k X) v must equal R^k (X v), which the CPU
//! computes in f64 with k matrix-vector products. Rotations keep lengths, so that an error in any
//! product is as visible in the last one as in its own.

use std::process::ExitCode;

use gpu_device::{Arguments, Gpu, Random, Result};
use wgpu::BufferUsages;

/// The kernel's tile; the side is rounded up to it.
const TILE: u32 = 64;
/// Allowed relative error of a product: f32 rounds to 6e-8, and the errors of a sum mostly cancel.
const TOLERANCE: f64 = 2e-6;

fn main() -> ExitCode {
    gpu_device::main("matmul [SIDE [PRODUCTS]] [--time]", matmul)
}

fn matmul(arguments: &Arguments) -> Result<()> {
    let side = arguments.number(0, 256).next_multiple_of(TILE);
    let products = arguments.number(1, 24);
    let mut random = Random::new(side.into());
    let rotation = rotation(side as usize, &mut random);
    let start: Vec<f32> = (0..side * side).map(|_| random.signed()).collect();

    let gpu = Gpu::open()?;
    let product = arguments.timed(format_args!("{products} products of side {side}"), || {
        multiply(&gpu, side, products, &rotation, &start)
    })?;

    let vector: Vec<f64> = (0..side).map(|_| random.signed().into()).collect();
    let mut expected = times(&start, &vector);
    for _ in 0..products {
        expected = times(&rotation, &expected);
    }
    let error = distance(&times(&product, &vector), &expected) / length(&expected);
    let tolerance = TOLERANCE * f64::from(products);
    if error.is_nan() || error > tolerance {
        return Err(format!("matmul: the product is wrong: relative error {error:.1e}").into());
    }
    println!("{products} products of side {side}: as on the CPU, within {tolerance:.0e}");
    Ok(())
}

/// `rotation` times itself `products` times, times `start`.
fn multiply(
    gpu: &Gpu,
    side: u32,
    products: u32,
    rotation: &[f32],
    start: &[f32],
) -> Result<Vec<f32>> {
    let usage = BufferUsages::STORAGE | BufferUsages::COPY_SRC;
    let rotation = gpu.buffer("rotation", rotation, BufferUsages::STORAGE);
    let matrices = [
        gpu.buffer("even", start, usage),
        gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("odd"),
            size: start.len() as u64 * 4,
            usage,
            mapped_at_creation: false,
        }),
    ];
    let uniform = gpu.buffer("side", &[side], BufferUsages::UNIFORM);
    let pipeline = gpu.pipeline(
        &gpu.shader("matmul", include_str!("matmul.wgsl")),
        "multiply",
    );
    let [even, odd] = &matrices;
    let groups = [
        gpu.bind_group(&pipeline, &[&rotation, even, odd, &uniform]),
        gpu.bind_group(&pipeline, &[&rotation, odd, even, &uniform]),
    ];

    for product in 0..products as usize {
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &groups[product % 2], &[]);
        pass.dispatch_workgroups(side / TILE, side / TILE, 1);
        drop(pass);
        gpu.queue.submit([encoder.finish()]);
        println!("product {} of {products}", product + 1);
    }
    gpu.read(&matrices[products as usize % 2])
}

/// A dense rotation: the product of two reflections.
fn rotation(side: usize, random: &mut Random) -> Vec<f32> {
    let u = direction(side, random);
    let v = direction(side, random);
    let angle: f64 = u.iter().zip(&v).map(|(u, v)| u * v).sum();
    let mut matrix = Vec::with_capacity(side * side);
    for row in 0..side {
        for column in 0..side {
            let identity = f64::from(u8::from(row == column));
            let reflections = 2.0 * (u[row] * u[column] + v[row] * v[column]);
            matrix.push((identity - reflections + 4.0 * angle * u[row] * v[column]) as f32);
        }
    }
    matrix
}

fn direction(side: usize, random: &mut Random) -> Vec<f64> {
    let vector: Vec<f64> = (0..side).map(|_| random.signed().into()).collect();
    let length = length(&vector);
    vector.iter().map(|value| value / length).collect()
}

fn times(matrix: &[f32], vector: &[f64]) -> Vec<f64> {
    let rows = matrix.chunks_exact(vector.len());
    rows.map(|row| row.iter().zip(vector).map(|(a, b)| f64::from(*a) * b).sum())
        .collect()
}

fn length(vector: &[f64]) -> f64 {
    vector.iter().map(|value| value * value).sum::<f64>().sqrt()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    let difference: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    length(&difference)
}
