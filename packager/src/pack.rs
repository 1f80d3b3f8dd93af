//! From a project directory or a bare module to an artifact in the store.

use std::path::Path;

use crate::digest::Digest;
use crate::module::{ModuleError, ModuleSummary};
use crate::reference::{Reference, ReferenceError};
use crate::store::{Store, StoreError};
use crate::workload_file::WorkloadFileError;

/// A packed artifact.
#[derive(Clone, Debug)]
pub struct Packed {
    /// Digest of the manifest: the workload's identity.
    pub digest: Digest,
    /// The name it got in the store, if any.
    pub reference: Option<Reference>,
    /// Bytes of manifest, config and layers together.
    pub size: u64,
    /// What was packed.
    pub module: ModuleSummary,
}

/// Why packing failed. The store is as it was.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The `workload.toml` is refused.
    #[error(transparent)]
    WorkloadFile(#[from] WorkloadFileError),
    /// The module cannot be read.
    #[error("cannot read the module {}: {source}", path.display())]
    ReadModule {
        /// The module's path.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The module is refused.
    #[error("{module}: {source}")]
    Module {
        /// The module's path.
        module: String,
        /// Why.
        source: ModuleError,
    },
    /// Name or version do not make a reference.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// The store cannot take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Packs the project in `directory` and names it `name:version` in the store.
///
/// # Errors
/// The project is refused, or the store cannot be written.
pub fn pack(_directory: &Path, _store: &Store) -> Result<Packed, PackError> {
    todo!()
}

/// Packs a module alone as a CNCF wasm artifact, under `reference` if there is one.
///
/// # Errors
/// The module is refused, or the store cannot be written.
pub fn pack_module(
    _wasm: &[u8],
    _reference: Option<&Reference>,
    _store: &Store,
) -> Result<Packed, PackError> {
    todo!()
}
