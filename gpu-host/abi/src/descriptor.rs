//! Descriptors: what `create` makes an object from.
//!
//! A descriptor begins with a header of two words: its version (16 bits) and kind (16 bits), and
//! how many bytes follow.

use alloc::vec::Vec;

use crate::wire::{DecodeError, Reader, Wire, Writer};
use crate::{
    BindGroupDescriptor, BindGroupLayoutDescriptor, BufferDescriptor, ComputePipelineDescriptor,
    DeviceDescriptor, Kind, MAX_DESCRIPTOR, PipelineBindGroupLayoutDescriptor,
    PipelineLayoutDescriptor, QuerySetDescriptor, RenderBundleDescriptor, RenderPipelineDescriptor,
    SamplerDescriptor, ShaderModuleDescriptor, TextureDescriptor, TextureViewDescriptor,
    TextureWrite,
};

const VERSION: u16 = 1;

/// Kinds of descriptors that describe no object.
const DEVICE: u16 = 100;
const TEXTURE_WRITE: u16 = 101;

macro_rules! descriptors {
    ($($kind:ident($type:ty),)*) => {
        /// What an object is made from.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Descriptor {
            $(#[doc = concat!("Of the kind `", stringify!($kind), "`.")] $kind($type),)*
        }

        impl Descriptor {
            /// Of what kind the object is.
            #[must_use]
            pub fn kind(&self) -> Kind {
                match self {
                    $(Self::$kind(_) => Kind::$kind,)*
                }
            }

            /// With its header.
            #[must_use]
            pub fn to_bytes(&self) -> Vec<u8> {
                match self {
                    $(Self::$kind(descriptor) => framed(Kind::$kind as u16, descriptor),)*
                }
            }

            /// From bytes with a header, for a call that names `kind`.
            ///
            /// # Errors
            ///
            /// They are no descriptor of this kind.
            pub fn from_bytes(kind: Kind, bytes: &[u8]) -> Result<Self, DecodeError> {
                match kind {
                    $(Kind::$kind => unframed(kind as u16, bytes).map(Self::$kind),)*
                }
            }
        }

        $(impl From<$type> for Descriptor {
            fn from(descriptor: $type) -> Self {
                Self::$kind(descriptor)
            }
        })*
    };
}

descriptors! {
    Buffer(BufferDescriptor),
    Texture(TextureDescriptor),
    TextureView(TextureViewDescriptor),
    Sampler(SamplerDescriptor),
    QuerySet(QuerySetDescriptor),
    ShaderModule(ShaderModuleDescriptor),
    BindGroupLayout(BindGroupLayoutDescriptor),
    PipelineBindGroupLayout(PipelineBindGroupLayoutDescriptor),
    PipelineLayout(PipelineLayoutDescriptor),
    BindGroup(BindGroupDescriptor),
    ComputePipeline(ComputePipelineDescriptor),
    RenderPipeline(RenderPipelineDescriptor),
    RenderBundle(RenderBundleDescriptor),
}

impl DeviceDescriptor {
    /// With its header.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        framed(DEVICE, self)
    }

    /// From bytes with a header.
    ///
    /// # Errors
    ///
    /// They are no descriptor of a device.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        unframed(DEVICE, bytes)
    }
}

impl TextureWrite {
    /// With its header.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        framed(TEXTURE_WRITE, self)
    }

    /// From bytes with a header.
    ///
    /// # Errors
    ///
    /// They do not describe a write to a texture.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        unframed(TEXTURE_WRITE, bytes)
    }
}

fn framed<T: Wire>(kind: u16, descriptor: &T) -> Vec<u8> {
    let mut to = Writer::new();
    to.word(u32::from(VERSION) | u32::from(kind) << 16);
    to.word(0);
    descriptor.encode(&mut to);
    let length = u32::try_from(to.len() - 8).unwrap_or(u32::MAX);
    to.patch(4, length);
    to.into_bytes()
}

fn unframed<T: Wire>(kind: u16, bytes: &[u8]) -> Result<T, DecodeError> {
    if bytes.len() > MAX_DESCRIPTOR {
        return Err(DecodeError::Size);
    }
    let mut from = Reader::new(bytes);
    let [version_low, version_high, kind_low, kind_high] = from.word()?.to_le_bytes();
    match u16::from_le_bytes([version_low, version_high]) {
        VERSION => {}
        other => return Err(DecodeError::Version(other)),
    }
    match u16::from_le_bytes([kind_low, kind_high]) {
        found if found == kind => {}
        other => return Err(DecodeError::Kind(other)),
    }
    let length = from.word()? as usize;
    let body = from.bytes(length)?;
    from.end()?;
    let mut from = Reader::new(body);
    let descriptor = T::decode(&mut from)?;
    from.end()?;
    Ok(descriptor)
}
