//! Shader modules and pipelines.

use alloc::string::String;
use alloc::vec::Vec;

use crate::wire::{DecodeError, Reader, Wire, Writer, record};
use crate::{
    BlendFactor, BlendOperation, ColorWrites, CompareFunction, CullMode, FrontFace, Handle,
    IndexFormat, PrimitiveTopology, StencilOperation, TextureFormat, VertexFormat, VertexStepMode,
};

record! {
    /// A shader module.
    ShaderModuleDescriptor {
        /// For messages.
        label: String,
        /// Its source in WGSL.
        wgsl: String,
    }
}

record! {
    /// The value of an override constant.
    Constant {
        /// Its name, or its number in decimal.
        key: String,
        /// The value.
        value: f64,
    }
}

record! {
    /// A function of a shader module that is a stage of a pipeline.
    ProgrammableStage {
        /// The shader module.
        module: Handle,
        /// The function's name; empty for the only one of the stage.
        entry_point: String,
        /// Values of override constants.
        constants: Vec<Constant>,
    }
}

record! {
    /// A compute pipeline.
    ComputePipelineDescriptor {
        /// For messages.
        label: String,
        /// A pipeline layout; 0 takes it from the shader.
        layout: Handle,
        /// What it computes.
        compute: ProgrammableStage,
    }
}

record! {
    /// A render pipeline.
    RenderPipelineDescriptor {
        /// For messages.
        label: String,
        /// A pipeline layout; 0 takes it from the shaders.
        layout: Handle,
        /// The vertex stage.
        vertex: VertexState,
        /// What the vertices form.
        primitive: PrimitiveState,
        /// The tests for depth and stencil.
        depth_stencil: Option<DepthStencilState>,
        /// The samples.
        multisample: MultisampleState,
        /// The fragment stage.
        fragment: Option<FragmentState>,
    }
}

record! {
    /// The vertex stage.
    VertexState {
        /// The function.
        stage: ProgrammableStage,
        /// The vertex buffer of each slot, or that there is none.
        buffers: Vec<Slot<VertexBufferLayout>>,
    }
}

/// A place in a list that may be empty: the word 0, or the word 1 and what is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Slot<T>(pub Option<T>);

impl<T> Wire for Slot<T>
where
    Option<T>: Wire,
{
    fn encode(&self, to: &mut Writer) {
        self.0.encode(to);
    }

    fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Option::decode(from).map(Self)
    }
}

record! {
    /// How a vertex buffer is read.
    VertexBufferLayout {
        /// When it goes on to the next element.
        step_mode: VertexStepMode,
        /// From one element to the next, in bytes.
        array_stride: u64,
        /// What an element holds.
        attributes: Vec<VertexAttribute>,
    }
}

record! {
    /// A part of an element of a vertex buffer.
    VertexAttribute {
        /// Its format.
        format: VertexFormat,
        /// Within the element, in bytes.
        offset: u64,
        /// The shader's location.
        shader_location: u32,
    }
}

record! {
    /// What the vertices form.
    PrimitiveState {
        /// Points, lines or triangles.
        topology: PrimitiveTopology,
        /// Of strips that are drawn with indices.
        strip_index_format: Option<IndexFormat>,
        /// Which side of a triangle is its front.
        front_face: FrontFace,
        /// Which side is not drawn.
        cull_mode: CullMode,
        /// Depth is not clipped: takes the feature `DepthClipControl`.
        unclipped_depth: bool,
    }
}

record! {
    /// The tests for depth and stencil.
    DepthStencilState {
        /// Of the attachment.
        format: TextureFormat,
        /// Whether depth is written; false if the format has none.
        depth_write_enabled: bool,
        /// How depth is compared; none if the format has none.
        depth_compare: Option<CompareFunction>,
        /// For front sides.
        stencil_front: StencilFace,
        /// For back sides.
        stencil_back: StencilFace,
        /// Bits that are compared.
        stencil_read_mask: u32,
        /// Bits that are written.
        stencil_write_mask: u32,
        /// Added to depth.
        depth_bias: i32,
        /// Times the slope.
        depth_bias_slope_scale: f32,
        /// The greatest bias.
        depth_bias_clamp: f32,
    }
}

record! {
    /// What happens to the stencil.
    StencilFace {
        /// The test.
        compare: CompareFunction,
        /// When it fails.
        fail_op: StencilOperation,
        /// When the depth test fails.
        depth_fail_op: StencilOperation,
        /// When both pass.
        pass_op: StencilOperation,
    }
}

record! {
    /// The samples.
    MultisampleState {
        /// Of each pixel: 1 or 4.
        count: u32,
        /// Those that are written.
        mask: u32,
        /// Alpha becomes coverage.
        alpha_to_coverage_enabled: bool,
    }
}

record! {
    /// The fragment stage.
    FragmentState {
        /// The function.
        stage: ProgrammableStage,
        /// What each colour attachment takes, or that there is none.
        targets: Vec<Slot<ColorTargetState>>,
    }
}

record! {
    /// What a colour attachment takes.
    ColorTargetState {
        /// Its format.
        format: TextureFormat,
        /// How it is blended with what was there.
        blend: Option<BlendState>,
        /// Channels that are written.
        write_mask: ColorWrites,
    }
}

record! {
    /// How a pixel is blended with what was there.
    BlendState {
        /// Its colours.
        color: BlendComponent,
        /// Its alpha.
        alpha: BlendComponent,
    }
}

record! {
    /// How a part of a pixel is blended with what was there.
    BlendComponent {
        /// What is done with the two.
        operation: BlendOperation,
        /// Times the new one.
        src_factor: BlendFactor,
        /// Times what was there.
        dst_factor: BlendFactor,
    }
}
