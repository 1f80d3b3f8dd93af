//! How people write features and limits: as the WebGPU standard does, limits with underscores.

use alloc::vec::Vec;

use crate::{Feature, Limits};

/// Passes every limit, and whether more or less of it is better, to another macro.
#[macro_export]
macro_rules! for_each_limit {
    ($macro:ident) => {
        $macro! {
            max_texture_dimension_1d: Higher,
            max_texture_dimension_2d: Higher,
            max_texture_dimension_3d: Higher,
            max_texture_array_layers: Higher,
            max_bind_groups: Higher,
            max_bind_groups_plus_vertex_buffers: Higher,
            max_bindings_per_bind_group: Higher,
            max_dynamic_uniform_buffers_per_pipeline_layout: Higher,
            max_dynamic_storage_buffers_per_pipeline_layout: Higher,
            max_sampled_textures_per_shader_stage: Higher,
            max_samplers_per_shader_stage: Higher,
            max_storage_buffers_per_shader_stage: Higher,
            max_storage_textures_per_shader_stage: Higher,
            max_uniform_buffers_per_shader_stage: Higher,
            max_uniform_buffer_binding_size: Higher,
            max_storage_buffer_binding_size: Higher,
            min_uniform_buffer_offset_alignment: Lower,
            min_storage_buffer_offset_alignment: Lower,
            max_vertex_buffers: Higher,
            max_buffer_size: Higher,
            max_vertex_attributes: Higher,
            max_vertex_buffer_array_stride: Higher,
            max_inter_stage_shader_variables: Higher,
            max_color_attachments: Higher,
            max_color_attachment_bytes_per_sample: Higher,
            max_compute_workgroup_storage_size: Higher,
            max_compute_invocations_per_workgroup: Higher,
            max_compute_workgroup_size_x: Higher,
            max_compute_workgroup_size_y: Higher,
            max_compute_workgroup_size_z: Higher,
            max_compute_workgroups_per_dimension: Higher,
        }
    };
}

macro_rules! limits_by_name {
    ($($field:ident: $better:ident,)*) => {
        impl Limits {
            /// All of them, by name.
            #[must_use]
            pub fn by_name(&self) -> Vec<(&'static str, u64)> {
                alloc::vec![$((stringify!($field), u64::from(self.$field)),)*]
            }

            /// Sets a limit by its name. Gives false if there is none of this name, or it cannot
            /// be so high.
            #[must_use]
            pub fn set(&mut self, name: &str, value: u64) -> bool {
                match name {
                    $(stringify!($field) => match value.try_into() {
                        Ok(value) => self.$field = value,
                        Err(_) => return false,
                    },)*
                    _ => return false,
                }
                true
            }
        }
    };
}
for_each_limit!(limits_by_name);

impl Feature {
    /// Its name: `shader-f16`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Feature::DepthClipControl => "depth-clip-control",
            Feature::Depth32FloatStencil8 => "depth32float-stencil8",
            Feature::TextureCompressionBc => "texture-compression-bc",
            Feature::TextureCompressionBcSliced3d => "texture-compression-bc-sliced-3d",
            Feature::TextureCompressionEtc2 => "texture-compression-etc2",
            Feature::TextureCompressionAstc => "texture-compression-astc",
            Feature::TextureCompressionAstcSliced3d => "texture-compression-astc-sliced-3d",
            Feature::TimestampQuery => "timestamp-query",
            Feature::IndirectFirstInstance => "indirect-first-instance",
            Feature::ShaderF16 => "shader-f16",
            Feature::Rg11b10UfloatRenderable => "rg11b10ufloat-renderable",
            Feature::Bgra8UnormStorage => "bgra8unorm-storage",
            Feature::Float32Filterable => "float32-filterable",
            Feature::Float32Blendable => "float32-blendable",
            Feature::ClipDistances => "clip-distances",
            Feature::DualSourceBlending => "dual-source-blending",
            Feature::Subgroups => "subgroups",
            Feature::PrimitiveIndex => "primitive-index",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let mut known = Self::ALL.iter().copied();
        known.find(|feature| feature.name() == name)
    }
}
