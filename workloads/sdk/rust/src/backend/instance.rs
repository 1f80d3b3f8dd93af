//! The instance and its one adapter.

use std::future::ready;
use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};

use wgpu::custom::{
    AdapterInterface, DispatchAdapter, DispatchDevice, DispatchQueue, DispatchSurface,
    EnumerateAdapterFuture, InstanceInterface, RequestAdapterFuture, RequestDeviceFuture,
};
use wgpu::{Backends, Features, Limits, RequestAdapterError, RequestDeviceError, wgt};
use wherry_gpu_abi as abi;

use super::context::Context;
use super::convert;
use super::device::Device;
use super::host;
use super::lock;
use super::queue::Queue;
use super::unsupported::no_surface;

/// The instance that speaks to the node.
pub(crate) fn instance() -> wgpu::Instance {
    wgpu::Instance::from_custom(Instance::default())
}

#[derive(Debug, Default)]
struct Instance {
    device: OpenDevice,
}

/// The device that was opened last, while it lives.
type OpenDevice = Arc<Mutex<Weak<Context>>>;

impl Instance {
    fn adapter(&self) -> Option<Adapter> {
        let version = host::version();
        assert!(
            version == abi::VERSION,
            "this program speaks version {} of the interface to the GPU, and the node version {version}",
            abi::VERSION
        );
        Some(Adapter {
            record: host::adapter()?,
            device: self.device.clone(),
        })
    }
}

impl InstanceInterface for Instance {
    fn new(_: wgpu::InstanceDescriptor) -> Self {
        Instance::default()
    }

    #[expect(unsafe_code, reason = "the trait's method is unsafe")]
    unsafe fn create_surface(
        &self,
        _: wgpu::SurfaceTargetUnsafe,
    ) -> Result<DispatchSurface, wgpu::CreateSurfaceError> {
        Err(no_surface())
    }

    fn request_adapter(
        &self,
        options: &wgpu::RequestAdapterOptions<'_, '_>,
    ) -> Pin<Box<dyn RequestAdapterFuture>> {
        let adapter = self.adapter();
        let fallback = options.force_fallback_adapter;
        let found = adapter.ok_or_else(no_adapter).and_then(|adapter| {
            match fallback && adapter.record.adapter_type != abi::AdapterType::Cpu {
                true => Err(no_adapter()),
                false => Ok(DispatchAdapter::custom(adapter)),
            }
        });
        Box::pin(ready(found))
    }

    fn poll_all_devices(&self, force_wait: bool) -> bool {
        let Some(context) = lock(&self.device).upgrade() else {
            return true;
        };
        let poll = match force_wait {
            true => wgt::PollType::wait_indefinitely(),
            false => wgt::PollType::Poll,
        };
        context
            .poll(poll)
            .is_ok_and(|status| status.is_queue_empty())
    }

    fn wgsl_language_features(&self) -> wgpu::WgslLanguageFeatures {
        wgpu::WgslLanguageFeatures::ReadOnlyAndReadWriteStorageTextures
            | wgpu::WgslLanguageFeatures::Packed4x8IntegerDotProduct
            | wgpu::WgslLanguageFeatures::PointerCompositeAccess
    }

    fn enumerate_adapters(&self, _: Backends) -> Pin<Box<dyn EnumerateAdapterFuture>> {
        let adapter = self.adapter().map(DispatchAdapter::custom);
        Box::pin(ready(adapter.into_iter().collect::<Vec<_>>()))
    }
}

fn no_adapter() -> RequestAdapterError {
    RequestAdapterError::NotFound {
        active_backends: Backends::all(),
        requested_backends: Backends::all(),
        supported_backends: Backends::all(),
        no_fallback_backends: Backends::empty(),
        no_adapter_backends: Backends::all(),
        incompatible_surface_backends: Backends::empty(),
    }
}

#[derive(Debug)]
struct Adapter {
    record: abi::AdapterRecord,
    device: OpenDevice,
}

impl Adapter {
    fn open(
        &self,
        descriptor: &wgpu::DeviceDescriptor<'_>,
    ) -> Result<(Device, Queue), RequestDeviceError> {
        let refused = |message: String| Err(RequestDeviceError::from_message(message));
        let missing = descriptor.required_features - self.features();
        if !missing.is_empty() {
            return refused(format!("the job may not use these features: {missing:?}"));
        }
        let mut beyond = Vec::new();
        descriptor.required_limits.check_limits_with_fail_fn(
            &self.limits(),
            false,
            |name, wanted, allowed| beyond.push(format!("{name} is {allowed}, not {wanted}")),
        );
        if !beyond.is_empty() {
            return refused(format!("the limits are lower: {}", beyond.join(", ")));
        }
        let opened = host::open(&abi::DeviceDescriptor {
            label: convert::label(descriptor.label),
            features: features_to_host(descriptor.required_features),
            limits: limits_to_host(&descriptor.required_limits),
        });
        if let Err(failed) = opened {
            return refused(failed.message);
        }
        let context = Context::of_open_device();
        *lock(&self.device) = Arc::downgrade(&context);
        let device = Device {
            context: context.clone(),
            features: descriptor.required_features,
            limits: descriptor
                .required_limits
                .clone()
                .or_better_values_from(&Limits::defaults()),
            info: self.get_info(),
        };
        Ok((device, Queue { context }))
    }
}

impl AdapterInterface for Adapter {
    fn request_device(
        &self,
        descriptor: &wgpu::DeviceDescriptor<'_>,
    ) -> Pin<Box<dyn RequestDeviceFuture>> {
        let opened = self
            .open(descriptor)
            .map(|(device, queue)| (DispatchDevice::custom(device), DispatchQueue::custom(queue)));
        Box::pin(ready(opened))
    }

    fn is_surface_supported(&self, _: &DispatchSurface) -> bool {
        false
    }

    fn features(&self) -> Features {
        let supported = |(_, host): &&(Features, abi::Feature)| self.record.features.contains(host);
        FEATURES
            .iter()
            .filter(supported)
            .fold(Features::empty(), |all, (feature, _)| all | *feature)
    }

    fn limits(&self) -> Limits {
        limits_from_host(&self.record.limits)
    }

    fn downlevel_capabilities(&self) -> wgpu::DownlevelCapabilities {
        wgpu::DownlevelCapabilities::default()
    }

    fn get_info(&self) -> wgpu::AdapterInfo {
        let record = &self.record;
        wgpu::AdapterInfo {
            name: record.device.clone(),
            vendor: record.vendor_id,
            device: record.device_id,
            driver: record.vendor.clone(),
            driver_info: record.description.clone(),
            subgroup_min_size: record.subgroup_min_size,
            subgroup_max_size: record.subgroup_max_size,
            ..wgpu::AdapterInfo::new(
                match record.adapter_type {
                    abi::AdapterType::DiscreteGpu => wgpu::DeviceType::DiscreteGpu,
                    abi::AdapterType::IntegratedGpu => wgpu::DeviceType::IntegratedGpu,
                    abi::AdapterType::Cpu => wgpu::DeviceType::Cpu,
                    abi::AdapterType::Unknown => wgpu::DeviceType::Other,
                },
                match record.backend {
                    abi::Backend::Null => wgpu::Backend::Noop,
                    abi::Backend::D3D12 => wgpu::Backend::Dx12,
                    abi::Backend::Metal => wgpu::Backend::Metal,
                    abi::Backend::Vulkan => wgpu::Backend::Vulkan,
                },
            )
        }
    }

    fn get_texture_format_features(
        &self,
        format: wgpu::TextureFormat,
    ) -> wgpu::TextureFormatFeatures {
        format.guaranteed_format_features(self.features())
    }

    fn get_presentation_timestamp(&self) -> wgpu::PresentationTimestamp {
        wgpu::PresentationTimestamp::INVALID_TIMESTAMP
    }

    fn cooperative_matrix_properties(&self) -> Vec<wgt::CooperativeMatrixProperties> {
        Vec::new()
    }
}

const FEATURES: &[(Features, abi::Feature)] = &[
    (Features::DEPTH_CLIP_CONTROL, abi::Feature::DepthClipControl),
    (
        Features::DEPTH32FLOAT_STENCIL8,
        abi::Feature::Depth32FloatStencil8,
    ),
    (
        Features::TEXTURE_COMPRESSION_BC,
        abi::Feature::TextureCompressionBc,
    ),
    (
        Features::TEXTURE_COMPRESSION_BC_SLICED_3D,
        abi::Feature::TextureCompressionBcSliced3d,
    ),
    (
        Features::TEXTURE_COMPRESSION_ETC2,
        abi::Feature::TextureCompressionEtc2,
    ),
    (
        Features::TEXTURE_COMPRESSION_ASTC,
        abi::Feature::TextureCompressionAstc,
    ),
    (
        Features::TEXTURE_COMPRESSION_ASTC_SLICED_3D,
        abi::Feature::TextureCompressionAstcSliced3d,
    ),
    (Features::TIMESTAMP_QUERY, abi::Feature::TimestampQuery),
    (
        Features::INDIRECT_FIRST_INSTANCE,
        abi::Feature::IndirectFirstInstance,
    ),
    (Features::SHADER_F16, abi::Feature::ShaderF16),
    (
        Features::RG11B10UFLOAT_RENDERABLE,
        abi::Feature::Rg11b10UfloatRenderable,
    ),
    (
        Features::BGRA8UNORM_STORAGE,
        abi::Feature::Bgra8UnormStorage,
    ),
    (
        Features::FLOAT32_FILTERABLE,
        abi::Feature::Float32Filterable,
    ),
    (Features::FLOAT32_BLENDABLE, abi::Feature::Float32Blendable),
    (Features::CLIP_DISTANCES, abi::Feature::ClipDistances),
    (
        Features::DUAL_SOURCE_BLENDING,
        abi::Feature::DualSourceBlending,
    ),
    (Features::SUBGROUP, abi::Feature::Subgroups),
    (Features::PRIMITIVE_INDEX, abi::Feature::PrimitiveIndex),
];

/// In ascending order, as the interface has it.
fn features_to_host(features: Features) -> Vec<abi::Feature> {
    let wanted = FEATURES
        .iter()
        .filter(|(feature, _)| features.contains(*feature));
    let mut features: Vec<_> = wanted.map(|(_, host)| *host).collect();
    features.sort();
    features
}

/// Limits have the same names on both sides.
macro_rules! limits {
    ($($name:ident)*) => {
        fn limits_to_host(limits: &Limits) -> abi::Limits {
            abi::Limits { $($name: limits.$name,)* }
        }

        fn limits_from_host(limits: &abi::Limits) -> Limits {
            Limits { $($name: limits.$name,)* ..Limits::defaults() }
        }
    };
}

limits! {
    max_texture_dimension_1d max_texture_dimension_2d max_texture_dimension_3d max_texture_array_layers
    max_bind_groups max_bind_groups_plus_vertex_buffers max_bindings_per_bind_group
    max_dynamic_uniform_buffers_per_pipeline_layout max_dynamic_storage_buffers_per_pipeline_layout
    max_sampled_textures_per_shader_stage max_samplers_per_shader_stage max_storage_buffers_per_shader_stage
    max_storage_textures_per_shader_stage max_uniform_buffers_per_shader_stage max_uniform_buffer_binding_size
    max_storage_buffer_binding_size min_uniform_buffer_offset_alignment min_storage_buffer_offset_alignment
    max_vertex_buffers max_buffer_size max_vertex_attributes max_vertex_buffer_array_stride
    max_inter_stage_shader_variables max_color_attachments max_color_attachment_bytes_per_sample
    max_compute_workgroup_storage_size max_compute_invocations_per_workgroup max_compute_workgroup_size_x
    max_compute_workgroup_size_y max_compute_workgroup_size_z max_compute_workgroups_per_dimension
}
