//! What earlier checkpoints of the store have: whole files, and single chunks.

use std::collections::HashMap;

use wherry_snapshot::Anatomy;

use super::recipe::{Extent, Skeleton};
use super::{CheckpointError, CheckpointNote};
use crate::artifact::{CheckpointParts, Descriptor, media_type};
use crate::digest::Digest;
use crate::store::{Store, Stored};

/// So many earlier checkpoints are looked at: the one before has nearly all that there is.
const MOST: usize = 3;

/// What earlier checkpoints have.
#[derive(Default)]
pub(super) struct Known {
    /// The extents of whole files, by their file digests.
    pub(super) files: HashMap<[u8; 32], Vec<Extent>>,
    /// Stored chunks, by the digests of their bytes.
    pub(super) chunks: HashMap<[u8; 32], Extent>,
    /// The packs that these lie in.
    pub(super) packs: HashMap<Digest, Descriptor>,
}

impl Known {
    /// What the checkpoints of the store have that are likely to share something with a new one:
    /// the one before it, and the newest ones of the same module.
    pub(super) fn of(store: &Store, note: &CheckpointNote) -> Result<Self, CheckpointError> {
        let mut relatives = Vec::new();
        for image in store.images()? {
            if image.artifact_type.as_deref() != Some(media_type::CHECKPOINT) {
                continue;
            }
            let stored = store.stored(&image.digest)?;
            let other = CheckpointNote::of(&stored.document.annotations());
            if other.module == note.module {
                let is_parent = other.state.is_some() && other.state == note.parent;
                relatives.push((is_parent, other.sequence, image.digest, stored));
            }
        }
        relatives.sort_by_key(|(is_parent, sequence, digest, _)| (*is_parent, *sequence, *digest));
        relatives.dedup_by_key(|(_, _, digest, _)| *digest);
        let mut known = Known::default();
        for (_, _, _, stored) in relatives.iter().rev().take(MOST) {
            // One that is damaged, or not all here, is of no use, and does no harm.
            if let Ok(parts) = parts(stored) {
                let _ = known.add(store, &parts);
            }
        }
        Ok(known)
    }

    fn add(&mut self, store: &Store, parts: &CheckpointParts) -> Result<(), CheckpointError> {
        for pack in &parts.packs {
            // It must be here to be sent.
            if store.open_blob(pack).is_ok() {
                self.packs
                    .entry(pack.digest)
                    .or_insert_with(|| pack.clone());
            }
        }
        for file in &parts.files {
            self.add_file(store, file)?;
        }
        Ok(())
    }

    fn add_file(&mut self, store: &Store, file: &Descriptor) -> Result<(), CheckpointError> {
        let mut skeleton = Skeleton::read(store.read(file)?)?;
        let anatomy = Anatomy::read(&mut skeleton)?;
        let extents: Vec<Extent> = skeleton.header.extents().collect::<Result<_, _>>()?;
        let length: u64 = extents.iter().map(|extent| extent.length).sum();
        let are_here = |extent: &Extent| {
            let pack = self.packs.get(&extent.pack);
            let end = extent.offset.checked_add(extent.length);
            pack.is_some_and(|pack| end.is_some_and(|end| end <= pack.size))
        };
        if length != anatomy.chunks.end - anatomy.chunks.start || !extents.iter().all(are_here) {
            return Ok(());
        }
        if let Some(stored) = &anatomy.stored {
            let mut rest = extents.iter().copied();
            let mut current = rest.next();
            for chunk in stored {
                let wanted = u64::from(chunk.length);
                while current.is_some_and(|extent| extent.length == 0) {
                    current = rest.next();
                }
                let Some(extent) = current.as_mut().filter(|extent| extent.length >= wanted) else {
                    // No chunk lies in two extents.
                    return Ok(());
                };
                let place = Extent {
                    length: wanted,
                    ..*extent
                };
                extent.offset += wanted;
                extent.length -= wanted;
                self.chunks.entry(chunk.digest).or_insert(place);
            }
        }
        self.files.entry(anatomy.file).or_insert(extents);
        Ok(())
    }
}

fn parts(stored: &Stored) -> Result<CheckpointParts, CheckpointError> {
    let parts = stored.document.checkpoint()?;
    parts.ok_or_else(|| super::refused("it is something else"))
}
