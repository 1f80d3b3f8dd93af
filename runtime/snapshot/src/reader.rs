//! Reading a checkpoint: everything is verified before it is used.

use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::chunk::{self, BATCH};
use crate::layout::{self, Entry, HEADER_LENGTH, Header, Kind};
use crate::{Blob, BlobSource, CHUNK_SIZE, Contents, Digest, Error, Memory};

/// A checkpoint whose sections were read and verified. Chunks are read when asked for.
pub struct Reader<R> {
    source: Mutex<R>,
    table: Vec<Entry>,
    contents: Contents,
    /// Each chunk with its place in the file.
    chunks: HashMap<Digest, (u64, chunk::Entry)>,
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

impl<R: Read + Seek> Reader<R> {
    /// Reads and verifies everything but the chunks.
    ///
    /// # Errors
    /// If `source` cannot be read, or is not a checkpoint that this version reads.
    pub fn open(mut source: R) -> Result<Self, Error> {
        let table = read_table(&mut source)?;
        let mut sections = Sections {
            source: &mut source,
            table: &table,
        };
        let contents = Contents {
            workload: sections.decode(Kind::Workload)?,
            execution: sections.decode(Kind::Execution)?,
            memories: sections.decode(Kind::Memories)?,
            wasi: sections.bytes(Kind::Wasi)?,
            settings: sections.decode(Kind::Settings)?,
            accounting: sections.decode(Kind::Accounting)?,
            lineage: sections.decode(Kind::Lineage)?,
        };
        let chunks = sections.chunk_index()?;
        let reader = Reader {
            source: Mutex::new(source),
            table,
            contents,
            chunks,
        };
        reader
            .contents
            .memories
            .iter()
            .try_for_each(|memory| reader.check_memory(memory))?;
        Ok(reader)
    }

    /// Everything but the chunks.
    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    /// Identifies the state: equal for equal states, however they are stored.
    pub fn state_digest(&self) -> Digest {
        layout::state_digest(&self.table)
    }

    /// The sections, in the order of the section table.
    pub fn sections(&self) -> Vec<SectionInfo> {
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

    /// Writes the pages of `memory` that are not zero to `content`, which must be zero.
    ///
    /// # Errors
    /// If a chunk is missing or damaged, or `content` is smaller than the memory.
    pub fn restore_memory(&self, memory: &Memory, content: &mut [u8]) -> Result<(), Error> {
        let mut pages = (0..).zip(content.chunks_exact_mut(CHUNK_SIZE));
        let wanted = memory
            .runs
            .iter()
            .flat_map(|run| (run.first..).zip(&run.pages));
        let mut batch = Vec::with_capacity(BATCH);
        for (number, digest) in wanted {
            let Some((_, page)) = pages.find(|(page, _)| *page == number) else {
                return Err(damaged(
                    Kind::Memories,
                    format!("page {number} is out of bounds"),
                ));
            };
            batch.push(self.fetch(digest, page)?);
            if batch.len() == BATCH {
                chunk::decompress(std::mem::take(&mut batch))?;
            }
        }
        chunk::decompress(batch)
    }

    /// Reads the stored bytes of the chunk that belongs into `content`.
    fn fetch<'a>(
        &self,
        digest: &Digest,
        content: &'a mut [u8],
    ) -> Result<chunk::Restore<'a>, Error> {
        let (offset, entry) = *self
            .chunks
            .get(digest)
            .ok_or(Error::MissingChunk(*digest))?;
        if entry.length as usize != content.len() {
            let reason = format!(
                "is used as one of {} bytes and has {}",
                content.len(),
                entry.length
            );
            return Err(Error::Damaged {
                part: "chunk",
                reason,
            });
        }
        let mut stored = vec![0; entry.stored as usize];
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        source.seek(SeekFrom::Start(offset))?;
        source.read_exact(&mut stored)?;
        Ok(chunk::Restore {
            entry,
            stored,
            content,
        })
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
                let (_, entry) = self
                    .chunks
                    .get(digest)
                    .ok_or(Error::MissingChunk(*digest))?;
                if entry.length as usize != CHUNK_SIZE {
                    return damaged(format!("the run at page {first} has a short page"));
                }
            }
        }
        Ok(())
    }
}

impl<R: Read + Seek> BlobSource for Reader<R> {
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
            let parts = digests.iter().zip(content.chunks_mut(CHUNK_SIZE));
            let batch: Result<Vec<_>, Error> = parts
                .map(|(digest, part)| self.fetch(digest, part))
                .collect();
            chunk::decompress(batch?)?;
            out.write_all(content)?;
            left -= length as u64;
        }
        Ok(())
    }
}

fn read_table(source: &mut (impl Read + Seek)) -> Result<Vec<Entry>, Error> {
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
    let header = Header::decode(&header, length)?;
    let table = read_part(source, header.table_offset, header.table_length)?;
    layout::decode_table(&header, &table)
}

/// The caller has checked `length` against a limit and the length of the file.
fn read_part(source: &mut (impl Read + Seek), offset: u64, length: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    source.seek(SeekFrom::Start(offset))?;
    source.read_exact(&mut bytes)?;
    Ok(bytes)
}

struct Sections<'a, R> {
    source: &'a mut R,
    table: &'a [Entry],
}

impl<R: Read + Seek> Sections<'_, R> {
    fn entry(&self, kind: Kind) -> Result<Entry, Error> {
        let entry = self.table.iter().find(|entry| entry.kind == kind.number());
        entry
            .copied()
            .ok_or_else(|| damaged(kind, "is missing".to_owned()))
    }

    fn bytes(&mut self, kind: Kind) -> Result<Vec<u8>, Error> {
        let entry = self.entry(kind)?;
        let bytes = read_part(self.source, entry.offset, entry.length)?;
        let found = layout::sha256(&bytes);
        if found != entry.digest {
            return Err(Error::WrongDigest {
                part: kind.name(),
                found,
                expected: entry.digest,
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

    fn chunk_index(&mut self) -> Result<HashMap<Digest, (u64, chunk::Entry)>, Error> {
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
        let mut chunks = HashMap::with_capacity(entries.len());
        let mut offset = place.offset;
        for (number, entry) in entries.iter().map(chunk::Entry::decode).enumerate() {
            if entry.length as usize > CHUNK_SIZE || entry.stored as usize > chunk::stored_limit() {
                return index_damaged(format!("chunk {number} is too long"));
            }
            if chunks.insert(entry.digest, (offset, entry)).is_some() {
                return index_damaged(format!("chunk {number} is there twice"));
            }
            offset += u64::from(entry.stored);
        }
        if offset - place.offset != place.length {
            return index_damaged("does not describe the section chunks".to_owned());
        }
        Ok(chunks)
    }
}

fn damaged(kind: Kind, reason: String) -> Error {
    Error::Damaged {
        part: kind.name(),
        reason,
    }
}
