//! What the host has for a guest's object.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use wherry_gpu_abi::{
    BufferUsage, Command, CompilationInfo, Descriptor, Handle, QueryType, TextureUsage, WHOLE_SIZE,
};
use wherry_snapshot::Blob;

use crate::fault::Failed;

/// Names an object within the host: the place in the table, counted from 1. 0 is none.
pub(crate) type Id = u32;

/// An object, and how it is made again.
pub(crate) struct Object {
    /// 0 when the guest has dropped it, and something still depends on it.
    pub(crate) handle: Handle,
    /// With [`Id`]s in the place of handles.
    pub(crate) recipe: Descriptor,
    /// The objects that the recipe names.
    pub(crate) parents: Vec<Id>,
    /// How many objects have this one as a parent.
    pub(crate) dependents: u32,
    /// Later objects have higher numbers.
    pub(crate) order: u64,
    /// What it counts for in the quota.
    pub(crate) bytes: u64,
    /// How long its descriptor was.
    pub(crate) recipe_bytes: u64,
    pub(crate) made: Made,
}

/// What was made of a recipe.
pub(crate) enum Made {
    Buffer(Buffer),
    Texture(Texture),
    TextureView(TextureView),
    Sampler(wgpu::Sampler),
    QuerySet(QuerySet),
    ShaderModule(wgpu::ShaderModule, CompilationInfo),
    BindGroupLayout(wgpu::BindGroupLayout),
    PipelineLayout(wgpu::PipelineLayout),
    BindGroup(BindGroup),
    ComputePipeline(wgpu::ComputePipeline),
    RenderPipeline(wgpu::RenderPipeline),
    /// What it does, with [`Id`]s in the place of handles.
    RenderBundle(Vec<Command>),
    /// Making it failed. A shader module says why.
    Invalid(CompilationInfo),
}

/// What is known of the content of a buffer or texture.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Content {
    /// Nothing was ever written to it.
    #[default]
    Zero,
    /// It is what was last saved.
    Saved(Blob),
    /// It may be anything.
    Written,
}

pub(crate) struct Buffer {
    pub(crate) buffer: wgpu::Buffer,
    /// As the guest sees it.
    pub(crate) size: u64,
    /// What the guest may do with it.
    pub(crate) usage: BufferUsage,
    pub(crate) mapped: Option<Mapped>,
    pub(crate) destroyed: bool,
    pub(crate) content: RefCell<Content>,
}

/// The part of a buffer that the guest has mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Mapped {
    pub(crate) writes: bool,
    pub(crate) start: u64,
    pub(crate) end: u64,
}

pub(crate) struct Texture {
    pub(crate) texture: wgpu::Texture,
    /// What the guest may do with it.
    pub(crate) usage: TextureUsage,
    pub(crate) destroyed: bool,
    pub(crate) content: RefCell<Content>,
}

pub(crate) struct TextureView {
    pub(crate) view: wgpu::TextureView,
    pub(crate) texture: Id,
    /// Whether it shows all of the texture.
    pub(crate) is_whole: bool,
}

pub(crate) struct QuerySet {
    pub(crate) set: wgpu::QuerySet,
    pub(crate) query_type: QueryType,
    pub(crate) count: u32,
    pub(crate) destroyed: bool,
    /// The queries that were written on this device.
    pub(crate) written: RefCell<BTreeSet<u32>>,
    /// What the queries had when they were restored, as they are resolved.
    pub(crate) restored: Option<wgpu::Buffer>,
}

pub(crate) struct BindGroup {
    pub(crate) group: wgpu::BindGroup,
    /// All buffers that are bound.
    pub(crate) buffers: Vec<Id>,
    /// Buffers and textures that shaders may write through it.
    pub(crate) writes: Vec<Id>,
    /// The submission that noted them last.
    pub(crate) noted: Cell<u64>,
}

impl Made {
    pub(crate) fn is_mapped(&self) -> bool {
        matches!(self, Self::Buffer(buffer) if buffer.mapped.is_some())
    }

    /// What an error message calls it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Buffer(_) => "buffer",
            Self::Texture(_) => "texture",
            Self::TextureView(_) => "texture view",
            Self::Sampler(_) => "sampler",
            Self::QuerySet(_) => "query set",
            Self::ShaderModule(..) => "shader module",
            Self::BindGroupLayout(_) => "bind group layout",
            Self::PipelineLayout(_) => "pipeline layout",
            Self::BindGroup(_) => "bind group",
            Self::ComputePipeline(_) => "compute pipeline",
            Self::RenderPipeline(_) => "render pipeline",
            Self::RenderBundle(_) => "render bundle",
            Self::Invalid(_) => "invalid object",
        }
    }
}

impl Object {
    /// What it is and its label, for messages.
    pub(crate) fn describe(&self) -> String {
        let label = crate::references::label(&self.recipe);
        format!("{} {} {label:?}", self.made.name(), self.handle)
    }
}

impl Buffer {
    /// How many bytes there are from `offset` on, or `size` of them.
    pub(crate) fn size_of(&self, offset: u64, size: u64) -> Result<u64, Failed> {
        let left = self.size.checked_sub(offset);
        match left {
            Some(left) if size == WHOLE_SIZE => Ok(left),
            Some(left) if size <= left => Ok(size),
            _ => Err(Failed::validation(format!(
                "bytes {offset} and on are not {size} within a buffer of {}",
                self.size
            ))),
        }
    }

    /// Checks that the GPU can use it now.
    pub(crate) fn check_usable(&self) -> Result<(), Failed> {
        if self.destroyed {
            return Err(Failed::validation("the buffer is destroyed"));
        }
        if self.mapped.is_some() {
            return Err(Failed::validation("the buffer is mapped"));
        }
        Ok(())
    }

    pub(crate) fn note_write(&self) {
        self.content.replace(Content::Written);
    }
}

impl Texture {
    pub(crate) fn check_usable(&self) -> Result<(), Failed> {
        if self.destroyed {
            return Err(Failed::validation("the texture is destroyed"));
        }
        Ok(())
    }

    pub(crate) fn note_write(&self) {
        self.content.replace(Content::Written);
    }
}
