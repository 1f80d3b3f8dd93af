//! The formats of the interface as those of wgpu.

use wgpu::{AstcBlock as B, AstcChannel as C, TextureFormat as T};
use wherry_gpu_abi::{TextureFormat as F, VertexFormat};

pub(crate) fn texture_format(format: F) -> T {
    match format {
        F::R8Unorm => T::R8Unorm,
        F::R8Snorm => T::R8Snorm,
        F::R8Uint => T::R8Uint,
        F::R8Sint => T::R8Sint,
        F::R16Unorm => T::R16Unorm,
        F::R16Snorm => T::R16Snorm,
        F::R16Uint => T::R16Uint,
        F::R16Sint => T::R16Sint,
        F::R16Float => T::R16Float,
        F::Rg8Unorm => T::Rg8Unorm,
        F::Rg8Snorm => T::Rg8Snorm,
        F::Rg8Uint => T::Rg8Uint,
        F::Rg8Sint => T::Rg8Sint,
        F::R32Float => T::R32Float,
        F::R32Uint => T::R32Uint,
        F::R32Sint => T::R32Sint,
        F::Rg16Unorm => T::Rg16Unorm,
        F::Rg16Snorm => T::Rg16Snorm,
        F::Rg16Uint => T::Rg16Uint,
        F::Rg16Sint => T::Rg16Sint,
        F::Rg16Float => T::Rg16Float,
        F::Rgba8Unorm => T::Rgba8Unorm,
        F::Rgba8UnormSrgb => T::Rgba8UnormSrgb,
        F::Rgba8Snorm => T::Rgba8Snorm,
        F::Rgba8Uint => T::Rgba8Uint,
        F::Rgba8Sint => T::Rgba8Sint,
        F::Bgra8Unorm => T::Bgra8Unorm,
        F::Bgra8UnormSrgb => T::Bgra8UnormSrgb,
        F::Rgb10a2Uint => T::Rgb10a2Uint,
        F::Rgb10a2Unorm => T::Rgb10a2Unorm,
        F::Rg11b10Ufloat => T::Rg11b10Ufloat,
        F::Rgb9e5Ufloat => T::Rgb9e5Ufloat,
        F::Rg32Float => T::Rg32Float,
        F::Rg32Uint => T::Rg32Uint,
        F::Rg32Sint => T::Rg32Sint,
        F::Rgba16Unorm => T::Rgba16Unorm,
        F::Rgba16Snorm => T::Rgba16Snorm,
        F::Rgba16Uint => T::Rgba16Uint,
        F::Rgba16Sint => T::Rgba16Sint,
        F::Rgba16Float => T::Rgba16Float,
        F::Rgba32Float => T::Rgba32Float,
        F::Rgba32Uint => T::Rgba32Uint,
        F::Rgba32Sint => T::Rgba32Sint,
        F::Stencil8 => T::Stencil8,
        F::Depth16Unorm => T::Depth16Unorm,
        F::Depth24Plus => T::Depth24Plus,
        F::Depth24PlusStencil8 => T::Depth24PlusStencil8,
        F::Depth32Float => T::Depth32Float,
        F::Depth32FloatStencil8 => T::Depth32FloatStencil8,
        F::Bc1RgbaUnorm => T::Bc1RgbaUnorm,
        F::Bc1RgbaUnormSrgb => T::Bc1RgbaUnormSrgb,
        F::Bc2RgbaUnorm => T::Bc2RgbaUnorm,
        F::Bc2RgbaUnormSrgb => T::Bc2RgbaUnormSrgb,
        F::Bc3RgbaUnorm => T::Bc3RgbaUnorm,
        F::Bc3RgbaUnormSrgb => T::Bc3RgbaUnormSrgb,
        F::Bc4RUnorm => T::Bc4RUnorm,
        F::Bc4RSnorm => T::Bc4RSnorm,
        F::Bc5RgUnorm => T::Bc5RgUnorm,
        F::Bc5RgSnorm => T::Bc5RgSnorm,
        F::Bc6hRgbUfloat => T::Bc6hRgbUfloat,
        F::Bc6hRgbFloat => T::Bc6hRgbFloat,
        F::Bc7RgbaUnorm => T::Bc7RgbaUnorm,
        F::Bc7RgbaUnormSrgb => T::Bc7RgbaUnormSrgb,
        F::Etc2Rgb8Unorm => T::Etc2Rgb8Unorm,
        F::Etc2Rgb8UnormSrgb => T::Etc2Rgb8UnormSrgb,
        F::Etc2Rgb8A1Unorm => T::Etc2Rgb8A1Unorm,
        F::Etc2Rgb8A1UnormSrgb => T::Etc2Rgb8A1UnormSrgb,
        F::Etc2Rgba8Unorm => T::Etc2Rgba8Unorm,
        F::Etc2Rgba8UnormSrgb => T::Etc2Rgba8UnormSrgb,
        F::EacR11Unorm => T::EacR11Unorm,
        F::EacR11Snorm => T::EacR11Snorm,
        F::EacRg11Unorm => T::EacRg11Unorm,
        F::EacRg11Snorm => T::EacRg11Snorm,
        F::Astc4x4Unorm => astc(B::B4x4, C::Unorm),
        F::Astc4x4UnormSrgb => astc(B::B4x4, C::UnormSrgb),
        F::Astc5x4Unorm => astc(B::B5x4, C::Unorm),
        F::Astc5x4UnormSrgb => astc(B::B5x4, C::UnormSrgb),
        F::Astc5x5Unorm => astc(B::B5x5, C::Unorm),
        F::Astc5x5UnormSrgb => astc(B::B5x5, C::UnormSrgb),
        F::Astc6x5Unorm => astc(B::B6x5, C::Unorm),
        F::Astc6x5UnormSrgb => astc(B::B6x5, C::UnormSrgb),
        F::Astc6x6Unorm => astc(B::B6x6, C::Unorm),
        F::Astc6x6UnormSrgb => astc(B::B6x6, C::UnormSrgb),
        F::Astc8x5Unorm => astc(B::B8x5, C::Unorm),
        F::Astc8x5UnormSrgb => astc(B::B8x5, C::UnormSrgb),
        F::Astc8x6Unorm => astc(B::B8x6, C::Unorm),
        F::Astc8x6UnormSrgb => astc(B::B8x6, C::UnormSrgb),
        F::Astc8x8Unorm => astc(B::B8x8, C::Unorm),
        F::Astc8x8UnormSrgb => astc(B::B8x8, C::UnormSrgb),
        F::Astc10x5Unorm => astc(B::B10x5, C::Unorm),
        F::Astc10x5UnormSrgb => astc(B::B10x5, C::UnormSrgb),
        F::Astc10x6Unorm => astc(B::B10x6, C::Unorm),
        F::Astc10x6UnormSrgb => astc(B::B10x6, C::UnormSrgb),
        F::Astc10x8Unorm => astc(B::B10x8, C::Unorm),
        F::Astc10x8UnormSrgb => astc(B::B10x8, C::UnormSrgb),
        F::Astc10x10Unorm => astc(B::B10x10, C::Unorm),
        F::Astc10x10UnormSrgb => astc(B::B10x10, C::UnormSrgb),
        F::Astc12x10Unorm => astc(B::B12x10, C::Unorm),
        F::Astc12x10UnormSrgb => astc(B::B12x10, C::UnormSrgb),
        F::Astc12x12Unorm => astc(B::B12x12, C::Unorm),
        F::Astc12x12UnormSrgb => astc(B::B12x12, C::UnormSrgb),
    }
}

fn astc(block: B, channel: C) -> T {
    T::Astc { block, channel }
}

macro_rules! same_names {
    ($($name:ident),*) => {
        pub(crate) fn vertex_format(format: VertexFormat) -> wgpu::VertexFormat {
            match format {
                VertexFormat::Unorm10_10_10_2 => wgpu::VertexFormat::Unorm10_10_10_2,
                VertexFormat::Unorm8x4Bgra => wgpu::VertexFormat::Unorm8x4Bgra,
                $(VertexFormat::$name => wgpu::VertexFormat::$name,)*
            }
        }
    };
}

same_names!(
    Uint8, Uint8x2, Uint8x4, Sint8, Sint8x2, Sint8x4, Unorm8, Unorm8x2, Unorm8x4, Snorm8, Snorm8x2,
    Snorm8x4, Uint16, Uint16x2, Uint16x4, Sint16, Sint16x2, Sint16x4, Unorm16, Unorm16x2,
    Unorm16x4, Snorm16, Snorm16x2, Snorm16x4, Float16, Float16x2, Float16x4, Float32, Float32x2,
    Float32x3, Float32x4, Uint32, Uint32x2, Uint32x3, Uint32x4, Sint32, Sint32x2, Sint32x3,
    Sint32x4
);
