//! Sizes of textures, and moving their content as a plain sequence of texels.

use wherry_gpu_abi::{Limits, TextureDescriptor, TextureDimension, TextureWrite};

use crate::convert;
use crate::device::{Device, Watch};
use crate::fault::Failed;
use crate::format::texture_format;
use crate::staging::{self, Copy, STAGE_BYTES};

/// Rows begin at multiples of this in buffers, by the rules of WebGPU.
const ROW_ALIGNMENT: u32 = 256;

/// Refuses what would overflow when its bytes are counted.
pub(crate) fn check_size(descriptor: &TextureDescriptor, limits: &Limits) -> Result<(), Failed> {
    let size = &descriptor.size;
    let plane = match descriptor.dimension {
        TextureDimension::D1 => limits.max_texture_dimension_1d,
        TextureDimension::D2 => limits.max_texture_dimension_2d,
        TextureDimension::D3 => limits.max_texture_dimension_3d,
    };
    let depth = match descriptor.dimension {
        TextureDimension::D3 => limits.max_texture_dimension_3d,
        TextureDimension::D1 | TextureDimension::D2 => limits.max_texture_array_layers,
    };
    if size.width > plane || size.height > plane || size.depth_or_array_layers > depth {
        return Err(Failed::validation(
            "the texture is larger than the limits allow",
        ));
    }
    if !(1..=16).contains(&descriptor.mip_level_count) || ![1, 4].contains(&descriptor.sample_count)
    {
        return Err(Failed::validation(
            "a texture has 1 to 16 mip levels, and 1 or 4 samples",
        ));
    }
    Ok(())
}

/// About how much memory it takes, in bytes. Its size was checked.
pub(crate) fn bytes(descriptor: &TextureDescriptor) -> u64 {
    let format = texture_format(descriptor.format);
    let levels = (0..descriptor.mip_level_count)
        .map(|level| format.theoretical_memory_footprint(level_size(descriptor, level)));
    levels.sum::<u64>() * u64::from(descriptor.sample_count)
}

/// What a texture is given beyond what the guest asked for, so that it can be saved and restored.
pub(crate) fn hidden_usage(descriptor: &TextureDescriptor) -> wgpu::TextureUsages {
    if cannot_be_moved(descriptor).is_some() {
        return wgpu::TextureUsages::empty();
    }
    wgpu::TextureUsages::COPY_SRC | wgpu::TextureUsages::COPY_DST
}

/// Why the content of such a texture cannot be moved, if it cannot.
pub(crate) fn cannot_be_moved(descriptor: &TextureDescriptor) -> Option<&'static str> {
    use wgpu::TextureFormat as Format;
    if descriptor.sample_count > 1 {
        return Some(
            "it has several samples for each texel, which cannot be copied; discard them at the end of the pass",
        );
    }
    match texture_format(descriptor.format) {
        Format::Depth32Float
        | Format::Depth24Plus
        | Format::Depth24PlusStencil8
        | Format::Depth32FloatStencil8 => Some(
            "depth of its format cannot be copied; discard it at the end of the pass, or use depth16unorm",
        ),
        _ => None,
    }
}

fn level_size(descriptor: &TextureDescriptor, level: u32) -> wgpu::Extent3d {
    let size = convert::extent(&descriptor.size);
    size.mip_level_size(level, convert::dimension(descriptor.dimension))
}

/// A number of rows of one image of a texture, which fit into a stage.
#[derive(Clone)]
pub(crate) struct Part {
    level: u32,
    image: u32,
    /// Where it begins, in texels.
    y: u32,
    width: u32,
    height: u32,
    /// Bytes of a row.
    row: u32,
    rows: u32,
}

impl Part {
    fn stride(&self) -> u32 {
        self.row.next_multiple_of(ROW_ALIGNMENT)
    }

    fn texels<'a>(&self, texture: &'a wgpu::Texture) -> wgpu::TexelCopyTextureInfo<'a> {
        wgpu::TexelCopyTextureInfo {
            texture,
            mip_level: self.level,
            origin: wgpu::Origin3d {
                x: 0,
                y: self.y,
                z: self.image,
            },
            aspect: wgpu::TextureAspect::All,
        }
    }

    fn in_buffer<'a>(&self, buffer: &'a wgpu::Buffer) -> wgpu::TexelCopyBufferInfo<'a> {
        wgpu::TexelCopyBufferInfo {
            buffer,
            layout: wgpu::TexelCopyBufferLayout {
                offset: 0,
                bytes_per_row: Some(self.stride()),
                rows_per_image: None,
            },
        }
    }

    fn size(&self) -> wgpu::Extent3d {
        wgpu::Extent3d {
            width: self.width,
            height: self.height,
            depth_or_array_layers: 1,
        }
    }
}

/// The parts of a texture that its content is made of, in order: level by level, image by image,
/// row by row.
pub(crate) fn parts(descriptor: &TextureDescriptor) -> Vec<Part> {
    let format = texture_format(descriptor.format);
    let (block_width, block_height) = format.block_dimensions();
    let block = format.block_copy_size(None).unwrap_or(0);
    let mut parts = Vec::new();
    for level in 0..descriptor.mip_level_count {
        let size = level_size(descriptor, level).physical_size(format);
        let row = size.width / block_width * block;
        let stride = u64::from(row.next_multiple_of(ROW_ALIGNMENT));
        let at_a_time = u32::try_from(STAGE_BYTES / stride.max(1))
            .unwrap_or(1)
            .max(1);
        for image in 0..size.depth_or_array_layers {
            let all = size.height / block_height;
            let mut done = 0;
            while done < all {
                let rows = at_a_time.min(all - done);
                parts.push(Part {
                    level,
                    image,
                    y: done * block_height,
                    width: size.width,
                    height: rows * block_height,
                    row,
                    rows,
                });
                done += rows;
            }
        }
    }
    parts
}

/// The copies that the content of a texture comes in.
pub(crate) fn copies<'a>(
    texture: &'a wgpu::Texture,
    descriptor: &TextureDescriptor,
) -> (Vec<Part>, Vec<Copy<'a>>) {
    let copies = parts(descriptor).into_iter().map(|part| -> Copy<'a> {
        let bytes = u64::from(part.stride()) * u64::from(part.rows);
        let copy = move |encoder: &mut wgpu::CommandEncoder, stage: &wgpu::Buffer| {
            encoder.copy_texture_to_buffer(
                part.texels(texture),
                part.in_buffer(stage),
                part.size(),
            );
        };
        (bytes, Box::new(copy))
    });
    (parts(descriptor), copies.collect())
}

/// The rows of a part as they are staged, without what is between them.
pub(crate) fn pack(part: &Part, staged: &[u8], packed: &mut Vec<u8>) {
    for row in staged.chunks(part.stride() as usize) {
        packed.extend_from_slice(&row[..part.row as usize]);
    }
}

/// How many bytes a part has without what is between rows.
pub(crate) fn packed_bytes(part: &Part) -> usize {
    part.row as usize * part.rows as usize
}

/// Writes one part of the content, packed.
pub(crate) fn write_part(
    device: &mut Device,
    watch: &Watch<'_>,
    texture: &wgpu::Texture,
    part: &Part,
    packed: &[u8],
) -> Result<(), Failed> {
    let (row, stride) = (part.row as usize, part.stride() as usize);
    let mut staged = vec![0; stride * part.rows as usize];
    for (to, from) in staged.chunks_mut(stride).zip(packed.chunks(row)) {
        to[..row].copy_from_slice(from);
    }
    staging::upload(device, watch, &staged, |encoder, stage| {
        encoder.copy_buffer_to_texture(part.in_buffer(stage), part.texels(texture), part.size());
    })
}

/// `GPUQueue.writeTexture`. wgpu checks the sizes.
pub(crate) fn write_texture(
    device: &mut Device,
    texture: &wgpu::Texture,
    write: &TextureWrite,
    data: &[u8],
) -> Result<(), Failed> {
    let destination = wgpu::TexelCopyTextureInfo {
        texture,
        mip_level: write.destination.mip_level,
        origin: convert::origin(&write.destination.origin),
        aspect: convert::aspect(write.destination.aspect),
    };
    let layout = convert::texel_layout(&write.layout);
    device
        .queue
        .write_texture(destination, data, layout, convert::extent(&write.size));
    device.has_writes = true;
    device.take_error()
}

/// How many bytes the content of a texture has.
pub(crate) fn content_bytes(descriptor: &TextureDescriptor) -> u64 {
    let parts = parts(descriptor);
    parts.iter().map(|part| packed_bytes(part) as u64).sum()
}
