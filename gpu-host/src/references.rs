//! The places in a recipe that name other objects.

use wherry_gpu_abi::{
    BindingResource, Command, Descriptor, Handle, PassTimestampWrites, PipelineLayoutDescriptor,
    RenderBundleDescriptor,
};

/// Every place of a recipe that names an object or may name one, in a fixed order.
pub(crate) fn handles_mut(recipe: &mut Descriptor) -> Vec<&mut Handle> {
    match recipe {
        Descriptor::Buffer(_)
        | Descriptor::Texture(_)
        | Descriptor::Sampler(_)
        | Descriptor::QuerySet(_)
        | Descriptor::ShaderModule(_)
        | Descriptor::BindGroupLayout(_) => Vec::new(),
        Descriptor::TextureView(view) => vec![&mut view.texture],
        Descriptor::PipelineBindGroupLayout(layout) => vec![&mut layout.pipeline],
        Descriptor::PipelineLayout(layout) => layout.bind_group_layouts.iter_mut().collect(),
        Descriptor::BindGroup(group) => {
            let entries = group.entries.iter_mut();
            let resources = entries.map(|entry| match &mut entry.resource {
                BindingResource::Buffer(range) => &mut range.buffer,
                BindingResource::Sampler(handle) | BindingResource::TextureView(handle) => handle,
            });
            std::iter::once(&mut group.layout)
                .chain(resources)
                .collect()
        }
        Descriptor::ComputePipeline(pipeline) => {
            vec![&mut pipeline.layout, &mut pipeline.compute.module]
        }
        Descriptor::RenderPipeline(pipeline) => {
            let mut handles = vec![&mut pipeline.layout, &mut pipeline.vertex.stage.module];
            if let Some(fragment) = &mut pipeline.fragment {
                handles.push(&mut fragment.stage.module);
            }
            handles
        }
        Descriptor::RenderBundle(RenderBundleDescriptor { commands, .. }) => {
            commands.iter_mut().flat_map(of_command).collect()
        }
    }
}

/// The places of a command of a render bundle that name an object or may name one.
pub(crate) fn of_command(command: &mut Command) -> Vec<&mut Handle> {
    match command {
        Command::SetBindGroup { group, .. } => vec![group],
        Command::SetRenderPipeline { pipeline } => vec![pipeline],
        Command::SetVertexBuffer { buffer, .. }
        | Command::SetIndexBuffer { buffer, .. }
        | Command::DrawIndirect { buffer, .. }
        | Command::DrawIndexedIndirect { buffer, .. } => vec![buffer],
        // The others are refused in bundles.
        _ => Vec::new(),
    }
}

/// The objects that a recipe names.
pub(crate) fn parents(recipe: &Descriptor) -> Vec<Handle> {
    let mut recipe = recipe.clone();
    let handles = handles_mut(&mut recipe).into_iter().map(|handle| *handle);
    handles.filter(|handle| *handle != 0).collect()
}

/// The recipe of an object that could not be made.
pub(crate) fn nothing() -> Descriptor {
    Descriptor::PipelineLayout(PipelineLayoutDescriptor {
        label: String::new(),
        bind_group_layouts: Vec::new(),
    })
}

pub(crate) fn label(recipe: &Descriptor) -> &str {
    match recipe {
        Descriptor::Buffer(descriptor) => &descriptor.label,
        Descriptor::Texture(descriptor) => &descriptor.label,
        Descriptor::TextureView(descriptor) => &descriptor.label,
        Descriptor::Sampler(descriptor) => &descriptor.label,
        Descriptor::QuerySet(descriptor) => &descriptor.label,
        Descriptor::ShaderModule(descriptor) => &descriptor.label,
        Descriptor::BindGroupLayout(descriptor) => &descriptor.label,
        Descriptor::PipelineBindGroupLayout(_) => "",
        Descriptor::PipelineLayout(descriptor) => &descriptor.label,
        Descriptor::BindGroup(descriptor) => &descriptor.label,
        Descriptor::ComputePipeline(descriptor) => &descriptor.label,
        Descriptor::RenderPipeline(descriptor) => &descriptor.label,
        Descriptor::RenderBundle(descriptor) => &descriptor.label,
    }
}

/// The queries that a pass writes.
pub(crate) fn timestamp_queries(writes: &PassTimestampWrites) -> impl Iterator<Item = u32> + use<> {
    let queries = [writes.beginning_of_pass, writes.end_of_pass];
    queries
        .into_iter()
        .filter(|query| *query != wherry_gpu_abi::UNDEFINED)
}
