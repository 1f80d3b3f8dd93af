//! The adapter that a guest sees, the device it opens, and what it is told of errors.

use alloc::string::String;
use alloc::vec::Vec;

use crate::wire::record;
use crate::{AdapterType, Backend, Feature, MessageType};

record! {
    /// What `adapter` gives. Features and limits are those that the job may use, not all that the
    /// hardware has.
    AdapterRecord {
        /// The vendor's name, or empty.
        vendor: String,
        /// The family of the adapter, or empty.
        architecture: String,
        /// The name of the adapter.
        device: String,
        /// Its driver.
        description: String,
        /// Which interface it is driven through.
        backend: Backend,
        /// What it is.
        adapter_type: AdapterType,
        /// The vendor's number, or 0.
        vendor_id: u32,
        /// The adapter's number, or 0.
        device_id: u32,
        /// The smallest subgroup.
        subgroup_min_size: u32,
        /// The largest subgroup.
        subgroup_max_size: u32,
        /// Ascending.
        features: Vec<Feature>,
        /// The best limits that a device can have.
        limits: Limits,
    }
}

record! {
    /// What a device is opened with. It has these features and limits, and no other.
    DeviceDescriptor {
        /// For messages.
        label: String,
        /// Ascending.
        features: Vec<Feature>,
        /// None is better than the adapter's; where one is worse than WebGPU's default, the device
        /// has the default.
        limits: Limits,
    }
}

record! {
    /// `WGPULimits`
    #[expect(missing_docs, reason = "the names are WebGPU's")]
    #[derive(Copy, Eq)]
    Limits {
        max_texture_dimension_1d: u32,
        max_texture_dimension_2d: u32,
        max_texture_dimension_3d: u32,
        max_texture_array_layers: u32,
        max_bind_groups: u32,
        max_bind_groups_plus_vertex_buffers: u32,
        max_bindings_per_bind_group: u32,
        max_dynamic_uniform_buffers_per_pipeline_layout: u32,
        max_dynamic_storage_buffers_per_pipeline_layout: u32,
        max_sampled_textures_per_shader_stage: u32,
        max_samplers_per_shader_stage: u32,
        max_storage_buffers_per_shader_stage: u32,
        max_storage_textures_per_shader_stage: u32,
        max_uniform_buffers_per_shader_stage: u32,
        max_uniform_buffer_binding_size: u64,
        max_storage_buffer_binding_size: u64,
        min_uniform_buffer_offset_alignment: u32,
        min_storage_buffer_offset_alignment: u32,
        max_vertex_buffers: u32,
        max_buffer_size: u64,
        max_vertex_attributes: u32,
        max_vertex_buffer_array_stride: u32,
        max_inter_stage_shader_variables: u32,
        max_color_attachments: u32,
        max_color_attachment_bytes_per_sample: u32,
        max_compute_workgroup_storage_size: u32,
        max_compute_invocations_per_workgroup: u32,
        max_compute_workgroup_size_x: u32,
        max_compute_workgroup_size_y: u32,
        max_compute_workgroup_size_z: u32,
        max_compute_workgroups_per_dimension: u32,
    }
}

impl Limits {
    /// What every device has, by the WebGPU standard: the portable profile.
    pub const DEFAULT: Self = Self {
        max_texture_dimension_1d: 8192,
        max_texture_dimension_2d: 8192,
        max_texture_dimension_3d: 2048,
        max_texture_array_layers: 256,
        max_bind_groups: 4,
        max_bind_groups_plus_vertex_buffers: 24,
        max_bindings_per_bind_group: 1000,
        max_dynamic_uniform_buffers_per_pipeline_layout: 8,
        max_dynamic_storage_buffers_per_pipeline_layout: 4,
        max_sampled_textures_per_shader_stage: 16,
        max_samplers_per_shader_stage: 16,
        max_storage_buffers_per_shader_stage: 8,
        max_storage_textures_per_shader_stage: 4,
        max_uniform_buffers_per_shader_stage: 12,
        max_uniform_buffer_binding_size: 64 << 10,
        max_storage_buffer_binding_size: 128 << 20,
        min_uniform_buffer_offset_alignment: 256,
        min_storage_buffer_offset_alignment: 256,
        max_vertex_buffers: 8,
        max_buffer_size: 256 << 20,
        max_vertex_attributes: 16,
        max_vertex_buffer_array_stride: 2048,
        max_inter_stage_shader_variables: 16,
        max_color_attachments: 8,
        max_color_attachment_bytes_per_sample: 32,
        max_compute_workgroup_storage_size: 16384,
        max_compute_invocations_per_workgroup: 256,
        max_compute_workgroup_size_x: 256,
        max_compute_workgroup_size_y: 256,
        max_compute_workgroup_size_z: 64,
        max_compute_workgroups_per_dimension: 65535,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

record! {
    /// What `error` gives.
    ErrorRecord {
        /// What the last call that failed returned; 0 if none did.
        status: u32,
        /// What was wrong, or why the device was lost.
        message: String,
    }
}

record! {
    /// What `messages` gives.
    CompilationInfo {
        /// In the order of the source.
        messages: Vec<CompilationMessage>,
    }
}

record! {
    /// What the compiler says of a shader.
    CompilationMessage {
        /// How bad it is.
        ty: MessageType,
        /// Where in the source, from 1; 0 if it is of no place.
        line: u32,
        /// Where in the line, in bytes from 1; 0 if it is of no place.
        column: u32,
        /// Where in the source, in bytes from 0.
        offset: u32,
        /// How much of the source, in bytes.
        length: u32,
        /// What it says.
        message: String,
    }
}
