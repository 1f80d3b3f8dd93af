//! From `workload.toml` and a WebAssembly module to an OCI artifact in a local content
//! store, and back to what a node runs.
//!
//! ```text
//! WorkloadFile::load ─ validate_module ─ pack ──▶ Store ──▶ Store::workload ─▶ Workload
//! ```
//!
//! Checkpoints become artifacts, too, and files again: `pack_checkpoint`, `assemble_checkpoint`.
//!
//! `docs/artifact-format.md` describes the two forms of an artifact and the store's layout.

mod artifact;
mod checkpoint;
mod config;
mod data;
mod demands;
mod dependencies;
mod digest;
mod gpu;
mod init;
mod limits;
mod module;
mod pack;
mod preview1;
mod proposals;
mod quantity;
mod reference;
mod store;
mod workload_file;

pub use artifact::{
    ArtifactError, CheckpointParts, DataForm, DataLayer, Descriptor, Document, Layer,
    MAX_DOCUMENT_SIZE, Runnable, media_type,
};
pub use checkpoint::{
    CheckpointError, CheckpointNote, PackedCheckpoint, assemble_checkpoint, pack_checkpoint,
};
pub use config::{ConfigError, FieldPath, Mount, WorkloadConfig};
pub use data::{DataError, LayerError};
pub use demands::Demands;
pub use dependencies::{Component, Materials, MaterialsError, title_of};
pub use digest::{Digest, DigestError};
pub use gpu::GpuDemand;
pub use init::{InitError, Language, init};
pub use limits::Limits;
pub use module::{MAX_MODULE_SIZE, ModuleError, ModuleSummary, validate_module};
pub use pack::{PackError, Packed, pack, pack_module};
pub use quantity::{parse_bytes, parse_duration};
pub use reference::{Reference, ReferenceError};
pub use store::{
    Attachment, BlobReader, BlobWriter, Check, Image, Imported, Ingest, Inspection, LentData,
    Problem, Quota, Removed, Store, StoreError, Stored, Sweep, UploadNote, Workload,
};
pub use workload_file::{DataSource, WorkloadFile, WorkloadFileError};
