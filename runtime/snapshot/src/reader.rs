//! Reading a checkpoint: everything is verified before it is used.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::chunk::{self, Unpacker};
use crate::index::Index;
use crate::layout::{self, Entry, HEADER_LENGTH, Header, Kind};
use crate::seal::{Encryption, OVERHEAD, Seal};
use crate::{
    Base, Blob, BlobSource, CHUNK_SIZE, Contents, Digest, Error, Gpu, Key, Memory, StoredChunk,
    base, workers,
};

/// Chunks of a blob that are in memory at once.
const BATCH: usize = 128;

/// A checkpoint whose sections were read and verified. Chunks are read when asked for.
pub struct Reader<R> {
    file: Digest,
    state: Digest,
    key: Option<Key>,
    sections: Vec<SectionInfo>,
    bases: Vec<Digest>,
    contents: Contents,
    index: Index<R>,
}

/// A section, for showing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SectionInfo {
    /// Its name, or its number if this version does not know it.
    pub name: String,
    /// Length in bytes.
    pub length: u64,
    /// SHA-256 of it; zero for the chunks, which the chunk index vouches for.
    pub digest: Digest,
}

impl Reader<File> {
    /// The file and those that it builds on, for another process to open a reader over.
    ///
    /// # Errors
    /// No descriptors are left.
    pub fn files(&self) -> io::Result<Vec<File>> {
        self.index.open_files()
    }
}

impl<R: Read + Seek> Reader<R> {
    /// Reads and verifies everything but the chunks of a checkpoint that stands on its own.
    ///
    /// # Errors
    /// If `source` cannot be read, or is not a checkpoint that this version reads.
    /// [`Error::MissingBase`] if it builds on other files.
    pub fn open(source: R) -> Result<Self, Error> {
        Self::open_with(source, |_| Ok(None))
    }

    /// As [`Reader::open`], with the files that the checkpoint builds on: `find` gets the
    /// digest of each, and gives the file if there is one.
    ///
    /// # Errors
    /// As [`Reader::open`]; [`Error::WrongBase`] if what was found is another file.
    pub fn open_with(
        source: R,
        find: impl FnMut(&Digest) -> io::Result<Option<R>>,
    ) -> Result<Self, Error> {
        Self::open_sealed(source, None, find)
    }

    /// As [`Reader::open_with`], with the key that the checkpoint may be encrypted with.
    ///
    /// # Errors
    /// As [`Reader::open_with`]; [`Error::KeyNeeded`] or [`Error::WrongKey`] if it is encrypted
    /// and this is not its key, [`Error::NotAuthentic`] if something is not what was encrypted.
    pub fn open_sealed(
        mut source: R,
        key: Option<&Key>,
        mut find: impl FnMut(&Digest) -> io::Result<Option<R>>,
    ) -> Result<Self, Error> {
        let mut sections = Sections::read(&mut source)?;
        sections.unlock(key)?;
        let contents = Contents {
            workload: sections.decode(Kind::Workload)?,
            execution: sections.decode(Kind::Execution)?,
            memories: sections.decode(Kind::Memories)?,
            wasi: sections.bytes(Kind::Wasi)?,
            settings: sections.decode(Kind::Settings)?,
            accounting: sections.decode(Kind::Accounting)?,
            lineage: sections.decode(Kind::Lineage)?,
            profile: sections.decode_if_there(Kind::Profile)?,
            usage: sections.decode_if_there(Kind::Usage)?,
            gpu: sections.gpu()?,
        };
        let (bases, entries) = (sections.bases()?, sections.chunk_index()?);
        let infos = sections.infos();
        let Sections {
            file, plain, seal, ..
        } = sections;
        let is_sealed = seal.is_some();
        let mut index = Index::new();
        index.add(source, file, entries, seal);
        for wanted in &bases {
            let mut base = find(wanted)?.ok_or(Error::MissingBase(*wanted))?;
            let mut sections = Sections::read_base(&mut base, wanted)?;
            sections.unlock(key)?;
            if sections.seal.is_some() != is_sealed {
                let reason = "one is encrypted otherwise than this file".to_owned();
                return Err(damaged(Kind::Bases, reason));
            }
            let (entries, seal) = (sections.chunk_index()?, sections.seal);
            index.add(base, *wanted, entries, seal);
        }
        let reader = Reader {
            file,
            state: layout::state_digest(&plain),
            key: key.filter(|_| is_sealed).cloned(),
            sections: infos,
            bases,
            contents,
            index,
        };
        let mut memories = reader.contents.memories.iter();
        memories.try_for_each(|memory| reader.check_memory(memory))?;
        Ok(reader)
    }

    /// Everything but the chunks.
    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    /// Identifies the state: equal for equal states, however they are stored.
    pub fn state_digest(&self) -> Digest {
        self.state
    }

    /// The key that it is encrypted with, if it is.
    pub fn key(&self) -> Option<&Key> {
        self.key.as_ref()
    }

    /// Identifies the file: SHA-256 of its section table, which covers everything in it.
    pub fn file_digest(&self) -> Digest {
        self.file
    }

    /// The files that this one builds on: none if it stands on its own.
    pub fn bases(&self) -> &[Digest] {
        &self.bases
    }

    /// This checkpoint, for the next one to build on.
    pub fn base(&self) -> Base {
        let memories = self.contents.memories.clone();
        let key = self.key.as_ref().map(Key::id);
        Base::new(self.index.files(), self.index.holders(), memories, key)
    }

    /// The sections, in the order of the section table.
    pub fn sections(&self) -> Vec<SectionInfo> {
        self.sections.clone()
    }

    pub(crate) fn index(&self) -> &Index<R> {
        &self.index
    }

    /// Only one way to describe a memory is allowed, so that equal states have equal digests.
    fn check_memory(&self, memory: &Memory) -> Result<(), Error> {
        let damaged = |reason: String| Err(damaged(Kind::Memories, reason));
        let zero = layout::sha256(&[0; CHUNK_SIZE]);
        // The page after the last run; a run may not start there, or it would be one run.
        let mut end = None;
        for run in &memory.runs {
            let first = run.first;
            if run.pages.is_empty() || end.is_some_and(|end| first <= end) {
                return damaged(format!("the run at page {first} is not in order"));
            }
            match first.checked_add(run.pages.len() as u64) {
                Some(after) if after <= memory.pages => end = Some(after),
                _ => return damaged(format!("the run at page {first} is out of bounds")),
            }
            if run.pages.contains(&zero) {
                return damaged(format!("the run at page {first} has a page of zeros"));
            }
            for digest in &run.pages {
                if self.index.entry(digest)?.length as usize != CHUNK_SIZE {
                    return damaged(format!("the run at page {first} has a short page"));
                }
            }
        }
        Ok(())
    }
}

impl<R: Read + Seek + Send> Reader<R> {
    /// Writes the pages of `memory` that are not zero to `content`, which must be zero.
    ///
    /// # Errors
    /// If a chunk is missing or damaged, or `content` is smaller than the memory.
    pub fn restore_memory(&self, memory: &Memory, content: &mut [u8]) -> Result<(), Error> {
        let mut pages = content.chunks_exact_mut(CHUNK_SIZE);
        let mut next = 0;
        let wanted = memory.pages().map(|(number, digest)| {
            let skipped = number.checked_sub(next).map(usize::try_from);
            next = number + 1;
            match skipped.and_then(|skipped| pages.nth(skipped.ok()?)) {
                Some(page) => Ok((digest, page)),
                None => Err(damaged(
                    Kind::Memories,
                    format!("page {number} is out of bounds"),
                )),
            }
        });
        self.fetch_all(memory.pages().count(), wanted)
    }

    /// Fills every place with its chunk.
    fn fetch_all<'a>(
        &self,
        count: usize,
        places: impl Iterator<Item = Result<(&'a Digest, &'a mut [u8]), Error>> + Send,
    ) -> Result<(), Error> {
        workers::each(count, places, Unpacker::new, |unpacker, place| {
            let (digest, content) = place?;
            self.index.fetch(unpacker, digest, content)
        })
    }
}

impl<R: Read + Seek + Send> BlobSource for Reader<R> {
    fn read(&self, blob: &Blob, out: &mut dyn Write) -> io::Result<()> {
        if blob.len.div_ceil(CHUNK_SIZE as u64) != blob.digests.len() as u64 {
            let reason = format!("{} chunks for {} bytes", blob.digests.len(), blob.len);
            return Err(Error::Damaged {
                part: "blob",
                reason,
            }
            .into());
        }
        let mut buffer = vec![0; BATCH.min(blob.digests.len()) * CHUNK_SIZE];
        let mut left = blob.len;
        for digests in blob.digests.chunks(BATCH) {
            let length = usize::try_from(left)
                .unwrap_or(usize::MAX)
                .min(buffer.len());
            let (content, _) = buffer.split_at_mut(length);
            let places = digests.iter().zip(content.chunks_mut(CHUNK_SIZE));
            self.fetch_all(digests.len(), places.map(Ok))?;
            out.write_all(content)?;
            left -= length as u64;
        }
        Ok(())
    }
}

/// The sections of a file whose table was verified.
pub(crate) struct Sections<'a, R> {
    source: &'a mut R,
    /// SHA-256 of the section table.
    pub(crate) file: Digest,
    table: Vec<Entry>,
    /// What opens the sections, if they are encrypted.
    seal: Option<Seal>,
    /// The entries of those that were read and are part of the state's identity, as they are
    /// without encryption.
    plain: Vec<Entry>,
}

impl<'a, R: Read + Seek> Sections<'a, R> {
    pub(crate) fn read(source: &'a mut R) -> Result<Self, Error> {
        let header = read_header(source)?;
        Self::read_table(source, &header)
    }

    /// The sections of the file that a delta builds on.
    fn read_base(source: &'a mut R, expected: &Digest) -> Result<Self, Error> {
        let header = read_header(source)?;
        if header.table_digest != *expected {
            return Err(Error::WrongBase {
                found: header.table_digest,
                expected: *expected,
            });
        }
        Self::read_table(source, &header)
    }

    fn read_table(source: &'a mut R, header: &Header) -> Result<Self, Error> {
        let table = read_part(source, header.table_offset, header.table_length)?;
        Ok(Sections {
            table: layout::decode_table(header, &table)?,
            file: header.table_digest,
            source,
            seal: None,
            plain: Vec::new(),
        })
    }

    /// How the file is encrypted, if it is.
    pub(crate) fn encryption(&mut self) -> Result<Option<Encryption>, Error> {
        let found = self.find(Kind::Encryption);
        found.map(|_| self.decode(Kind::Encryption)).transpose()
    }

    /// Makes the sections readable if they are encrypted.
    fn unlock(&mut self, key: Option<&Key>) -> Result<(), Error> {
        let encryption = self.encryption()?;
        self.seal = encryption.map(|found| found.seal(key)).transpose()?;
        Ok(())
    }

    pub(crate) fn infos(&self) -> Vec<SectionInfo> {
        let name = |entry: &Entry| match entry.known() {
            Some(kind) => kind.name().trim_start_matches("section ").to_owned(),
            None => entry.kind.to_string(),
        };
        let info = |entry: &Entry| SectionInfo {
            name: name(entry),
            length: entry.length,
            digest: entry.digest,
        };
        self.table.iter().map(info).collect()
    }

    /// The files that this one builds on.
    pub(crate) fn bases(&mut self) -> Result<Vec<Digest>, Error> {
        if self.find(Kind::Bases).is_none() {
            return Ok(Vec::new());
        }
        let bases: Vec<Digest> = self.decode(Kind::Bases)?;
        base::check(&bases)?;
        Ok(bases)
    }

    fn find(&self, kind: Kind) -> Option<Entry> {
        let number = kind.number();
        self.table
            .iter()
            .find(|entry| entry.kind == number)
            .copied()
    }

    fn entry(&self, kind: Kind) -> Result<Entry, Error> {
        self.find(kind)
            .ok_or_else(|| damaged(kind, "is missing".to_owned()))
    }

    /// Where a section lies in the file.
    pub(crate) fn place(&self, kind: Kind) -> Result<Range<u64>, Error> {
        let entry = self.entry(kind)?;
        Ok(entry.offset..entry.offset + entry.length)
    }

    /// The file's own chunks as they are stored, in their order.
    pub(crate) fn stored_chunks(&mut self) -> Result<Vec<StoredChunk>, Error> {
        let chunks = self.chunk_index()?.into_iter();
        let stored = chunks.map(|(_, entry)| StoredChunk {
            digest: entry.stored_digest,
            length: entry.stored,
        });
        Ok(stored.collect())
    }

    fn bytes(&mut self, kind: Kind) -> Result<Vec<u8>, Error> {
        let entry = self.entry(kind)?;
        let mut bytes = read_part(self.source, entry.offset, entry.length)?;
        let found = layout::sha256(&bytes);
        if found != entry.digest {
            return Err(Error::WrongDigest {
                part: kind.name(),
                found,
                expected: entry.digest,
            });
        }
        let Some(seal) = self.seal.as_ref().filter(|_| kind.is_sealed()) else {
            self.plain.push(entry);
            return Ok(bytes);
        };
        let length = seal.open(kind, 0, &mut bytes)?.len();
        bytes.truncate(length);
        if entry.flags & layout::IDENTITY != 0 {
            self.plain.push(Entry {
                length: length as u64,
                digest: layout::sha256(&bytes),
                ..entry
            });
        }
        Ok(bytes)
    }

    fn decode<T: Serialize + DeserializeOwned>(&mut self, kind: Kind) -> Result<T, Error> {
        let bytes = self.bytes(kind)?;
        let value =
            postcard::from_bytes(&bytes).map_err(|error| damaged(kind, error.to_string()))?;
        let canonical =
            postcard::to_stdvec(&value).map_err(|error| damaged(kind, error.to_string()))?;
        if canonical != bytes {
            return Err(damaged(kind, "is not encoded canonically".to_owned()));
        }
        Ok(value)
    }

    fn gpu(&mut self) -> Result<Option<Gpu>, Error> {
        let used_ns = self.decode_if_there(Kind::GpuUse)?;
        match (self.is_there(Kind::Gpu), used_ns) {
            (false, None) => Ok(None),
            (true, Some(used_ns)) => Ok(Some(Gpu {
                state: self.bytes(Kind::Gpu)?,
                used_ns,
            })),
            _ => Err(damaged(
                Kind::Gpu,
                "there is one of gpu and gpu use".to_owned(),
            )),
        }
    }

    fn is_there(&self, kind: Kind) -> bool {
        self.table.iter().any(|entry| entry.kind == kind.number())
    }

    fn decode_if_there<T: Serialize + DeserializeOwned>(
        &mut self,
        kind: Kind,
    ) -> Result<Option<T>, Error> {
        self.is_there(kind).then(|| self.decode(kind)).transpose()
    }

    /// The file's own chunks, each with its offset in the file.
    fn chunk_index(&mut self) -> Result<Vec<(u64, chunk::Entry)>, Error> {
        let bytes = self.bytes(Kind::ChunkIndex)?;
        let (entries, rest) = bytes.as_chunks::<{ chunk::ENTRY_LENGTH }>();
        let index_damaged = |reason: String| Err(damaged(Kind::ChunkIndex, reason));
        if !rest.is_empty() {
            return index_damaged("is no whole number of entries".to_owned());
        }
        let place = self.entry(Kind::Chunks)?;
        if place.digest != [0; 32] {
            return Err(damaged(Kind::Chunks, "has a digest of its own".to_owned()));
        }
        let mut seen = HashSet::with_capacity(entries.len());
        let mut chunks = Vec::with_capacity(entries.len());
        let mut offset = place.offset;
        let overhead = self.seal.as_ref().map_or(0, |_| OVERHEAD as u64);
        for (number, entry) in entries.iter().map(chunk::Entry::decode).enumerate() {
            if entry.length as usize > CHUNK_SIZE || entry.stored as usize > chunk::stored_limit() {
                return index_damaged(format!("chunk {number} is too long"));
            }
            if !seen.insert(entry.digest) {
                return index_damaged(format!("chunk {number} is there twice"));
            }
            chunks.push((offset, entry));
            offset += u64::from(entry.stored) + overhead;
        }
        if offset - place.offset != place.length {
            return index_damaged("does not describe the section chunks".to_owned());
        }
        Ok(chunks)
    }
}

fn read_header(source: &mut (impl Read + Seek)) -> Result<Header, Error> {
    let length = source.seek(SeekFrom::End(0))?;
    let mut header = [0; HEADER_LENGTH];
    let needed = HEADER_LENGTH as u64;
    if length < needed {
        return Err(Error::Truncated {
            length,
            what: "header",
            needed,
        });
    }
    source.seek(SeekFrom::Start(0))?;
    source.read_exact(&mut header)?;
    Header::decode(&header, length)
}

/// The caller has checked `length` against a limit and the length of the file.
fn read_part(source: &mut (impl Read + Seek), offset: u64, length: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    source.seek(SeekFrom::Start(offset))?;
    source.read_exact(&mut bytes)?;
    Ok(bytes)
}

pub(crate) fn damaged(kind: Kind, reason: String) -> Error {
    Error::Damaged {
        part: kind.name(),
        reason,
    }
}
