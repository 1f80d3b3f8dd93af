//! The checkpoint format of Wherry: what a job's state is, and how it lies in a file.
//!
//! A checkpoint speaks of the *original* module: function indices, byte offsets in original
//! bodies, typed locals and operands. It holds no pointer, no native code and no detail of
//! an engine, so that any node can resume it. See `docs/checkpoint-format.md`.

mod anatomy;
mod base;
mod blob;
mod chunk;
mod contents;
mod error;
mod execution;
mod flatten;
mod index;
mod key;
mod layout;
mod output;
mod reader;
mod seal;
mod workers;
mod writer;

pub use anatomy::{Anatomy, StoredChunk};
pub use base::{Base, MAX_BASES, Outline};
pub use blob::{Blob, BlobSink, BlobSource, CHUNK_SIZE, Digest};
pub use contents::{
    Accounting, Contents, Gpu, Limits, Lineage, Memory, Mount, Profile, Quota, Run, Settings,
    Usage, Workload,
};
pub use error::{Error, hex};
pub use execution::{Execution, Frame, FunctionRef, Global, Phase, Slot, Table, Value};
pub use flatten::flatten;
pub use key::{Key, KeyError, KeyId};
pub use layout::FORMAT_VERSION;
pub use reader::{Reader, SectionInfo};
pub use writer::{Summary, Writer, Written};
