//! The formats of texels and of vertices. The numbers are those of `webgpu.h`.

use crate::wire::values;

values! {
    /// `WGPUTextureFormat`
    #[expect(missing_docs, reason = "the names are WebGPU's")]
    TextureFormat "texture format" {
        R8Unorm = 0x1, R8Snorm = 0x2, R8Uint = 0x3, R8Sint = 0x4, R16Unorm = 0x5, R16Snorm = 0x6, R16Uint = 0x7,
        R16Sint = 0x8, R16Float = 0x9, Rg8Unorm = 0xa, Rg8Snorm = 0xb, Rg8Uint = 0xc, Rg8Sint = 0xd, R32Float = 0xe,
        R32Uint = 0xf, R32Sint = 0x10, Rg16Unorm = 0x11, Rg16Snorm = 0x12, Rg16Uint = 0x13, Rg16Sint = 0x14,
        Rg16Float = 0x15, Rgba8Unorm = 0x16, Rgba8UnormSrgb = 0x17, Rgba8Snorm = 0x18, Rgba8Uint = 0x19,
        Rgba8Sint = 0x1a, Bgra8Unorm = 0x1b, Bgra8UnormSrgb = 0x1c, Rgb10a2Uint = 0x1d, Rgb10a2Unorm = 0x1e,
        Rg11b10Ufloat = 0x1f, Rgb9e5Ufloat = 0x20, Rg32Float = 0x21, Rg32Uint = 0x22, Rg32Sint = 0x23,
        Rgba16Unorm = 0x24, Rgba16Snorm = 0x25, Rgba16Uint = 0x26, Rgba16Sint = 0x27, Rgba16Float = 0x28,
        Rgba32Float = 0x29, Rgba32Uint = 0x2a, Rgba32Sint = 0x2b, Stencil8 = 0x2c, Depth16Unorm = 0x2d,
        Depth24Plus = 0x2e, Depth24PlusStencil8 = 0x2f, Depth32Float = 0x30, Depth32FloatStencil8 = 0x31,
        Bc1RgbaUnorm = 0x32, Bc1RgbaUnormSrgb = 0x33, Bc2RgbaUnorm = 0x34, Bc2RgbaUnormSrgb = 0x35,
        Bc3RgbaUnorm = 0x36, Bc3RgbaUnormSrgb = 0x37, Bc4RUnorm = 0x38, Bc4RSnorm = 0x39, Bc5RgUnorm = 0x3a,
        Bc5RgSnorm = 0x3b, Bc6hRgbUfloat = 0x3c, Bc6hRgbFloat = 0x3d, Bc7RgbaUnorm = 0x3e, Bc7RgbaUnormSrgb = 0x3f,
        Etc2Rgb8Unorm = 0x40, Etc2Rgb8UnormSrgb = 0x41, Etc2Rgb8A1Unorm = 0x42, Etc2Rgb8A1UnormSrgb = 0x43,
        Etc2Rgba8Unorm = 0x44, Etc2Rgba8UnormSrgb = 0x45, EacR11Unorm = 0x46, EacR11Snorm = 0x47, EacRg11Unorm = 0x48,
        EacRg11Snorm = 0x49, Astc4x4Unorm = 0x4a, Astc4x4UnormSrgb = 0x4b, Astc5x4Unorm = 0x4c,
        Astc5x4UnormSrgb = 0x4d, Astc5x5Unorm = 0x4e, Astc5x5UnormSrgb = 0x4f, Astc6x5Unorm = 0x50,
        Astc6x5UnormSrgb = 0x51, Astc6x6Unorm = 0x52, Astc6x6UnormSrgb = 0x53, Astc8x5Unorm = 0x54,
        Astc8x5UnormSrgb = 0x55, Astc8x6Unorm = 0x56, Astc8x6UnormSrgb = 0x57, Astc8x8Unorm = 0x58,
        Astc8x8UnormSrgb = 0x59, Astc10x5Unorm = 0x5a, Astc10x5UnormSrgb = 0x5b, Astc10x6Unorm = 0x5c,
        Astc10x6UnormSrgb = 0x5d, Astc10x8Unorm = 0x5e, Astc10x8UnormSrgb = 0x5f, Astc10x10Unorm = 0x60,
        Astc10x10UnormSrgb = 0x61, Astc12x10Unorm = 0x62, Astc12x10UnormSrgb = 0x63, Astc12x12Unorm = 0x64,
        Astc12x12UnormSrgb = 0x65,
    }
}

values! {
    /// `WGPUVertexFormat`
    #[expect(missing_docs, reason = "the names are WebGPU's")]
    VertexFormat "vertex format" {
        Uint8 = 0x1, Uint8x2 = 0x2, Uint8x4 = 0x3, Sint8 = 0x4, Sint8x2 = 0x5, Sint8x4 = 0x6, Unorm8 = 0x7,
        Unorm8x2 = 0x8, Unorm8x4 = 0x9, Snorm8 = 0xa, Snorm8x2 = 0xb, Snorm8x4 = 0xc, Uint16 = 0xd, Uint16x2 = 0xe,
        Uint16x4 = 0xf, Sint16 = 0x10, Sint16x2 = 0x11, Sint16x4 = 0x12, Unorm16 = 0x13, Unorm16x2 = 0x14,
        Unorm16x4 = 0x15, Snorm16 = 0x16, Snorm16x2 = 0x17, Snorm16x4 = 0x18, Float16 = 0x19, Float16x2 = 0x1a,
        Float16x4 = 0x1b, Float32 = 0x1c, Float32x2 = 0x1d, Float32x3 = 0x1e, Float32x4 = 0x1f, Uint32 = 0x20,
        Uint32x2 = 0x21, Uint32x3 = 0x22, Uint32x4 = 0x23, Sint32 = 0x24, Sint32x2 = 0x25, Sint32x3 = 0x26,
        Sint32x4 = 0x27, Unorm10_10_10_2 = 0x28, Unorm8x4Bgra = 0x29,
    }
}
