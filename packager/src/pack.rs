//! From a project directory or a bare module to an artifact in the store.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::artifact::{self, Annotations, ArtifactError, Descriptor, media_type};
use crate::digest::Digest;
use crate::module::{MAX_MODULE_SIZE, ModuleError, ModuleSummary, validate_module};
use crate::reference::{Reference, ReferenceError};
use crate::store::{Store, StoreError};
use crate::workload_file::{WorkloadFile, WorkloadFileError};

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

/// Why packing failed. The store has nothing new in its index.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The `workload.toml` is refused.
    #[error(transparent)]
    WorkloadFile(#[from] WorkloadFileError),
    /// The module cannot be read.
    #[error("cannot read the module {}: {source}", path.display())]
    ReadModule {
        /// The module's path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The module of a project is refused.
    #[error("the module {} is refused: {source}", path.display())]
    ProjectModule {
        /// The module's path.
        path: PathBuf,
        /// Why.
        source: ModuleError,
    },
    /// A bare module is refused.
    #[error("the module is refused: {0}")]
    Module(#[from] ModuleError),
    /// Name or version do not make a reference.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// The manifest could not be made.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The store cannot take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Packs the project in `directory` and names it `name:version` in the store.
///
/// # Errors
/// The project is refused, or the store cannot be written.
pub fn pack(directory: &Path, store: &Store) -> Result<Packed, PackError> {
    let file = WorkloadFile::load(directory)?;
    let path = directory.join(&file.module);
    let wasm = read_module(&path)?;
    let module =
        validate_module(&wasm).map_err(|source| PackError::ProjectModule { path, source })?;
    let reference = Reference::local(&file.name, &file.version)?;
    let annotations = Annotations {
        title: &file.name,
        version: &file.version,
        description: file.description.as_deref(),
        licenses: file.licenses.as_deref(),
        source: file.source.as_deref(),
    };
    let layer = Descriptor::of(media_type::WASM, &wasm);
    let written = artifact::full_workload(&layer, &file.config, annotations)?;
    add(store, (&layer, &wasm), &written, module, Some(reference))
}

/// Packs a module alone as a CNCF wasm artifact, under `reference` if there is one.
///
/// # Errors
/// The module is refused, or the store cannot be written.
pub fn pack_module(
    wasm: &[u8],
    reference: Option<&Reference>,
    store: &Store,
) -> Result<Packed, PackError> {
    let module = validate_module(wasm)?;
    let layer = Descriptor::of(media_type::WASM, wasm);
    let written = artifact::bare_module(&layer)?;
    add(store, (&layer, wasm), &written, module, reference.cloned())
}

fn add(
    store: &Store,
    (layer, wasm): (&Descriptor, &[u8]),
    artifact::Written { manifest, config }: &artifact::Written,
    module: ModuleSummary,
    reference: Option<Reference>,
) -> Result<Packed, PackError> {
    let ingest = store.ingest()?;
    ingest.put(layer, wasm)?;
    ingest.put(&config.0, &config.1)?;
    ingest.put(&manifest.0, &manifest.1)?;
    ingest.commit(&manifest.0, reference.as_ref())?;
    let size = layer.size + config.0.size + manifest.0.size;
    Ok(Packed {
        digest: manifest.0.digest,
        reference,
        size,
        module,
    })
}

/// Reads no more of a file than a module may have.
fn read_module(path: &Path) -> Result<Vec<u8>, PackError> {
    let mut wasm = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_MODULE_SIZE + 1).read_to_end(&mut wasm))
        .map_err(|source| PackError::ReadModule {
            path: path.to_owned(),
            source,
        })?;
    Ok(wasm)
}
