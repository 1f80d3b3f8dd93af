//! Bind groups and what they are laid out by.

use alloc::string::String;
use alloc::vec::Vec;

use crate::wire::{DecodeError, Reader, Wire, Writer, record};
use crate::{
    BufferBindingType, Handle, SamplerBindingType, ShaderStage, StorageTextureAccess,
    TextureFormat, TextureSampleType, TextureViewDimension,
};

record! {
    /// A bind group layout.
    BindGroupLayoutDescriptor {
        /// For messages.
        label: String,
        /// Its bindings.
        entries: Vec<BindGroupLayoutEntry>,
    }
}

record! {
    /// One binding of a layout.
    BindGroupLayoutEntry {
        /// Its number.
        binding: u32,
        /// The stages that see it.
        visibility: ShaderStage,
        /// What is bound.
        ty: BindingType,
    }
}

/// What is bound. It begins with a word that says which: 1 to 4, in the order below.
#[derive(Clone, Debug, PartialEq)]
pub enum BindingType {
    /// A buffer.
    Buffer(BufferBinding),
    /// A sampler, of this type.
    Sampler(SamplerBindingType),
    /// A texture.
    Texture(TextureBinding),
    /// A storage texture.
    StorageTexture(StorageTextureBinding),
}

record! {
    /// A binding of a buffer.
    BufferBinding {
        /// How the shader sees it.
        ty: BufferBindingType,
        /// Its offset is given when the group is set.
        has_dynamic_offset: bool,
        /// The least size of what is bound, in bytes; 0 if that is left to the pipeline.
        min_binding_size: u64,
    }
}

record! {
    /// A binding of a texture.
    TextureBinding {
        /// What sampling it gives.
        sample_type: TextureSampleType,
        /// Its dimension.
        view_dimension: TextureViewDimension,
        /// It has several samples for each texel.
        multisampled: bool,
    }
}

record! {
    /// A binding of a storage texture.
    StorageTextureBinding {
        /// How it is used.
        access: StorageTextureAccess,
        /// Of its texels.
        format: TextureFormat,
        /// Its dimension.
        view_dimension: TextureViewDimension,
    }
}

impl Wire for BindingType {
    fn encode(&self, to: &mut Writer) {
        match self {
            Self::Buffer(binding) => {
                to.word(1);
                binding.encode(to);
            }
            Self::Sampler(ty) => {
                to.word(2);
                ty.encode(to);
            }
            Self::Texture(binding) => {
                to.word(3);
                binding.encode(to);
            }
            Self::StorageTexture(binding) => {
                to.word(4);
                binding.encode(to);
            }
        }
    }

    fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match from.word()? {
            1 => BufferBinding::decode(from).map(Self::Buffer),
            2 => SamplerBindingType::decode(from).map(Self::Sampler),
            3 => TextureBinding::decode(from).map(Self::Texture),
            4 => StorageTextureBinding::decode(from).map(Self::StorageTexture),
            other => Err(DecodeError::Value("binding type", other)),
        }
    }
}

record! {
    /// The bind group layout that a pipeline has for one of its groups.
    PipelineBindGroupLayoutDescriptor {
        /// A compute or render pipeline.
        pipeline: Handle,
        /// The number of the group.
        index: u32,
    }
}

record! {
    /// A pipeline layout.
    PipelineLayoutDescriptor {
        /// For messages.
        label: String,
        /// The layout of each group; 0 where there is none.
        bind_group_layouts: Vec<Handle>,
    }
}

record! {
    /// A bind group.
    BindGroupDescriptor {
        /// For messages.
        label: String,
        /// What it is laid out by.
        layout: Handle,
        /// What is bound.
        entries: Vec<BindGroupEntry>,
    }
}

record! {
    /// What is bound to one number.
    BindGroupEntry {
        /// The number.
        binding: u32,
        /// What.
        resource: BindingResource,
    }
}

/// What is bound. It begins with a word that says which: 1 to 3, in the order below.
#[derive(Clone, Debug, PartialEq)]
pub enum BindingResource {
    /// A part of a buffer.
    Buffer(BufferRange),
    /// A sampler.
    Sampler(Handle),
    /// A texture view.
    TextureView(Handle),
}

record! {
    /// A part of a buffer.
    BufferRange {
        /// Which buffer.
        buffer: Handle,
        /// Where it begins, in bytes.
        offset: u64,
        /// In bytes, or [`WHOLE_SIZE`](crate::WHOLE_SIZE).
        size: u64,
    }
}

impl Wire for BindingResource {
    fn encode(&self, to: &mut Writer) {
        match self {
            Self::Buffer(range) => {
                to.word(1);
                range.encode(to);
            }
            Self::Sampler(handle) => {
                to.word(2);
                to.word(*handle);
            }
            Self::TextureView(handle) => {
                to.word(3);
                to.word(*handle);
            }
        }
    }

    fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match from.word()? {
            1 => BufferRange::decode(from).map(Self::Buffer),
            2 => from.word().map(Self::Sampler),
            3 => from.word().map(Self::TextureView),
            other => Err(DecodeError::Value("binding resource", other)),
        }
    }
}
