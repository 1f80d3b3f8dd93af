//! Delta files: what a checkpoint need not store because files before it did.

use std::collections::HashMap;
use std::io::{Read, Seek};
use std::sync::Arc;

use crate::layout::Kind;
use crate::reader::{Sections, damaged};
use crate::{Digest, Error, KeyId, Memory, SectionInfo};

/// The most files that one checkpoint builds on. They are all named in it, so that none has
/// to be opened to find the next.
pub const MAX_BASES: usize = 32;

/// A checkpoint that the next one can build on: it stores only what this one, and those that
/// this one builds on, do not have.
#[derive(Clone, Debug)]
pub struct Base(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    /// The checkpoint itself, and then its bases.
    files: Vec<File>,
    /// Which of the files holds a chunk.
    chunks: HashMap<Digest, u8>,
    memories: Vec<Memory>,
    key: Option<KeyId>,
}

/// A checkpoint file, as others name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct File {
    /// SHA-256 of its section table, which covers all of it.
    pub(crate) digest: Digest,
    /// Bytes of stored chunks in it.
    pub(crate) stored: u64,
}

impl Base {
    /// `files` are the checkpoint and its bases, `chunks` says which of them holds what.
    pub(crate) fn new(
        files: Vec<File>,
        chunks: HashMap<Digest, u8>,
        memories: Vec<Memory>,
        key: Option<KeyId>,
    ) -> Self {
        Base(Arc::new(Parts {
            files,
            chunks,
            memories,
            key,
        }))
    }

    /// The key that the files are encrypted with, if they are. What builds on them must be
    /// encrypted with the same.
    #[must_use]
    pub fn key(&self) -> Option<KeyId> {
        self.0.key
    }

    /// The memories of that checkpoint, in index order.
    #[must_use]
    pub fn memories(&self) -> &[Memory] {
        &self.0.memories
    }

    /// Whether it is time for a checkpoint that stands on its own: the next delta would name
    /// too many files, or the deltas since the last full one outgrew it.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        let stored = |files: &[File]| files.iter().map(|file| file.stored).sum::<u64>();
        match self.0.files.split_last() {
            Some((oldest, deltas)) => {
                deltas.len() + 1 > MAX_BASES || stored(deltas) > oldest.stored
            }
            None => true,
        }
    }

    pub(crate) fn files(&self) -> &[File] {
        &self.0.files
    }

    /// The index of the file that holds a chunk.
    pub(crate) fn holder(&self, digest: &Digest) -> Option<u8> {
        self.0.chunks.get(digest).copied()
    }

    pub(crate) fn chunks(&self) -> impl Iterator<Item = (&Digest, u8)> {
        self.0.chunks.iter().map(|(digest, &file)| (digest, file))
    }
}

/// What a file says of itself without the files that it builds on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// Identifies the file: SHA-256 of its section table, which covers everything in it.
    pub file: Digest,
    /// The files that it builds on: none if it stands on its own.
    pub bases: Vec<Digest>,
    /// The key that it is encrypted with, if it is.
    pub key: Option<KeyId>,
    /// Its sections, in the order of the section table.
    pub sections: Vec<SectionInfo>,
}

impl Outline {
    /// Reads what needs neither key nor other files: header, section table, the list of bases,
    /// and how the file is encrypted.
    ///
    /// # Errors
    /// If `source` cannot be read, or is not a checkpoint that this version reads.
    pub fn read(source: &mut (impl Read + Seek)) -> Result<Self, Error> {
        let mut sections = Sections::read(source)?;
        Ok(Outline {
            file: sections.file,
            bases: sections.bases()?,
            key: sections.encryption()?.map(|encryption| encryption.key),
            sections: sections.infos(),
        })
    }
}

/// Checks the list of bases in the section of a file.
pub(crate) fn check(bases: &[Digest]) -> Result<(), Error> {
    let refused = |reason: &str| Err(damaged(Kind::Bases, reason.to_owned()));
    if bases.is_empty() {
        return refused("names no file");
    }
    if bases.len() > MAX_BASES {
        return refused("names too many files");
    }
    let twice = |(place, base): (usize, &Digest)| bases[..place].contains(base);
    if bases.iter().enumerate().any(twice) {
        return refused("names a file twice");
    }
    Ok(())
}
