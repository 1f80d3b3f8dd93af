//! Where the chunks of a file lie, for whoever moves files without looking into them: neither a
//! key nor the files that it builds on are needed.

use std::io::{Read, Seek};
use std::ops::Range;

use crate::layout::Kind;
use crate::reader::Sections;
use crate::{Digest, Error};

/// How the bytes of a file are divided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anatomy {
    /// Identifies the file: SHA-256 of its section table, which covers everything in it.
    pub file: Digest,
    /// Where the section *chunks* lies.
    pub chunks: Range<u64>,
    /// The stored chunks in it, one after the other; none if the file is encrypted.
    pub stored: Option<Vec<StoredChunk>>,
}

/// A chunk as it lies in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredChunk {
    /// SHA-256 of the stored bytes.
    pub digest: Digest,
    /// How many there are.
    pub length: u32,
}

impl Anatomy {
    /// Reads header, section table and chunk index.
    ///
    /// # Errors
    /// If `source` cannot be read, or is not a checkpoint that this version reads.
    pub fn read(source: &mut (impl Read + Seek)) -> Result<Self, Error> {
        let mut sections = Sections::read(source)?;
        let chunks = sections.place(Kind::Chunks)?;
        let stored = match sections.encryption()? {
            Some(_) => None,
            None => Some(sections.stored_chunks()?),
        };
        Ok(Anatomy {
            file: sections.file,
            chunks,
            stored,
        })
    }
}
