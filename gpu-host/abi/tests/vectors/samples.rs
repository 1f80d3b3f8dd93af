//! The values that the vectors are made from: every kind, every field with a value of its own.

use wherry_gpu_abi::*;

pub(crate) fn descriptors() -> Vec<(&'static str, Descriptor)> {
    vec![
        ("buffer", buffer().into()),
        ("texture", texture().into()),
        ("texture_view", texture_view().into()),
        ("sampler", sampler().into()),
        ("query_set", query_set().into()),
        ("shader_module", shader_module().into()),
        ("bind_group_layout", bind_group_layout().into()),
        (
            "pipeline_bind_group_layout",
            PipelineBindGroupLayoutDescriptor {
                pipeline: 9,
                index: 1,
            }
            .into(),
        ),
        (
            "pipeline_layout",
            PipelineLayoutDescriptor {
                label: "layout".into(),
                bind_group_layouts: vec![7, 0, 8],
            }
            .into(),
        ),
        ("bind_group", bind_group().into()),
        ("compute_pipeline", compute_pipeline().into()),
        ("render_pipeline", render_pipeline().into()),
        ("render_pipeline_least", depth_only_pipeline().into()),
        ("render_bundle", render_bundle().into()),
    ]
}

fn buffer() -> BufferDescriptor {
    BufferDescriptor {
        label: "positions".into(),
        size: 0x1_0000_0010,
        usage: BufferUsage::STORAGE | BufferUsage::COPY_DST,
        mapped_at_creation: true,
    }
}

fn texture() -> TextureDescriptor {
    TextureDescriptor {
        label: String::new(),
        size: extent(640, 480, 6),
        mip_level_count: 3,
        sample_count: 1,
        dimension: TextureDimension::D2,
        format: TextureFormat::Rgba8Unorm,
        usage: TextureUsage::RENDER_ATTACHMENT | TextureUsage::TEXTURE_BINDING,
        view_formats: vec![TextureFormat::Rgba8UnormSrgb],
    }
}

fn texture_view() -> TextureViewDescriptor {
    TextureViewDescriptor {
        label: "face".into(),
        texture: 12,
        format: Some(TextureFormat::Rgba8UnormSrgb),
        dimension: None,
        usage: TextureUsage::TEXTURE_BINDING,
        aspect: TextureAspect::All,
        base_mip_level: 1,
        mip_level_count: UNDEFINED,
        base_array_layer: 2,
        array_layer_count: 1,
    }
}

fn sampler() -> SamplerDescriptor {
    SamplerDescriptor {
        label: "shadow".into(),
        address_mode_u: AddressMode::ClampToEdge,
        address_mode_v: AddressMode::Repeat,
        address_mode_w: AddressMode::MirrorRepeat,
        mag_filter: FilterMode::Linear,
        min_filter: FilterMode::Nearest,
        mipmap_filter: FilterMode::Linear,
        lod_min_clamp: 0.5,
        lod_max_clamp: 32.0,
        compare: Some(CompareFunction::LessEqual),
        max_anisotropy: 1,
    }
}

fn query_set() -> QuerySetDescriptor {
    QuerySetDescriptor {
        label: "visible".into(),
        query_type: QueryType::Occlusion,
        count: 16,
    }
}

fn shader_module() -> ShaderModuleDescriptor {
    ShaderModuleDescriptor {
        label: "naïve".into(),
        wgsl: "@compute @workgroup_size(64) fn main() {}".into(),
    }
}

fn bind_group_layout() -> BindGroupLayoutDescriptor {
    let entry = |binding, visibility, ty| BindGroupLayoutEntry {
        binding,
        visibility,
        ty,
    };
    BindGroupLayoutDescriptor {
        label: "all".into(),
        entries: vec![
            entry(
                0,
                ShaderStage::COMPUTE,
                BindingType::Buffer(BufferBinding {
                    ty: BufferBindingType::ReadOnlyStorage,
                    has_dynamic_offset: true,
                    min_binding_size: 16,
                }),
            ),
            entry(
                1,
                ShaderStage::FRAGMENT | ShaderStage::VERTEX,
                BindingType::Sampler(SamplerBindingType::Comparison),
            ),
            entry(
                2,
                ShaderStage::FRAGMENT,
                BindingType::Texture(TextureBinding {
                    sample_type: TextureSampleType::Depth,
                    view_dimension: TextureViewDimension::Cube,
                    multisampled: false,
                }),
            ),
            entry(
                5,
                ShaderStage::COMPUTE,
                BindingType::StorageTexture(StorageTextureBinding {
                    access: StorageTextureAccess::WriteOnly,
                    format: TextureFormat::R32Float,
                    view_dimension: TextureViewDimension::D2Array,
                }),
            ),
        ],
    }
}

fn bind_group() -> BindGroupDescriptor {
    let entry = |binding, resource| BindGroupEntry { binding, resource };
    BindGroupDescriptor {
        label: "scene".into(),
        layout: 7,
        entries: vec![
            entry(
                0,
                BindingResource::Buffer(BufferRange {
                    buffer: 3,
                    offset: 256,
                    size: WHOLE_SIZE,
                }),
            ),
            entry(1, BindingResource::Sampler(4)),
            entry(2, BindingResource::TextureView(5)),
        ],
    }
}

fn stage(module: Handle, entry_point: &str) -> ProgrammableStage {
    ProgrammableStage {
        module,
        entry_point: entry_point.into(),
        constants: Vec::new(),
    }
}

fn compute_pipeline() -> ComputePipelineDescriptor {
    ComputePipelineDescriptor {
        label: "step".into(),
        layout: 0,
        compute: ProgrammableStage {
            constants: vec![
                Constant {
                    key: "dt".into(),
                    value: 0.125,
                },
                Constant {
                    key: "17".into(),
                    value: -1.0,
                },
            ],
            ..stage(6, "main")
        },
    }
}

fn stencil(pass_op: StencilOperation) -> StencilFace {
    StencilFace {
        compare: CompareFunction::Always,
        fail_op: StencilOperation::Keep,
        depth_fail_op: StencilOperation::Invert,
        pass_op,
    }
}

fn render_pipeline() -> RenderPipelineDescriptor {
    RenderPipelineDescriptor {
        label: "draw".into(),
        layout: 20,
        vertex: VertexState {
            stage: stage(6, "vs"),
            buffers: vec![
                Slot(None),
                Slot(Some(VertexBufferLayout {
                    step_mode: VertexStepMode::Instance,
                    array_stride: 24,
                    attributes: vec![VertexAttribute {
                        format: VertexFormat::Float32x3,
                        offset: 8,
                        shader_location: 2,
                    }],
                })),
            ],
        },
        primitive: PrimitiveState {
            topology: PrimitiveTopology::TriangleStrip,
            strip_index_format: Some(IndexFormat::Uint16),
            front_face: FrontFace::Cw,
            cull_mode: CullMode::Back,
            unclipped_depth: false,
        },
        depth_stencil: Some(DepthStencilState {
            format: TextureFormat::Depth24PlusStencil8,
            depth_write_enabled: true,
            depth_compare: Some(CompareFunction::Less),
            stencil_front: stencil(StencilOperation::Replace),
            stencil_back: stencil(StencilOperation::IncrementWrap),
            stencil_read_mask: 0xff,
            stencil_write_mask: 0x0f,
            depth_bias: -2,
            depth_bias_slope_scale: 1.5,
            depth_bias_clamp: 0.25,
        }),
        multisample: MultisampleState {
            count: 4,
            mask: u32::MAX,
            alpha_to_coverage_enabled: true,
        },
        fragment: Some(FragmentState {
            stage: stage(6, ""),
            targets: vec![
                Slot(Some(ColorTargetState {
                    format: TextureFormat::Bgra8Unorm,
                    blend: Some(BlendState {
                        color: BlendComponent {
                            operation: BlendOperation::Add,
                            src_factor: BlendFactor::SrcAlpha,
                            dst_factor: BlendFactor::OneMinusSrcAlpha,
                        },
                        alpha: BlendComponent {
                            operation: BlendOperation::Max,
                            src_factor: BlendFactor::One,
                            dst_factor: BlendFactor::One,
                        },
                    }),
                    write_mask: ColorWrites::RED | ColorWrites::ALPHA,
                })),
                Slot(None),
            ],
        }),
    }
}

fn depth_only_pipeline() -> RenderPipelineDescriptor {
    RenderPipelineDescriptor {
        label: String::new(),
        layout: 0,
        vertex: VertexState {
            stage: stage(6, "vs"),
            buffers: Vec::new(),
        },
        primitive: PrimitiveState {
            topology: PrimitiveTopology::TriangleList,
            strip_index_format: None,
            front_face: FrontFace::Ccw,
            cull_mode: CullMode::None,
            unclipped_depth: false,
        },
        depth_stencil: None,
        multisample: MultisampleState {
            count: 1,
            mask: u32::MAX,
            alpha_to_coverage_enabled: false,
        },
        fragment: None,
    }
}

fn render_bundle() -> RenderBundleDescriptor {
    RenderBundleDescriptor {
        label: "trees".into(),
        color_formats: vec![Slot(Some(TextureFormat::Rgba8Unorm)), Slot(None)],
        depth_stencil_format: Some(TextureFormat::Depth32Float),
        sample_count: 4,
        depth_read_only: true,
        stencil_read_only: true,
        commands: vec![
            Command::SetRenderPipeline { pipeline: 30 },
            Command::SetBindGroup {
                index: 0,
                group: 31,
                offsets: vec![],
            },
            Command::Draw {
                vertex_count: 3,
                instance_count: 100,
                first_vertex: 0,
                first_instance: 0,
            },
        ],
    }
}

pub(crate) fn device() -> DeviceDescriptor {
    DeviceDescriptor {
        label: "mine".into(),
        features: vec![Feature::TimestampQuery, Feature::ShaderF16],
        limits: Limits {
            max_buffer_size: 1 << 32,
            ..Limits::DEFAULT
        },
    }
}

pub(crate) fn adapter() -> AdapterRecord {
    AdapterRecord {
        vendor: "mesa".into(),
        architecture: String::new(),
        device: "llvmpipe".into(),
        description: "a driver".into(),
        backend: Backend::Vulkan,
        adapter_type: AdapterType::Cpu,
        vendor_id: 0x1_0005,
        device_id: 0,
        subgroup_min_size: 4,
        subgroup_max_size: 128,
        features: vec![Feature::ShaderF16],
        limits: Limits::DEFAULT,
    }
}

pub(crate) fn error() -> ErrorRecord {
    ErrorRecord {
        status: Failure::Validation as u32,
        message: "no such thing".into(),
    }
}

pub(crate) fn messages() -> CompilationInfo {
    CompilationInfo {
        messages: vec![CompilationMessage {
            ty: MessageType::Error,
            line: 3,
            column: 14,
            offset: 60,
            length: 5,
            message: "unknown identifier".into(),
        }],
    }
}

pub(crate) fn texture_write() -> TextureWrite {
    TextureWrite {
        destination: texels(12, 1),
        layout: TexelLayout {
            offset: 16,
            bytes_per_row: 2560,
            rows_per_image: 480,
        },
        size: extent(640, 480, 2),
    }
}

fn extent(width: u32, height: u32, depth_or_array_layers: u32) -> Extent3d {
    Extent3d {
        width,
        height,
        depth_or_array_layers,
    }
}

fn texels(texture: Handle, mip_level: u32) -> TextureTexels {
    TextureTexels {
        texture,
        mip_level,
        origin: Origin3d { x: 8, y: 4, z: 1 },
        aspect: TextureAspect::All,
    }
}

fn buffer_texels() -> BufferTexels {
    BufferTexels {
        buffer: 3,
        layout: TexelLayout {
            offset: 512,
            bytes_per_row: 256,
            rows_per_image: UNDEFINED,
        },
    }
}

pub(crate) fn streams() -> Vec<(&'static str, Vec<Command>)> {
    vec![
        ("stream_compute", compute()),
        ("stream_copies", copies()),
        ("stream_render", render()),
    ]
}

fn compute() -> Vec<Command> {
    vec![
        Command::BeginCommandBuffer {
            label: "frame".into(),
        },
        Command::BeginComputePass {
            label: String::new(),
            timestamp_writes: Some(PassTimestampWrites {
                query_set: 2,
                beginning_of_pass: 0,
                end_of_pass: UNDEFINED,
            }),
        },
        Command::PushDebugGroup {
            label: "group".into(),
        },
        Command::SetComputePipeline { pipeline: 9 },
        Command::SetBindGroup {
            index: 1,
            group: 11,
            offsets: vec![256, 512],
        },
        Command::DispatchWorkgroups { x: 64, y: 2, z: 1 },
        Command::DispatchWorkgroupsIndirect {
            buffer: 3,
            offset: 12,
        },
        Command::InsertDebugMarker {
            label: "here".into(),
        },
        Command::PopDebugGroup {},
        Command::EndComputePass {},
    ]
}

fn copies() -> Vec<Command> {
    vec![
        Command::BeginCommandBuffer {
            label: String::new(),
        },
        Command::CopyBufferToBuffer {
            source: 3,
            source_offset: 8,
            destination: 4,
            destination_offset: 0x1_0000_0000,
            size: WHOLE_SIZE,
        },
        Command::CopyBufferToTexture {
            source: buffer_texels(),
            destination: texels(12, 0),
            size: extent(16, 16, 1),
        },
        Command::CopyTextureToBuffer {
            source: texels(12, 2),
            destination: buffer_texels(),
            size: extent(16, 8, 1),
        },
        Command::BeginCommandBuffer {
            label: "second".into(),
        },
        Command::CopyTextureToTexture {
            source: texels(12, 0),
            destination: texels(13, 1),
            size: extent(4, 4, 4),
        },
        Command::ClearBuffer {
            buffer: 3,
            offset: 4,
            size: 16,
        },
        Command::ResolveQuerySet {
            query_set: 2,
            first_query: 1,
            query_count: 3,
            destination: 4,
            destination_offset: 256,
        },
    ]
}

fn render() -> Vec<Command> {
    vec![
        Command::BeginCommandBuffer {
            label: String::new(),
        },
        Command::BeginRenderPass {
            label: "scene".into(),
            color_attachments: vec![
                Slot(Some(ColorAttachment {
                    view: 40,
                    depth_slice: UNDEFINED,
                    resolve_target: 41,
                    load_op: LoadOp::Clear,
                    store_op: StoreOp::Discard,
                    clear_value: Color {
                        r: 0.25,
                        g: 0.5,
                        b: 0.75,
                        a: 1.0,
                    },
                })),
                Slot(None),
            ],
            depth_stencil_attachment: Some(DepthStencilAttachment {
                view: 42,
                depth_load_op: Some(LoadOp::Load),
                depth_store_op: Some(StoreOp::Store),
                depth_clear_value: 1.0,
                depth_read_only: false,
                stencil_load_op: None,
                stencil_store_op: None,
                stencil_clear_value: 7,
                stencil_read_only: true,
            }),
            occlusion_query_set: 2,
            timestamp_writes: None,
        },
        Command::SetViewport {
            x: 0.0,
            y: 1.0,
            width: 640.0,
            height: 480.0,
            min_depth: 0.0,
            max_depth: 1.0,
        },
        Command::SetScissorRect {
            x: 1,
            y: 2,
            width: 3,
            height: 4,
        },
        Command::SetBlendConstant {
            color: Color {
                r: 1.0,
                g: 0.0,
                b: 0.0,
                a: 0.5,
            },
        },
        Command::SetStencilReference { reference: 128 },
        Command::SetRenderPipeline { pipeline: 30 },
        Command::SetVertexBuffer {
            slot: 1,
            buffer: 3,
            offset: 64,
            size: WHOLE_SIZE,
        },
        Command::SetIndexBuffer {
            buffer: 4,
            format: IndexFormat::Uint32,
            offset: 0,
            size: 1024,
        },
        Command::BeginOcclusionQuery { index: 5 },
        Command::Draw {
            vertex_count: 3,
            instance_count: 1,
            first_vertex: 6,
            first_instance: 2,
        },
        Command::EndOcclusionQuery {},
        Command::DrawIndexed {
            index_count: 36,
            instance_count: 2,
            first_index: 12,
            base_vertex: -4,
            first_instance: 1,
        },
        Command::DrawIndirect {
            buffer: 3,
            offset: 16,
        },
        Command::DrawIndexedIndirect {
            buffer: 3,
            offset: 32,
        },
        Command::ExecuteBundles {
            bundles: vec![50, 51],
        },
        Command::EndRenderPass {},
    ]
}
