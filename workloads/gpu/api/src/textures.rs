//! Textures: copies, views, storage, stencil.

use bytemuck::{Pod, cast_slice};
use gpu_device::{Gpu, Result};
use wgpu::{BufferUsages, Extent3d, TextureDimension, TextureFormat, TextureUsages};

use crate::{empty, encoder, same};

fn extent(width: u32, height: u32, depth_or_array_layers: u32) -> Extent3d {
    Extent3d {
        width,
        height,
        depth_or_array_layers,
    }
}

pub fn texture(
    gpu: &Gpu,
    size: Extent3d,
    levels: u32,
    format: TextureFormat,
    usage: TextureUsages,
) -> wgpu::Texture {
    let dimension = match size.depth_or_array_layers {
        1 => TextureDimension::D2,
        _ => TextureDimension::D3,
    };
    gpu.device.create_texture(&wgpu::TextureDescriptor {
        label: None,
        size,
        mip_level_count: levels,
        sample_count: 1,
        dimension,
        format,
        usage: usage | TextureUsages::COPY_SRC,
        view_formats: &[],
    })
}

/// The texels of a level, whose rows are 256 bytes or less.
pub fn texels<T: Pod>(gpu: &Gpu, texture: &wgpu::Texture, mip_level: u32) -> Result<Vec<T>> {
    const ROW: u32 = wgpu::COPY_BYTES_PER_ROW_ALIGNMENT;
    let size = texture
        .size()
        .mip_level_size(mip_level, texture.dimension());
    let rows = size.height * size.depth_or_array_layers;
    let staging = empty(
        gpu,
        u64::from(ROW * rows),
        BufferUsages::MAP_READ | BufferUsages::COPY_DST,
    );
    let mut commands = encoder(gpu);
    commands.copy_texture_to_buffer(
        wgpu::TexelCopyTextureInfo {
            mip_level,
            ..texture.as_image_copy()
        },
        wgpu::TexelCopyBufferInfo {
            buffer: &staging,
            layout: wgpu::TexelCopyBufferLayout {
                offset: 0,
                bytes_per_row: Some(ROW),
                rows_per_image: Some(size.height),
            },
        },
        size,
    );
    gpu.queue.submit([commands.finish()]);
    let bytes: Vec<u8> = gpu.mapped(&staging)?;
    let used = size.width as usize * size_of::<T>();
    let rows = bytes.chunks(ROW as usize).map(|row| &row[..used]);
    Ok(bytemuck::pod_collect_to_vec(
        &rows.flatten().copied().collect::<Vec<u8>>(),
    ))
}

fn write<T: Pod>(gpu: &Gpu, texture: &wgpu::Texture, mip_level: u32, texels: &[T]) {
    let size = texture
        .size()
        .mip_level_size(mip_level, texture.dimension());
    gpu.queue.write_texture(
        wgpu::TexelCopyTextureInfo {
            mip_level,
            ..texture.as_image_copy()
        },
        cast_slice(texels),
        wgpu::TexelCopyBufferLayout {
            offset: 0,
            bytes_per_row: Some(size.width * size_of::<T>() as u32),
            rows_per_image: Some(size.height),
        },
        size,
    );
}

/// From a buffer, and from one texture to a part of another.
pub fn copies(gpu: &Gpu) -> Result<()> {
    let format = TextureFormat::R32Uint;
    let from = texture(gpu, extent(64, 2, 1), 1, format, TextureUsages::COPY_DST);
    let to = texture(gpu, extent(64, 4, 1), 1, format, TextureUsages::COPY_DST);
    let numbers: Vec<u32> = (0..128).collect();
    let buffer = gpu.buffer("numbers", &numbers, BufferUsages::COPY_SRC);
    let mut commands = encoder(gpu);
    commands.copy_buffer_to_texture(
        wgpu::TexelCopyBufferInfo {
            buffer: &buffer,
            layout: wgpu::TexelCopyBufferLayout {
                offset: 0,
                bytes_per_row: Some(256),
                rows_per_image: None,
            },
        },
        from.as_image_copy(),
        from.size(),
    );
    commands.copy_texture_to_texture(
        wgpu::TexelCopyTextureInfo {
            origin: wgpu::Origin3d { x: 1, y: 1, z: 0 },
            ..from.as_image_copy()
        },
        wgpu::TexelCopyTextureInfo {
            origin: wgpu::Origin3d { x: 2, y: 3, z: 0 },
            ..to.as_image_copy()
        },
        extent(3, 1, 1),
    );
    gpu.queue.submit([commands.finish()]);
    same(texels(gpu, &from, 0)?, numbers)?;
    let mut expected = vec![0; 256];
    expected[3 * 64 + 2..3 * 64 + 5].copy_from_slice(&[65, 66, 67]);
    same(texels(gpu, &to, 0)?, expected)
}

/// A view of one level is rendered to; the others stay.
pub fn mip_levels(gpu: &Gpu) -> Result<()> {
    let usage = TextureUsages::COPY_DST | TextureUsages::RENDER_ATTACHMENT;
    let target = texture(gpu, extent(4, 4, 1), 3, TextureFormat::Rgba8Unorm, usage);
    write(gpu, &target, 2, &[[1u8, 2, 3, 4]]);
    let view = target.create_view(&wgpu::TextureViewDescriptor {
        base_mip_level: 1,
        mip_level_count: Some(1),
        ..Default::default()
    });
    let mut commands = encoder(gpu);
    commands.begin_render_pass(&wgpu::RenderPassDescriptor {
        color_attachments: &[Some(wgpu::RenderPassColorAttachment {
            view: &view,
            depth_slice: None,
            resolve_target: None,
            ops: wgpu::Operations {
                load: wgpu::LoadOp::Clear(wgpu::Color::WHITE),
                store: wgpu::StoreOp::Store,
            },
        })],
        ..Default::default()
    });
    gpu.queue.submit([commands.finish()]);
    same(texels(gpu, &target, 0)?, vec![[0u8; 4]; 16])?;
    same(texels(gpu, &target, 1)?, vec![[255u8; 4]; 4])?;
    same(texels(gpu, &target, 2)?, vec![[1u8, 2, 3, 4]])
}

const FILL: &str = "
@group(0) @binding(0) var picture: texture_storage_2d<r32uint, write>;

@compute @workgroup_size(1)
fn fill(@builtin(global_invocation_id) id: vec3<u32>) {
    textureStore(picture, id.xy, vec4(10 * id.y + id.x));
}
";

pub fn storage(gpu: &Gpu) -> Result<()> {
    let usage = TextureUsages::STORAGE_BINDING;
    let target = texture(gpu, extent(3, 2, 1), 1, TextureFormat::R32Uint, usage);
    let pipeline = gpu.pipeline(&gpu.shader("fill", FILL), "fill");
    let group = gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: None,
        layout: &pipeline.get_bind_group_layout(0),
        entries: &[wgpu::BindGroupEntry {
            binding: 0,
            resource: wgpu::BindingResource::TextureView(&target.create_view(&Default::default())),
        }],
    });
    let mut commands = encoder(gpu);
    let mut pass = commands.begin_compute_pass(&Default::default());
    pass.set_pipeline(&pipeline);
    pass.set_bind_group(0, &group, &[]);
    pass.dispatch_workgroups(3, 2, 1);
    drop(pass);
    gpu.queue.submit([commands.finish()]);
    same(texels(gpu, &target, 0)?, vec![0u32, 1, 2, 10, 11, 12])
}

pub fn volumes(gpu: &Gpu) -> Result<()> {
    let usage = TextureUsages::COPY_DST;
    let volume = texture(gpu, extent(2, 3, 4), 1, TextureFormat::R32Float, usage);
    let numbers: Vec<f32> = (0..24u8).map(f32::from).collect();
    write(gpu, &volume, 0, &numbers);
    same(texels(gpu, &volume, 0)?, numbers)
}

const CORNER: &str = "
@vertex
fn corner(@builtin(vertex_index) index: u32) -> @builtin(position) vec4<f32> {
    // The left half of the picture, in two triangles.
    var corners = array(vec2(-1.0, -1.0), vec2(0.0, -1.0), vec2(-1.0, 1.0), vec2(0.0, 1.0));
    return vec4(corners[index], 0.0, 1.0);
}

@fragment
fn white() -> @location(0) vec4<f32> {
    return vec4(1.0);
}
";

/// Draws where the stencil is not 0, which one draw before has set on the left half.
pub fn stencil(gpu: &Gpu) -> Result<()> {
    let attachment = TextureUsages::RENDER_ATTACHMENT;
    let target = texture(
        gpu,
        extent(4, 1, 1),
        1,
        TextureFormat::Rgba8Unorm,
        attachment,
    );
    let stencil = texture(gpu, extent(4, 1, 1), 1, TextureFormat::Stencil8, attachment);
    let (view, stencil) = (
        target.create_view(&Default::default()),
        stencil.create_view(&Default::default()),
    );
    let set = stencil_pipeline(
        gpu,
        wgpu::CompareFunction::Always,
        wgpu::ColorWrites::empty(),
    );
    let draw = stencil_pipeline(gpu, wgpu::CompareFunction::Equal, wgpu::ColorWrites::RED);
    let mut commands = encoder(gpu);
    let mut pass = commands.begin_render_pass(&wgpu::RenderPassDescriptor {
        color_attachments: &[Some(wgpu::RenderPassColorAttachment {
            view: &view,
            depth_slice: None,
            resolve_target: None,
            ops: wgpu::Operations {
                load: wgpu::LoadOp::Clear(wgpu::Color::BLACK),
                store: wgpu::StoreOp::Store,
            },
        })],
        depth_stencil_attachment: Some(wgpu::RenderPassDepthStencilAttachment {
            view: &stencil,
            depth_ops: None,
            stencil_ops: Some(wgpu::Operations {
                load: wgpu::LoadOp::Clear(0),
                store: wgpu::StoreOp::Discard,
            }),
        }),
        ..Default::default()
    });
    pass.set_stencil_reference(3);
    pass.set_pipeline(&set);
    pass.draw(0..4, 0..1);
    pass.set_pipeline(&draw);
    pass.set_viewport(1.0, 0.0, 4.0, 1.0, 0.0, 1.0);
    pass.draw(0..4, 0..1);
    drop(pass);
    gpu.queue.submit([commands.finish()]);
    let [black, red] = [[0u8, 0, 0, 255], [255, 0, 0, 255]];
    same(texels(gpu, &target, 0)?, vec![black, red, black, black])
}

/// Replaces the stencil where the comparison passes.
fn stencil_pipeline(
    gpu: &Gpu,
    compare: wgpu::CompareFunction,
    write_mask: wgpu::ColorWrites,
) -> wgpu::RenderPipeline {
    let face = wgpu::StencilFaceState {
        compare,
        pass_op: wgpu::StencilOperation::Replace,
        ..Default::default()
    };
    pipeline(
        gpu,
        Some(wgpu::DepthStencilState {
            format: TextureFormat::Stencil8,
            depth_write_enabled: None,
            depth_compare: None,
            stencil: wgpu::StencilState {
                front: face,
                back: face,
                read_mask: 0xff,
                write_mask: 0xff,
            },
            bias: Default::default(),
        }),
        write_mask,
    )
}

/// Fills the left half of the viewport with white.
pub fn pipeline(
    gpu: &Gpu,
    depth_stencil: Option<wgpu::DepthStencilState>,
    write_mask: wgpu::ColorWrites,
) -> wgpu::RenderPipeline {
    let module = gpu.shader("corner", CORNER);
    gpu.device
        .create_render_pipeline(&wgpu::RenderPipelineDescriptor {
            label: None,
            layout: None,
            vertex: wgpu::VertexState {
                module: &module,
                entry_point: None,
                compilation_options: Default::default(),
                buffers: &[],
            },
            primitive: wgpu::PrimitiveState {
                topology: wgpu::PrimitiveTopology::TriangleStrip,
                ..Default::default()
            },
            depth_stencil,
            multisample: Default::default(),
            fragment: Some(wgpu::FragmentState {
                module: &module,
                entry_point: None,
                compilation_options: Default::default(),
                targets: &[Some(wgpu::ColorTargetState {
                    format: TextureFormat::Rgba8Unorm,
                    blend: None,
                    write_mask,
                })],
            }),
            multiview_mask: None,
            cache: None,
        })
}
