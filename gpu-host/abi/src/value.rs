//! The enumerations and flags of WebGPU. The numbers are those of `webgpu.h`.

use crate::wire::{flags, values};

flags! {
    /// What a buffer may be used for.
    BufferUsage "buffer usage" {
        /// It can be mapped to be read.
        MAP_READ = 0x1,
        /// It can be mapped to be written.
        MAP_WRITE = 0x2,
        /// Copied from.
        COPY_SRC = 0x4,
        /// Copied to, and written by `write`.
        COPY_DST = 0x8,
        /// Holds indices.
        INDEX = 0x10,
        /// Holds vertices.
        VERTEX = 0x20,
        /// Bound as uniform.
        UNIFORM = 0x40,
        /// Bound as storage.
        STORAGE = 0x80,
        /// Holds arguments of indirect calls.
        INDIRECT = 0x100,
        /// Takes the results of queries.
        QUERY_RESOLVE = 0x200,
    }
}

flags! {
    /// What a texture may be used for.
    TextureUsage "texture usage" {
        /// Copied from.
        COPY_SRC = 0x1,
        /// Copied to, and written by `write_texture`.
        COPY_DST = 0x2,
        /// Bound to be sampled or loaded.
        TEXTURE_BINDING = 0x4,
        /// Bound as storage.
        STORAGE_BINDING = 0x8,
        /// Rendered to.
        RENDER_ATTACHMENT = 0x10,
    }
}

flags! {
    /// Stages of a pipeline.
    ShaderStage "shader stage" {
        /// The vertex stage.
        VERTEX = 0x1,
        /// The fragment stage.
        FRAGMENT = 0x2,
        /// The compute stage.
        COMPUTE = 0x4,
    }
}

flags! {
    /// Channels that are written.
    ColorWrites "color write mask" {
        /// Red.
        RED = 0x1,
        /// Green.
        GREEN = 0x2,
        /// Blue.
        BLUE = 0x4,
        /// Alpha.
        ALPHA = 0x8,
    }
}

flags! {
    /// What a buffer is mapped for: one of the two.
    MapMode "map mode" {
        /// To be read.
        READ = 0x1,
        /// To be written.
        WRITE = 0x2,
    }
}

values! {
    /// `WGPUAddressMode`
    #[expect(missing_docs, reason = "the names are WebGPU's")]
    AddressMode "address mode" { ClampToEdge = 1, Repeat = 2, MirrorRepeat = 3, }
}

values! {
    /// `WGPUFilterMode`, and `WGPUMipmapFilterMode`
    #[expect(missing_docs, reason = "the names are WebGPU's")]
    FilterMode "filter mode" { Nearest = 1, Linear = 2, }
}

values! {
    /// `WGPUCompareFunction`
    #[expect(missing_docs, reason = "the names are WebGPU's")]
    CompareFunction "compare function" {
        Never = 1, Less = 2, Equal = 3, LessEqual = 4, Greater = 5, NotEqual = 6, GreaterEqual = 7, Always = 8,
    }
}

values! {
    /// `WGPUTextureDimension`
    #[expect(missing_docs, reason = "the names are WebGPU's")]
    TextureDimension "texture dimension" { D1 = 1, D2 = 2, D3 = 3, }
}

values! {
    /// `WGPUTextureViewDimension`
    #[expect(missing_docs, reason = "the names are WebGPU's")]
    TextureViewDimension "texture view dimension" { D1 = 1, D2 = 2, D2Array = 3, Cube = 4, CubeArray = 5, D3 = 6, }
}

values! {
    /// `WGPUTextureAspect`
    #[expect(missing_docs, reason = "the names are WebGPU's")]
    TextureAspect "texture aspect" { All = 1, StencilOnly = 2, DepthOnly = 3, }
}

values! {
    /// `WGPUQueryType`
    #[expect(missing_docs, reason = "the names are WebGPU's")]
    QueryType "query type" { Occlusion = 1, Timestamp = 2, }
}

values! {
    /// `WGPUBufferBindingType`
    #[expect(missing_docs, reason = "the names are WebGPU's")]
    BufferBindingType "buffer binding type" { Uniform = 2, Storage = 3, ReadOnlyStorage = 4, }
}

values! {
    /// `WGPUSamplerBindingType`
    #[expect(missing_docs, reason = "the names are WebGPU's")]
    SamplerBindingType "sampler binding type" { Filtering = 2, NonFiltering = 3, Comparison = 4, }
}

values! {
    /// `WGPUTextureSampleType`
    #[expect(missing_docs, reason = "the names are WebGPU's")]
    TextureSampleType "texture sample type" { Float = 2, UnfilterableFloat = 3, Depth = 4, Sint = 5, Uint = 6, }
}

values! {
    /// `WGPUStorageTextureAccess`
    #[expect(missing_docs, reason = "the names are WebGPU's")]
    StorageTextureAccess "storage texture access" { WriteOnly = 2, ReadOnly = 3, ReadWrite = 4, }
}

values! {
    /// `WGPUVertexStepMode`
    #[expect(missing_docs, reason = "the names are WebGPU's")]
    VertexStepMode "vertex step mode" { Vertex = 1, Instance = 2, }
}

values! {
    /// `WGPUPrimitiveTopology`
    #[expect(missing_docs, reason = "the names are WebGPU's")]
    PrimitiveTopology "primitive topology" { PointList = 1, LineList = 2, LineStrip = 3, TriangleList = 4, TriangleStrip = 5, }
}

values! {
    /// `WGPUIndexFormat`
    #[expect(missing_docs, reason = "the names are WebGPU's")]
    IndexFormat "index format" { Uint16 = 1, Uint32 = 2, }
}

values! {
    /// `WGPUFrontFace`
    #[expect(missing_docs, reason = "the names are WebGPU's")]
    FrontFace "front face" { Ccw = 1, Cw = 2, }
}

values! {
    /// `WGPUCullMode`
    #[expect(missing_docs, reason = "the names are WebGPU's")]
    CullMode "cull mode" { None = 1, Front = 2, Back = 3, }
}

values! {
    /// `WGPUStencilOperation`
    #[expect(missing_docs, reason = "the names are WebGPU's")]
    StencilOperation "stencil operation" {
        Keep = 1, Zero = 2, Replace = 3, Invert = 4, IncrementClamp = 5, DecrementClamp = 6, IncrementWrap = 7,
        DecrementWrap = 8,
    }
}

values! {
    /// `WGPUBlendOperation`
    #[expect(missing_docs, reason = "the names are WebGPU's")]
    BlendOperation "blend operation" { Add = 1, Subtract = 2, ReverseSubtract = 3, Min = 4, Max = 5, }
}

values! {
    /// `WGPUBlendFactor`
    #[expect(missing_docs, reason = "the names are WebGPU's")]
    BlendFactor "blend factor" {
        Zero = 1, One = 2, Src = 3, OneMinusSrc = 4, SrcAlpha = 5, OneMinusSrcAlpha = 6, Dst = 7, OneMinusDst = 8,
        DstAlpha = 9, OneMinusDstAlpha = 10, SrcAlphaSaturated = 11, Constant = 12, OneMinusConstant = 13, Src1 = 14,
        OneMinusSrc1 = 15, Src1Alpha = 16, OneMinusSrc1Alpha = 17,
    }
}

values! {
    /// `WGPULoadOp`
    #[expect(missing_docs, reason = "the names are WebGPU's")]
    LoadOp "load operation" { Load = 1, Clear = 2, }
}

values! {
    /// `WGPUStoreOp`
    #[expect(missing_docs, reason = "the names are WebGPU's")]
    StoreOp "store operation" { Store = 1, Discard = 2, }
}

values! {
    /// `WGPUCompilationMessageType`
    #[expect(missing_docs, reason = "the names are WebGPU's")]
    MessageType "message type" { Error = 1, Warning = 2, Info = 3, }
}

values! {
    /// `WGPUAdapterType`
    #[expect(missing_docs, reason = "the names are WebGPU's")]
    AdapterType "adapter type" { DiscreteGpu = 1, IntegratedGpu = 2, Cpu = 3, Unknown = 4, }
}

values! {
    /// `WGPUBackendType`
    #[expect(missing_docs, reason = "the names are WebGPU's")]
    Backend "backend" { Null = 1, D3D12 = 4, Metal = 5, Vulkan = 6, }
}

values! {
    /// What a device can do beyond the least: `WGPUFeatureName`, without what has to do with surfaces.
    #[expect(missing_docs, reason = "the names are WebGPU's")]
    Feature "feature" {
        DepthClipControl = 0x2, Depth32FloatStencil8 = 0x3, TextureCompressionBc = 0x4, TextureCompressionBcSliced3d = 0x5,
        TextureCompressionEtc2 = 0x6, TextureCompressionAstc = 0x7, TextureCompressionAstcSliced3d = 0x8, TimestampQuery = 0x9,
        IndirectFirstInstance = 0xa, ShaderF16 = 0xb, Rg11b10UfloatRenderable = 0xc, Bgra8UnormStorage = 0xd,
        Float32Filterable = 0xe, Float32Blendable = 0xf, ClipDistances = 0x10, DualSourceBlending = 0x11, Subgroups = 0x12,
        PrimitiveIndex = 0x15,
    }
}
