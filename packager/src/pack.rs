//! From a project directory or a bare module to an artifact in the store.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::artifact::{self, Annotations, ArtifactError, DataLayer, Descriptor, media_type};
use crate::data::{DataError, Material};
use crate::digest::Digest;
use crate::module::{MAX_MODULE_SIZE, ModuleError, ModuleSummary, validate_module};
use crate::reference::{Reference, ReferenceError};
use crate::store::{BlobWriter, Ingest, Store, StoreError};
use crate::workload_file::{DataSource, WorkloadFile, WorkloadFileError};

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
    /// Data of a project is refused.
    #[error("data for `{guest}`: {source}")]
    Data {
        /// Where the program was to find it.
        guest: String,
        /// Why.
        source: DataError,
    },
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
    let ingest = store.ingest()?;
    let mut data = Vec::with_capacity(file.data.len());
    for source in file.data {
        data.push(add_data(&ingest, directory, source)?);
    }
    let written = artifact::full_workload(&layer, &data, &file.config, annotations)?;
    let mut packed = add(ingest, (&layer, &wasm), &written, module, Some(reference))?;
    packed.size += data.iter().map(|layer| layer.blob.size).sum::<u64>();
    Ok(packed)
}

/// Adds a layer with data, unless it is there.
fn add_data(
    ingest: &Ingest,
    directory: &Path,
    DataSource { path, guest }: DataSource,
) -> Result<DataLayer, PackError> {
    let refused = |source| PackError::Data {
        guest: guest.clone(),
        source,
    };
    let path = directory.join(path);
    // It was read twice.
    let not_stored = |error| match error {
        StoreError::WrongDigest { .. } | StoreError::WrongSize { .. } => {
            refused(DataError::Changed(path.clone()))
        }
        error => PackError::Store(error),
    };
    let material = Material::find(&path).map_err(refused)?;
    let blob = material.describe().map_err(refused)?;
    if !ingest.has(&blob)? {
        let mut sink = Sink(ingest.writer(&blob)?);
        let written = material.write(&mut sink);
        written.map_err(|error| match error {
            DataError::Write(error) => error
                .downcast()
                .map_or_else(|error| refused(DataError::Write(error)), &not_stored),
            other => refused(other),
        })?;
        sink.0.commit().map_err(not_stored)?;
    }
    let form = material.form;
    Ok(DataLayer { blob, guest, form })
}

/// A blob being written, as a stream.
struct Sink(BlobWriter);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
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
    let ingest = store.ingest()?;
    add(ingest, (&layer, wasm), &written, module, reference.cloned())
}

fn add(
    ingest: Ingest,
    (layer, wasm): (&Descriptor, &[u8]),
    artifact::Written { manifest, config }: &artifact::Written,
    module: ModuleSummary,
    reference: Option<Reference>,
) -> Result<Packed, PackError> {
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
