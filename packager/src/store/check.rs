//! Checking a store: every blob against its digest, every entry against what it leads to.

use std::collections::BTreeSet;
use std::fs;

use super::error::StoreError;
use super::ingest::BLOBS_LOCK;
use super::{Store, files};
use crate::artifact::Descriptor;
use crate::digest::Digest;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Check {
    /// Blobs that were read.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

/// Something that is wrong with a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The content of a blob is not what its name says.
    Damaged {
        /// Its name.
        blob: Digest,
        /// Whether it was removed: whoever needs it can fetch it again.
        removed: bool,
    },
    /// An artifact needs a blob that is not there.
    Missing {
        /// The name of the artifact, or its digest.
        artifact: String,
        /// The blob.
        blob: Digest,
    },
    /// An artifact says that a blob has another size.
    WrongSize {
        /// The name of the artifact, or its digest.
        artifact: String,
        /// The blob.
        blob: Digest,
    },
    /// An entry of the index leads to something that is not an artifact.
    Refused {
        /// The name of the artifact, or its digest.
        artifact: String,
        /// Why.
        reason: String,
    },
    /// What was unpacked of a layer with data is not what the layer says.
    DamagedData {
        /// The layer.
        layer: Digest,
        /// Whether it was removed: it is unpacked again when it is needed.
        removed: bool,
    },
    /// A file that has no business among the blobs, or among what was unpacked.
    Foreign(String),
}

impl Store {
    /// Reads everything, and says what is wrong. `each` is told of the bytes that were read.
    /// Nothing is deleted meanwhile; what is added meanwhile may be left out.
    ///
    /// With `repair`, damaged blobs are removed: no other process may use the store then.
    ///
    /// # Errors
    /// The store or its index cannot be read, or it is in use and is to be repaired.
    pub fn check(&self, repair: bool, mut each: impl FnMut(u64)) -> Result<Check, StoreError> {
        let lock = files::lock_file(&self.directory, BLOBS_LOCK)?;
        let path = self.directory.join(BLOBS_LOCK);
        let locked = if repair {
            lock.try_lock().map_err(|error| match error {
                fs::TryLockError::WouldBlock => StoreError::InUse,
                fs::TryLockError::Error(error) => StoreError::io("lock", &path)(error),
            })
        } else {
            lock.lock_shared().map_err(StoreError::io("lock", &path))
        };
        locked?;
        let index = self.read_index()?;
        let mut check = Check::default();
        let mut whole = BTreeSet::new();
        for file in files::list(&self.blobs_directory())? {
            let name = file.file_name();
            let is_file = file.file_type().is_ok_and(|kind| kind.is_file());
            let digest = name.to_str().and_then(Digest::from_hex);
            let Some(digest) = digest.filter(|_| is_file) else {
                let name = name.to_string_lossy().into_owned();
                check.problems.push(Problem::Foreign(name));
                continue;
            };
            let size = file.metadata().map_or(0, |metadata| metadata.len());
            match self.is_whole(&digest, size, &mut each)? {
                true => _ = whole.insert(digest),
                false => check.problems.push(Problem::Damaged {
                    blob: digest,
                    removed: repair && fs::remove_file(file.path()).is_ok(),
                }),
            }
            check.blobs += 1;
            check.bytes += size;
        }
        self.check_unpacked(repair, &whole, &mut check)?;
        for entry in index.entries() {
            match entry {
                Ok(entry) => {
                    let digest = entry.manifest.digest.to_string();
                    let name = entry.name.unwrap_or(digest);
                    self.check_artifact(&name, &entry.manifest, &whole, &mut check);
                }
                Err(error) => check.problems.push(Problem::Refused {
                    artifact: "index.json".to_owned(),
                    reason: error.to_string(),
                }),
            }
        }
        Ok(check)
    }

    /// Compares what was unpacked with its layers. What the layer of is missing or damaged cannot be
    /// told from what is damaged itself.
    fn check_unpacked(
        &self,
        repair: bool,
        whole: &BTreeSet<Digest>,
        check: &mut Check,
    ) -> Result<(), StoreError> {
        let (unpacked, foreign) = self.unpacked()?;
        check
            .problems
            .extend(foreign.into_iter().map(Problem::Foreign));
        for unpacked in unpacked {
            if whole.contains(&unpacked.layer) && self.is_unpacked_whole(&unpacked)? {
                continue;
            }
            let removed = repair && self.delete_unpacked(&unpacked, false)?.is_some();
            check.problems.push(Problem::DamagedData {
                layer: unpacked.layer,
                removed,
            });
        }
        Ok(())
    }

    fn is_whole(
        &self,
        digest: &Digest,
        size: u64,
        each: &mut impl FnMut(u64),
    ) -> Result<bool, StoreError> {
        let blob = Descriptor {
            media_type: String::new(),
            digest: *digest,
            size,
        };
        let mut read = || {
            let mut reader = self.open_blob(&blob)?;
            while let Some(chunk) = reader.next_chunk()? {
                each(chunk.len() as u64);
            }
            Ok(())
        };
        match read() {
            Ok(()) => Ok(true),
            Err(StoreError::WrongDigest { .. } | StoreError::WrongSize { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Goes from an entry of the index to all that it leads to.
    fn check_artifact(
        &self,
        name: &str,
        manifest: &Descriptor,
        whole: &BTreeSet<Digest>,
        check: &mut Check,
    ) {
        let mut seen = BTreeSet::new();
        let mut to_visit = vec![(manifest.clone(), true)];
        while let Some((blob, is_needed)) = to_visit.pop() {
            let artifact = name.to_owned();
            let digest = blob.digest;
            if !seen.insert(digest) {
                continue;
            }
            if !whole.contains(&digest) {
                // Parts of an index for other platforms are not here; what is damaged was told.
                let is_told = check.problems.iter().any(
                    |problem| matches!(problem, Problem::Damaged { blob, .. } if *blob == digest),
                );
                if is_needed && !is_told {
                    let problem = Problem::Missing {
                        artifact,
                        blob: digest,
                    };
                    check.problems.push(problem);
                }
                continue;
            }
            if let Err(StoreError::WrongSize { .. }) = self.open_blob(&blob) {
                check.problems.push(Problem::WrongSize {
                    artifact,
                    blob: digest,
                });
            } else if blob.is_document() {
                let children = self.stored(&digest).and_then(|stored| {
                    let is_index = stored.document.config().is_none();
                    let children = stored.document.children();
                    let children =
                        children.map_err(|source| StoreError::Artifact { digest, source })?;
                    Ok((children, is_index))
                });
                match children {
                    Ok((children, is_index)) => {
                        to_visit.extend(children.into_iter().map(|child| (child, !is_index)));
                    }
                    Err(error) => check.problems.push(Problem::Refused {
                        artifact,
                        reason: error.to_string(),
                    }),
                }
            }
        }
    }
}
