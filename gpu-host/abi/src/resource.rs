//! Buffers, textures, samplers and query sets.

use alloc::string::String;
use alloc::vec::Vec;

use crate::wire::record;
use crate::{
    AddressMode, BufferUsage, CompareFunction, FilterMode, Handle, QueryType, TextureAspect,
    TextureDimension, TextureFormat, TextureUsage, TextureViewDimension,
};

record! {
    /// A buffer. It is filled with zeros.
    BufferDescriptor {
        /// For messages.
        label: String,
        /// In bytes.
        size: u64,
        /// What it may be used for.
        usage: BufferUsage,
        /// It is mapped to be written, until `unmap`, whatever its usage.
        mapped_at_creation: bool,
    }
}

record! {
    /// How large a texture or a part of one is, in texels.
    Extent3d {
        /// Along x.
        width: u32,
        /// Along y.
        height: u32,
        /// Along z, or layers.
        depth_or_array_layers: u32,
    }
}

record! {
    /// Where a part of a texture begins, in texels.
    Origin3d {
        /// Along x.
        x: u32,
        /// Along y.
        y: u32,
        /// Along z, or the layer.
        z: u32,
    }
}

record! {
    /// A texture. It is filled with zeros.
    TextureDescriptor {
        /// For messages.
        label: String,
        /// Of the largest mip level.
        size: Extent3d,
        /// Number of mip levels.
        mip_level_count: u32,
        /// Samples of each texel: 1 or 4.
        sample_count: u32,
        /// Its dimensions.
        dimension: TextureDimension,
        /// Of its texels.
        format: TextureFormat,
        /// What it may be used for.
        usage: TextureUsage,
        /// Other formats that views of it may have.
        view_formats: Vec<TextureFormat>,
    }
}

record! {
    /// A view of a texture.
    TextureViewDescriptor {
        /// For messages.
        label: String,
        /// Of which texture.
        texture: Handle,
        /// If it is not that of the texture.
        format: Option<TextureFormat>,
        /// If it is not that which the texture suggests.
        dimension: Option<TextureViewDimension>,
        /// Some of the texture's usages; none means all.
        usage: TextureUsage,
        /// Which aspect.
        aspect: TextureAspect,
        /// The first mip level.
        base_mip_level: u32,
        /// How many of them, or [`UNDEFINED`](crate::UNDEFINED): all that follow.
        mip_level_count: u32,
        /// The first layer.
        base_array_layer: u32,
        /// How many of them, or [`UNDEFINED`](crate::UNDEFINED): as many as the dimension has.
        array_layer_count: u32,
    }
}

record! {
    /// A sampler.
    SamplerDescriptor {
        /// For messages.
        label: String,
        /// Outside the texture along x.
        address_mode_u: AddressMode,
        /// Outside the texture along y.
        address_mode_v: AddressMode,
        /// Outside the texture along z.
        address_mode_w: AddressMode,
        /// When a texel is larger than a pixel.
        mag_filter: FilterMode,
        /// When a texel is smaller than a pixel.
        min_filter: FilterMode,
        /// Between mip levels.
        mipmap_filter: FilterMode,
        /// The least level of detail.
        lod_min_clamp: f32,
        /// The greatest level of detail.
        lod_max_clamp: f32,
        /// It compares, with this function.
        compare: Option<CompareFunction>,
        /// At least 1.
        max_anisotropy: u32,
    }
}

record! {
    /// A set of queries.
    QuerySetDescriptor {
        /// For messages.
        label: String,
        /// What they count.
        query_type: QueryType,
        /// How many there are.
        count: u32,
    }
}
