//! Making objects from their recipes, which have [`Id`]s in the place of handles.

use wherry_gpu_abi::{
    BindGroupDescriptor, BindGroupLayoutDescriptor, BindingResource, BindingType,
    BufferBindingType, BufferDescriptor, BufferUsage, Command, CompilationInfo, CompilationMessage,
    ComputePipelineDescriptor, Descriptor, MessageType, PipelineBindGroupLayoutDescriptor,
    PipelineLayoutDescriptor, ProgrammableStage, QuerySetDescriptor, RenderBundleDescriptor,
    RenderPipelineDescriptor, SamplerDescriptor, ShaderModuleDescriptor, StorageTextureAccess,
    TextureDescriptor, TextureUsage, TextureViewDescriptor, VertexBufferLayout,
};

use crate::convert;
use crate::device::Device;
use crate::fault::Failed;
use crate::format::{texture_format, vertex_format};
use crate::object::{BindGroup, Buffer, Id, Made, Mapped, QuerySet, Texture, TextureView};
use crate::table::Table;
use crate::{texels, wgsl};

/// The longest shader, in bytes of its source: nobody writes longer ones, and the compiler takes
/// its time.
const WGSL_BYTES: usize = 1 << 20;

/// Makes objects on a device.
pub(crate) struct Maker<'a> {
    pub(crate) device: &'a Device,
    pub(crate) table: &'a Table,
}

impl Maker<'_> {
    /// Makes an object. Gives an error where WebGPU does.
    pub(crate) fn make(&self, recipe: &Descriptor) -> Result<Made, Failed> {
        let made = match recipe {
            Descriptor::Buffer(descriptor) => self.buffer(descriptor)?,
            Descriptor::Texture(descriptor) => self.texture(descriptor)?,
            Descriptor::TextureView(descriptor) => self.texture_view(descriptor)?,
            Descriptor::Sampler(descriptor) => self.sampler(descriptor),
            Descriptor::QuerySet(descriptor) => self.query_set(descriptor),
            Descriptor::ShaderModule(descriptor) => return self.shader_module(descriptor),
            Descriptor::BindGroupLayout(descriptor) => self.bind_group_layout(descriptor),
            Descriptor::PipelineBindGroupLayout(descriptor) => {
                self.pipeline_bind_group_layout(descriptor)?
            }
            Descriptor::PipelineLayout(descriptor) => self.pipeline_layout(descriptor)?,
            Descriptor::BindGroup(descriptor) => self.bind_group(descriptor)?,
            Descriptor::ComputePipeline(descriptor) => self.compute_pipeline(descriptor)?,
            Descriptor::RenderPipeline(descriptor) => self.render_pipeline(descriptor)?,
            Descriptor::RenderBundle(descriptor) => self.render_bundle(descriptor)?,
        };
        self.device.take_error()?;
        Ok(made)
    }

    /// A buffer that can be mapped is an ordinary one: what the guest reads or writes is copied
    /// from or to it. All can be copied from or to, so that they can be saved and restored; what
    /// of that the guest may do is checked when it does.
    fn buffer(&self, descriptor: &BufferDescriptor) -> Result<Made, Failed> {
        let usage = descriptor.usage;
        let allowed_with = |map, copy| !usage.contains(map) || (map | copy).contains(usage);
        if usage == BufferUsage::NONE {
            return Err(Failed::validation("a buffer needs a usage"));
        }
        if !allowed_with(BufferUsage::MAP_READ, BufferUsage::COPY_DST)
            || !allowed_with(BufferUsage::MAP_WRITE, BufferUsage::COPY_SRC)
        {
            return Err(Failed::validation(
                "MAP_READ goes with COPY_DST only, and MAP_WRITE with COPY_SRC only",
            ));
        }
        if descriptor.mapped_at_creation && !descriptor.size.is_multiple_of(4) {
            return Err(Failed::validation(
                "the size of a buffer that is mapped at creation is a multiple of 4",
            ));
        }
        if descriptor.size > self.device.limits().max_buffer_size {
            return Err(Failed::validation(format!(
                "a buffer of {} bytes is larger than max_buffer_size, {}",
                descriptor.size,
                self.device.limits().max_buffer_size
            )));
        }
        let hidden = wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        let mappable = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::MAP_WRITE;
        let buffer = self.device.device.create_buffer(&wgpu::BufferDescriptor {
            label: label(&descriptor.label),
            // Copies are made in words.
            size: descriptor.size.next_multiple_of(4),
            usage: (convert::buffer_usage(usage) - mappable) | hidden,
            mapped_at_creation: false,
        });
        let mapped = descriptor.mapped_at_creation.then_some(Mapped {
            writes: true,
            start: 0,
            end: descriptor.size,
        });
        Ok(Made::Buffer(Buffer {
            buffer,
            size: descriptor.size,
            usage,
            mapped,
            destroyed: false,
            content: Default::default(),
        }))
    }

    fn texture(&self, descriptor: &TextureDescriptor) -> Result<Made, Failed> {
        texels::check_size(descriptor, self.device.limits())?;
        if descriptor.usage == TextureUsage::NONE {
            return Err(Failed::validation("a texture needs a usage"));
        }
        let formats: Vec<wgpu::TextureFormat> = descriptor
            .view_formats
            .iter()
            .map(|format| texture_format(*format))
            .collect();
        let texture = self.device.device.create_texture(&wgpu::TextureDescriptor {
            label: label(&descriptor.label),
            size: convert::extent(&descriptor.size),
            mip_level_count: descriptor.mip_level_count,
            sample_count: descriptor.sample_count,
            dimension: convert::dimension(descriptor.dimension),
            format: texture_format(descriptor.format),
            usage: convert::texture_usage(descriptor.usage) | texels::hidden_usage(descriptor),
            view_formats: &formats,
        });
        Ok(Made::Texture(Texture {
            texture,
            usage: descriptor.usage,
            destroyed: false,
            content: Default::default(),
        }))
    }

    fn texture_view(&self, descriptor: &TextureViewDescriptor) -> Result<Made, Failed> {
        let texture = self.table.texture(descriptor.texture)?;
        if !texture.usage.contains(descriptor.usage) {
            return Err(Failed::validation("the texture lacks a usage of the view"));
        }
        let all = descriptor.usage == TextureUsage::NONE;
        let whole = &texture.texture;
        Ok(Made::TextureView(TextureView {
            view: whole.create_view(&wgpu::TextureViewDescriptor {
                label: label(&descriptor.label),
                format: descriptor.format.map(texture_format),
                dimension: descriptor.dimension.map(convert::view_dimension),
                usage: Some(convert::texture_usage(if all {
                    texture.usage
                } else {
                    descriptor.usage
                })),
                aspect: convert::aspect(descriptor.aspect),
                base_mip_level: descriptor.base_mip_level,
                mip_level_count: convert::defined(descriptor.mip_level_count),
                base_array_layer: descriptor.base_array_layer,
                array_layer_count: convert::defined(descriptor.array_layer_count),
            }),
            texture: descriptor.texture,
            is_whole: whole.mip_level_count() == 1 && whole.depth_or_array_layers() == 1,
        }))
    }

    fn sampler(&self, descriptor: &SamplerDescriptor) -> Made {
        Made::Sampler(self.device.device.create_sampler(&wgpu::SamplerDescriptor {
            label: label(&descriptor.label),
            address_mode_u: convert::address_mode(descriptor.address_mode_u),
            address_mode_v: convert::address_mode(descriptor.address_mode_v),
            address_mode_w: convert::address_mode(descriptor.address_mode_w),
            mag_filter: convert::filter(descriptor.mag_filter),
            min_filter: convert::filter(descriptor.min_filter),
            mipmap_filter: convert::mipmap_filter(descriptor.mipmap_filter),
            lod_min_clamp: descriptor.lod_min_clamp,
            lod_max_clamp: descriptor.lod_max_clamp,
            compare: descriptor.compare.map(convert::compare),
            anisotropy_clamp: u16::try_from(descriptor.max_anisotropy).unwrap_or(u16::MAX),
            border_color: None,
        }))
    }

    fn query_set(&self, descriptor: &QuerySetDescriptor) -> Made {
        let set = self
            .device
            .device
            .create_query_set(&wgpu::QuerySetDescriptor {
                label: label(&descriptor.label),
                ty: convert::query_type(descriptor.query_type),
                count: descriptor.count,
            });
        Made::QuerySet(QuerySet {
            set,
            query_type: descriptor.query_type,
            count: descriptor.count,
            destroyed: false,
            written: Default::default(),
            restored: None,
        })
    }

    /// Only WGSL, validated, with all checks in the code.
    fn shader_module(&self, descriptor: &ShaderModuleDescriptor) -> Result<Made, Failed> {
        if descriptor.wgsl.len() > WGSL_BYTES {
            return Err(Failed::validation(format!(
                "a shader has at most {WGSL_BYTES} bytes of source"
            )));
        }
        wgsl::check_chains(&descriptor.wgsl)?;
        let device = &self.device.device;
        let module = wgpu::ShaderModuleDescriptor {
            label: label(&descriptor.label),
            source: wgpu::ShaderSource::Wgsl(descriptor.wgsl.as_str().into()),
        };
        let module = wgsl::with_deep_stack(|| device.create_shader_module(module))?;
        let info = messages(&pollster::block_on(module.get_compilation_info()));
        match self.device.take_error() {
            Ok(()) => Ok(Made::ShaderModule(module, info)),
            Err(Failed::Error(failure, message)) => Err(Failed::Shader(failure, message, info)),
            Err(failed) => Err(failed),
        }
    }

    fn bind_group_layout(&self, descriptor: &BindGroupLayoutDescriptor) -> Made {
        let entries: Vec<wgpu::BindGroupLayoutEntry> = descriptor
            .entries
            .iter()
            .map(|entry| wgpu::BindGroupLayoutEntry {
                binding: entry.binding,
                visibility: convert::stages(entry.visibility),
                ty: convert::binding_type(&entry.ty),
                count: None,
            })
            .collect();
        let descriptor = wgpu::BindGroupLayoutDescriptor {
            label: label(&descriptor.label),
            entries: &entries,
        };
        Made::BindGroupLayout(self.device.device.create_bind_group_layout(&descriptor))
    }

    fn pipeline_bind_group_layout(
        &self,
        descriptor: &PipelineBindGroupLayoutDescriptor,
    ) -> Result<Made, Failed> {
        let index = descriptor.index;
        if index >= self.device.limits().max_bind_groups {
            return Err(Failed::validation(format!(
                "no pipeline has a group {index}"
            )));
        }
        let layout = match &self.table.object(descriptor.pipeline)?.made {
            Made::RenderPipeline(pipeline) => pipeline.get_bind_group_layout(index),
            _ => self
                .table
                .compute_pipeline(descriptor.pipeline)?
                .get_bind_group_layout(index),
        };
        Ok(Made::BindGroupLayout(layout))
    }

    fn pipeline_layout(&self, descriptor: &PipelineLayoutDescriptor) -> Result<Made, Failed> {
        let layouts = descriptor.bind_group_layouts.iter();
        let layouts = layouts.map(|layout| match layout {
            0 => Ok(None),
            layout => self.table.bind_group_layout(*layout).map(Some),
        });
        let layouts: Vec<_> = layouts.collect::<Result<_, _>>()?;
        let descriptor = wgpu::PipelineLayoutDescriptor {
            label: label(&descriptor.label),
            bind_group_layouts: &layouts,
            immediate_size: 0,
        };
        let layout = self.device.device.create_pipeline_layout(&descriptor);
        Ok(Made::PipelineLayout(layout))
    }

    fn bind_group(&self, descriptor: &BindGroupDescriptor) -> Result<Made, Failed> {
        let layout = self.table.bind_group_layout(descriptor.layout)?;
        let rules = &self.table.object(descriptor.layout)?.recipe;
        let (mut entries, mut buffers, mut writes) = (Vec::new(), Vec::new(), Vec::new());
        for entry in &descriptor.entries {
            let may_write = may_write(rules, entry.binding);
            let resource = match &entry.resource {
                BindingResource::Buffer(range) => {
                    let buffer = self.table.buffer(range.buffer)?;
                    buffers.push(range.buffer);
                    if may_write && buffer.usage.contains(BufferUsage::STORAGE) {
                        writes.push(range.buffer);
                    }
                    wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                        buffer: &buffer.buffer,
                        offset: range.offset,
                        size: wgpu::BufferSize::new(buffer.size_of(range.offset, range.size)?),
                    })
                }
                BindingResource::Sampler(sampler) => {
                    wgpu::BindingResource::Sampler(self.table.sampler(*sampler)?)
                }
                BindingResource::TextureView(view) => {
                    let view = self.table.view(*view)?;
                    let texture = self.table.texture(view.texture)?;
                    if may_write && texture.usage.contains(TextureUsage::STORAGE_BINDING) {
                        writes.push(view.texture);
                    }
                    wgpu::BindingResource::TextureView(&view.view)
                }
            };
            entries.push(wgpu::BindGroupEntry {
                binding: entry.binding,
                resource,
            });
        }
        let descriptor = wgpu::BindGroupDescriptor {
            label: label(&descriptor.label),
            layout,
            entries: &entries,
        };
        Ok(Made::BindGroup(BindGroup {
            group: self.device.device.create_bind_group(&descriptor),
            buffers,
            writes,
            noted: Default::default(),
        }))
    }

    fn compute_pipeline(&self, descriptor: &ComputePipelineDescriptor) -> Result<Made, Failed> {
        let stage = Stage::new(&descriptor.compute);
        let descriptor = wgpu::ComputePipelineDescriptor {
            label: label(&descriptor.label),
            layout: self.optional_layout(descriptor.layout)?,
            module: self.table.shader_module(descriptor.compute.module)?,
            entry_point: stage.entry_point,
            compilation_options: stage.options(),
            cache: None,
        };
        let device = &self.device.device;
        let pipeline = wgsl::with_deep_stack(|| device.create_compute_pipeline(&descriptor))?;
        Ok(Made::ComputePipeline(pipeline))
    }

    fn render_pipeline(&self, descriptor: &RenderPipelineDescriptor) -> Result<Made, Failed> {
        let vertex = Stage::new(&descriptor.vertex.stage);
        let buffers = &descriptor.vertex.buffers;
        let attributes: Vec<Vec<wgpu::VertexAttribute>> =
            buffers.iter().map(|slot| attributes(&slot.0)).collect();
        let buffers: Vec<_> = std::iter::zip(buffers, &attributes)
            .map(|(slot, attributes)| {
                let buffer = slot.0.as_ref()?;
                Some(wgpu::VertexBufferLayout {
                    array_stride: buffer.array_stride,
                    step_mode: convert::step_mode(buffer.step_mode),
                    attributes,
                })
            })
            .collect();
        let fragment = descriptor.fragment.as_ref();
        let targets = fragment.map_or(&[][..], |fragment| &fragment.targets);
        let targets: Vec<Option<wgpu::ColorTargetState>> = targets
            .iter()
            .map(|target| target.0.as_ref().map(convert::color_target))
            .collect();
        let fragment_stage = fragment.map(|fragment| Stage::new(&fragment.stage));
        let fragment = match (fragment, &fragment_stage) {
            (Some(fragment), Some(stage)) => Some(wgpu::FragmentState {
                module: self.table.shader_module(fragment.stage.module)?,
                entry_point: stage.entry_point,
                compilation_options: stage.options(),
                targets: &targets,
            }),
            _ => None,
        };
        let pipeline = wgpu::RenderPipelineDescriptor {
            label: label(&descriptor.label),
            layout: self.optional_layout(descriptor.layout)?,
            vertex: wgpu::VertexState {
                module: self.table.shader_module(descriptor.vertex.stage.module)?,
                entry_point: vertex.entry_point,
                compilation_options: vertex.options(),
                buffers: &buffers,
            },
            primitive: convert::primitive(&descriptor.primitive),
            depth_stencil: descriptor
                .depth_stencil
                .as_ref()
                .map(convert::depth_stencil),
            multisample: convert::multisample(&descriptor.multisample),
            fragment,
            multiview_mask: None,
            cache: None,
        };
        let device = &self.device.device;
        let pipeline = wgsl::with_deep_stack(|| device.create_render_pipeline(&pipeline))?;
        Ok(Made::RenderPipeline(pipeline))
    }

    fn optional_layout(&self, layout: Id) -> Result<Option<&wgpu::PipelineLayout>, Failed> {
        match layout {
            0 => Ok(None),
            layout => self.table.pipeline_layout(layout).map(Some),
        }
    }

    /// A bundle is replayed command by command when it is executed, so its commands are checked
    /// then. Here it is checked that they may be in a bundle, and that what they name is there.
    fn render_bundle(&self, descriptor: &RenderBundleDescriptor) -> Result<Made, Failed> {
        for command in &descriptor.commands {
            match command {
                Command::SetRenderPipeline { pipeline } => {
                    self.table.render_pipeline(*pipeline)?;
                }
                Command::SetBindGroup { group, .. } if *group != 0 => {
                    self.table.bind_group(*group)?;
                }
                Command::SetVertexBuffer { buffer, .. } if *buffer != 0 => {
                    self.table.buffer(*buffer)?;
                }
                Command::SetIndexBuffer { buffer, .. }
                | Command::DrawIndirect { buffer, .. }
                | Command::DrawIndexedIndirect { buffer, .. } => {
                    self.table.buffer(*buffer)?;
                }
                Command::SetBindGroup { .. }
                | Command::SetVertexBuffer { .. }
                | Command::Draw { .. }
                | Command::DrawIndexed { .. }
                | Command::PushDebugGroup { .. }
                | Command::PopDebugGroup {}
                | Command::InsertDebugMarker { .. } => {}
                other => {
                    return Err(Failed::validation(format!(
                        "a render bundle cannot have {other:?}"
                    )));
                }
            }
        }
        Ok(Made::RenderBundle(descriptor.commands.clone()))
    }
}

/// Whether shaders may write to what is bound to `binding`, by the layout's recipe. Of a layout
/// that a pipeline made it is not known.
fn may_write(layout: &Descriptor, binding: u32) -> bool {
    let Descriptor::BindGroupLayout(layout) = layout else {
        return true;
    };
    let mut entries = layout.entries.iter();
    let entry = entries.find(|entry| entry.binding == binding);
    entry.is_none_or(|entry| match &entry.ty {
        BindingType::Buffer(buffer) => buffer.ty == BufferBindingType::Storage,
        BindingType::StorageTexture(texture) => texture.access != StorageTextureAccess::ReadOnly,
        BindingType::Sampler(_) | BindingType::Texture(_) => false,
    })
}

fn attributes(buffer: &Option<VertexBufferLayout>) -> Vec<wgpu::VertexAttribute> {
    let attributes = buffer.iter().flat_map(|buffer| &buffer.attributes);
    attributes
        .map(|attribute| wgpu::VertexAttribute {
            format: vertex_format(attribute.format),
            offset: attribute.offset,
            shader_location: attribute.shader_location,
        })
        .collect()
}

/// A stage of a pipeline as wgpu wants it.
struct Stage<'a> {
    entry_point: Option<&'a str>,
    constants: Vec<(&'a str, f64)>,
}

impl<'a> Stage<'a> {
    fn new(stage: &'a ProgrammableStage) -> Self {
        let constants = stage.constants.iter();
        Self {
            entry_point: Some(stage.entry_point.as_str()).filter(|name| !name.is_empty()),
            constants: constants
                .map(|constant| (constant.key.as_str(), constant.value))
                .collect(),
        }
    }

    fn options(&self) -> wgpu::PipelineCompilationOptions<'_> {
        wgpu::PipelineCompilationOptions {
            constants: &self.constants,
            zero_initialize_workgroup_memory: true,
        }
    }
}

fn messages(info: &wgpu::CompilationInfo) -> CompilationInfo {
    let messages = info.messages.iter().map(|message| {
        let place = message.location;
        CompilationMessage {
            ty: match message.message_type {
                wgpu::CompilationMessageType::Error => MessageType::Error,
                wgpu::CompilationMessageType::Warning => MessageType::Warning,
                wgpu::CompilationMessageType::Info => MessageType::Info,
            },
            line: place.map_or(0, |place| place.line_number),
            column: place.map_or(0, |place| place.line_position),
            offset: place.map_or(0, |place| place.offset),
            length: place.map_or(0, |place| place.length),
            message: message.message.clone(),
        }
    });
    CompilationInfo {
        messages: messages.collect(),
    }
}

/// Labels are for messages only. A zero byte in one would end it early for the driver.
fn label(label: &str) -> Option<&str> {
    (!label.is_empty() && !label.contains('\0')).then_some(label)
}
