//! The checkpoint format of Wherry: what a job's state is, and how it lies in a file.
//!
//! A checkpoint speaks of the *original* module: function indices, byte offsets in original
//! bodies, typed locals and operands. It holds no pointer, no native code and no detail of
//! an engine, so that any node can resume it. See `docs/checkpoint-format.md`.

mod blob;
mod execution;

pub use blob::{Blob, BlobSink, BlobSource, CHUNK_SIZE, Digest};
pub use execution::{Execution, Frame, FunctionRef, Global, Phase, Slot, Table, Value};
