//! What the host costs beside wgpu used directly, on the same driver: calls, transfers, and saving
//! and restoring beside copying the same bytes. `WHERRY_GPU` chooses the adapter by a part of its
//! name; without one, the calls alone are measured, on wgpu's backend that does nothing.

use std::hint::black_box;
use std::io::{self, Read, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use wherry_gpu_abi::*;
use wherry_gpu_host::{AdapterChoice, Gpu, Quota, Settings};
use wherry_snapshot::{Blob, BlobSink, BlobSource};

const DISPATCHES: usize = 1000;
const STAGE: usize = 4 << 20;

const SHADER: &str = "
@group(0) @binding(0) var<storage, read_write> values: array<u32>;
@compute @workgroup_size(1) fn main() { values[0] += 1u; }";

fn main_choice() -> Option<AdapterChoice> {
    Some(AdapterChoice {
        name: Some(std::env::var("WHERRY_GPU").ok()?),
        allow_defects: true,
        ..AdapterChoice::default()
    })
}

fn noop() -> AdapterChoice {
    AdapterChoice {
        noop: true,
        ..AdapterChoice::default()
    }
}

/// 256 MiB, or `WHERRY_GPU_MIB`.
fn bytes() -> usize {
    let asked = std::env::var("WHERRY_GPU_MIB").ok();
    let mebibytes = asked.and_then(|asked| asked.parse().ok());
    mebibytes.unwrap_or(256_usize) << 20
}

/// wgpu, used directly.
struct Native {
    device: wgpu::Device,
    queue: wgpu::Queue,
}

impl Native {
    fn new(choice: &AdapterChoice) -> Self {
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
        descriptor.backends = if choice.noop {
            wgpu::Backends::NOOP
        } else {
            wgpu::Backends::VULKAN
        };
        descriptor.flags = wgpu::InstanceFlags::VALIDATION_INDIRECT_CALL;
        descriptor.backend_options.noop.enable = choice.noop;
        let instance = wgpu::Instance::new(descriptor);
        let all = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
        let name = choice.name.clone().unwrap_or_default();
        let mut all = all.into_iter();
        let adapter = all.find(|adapter| adapter.get_info().name.contains(&name));
        let opened = pollster::block_on(
            adapter
                .expect("the adapter")
                .request_device(&wgpu::DeviceDescriptor::default()),
        );
        let (device, queue) = opened.expect("a device");
        Self { device, queue }
    }

    fn buffer(&self, size: usize, usage: wgpu::BufferUsages) -> wgpu::Buffer {
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: size as u64,
            usage,
            mapped_at_creation: false,
        })
    }

    fn wait(&self) {
        let _ = self.device.poll(wgpu::PollType::wait_indefinitely());
    }

    fn pipeline(&self) -> (wgpu::ComputePipeline, wgpu::BindGroup) {
        let module = self
            .device
            .create_shader_module(wgpu::ShaderModuleDescriptor {
                label: None,
                source: wgpu::ShaderSource::Wgsl(SHADER.into()),
            });
        let pipeline = self
            .device
            .create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: None,
                layout: None,
                module: &module,
                entry_point: None,
                compilation_options: Default::default(),
                cache: None,
            });
        let buffer = self.buffer(256, wgpu::BufferUsages::STORAGE);
        let group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.get_bind_group_layout(0),
            entries: &[wgpu::BindGroupEntry {
                binding: 0,
                resource: buffer.as_entire_binding(),
            }],
        });
        (pipeline, group)
    }

    /// Through one staging buffer that is used again.
    fn upload(&self, stage: &wgpu::Buffer, to: &wgpu::Buffer, data: &[u8]) {
        for (index, part) in data.chunks(STAGE).enumerate() {
            stage.map_async(wgpu::MapMode::Write, .., |_| ());
            self.wait();
            if let Ok(mut view) = stage.get_mapped_range_mut(..) {
                view.copy_from_slice(part);
            }
            stage.unmap();
            let mut encoder = self.device.create_command_encoder(&Default::default());
            encoder.copy_buffer_to_buffer(stage, 0, to, (index * STAGE) as u64, STAGE as u64);
            self.queue.submit([encoder.finish()]);
        }
        self.wait();
    }

    fn readback(&self, stage: &wgpu::Buffer, from: &wgpu::Buffer, data: &mut [u8]) {
        for (index, part) in data.chunks_mut(STAGE).enumerate() {
            let mut encoder = self.device.create_command_encoder(&Default::default());
            encoder.copy_buffer_to_buffer(from, (index * STAGE) as u64, stage, 0, STAGE as u64);
            self.queue.submit([encoder.finish()]);
            stage.map_async(wgpu::MapMode::Read, .., |_| ());
            self.wait();
            if let Ok(view) = stage.get_mapped_range(..) {
                part.copy_from_slice(&view);
            }
            stage.unmap();
        }
    }
}

/// The host, with the memory of its guest.
struct Guest {
    gpu: Gpu,
    memory: Vec<u8>,
}

fn size(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("small")
}

impl Guest {
    fn new(choice: AdapterChoice) -> Self {
        let settings = Settings {
            quota: Quota::default(),
            ..Settings::new(choice)
        };
        let gpu = Gpu::new(settings, Box::new(|| false)).expect("the adapter");
        let mut guest = Self {
            gpu,
            memory: vec![0; 64 << 10],
        };
        let device = DeviceDescriptor {
            label: String::new(),
            features: Vec::new(),
            limits: Limits::DEFAULT,
        };
        let len = guest.put(&device.to_bytes());
        assert_eq!(guest.gpu.open(&mut guest.memory, 0, len).ok(), Some(0));
        guest
    }

    fn put(&mut self, bytes: &[u8]) -> u32 {
        self.memory[..bytes.len()].copy_from_slice(bytes);
        size(bytes.len())
    }

    fn create(&mut self, handle: Handle, recipe: impl Into<Descriptor>) {
        let recipe = recipe.into();
        let len = self.put(&recipe.to_bytes());
        let kind = recipe.kind() as u32;
        let created = self.gpu.create(&mut self.memory, kind, handle, 0, len);
        assert_eq!(created.ok(), Some(0));
    }

    fn buffer(&mut self, handle: Handle, size: usize, usage: BufferUsage) {
        self.create(
            handle,
            BufferDescriptor {
                label: String::new(),
                size: size as u64,
                usage,
                mapped_at_creation: false,
            },
        );
    }

    /// A pipeline is 3, its group 5.
    fn pipeline(&mut self) {
        self.buffer(1, 256, BufferUsage::STORAGE);
        let (label, wgsl) = (String::new(), SHADER.to_owned());
        self.create(2, ShaderModuleDescriptor { label, wgsl });
        self.create(
            3,
            ComputePipelineDescriptor {
                label: String::new(),
                layout: 0,
                compute: ProgrammableStage {
                    module: 2,
                    entry_point: String::new(),
                    constants: Vec::new(),
                },
            },
        );
        let (pipeline, index) = (3, 0);
        self.create(4, PipelineBindGroupLayoutDescriptor { pipeline, index });
        let range = BufferRange {
            buffer: 1,
            offset: 0,
            size: WHOLE_SIZE,
        };
        self.create(
            5,
            BindGroupDescriptor {
                label: String::new(),
                layout: 4,
                entries: vec![BindGroupEntry {
                    binding: 0,
                    resource: BindingResource::Buffer(range),
                }],
            },
        );
    }

    /// Records as a guest's library does, and submits.
    fn dispatches(&mut self) {
        let mut to = Writer::after(std::mem::take(&mut self.memory));
        let at = size(to.len());
        let label = String::new();
        Command::BeginCommandBuffer { label }.encode(&mut to);
        let (label, timestamp_writes) = (String::new(), None);
        Command::BeginComputePass {
            label,
            timestamp_writes,
        }
        .encode(&mut to);
        for _ in 0..DISPATCHES {
            Command::SetComputePipeline { pipeline: 3 }.encode(&mut to);
            Command::SetBindGroup {
                index: 0,
                group: 5,
                offsets: Vec::new(),
            }
            .encode(&mut to);
            Command::DispatchWorkgroups { x: 1, y: 1, z: 1 }.encode(&mut to);
        }
        Command::EndComputePass {}.encode(&mut to);
        self.memory = to.into_bytes();
        let len = size(self.memory.len()) - at;
        let submitted = self.gpu.submit(&mut self.memory, at, len, 1);
        assert!(submitted.is_ok_and(|number| number.cast_signed() > 0));
        let waited = self.gpu.wait(&mut self.memory, 0, u64::MAX);
        assert_eq!(waited.ok(), Some(0));
        self.memory.truncate(at as usize);
    }
}

fn calls(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("gpu calls");
    group.throughput(Throughput::Elements(DISPATCHES as u64));
    let choices = [("noop", Some(noop())), ("driver", main_choice())];
    for (name, choice) in choices {
        let Some(choice) = choice else { continue };
        let native = Native::new(&choice);
        let (pipeline, bound) = native.pipeline();
        group.bench_function(format!("native {name}"), |bencher| {
            bencher.iter(|| {
                let mut encoder = native.device.create_command_encoder(&Default::default());
                {
                    let mut pass = encoder.begin_compute_pass(&Default::default());
                    for _ in 0..DISPATCHES {
                        pass.set_pipeline(&pipeline);
                        pass.set_bind_group(0, &bound, &[]);
                        pass.dispatch_workgroups(1, 1, 1);
                    }
                }
                native.queue.submit([encoder.finish()]);
                native.wait();
            });
        });
        let mut guest = Guest::new(choice);
        guest.pipeline();
        group.bench_function(format!("host {name}"), |bencher| {
            bencher.iter(|| guest.dispatches());
        });
    }
}

/// A group of few, long samples.
fn long<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Bytes(bytes() as u64));
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(3));
    group.warm_up_time(Duration::from_secs(1));
    group
}

fn transfers(criterion: &mut Criterion) {
    let Some(choice) = main_choice() else { return };
    let mut group = long(criterion, "gpu transfers");
    let mut data = vec![7; bytes()];
    {
        use wgpu::BufferUsages as Usage;
        let native = Native::new(&choice);
        let buffer = native.buffer(bytes(), Usage::COPY_SRC | Usage::COPY_DST);
        let up = native.buffer(STAGE, Usage::MAP_WRITE | Usage::COPY_SRC);
        let down = native.buffer(STAGE, Usage::MAP_READ | Usage::COPY_DST);
        group.bench_function("native upload", |bencher| {
            bencher.iter(|| native.upload(&up, &buffer, &data));
        });
        group.bench_function("native readback", |bencher| {
            bencher.iter(|| native.readback(&down, &buffer, &mut data));
        });
    }
    let mut guest = Guest::new(choice);
    guest.buffer(1, bytes(), BufferUsage::COPY_DST | BufferUsage::COPY_SRC);
    guest.buffer(2, bytes(), BufferUsage::MAP_WRITE | BufferUsage::COPY_SRC);
    let (gpu, len) = (&mut guest.gpu, size(bytes()));
    group.bench_function("host upload", |bencher| {
        bencher.iter(|| {
            assert_eq!(gpu.write(&mut data, 1, 0, 0, len).ok(), Some(0));
            assert_eq!(gpu.wait(&mut data, 0, u64::MAX).ok(), Some(0));
        });
    });
    assert_eq!(gpu.map(&mut data, 2, 2, 0, WHOLE_SIZE).ok(), Some(0));
    group.bench_function("host readback", |bencher| {
        bencher.iter(|| assert_eq!(gpu.read(&mut data, 2, 0, 0, len).ok(), Some(0)));
    });
}

/// Keeps contents in memory, without digests: what saving costs on the side of the GPU.
#[derive(Default)]
struct Store {
    contents: Mutex<Vec<Vec<u8>>>,
}

impl BlobSink for &Store {
    fn put(&mut self, content: &mut (dyn Read + Send)) -> io::Result<Blob> {
        let mut bytes = Vec::with_capacity(STAGE);
        content.read_to_end(&mut bytes)?;
        let len = bytes.len() as u64;
        let mut contents = self.contents.lock().expect("no panic");
        contents.push(bytes);
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&(contents.len() as u64 - 1).to_le_bytes());
        let digests = vec![digest];
        Ok(Blob { len, digests })
    }

    fn keep(&mut self, _: &Blob) -> bool {
        true
    }
}

impl BlobSource for Store {
    fn read(&self, blob: &Blob, out: &mut dyn Write) -> io::Result<()> {
        let (number, _) = blob.digests[0].split_first_chunk::<8>().expect("32 bytes");
        let number = usize::try_from(u64::from_le_bytes(*number)).expect("small");
        out.write_all(&self.contents.lock().expect("no panic")[number])
    }
}

/// A hundred buffers that are 256 MiB together, of which all or one was written to.
fn checkpoints(criterion: &mut Criterion) {
    let Some(choice) = main_choice() else { return };
    let mut group = long(criterion, "gpu checkpoints");
    let data = vec![7; bytes()];
    group.bench_function("copy", |bencher| bencher.iter(|| black_box(data.clone())));
    let mut guest = Guest::new(choice.clone());
    let part = bytes() / 100 / 256 * 256;
    for handle in 1..=100 {
        guest.buffer(handle, part, BufferUsage::COPY_DST);
    }
    let mut memory = vec![7; part];
    let gpu = &mut guest.gpu;
    let mut store = Store::default();
    let mut save = |written: u32, store: &mut Store| {
        for handle in 1..=written {
            let status = gpu.write(&mut memory, handle, 0, 0, size(part));
            assert_eq!(status.ok(), Some(0));
        }
        assert_eq!(gpu.wait(&mut memory, 0, u64::MAX).ok(), Some(0));
        let start = Instant::now();
        let state = gpu.save(&mut &*store).expect("it is saved");
        (state, start.elapsed())
    };
    for (name, written) in [("save all", 100), ("save one of a hundred", 1)] {
        save(100, &mut Store::default());
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|times| {
                let times = (0..times).map(|_| save(written, &mut Store::default()).1);
                times.sum()
            });
        });
    }
    let (state, _) = save(100, &mut store);
    // It opens a device, too.
    group.bench_function("restore", |bencher| {
        bencher.iter(|| {
            let settings = Settings::new(choice.clone());
            let interrupted = Box::new(|| false);
            let gpu = Gpu::resumed(&state, Duration::ZERO, settings, interrupted);
            gpu.expect("the adapter").restore(&state, &store).is_ok()
        });
    });
}

criterion_group!(benches, calls, transfers, checkpoints);
criterion_main!(benches);
