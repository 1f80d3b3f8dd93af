//! Dividing the chunks of files into packs.
//!
//! A pack is a few megabytes of stored chunks that follow each other in a file and are new. Where
//! it ends is decided by the chunks themselves: after some 4 MiB, at the first chunk whose digest
//! begins with a zero byte, which is one in 256. So what is inserted in one place moves no border
//! far behind it, and packs that hold the same have the same digest whoever makes them.
//!
//! A pack of an earlier checkpoint is used again while at least half of it is of use. The chunks
//! of others are packed anew, so that nobody has to fetch much that is of no use.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

use wherry_snapshot::Anatomy;

use super::CheckpointError;
use super::known::Known;
use super::recipe::Extent;
use crate::artifact::{Descriptor, media_type};
use crate::digest::Digest;
use crate::store::Ingest;

/// A pack has no border before.
const LEAST: u64 = 4 << 20;
/// A pack ends here in any case.
const MOST: u64 = 16 << 20;
/// The chunks of an encrypted file cannot be told apart: it is divided into parts of so many bytes.
const PART: u64 = 4 << 20;
/// Packs of earlier checkpoints that one uses again at most: with its own ones, no manifest comes
/// near the limit for blobs.
const MOST_KEPT: usize = 2048;

/// Some bytes of a file.
#[derive(Clone, Copy, Debug)]
struct Piece {
    offset: u64,
    length: u64,
    /// Of a stored chunk: SHA-256 of its bytes.
    digest: Option<[u8; 32]>,
    /// Where an earlier checkpoint has it.
    known: Option<Extent>,
}

/// Where the chunks of every file are.
pub(super) struct PackedFiles {
    /// For each file, what makes up its section *chunks*.
    pub(super) files: Vec<Vec<Extent>>,
    /// The packs, in the order of their first use.
    pub(super) packs: Vec<Descriptor>,
    /// Bytes of those that are new.
    pub(super) fresh: u64,
}

/// Puts what is new into packs.
pub(super) fn pack(
    ingest: &Ingest,
    files: &mut [File],
    anatomies: &[Anatomy],
    known: Known,
) -> Result<PackedFiles, CheckpointError> {
    let mut pieces: Vec<Vec<Piece>> = anatomies.iter().map(|file| divide(file, &known)).collect();
    let kept = worth_keeping(&pieces, &known.packs);
    for piece in pieces.iter_mut().flatten() {
        piece.known = piece.known.filter(|extent| kept.contains(&extent.pack));
    }
    let mut packer = Packer {
        ingest,
        packs: known.packs,
        chunks: HashMap::new(),
        fresh: 0,
        pack: Vec::new(),
        waiting: Vec::new(),
    };
    let mut packed = PackedFiles {
        files: Vec::new(),
        packs: Vec::new(),
        fresh: 0,
    };
    for (file, pieces) in files.iter_mut().zip(&pieces) {
        packed.files.push(packer.add(file, pieces)?);
    }
    let mut seen = HashSet::new();
    let used = packed.files.iter().flatten().map(|extent| extent.pack);
    let used = used.filter(|pack| seen.insert(*pack));
    packed.packs = used
        .filter_map(|pack| packer.packs.get(&pack).cloned())
        .collect();
    packed.fresh = packer.fresh;
    Ok(packed)
}

/// The pieces of a file's section *chunks*.
fn divide(anatomy: &Anatomy, known: &Known) -> Vec<Piece> {
    let mut offset = anatomy.chunks.start;
    let mut piece = |length, digest, known| {
        let piece = Piece {
            offset,
            length,
            digest,
            known,
        };
        offset += length;
        piece
    };
    if let Some(stored) = &anatomy.stored {
        let of_chunk = |chunk: &wherry_snapshot::StoredChunk| {
            let known = known.chunks.get(&chunk.digest).copied();
            piece(u64::from(chunk.length), Some(chunk.digest), known)
        };
        return stored.iter().map(of_chunk).collect();
    }
    if let Some(extents) = known.files.get(&anatomy.file) {
        let of_extent = |extent: &Extent| piece(extent.length, None, Some(*extent));
        return extents.iter().map(of_extent).collect();
    }
    let mut pieces = Vec::new();
    let mut left = anatomy.chunks.end - anatomy.chunks.start;
    while left > 0 {
        let length = left.min(PART);
        pieces.push(piece(length, None, None));
        left -= length;
    }
    pieces
}

/// The packs of which at least half is of use, the most useful ones if there are too many.
fn worth_keeping(pieces: &[Vec<Piece>], packs: &HashMap<Digest, Descriptor>) -> HashSet<Digest> {
    let mut used: BTreeMap<Digest, u64> = BTreeMap::new();
    let mut seen = HashSet::new();
    for extent in pieces.iter().flatten().filter_map(|piece| piece.known) {
        if seen.insert((extent.pack, extent.offset)) {
            *used.entry(extent.pack).or_default() += extent.length;
        }
    }
    let is_worth_it = |(pack, used): &(Digest, u64)| {
        packs
            .get(pack)
            .is_some_and(|pack| used.saturating_mul(2) >= pack.size)
    };
    let mut kept: Vec<_> = used.into_iter().filter(is_worth_it).collect();
    kept.sort_by_key(|(pack, used)| (std::cmp::Reverse(*used), *pack));
    kept.truncate(MOST_KEPT);
    kept.into_iter().map(|(pack, _)| pack).collect()
}

/// Whether a pack of this length ends after a chunk.
fn is_border(length: u64, digest: Option<[u8; 32]>) -> bool {
    length >= LEAST && digest.is_some_and(|digest| digest[0] == 0)
}

/// Makes packs, one at a time.
struct Packer<'a> {
    ingest: &'a Ingest,
    packs: HashMap<Digest, Descriptor>,
    /// Chunks in packs that were made here.
    chunks: HashMap<[u8; 32], Extent>,
    fresh: u64,
    /// The pack that is being made.
    pack: Vec<u8>,
    /// Whose bytes are in it: an index in the extents of the file, and the digest of a chunk.
    waiting: Vec<(usize, Option<[u8; 32]>)>,
}

impl Packer<'_> {
    /// Where the pieces of a file are; those that are nowhere are packed.
    fn add(&mut self, file: &mut File, pieces: &[Piece]) -> Result<Vec<Extent>, CheckpointError> {
        let mut extents = Vec::with_capacity(pieces.len());
        for piece in pieces {
            let made = piece.digest.and_then(|digest| self.chunks.get(&digest));
            if let Some(place) = piece.known.or(made.copied()) {
                extents.push(place);
                continue;
            }
            if self.pack.len() as u64 + piece.length > MOST {
                self.finish(&mut extents)?;
            }
            self.waiting.push((extents.len(), piece.digest));
            extents.push(Extent {
                // Known once the pack is full.
                pack: Digest::from_bytes([0; 32]),
                offset: self.pack.len() as u64,
                length: piece.length,
            });
            self.read(file, piece)?;
            if is_border(self.pack.len() as u64, piece.digest) {
                self.finish(&mut extents)?;
            }
        }
        self.finish(&mut extents)?;
        Ok(extents)
    }

    fn read(&mut self, file: &mut File, piece: &Piece) -> Result<(), CheckpointError> {
        let start = self.pack.len();
        file.seek(SeekFrom::Start(piece.offset))
            .map_err(unreadable)?;
        let read = (&mut *file).take(piece.length).read_to_end(&mut self.pack);
        if read.map_err(unreadable)? as u64 != piece.length {
            return Err(unreadable(io::ErrorKind::UnexpectedEof.into()));
        }
        let Some(expected) = piece.digest.map(Digest::from_bytes) else {
            return Ok(());
        };
        let actual = Digest::of(&self.pack[start..]);
        if actual != expected {
            return Err(CheckpointError::Damaged { expected, actual });
        }
        Ok(())
    }

    /// Stores the pack that was being made.
    fn finish(&mut self, extents: &mut [Extent]) -> Result<(), CheckpointError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let pack = Descriptor::of(media_type::CHECKPOINT_PACK, &self.pack);
        if !self.ingest.has(&pack)? {
            self.ingest.put(&pack, &self.pack)?;
            self.fresh += pack.size;
        }
        for (index, digest) in self.waiting.drain(..) {
            extents[index].pack = pack.digest;
            if let Some(digest) = digest {
                self.chunks.insert(digest, extents[index]);
            }
        }
        self.packs.insert(pack.digest, pack);
        self.pack.clear();
        Ok(())
    }
}

pub(super) fn unreadable(source: io::Error) -> CheckpointError {
    CheckpointError::Io {
        path: PathBuf::from("the checkpoint"),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memory_of_16_gib_has_a_manifest_far_below_4_mib() {
        /// What an entry of a manifest takes: media type, digest and size.
        const ENTRY: u64 = 180;
        let chunk: u64 = 64 << 10;
        let (mut packs, mut length) = (0, 0);
        for number in 0..(16 << 30) / chunk {
            if length + chunk > MOST {
                (packs, length) = (packs + 1, 0);
            }
            length += chunk;
            let digest = Digest::of(&u64::to_le_bytes(number)).bytes();
            if is_border(length, Some(digest)) {
                (packs, length) = (packs + 1, 0);
            }
        }
        let kept = u64::try_from(MOST_KEPT).expect("small");
        assert!((1024..1536).contains(&packs), "{packs}");
        // Even if it uses as many packs of earlier ones again as it may.
        assert!((packs + kept) * ENTRY < 1 << 20);
        assert!(packs + kept < 4096);
    }
}
