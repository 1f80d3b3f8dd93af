//! Formats of texels and vertices, from wgpu's names to those of the interface.

use wgpu::{AstcBlock, AstcChannel};
use wherry_gpu_abi as abi;

use super::errors::Unsupported;

macro_rules! same_name {
    ($value:expr, $from:ident => $to:ident { $($name:ident)* }, $($other:tt)*) => {
        match $value {
            $(wgpu::$from::$name => abi::$to::$name,)*
            $($other)*
        }
    };
}

pub(crate) fn texture(format: wgpu::TextureFormat) -> Result<abi::TextureFormat, Unsupported> {
    Ok(same_name!(format, TextureFormat => TextureFormat {
        R8Unorm R8Snorm R8Uint R8Sint R16Unorm R16Snorm R16Uint R16Sint R16Float Rg8Unorm Rg8Snorm Rg8Uint Rg8Sint
        R32Float R32Uint R32Sint Rg16Unorm Rg16Snorm Rg16Uint Rg16Sint Rg16Float Rgba8Unorm Rgba8UnormSrgb Rgba8Snorm
        Rgba8Uint Rgba8Sint Bgra8Unorm Bgra8UnormSrgb Rgb10a2Uint Rgb10a2Unorm Rg11b10Ufloat Rgb9e5Ufloat Rg32Float
        Rg32Uint Rg32Sint Rgba16Unorm Rgba16Snorm Rgba16Uint Rgba16Sint Rgba16Float Rgba32Float Rgba32Uint Rgba32Sint
        Stencil8 Depth16Unorm Depth24Plus Depth24PlusStencil8 Depth32Float Depth32FloatStencil8
        Bc1RgbaUnorm Bc1RgbaUnormSrgb Bc2RgbaUnorm Bc2RgbaUnormSrgb Bc3RgbaUnorm Bc3RgbaUnormSrgb Bc4RUnorm Bc4RSnorm
        Bc5RgUnorm Bc5RgSnorm Bc6hRgbUfloat Bc6hRgbFloat Bc7RgbaUnorm Bc7RgbaUnormSrgb
        Etc2Rgb8Unorm Etc2Rgb8UnormSrgb Etc2Rgb8A1Unorm Etc2Rgb8A1UnormSrgb Etc2Rgba8Unorm Etc2Rgba8UnormSrgb
        EacR11Unorm EacR11Snorm EacRg11Unorm EacRg11Snorm
    },
        wgpu::TextureFormat::Astc { block, channel } => return astc(block, channel),
        other => return Err(Unsupported::new(format_args!("texture format {other:?}"))),
    ))
}

fn astc(block: AstcBlock, channel: AstcChannel) -> Result<abi::TextureFormat, Unsupported> {
    macro_rules! blocks {
        ($($block:ident $unorm:ident $srgb:ident)*) => {
            match (block, channel) {
                $((AstcBlock::$block, AstcChannel::Unorm) => Ok(abi::TextureFormat::$unorm),
                (AstcBlock::$block, AstcChannel::UnormSrgb) => Ok(abi::TextureFormat::$srgb),)*
                (_, AstcChannel::Hdr) => Err(Unsupported::new("an ASTC texture format with HDR")),
            }
        };
    }
    blocks! {
        B4x4 Astc4x4Unorm Astc4x4UnormSrgb
        B5x4 Astc5x4Unorm Astc5x4UnormSrgb
        B5x5 Astc5x5Unorm Astc5x5UnormSrgb
        B6x5 Astc6x5Unorm Astc6x5UnormSrgb
        B6x6 Astc6x6Unorm Astc6x6UnormSrgb
        B8x5 Astc8x5Unorm Astc8x5UnormSrgb
        B8x6 Astc8x6Unorm Astc8x6UnormSrgb
        B8x8 Astc8x8Unorm Astc8x8UnormSrgb
        B10x5 Astc10x5Unorm Astc10x5UnormSrgb
        B10x6 Astc10x6Unorm Astc10x6UnormSrgb
        B10x8 Astc10x8Unorm Astc10x8UnormSrgb
        B10x10 Astc10x10Unorm Astc10x10UnormSrgb
        B12x10 Astc12x10Unorm Astc12x10UnormSrgb
        B12x12 Astc12x12Unorm Astc12x12UnormSrgb
    }
}

pub(crate) fn vertex(format: wgpu::VertexFormat) -> Result<abi::VertexFormat, Unsupported> {
    Ok(same_name!(format, VertexFormat => VertexFormat {
        Uint8 Uint8x2 Uint8x4 Sint8 Sint8x2 Sint8x4 Unorm8 Unorm8x2 Unorm8x4 Snorm8 Snorm8x2 Snorm8x4
        Uint16 Uint16x2 Uint16x4 Sint16 Sint16x2 Sint16x4 Unorm16 Unorm16x2 Unorm16x4 Snorm16 Snorm16x2 Snorm16x4
        Float16 Float16x2 Float16x4 Float32 Float32x2 Float32x3 Float32x4 Uint32 Uint32x2 Uint32x3 Uint32x4
        Sint32 Sint32x2 Sint32x3 Sint32x4 Unorm10_10_10_2 Unorm8x4Bgra
    },
        other => return Err(Unsupported::new(format_args!("vertex format {other:?}"))),
    ))
}
