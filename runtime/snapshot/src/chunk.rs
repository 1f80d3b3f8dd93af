//! One chunk: its entry in the index, and how its content becomes what is stored and back.

use std::borrow::Cow;
use std::io;

use zstd::bulk::{Compressor, Decompressor};

use crate::layout::{Fields, sha256};
use crate::{CHUNK_SIZE, Digest, Error};

/// Fast enough to keep up with a disk; memory pages compress well at any level.
const LEVEL: i32 = 1;

/// An entry of the chunk index. Chunks lie in the order of the index, without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// SHA-256 of the content.
    pub(crate) digest: Digest,
    /// SHA-256 of the stored bytes: they can be verified without being decompressed.
    pub(crate) stored_digest: Digest,
    /// Length of the stored bytes.
    pub(crate) stored: u32,
    /// Length of the content.
    pub(crate) length: u32,
}

pub(crate) const ENTRY_LENGTH: usize = 72;

impl Entry {
    pub(crate) fn encode(&self) -> [u8; ENTRY_LENGTH] {
        let mut bytes = [0; ENTRY_LENGTH];
        bytes[0..32].copy_from_slice(&self.digest);
        bytes[32..64].copy_from_slice(&self.stored_digest);
        bytes[64..68].copy_from_slice(&self.stored.to_le_bytes());
        bytes[68..72].copy_from_slice(&self.length.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; ENTRY_LENGTH]) -> Entry {
        let mut fields = Fields(bytes);
        Entry {
            digest: fields.digest(),
            stored_digest: fields.digest(),
            stored: fields.u32(),
            length: fields.u32(),
        }
    }

    /// Whether the content is stored as it is. A compressed form never has its length.
    pub(crate) fn is_plain(&self) -> bool {
        self.stored == self.length
    }
}

/// The longest that the stored form of a chunk may be.
pub(crate) fn stored_limit() -> usize {
    zstd::zstd_safe::compress_bound(CHUNK_SIZE)
}

/// A chunk as it lies in the file.
pub(crate) struct Stored<'a> {
    pub(crate) entry: Entry,
    pub(crate) bytes: Cow<'a, [u8]>,
}

/// Makes stored chunks out of content.
pub(crate) struct Packer(Compressor<'static>);

impl Packer {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Packer(Compressor::new(LEVEL)?))
    }

    /// `digest` is that of `content`.
    pub(crate) fn pack<'a>(
        &mut self,
        digest: Digest,
        content: Cow<'a, [u8]>,
    ) -> io::Result<Stored<'a>> {
        let compressed = self.0.compress(&content)?;
        let length = length_of(&content)?;
        let (stored_digest, bytes) = if is_worth_it(compressed.len(), content.len()) {
            (sha256(&compressed), Cow::Owned(compressed))
        } else {
            (digest, content)
        };
        let entry = Entry {
            digest,
            stored_digest,
            stored: length_of(&bytes)?,
            length,
        };
        Ok(Stored { entry, bytes })
    }
}

fn length_of(bytes: &[u8]) -> io::Result<u32> {
    u32::try_from(bytes.len()).map_err(io::Error::other)
}

/// Whether to store the compressed form: content that hardly shrinks is read faster as it is.
/// A length equal to that of the content would say that it is the content.
fn is_worth_it(compressed: usize, content: usize) -> bool {
    if content == CHUNK_SIZE {
        compressed <= content - content / 16
    } else {
        compressed != content
    }
}

/// Makes content out of stored chunks.
pub(crate) struct Unpacker(Decompressor<'static>);

impl Unpacker {
    pub(crate) fn new() -> Result<Self, Error> {
        Ok(Unpacker(Decompressor::new()?))
    }

    /// Fills `content`, which has the length that the entry says. The digest of the content
    /// proves it, whatever was stored.
    pub(crate) fn unpack(
        &mut self,
        entry: &Entry,
        stored: &[u8],
        content: &mut [u8],
    ) -> Result<(), Error> {
        let decompressed = self.0.decompress_to_buffer(stored, content);
        let length = decompressed.map_err(|error| damaged(error.to_string()))?;
        if length != content.len() {
            return Err(damaged(format!(
                "has {length} bytes instead of {}",
                content.len()
            )));
        }
        verify(content, &entry.digest)
    }
}

/// Compares the digest of `bytes` with what the index says.
pub(crate) fn verify(bytes: &[u8], expected: &Digest) -> Result<(), Error> {
    let found = sha256(bytes);
    if found == *expected {
        return Ok(());
    }
    Err(Error::WrongDigest {
        part: "chunk",
        found,
        expected: *expected,
    })
}

pub(crate) fn damaged(reason: String) -> Error {
    Error::Damaged {
        part: "chunk",
        reason,
    }
}
