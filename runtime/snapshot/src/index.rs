//! The chunks of a checkpoint, wherever they lie: in its own file or in those that it builds
//! on.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Mutex, PoisonError};

use crate::chunk::{Entry, Unpacker, damaged, verify};
use crate::layout::Kind;
use crate::seal::{OVERHEAD, Seal};
use crate::{Digest, Error, base};

/// The chunks of a checkpoint, and the files that hold them.
pub(crate) struct Index<R> {
    /// The checkpoint's own file, and then its bases.
    sources: Vec<Source<R>>,
    chunks: HashMap<Digest, Place>,
}

struct Source<R> {
    reader: Mutex<R>,
    file: base::File,
    /// What opens its chunks, if they are encrypted.
    seal: Option<Seal>,
}

/// Where a chunk is stored.
#[derive(Clone, Copy)]
struct Place {
    source: u8,
    /// Its number in that file.
    number: u64,
    offset: u64,
    entry: Entry,
}

impl Index<fs::File> {
    /// The files, which share their places with these.
    pub(crate) fn open_files(&self) -> io::Result<Vec<fs::File>> {
        let files = self.sources.iter().map(|source| &source.reader);
        files
            .map(|file| {
                file.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .try_clone()
            })
            .collect()
    }
}

impl<R> Index<R> {
    pub(crate) fn new() -> Self {
        Index {
            sources: Vec::new(),
            chunks: HashMap::new(),
        }
    }

    /// Takes in a file and the entries of its own chunk index, each with its place. What a
    /// file before it has is taken from there.
    pub(crate) fn add(
        &mut self,
        reader: R,
        file: Digest,
        entries: Vec<(u64, Entry)>,
        seal: Option<Seal>,
    ) {
        // There are no more than there are bases.
        let source = u8::try_from(self.sources.len()).unwrap_or(u8::MAX);
        let stored = entries.iter().map(|(_, entry)| u64::from(entry.stored));
        let file = base::File {
            digest: file,
            stored: stored.sum(),
        };
        self.sources.push(Source {
            reader: Mutex::new(reader),
            file,
            seal,
        });
        self.chunks.reserve(entries.len());
        for (number, (offset, entry)) in (0..).zip(entries) {
            let place = Place {
                source,
                number,
                offset,
                entry,
            };
            self.chunks.entry(entry.digest).or_insert(place);
        }
    }

    pub(crate) fn files(&self) -> Vec<base::File> {
        self.sources.iter().map(|source| source.file).collect()
    }

    /// Which file holds which chunk.
    pub(crate) fn holders(&self) -> HashMap<Digest, u8> {
        let holder = |(digest, place): (&Digest, &Place)| (*digest, place.source);
        self.chunks.iter().map(holder).collect()
    }

    pub(crate) fn entry(&self, digest: &Digest) -> Result<&Entry, Error> {
        self.place(digest).map(|place| &place.entry)
    }

    fn place(&self, digest: &Digest) -> Result<&Place, Error> {
        self.chunks.get(digest).ok_or(Error::MissingChunk(*digest))
    }
}

impl<R: Read + Seek> Index<R> {
    /// Fills `content` with a chunk that has this length, and verifies it.
    pub(crate) fn fetch(
        &self,
        unpacker: &mut Unpacker,
        digest: &Digest,
        content: &mut [u8],
    ) -> Result<(), Error> {
        let place = self.place(digest)?;
        let (used, length) = (content.len(), place.entry.length);
        if length as usize != used {
            return Err(damaged(format!(
                "is used as one of {used} bytes and has {length}"
            )));
        }
        let is_sealed = self.source(place).seal.is_some();
        if place.entry.is_plain() && !is_sealed {
            self.read(place, content)?;
            return verify(content, digest);
        }
        let stored = self.opened(place)?;
        if place.entry.is_plain() {
            content.copy_from_slice(&stored);
            return verify(content, digest);
        }
        unpacker.unpack(&place.entry, &stored, content)
    }

    /// The stored bytes of a chunk, verified.
    pub(crate) fn stored(&self, digest: &Digest) -> Result<(Entry, Vec<u8>), Error> {
        let place = self.place(digest)?;
        let stored = self.opened(place)?;
        verify(&stored, &place.entry.stored_digest)?;
        Ok((place.entry, stored))
    }

    /// The stored bytes of a chunk, decrypted.
    fn opened(&self, place: &Place) -> Result<Vec<u8>, Error> {
        let mut stored = vec![0; place.entry.stored as usize];
        let Some(seal) = &self.source(place).seal else {
            self.read(place, &mut stored)?;
            return Ok(stored);
        };
        let length = stored.len();
        stored.resize(length + OVERHEAD, 0);
        self.read(place, &mut stored)?;
        seal.open(Kind::Chunks, place.number, &mut stored)?;
        stored.truncate(length);
        Ok(stored)
    }

    fn source(&self, place: &Place) -> &Source<R> {
        &self.sources[usize::from(place.source)]
    }

    fn read(&self, place: &Place, bytes: &mut [u8]) -> Result<(), Error> {
        let source = self.source(place);
        let mut reader = source.reader.lock().unwrap_or_else(PoisonError::into_inner);
        reader.seek(SeekFrom::Start(place.offset))?;
        Ok(reader.read_exact(bytes)?)
    }
}
