//! Training on the GPU: the network stays there; an epoch's order goes in, its verdicts come out.

use bytemuck::{Pod, Zeroable};
use gpu_device::{Gpu, Result};
use wgpu::{BufferUsages, ShaderStages};

use crate::Score;
use crate::data::{self, BATCH, CLASSES, Digits, HIDDEN, IMAGES, PARAMETERS, TRAINING};

/// Where one batch's uniform ends and the next one's starts: the alignment of dynamic offsets.
const STRIDE: usize = 256;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Verdict {
    loss: f32,
    right: f32,
}

pub struct Training<'a> {
    gpu: &'a Gpu,
    order: wgpu::Buffer,
    verdicts: wgpu::Buffer,
    group: wgpu::BindGroup,
    hide: wgpu::ComputePipeline,
    judge: wgpu::ComputePipeline,
    blame: wgpu::ComputePipeline,
    learn: wgpu::ComputePipeline,
}

impl<'a> Training<'a> {
    pub fn new(gpu: &'a Gpu, digits: &Digits) -> Self {
        let layout = gpu
            .device
            .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
                label: Some("network"),
                entries: &layout_entries(),
            });
        let pipeline_layout = gpu
            .device
            .create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: Some("network"),
                bind_group_layouts: &[Some(&layout)],
                immediate_size: 0,
            });
        let shader = gpu.shader("network", include_str!("network.wgsl"));
        let pipeline = |entry| {
            gpu.device
                .create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                    label: Some(entry),
                    layout: Some(&pipeline_layout),
                    module: &shader,
                    entry_point: Some(entry),
                    compilation_options: Default::default(),
                    cache: None,
                })
        };

        let storage = BufferUsages::STORAGE;
        let order = gpu.buffer("order", &[0u32; IMAGES], storage | BufferUsages::COPY_DST);
        let verdicts = gpu.buffer(
            "verdicts",
            &[Verdict::zeroed(); IMAGES],
            storage | BufferUsages::COPY_SRC,
        );
        let batches = gpu.buffer("batches", &batch_uniforms(), BufferUsages::UNIFORM);
        let images = gpu.buffer("images", &digits.images, storage);
        let labels = gpu.buffer("labels", &digits.labels, storage);
        let parameters = gpu.buffer("parameters", &data::start(), storage);
        let momentum = gpu.buffer("momentum", &[0f32; PARAMETERS], storage);
        let units = gpu.buffer("units", &[0f32; 2 * BATCH * HIDDEN], storage);
        let errors = gpu.buffer("errors", &[0f32; BATCH * CLASSES], storage);

        let batch = wgpu::BindGroupEntry {
            binding: 0,
            resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer: &batches,
                offset: 0,
                size: wgpu::BufferSize::new(8),
            }),
        };
        let buffers = [
            &images,
            &labels,
            &order,
            &parameters,
            &momentum,
            &units,
            &errors,
            &verdicts,
        ];
        let entries: Vec<_> = std::iter::once(batch)
            .chain(
                (1..)
                    .zip(buffers)
                    .map(|(binding, buffer)| wgpu::BindGroupEntry {
                        binding,
                        resource: buffer.as_entire_binding(),
                    }),
            )
            .collect();
        let group = gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("network"),
            layout: &layout,
            entries: &entries,
        });
        Training {
            gpu,
            order,
            verdicts,
            group,
            hide: pipeline("hide"),
            judge: pipeline("judge"),
            blame: pipeline("blame"),
            learn: pipeline("learn"),
        }
    }

    /// Learns from the training images in this order, then tries the others.
    pub fn epoch(&self, order: &[u32]) -> Result<Score> {
        let queue = &self.gpu.queue;
        queue.write_buffer(&self.order, 0, bytemuck::cast_slice(order));
        for (number, batch) in data::batches().enumerate() {
            let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
            let mut pass = encoder.begin_compute_pass(&Default::default());
            let images = batch.len() as u32;
            pass.set_bind_group(0, &self.group, &[(number * STRIDE) as u32]);
            pass.set_pipeline(&self.hide);
            pass.dispatch_workgroups(images, 1, 1);
            pass.set_pipeline(&self.judge);
            pass.dispatch_workgroups(images.div_ceil(64), 1, 1);
            if batch.start < TRAINING {
                pass.set_pipeline(&self.blame);
                pass.dispatch_workgroups(images, 1, 1);
                pass.set_pipeline(&self.learn);
                pass.dispatch_workgroups(PARAMETERS.div_ceil(64) as u32, 1, 1);
            }
            drop(pass);
            queue.submit([encoder.finish()]);
        }

        let verdicts: Vec<Verdict> = self.gpu.read(&self.verdicts)?;
        let (trained, others) = verdicts.split_at(TRAINING);
        let loss: f32 = trained.iter().map(|verdict| verdict.loss).sum();
        let right: f32 = others.iter().map(|verdict| verdict.right).sum();
        Ok(Score {
            loss: loss / trained.len() as f32,
            accuracy: right / others.len() as f32,
        })
    }
}

/// The batch as a uniform with a dynamic offset, three buffers to read, five to write.
fn layout_entries() -> Vec<wgpu::BindGroupLayoutEntry> {
    (0..9)
        .map(|binding| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty: match binding {
                    0 => wgpu::BufferBindingType::Uniform,
                    _ => wgpu::BufferBindingType::Storage {
                        read_only: binding < 4,
                    },
                },
                has_dynamic_offset: binding == 0,
                min_binding_size: None,
            },
            count: None,
        })
        .collect()
}

fn batch_uniforms() -> Vec<u32> {
    data::batches()
        .flat_map(|batch| {
            let mut uniform = [0; STRIDE / 4];
            uniform[0] = batch.start as u32;
            uniform[1] = batch.len() as u32;
            uniform
        })
        .collect()
}
