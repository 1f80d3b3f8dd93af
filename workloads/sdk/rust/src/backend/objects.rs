//! Objects that have little behaviour of their own: the host does with them what there is to do.

use std::future::ready;
use std::pin::Pin;

use wgpu::custom::{
    BindGroupInterface, BindGroupLayoutInterface, ComputePipelineInterface,
    DispatchBindGroupLayout, DispatchTextureView, PipelineLayoutInterface, QuerySetInterface,
    RenderBundleInterface, RenderPipelineInterface, SamplerInterface, ShaderCompilationInfoFuture,
    ShaderModuleInterface, TextureInterface, TextureViewInterface,
};
use wherry_gpu_abi as abi;

use super::context::Object;
use super::convert;
use super::host;

macro_rules! objects {
    ($($name:ident)*) => {
        $(
            #[derive(Debug)]
            pub(crate) struct $name(pub(crate) Object);
        )*
    };
}

objects! {
    Texture TextureView Sampler QuerySet ShaderModule BindGroupLayout PipelineLayout BindGroup ComputePipeline
    RenderPipeline RenderBundle
}

impl TextureInterface for Texture {
    fn create_view(&self, descriptor: &wgpu::TextureViewDescriptor<'_>) -> DispatchTextureView {
        let descriptor = convert::texture_view(self.0.handle, descriptor);
        let view = self.0.context.create("Texture::create_view", descriptor);
        DispatchTextureView::custom(TextureView(view))
    }

    fn destroy(&self) {
        self.0.destroy("Texture::destroy");
    }
}

impl TextureViewInterface for TextureView {}

impl SamplerInterface for Sampler {}

impl QuerySetInterface for QuerySet {
    fn destroy(&self) {
        self.0.destroy("QuerySet::destroy");
    }
}

impl ShaderModuleInterface for ShaderModule {
    fn get_compilation_info(&self) -> Pin<Box<dyn ShaderCompilationInfoFuture>> {
        let messages = host::messages(self.0.handle).into_iter().map(message);
        Box::pin(ready(wgpu::CompilationInfo {
            messages: messages.collect(),
        }))
    }
}

fn message(message: abi::CompilationMessage) -> wgpu::CompilationMessage {
    wgpu::CompilationMessage {
        message_type: match message.ty {
            abi::MessageType::Error => wgpu::CompilationMessageType::Error,
            abi::MessageType::Warning => wgpu::CompilationMessageType::Warning,
            abi::MessageType::Info => wgpu::CompilationMessageType::Info,
        },
        location: (message.line > 0).then_some(wgpu::SourceLocation {
            line_number: message.line,
            line_position: message.column,
            offset: message.offset,
            length: message.length,
        }),
        message: message.message,
    }
}

impl BindGroupLayoutInterface for BindGroupLayout {}

impl PipelineLayoutInterface for PipelineLayout {}

impl BindGroupInterface for BindGroup {}

impl ComputePipelineInterface for ComputePipeline {
    fn get_bind_group_layout(&self, index: u32) -> DispatchBindGroupLayout {
        group_layout("ComputePipeline::get_bind_group_layout", &self.0, index)
    }
}

impl RenderPipelineInterface for RenderPipeline {
    fn get_bind_group_layout(&self, index: u32) -> DispatchBindGroupLayout {
        group_layout("RenderPipeline::get_bind_group_layout", &self.0, index)
    }
}

fn group_layout(call: &str, pipeline: &Object, index: u32) -> DispatchBindGroupLayout {
    let descriptor = abi::PipelineBindGroupLayoutDescriptor {
        pipeline: pipeline.handle,
        index,
    };
    let layout = pipeline.context.create(call, Ok(descriptor));
    DispatchBindGroupLayout::custom(BindGroupLayout(layout))
}

impl RenderBundleInterface for RenderBundle {}
