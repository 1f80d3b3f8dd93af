//! Limits and features of the interface and of wgpu, and which is better.

use wherry_gpu_abi::{Feature, Limits};

use crate::convert;

/// Whether more or less of it is better.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Better {
    Higher,
    Lower,
}

macro_rules! limits {
    ($($field:ident: $better:ident,)*) => {
        /// As wgpu has them; what the interface does not have is as little as wgpu's default.
        pub(crate) fn to_wgpu(limits: &Limits) -> wgpu::Limits {
            wgpu::Limits {
                $($field: limits.$field,)*
                ..wgpu::Limits::default()
            }
        }

        pub(crate) fn from_wgpu(limits: &wgpu::Limits) -> Limits {
            Limits { $($field: limits.$field,)* }
        }

        /// The better of the two, limit by limit.
        pub(crate) fn best(a: &Limits, b: &Limits) -> Limits {
            Limits { $($field: match Better::$better {
                Better::Higher => a.$field.max(b.$field),
                Better::Lower => a.$field.min(b.$field),
            },)* }
        }

        /// The first limit of `wanted` that is better than in `have`: its name, what is wanted,
        /// and what there is.
        pub(crate) fn lacking(wanted: &Limits, have: &Limits) -> Option<(&'static str, u64, u64)> {
            $(
                let (want, has) = (u64::from(wanted.$field), u64::from(have.$field));
                if (Better::$better == Better::Higher && want > has)
                    || (Better::$better == Better::Lower && want < has)
                {
                    return Some((stringify!($field), want, has));
                }
            )*
            None
        }

        /// Sets a limit by its name. Gives false if there is none of this name, or it cannot be
        /// so high.
        pub(crate) fn set(limits: &mut Limits, name: &str, value: u64) -> bool {
            match name {
                $(stringify!($field) => match value.try_into() {
                    Ok(value) => limits.$field = value,
                    Err(_) => return false,
                },)*
                _ => return false,
            }
            true
        }

        /// All of them, by name.
        pub(crate) fn by_name(limits: &Limits) -> Vec<(&'static str, u64)> {
            vec![$((stringify!($field), u64::from(limits.$field)),)*]
        }
    };
}

limits! {
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

/// What of the interface's features is among those of wgpu, ascending.
pub(crate) fn features_from_wgpu(features: wgpu::Features) -> Vec<Feature> {
    let known = Feature::ALL.iter().copied();
    known
        .filter(|feature| features.contains(convert::feature(*feature)))
        .collect()
}

pub(crate) fn features_to_wgpu(features: &[Feature]) -> wgpu::Features {
    let features = features.iter().copied().map(convert::feature);
    features.fold(wgpu::Features::empty(), |all, feature| all | feature)
}

/// The feature's name in the standard: `shader-f16`.
pub(crate) fn feature_name(feature: Feature) -> &'static str {
    match feature {
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

pub(crate) fn feature_of_name(name: &str) -> Option<Feature> {
    let mut known = Feature::ALL.iter().copied();
    known.find(|feature| feature_name(*feature) == name)
}
