//! The device: makes objects, and is where errors, polling and loss are asked for.

use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;

use wgpu::custom::{
    BoxDeviceLostCallback, DeviceInterface, DispatchBindGroup, DispatchBindGroupLayout,
    DispatchBlas, DispatchBuffer, DispatchCommandEncoder, DispatchComputePipeline,
    DispatchExternalTexture, DispatchPipelineCache, DispatchPipelineLayout, DispatchQuerySet,
    DispatchRenderBundleEncoder, DispatchRenderPipeline, DispatchSampler, DispatchShaderModule,
    DispatchTexture, DispatchTlas, PopErrorScopeFuture,
};
use wgpu::{PollError, PollStatus, wgt};
use wherry_gpu_abi::{RenderPipelineDescriptor, ShaderModuleDescriptor};

use super::buffer::Buffer;
use super::bundle::RenderBundleEncoder;
use super::context::Context;
use super::convert;
use super::encoder::CommandEncoder;
use super::errors::Unsupported;
use super::objects::{
    BindGroup, BindGroupLayout, ComputePipeline, PipelineLayout, QuerySet, RenderPipeline, Sampler,
    ShaderModule, Texture,
};
use super::shaders;
use super::unsupported::Absent;

#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) context: Arc<Context>,
    pub(crate) features: wgpu::Features,
    pub(crate) limits: wgpu::Limits,
    pub(crate) info: wgpu::AdapterInfo,
}

impl Device {
    /// A device whose objects the host never hears of.
    pub(crate) fn of_no_device() -> Self {
        Device {
            context: Context::of_no_device(),
            features: wgpu::Features::empty(),
            limits: wgpu::Limits::defaults(),
            info: wgpu::AdapterInfo::new(wgpu::DeviceType::Other, wgpu::Backend::Noop),
        }
    }

    #[track_caller]
    fn refuse(&self, call: &str, what: &str) {
        self.context.errors.invalid(call, &Unsupported::new(what).0);
    }
}

#[expect(unsafe_code, reason = "some of the trait's methods are unsafe")]
impl DeviceInterface for Device {
    fn features(&self) -> wgpu::Features {
        self.features
    }

    fn limits(&self) -> wgpu::Limits {
        self.limits.clone()
    }

    fn adapter_info(&self) -> wgpu::AdapterInfo {
        self.info.clone()
    }

    /// The node always checks what a shader does, whatever the program asks for.
    fn create_shader_module(
        &self,
        descriptor: wgpu::ShaderModuleDescriptor<'_>,
        _: wgpu::ShaderRuntimeChecks,
    ) -> DispatchShaderModule {
        let descriptor = shaders::module(descriptor);
        let module = self
            .context
            .create("Device::create_shader_module", descriptor);
        DispatchShaderModule::custom(ShaderModule(module))
    }

    unsafe fn create_shader_module_passthrough(
        &self,
        _: &wgpu::ShaderModuleDescriptorPassthrough<'_>,
    ) -> DispatchShaderModule {
        let refusal = Unsupported::new("a shader that is passed through");
        let module = self.context.create::<ShaderModuleDescriptor>(
            "Device::create_shader_module_passthrough",
            Err(refusal),
        );
        DispatchShaderModule::custom(ShaderModule(module))
    }

    fn create_bind_group_layout(
        &self,
        descriptor: &wgpu::BindGroupLayoutDescriptor<'_>,
    ) -> DispatchBindGroupLayout {
        let descriptor = convert::bind_group_layout(descriptor);
        let layout = self
            .context
            .create("Device::create_bind_group_layout", descriptor);
        DispatchBindGroupLayout::custom(BindGroupLayout(layout))
    }

    fn create_bind_group(&self, descriptor: &wgpu::BindGroupDescriptor<'_>) -> DispatchBindGroup {
        let descriptor = convert::bind_group(descriptor);
        let group = self.context.create("Device::create_bind_group", descriptor);
        DispatchBindGroup::custom(BindGroup(group))
    }

    fn create_pipeline_layout(
        &self,
        descriptor: &wgpu::PipelineLayoutDescriptor<'_>,
    ) -> DispatchPipelineLayout {
        let descriptor = convert::pipeline_layout(descriptor);
        let layout = self
            .context
            .create("Device::create_pipeline_layout", descriptor);
        DispatchPipelineLayout::custom(PipelineLayout(layout))
    }

    fn create_render_pipeline(
        &self,
        descriptor: &wgpu::RenderPipelineDescriptor<'_>,
    ) -> DispatchRenderPipeline {
        let descriptor = shaders::render_pipeline(descriptor);
        let pipeline = self
            .context
            .create("Device::create_render_pipeline", descriptor);
        DispatchRenderPipeline::custom(RenderPipeline(pipeline))
    }

    fn create_mesh_pipeline(&self, _: &wgpu::MeshPipelineDescriptor<'_>) -> DispatchRenderPipeline {
        let refusal = Unsupported::new("a pipeline of mesh shaders");
        let pipeline = self
            .context
            .create::<RenderPipelineDescriptor>("Device::create_mesh_pipeline", Err(refusal));
        DispatchRenderPipeline::custom(RenderPipeline(pipeline))
    }

    fn create_compute_pipeline(
        &self,
        descriptor: &wgpu::ComputePipelineDescriptor<'_>,
    ) -> DispatchComputePipeline {
        let descriptor = shaders::compute_pipeline(descriptor);
        let pipeline = self
            .context
            .create("Device::create_compute_pipeline", descriptor);
        DispatchComputePipeline::custom(ComputePipeline(pipeline))
    }

    unsafe fn create_pipeline_cache(
        &self,
        _: &wgpu::PipelineCacheDescriptor<'_>,
    ) -> DispatchPipelineCache {
        self.refuse("Device::create_pipeline_cache", "a pipeline cache");
        DispatchPipelineCache::custom(Absent)
    }

    fn create_buffer(&self, descriptor: &wgpu::BufferDescriptor<'_>) -> DispatchBuffer {
        DispatchBuffer::custom(Buffer::new(&self.context, descriptor))
    }

    fn create_texture(&self, descriptor: &wgpu::TextureDescriptor<'_>) -> DispatchTexture {
        let descriptor = convert::texture(descriptor);
        let texture = self.context.create("Device::create_texture", descriptor);
        DispatchTexture::custom(Texture(texture))
    }

    fn create_external_texture(
        &self,
        _: &wgpu::ExternalTextureDescriptor<'_>,
        _: &[&wgpu::TextureView],
    ) -> DispatchExternalTexture {
        self.refuse("Device::create_external_texture", "an external texture");
        DispatchExternalTexture::custom(Absent)
    }

    fn create_blas(
        &self,
        _: &wgpu::CreateBlasDescriptor<'_>,
        _: wgpu::BlasGeometrySizeDescriptors,
    ) -> (Option<u64>, DispatchBlas) {
        self.refuse("Device::create_blas", "an acceleration structure");
        (None, DispatchBlas::custom(Absent))
    }

    fn create_tlas(&self, _: &wgpu::CreateTlasDescriptor<'_>) -> DispatchTlas {
        self.refuse("Device::create_tlas", "an acceleration structure");
        DispatchTlas::custom(Absent)
    }

    fn create_sampler(&self, descriptor: &wgpu::SamplerDescriptor<'_>) -> DispatchSampler {
        let descriptor = convert::sampler(descriptor);
        let sampler = self.context.create("Device::create_sampler", descriptor);
        DispatchSampler::custom(Sampler(sampler))
    }

    fn create_query_set(&self, descriptor: &wgpu::QuerySetDescriptor<'_>) -> DispatchQuerySet {
        let descriptor = convert::query_set(descriptor);
        let query_set = self.context.create("Device::create_query_set", descriptor);
        DispatchQuerySet::custom(QuerySet(query_set))
    }

    fn create_command_encoder(
        &self,
        descriptor: &wgpu::CommandEncoderDescriptor<'_>,
    ) -> DispatchCommandEncoder {
        DispatchCommandEncoder::custom(CommandEncoder::new(&self.context, descriptor.label))
    }

    fn create_render_bundle_encoder(
        &self,
        descriptor: &wgpu::RenderBundleEncoderDescriptor<'_>,
    ) -> DispatchRenderBundleEncoder {
        DispatchRenderBundleEncoder::custom(RenderBundleEncoder::new(&self.context, descriptor))
    }

    fn set_device_lost_callback(&self, callback: BoxDeviceLostCallback) {
        self.context.when_lost(callback);
    }

    fn on_uncaptured_error(&self, handler: Arc<dyn wgpu::UncapturedErrorHandler>) {
        self.context.errors.handle_with(handler);
    }

    fn push_error_scope(&self, filter: wgpu::ErrorFilter) -> u32 {
        self.context.errors.push(filter)
    }

    fn pop_error_scope(&self, index: u32) -> Pin<Box<dyn PopErrorScopeFuture>> {
        Box::pin(ready(self.context.errors.pop(index)))
    }

    /// There is no debugger to see it.
    unsafe fn start_graphics_debugger_capture(&self) {}

    unsafe fn stop_graphics_debugger_capture(&self) {}

    fn poll(&self, poll: wgt::PollType<u64>) -> Result<PollStatus, PollError> {
        self.context.poll(poll)
    }

    fn get_internal_counters(&self) -> wgpu::InternalCounters {
        wgpu::InternalCounters::default()
    }

    fn generate_allocator_report(&self) -> Option<wgpu::AllocatorReport> {
        None
    }

    fn destroy(&self) {
        self.context.destroy();
    }
}
