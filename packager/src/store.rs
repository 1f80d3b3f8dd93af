//! The local content store: an OCI image layout that any number of processes may use at once.
//!
//! ```text
//! oci-layout        {"imageLayoutVersion":"1.0.0"}
//! index.json        names and the manifests that they mean
//! blobs/sha256/…    blobs, by digest
//! ingest/           blobs that are arriving; empty but for what a crash left
//! data/             data of workloads, unpacked
//! uploads/          where uploads are that were not finished
//! index.lock        held while index.json changes
//! blobs.lock        shared by who adds blobs, exclusive for who deletes them
//! quota             how many bytes it may have, if that is limited
//! ```
//!
//! A file becomes visible by a rename, after its bytes have reached the disk: whoever is
//! killed, at whatever moment, leaves a store that is whole.

mod archive;
mod attachments;
mod blobs;
mod check;
mod data;
mod error;
mod files;
mod index;
mod ingest;
mod quota;
mod sweep;
mod uploads;
mod writeback;

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::artifact::{DataLayer, Descriptor, Document, MAX_DOCUMENT_SIZE};
use crate::config::WorkloadConfig;
use crate::digest::Digest;
use crate::reference::Reference;

pub use archive::Imported;
pub use attachments::Attachment;
pub use blobs::{BlobReader, BlobWriter};
pub use check::{Check, Problem};
pub use data::LentData;
pub use error::StoreError;
pub use ingest::Ingest;
pub use quota::Quota;
pub use sweep::Sweep;
pub use uploads::UploadNote;

/// A content store in a directory. Cheap to clone; safe to use from several processes.
#[derive(Clone, Debug)]
pub struct Store {
    directory: PathBuf,
}

/// An entry of the store's index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its name in the store, e.g. `nbody:1.0`; none if another manifest took the name, or
    /// if it was pulled by digest.
    pub reference: Option<String>,
    /// Digest of its manifest.
    pub digest: Digest,
    /// Bytes of manifest, config and layers together; none if the manifest cannot be read.
    pub size: Option<u64>,
    /// Its artifact type, or else the media type of its config.
    pub artifact_type: Option<String>,
}

/// A workload that is ready to run: its digests were checked, its module was not validated.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Digest of the manifest: the workload's identity.
    pub digest: Digest,
    /// What it is given and asks for. A bare or foreign module has the defaults.
    pub config: WorkloadConfig,
    /// Digest of the module.
    pub module_digest: Digest,
    /// The module's bytes.
    pub module: Vec<u8>,
    /// The data that it brings along: see [`Store::lend`].
    pub data: Vec<DataLayer>,
}

/// What `inspect` shows.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// Digest of the manifest, or of the index if that is what the name means.
    pub digest: Digest,
    /// The manifest or index as it is stored.
    pub manifest: Value,
    /// The config as it is stored, if there is one and it is JSON.
    pub config: Option<Value>,
}

/// What a removal did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// The manifest that lost its entries.
    pub digest: Digest,
    /// The names that were removed.
    pub references: Vec<String>,
    /// What happened to the blobs that nothing names any more.
    pub sweep: Sweep,
}

/// A manifest or index of the store, for sending it elsewhere.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Type, digest and size of its bytes.
    pub descriptor: Descriptor,
    /// Its bytes, exactly as their digest was taken.
    pub bytes: Vec<u8>,
    /// What they say.
    pub document: Document,
}

impl Store {
    /// Opens the store in `directory`, creating an empty one if there is nothing.
    ///
    /// # Errors
    /// The directory cannot be used, holds something else, or is a layout of another version.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let store = Self {
            directory: directory.into(),
        };
        if !files::has_layout(&store.directory)? {
            files::create_layout(&store.directory)?;
        }
        Ok(store)
    }

    /// The directory of the store.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The entries of the index, sorted by name, without what is only attached to another one
    /// (see [`Store::attachments`]).
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn images(&self) -> Result<Vec<Image>, StoreError> {
        let mut images: Vec<_> = self
            .read_index()?
            .entries()
            .filter_map(|entry| self.image(entry).transpose())
            .collect::<Result<_, _>>()?;
        images.sort_by(|a, b| (&a.reference, &a.digest).cmp(&(&b.reference, &b.digest)));
        Ok(images)
    }

    /// The names of an artifact, sorted. Only the index is read.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn names_of(&self, digest: &Digest) -> Result<Vec<String>, StoreError> {
        let index = self.read_index()?;
        let entries = index.entries().collect::<Result<Vec<_>, _>>()?.into_iter();
        let is_it = |entry: &index::Entry| {
            entry.manifest.digest == *digest && attachments::subject_of(entry, None).is_none()
        };
        let mut names: Vec<_> = entries
            .filter(is_it)
            .filter_map(|entry| entry.name)
            .collect();
        names.sort();
        Ok(names)
    }

    fn image(&self, entry: Result<index::Entry, StoreError>) -> Result<Option<Image>, StoreError> {
        let entry = entry?;
        let stored = self.stored(&entry.manifest.digest).ok();
        if attachments::subject_of(&entry, stored.as_ref()).is_some() {
            return Ok(None);
        }
        let index::Entry {
            name: reference,
            manifest,
        } = entry;
        let parts = stored
            .as_ref()
            .and_then(|stored| stored.document.children().ok());
        let sizes = parts.iter().flatten().map(|part| part.size);
        Ok(Some(Image {
            reference,
            digest: manifest.digest,
            size: parts
                .is_some()
                .then(|| sizes.fold(manifest.size, u64::saturating_add)),
            artifact_type: stored.and_then(|stored| stored.document.artifact_type()),
        }))
    }

    /// The manifest that `name` means: a reference, a digest, or a digest's beginning (four
    /// hexadecimal digits or more, with or without `sha256:`).
    ///
    /// # Errors
    /// There is none, or there are several.
    pub fn resolve(&self, name: &str) -> Result<Digest, StoreError> {
        self.read_index()?.resolve(name)
    }

    /// Gives the manifest `digest` the name `reference`. A manifest that had the name keeps
    /// its place in the store, without a name.
    ///
    /// # Errors
    /// The manifest is not in the store, or the index cannot be written.
    pub fn tag(&self, digest: &Digest, reference: &Reference) -> Result<(), StoreError> {
        let ingest = self.ingest()?;
        let manifest = self.stored(digest)?.descriptor;
        ingest.commit(&manifest, Some(reference))
    }

    /// Removes a name, or all names of a digest, and deletes the blobs that nothing needs now.
    ///
    /// # Errors
    /// There is no such name, or the index cannot be written.
    pub fn remove(&self, name: &str) -> Result<Removed, StoreError> {
        let (digest, references) = self.update_index(|index| index.remove(name))?;
        Ok(Removed {
            digest,
            references,
            sweep: self.sweep(false)?,
        })
    }

    /// Reads the workload that `name` means (see [`Store::resolve`]), checking every digest.
    ///
    /// # Errors
    /// It is not there, damaged, or not something that Wherry can run.
    pub fn workload(&self, name: &str) -> Result<Workload, StoreError> {
        let stored = self.runnable_manifest(self.stored(&self.resolve(name)?)?)?;
        let digest = stored.descriptor.digest;
        let refused = |source| StoreError::Artifact { digest, source };
        let runnable = stored.document.runnable().map_err(refused)?;
        let config = match &runnable.config {
            Some(config) => {
                WorkloadConfig::parse(&self.read(config)?).map_err(|e| refused(e.into()))?
            }
            None => WorkloadConfig::default(),
        };
        let guests = runnable.data.iter().map(|layer| layer.guest.as_str());
        config.check_data(guests).map_err(|e| refused(e.into()))?;
        for layer in &runnable.data {
            self.open_blob(&layer.blob)?;
        }
        let module = self.read(&runnable.module)?;
        Ok(Workload {
            digest,
            config,
            module_digest: runnable.module.digest,
            module,
            data: runnable.data,
        })
    }

    fn runnable_manifest(&self, stored: Stored) -> Result<Stored, StoreError> {
        let digest = stored.descriptor.digest;
        match stored.document.entry_for_wasm() {
            Ok(None) => Ok(stored),
            Ok(Some(entry)) => self.stored(&entry.digest),
            Err(source) => Err(StoreError::Artifact { digest, source }),
        }
    }

    /// The manifest and the config that `name` means, for people to read.
    ///
    /// # Errors
    /// It is not there or damaged.
    pub fn inspect(&self, name: &str) -> Result<Inspection, StoreError> {
        let Stored {
            descriptor,
            bytes,
            document,
        } = self.stored(&self.resolve(name)?)?;
        let config = match document.config() {
            Some(config) if config.size <= MAX_DOCUMENT_SIZE => Some(self.read(&config)?),
            _ => None,
        };
        Ok(Inspection {
            digest: descriptor.digest,
            manifest: serde_json::from_slice(&bytes).unwrap_or_default(),
            config: config.and_then(|config| serde_json::from_slice(&config).ok()),
        })
    }

    /// The manifest or index with that digest.
    ///
    /// # Errors
    /// It is missing, damaged, or neither.
    pub fn stored(&self, digest: &Digest) -> Result<Stored, StoreError> {
        let bytes = self.read_document(digest)?;
        let document = Document::parse(&bytes).map_err(|source| StoreError::Artifact {
            digest: *digest,
            source,
        })?;
        let size = bytes.len() as u64;
        let descriptor = Descriptor {
            media_type: document.media_type(),
            digest: *digest,
            size,
        };
        Ok(Stored {
            descriptor,
            bytes,
            document,
        })
    }
}
