//! The content of buffers and textures as plain bytes, in order: read to be saved, written to be
//! restored.

use std::io::{self, Read, Write};

use wherry_gpu_abi::TextureDescriptor;

use crate::device::{Device, Watch};
use crate::fault::Failed;
use crate::staging::{self, Download, STAGE_BYTES, buffer_copies};
use crate::texels::{self, Part};

/// Reads the content of a buffer or texture, a part at a time.
pub(crate) struct ContentReader<'a> {
    device: &'a mut Device,
    watch: &'a Watch<'a>,
    download: Download<'a>,
    /// Of a texture: the parts that are still to come, the next one last.
    parts: Vec<Part>,
    part: Vec<u8>,
    taken: usize,
    /// What went wrong, when reading has failed.
    pub(crate) failed: Option<Failed>,
}

impl<'a> ContentReader<'a> {
    pub(crate) fn of_buffer(
        device: &'a mut Device,
        watch: &'a Watch<'a>,
        buffer: &'a wgpu::Buffer,
        size: u64,
    ) -> Result<Self, Failed> {
        let copies = buffer_copies(buffer, 0, size);
        Self::new(device, watch, Vec::new(), copies)
    }

    pub(crate) fn of_texture(
        device: &'a mut Device,
        watch: &'a Watch<'a>,
        texture: &'a wgpu::Texture,
        descriptor: &TextureDescriptor,
    ) -> Result<Self, Failed> {
        let (mut parts, copies) = texels::copies(texture, descriptor);
        parts.reverse();
        Self::new(device, watch, parts, copies)
    }

    fn new(
        device: &'a mut Device,
        watch: &'a Watch<'a>,
        parts: Vec<Part>,
        copies: Vec<staging::Copy<'a>>,
    ) -> Result<Self, Failed> {
        let download = Download::new(device, copies)?;
        Ok(Self {
            device,
            watch,
            download,
            parts,
            part: Vec::new(),
            taken: 0,
            failed: None,
        })
    }

    /// Reads the next part. Says whether there was one.
    fn next_part(&mut self) -> Result<bool, Failed> {
        let (part, texels) = (&mut self.part, self.parts.pop());
        part.clear();
        self.taken = 0;
        self.download
            .next(self.device, self.watch, &mut |staged| match &texels {
                Some(texels) => texels::pack(texels, staged, part),
                None => part.extend_from_slice(staged),
            })
    }
}

impl Read for ContentReader<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.part.len() {
            match self.next_part() {
                Ok(true) => {}
                Ok(false) => return Ok(0),
                Err(failed) => {
                    self.failed = Some(failed);
                    return Err(io::Error::other("the GPU cannot be read"));
                }
            }
        }
        let rest = &self.part[self.taken..];
        let count = rest.len().min(to.len());
        to[..count].copy_from_slice(&rest[..count]);
        self.taken += count;
        Ok(count)
    }
}

/// Writes the content of a buffer or texture, a part at a time.
pub(crate) struct ContentWriter<'a> {
    device: &'a mut Device,
    watch: &'a Watch<'a>,
    target: Target<'a>,
    part: Vec<u8>,
    /// Bytes that the part has when it is full.
    full: usize,
    pub(crate) failed: Option<Failed>,
}

enum Target<'a> {
    Buffer {
        buffer: &'a wgpu::Buffer,
        offset: u64,
        left: u64,
    },
    /// The parts that are still to come, the next one last.
    Texture(&'a wgpu::Texture, Vec<Part>),
}

impl<'a> ContentWriter<'a> {
    pub(crate) fn of_buffer(
        device: &'a mut Device,
        watch: &'a Watch<'a>,
        buffer: &'a wgpu::Buffer,
        size: u64,
    ) -> Self {
        let target = Target::Buffer {
            buffer,
            offset: 0,
            left: size,
        };
        Self::new(device, watch, target)
    }

    pub(crate) fn of_texture(
        device: &'a mut Device,
        watch: &'a Watch<'a>,
        texture: &'a wgpu::Texture,
        descriptor: &TextureDescriptor,
    ) -> Self {
        let mut parts = texels::parts(descriptor);
        parts.reverse();
        Self::new(device, watch, Target::Texture(texture, parts))
    }

    fn new(device: &'a mut Device, watch: &'a Watch<'a>, target: Target<'a>) -> Self {
        let full = target.part_bytes();
        Self {
            device,
            watch,
            target,
            part: Vec::with_capacity(full),
            full,
            failed: None,
        }
    }

    fn write_part(&mut self) -> Result<(), Failed> {
        match &mut self.target {
            Target::Buffer {
                buffer,
                offset,
                left,
            } => {
                let length = self.part.len() as u64;
                // The last word of the buffer may be partly the guest's.
                self.part.resize(self.part.len().next_multiple_of(4), 0);
                staging::write_buffer(self.device, self.watch, buffer, *offset, &self.part)?;
                *offset += length;
                *left -= length;
            }
            Target::Texture(texture, parts) => {
                if let Some(part) = parts.pop() {
                    texels::write_part(self.device, self.watch, texture, &part, &self.part)?;
                }
            }
        }
        self.part.clear();
        self.full = self.target.part_bytes();
        self.device.take_error()
    }
}

impl Target<'_> {
    fn part_bytes(&self) -> usize {
        match self {
            Self::Buffer { left, .. } => usize::try_from(STAGE_BYTES.min(*left)).unwrap_or(0),
            Self::Texture(_, parts) => parts.last().map_or(0, texels::packed_bytes),
        }
    }
}

impl Write for ContentWriter<'_> {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        if self.full == 0 {
            return Ok(0);
        }
        let count = from.len().min(self.full - self.part.len());
        self.part.extend_from_slice(&from[..count]);
        if self.part.len() == self.full
            && let Err(failed) = self.write_part()
        {
            self.failed = Some(failed);
            return Err(io::Error::other("the GPU cannot be written"));
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
