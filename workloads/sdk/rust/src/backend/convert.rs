//! wgpu's descriptors as those of the interface.

use wgpu::wgt;
use wherry_gpu_abi as abi;

use super::buffer::Buffer;
use super::errors::Unsupported;
use super::formats;
use super::objects::{BindGroupLayout, Sampler, Texture, TextureView};

/// Maps each value to the one of the same name, and what has none to an error.
macro_rules! values {
    ($(#[$meta:meta])* $name:ident: $from:ident => $to:ident, $($value:ident)*) => {
        pub(crate) fn $name(value: wgpu::$from) -> abi::$to {
            match value {
                $(wgpu::$from::$value => abi::$to::$value,)*
            }
        }
    };
    ($name:ident: $from:ident => $to:ident or $what:literal, $($value:ident)*) => {
        pub(crate) fn $name(value: wgpu::$from) -> Result<abi::$to, Unsupported> {
            match value {
                $(wgpu::$from::$value => Ok(abi::$to::$value),)*
                other => Err(Unsupported::new(format_args!(concat!($what, " {:?}"), other))),
            }
        }
    };
}
pub(crate) use values;

values! { address_mode: AddressMode => AddressMode or "address mode", ClampToEdge Repeat MirrorRepeat }
values! { filter_mode: FilterMode => FilterMode, Nearest Linear }
values! { mipmap_filter: MipmapFilterMode => FilterMode, Nearest Linear }
values! { compare: CompareFunction => CompareFunction, Never Less Equal LessEqual Greater NotEqual GreaterEqual Always }
values! { dimension: TextureDimension => TextureDimension, D1 D2 D3 }
values! { view_dimension: TextureViewDimension => TextureViewDimension, D1 D2 D2Array Cube CubeArray D3 }
values! { aspect: TextureAspect => TextureAspect or "texture aspect", All StencilOnly DepthOnly }
values! { sampler_type: SamplerBindingType => SamplerBindingType, Filtering NonFiltering Comparison }
values! { storage_access: StorageTextureAccess => StorageTextureAccess or "storage texture access", WriteOnly ReadOnly ReadWrite }
values! { index_format: IndexFormat => IndexFormat, Uint16 Uint32 }

pub(crate) fn label(label: wgpu::Label<'_>) -> String {
    /// What a reader of messages can take; a label has no meaning.
    const LONGEST: usize = 1024;
    let label = label.unwrap_or_default();
    label[..label.floor_char_boundary(LONGEST)].to_owned()
}

pub(crate) fn map_mode(mode: wgpu::MapMode) -> abi::MapMode {
    match mode {
        wgpu::MapMode::Read => abi::MapMode::READ,
        wgpu::MapMode::Write => abi::MapMode::WRITE,
    }
}

/// Flags have the same bits on both sides; those that only wgpu has are not supported.
macro_rules! flags {
    ($name:ident: $type:ident => $to:ident or $what:literal) => {
        pub(crate) fn $name(flags: wgpu::$type) -> Result<abi::$to, Unsupported> {
            abi::$to::from_bits(flags.bits())
                .ok_or_else(|| Unsupported::new(format_args!(concat!($what, " {:?}"), flags)))
        }
    };
}

flags! { buffer_usage: BufferUsages => BufferUsage or "buffer usage" }
flags! { stages: ShaderStages => ShaderStage or "shader stages" }
flags! { color_writes: ColorWrites => ColorWrites or "color writes" }

pub(crate) fn texture_usage(usage: wgpu::TextureUsages) -> Result<abi::TextureUsage, Unsupported> {
    // A texture whose content may be kept serves as well as one whose content need not be.
    let usage = usage.difference(wgpu::TextureUsages::TRANSIENT_ATTACHMENT);
    abi::TextureUsage::from_bits(usage.bits())
        .ok_or_else(|| Unsupported::new(format_args!("texture usage {usage:?}")))
}

pub(crate) fn extent(size: wgpu::Extent3d) -> abi::Extent3d {
    abi::Extent3d {
        width: size.width,
        height: size.height,
        depth_or_array_layers: size.depth_or_array_layers,
    }
}

pub(crate) fn color(color: wgpu::Color) -> abi::Color {
    let wgpu::Color { r, g, b, a } = color;
    abi::Color { r, g, b, a }
}

pub(crate) fn buffer(
    descriptor: &wgpu::BufferDescriptor<'_>,
) -> Result<abi::BufferDescriptor, Unsupported> {
    Ok(abi::BufferDescriptor {
        label: label(descriptor.label),
        size: descriptor.size,
        usage: buffer_usage(descriptor.usage)?,
        mapped_at_creation: descriptor.mapped_at_creation,
    })
}

pub(crate) fn texture(
    descriptor: &wgpu::TextureDescriptor<'_>,
) -> Result<abi::TextureDescriptor, Unsupported> {
    let view_formats = descriptor.view_formats.iter().copied();
    Ok(abi::TextureDescriptor {
        label: label(descriptor.label),
        size: extent(descriptor.size),
        mip_level_count: descriptor.mip_level_count,
        sample_count: descriptor.sample_count,
        dimension: dimension(descriptor.dimension),
        format: formats::texture(descriptor.format)?,
        usage: texture_usage(descriptor.usage)?,
        view_formats: view_formats
            .map(formats::texture)
            .collect::<Result<_, _>>()?,
    })
}

pub(crate) fn texture_view(
    texture: abi::Handle,
    descriptor: &wgpu::TextureViewDescriptor<'_>,
) -> Result<abi::TextureViewDescriptor, Unsupported> {
    Ok(abi::TextureViewDescriptor {
        label: label(descriptor.label),
        texture,
        format: descriptor.format.map(formats::texture).transpose()?,
        dimension: descriptor.dimension.map(view_dimension),
        usage: texture_usage(descriptor.usage.unwrap_or(wgpu::TextureUsages::empty()))?,
        aspect: aspect(descriptor.aspect)?,
        base_mip_level: descriptor.base_mip_level,
        mip_level_count: descriptor.mip_level_count.unwrap_or(abi::UNDEFINED),
        base_array_layer: descriptor.base_array_layer,
        array_layer_count: descriptor.array_layer_count.unwrap_or(abi::UNDEFINED),
    })
}

pub(crate) fn sampler(
    descriptor: &wgpu::SamplerDescriptor<'_>,
) -> Result<abi::SamplerDescriptor, Unsupported> {
    Ok(abi::SamplerDescriptor {
        label: label(descriptor.label),
        address_mode_u: address_mode(descriptor.address_mode_u)?,
        address_mode_v: address_mode(descriptor.address_mode_v)?,
        address_mode_w: address_mode(descriptor.address_mode_w)?,
        mag_filter: filter_mode(descriptor.mag_filter),
        min_filter: filter_mode(descriptor.min_filter),
        mipmap_filter: mipmap_filter(descriptor.mipmap_filter),
        lod_min_clamp: descriptor.lod_min_clamp,
        lod_max_clamp: descriptor.lod_max_clamp,
        compare: descriptor.compare.map(compare),
        max_anisotropy: descriptor.anisotropy_clamp.into(),
    })
}

pub(crate) fn query_set(
    descriptor: &wgpu::QuerySetDescriptor<'_>,
) -> Result<abi::QuerySetDescriptor, Unsupported> {
    Ok(abi::QuerySetDescriptor {
        label: label(descriptor.label),
        query_type: match descriptor.ty {
            wgpu::QueryType::Occlusion => abi::QueryType::Occlusion,
            wgpu::QueryType::Timestamp => abi::QueryType::Timestamp,
            wgpu::QueryType::PipelineStatistics(_) => {
                return Err(Unsupported::new("a query of pipeline statistics"));
            }
        },
        count: descriptor.count,
    })
}

pub(crate) fn bind_group_layout(
    descriptor: &wgpu::BindGroupLayoutDescriptor<'_>,
) -> Result<abi::BindGroupLayoutDescriptor, Unsupported> {
    let entries = descriptor.entries.iter();
    Ok(abi::BindGroupLayoutDescriptor {
        label: label(descriptor.label),
        entries: entries.map(layout_entry).collect::<Result<_, _>>()?,
    })
}

fn layout_entry(
    entry: &wgpu::BindGroupLayoutEntry,
) -> Result<abi::BindGroupLayoutEntry, Unsupported> {
    if entry.count.is_some() {
        return Err(Unsupported::new("an array of bindings"));
    }
    Ok(abi::BindGroupLayoutEntry {
        binding: entry.binding,
        visibility: stages(entry.visibility)?,
        ty: binding_type(entry.ty)?,
    })
}

fn binding_type(ty: wgpu::BindingType) -> Result<abi::BindingType, Unsupported> {
    Ok(match ty {
        wgpu::BindingType::Buffer {
            ty,
            has_dynamic_offset,
            min_binding_size,
        } => abi::BindingType::Buffer(abi::BufferBinding {
            ty: match ty {
                wgpu::BufferBindingType::Uniform => abi::BufferBindingType::Uniform,
                wgpu::BufferBindingType::Storage { read_only: false } => {
                    abi::BufferBindingType::Storage
                }
                wgpu::BufferBindingType::Storage { read_only: true } => {
                    abi::BufferBindingType::ReadOnlyStorage
                }
            },
            has_dynamic_offset,
            min_binding_size: min_binding_size.map_or(0, wgpu::BufferSize::get),
        }),
        wgpu::BindingType::Sampler(ty) => abi::BindingType::Sampler(sampler_type(ty)),
        wgpu::BindingType::Texture {
            sample_type,
            view_dimension: dimension,
            multisampled,
        } => abi::BindingType::Texture(abi::TextureBinding {
            sample_type: match sample_type {
                wgpu::TextureSampleType::Float { filterable: true } => {
                    abi::TextureSampleType::Float
                }
                wgpu::TextureSampleType::Float { filterable: false } => {
                    abi::TextureSampleType::UnfilterableFloat
                }
                wgpu::TextureSampleType::Depth => abi::TextureSampleType::Depth,
                wgpu::TextureSampleType::Sint => abi::TextureSampleType::Sint,
                wgpu::TextureSampleType::Uint => abi::TextureSampleType::Uint,
            },
            view_dimension: view_dimension(dimension),
            multisampled,
        }),
        wgpu::BindingType::StorageTexture {
            access,
            format,
            view_dimension: dimension,
        } => abi::BindingType::StorageTexture(abi::StorageTextureBinding {
            access: storage_access(access)?,
            format: formats::texture(format)?,
            view_dimension: view_dimension(dimension),
        }),
        other => {
            return Err(Unsupported::new(format_args!(
                "a binding of type {other:?}"
            )));
        }
    })
}

pub(crate) fn pipeline_layout(
    descriptor: &wgpu::PipelineLayoutDescriptor<'_>,
) -> Result<abi::PipelineLayoutDescriptor, Unsupported> {
    if descriptor.immediate_size > 0 {
        return Err(Unsupported::new("a pipeline layout with immediates"));
    }
    let layouts = descriptor.bind_group_layouts.iter();
    Ok(abi::PipelineLayoutDescriptor {
        label: label(descriptor.label),
        bind_group_layouts: layouts
            .map(|layout| {
                layout.map_or(0, |layout| {
                    handle(
                        layout
                            .as_custom()
                            .map(|layout: &BindGroupLayout| layout.0.handle),
                    )
                })
            })
            .collect(),
    })
}

pub(crate) fn bind_group(
    descriptor: &wgpu::BindGroupDescriptor<'_>,
) -> Result<abi::BindGroupDescriptor, Unsupported> {
    let layout = descriptor.layout.as_custom::<BindGroupLayout>();
    let entries = descriptor.entries.iter();
    Ok(abi::BindGroupDescriptor {
        label: label(descriptor.label),
        layout: handle(layout.map(|layout| layout.0.handle)),
        entries: entries
            .map(|entry| {
                Ok(abi::BindGroupEntry {
                    binding: entry.binding,
                    resource: resource(&entry.resource)?,
                })
            })
            .collect::<Result<_, _>>()?,
    })
}

fn resource(resource: &wgpu::BindingResource<'_>) -> Result<abi::BindingResource, Unsupported> {
    match resource {
        wgpu::BindingResource::Buffer(binding) => {
            Ok(abi::BindingResource::Buffer(abi::BufferRange {
                buffer: buffer_handle(binding.buffer),
                offset: binding.offset,
                size: binding.size.map_or(abi::WHOLE_SIZE, wgpu::BufferSize::get),
            }))
        }
        wgpu::BindingResource::Sampler(sampler) => {
            let sampler = sampler.as_custom::<Sampler>();
            Ok(abi::BindingResource::Sampler(handle(
                sampler.map(|sampler| sampler.0.handle),
            )))
        }
        wgpu::BindingResource::TextureView(view) => {
            Ok(abi::BindingResource::TextureView(view_handle(view)))
        }
        wgpu::BindingResource::AccelerationStructure(_)
        | wgpu::BindingResource::AccelerationStructureArray(_) => {
            Err(Unsupported::new("an acceleration structure"))
        }
        wgpu::BindingResource::ExternalTexture(_) => Err(Unsupported::new("an external texture")),
        _ => Err(Unsupported::new("an array of bindings")),
    }
}

/// A handle that every object of this backend has. An object of another instance has none, and
/// the host refuses handle 0.
pub(crate) fn handle(of_this_backend: Option<abi::Handle>) -> abi::Handle {
    of_this_backend.unwrap_or(0)
}

pub(crate) fn buffer_handle(buffer: &wgpu::Buffer) -> abi::Handle {
    handle(
        buffer
            .as_custom()
            .map(|buffer: &Buffer| buffer.object.handle),
    )
}

pub(crate) fn view_handle(view: &wgpu::TextureView) -> abi::Handle {
    handle(view.as_custom().map(|view: &TextureView| view.0.handle))
}

pub(crate) fn texel_layout(layout: wgpu::TexelCopyBufferLayout) -> abi::TexelLayout {
    abi::TexelLayout {
        offset: layout.offset,
        bytes_per_row: layout.bytes_per_row.unwrap_or(abi::UNDEFINED),
        rows_per_image: layout.rows_per_image.unwrap_or(abi::UNDEFINED),
    }
}

pub(crate) fn buffer_texels(info: wgpu::TexelCopyBufferInfo<'_>) -> abi::BufferTexels {
    abi::BufferTexels {
        buffer: buffer_handle(info.buffer),
        layout: texel_layout(info.layout),
    }
}

pub(crate) fn texture_texels(
    info: wgpu::TexelCopyTextureInfo<'_>,
) -> Result<abi::TextureTexels, Unsupported> {
    let texture = info.texture.as_custom::<Texture>();
    let wgt::Origin3d { x, y, z } = info.origin;
    Ok(abi::TextureTexels {
        texture: handle(texture.map(|texture| texture.0.handle)),
        mip_level: info.mip_level,
        origin: abi::Origin3d { x, y, z },
        aspect: aspect(info.aspect)?,
    })
}
