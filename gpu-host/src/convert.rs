//! Values, flags and small records of the interface as those of wgpu.

use wherry_gpu_abi as abi;

use crate::format::texture_format;

macro_rules! convert {
    ($name:ident: $from:ident -> $to:ty { $($value:ident => $other:expr,)* }) => {
        pub(crate) fn $name(value: abi::$from) -> $to {
            match value {
                $(abi::$from::$value => $other,)*
            }
        }
    };
}

convert! { address_mode: AddressMode -> wgpu::AddressMode {
    ClampToEdge => wgpu::AddressMode::ClampToEdge,
    Repeat => wgpu::AddressMode::Repeat,
    MirrorRepeat => wgpu::AddressMode::MirrorRepeat,
} }

convert! { filter: FilterMode -> wgpu::FilterMode {
    Nearest => wgpu::FilterMode::Nearest,
    Linear => wgpu::FilterMode::Linear,
} }

convert! { mipmap_filter: FilterMode -> wgpu::MipmapFilterMode {
    Nearest => wgpu::MipmapFilterMode::Nearest,
    Linear => wgpu::MipmapFilterMode::Linear,
} }

convert! { compare: CompareFunction -> wgpu::CompareFunction {
    Never => wgpu::CompareFunction::Never,
    Less => wgpu::CompareFunction::Less,
    Equal => wgpu::CompareFunction::Equal,
    LessEqual => wgpu::CompareFunction::LessEqual,
    Greater => wgpu::CompareFunction::Greater,
    NotEqual => wgpu::CompareFunction::NotEqual,
    GreaterEqual => wgpu::CompareFunction::GreaterEqual,
    Always => wgpu::CompareFunction::Always,
} }

convert! { dimension: TextureDimension -> wgpu::TextureDimension {
    D1 => wgpu::TextureDimension::D1,
    D2 => wgpu::TextureDimension::D2,
    D3 => wgpu::TextureDimension::D3,
} }

convert! { view_dimension: TextureViewDimension -> wgpu::TextureViewDimension {
    D1 => wgpu::TextureViewDimension::D1,
    D2 => wgpu::TextureViewDimension::D2,
    D2Array => wgpu::TextureViewDimension::D2Array,
    Cube => wgpu::TextureViewDimension::Cube,
    CubeArray => wgpu::TextureViewDimension::CubeArray,
    D3 => wgpu::TextureViewDimension::D3,
} }

convert! { aspect: TextureAspect -> wgpu::TextureAspect {
    All => wgpu::TextureAspect::All,
    StencilOnly => wgpu::TextureAspect::StencilOnly,
    DepthOnly => wgpu::TextureAspect::DepthOnly,
} }

convert! { sampler_binding: SamplerBindingType -> wgpu::SamplerBindingType {
    Filtering => wgpu::SamplerBindingType::Filtering,
    NonFiltering => wgpu::SamplerBindingType::NonFiltering,
    Comparison => wgpu::SamplerBindingType::Comparison,
} }

convert! { buffer_binding: BufferBindingType -> wgpu::BufferBindingType {
    Uniform => wgpu::BufferBindingType::Uniform,
    Storage => wgpu::BufferBindingType::Storage { read_only: false },
    ReadOnlyStorage => wgpu::BufferBindingType::Storage { read_only: true },
} }

convert! { sample_type: TextureSampleType -> wgpu::TextureSampleType {
    Float => wgpu::TextureSampleType::Float { filterable: true },
    UnfilterableFloat => wgpu::TextureSampleType::Float { filterable: false },
    Depth => wgpu::TextureSampleType::Depth,
    Sint => wgpu::TextureSampleType::Sint,
    Uint => wgpu::TextureSampleType::Uint,
} }

convert! { storage_access: StorageTextureAccess -> wgpu::StorageTextureAccess {
    WriteOnly => wgpu::StorageTextureAccess::WriteOnly,
    ReadOnly => wgpu::StorageTextureAccess::ReadOnly,
    ReadWrite => wgpu::StorageTextureAccess::ReadWrite,
} }

convert! { step_mode: VertexStepMode -> wgpu::VertexStepMode {
    Vertex => wgpu::VertexStepMode::Vertex,
    Instance => wgpu::VertexStepMode::Instance,
} }

convert! { topology: PrimitiveTopology -> wgpu::PrimitiveTopology {
    PointList => wgpu::PrimitiveTopology::PointList,
    LineList => wgpu::PrimitiveTopology::LineList,
    LineStrip => wgpu::PrimitiveTopology::LineStrip,
    TriangleList => wgpu::PrimitiveTopology::TriangleList,
    TriangleStrip => wgpu::PrimitiveTopology::TriangleStrip,
} }

convert! { index_format: IndexFormat -> wgpu::IndexFormat {
    Uint16 => wgpu::IndexFormat::Uint16,
    Uint32 => wgpu::IndexFormat::Uint32,
} }

convert! { front_face: FrontFace -> wgpu::FrontFace {
    Ccw => wgpu::FrontFace::Ccw,
    Cw => wgpu::FrontFace::Cw,
} }

convert! { cull_mode: CullMode -> Option<wgpu::Face> {
    None => None,
    Front => Some(wgpu::Face::Front),
    Back => Some(wgpu::Face::Back),
} }

convert! { stencil_operation: StencilOperation -> wgpu::StencilOperation {
    Keep => wgpu::StencilOperation::Keep,
    Zero => wgpu::StencilOperation::Zero,
    Replace => wgpu::StencilOperation::Replace,
    Invert => wgpu::StencilOperation::Invert,
    IncrementClamp => wgpu::StencilOperation::IncrementClamp,
    DecrementClamp => wgpu::StencilOperation::DecrementClamp,
    IncrementWrap => wgpu::StencilOperation::IncrementWrap,
    DecrementWrap => wgpu::StencilOperation::DecrementWrap,
} }

convert! { blend_operation: BlendOperation -> wgpu::BlendOperation {
    Add => wgpu::BlendOperation::Add,
    Subtract => wgpu::BlendOperation::Subtract,
    ReverseSubtract => wgpu::BlendOperation::ReverseSubtract,
    Min => wgpu::BlendOperation::Min,
    Max => wgpu::BlendOperation::Max,
} }

convert! { blend_factor: BlendFactor -> wgpu::BlendFactor {
    Zero => wgpu::BlendFactor::Zero,
    One => wgpu::BlendFactor::One,
    Src => wgpu::BlendFactor::Src,
    OneMinusSrc => wgpu::BlendFactor::OneMinusSrc,
    SrcAlpha => wgpu::BlendFactor::SrcAlpha,
    OneMinusSrcAlpha => wgpu::BlendFactor::OneMinusSrcAlpha,
    Dst => wgpu::BlendFactor::Dst,
    OneMinusDst => wgpu::BlendFactor::OneMinusDst,
    DstAlpha => wgpu::BlendFactor::DstAlpha,
    OneMinusDstAlpha => wgpu::BlendFactor::OneMinusDstAlpha,
    SrcAlphaSaturated => wgpu::BlendFactor::SrcAlphaSaturated,
    Constant => wgpu::BlendFactor::Constant,
    OneMinusConstant => wgpu::BlendFactor::OneMinusConstant,
    Src1 => wgpu::BlendFactor::Src1,
    OneMinusSrc1 => wgpu::BlendFactor::OneMinusSrc1,
    Src1Alpha => wgpu::BlendFactor::Src1Alpha,
    OneMinusSrc1Alpha => wgpu::BlendFactor::OneMinusSrc1Alpha,
} }

convert! { store_op: StoreOp -> wgpu::StoreOp {
    Store => wgpu::StoreOp::Store,
    Discard => wgpu::StoreOp::Discard,
} }

convert! { query_type: QueryType -> wgpu::QueryType {
    Occlusion => wgpu::QueryType::Occlusion,
    Timestamp => wgpu::QueryType::Timestamp,
} }

convert! { feature: Feature -> wgpu::Features {
    DepthClipControl => wgpu::Features::DEPTH_CLIP_CONTROL,
    Depth32FloatStencil8 => wgpu::Features::DEPTH32FLOAT_STENCIL8,
    TextureCompressionBc => wgpu::Features::TEXTURE_COMPRESSION_BC,
    TextureCompressionBcSliced3d => wgpu::Features::TEXTURE_COMPRESSION_BC_SLICED_3D,
    TextureCompressionEtc2 => wgpu::Features::TEXTURE_COMPRESSION_ETC2,
    TextureCompressionAstc => wgpu::Features::TEXTURE_COMPRESSION_ASTC,
    TextureCompressionAstcSliced3d => wgpu::Features::TEXTURE_COMPRESSION_ASTC_SLICED_3D,
    TimestampQuery => wgpu::Features::TIMESTAMP_QUERY,
    IndirectFirstInstance => wgpu::Features::INDIRECT_FIRST_INSTANCE,
    ShaderF16 => wgpu::Features::SHADER_F16,
    Rg11b10UfloatRenderable => wgpu::Features::RG11B10UFLOAT_RENDERABLE,
    Bgra8UnormStorage => wgpu::Features::BGRA8UNORM_STORAGE,
    Float32Filterable => wgpu::Features::FLOAT32_FILTERABLE,
    Float32Blendable => wgpu::Features::FLOAT32_BLENDABLE,
    ClipDistances => wgpu::Features::CLIP_DISTANCES,
    DualSourceBlending => wgpu::Features::DUAL_SOURCE_BLENDING,
    Subgroups => wgpu::Features::SUBGROUP,
    PrimitiveIndex => wgpu::Features::PRIMITIVE_INDEX,
} }

/// The bits of usages and stages are WebGPU's on both sides.
pub(crate) fn buffer_usage(usage: abi::BufferUsage) -> wgpu::BufferUsages {
    wgpu::BufferUsages::from_bits_truncate(usage.bits())
}

pub(crate) fn texture_usage(usage: abi::TextureUsage) -> wgpu::TextureUsages {
    wgpu::TextureUsages::from_bits_truncate(usage.bits())
}

pub(crate) fn stages(stages: abi::ShaderStage) -> wgpu::ShaderStages {
    wgpu::ShaderStages::from_bits_truncate(stages.bits())
}

pub(crate) fn color_writes(mask: abi::ColorWrites) -> wgpu::ColorWrites {
    wgpu::ColorWrites::from_bits_truncate(mask.bits())
}

pub(crate) fn extent(size: &abi::Extent3d) -> wgpu::Extent3d {
    wgpu::Extent3d {
        width: size.width,
        height: size.height,
        depth_or_array_layers: size.depth_or_array_layers,
    }
}

pub(crate) fn origin(origin: &abi::Origin3d) -> wgpu::Origin3d {
    wgpu::Origin3d {
        x: origin.x,
        y: origin.y,
        z: origin.z,
    }
}

pub(crate) fn texel_layout(layout: &abi::TexelLayout) -> wgpu::TexelCopyBufferLayout {
    wgpu::TexelCopyBufferLayout {
        offset: layout.offset,
        bytes_per_row: defined(layout.bytes_per_row),
        rows_per_image: defined(layout.rows_per_image),
    }
}

pub(crate) fn color(color: &abi::Color) -> wgpu::Color {
    wgpu::Color {
        r: color.r,
        g: color.g,
        b: color.b,
        a: color.a,
    }
}

/// A number that may be left out.
pub(crate) fn defined(number: u32) -> Option<u32> {
    (number != abi::UNDEFINED).then_some(number)
}

pub(crate) fn binding_type(ty: &abi::BindingType) -> wgpu::BindingType {
    match ty {
        abi::BindingType::Buffer(binding) => wgpu::BindingType::Buffer {
            ty: buffer_binding(binding.ty),
            has_dynamic_offset: binding.has_dynamic_offset,
            min_binding_size: wgpu::BufferSize::new(binding.min_binding_size),
        },
        abi::BindingType::Sampler(ty) => wgpu::BindingType::Sampler(sampler_binding(*ty)),
        abi::BindingType::Texture(binding) => wgpu::BindingType::Texture {
            sample_type: sample_type(binding.sample_type),
            view_dimension: view_dimension(binding.view_dimension),
            multisampled: binding.multisampled,
        },
        abi::BindingType::StorageTexture(binding) => wgpu::BindingType::StorageTexture {
            access: storage_access(binding.access),
            format: texture_format(binding.format),
            view_dimension: view_dimension(binding.view_dimension),
        },
    }
}

pub(crate) fn primitive(state: &abi::PrimitiveState) -> wgpu::PrimitiveState {
    wgpu::PrimitiveState {
        topology: topology(state.topology),
        strip_index_format: state.strip_index_format.map(index_format),
        front_face: front_face(state.front_face),
        cull_mode: cull_mode(state.cull_mode),
        unclipped_depth: state.unclipped_depth,
        polygon_mode: wgpu::PolygonMode::Fill,
        conservative: false,
    }
}

pub(crate) fn depth_stencil(state: &abi::DepthStencilState) -> wgpu::DepthStencilState {
    let format = texture_format(state.format);
    let face = |face: &abi::StencilFace| wgpu::StencilFaceState {
        compare: compare(face.compare),
        fail_op: stencil_operation(face.fail_op),
        depth_fail_op: stencil_operation(face.depth_fail_op),
        pass_op: stencil_operation(face.pass_op),
    };
    let has_depth = format.has_depth_aspect();
    wgpu::DepthStencilState {
        format,
        depth_write_enabled: has_depth.then_some(state.depth_write_enabled),
        depth_compare: state.depth_compare.map(compare),
        stencil: wgpu::StencilState {
            front: face(&state.stencil_front),
            back: face(&state.stencil_back),
            read_mask: state.stencil_read_mask,
            write_mask: state.stencil_write_mask,
        },
        bias: wgpu::DepthBiasState {
            constant: state.depth_bias,
            slope_scale: state.depth_bias_slope_scale,
            clamp: state.depth_bias_clamp,
        },
    }
}

pub(crate) fn multisample(state: &abi::MultisampleState) -> wgpu::MultisampleState {
    wgpu::MultisampleState {
        count: state.count,
        mask: u64::from(state.mask),
        alpha_to_coverage_enabled: state.alpha_to_coverage_enabled,
    }
}

pub(crate) fn color_target(state: &abi::ColorTargetState) -> wgpu::ColorTargetState {
    let component = |component: &abi::BlendComponent| wgpu::BlendComponent {
        src_factor: blend_factor(component.src_factor),
        dst_factor: blend_factor(component.dst_factor),
        operation: blend_operation(component.operation),
    };
    wgpu::ColorTargetState {
        format: texture_format(state.format),
        blend: state.blend.as_ref().map(|blend| wgpu::BlendState {
            color: component(&blend.color),
            alpha: component(&blend.alpha),
        }),
        write_mask: color_writes(state.write_mask),
    }
}
