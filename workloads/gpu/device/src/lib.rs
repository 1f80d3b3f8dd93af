//! What the programs here have in common: opening the GPU, filling a buffer and reading one back.

use std::error::Error;
use std::fmt::Display;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bytemuck::Pod;
use wgpu::util::{BufferInitDescriptor, DeviceExt};

pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// An opened GPU.
pub struct Gpu {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
}

impl Gpu {
    /// Opens the default adapter with the portable profile: default limits, no optional feature.
    pub fn open() -> Result<Self> {
        let instance = wherry_gpu::instance();
        let adapter = pollster::block_on(instance.request_adapter(&Default::default()))?;
        let (device, queue) = pollster::block_on(adapter.request_device(&Default::default()))?;
        Ok(Gpu { device, queue })
    }

    pub fn shader(&self, label: &str, wgsl: &str) -> wgpu::ShaderModule {
        self.device
            .create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(label),
                source: wgpu::ShaderSource::Wgsl(wgsl.into()),
            })
    }

    /// A compute pipeline whose bind group layouts follow from the shader.
    pub fn pipeline(&self, module: &wgpu::ShaderModule, entry: &str) -> wgpu::ComputePipeline {
        self.device
            .create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(entry),
                layout: None,
                module,
                entry_point: Some(entry),
                compilation_options: Default::default(),
                cache: None,
            })
    }

    pub fn buffer(
        &self,
        label: &str,
        content: &[impl Pod],
        usage: wgpu::BufferUsages,
    ) -> wgpu::Buffer {
        self.device.create_buffer_init(&BufferInitDescriptor {
            label: Some(label),
            contents: bytemuck::cast_slice(content),
            usage,
        })
    }

    /// The buffers as bindings 0, 1, … of the pipeline's group 0.
    pub fn bind_group(
        &self,
        pipeline: &wgpu::ComputePipeline,
        buffers: &[&wgpu::Buffer],
    ) -> wgpu::BindGroup {
        let entries: Vec<_> = (0..)
            .zip(buffers)
            .map(|(binding, buffer)| wgpu::BindGroupEntry {
                binding,
                resource: buffer.as_entire_binding(),
            })
            .collect();
        self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        })
    }

    /// Waits for the GPU and returns the buffer's content. The buffer needs `COPY_SRC`.
    pub fn read<T: Pod>(&self, buffer: &wgpu::Buffer) -> Result<Vec<T>> {
        let staging = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("readback"),
            size: buffer.size(),
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut encoder = self.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, buffer.size());
        self.queue.submit([encoder.finish()]);
        self.mapped(&staging)
    }

    /// Maps a whole `MAP_READ` buffer and returns its content.
    pub fn mapped<T: Pod>(&self, staging: &wgpu::Buffer) -> Result<Vec<T>> {
        let (sender, receiver) = mpsc::channel();
        staging.map_async(wgpu::MapMode::Read, .., move |result| {
            let _ = sender.send(result);
        });
        self.wait()?;
        receiver.recv()??;
        let content = bytemuck::pod_collect_to_vec(&staging.get_mapped_range(..)?);
        staging.unmap();
        Ok(content)
    }

    /// Waits until the GPU has done all that was submitted.
    pub fn wait(&self) -> Result<()> {
        self.device.poll(wgpu::PollType::wait_indefinitely())?;
        Ok(())
    }
}

/// The program's arguments: numbers, and `--time` anywhere.
pub struct Arguments {
    numbers: Vec<u32>,
    time: bool,
}

impl Arguments {
    /// The number at `position`, or `default`.
    pub fn number(&self, position: usize, default: u32) -> u32 {
        self.numbers.get(position).copied().unwrap_or(default)
    }

    /// Runs `work`, and with `--time` prints how long it took. Without, the output depends on the
    /// arguments alone.
    pub fn timed<T>(&self, what: impl Display, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let start = Instant::now();
        let result = work()?;
        self.report(what, start.elapsed());
        Ok(result)
    }

    /// With `--time`, prints how long something took.
    pub fn report(&self, what: impl Display, taken: Duration) {
        if self.time {
            println!("{what}: {:.6} s", taken.as_secs_f64());
        }
    }
}

/// Parses the arguments and runs the program; its error goes to stderr, with exit code 1.
pub fn main(usage: &str, program: impl FnOnce(&Arguments) -> Result<()>) -> ExitCode {
    let mut arguments = Arguments {
        numbers: Vec::new(),
        time: false,
    };
    for argument in std::env::args().skip(1) {
        match argument.parse() {
            Ok(number) if number > 0 => arguments.numbers.push(number),
            _ if argument == "--time" => arguments.time = true,
            _ => {
                eprintln!("usage: {usage}");
                return ExitCode::from(2);
            }
        }
    }
    match program(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// A small random number generator: the same numbers everywhere.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// Splitmix64.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Between -1 and 1.
    pub fn signed(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.bits() % bound as u64) as usize
    }
}
