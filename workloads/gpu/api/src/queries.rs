//! Queries, and draws whose arguments the GPU has.

use gpu_device::{Gpu, Result};
use wgpu::{BufferUsages, Extent3d, TextureFormat, TextureUsages};

use crate::{empty, encoder, same, textures};

fn target(gpu: &Gpu) -> wgpu::Texture {
    let size = Extent3d {
        width: 4,
        height: 4,
        depth_or_array_layers: 1,
    };
    let usage = TextureUsages::RENDER_ATTACHMENT;
    textures::texture(gpu, size, 1, TextureFormat::Rgba8Unorm, usage)
}

fn attachment(view: &wgpu::TextureView) -> wgpu::RenderPassColorAttachment<'_> {
    wgpu::RenderPassColorAttachment {
        view,
        depth_slice: None,
        resolve_target: None,
        ops: wgpu::Operations {
            load: wgpu::LoadOp::Clear(wgpu::Color::BLACK),
            store: wgpu::StoreOp::Store,
        },
    }
}

/// Something is drawn in the first query, nothing in the second.
pub fn occlusion(gpu: &Gpu) -> Result<()> {
    let queries = gpu.device.create_query_set(&wgpu::QuerySetDescriptor {
        label: None,
        ty: wgpu::QueryType::Occlusion,
        count: 2,
    });
    let view = target(gpu).create_view(&Default::default());
    let pipeline = textures::pipeline(gpu, None, wgpu::ColorWrites::ALL);
    let results = empty(
        gpu,
        16,
        BufferUsages::QUERY_RESOLVE | BufferUsages::COPY_SRC,
    );
    let mut commands = encoder(gpu);
    let mut pass = commands.begin_render_pass(&wgpu::RenderPassDescriptor {
        color_attachments: &[Some(attachment(&view))],
        occlusion_query_set: Some(&queries),
        ..Default::default()
    });
    pass.set_pipeline(&pipeline);
    pass.begin_occlusion_query(0);
    pass.draw(0..4, 0..1);
    pass.end_occlusion_query();
    pass.begin_occlusion_query(1);
    pass.set_scissor_rect(3, 0, 1, 1);
    pass.draw(0..4, 0..1);
    pass.end_occlusion_query();
    drop(pass);
    commands.resolve_query_set(&queries, 0..2, &results, 0);
    gpu.queue.submit([commands.finish()]);
    let results: Vec<u64> = gpu.read(&results)?;
    same([results[0] > 0, results[1] > 0], [true, false])
}

/// Two draws from one buffer, in one call; the second one has an instance of a rectangle.
pub fn indirect_draws(gpu: &Gpu) -> Result<()> {
    let picture = target(gpu);
    let view = picture.create_view(&Default::default());
    let pipeline = textures::pipeline(gpu, None, wgpu::ColorWrites::GREEN);
    let arguments = [[0u32, 0, 0, 0], [4, 1, 0, 0]];
    let arguments = gpu.buffer("arguments", &arguments, BufferUsages::INDIRECT);
    let mut commands = encoder(gpu);
    let mut pass = commands.begin_render_pass(&wgpu::RenderPassDescriptor {
        color_attachments: &[Some(attachment(&view))],
        ..Default::default()
    });
    pass.set_pipeline(&pipeline);
    pass.multi_draw_indirect(&arguments, 0, 2);
    drop(pass);
    gpu.queue.submit([commands.finish()]);
    let [black, green] = [[0u8, 0, 0, 255], [0, 255, 0, 255]];
    let row = [green, green, black, black];
    same(textures::texels(gpu, &picture, 0)?, [row; 4].concat())
}
