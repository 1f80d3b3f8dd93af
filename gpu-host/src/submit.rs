//! Replaying a command stream: recorded by the guest, checked and encoded here.
//!
//! Buffers and textures can all be copied, which the guest need not have asked for: what of that
//! it may do is checked here. So is all that wgpu would panic at.

mod copy;
mod draw;

pub(crate) use copy::{runs, scratch};

use wherry_gpu_abi::{
    BufferUsage, Command, Commands, Handle, PassTimestampWrites, QueryType, TextureUsage,
};

use crate::convert;
use crate::device::Device;
use crate::fault::Failed;
use crate::object::{Buffer, Id, Made, QuerySet, Texture};
use crate::references;
use crate::table::Table;

/// What is being encoded.
enum Pass {
    None,
    Compute(Box<wgpu::ComputePass<'static>>),
    Render(Box<wgpu::RenderPass<'static>>),
}

/// Encodes the command buffers of one stream.
pub(crate) struct Replay<'a> {
    device: &'a Device,
    table: &'a Table,
    /// Different for each stream.
    number: u64,
    encoder: Option<wgpu::CommandEncoder>,
    pass: Pass,
    /// A pipeline that was set in this pass.
    has_pipeline: bool,
    occlusion_queries: Id,
    finished: Vec<wgpu::CommandBuffer>,
}

/// Encodes a stream. Gives an error where WebGPU does.
pub(crate) fn encode(
    device: &Device,
    table: &Table,
    number: u64,
    stream: &[u8],
) -> Result<Vec<wgpu::CommandBuffer>, Failed> {
    let malformed = |error| Failed::decode("a command stream", error);
    let mut replay = Replay {
        device,
        table,
        number,
        encoder: None,
        pass: Pass::None,
        has_pipeline: false,
        occlusion_queries: 0,
        finished: Vec::new(),
    };
    for command in Commands::new(stream).map_err(malformed)? {
        replay.command(command.map_err(malformed)?)?;
    }
    replay.finish()?;
    device.take_error()?;
    Ok(replay.finished)
}

impl<'a> Replay<'a> {
    #[inline]
    fn command(&mut self, command: Command) -> Result<(), Failed> {
        match command {
            Command::SetComputePipeline { pipeline } => {
                let pipeline = self.table.compute_pipeline(self.table.id(pipeline)?)?;
                self.compute()?.set_pipeline(pipeline);
                self.has_pipeline = true;
                Ok(())
            }
            Command::SetBindGroup {
                index,
                group,
                offsets,
            } => {
                let group = self.optional_id(group)?;
                self.set_bind_group(index, group, &offsets)
            }
            Command::DispatchWorkgroups { x, y, z } => {
                self.compute()?.dispatch_workgroups(x, y, z);
                Ok(())
            }
            Command::BeginCommandBuffer { label } => {
                self.finish()?;
                let descriptor = wgpu::CommandEncoderDescriptor {
                    label: (!label.contains('\0')).then_some(label.as_str()),
                };
                self.encoder = Some(self.device.device.create_command_encoder(&descriptor));
                Ok(())
            }
            Command::BeginComputePass {
                timestamp_writes, ..
            } => self.begin_compute_pass(timestamp_writes.as_ref()),
            Command::EndComputePass {} => {
                self.compute()?;
                self.pass = Pass::None;
                Ok(())
            }
            Command::DispatchWorkgroupsIndirect { buffer, offset } => {
                let buffer = self.used_buffer(buffer, BufferUsage::INDIRECT)?;
                self.compute()?
                    .dispatch_workgroups_indirect(&buffer.buffer, offset);
                Ok(())
            }
            Command::BeginRenderPass {
                color_attachments,
                depth_stencil_attachment,
                occlusion_query_set,
                timestamp_writes,
                ..
            } => self.begin_render_pass(
                &color_attachments,
                depth_stencil_attachment.as_ref(),
                occlusion_query_set,
                timestamp_writes.as_ref(),
            ),
            Command::EndRenderPass {} => {
                self.render()?;
                self.pass = Pass::None;
                Ok(())
            }
            Command::PushDebugGroup { .. }
            | Command::PopDebugGroup {}
            | Command::InsertDebugMarker { .. } => self.debug(&command),
            Command::CopyBufferToBuffer { .. }
            | Command::CopyBufferToTexture { .. }
            | Command::CopyTextureToBuffer { .. }
            | Command::CopyTextureToTexture { .. }
            | Command::ClearBuffer { .. }
            | Command::ResolveQuerySet { .. } => self.copy(command),
            Command::ExecuteBundles { bundles } => {
                for bundle in bundles {
                    self.execute_bundle(bundle)?;
                }
                Ok(())
            }
            other => {
                let mut other = other;
                self.name_objects(&mut other)?;
                self.draw(&other)
            }
        }
    }

    /// Ends the command buffer, if there is one.
    fn finish(&mut self) -> Result<(), Failed> {
        if !matches!(self.pass, Pass::None) {
            return Err(Failed::validation("a command buffer ends within a pass"));
        }
        if let Some(encoder) = self.encoder.take() {
            self.finished.push(encoder.finish());
        }
        Ok(())
    }

    fn compute(&mut self) -> Result<&mut wgpu::ComputePass<'static>, Failed> {
        match &mut self.pass {
            Pass::Compute(pass) => Ok(pass),
            _ => Err(Failed::validation("the command is not in a compute pass")),
        }
    }

    fn render(&mut self) -> Result<&mut wgpu::RenderPass<'static>, Failed> {
        match &mut self.pass {
            Pass::Render(pass) => Ok(pass),
            _ => Err(Failed::validation("the command is not in a render pass")),
        }
    }

    /// The encoder, while no pass is open.
    fn encoder(&mut self) -> Result<&mut wgpu::CommandEncoder, Failed> {
        match (&self.pass, &mut self.encoder) {
            (Pass::None, Some(encoder)) => Ok(encoder),
            (Pass::None, None) => Err(Failed::validation("the command is in no command buffer")),
            _ => Err(Failed::validation("the command cannot be in a pass")),
        }
    }

    fn optional_id(&self, handle: Handle) -> Result<Id, Failed> {
        match handle {
            0 => Ok(0),
            handle => self.table.id(handle),
        }
    }

    /// Puts [`Id`]s in the place of a command's handles.
    fn name_objects(&self, command: &mut Command) -> Result<(), Failed> {
        for handle in references::of_command(command) {
            *handle = self.optional_id(*handle)?;
        }
        Ok(())
    }

    fn begin_compute_pass(&mut self, writes: Option<&PassTimestampWrites>) -> Result<(), Failed> {
        let timestamp_writes = match writes {
            None => None,
            Some(writes) => {
                let set = self.timestamps(writes)?;
                Some(wgpu::ComputePassTimestampWrites {
                    query_set: &set.set,
                    beginning_of_pass_write_index: convert::defined(writes.beginning_of_pass),
                    end_of_pass_write_index: convert::defined(writes.end_of_pass),
                })
            }
        };
        let descriptor = wgpu::ComputePassDescriptor {
            label: None,
            timestamp_writes,
        };
        let pass = self.encoder()?.begin_compute_pass(&descriptor);
        self.pass = Pass::Compute(Box::new(pass.forget_lifetime()));
        self.has_pipeline = false;
        Ok(())
    }

    fn set_bind_group(&mut self, index: u32, group: Id, offsets: &[u32]) -> Result<(), Failed> {
        if index >= self.device.limits().max_bind_groups {
            return Err(Failed::validation(format!("there is no group {index}")));
        }
        let group = match group {
            0 => None,
            group => {
                let group = self.table.bind_group(group)?;
                // A group is looked at once for a stream.
                if group.noted.replace(self.number) != self.number {
                    for buffer in &group.buffers {
                        self.table.buffer(*buffer)?.check_usable()?;
                    }
                    for written in &group.writes {
                        note_write(self.table, *written);
                    }
                }
                Some(&group.group)
            }
        };
        match &mut self.pass {
            Pass::Compute(pass) => pass.set_bind_group(index, group, offsets),
            Pass::Render(pass) => pass.set_bind_group(index, group, offsets),
            Pass::None => return Err(Failed::validation("the command is not in a pass")),
        }
        Ok(())
    }

    fn debug(&mut self, command: &Command) -> Result<(), Failed> {
        macro_rules! on {
            ($to:expr) => {
                match command {
                    Command::PushDebugGroup { label } => $to.push_debug_group(&printable(label)),
                    Command::InsertDebugMarker { label } => {
                        $to.insert_debug_marker(&printable(label));
                    }
                    _ => $to.pop_debug_group(),
                }
            };
        }
        match &mut self.pass {
            Pass::Compute(pass) => on!(pass),
            Pass::Render(pass) => on!(pass),
            Pass::None => on!(self.encoder()?),
        }
        Ok(())
    }

    fn used_buffer(&self, handle: Handle, usage: BufferUsage) -> Result<&'a Buffer, Failed> {
        let buffer = self.table.buffer(self.table.id(handle)?)?;
        check_buffer(buffer, usage)?;
        Ok(buffer)
    }

    fn used_texture(&self, handle: Handle, usage: TextureUsage) -> Result<&'a Texture, Failed> {
        let texture = self.table.texture(self.table.id(handle)?)?;
        if !texture.usage.contains(usage) {
            return Err(Failed::validation("the texture lacks the usage for that"));
        }
        texture.check_usable()?;
        Ok(texture)
    }

    fn timestamps(&self, writes: &PassTimestampWrites) -> Result<&'a QuerySet, Failed> {
        let set = self.table.query_set(self.table.id(writes.query_set)?)?;
        check_queries(set, QueryType::Timestamp)?;
        for query in references::timestamp_queries(writes) {
            if query >= set.count {
                return Err(Failed::validation(format!("there is no query {query}")));
            }
            set.written.borrow_mut().insert(query);
        }
        Ok(set)
    }
}

/// The content of a buffer or texture may be another one from now on.
fn note_write(table: &Table, id: Id) {
    match table.object(id).map(|object| &object.made) {
        Ok(Made::Buffer(buffer)) => buffer.note_write(),
        Ok(Made::Texture(texture)) => texture.note_write(),
        _ => {}
    }
}

fn check_buffer(buffer: &Buffer, usage: BufferUsage) -> Result<(), Failed> {
    if !buffer.usage.contains(usage) {
        return Err(Failed::validation("the buffer lacks the usage for that"));
    }
    buffer.check_usable()
}

fn check_queries(set: &QuerySet, query_type: QueryType) -> Result<(), Failed> {
    if set.destroyed {
        return Err(Failed::validation("the query set is destroyed"));
    }
    if set.query_type != query_type {
        return Err(Failed::validation("the query set is of the other type"));
    }
    Ok(())
}

/// Without zeros, at which drivers would stop reading.
fn printable(label: &str) -> String {
    label.replace('\0', "")
}
