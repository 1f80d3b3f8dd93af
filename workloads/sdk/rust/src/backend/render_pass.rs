//! Render passes.

use std::ops::Range;
use std::sync::Arc;

use wgpu::custom::{
    DispatchBindGroup, DispatchBuffer, DispatchQuerySet, DispatchRenderBundle,
    DispatchRenderPipeline, RenderPassInterface,
};
use wherry_gpu_abi as abi;

use abi::{Command, LoadOp, StoreOp, WHOLE_SIZE};

use super::compute_pass::bind_group;
use super::convert::{self, handle};
use super::encoder::{Commands, Encoding, buffer, query_set, timestamp_writes};
use super::objects::{RenderBundle, RenderPipeline};
use super::render_commands::render_commands;

#[derive(Debug)]
pub(crate) struct RenderPass {
    pub(crate) commands: Commands,
    pub(crate) home: Option<Arc<Encoding>>,
}

impl RenderPass {
    /// The command that begins such a pass.
    pub(crate) fn begin(descriptor: &wgpu::RenderPassDescriptor<'_>) -> Command {
        let colors = descriptor.color_attachments.iter();
        let depth_stencil = descriptor.depth_stencil_attachment.as_ref();
        let timestamps = descriptor.timestamp_writes.as_ref();
        Command::BeginRenderPass {
            label: convert::label(descriptor.label),
            color_attachments: colors
                .map(|attachment| abi::Slot(attachment.as_ref().map(color_attachment)))
                .collect(),
            depth_stencil_attachment: depth_stencil.map(depth_stencil_attachment),
            occlusion_query_set: descriptor.occlusion_query_set.map_or(0, query_set),
            timestamp_writes: timestamps.map(|writes| {
                timestamp_writes(
                    writes.query_set,
                    writes.beginning_of_pass_write_index,
                    writes.end_of_pass_write_index,
                )
            }),
        }
    }

    fn push(&mut self, command: Command) {
        self.commands.push(&command);
    }

    fn refuse(&mut self, what: &str) {
        self.commands.refuse(what);
    }

    /// One command for each of `count` draws, whose arguments are `stride` bytes apart.
    fn draw_each(&mut self, count: u32, offset: u64, stride: u64, draw: impl Fn(u64) -> Command) {
        for number in 0..u64::from(count) {
            self.push(draw(offset.saturating_add(number * stride)));
        }
    }
}

fn color_attachment(attachment: &wgpu::RenderPassColorAttachment<'_>) -> abi::ColorAttachment {
    let (load_op, clear_value) = load(attachment.ops.load);
    abi::ColorAttachment {
        view: convert::view_handle(attachment.view),
        depth_slice: attachment.depth_slice.unwrap_or(abi::UNDEFINED),
        resolve_target: attachment.resolve_target.map_or(0, convert::view_handle),
        load_op,
        store_op: store(attachment.ops.store),
        clear_value: convert::color(clear_value),
    }
}

fn depth_stencil_attachment(
    attachment: &wgpu::RenderPassDepthStencilAttachment<'_>,
) -> abi::DepthStencilAttachment {
    let depth = attachment.depth_ops.map(|ops| (load(ops.load), ops.store));
    let stencil = attachment
        .stencil_ops
        .map(|ops| (load(ops.load), ops.store));
    abi::DepthStencilAttachment {
        view: convert::view_handle(attachment.view),
        depth_load_op: depth.map(|((load, _), _)| load),
        depth_store_op: depth.map(|(_, op)| store(op)),
        depth_clear_value: depth.map_or(0.0, |((_, value), _)| value),
        depth_read_only: depth.is_none(),
        stencil_load_op: stencil.map(|((load, _), _)| load),
        stencil_store_op: stencil.map(|(_, op)| store(op)),
        stencil_clear_value: stencil.map_or(0, |((_, value), _)| value),
        stencil_read_only: stencil.is_none(),
    }
}

fn load<T: Default>(operation: wgpu::LoadOp<T>) -> (LoadOp, T) {
    match operation {
        wgpu::LoadOp::Load => (LoadOp::Load, T::default()),
        wgpu::LoadOp::Clear(value) => (LoadOp::Clear, value),
        // Anything may be there: zeros, for one.
        wgpu::LoadOp::DontCare(_) => (LoadOp::Clear, T::default()),
    }
}

fn store(operation: wgpu::StoreOp) -> StoreOp {
    match operation {
        wgpu::StoreOp::Store => StoreOp::Store,
        wgpu::StoreOp::Discard => StoreOp::Discard,
    }
}

impl RenderPassInterface for RenderPass {
    render_commands! {}

    fn set_blend_constant(&mut self, color: wgpu::Color) {
        self.push(Command::SetBlendConstant {
            color: convert::color(color),
        });
    }

    fn set_scissor_rect(&mut self, x: u32, y: u32, width: u32, height: u32) {
        self.push(Command::SetScissorRect {
            x,
            y,
            width,
            height,
        });
    }

    fn set_viewport(
        &mut self,
        x: f32,
        y: f32,
        width: f32,
        height: f32,
        min_depth: f32,
        max_depth: f32,
    ) {
        self.push(Command::SetViewport {
            x,
            y,
            width,
            height,
            min_depth,
            max_depth,
        });
    }

    fn set_stencil_reference(&mut self, reference: u32) {
        self.push(Command::SetStencilReference { reference });
    }

    fn draw_mesh_tasks(&mut self, _: u32, _: u32, _: u32) {
        self.refuse("a mesh shader");
    }

    fn draw_mesh_tasks_indirect(&mut self, _: &DispatchBuffer, _: u64) {
        self.refuse("a mesh shader");
    }

    fn multi_draw_indirect(&mut self, arguments: &DispatchBuffer, offset: u64, count: u32) {
        /// Four words.
        const STRIDE: u64 = 16;
        let buffer = buffer(arguments);
        self.draw_each(count, offset, STRIDE, |offset| Command::DrawIndirect {
            buffer,
            offset,
        });
    }

    fn multi_draw_indexed_indirect(&mut self, arguments: &DispatchBuffer, offset: u64, count: u32) {
        /// Five words.
        const STRIDE: u64 = 20;
        let buffer = buffer(arguments);
        self.draw_each(count, offset, STRIDE, |offset| {
            Command::DrawIndexedIndirect { buffer, offset }
        });
    }

    fn multi_draw_indirect_count(
        &mut self,
        _: &DispatchBuffer,
        _: u64,
        _: &DispatchBuffer,
        _: u64,
        _: u32,
    ) {
        self.refuse("multi_draw_indirect_count");
    }

    fn multi_draw_mesh_tasks_indirect(&mut self, _: &DispatchBuffer, _: u64, _: u32) {
        self.refuse("a mesh shader");
    }

    fn multi_draw_indexed_indirect_count(
        &mut self,
        _: &DispatchBuffer,
        _: u64,
        _: &DispatchBuffer,
        _: u64,
        _: u32,
    ) {
        self.refuse("multi_draw_indexed_indirect_count");
    }

    fn multi_draw_mesh_tasks_indirect_count(
        &mut self,
        _: &DispatchBuffer,
        _: u64,
        _: &DispatchBuffer,
        _: u64,
        _: u32,
    ) {
        self.refuse("a mesh shader");
    }

    fn insert_debug_marker(&mut self, label: &str) {
        self.push(Command::InsertDebugMarker {
            label: convert::label(Some(label)),
        });
    }

    fn push_debug_group(&mut self, label: &str) {
        self.push(Command::PushDebugGroup {
            label: convert::label(Some(label)),
        });
    }

    fn pop_debug_group(&mut self) {
        self.push(Command::PopDebugGroup {});
    }

    fn write_timestamp(&mut self, _: &DispatchQuerySet, _: u32) {
        self.refuse("write_timestamp inside of a pass");
    }

    fn begin_occlusion_query(&mut self, index: u32) {
        self.push(Command::BeginOcclusionQuery { index });
    }

    fn end_occlusion_query(&mut self) {
        self.push(Command::EndOcclusionQuery {});
    }

    fn begin_pipeline_statistics_query(&mut self, _: &DispatchQuerySet, _: u32) {
        self.refuse("a query of pipeline statistics");
    }

    fn end_pipeline_statistics_query(&mut self) {
        self.refuse("a query of pipeline statistics");
    }

    fn execute_bundles(&mut self, bundles: &mut dyn Iterator<Item = &DispatchRenderBundle>) {
        let handles = bundles.map(|bundle| {
            let bundle = bundle.as_custom::<RenderBundle>();
            handle(bundle.map(|bundle| bundle.0.handle))
        });
        let bundles = handles.collect();
        self.push(Command::ExecuteBundles { bundles });
    }
}

impl Drop for RenderPass {
    fn drop(&mut self) {
        self.commands.push(&Command::EndRenderPass {});
        if let Some(home) = &self.home {
            home.give_back(std::mem::take(&mut self.commands));
        }
    }
}
