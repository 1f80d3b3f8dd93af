//! Adding an artifact: first the blobs, last the entry of the index that makes them count.

use std::fs::{self, File};
use std::path::PathBuf;

use super::error::StoreError;
use super::{BlobWriter, Store, attachments, files};
use crate::artifact::Descriptor;
use crate::reference::Reference;

/// Held shared while blobs are added, exclusively while they are deleted.
pub(super) const BLOBS_LOCK: &str = "blobs.lock";

/// An artifact being added. While it lives, no blob of the store is deleted: those that are
/// here already can be counted on.
#[derive(Debug)]
pub struct Ingest {
    store: Store,
    /// Released when the file is closed.
    _lock: File,
}

impl Store {
    pub(super) fn ingest_directory(&self) -> PathBuf {
        self.directory.join("ingest")
    }

    /// Starts to add an artifact.
    ///
    /// # Errors
    /// The store cannot be locked.
    pub fn ingest(&self) -> Result<Ingest, StoreError> {
        let lock = files::lock_file(&self.directory, BLOBS_LOCK)?;
        lock.lock_shared()
            .map_err(StoreError::io("lock", &self.directory.join(BLOBS_LOCK)))?;
        for directory in [self.ingest_directory(), self.blobs_directory()] {
            fs::create_dir_all(&directory).map_err(StoreError::io("create", &directory))?;
        }
        Ok(Ingest {
            store: self.clone(),
            _lock: lock,
        })
    }
}

impl Ingest {
    /// Whether a blob is there and undamaged, so that it need not be added.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn has(&self, blob: &Descriptor) -> Result<bool, StoreError> {
        self.store.has_blob(blob)
    }

    /// Starts to write a blob, of which size and digest are known beforehand.
    ///
    /// # Errors
    /// No file can be created.
    pub fn writer(&self, blob: &Descriptor) -> Result<BlobWriter, StoreError> {
        let mut writer = self.resume(blob)?;
        writer.restart()?;
        Ok(writer)
    }

    /// As [`Ingest::writer`], but goes on where an earlier writer of the blob broke off: see
    /// [`BlobWriter::written`].
    ///
    /// # Errors
    /// No file can be created.
    pub fn resume(&self, blob: &Descriptor) -> Result<BlobWriter, StoreError> {
        BlobWriter::resume(&self.store, blob)
    }

    /// Adds a blob that is in memory, unless it is there.
    ///
    /// # Errors
    /// The bytes are not those of the descriptor, or they cannot be written.
    pub fn put(&self, blob: &Descriptor, bytes: &[u8]) -> Result<(), StoreError> {
        if self.has(blob)? {
            return Ok(());
        }
        let mut writer = self.writer(blob)?;
        writer.write(bytes)?;
        writer.commit()
    }

    /// Enters a manifest, all of whose blobs were added, into the index: under `reference`,
    /// or without a name.
    ///
    /// # Errors
    /// The index cannot be written.
    pub fn commit(
        self,
        manifest: &Descriptor,
        reference: Option<&Reference>,
    ) -> Result<(), StoreError> {
        let name = reference.and_then(Reference::store_name);
        let stored = self.store.stored(&manifest.digest).ok();
        let artifact_type = stored.as_ref().and_then(attachments::type_of);
        self.store
            .update_index(|index| index.insert(manifest, artifact_type.as_deref(), name.as_deref()))
    }
}
