//! Commands between passes: copies, clearing, and the results of queries.

use wherry_gpu_abi::{BufferTexels, BufferUsage, Command, TextureTexels, TextureUsage};

use super::{Replay, note_write};
use crate::convert;
use crate::fault::Failed;
use crate::object::QuerySet;

impl<'a> Replay<'a> {
    pub(super) fn copy(&mut self, command: Command) -> Result<(), Failed> {
        match command {
            Command::CopyBufferToBuffer {
                source,
                source_offset,
                destination,
                destination_offset,
                size,
            } => {
                let from = self.used_buffer(source, BufferUsage::COPY_SRC)?;
                let to = self.used_buffer(destination, BufferUsage::COPY_DST)?;
                let size = from.size_of(source_offset, size)?;
                to.size_of(destination_offset, size)?;
                to.note_write();
                self.encoder()?.copy_buffer_to_buffer(
                    &from.buffer,
                    source_offset,
                    &to.buffer,
                    destination_offset,
                    size,
                );
            }
            Command::CopyBufferToTexture {
                source,
                destination,
                size,
            } => {
                let from = self.buffer_texels(&source, BufferUsage::COPY_SRC)?;
                let to = self.texture_texels(&destination, TextureUsage::COPY_DST)?;
                note_write(self.table, self.table.id(destination.texture)?);
                self.encoder()?
                    .copy_buffer_to_texture(from, to, convert::extent(&size));
            }
            Command::CopyTextureToBuffer {
                source,
                destination,
                size,
            } => {
                let from = self.texture_texels(&source, TextureUsage::COPY_SRC)?;
                let to = self.buffer_texels(&destination, BufferUsage::COPY_DST)?;
                note_write(self.table, self.table.id(destination.buffer)?);
                self.encoder()?
                    .copy_texture_to_buffer(from, to, convert::extent(&size));
            }
            Command::CopyTextureToTexture {
                source,
                destination,
                size,
            } => {
                let from = self.texture_texels(&source, TextureUsage::COPY_SRC)?;
                let to = self.texture_texels(&destination, TextureUsage::COPY_DST)?;
                note_write(self.table, self.table.id(destination.texture)?);
                self.encoder()?
                    .copy_texture_to_texture(from, to, convert::extent(&size));
            }
            Command::ClearBuffer {
                buffer,
                offset,
                size,
            } => {
                let buffer = self.used_buffer(buffer, BufferUsage::COPY_DST)?;
                let size = buffer.size_of(offset, size)?;
                buffer.note_write();
                self.encoder()?
                    .clear_buffer(&buffer.buffer, offset, Some(size));
            }
            Command::ResolveQuerySet {
                query_set,
                first_query,
                query_count,
                destination,
                destination_offset,
            } => {
                let set = self.table.query_set(self.table.id(query_set)?)?;
                let to = self.used_buffer(destination, BufferUsage::QUERY_RESOLVE)?;
                to.size_of(destination_offset, u64::from(query_count) * 8)?;
                to.note_write();
                let end = first_query.checked_add(query_count);
                let end = end.filter(|end| *end <= set.count && !set.destroyed);
                let end = end.ok_or_else(|| Failed::validation("there are no such queries"))?;
                if !destination_offset.is_multiple_of(256) {
                    return Err(Failed::validation("the offset is no multiple of 256"));
                }
                self.resolve(set, first_query..end, &to.buffer, destination_offset)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Queries that were not written here since the job was restored have the values that were
    /// saved.
    fn resolve(
        &mut self,
        set: &QuerySet,
        queries: std::ops::Range<u32>,
        to: &wgpu::Buffer,
        offset: u64,
    ) -> Result<(), Failed> {
        let Some(restored) = &set.restored else {
            self.encoder()?
                .resolve_query_set(&set.set, queries, to, offset);
            return Ok(());
        };
        let device = self.device;
        let bytes = |count: u32| u64::from(count) * 8;
        for (run, is_written) in runs(set, queries.clone()) {
            let count = run.end - run.start;
            let at = offset + bytes(run.start - queries.start);
            let encoder = self.encoder()?;
            if is_written {
                // Resolving takes offsets of multiples of 256.
                let scratch = scratch(&device.device, bytes(count));
                encoder.resolve_query_set(&set.set, run, &scratch, 0);
                encoder.copy_buffer_to_buffer(&scratch, 0, to, at, bytes(count));
            } else {
                encoder.copy_buffer_to_buffer(restored, bytes(run.start), to, at, bytes(count));
            }
        }
        Ok(())
    }

    fn buffer_texels(
        &self,
        texels: &BufferTexels,
        usage: BufferUsage,
    ) -> Result<wgpu::TexelCopyBufferInfo<'a>, Failed> {
        Ok(wgpu::TexelCopyBufferInfo {
            buffer: &self.used_buffer(texels.buffer, usage)?.buffer,
            layout: convert::texel_layout(&texels.layout),
        })
    }

    fn texture_texels(
        &self,
        texels: &TextureTexels,
        usage: TextureUsage,
    ) -> Result<wgpu::TexelCopyTextureInfo<'a>, Failed> {
        Ok(wgpu::TexelCopyTextureInfo {
            texture: &self.used_texture(texels.texture, usage)?.texture,
            mip_level: texels.mip_level,
            origin: convert::origin(&texels.origin),
            aspect: convert::aspect(texels.aspect),
        })
    }
}

/// A buffer that takes the results of queries on their way.
pub(crate) fn scratch(device: &wgpu::Device, size: u64) -> wgpu::Buffer {
    device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size,
        usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
        mapped_at_creation: false,
    })
}

/// Runs of queries that were all written, or all not.
pub(crate) fn runs(
    set: &QuerySet,
    queries: std::ops::Range<u32>,
) -> Vec<(std::ops::Range<u32>, bool)> {
    let written = set.written.borrow();
    let mut runs: Vec<(std::ops::Range<u32>, bool)> = Vec::new();
    for query in queries {
        let is_written = written.contains(&query);
        match runs.last_mut() {
            Some((run, same)) if *same == is_written => run.end = query + 1,
            _ => runs.push((query..query + 1, is_written)),
        }
    }
    runs
}
