//! What is saved of a job's GPU: not the adapter, not how the driver has it.

use serde::{Deserialize, Serialize};
use wherry_snapshot::Blob;

use crate::object::Mapped;

/// A job's GPU, for a checkpoint. Contents of buffers and textures are stored apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GpuState {
    /// What the job has beyond the portable profile: an *AdapterRecord* of the interface, with
    /// nothing in it but features and limits.
    pub(crate) profile: Vec<u8>,
    /// The last error: an *ErrorRecord* of the interface.
    pub(crate) error: Vec<u8>,
    /// The device, if it is open.
    pub(crate) device: Option<DeviceState>,
}

/// An open device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct DeviceState {
    /// A descriptor of kind 100 of the interface.
    pub(crate) descriptor: Vec<u8>,
    /// Why it is lost, if it is.
    pub(crate) lost: Option<String>,
    /// The number of the last submission.
    pub(crate) submitted: u64,
    /// Ascending by when they were created: what one depends on comes before it.
    pub(crate) objects: Vec<ObjectState>,
}

/// An object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ObjectState {
    /// 0 when the guest has dropped it, and another object depends on it.
    pub(crate) handle: u32,
    pub(crate) made: MadeState,
}

/// How it is made again, and what it held.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum MadeState {
    /// A kind, and a descriptor of it. In the place of a handle there is the number of an object in
    /// the list, from 1.
    Plain(u32, Vec<u8>),
    Buffer {
        descriptor: Vec<u8>,
        mapped: Option<Mapped>,
        content: ContentState,
    },
    Texture {
        descriptor: Vec<u8>,
        content: ContentState,
    },
    QuerySet {
        descriptor: Vec<u8>,
        destroyed: bool,
        /// The results that there are, ascending by query.
        results: Vec<(u32, u64)>,
    },
    /// It could not be made. A *CompilationInfo* of the interface.
    Invalid(Vec<u8>),
}

/// What a buffer or texture held.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum ContentState {
    Zero,
    Bytes(Blob),
    Destroyed,
}

impl GpuState {
    /// How many objects there are.
    #[must_use]
    pub fn objects(&self) -> usize {
        self.device
            .as_ref()
            .map_or(0, |device| device.objects.len())
    }

    /// The contents that are stored apart.
    pub fn blobs(&self) -> impl Iterator<Item = &Blob> {
        let objects = self.device.iter().flat_map(|device| &device.objects);
        objects.filter_map(|object| match &object.made {
            MadeState::Buffer {
                content: ContentState::Bytes(blob),
                ..
            }
            | MadeState::Texture {
                content: ContentState::Bytes(blob),
                ..
            } => Some(blob),
            _ => None,
        })
    }
}
