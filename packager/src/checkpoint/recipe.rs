//! The layer of a checkpoint file: everything in the file but its chunks, and where those lie.
//!
//! ```text
//! "WHERRYCF"  version: u32  length of the header: u32  header  the file without its chunks
//! ```

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use serde::{Deserialize, Serialize};
use wherry_snapshot::Anatomy;

use super::{CheckpointError, refused};
use crate::digest::Digest;

const MAGIC: &[u8; 8] = b"WHERRYCF";
const VERSION: u32 = 1;
const START: usize = 16;
/// 3 million extents: more than there are chunks in 64 GiB of memory.
const MAX_HEADER: usize = 64 << 20;

/// Some bytes of a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) pack: Digest,
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// What a file is made of. The section *chunks* is its extents, one after the other.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Header {
    /// Length of the file.
    pub(super) length: u64,
    /// Where its chunks start.
    pub(super) chunks: u64,
    packs: Vec<[u8; 32]>,
    /// The number of the pack, offset in it, length.
    extents: Vec<(u32, u64, u64)>,
}

impl Header {
    /// Takes a header off the start of a layer, once enough of it is there: the length of what
    /// was taken.
    pub(super) fn take(layer: &[u8]) -> Result<Option<(Self, usize)>, CheckpointError> {
        let Some((start, rest)) = layer.split_first_chunk::<START>() else {
            return Ok(None);
        };
        let word = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|byte| start[at + byte]));
        if start[..8] != *MAGIC || word(8) != VERSION {
            return Err(refused("a layer is not a file of a known version"));
        }
        let length = usize::try_from(word(12)).unwrap_or(usize::MAX);
        if length > MAX_HEADER {
            return Err(refused("a file is made of too many parts"));
        }
        let Some(header) = rest.get(..length) else {
            return Ok(None);
        };
        let header: Self = postcard::from_bytes(header)
            .map_err(|_| refused("it does not say what a file is made of"))?;
        Ok(Some((header, START + length)))
    }

    /// The extents that make up the section *chunks*.
    pub(super) fn extents(&self) -> impl Iterator<Item = Result<Extent, CheckpointError>> + '_ {
        self.extents.iter().map(|&(pack, offset, length)| {
            let pack = usize::try_from(pack)
                .ok()
                .and_then(|pack| self.packs.get(pack));
            let pack =
                pack.ok_or_else(|| refused("a file has parts of a pack that is not there"))?;
            Ok(Extent {
                pack: Digest::from_bytes(*pack),
                offset,
                length,
            })
        })
    }
}

/// The layer of a file whose chunks are `extents`.
pub(super) fn write(file: &mut File, anatomy: &Anatomy, extents: &[Extent]) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len();
    let mut header = Header {
        length,
        chunks: anatomy.chunks.start,
        packs: Vec::new(),
        extents: Vec::new(),
    };
    let mut numbers = std::collections::HashMap::new();
    for extent in extents {
        let next = u32::try_from(header.packs.len()).map_err(io::Error::other)?;
        let number = *numbers.entry(extent.pack).or_insert_with(|| {
            header.packs.push(extent.pack.bytes());
            next
        });
        match header.extents.last_mut() {
            Some((pack, offset, length))
                if *pack == number && *offset + *length == extent.offset =>
            {
                *length += extent.length;
            }
            _ => header.extents.push((number, extent.offset, extent.length)),
        }
    }
    let header = postcard::to_stdvec(&header).map_err(io::Error::other)?;
    if header.len() > MAX_HEADER {
        return Err(io::Error::other("the file is made of too many parts"));
    }
    let mut layer = [&MAGIC[..], &VERSION.to_le_bytes()].concat();
    layer.extend(
        u32::try_from(header.len())
            .map_err(io::Error::other)?
            .to_le_bytes(),
    );
    layer.extend(header);
    file.seek(SeekFrom::Start(0))?;
    (&mut *file)
        .take(anatomy.chunks.start)
        .read_to_end(&mut layer)?;
    file.seek(SeekFrom::Start(anatomy.chunks.end))?;
    (&mut *file)
        .take(length.saturating_sub(anatomy.chunks.end))
        .read_to_end(&mut layer)?;
    Ok(layer)
}

/// A file without its chunks, to be read as if they were there. They are not.
pub(super) struct Skeleton {
    pub(super) header: Header,
    /// What lies before and behind the chunks.
    rest: Vec<u8>,
    position: u64,
}

impl Skeleton {
    pub(super) fn read(layer: Vec<u8>) -> Result<Self, CheckpointError> {
        let (header, taken) =
            Header::take(&layer)?.ok_or_else(|| refused("a file is incomplete"))?;
        let mut rest = layer;
        rest.drain(..taken);
        let skeleton = Self {
            header,
            rest,
            position: 0,
        };
        match skeleton.missing() {
            Some(_) => Ok(skeleton),
            None => Err(refused("a file is longer than it says")),
        }
    }

    /// How many bytes of chunks there would be.
    fn missing(&self) -> Option<u64> {
        let rest = self.rest.len() as u64;
        let missing = self.header.length.checked_sub(rest)?;
        (self.header.chunks <= rest).then_some(missing)
    }
}

impl Read for Skeleton {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (start, missing) = (self.header.chunks, self.missing().unwrap_or(0));
        let (from, end) = if self.position < start {
            (self.position, start)
        } else if self.position >= start + missing {
            (self.position - missing, self.rest.len() as u64)
        } else {
            return Err(io::Error::other("the chunks are not here"));
        };
        let range = usize::try_from(from).ok().zip(usize::try_from(end).ok());
        let bytes = range.and_then(|(from, end)| self.rest.get(from..end));
        let read = bytes.unwrap_or_default().read(buffer)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for Skeleton {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(by) => self.header.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_layer_is_read_or_refused(bytes: Vec<u8>, length in 0u32..200, rest: Vec<u8>) {
            let _ = Skeleton::read(bytes.clone());
            let layer = [MAGIC.as_slice(), &VERSION.to_le_bytes(), &length.to_le_bytes(), &rest];
            if let Ok(mut skeleton) = Skeleton::read(layer.concat()) {
                let _ = Anatomy::read(&mut skeleton);
                skeleton.header.extents().for_each(drop);
            }
        }
    }
}
