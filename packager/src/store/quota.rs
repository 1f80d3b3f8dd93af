//! How much the store may hold.

use std::fs;

use super::error::StoreError;
use super::{Store, files};

const FILE: &str = "quota";

/// What a store holds, and what it may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Bytes of all blobs, those that are arriving included, and of directories that were unpacked:
    /// each counts as much as its layer.
    pub used: u64,
    /// How many it may have; none if that is not limited.
    pub limit: Option<u64>,
}

impl Store {
    /// What the store holds, and what it may hold.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn quota(&self) -> Result<Quota, StoreError> {
        Ok(Quota {
            used: self.used()?,
            limit: self.limit()?,
        })
    }

    /// Limits what the store may hold, for every process that uses it. What is there stays.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn set_quota(&self, limit: Option<u64>) -> Result<(), StoreError> {
        let path = self.directory.join(FILE);
        match limit {
            Some(limit) => files::replace(&path, format!("{limit}\n").as_bytes()),
            None if path.exists() => {
                fs::remove_file(&path).map_err(StoreError::io("delete", &path))
            }
            None => Ok(()),
        }
    }

    /// Refuses `more` bytes that the quota has no place for. Processes that ask at the same moment
    /// can both be right, and together exceed it by what they have not written yet.
    pub(super) fn check_quota(&self, more: u64) -> Result<(), StoreError> {
        let Some(limit) = self.limit()? else {
            return Ok(());
        };
        let used = self.used()?;
        if used.saturating_add(more) > limit {
            return Err(StoreError::Quota { limit, used, more });
        }
        Ok(())
    }

    fn limit(&self) -> Result<Option<u64>, StoreError> {
        let path = self.directory.join(FILE);
        let Some(text) = files::read_small(&path)? else {
            return Ok(None);
        };
        let number = std::str::from_utf8(&text).ok().map(str::trim);
        match number.and_then(|number| number.parse().ok()) {
            Some(limit) => Ok(Some(limit)),
            None => Err(StoreError::Layout {
                path,
                reason: "is not a number of bytes".to_owned(),
            }),
        }
    }

    fn used(&self) -> Result<u64, StoreError> {
        let mut used: u64 = 0;
        for directory in [self.blobs_directory(), self.ingest_directory()] {
            for entry in files::list(&directory)? {
                // One that has gone meanwhile uses nothing.
                let size = entry.metadata().map_or(0, |metadata| metadata.len());
                used = used.saturating_add(size);
            }
        }
        let directories = self.unpacked()?.0.into_iter();
        let directories = directories.filter(|unpacked| unpacked.file.is_none());
        let unpacked = directories.map(|directory| self.size_of(&directory.layer));
        Ok(unpacked.fold(used, u64::saturating_add))
    }
}
