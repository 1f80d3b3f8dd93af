//! Renders the boxes offscreen: indexed, instanced, textured, with a depth buffer and four samples.

use std::mem::{offset_of, size_of};

use gpu_device::{Gpu, Result};
use wgpu::{BufferUsages, ShaderStages, TextureUsages};

use crate::scene::{self, BOXES, CHEQUERS, Corner, Cube, DARK, Vector};

pub const BACKGROUND: Vector = [0.05, 0.06, 0.1];
const COLOUR: wgpu::TextureFormat = wgpu::TextureFormat::Rgba8Unorm;
const DEPTH: wgpu::TextureFormat = wgpu::TextureFormat::Depth32Float;
const SAMPLES: u32 = 4;

pub struct Renderer<'a> {
    gpu: &'a Gpu,
    size: wgpu::Extent3d,
    boxes: wgpu::Buffer,
    /// All that is drawn: it stays the same from frame to frame but for the boxes' places.
    drawing: wgpu::RenderBundle,
    samples: wgpu::TextureView,
    depth: wgpu::TextureView,
    picture: wgpu::Texture,
    staging: wgpu::Buffer,
}

impl<'a> Renderer<'a> {
    pub fn new(gpu: &'a Gpu, width: u32, height: u32) -> Self {
        let size = wgpu::Extent3d {
            width,
            height,
            depth_or_array_layers: 1,
        };
        let target = |format, sample_count, usage| {
            gpu.device.create_texture(&wgpu::TextureDescriptor {
                label: None,
                size,
                mip_level_count: 1,
                sample_count,
                dimension: wgpu::TextureDimension::D2,
                format,
                usage,
                view_formats: &[],
            })
        };
        let attachment = TextureUsages::RENDER_ATTACHMENT;
        let samples = target(COLOUR, SAMPLES, attachment);
        let depth = target(DEPTH, SAMPLES, attachment);
        let boxes = gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("boxes"),
            size: (BOXES * size_of::<Cube>()) as u64,
            usage: BufferUsages::VERTEX | BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        Renderer {
            gpu,
            size,
            drawing: drawing(gpu, &boxes, width as f32 / height as f32),
            boxes,
            samples: samples.create_view(&Default::default()),
            depth: depth.create_view(&Default::default()),
            picture: target(COLOUR, 1, attachment | TextureUsages::COPY_SRC),
            staging: gpu.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("staging"),
                size: u64::from(row_pitch(width) * height),
                usage: BufferUsages::MAP_READ | BufferUsages::COPY_DST,
                mapped_at_creation: false,
            }),
        }
    }

    /// The picture of the boxes, in RGBA.
    pub fn frame(&self, boxes: &[Cube; BOXES]) -> Result<Vec<u8>> {
        let queue = &self.gpu.queue;
        queue.write_buffer(&self.boxes, 0, bytemuck::cast_slice(boxes));
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        self.draw(&mut encoder);
        encoder.copy_texture_to_buffer(
            self.picture.as_image_copy(),
            wgpu::TexelCopyBufferInfo {
                buffer: &self.staging,
                layout: wgpu::TexelCopyBufferLayout {
                    offset: 0,
                    bytes_per_row: Some(row_pitch(self.size.width)),
                    rows_per_image: None,
                },
            },
            self.size,
        );
        queue.submit([encoder.finish()]);

        let rows: Vec<u8> = self.gpu.mapped(&self.staging)?;
        let rows = rows.chunks(row_pitch(self.size.width) as usize);
        Ok(rows
            .flat_map(|row| &row[..self.size.width as usize * 4])
            .copied()
            .collect())
    }

    fn draw(&self, encoder: &mut wgpu::CommandEncoder) {
        let [r, g, b] = BACKGROUND.map(f64::from);
        let resolved = self.picture.create_view(&Default::default());
        let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            label: Some("boxes"),
            color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                view: &self.samples,
                depth_slice: None,
                resolve_target: Some(&resolved),
                ops: wgpu::Operations {
                    load: wgpu::LoadOp::Clear(wgpu::Color { r, g, b, a: 1.0 }),
                    store: wgpu::StoreOp::Discard,
                },
            })],
            depth_stencil_attachment: Some(wgpu::RenderPassDepthStencilAttachment {
                view: &self.depth,
                depth_ops: Some(wgpu::Operations {
                    load: wgpu::LoadOp::Clear(1.0),
                    store: wgpu::StoreOp::Discard,
                }),
                stencil_ops: None,
            }),
            ..Default::default()
        });
        pass.execute_bundles([&self.drawing]);
    }
}

/// Bytes from one row of a texture to the next in a buffer.
fn row_pitch(width: u32) -> u32 {
    (width * 4).next_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT)
}

fn drawing(gpu: &Gpu, boxes: &wgpu::Buffer, aspect: f32) -> wgpu::RenderBundle {
    let (corners, triangles) = scene::cube();
    let indices = triangles.len() as u32;
    let corners = gpu.buffer("corners", &corners, BufferUsages::VERTEX);
    let triangles = gpu.buffer("triangles", &triangles, BufferUsages::INDEX);
    let projection = gpu.buffer(
        "projection",
        &scene::projection(aspect),
        BufferUsages::UNIFORM,
    );
    let layout = gpu
        .device
        .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: None,
            entries: &layout_entries(),
        });
    let group = gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: None,
        layout: &layout,
        entries: &[
            wgpu::BindGroupEntry {
                binding: 0,
                resource: projection.as_entire_binding(),
            },
            wgpu::BindGroupEntry {
                binding: 1,
                resource: wgpu::BindingResource::TextureView(
                    &chequers(gpu).create_view(&Default::default()),
                ),
            },
            wgpu::BindGroupEntry {
                binding: 2,
                resource: wgpu::BindingResource::Sampler(
                    &gpu.device.create_sampler(&Default::default()),
                ),
            },
        ],
    });

    let pipeline = pipeline(gpu, &layout);
    let mut encoder =
        gpu.device
            .create_render_bundle_encoder(&wgpu::RenderBundleEncoderDescriptor {
                label: None,
                color_formats: &[Some(COLOUR)],
                depth_stencil: Some(wgpu::RenderBundleDepthStencil {
                    format: DEPTH,
                    depth_read_only: false,
                    stencil_read_only: true,
                }),
                sample_count: SAMPLES,
                multiview: None,
            });
    encoder.set_pipeline(&pipeline);
    encoder.set_bind_group(0, &group, &[]);
    encoder.set_vertex_buffer(0, corners.slice(..));
    encoder.set_vertex_buffer(1, boxes.slice(..));
    encoder.set_index_buffer(triangles.slice(..), wgpu::IndexFormat::Uint16);
    encoder.draw_indexed(0..indices, 0, 0..BOXES as u32);
    encoder.finish(&Default::default())
}

fn layout_entries() -> [wgpu::BindGroupLayoutEntry; 3] {
    let entry = |binding, visibility, ty| wgpu::BindGroupLayoutEntry {
        binding,
        visibility,
        ty,
        count: None,
    };
    [
        entry(
            0,
            ShaderStages::VERTEX,
            wgpu::BindingType::Buffer {
                ty: wgpu::BufferBindingType::Uniform,
                has_dynamic_offset: false,
                min_binding_size: wgpu::BufferSize::new(64),
            },
        ),
        entry(
            1,
            ShaderStages::FRAGMENT,
            wgpu::BindingType::Texture {
                sample_type: wgpu::TextureSampleType::Float { filterable: true },
                view_dimension: wgpu::TextureViewDimension::D2,
                multisampled: false,
            },
        ),
        entry(
            2,
            ShaderStages::FRAGMENT,
            wgpu::BindingType::Sampler(wgpu::SamplerBindingType::Filtering),
        ),
    ]
}

fn pipeline(gpu: &Gpu, layout: &wgpu::BindGroupLayout) -> wgpu::RenderPipeline {
    let shader = gpu.shader("scene", include_str!("scene.wgsl"));
    let layout = gpu
        .device
        .create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: None,
            bind_group_layouts: &[Some(layout)],
            immediate_size: 0,
        });
    let corner = wgpu::vertex_attr_array![0 => Float32x3, 1 => Float32x3, 2 => Float32x2];
    let cube = wgpu::vertex_attr_array![
        3 => Float32x4, 4 => Float32x4, 5 => Float32x4, 6 => Float32x4, 7 => Float32x4
    ];
    const { assert!(offset_of!(Cube, colour) == 64) };
    gpu.device
        .create_render_pipeline(&wgpu::RenderPipelineDescriptor {
            label: Some("boxes"),
            layout: Some(&layout),
            vertex: wgpu::VertexState {
                module: &shader,
                entry_point: Some("corner"),
                compilation_options: Default::default(),
                buffers: &[
                    Some(wgpu::VertexBufferLayout {
                        array_stride: size_of::<Corner>() as u64,
                        step_mode: wgpu::VertexStepMode::Vertex,
                        attributes: &corner,
                    }),
                    Some(wgpu::VertexBufferLayout {
                        array_stride: size_of::<Cube>() as u64,
                        step_mode: wgpu::VertexStepMode::Instance,
                        attributes: &cube,
                    }),
                ],
            },
            primitive: wgpu::PrimitiveState {
                cull_mode: Some(wgpu::Face::Back),
                ..Default::default()
            },
            depth_stencil: Some(wgpu::DepthStencilState {
                format: DEPTH,
                depth_write_enabled: Some(true),
                depth_compare: Some(wgpu::CompareFunction::Less),
                stencil: Default::default(),
                bias: Default::default(),
            }),
            multisample: wgpu::MultisampleState {
                count: SAMPLES,
                ..Default::default()
            },
            fragment: Some(wgpu::FragmentState {
                module: &shader,
                entry_point: Some("surface"),
                compilation_options: Default::default(),
                targets: &[Some(COLOUR.into())],
            }),
            multiview_mask: None,
            cache: None,
        })
}

/// Bright and dark texels by turns.
fn chequers(gpu: &Gpu) -> wgpu::Texture {
    let size = wgpu::Extent3d {
        width: CHEQUERS,
        height: CHEQUERS,
        depth_or_array_layers: 1,
    };
    let texture = gpu.device.create_texture(&wgpu::TextureDescriptor {
        label: Some("chequers"),
        size,
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: COLOUR,
        usage: TextureUsages::TEXTURE_BINDING | TextureUsages::COPY_DST,
        view_formats: &[],
    });
    let texels: Vec<[u8; 4]> = (0..CHEQUERS * CHEQUERS)
        .map(|texel| match (texel % CHEQUERS + texel / CHEQUERS) % 2 {
            0 => [255; 4],
            _ => [(DARK * 255.0).round() as u8; 4],
        })
        .collect();
    gpu.queue.write_texture(
        texture.as_image_copy(),
        texels.as_flattened(),
        wgpu::TexelCopyBufferLayout {
            offset: 0,
            bytes_per_row: Some(CHEQUERS * 4),
            rows_per_image: None,
        },
        size,
    );
    texture
}
