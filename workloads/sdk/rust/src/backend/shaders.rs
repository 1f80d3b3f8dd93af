//! Shader modules and pipelines as descriptors of the interface.

use wherry_gpu_abi as abi;

use super::convert::{self, compare, handle, label, values};
use super::errors::Unsupported;
use super::formats;
use super::objects::{PipelineLayout, ShaderModule};

values! { topology: PrimitiveTopology => PrimitiveTopology, PointList LineList LineStrip TriangleList TriangleStrip }
values! { front_face: FrontFace => FrontFace, Ccw Cw }
values! { step_mode: VertexStepMode => VertexStepMode, Vertex Instance }
values! { stencil_operation: StencilOperation => StencilOperation,
Keep Zero Replace Invert IncrementClamp DecrementClamp IncrementWrap DecrementWrap }
values! { blend_operation: BlendOperation => BlendOperation, Add Subtract ReverseSubtract Min Max }
values! { blend_factor: BlendFactor => BlendFactor,
Zero One Src OneMinusSrc SrcAlpha OneMinusSrcAlpha Dst OneMinusDst DstAlpha OneMinusDstAlpha SrcAlphaSaturated
Constant OneMinusConstant Src1 OneMinusSrc1 Src1Alpha OneMinusSrc1Alpha }

pub(crate) fn module(
    descriptor: wgpu::ShaderModuleDescriptor<'_>,
) -> Result<abi::ShaderModuleDescriptor, Unsupported> {
    match descriptor.source {
        wgpu::ShaderSource::Wgsl(wgsl) => Ok(abi::ShaderModuleDescriptor {
            label: label(descriptor.label),
            wgsl: wgsl.into_owned(),
        }),
        _ => Err(Unsupported::new("a shader in another language than WGSL")),
    }
}

pub(crate) fn compute_pipeline(
    descriptor: &wgpu::ComputePipelineDescriptor<'_>,
) -> Result<abi::ComputePipelineDescriptor, Unsupported> {
    Ok(abi::ComputePipelineDescriptor {
        label: label(descriptor.label),
        layout: layout(descriptor.layout),
        compute: stage(
            descriptor.module,
            descriptor.entry_point,
            &descriptor.compilation_options,
        ),
    })
}

pub(crate) fn render_pipeline(
    descriptor: &wgpu::RenderPipelineDescriptor<'_>,
) -> Result<abi::RenderPipelineDescriptor, Unsupported> {
    if descriptor.multiview_mask.is_some() {
        return Err(Unsupported::new("a render pipeline with several views"));
    }
    let depth_stencil = descriptor.depth_stencil.as_ref().map(depth_stencil);
    let fragment = descriptor.fragment.as_ref().map(fragment);
    Ok(abi::RenderPipelineDescriptor {
        label: label(descriptor.label),
        layout: layout(descriptor.layout),
        vertex: vertex(&descriptor.vertex)?,
        primitive: primitive(&descriptor.primitive)?,
        depth_stencil: depth_stencil.transpose()?,
        multisample: abi::MultisampleState {
            count: descriptor.multisample.count,
            // Of its 64 bits, WebGPU has the lower ones.
            mask: descriptor.multisample.mask as u32,
            alpha_to_coverage_enabled: descriptor.multisample.alpha_to_coverage_enabled,
        },
        fragment: fragment.transpose()?,
    })
}

fn layout(layout: Option<&wgpu::PipelineLayout>) -> abi::Handle {
    let layout = layout.and_then(|layout| layout.as_custom::<PipelineLayout>());
    handle(layout.map(|layout| layout.0.handle))
}

fn stage(
    module: &wgpu::ShaderModule,
    entry_point: Option<&str>,
    options: &wgpu::PipelineCompilationOptions<'_>,
) -> abi::ProgrammableStage {
    let module = module.as_custom::<ShaderModule>();
    let constants = options.constants.iter();
    abi::ProgrammableStage {
        module: handle(module.map(|module| module.0.handle)),
        entry_point: entry_point.unwrap_or_default().to_owned(),
        constants: constants
            .map(|(key, value)| abi::Constant {
                key: (*key).to_owned(),
                value: *value,
            })
            .collect(),
    }
}

fn vertex(state: &wgpu::VertexState<'_>) -> Result<abi::VertexState, Unsupported> {
    let buffers = state.buffers.iter().map(|buffer| {
        let layout = buffer.as_ref().map(vertex_buffer);
        layout.transpose().map(abi::Slot)
    });
    Ok(abi::VertexState {
        stage: stage(state.module, state.entry_point, &state.compilation_options),
        buffers: buffers.collect::<Result<_, _>>()?,
    })
}

fn vertex_buffer(
    layout: &wgpu::VertexBufferLayout<'_>,
) -> Result<abi::VertexBufferLayout, Unsupported> {
    let attributes = layout.attributes.iter().map(|attribute| {
        Ok(abi::VertexAttribute {
            format: formats::vertex(attribute.format)?,
            offset: attribute.offset,
            shader_location: attribute.shader_location,
        })
    });
    Ok(abi::VertexBufferLayout {
        step_mode: step_mode(layout.step_mode),
        array_stride: layout.array_stride,
        attributes: attributes.collect::<Result<_, _>>()?,
    })
}

fn primitive(state: &wgpu::PrimitiveState) -> Result<abi::PrimitiveState, Unsupported> {
    if state.polygon_mode != wgpu::PolygonMode::Fill {
        let mode = state.polygon_mode;
        return Err(Unsupported::new(format_args!("polygon mode {mode:?}")));
    }
    if state.conservative {
        return Err(Unsupported::new("conservative rasterization"));
    }
    Ok(abi::PrimitiveState {
        topology: topology(state.topology),
        strip_index_format: state.strip_index_format.map(convert::index_format),
        front_face: front_face(state.front_face),
        cull_mode: match state.cull_mode {
            None => abi::CullMode::None,
            Some(wgpu::Face::Front) => abi::CullMode::Front,
            Some(wgpu::Face::Back) => abi::CullMode::Back,
        },
        unclipped_depth: state.unclipped_depth,
    })
}

fn depth_stencil(state: &wgpu::DepthStencilState) -> Result<abi::DepthStencilState, Unsupported> {
    Ok(abi::DepthStencilState {
        format: formats::texture(state.format)?,
        depth_write_enabled: state.depth_write_enabled.unwrap_or(false),
        depth_compare: state.depth_compare.map(compare),
        stencil_front: stencil_face(&state.stencil.front),
        stencil_back: stencil_face(&state.stencil.back),
        stencil_read_mask: state.stencil.read_mask,
        stencil_write_mask: state.stencil.write_mask,
        depth_bias: state.bias.constant,
        depth_bias_slope_scale: state.bias.slope_scale,
        depth_bias_clamp: state.bias.clamp,
    })
}

fn stencil_face(face: &wgpu::StencilFaceState) -> abi::StencilFace {
    abi::StencilFace {
        compare: compare(face.compare),
        fail_op: stencil_operation(face.fail_op),
        depth_fail_op: stencil_operation(face.depth_fail_op),
        pass_op: stencil_operation(face.pass_op),
    }
}

fn fragment(state: &wgpu::FragmentState<'_>) -> Result<abi::FragmentState, Unsupported> {
    let targets = state.targets.iter().map(|target| {
        let target = target.as_ref().map(color_target);
        target.transpose().map(abi::Slot)
    });
    Ok(abi::FragmentState {
        stage: stage(state.module, state.entry_point, &state.compilation_options),
        targets: targets.collect::<Result<_, _>>()?,
    })
}

fn color_target(state: &wgpu::ColorTargetState) -> Result<abi::ColorTargetState, Unsupported> {
    Ok(abi::ColorTargetState {
        format: formats::texture(state.format)?,
        blend: state.blend.map(|blend| abi::BlendState {
            color: blend_component(blend.color),
            alpha: blend_component(blend.alpha),
        }),
        write_mask: convert::color_writes(state.write_mask)?,
    })
}

fn blend_component(component: wgpu::BlendComponent) -> abi::BlendComponent {
    abi::BlendComponent {
        operation: blend_operation(component.operation),
        src_factor: blend_factor(component.src_factor),
        dst_factor: blend_factor(component.dst_factor),
    }
}
