//! Deleting the blobs that no entry of the index leads to.

use std::collections::BTreeSet;
use std::fs::{self, DirEntry, TryLockError};

use super::error::StoreError;
use super::index::{Entry, Index};
use super::ingest::BLOBS_LOCK;
use super::{Store, attachments, files};
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
        let in_use = match self.blobs_in_use(&self.read_index()?) {
            Ok(in_use) => in_use,
            Err(error) => return Ok(Sweep::Unsure(error.to_string())),
        };
        if !dry_run {
            // First the entries, then what they lead to: a crash in between leaves no gap. An
            // entry that came meanwhile has all its blobs, which are in nobody's way.
            self.update_index(|index| {
                index.keep(|entry| {
                    in_use.contains(&entry.manifest.digest) || !self.is_attached(entry)
                });
                Ok(())
            })?;
        }
        self.delete_all_but(&in_use, dry_run)
    }

    fn is_attached(&self, entry: &Entry) -> bool {
        let stored = self.stored(&entry.manifest.digest).ok();
        attachments::subject_of(entry, stored.as_ref()).is_some()
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
        let (mut to_visit, mut attached) = (Vec::new(), Vec::new());
        for entry in index.entries() {
            let entry = entry?;
            let stored = match self.stored(&entry.manifest.digest) {
                Ok(stored) => Some(stored),
                Err(StoreError::MissingBlob { .. }) => None,
                Err(error) => return Err(error),
            };
            match attachments::subject_of(&entry, stored.as_ref()) {
                Some(subject) => attached.push((subject, entry.manifest)),
                None => to_visit.push(entry.manifest),
            }
        }
        // What is attached to something in use is in use, and so is what is attached to that.
        while !to_visit.is_empty() {
            self.visit(&mut to_visit, &mut in_use)?;
            attached.retain(|(subject, manifest)| {
                let is_needed = in_use.contains(subject);
                if is_needed {
                    to_visit.push(manifest.clone());
                }
                !is_needed
            });
        }
        Ok(in_use)
    }

    fn visit(
        &self,
        to_visit: &mut Vec<Descriptor>,
        in_use: &mut BTreeSet<Digest>,
    ) -> Result<(), StoreError> {
        while let Some(blob) = to_visit.pop() {
            if in_use.insert(blob.digest) && blob.is_document() {
                to_visit.extend(self.children_of(&blob)?);
            }
        }
        Ok(())
    }

    /// What a manifest leads to; nothing if it is not here, as parts of an index may not be.
    pub(super) fn children_of(&self, manifest: &Descriptor) -> Result<Vec<Descriptor>, StoreError> {
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
        for entry in files::list(&self.blobs_directory())? {
            let name = entry.file_name();
            let digest = name.to_str().and_then(Digest::from_hex);
            if digest.is_some_and(|digest| !in_use.contains(&digest)) {
                blobs += 1;
                bytes += delete(&entry, dry_run)?;
            }
        }
        // What a job uses stays until the next time.
        for unpacked in self.unpacked()?.0 {
            if !in_use.contains(&unpacked.layer) {
                bytes += self.delete_unpacked(&unpacked, dry_run)?.unwrap_or(0);
            }
        }
        if !dry_run {
            self.forget_uploads(|blob| in_use.contains(blob));
        }
        // Nobody is adding blobs: what is here was left by a crash.
        for entry in files::list(&self.ingest_directory())? {
            bytes += delete(&entry, dry_run)?;
        }
        Ok(Sweep::Done { blobs, bytes })
    }
}

/// Deletes a file, or data half unpacked, unless this is a `dry_run`, and returns its size.
fn delete(entry: &DirEntry, dry_run: bool) -> Result<u64, StoreError> {
    let path = entry.path();
    let metadata = entry.metadata().map_err(StoreError::io("read", &path))?;
    if !dry_run {
        let deleted = match metadata.is_dir() {
            true => fs::remove_dir_all(&path),
            false => fs::remove_file(&path),
        };
        deleted.map_err(StoreError::io("delete", &path))?;
    }
    Ok(metadata.len())
}
