//! Render passes and bundles.

use std::collections::BTreeSet;

use wherry_gpu_abi::{
    BufferUsage, ColorAttachment, Command, DepthStencilAttachment, Handle, LoadOp,
    PassTimestampWrites, QueryType, Slot, StoreOp,
};

use super::{Pass, Replay, check_buffer, check_queries};
use crate::convert;
use crate::fault::Failed;
use crate::object::{Buffer, Content, Id, TextureView};

impl<'a> Replay<'a> {
    pub(super) fn begin_render_pass(
        &mut self,
        colors: &[Slot<ColorAttachment>],
        depth_stencil: Option<&DepthStencilAttachment>,
        occlusion_query_set: Handle,
        writes: Option<&PassTimestampWrites>,
    ) -> Result<(), Failed> {
        let colors = colors
            .iter()
            .map(|slot| slot.0.as_ref().map(|color| self.color(color)).transpose());
        let colors: Vec<_> = colors.collect::<Result<_, _>>()?;
        let depth_stencil_attachment = depth_stencil
            .map(|attachment| self.depth_stencil(attachment))
            .transpose()?;
        self.occlusion_queries = self.optional_id(occlusion_query_set)?;
        let occlusion_query_set = match self.occlusion_queries {
            0 => None,
            set => {
                let set = self.table.query_set(set)?;
                check_queries(set, QueryType::Occlusion)?;
                Some(&set.set)
            }
        };
        let timestamp_writes = match writes {
            None => None,
            Some(writes) => Some(wgpu::RenderPassTimestampWrites {
                query_set: &self.timestamps(writes)?.set,
                beginning_of_pass_write_index: convert::defined(writes.beginning_of_pass),
                end_of_pass_write_index: convert::defined(writes.end_of_pass),
            }),
        };
        let descriptor = wgpu::RenderPassDescriptor {
            label: None,
            color_attachments: &colors,
            depth_stencil_attachment,
            timestamp_writes,
            occlusion_query_set,
            multiview_mask: None,
        };
        let pass = self.encoder()?.begin_render_pass(&descriptor);
        self.pass = Pass::Render(Box::new(pass.forget_lifetime()));
        self.has_pipeline = false;
        Ok(())
    }

    fn color(
        &self,
        color: &ColorAttachment,
    ) -> Result<wgpu::RenderPassColorAttachment<'a>, Failed> {
        let view = self.table.view(self.table.id(color.view)?)?;
        self.note_attachment(view, color.store_op == StoreOp::Discard)?;
        let resolve_target = match color.resolve_target {
            0 => None,
            target => {
                let target = self.table.view(self.table.id(target)?)?;
                self.note_attachment(target, false)?;
                Some(&target.view)
            }
        };
        Ok(wgpu::RenderPassColorAttachment {
            view: &view.view,
            depth_slice: convert::defined(color.depth_slice),
            resolve_target,
            ops: wgpu::Operations {
                load: match color.load_op {
                    LoadOp::Load => wgpu::LoadOp::Load,
                    LoadOp::Clear => wgpu::LoadOp::Clear(convert::color(&color.clear_value)),
                },
                store: convert::store_op(color.store_op),
            },
        })
    }

    fn depth_stencil(
        &self,
        attachment: &DepthStencilAttachment,
    ) -> Result<wgpu::RenderPassDepthStencilAttachment<'a>, Failed> {
        let view = self.table.view(self.table.id(attachment.view)?)?;
        let depth = (
            attachment.depth_read_only,
            attachment.depth_load_op,
            attachment.depth_store_op,
        );
        let stencil = (
            attachment.stencil_read_only,
            attachment.stencil_load_op,
            attachment.stencil_store_op,
        );
        let depth_ops = operations(depth, attachment.depth_clear_value)?;
        let stencil_ops = operations(stencil, attachment.stencil_clear_value)?;
        let stores = [
            depth_ops.map(|ops| ops.store),
            stencil_ops.map(|ops| ops.store),
        ];
        if stores.iter().any(Option::is_some) {
            let format = self.table.texture(view.texture)?.texture.format();
            let discards = |store: Option<wgpu::StoreOp>, has: bool| {
                !has || store == Some(wgpu::StoreOp::Discard)
            };
            let is_discarded = discards(stores[0], format.has_depth_aspect())
                && discards(stores[1], format.has_stencil_aspect());
            self.note_attachment(view, is_discarded)?;
        }
        Ok(wgpu::RenderPassDepthStencilAttachment {
            view: &view.view,
            depth_ops,
            stencil_ops,
        })
    }

    /// What is discarded reads as zero afterwards.
    fn note_attachment(&self, view: &TextureView, is_discarded: bool) -> Result<(), Failed> {
        let texture = self.table.texture(view.texture)?;
        texture.check_usable()?;
        if is_discarded && view.is_whole {
            texture.content.replace(Content::Zero);
        } else {
            texture.note_write();
        }
        Ok(())
    }

    /// Commands of render passes and bundles, with [`Id`]s in the place of handles.
    pub(super) fn draw(&mut self, command: &Command) -> Result<(), Failed> {
        match *command {
            Command::SetRenderPipeline { pipeline } => {
                let pipeline = self.table.render_pipeline(pipeline)?;
                self.render()?.set_pipeline(pipeline);
                self.has_pipeline = true;
            }
            Command::SetVertexBuffer {
                slot,
                buffer,
                offset,
                size,
            } => self.set_vertex_buffer(slot, buffer, offset, size)?,
            Command::SetIndexBuffer {
                buffer,
                format,
                offset,
                size,
            } => {
                let buffer = self.table.buffer(buffer)?;
                check_buffer(buffer, BufferUsage::INDEX)?;
                let slice = slice(buffer, offset, size)?;
                self.render()?
                    .set_index_buffer(slice, convert::index_format(format));
            }
            Command::Draw {
                vertex_count,
                instance_count,
                first_vertex,
                first_instance,
            } => {
                let vertices = range(first_vertex, vertex_count)?;
                let instances = range(first_instance, instance_count)?;
                self.drawing()?.draw(vertices, instances);
            }
            Command::DrawIndexed {
                index_count,
                instance_count,
                first_index,
                base_vertex,
                first_instance,
            } => {
                let indices = range(first_index, index_count)?;
                let instances = range(first_instance, instance_count)?;
                self.drawing()?
                    .draw_indexed(indices, base_vertex, instances);
            }
            Command::DrawIndirect { buffer, offset } => {
                let buffer = self.indirect(buffer)?;
                self.drawing()?.draw_indirect(buffer, offset);
            }
            Command::DrawIndexedIndirect { buffer, offset } => {
                let buffer = self.indirect(buffer)?;
                self.drawing()?.draw_indexed_indirect(buffer, offset);
            }
            Command::BeginOcclusionQuery { index } => self.begin_occlusion_query(index)?,
            Command::EndOcclusionQuery {} => self.render()?.end_occlusion_query(),
            _ => self.set_state(command)?,
        }
        Ok(())
    }

    fn set_state(&mut self, command: &Command) -> Result<(), Failed> {
        let pass = self.render()?;
        match *command {
            Command::SetViewport {
                x,
                y,
                width,
                height,
                min_depth,
                max_depth,
            } => pass.set_viewport(x, y, width, height, min_depth, max_depth),
            Command::SetScissorRect {
                x,
                y,
                width,
                height,
            } => pass.set_scissor_rect(x, y, width, height),
            Command::SetBlendConstant { color } => {
                pass.set_blend_constant(convert::color(&color));
            }
            Command::SetStencilReference { reference } => pass.set_stencil_reference(reference),
            _ => {}
        }
        Ok(())
    }

    /// The pass, if it has a pipeline.
    fn drawing(&mut self) -> Result<&mut wgpu::RenderPass<'static>, Failed> {
        if !self.has_pipeline {
            return Err(Failed::validation("no pipeline is set"));
        }
        self.render()
    }

    fn indirect(&self, buffer: Id) -> Result<&'a wgpu::Buffer, Failed> {
        let buffer = self.table.buffer(buffer)?;
        check_buffer(buffer, BufferUsage::INDIRECT)?;
        Ok(&buffer.buffer)
    }

    fn set_vertex_buffer(
        &mut self,
        slot: u32,
        buffer: Id,
        offset: u64,
        size: u64,
    ) -> Result<(), Failed> {
        if slot >= self.device.limits().max_vertex_buffers {
            return Err(Failed::validation(format!("there is no slot {slot}")));
        }
        if buffer == 0 {
            self.render()?.set_vertex_buffer(slot, None);
            return Ok(());
        }
        let buffer = self.table.buffer(buffer)?;
        check_buffer(buffer, BufferUsage::VERTEX)?;
        let slice = slice(buffer, offset, size)?;
        self.render()?.set_vertex_buffer(slot, slice);
        Ok(())
    }

    fn begin_occlusion_query(&mut self, index: u32) -> Result<(), Failed> {
        if self.occlusion_queries == 0 {
            return Err(Failed::validation("the pass has no occlusion queries"));
        }
        let set = self.table.query_set(self.occlusion_queries)?;
        if index >= set.count {
            return Err(Failed::validation(format!("there is no query {index}")));
        }
        set.written.borrow_mut().insert(index);
        self.render()?.begin_occlusion_query(index);
        Ok(())
    }

    /// Does what a bundle does. Afterwards nothing is set any more, as WebGPU wants it.
    pub(super) fn execute_bundle(&mut self, bundle: Handle) -> Result<(), Failed> {
        let commands = self.table.render_bundle(self.table.id(bundle)?)?;
        let (mut groups, mut slots) = (BTreeSet::new(), BTreeSet::new());
        self.has_pipeline = false;
        for command in commands {
            match command {
                Command::SetBindGroup {
                    index,
                    group,
                    offsets,
                } => {
                    self.set_bind_group(*index, *group, offsets)?;
                    groups.insert(*index);
                }
                Command::PushDebugGroup { .. }
                | Command::PopDebugGroup {}
                | Command::InsertDebugMarker { .. } => self.debug(command)?,
                _ => {
                    if let Command::SetVertexBuffer { slot, .. } = command {
                        slots.insert(*slot);
                    }
                    self.draw(command)?;
                }
            }
        }
        self.has_pipeline = false;
        for group in groups {
            self.set_bind_group(group, 0, &[])?;
        }
        for slot in slots {
            self.set_vertex_buffer(slot, 0, 0, 0)?;
        }
        Ok(())
    }
}

/// `None` if the aspect is only read.
fn operations<V>(
    (read_only, load, store): (bool, Option<LoadOp>, Option<StoreOp>),
    clear: V,
) -> Result<Option<wgpu::Operations<V>>, Failed> {
    match (read_only, load, store) {
        (_, None, None) => Ok(None),
        (false, Some(load), Some(store)) => Ok(Some(wgpu::Operations {
            load: match load {
                LoadOp::Load => wgpu::LoadOp::Load,
                LoadOp::Clear => wgpu::LoadOp::Clear(clear),
            },
            store: convert::store_op(store),
        })),
        _ => Err(Failed::validation(
            "an aspect has both a load and a store operation, or is only read and has none",
        )),
    }
}

fn slice(buffer: &Buffer, offset: u64, size: u64) -> Result<wgpu::BufferSlice<'_>, Failed> {
    match buffer.size_of(offset, size)? {
        0 => Err(Failed::validation("nothing of the buffer would be bound")),
        size => Ok(buffer.buffer.slice(offset..offset + size)),
    }
}

fn range(first: u32, count: u32) -> Result<std::ops::Range<u32>, Failed> {
    match first.checked_add(count) {
        Some(end) => Ok(first..end),
        None => Err(Failed::validation("the numbers are beyond 2^32")),
    }
}
