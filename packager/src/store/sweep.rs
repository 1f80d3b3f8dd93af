//! Deleting the blobs that no entry of the index leads to.

use std::collections::BTreeSet;
use std::fs::{self, DirEntry, TryLockError};
use std::path::Path;

use super::error::StoreError;
use super::index::Index;
use super::ingest::BLOBS_LOCK;
use super::{Store, files};
use crate::artifact::Descriptor;
use crate::digest::Digest;

/// What happened to the blobs that no entry of the index leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sweep {
    /// They were deleted.
    Done {
        /// How many.
        blobs: u64,
        /// Their bytes, and those of blobs that never arrived.
        bytes: u64,
    },
    /// Something is being packed or pulled; the next removal deletes them.
    Busy,
    /// A manifest that is in use cannot be read, so it cannot be told what else is in use.
    /// Nothing was deleted.
    Unsure(String),
}

impl Store {
    /// Deletes what is not in use, unless that cannot be told now, or this is a `dry_run`.
    ///
    /// # Errors
    /// The store cannot be read, or something not deleted.
    pub fn sweep(&self, dry_run: bool) -> Result<Sweep, StoreError> {
        let lock = files::lock_file(&self.directory, BLOBS_LOCK)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Sweep::Busy),
            Err(TryLockError::Error(error)) => {
                return Err(StoreError::io("lock", &self.directory.join(BLOBS_LOCK))(
                    error,
                ));
            }
        }
        match self.blobs_in_use(&self.read_index()?) {
            Ok(in_use) => self.delete_all_but(&in_use, dry_run),
            Err(error) => Ok(Sweep::Unsure(error.to_string())),
        }
    }

    /// The blobs that nothing needs any more once [`Store::remove`] has removed `name`.
    ///
    /// # Errors
    /// There is no such name, or a manifest cannot be read: what it needs is not known.
    pub fn needed_only_by(&self, name: &str) -> Result<BTreeSet<Digest>, StoreError> {
        let mut index = self.read_index()?;
        let before = self.blobs_in_use(&index)?;
        index.remove(name)?;
        let after = self.blobs_in_use(&index)?;
        Ok(before.difference(&after).copied().collect())
    }

    fn blobs_in_use(&self, index: &Index) -> Result<BTreeSet<Digest>, StoreError> {
        let mut in_use = BTreeSet::new();
        let mut to_visit = Vec::new();
        for entry in index.entries() {
            to_visit.push(entry?.manifest);
        }
        while let Some(blob) = to_visit.pop() {
            if in_use.insert(blob.digest) && blob.is_document() {
                to_visit.extend(self.children_of(&blob)?);
            }
        }
        Ok(in_use)
    }

    /// What a manifest leads to; nothing if it is not here, as parts of an index may not be.
    fn children_of(&self, manifest: &Descriptor) -> Result<Vec<Descriptor>, StoreError> {
        let digest = manifest.digest;
        match self.stored(&digest) {
            Ok(stored) => stored
                .document
                .children()
                .map_err(|source| StoreError::Artifact { digest, source }),
            Err(StoreError::MissingBlob { .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    fn delete_all_but(
        &self,
        in_use: &BTreeSet<Digest>,
        dry_run: bool,
    ) -> Result<Sweep, StoreError> {
        let (mut blobs, mut bytes) = (0, 0);
        for entry in list(&self.blobs_directory())? {
            let name = entry.file_name();
            let digest = name.to_str().and_then(Digest::from_hex);
            if digest.is_some_and(|digest| !in_use.contains(&digest)) {
                blobs += 1;
                bytes += delete(&entry, dry_run)?;
            }
        }
        // Nobody is adding blobs: what is here was left by a crash.
        for entry in list(&self.ingest_directory())? {
            bytes += delete(&entry, dry_run)?;
        }
        Ok(Sweep::Done { blobs, bytes })
    }
}

fn list(directory: &Path) -> Result<Vec<DirEntry>, StoreError> {
    if !directory.exists() {
        return Ok(Vec::new());
    }
    fs::read_dir(directory)
        .and_then(Iterator::collect)
        .map_err(StoreError::io("read", directory))
}

/// Deletes a file, unless this is a `dry_run`, and returns its size.
fn delete(entry: &DirEntry, dry_run: bool) -> Result<u64, StoreError> {
    let path = entry.path();
    let size = entry
        .metadata()
        .map_err(StoreError::io("read", &path))?
        .len();
    if !dry_run {
        fs::remove_file(&path).map_err(StoreError::io("delete", &path))?;
    }
    Ok(size)
}
