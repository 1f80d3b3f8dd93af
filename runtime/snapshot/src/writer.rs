//! Writing a checkpoint: chunks as they come, then the sections, then table and header.

use std::collections::HashSet;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};

use serde::Serialize;

use crate::chunk::{self, BATCH};
use crate::layout::{self, Entry, HEADER_LENGTH, Header, Kind};
use crate::{Blob, BlobSink, CHUNK_SIZE, Contents, Digest, Error, Memory, Run};

/// Writes one checkpoint. Memories and blobs first, then [`Writer::finish`]. Until that has
/// returned, the file has no valid header and is refused by every reader.
pub struct Writer<W: Write + Seek> {
    out: BufWriter<W>,
    position: u64,
    chunks: Vec<chunk::Entry>,
    known: HashSet<Digest>,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Identifies the state: equal for equal states, however they are stored.
    pub state_digest: Digest,
    /// Length of the file in bytes.
    pub bytes: u64,
    /// Different chunks in the file.
    pub chunks: u64,
    /// Their length in bytes before compression.
    pub chunk_bytes: u64,
}

impl<W: Write + Seek> Writer<W> {
    /// Starts a checkpoint at the start of `out`.
    ///
    /// # Errors
    /// If `out` cannot be written.
    pub fn new(out: W) -> io::Result<Self> {
        let mut out = BufWriter::with_capacity(1 << 20, out);
        out.seek(SeekFrom::Start(0))?;
        out.write_all(&[0; HEADER_LENGTH])?;
        let position = HEADER_LENGTH as u64;
        Ok(Writer {
            out,
            position,
            chunks: Vec::new(),
            known: HashSet::new(),
        })
    }

    /// Stores those pages of a linear memory that are not zero.
    ///
    /// # Errors
    /// If the file cannot be written, or `content` is not made of whole pages.
    pub fn memory(&mut self, content: &[u8], maximum: Option<u64>) -> io::Result<Memory> {
        if !content.len().is_multiple_of(CHUNK_SIZE) {
            return Err(io::Error::other(
                "a memory is made of whole pages of 64 KiB",
            ));
        }
        let digests = chunk::digests(content);
        let mut runs: Vec<Run> = Vec::new();
        let mut present = Vec::new();
        for ((page, bytes), digest) in (0..).zip(content.chunks(CHUNK_SIZE)).zip(&digests) {
            let Some(digest) = *digest else { continue };
            present.push((digest, bytes));
            match runs.last_mut() {
                Some(run) if run.first + run.pages.len() as u64 == page => run.pages.push(digest),
                _ => runs.push(Run {
                    first: page,
                    pages: vec![digest],
                }),
            }
        }
        self.store(present)?;
        Ok(Memory {
            pages: digests.len() as u64,
            maximum,
            runs,
        })
    }

    /// Completes the file.
    ///
    /// # Errors
    /// If the file cannot be written, or a section is larger than a reader would accept.
    pub fn finish(mut self, contents: &Contents) -> Result<Summary, Error> {
        let chunks_length = self.position - HEADER_LENGTH as u64;
        let index: Vec<u8> = self.chunks.iter().flat_map(chunk::Entry::encode).collect();
        let mut table = vec![
            self.section(Kind::Workload, &encoded(&contents.workload)?)?,
            self.section(Kind::Execution, &encoded(&contents.execution)?)?,
            self.section(Kind::Memories, &encoded(&contents.memories)?)?,
            self.section(Kind::Wasi, &contents.wasi)?,
            self.section(Kind::Settings, &encoded(&contents.settings)?)?,
            self.section(Kind::Accounting, &encoded(&contents.accounting)?)?,
            self.section(Kind::Lineage, &encoded(&contents.lineage)?)?,
            self.section(Kind::ChunkIndex, &index)?,
        ];
        table.push(Entry {
            kind: Kind::Chunks.number(),
            flags: Kind::Chunks.flags(),
            offset: HEADER_LENGTH as u64,
            length: chunks_length,
            digest: [0; 32],
        });
        let bytes = self.complete(&table)?;
        Ok(Summary {
            state_digest: layout::state_digest(&table),
            bytes,
            chunks: self.chunks.len() as u64,
            chunk_bytes: self
                .chunks
                .iter()
                .map(|chunk| u64::from(chunk.length))
                .sum(),
        })
    }

    fn section(&mut self, kind: Kind, bytes: &[u8]) -> Result<Entry, Error> {
        let (length, limit) = (bytes.len() as u64, kind.limit());
        if length > limit {
            return Err(Error::TooLarge {
                part: kind.name(),
                length,
                limit,
            });
        }
        let (offset, digest) = (self.position, layout::sha256(bytes));
        self.append(bytes)?;
        Ok(Entry {
            kind: kind.number(),
            flags: kind.flags(),
            offset,
            length,
            digest,
        })
    }

    fn complete(&mut self, table: &[Entry]) -> io::Result<u64> {
        let table_offset = self.position;
        let table = layout::encode_table(table);
        self.append(&table)?;
        let (table_length, table_digest) = (table.len() as u64, layout::sha256(&table));
        let header = Header {
            table_offset,
            table_length,
            table_digest,
        };
        self.out.seek(SeekFrom::Start(0))?;
        self.out.write_all(&header.encode())?;
        self.out.flush()?;
        Ok(self.position)
    }

    /// Stores the chunks that are not there yet.
    fn store(&mut self, mut chunks: Vec<(Digest, &[u8])>) -> io::Result<()> {
        chunks.retain(|(digest, _)| self.known.insert(*digest));
        for batch in chunks.chunks(BATCH) {
            for stored in chunk::compress(batch)? {
                self.append(&stored.bytes)?;
                self.chunks.push(stored.entry);
            }
        }
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.position += bytes.len() as u64;
        Ok(())
    }
}

impl<W: Write + Seek> BlobSink for Writer<W> {
    fn put(&mut self, content: &mut dyn Read) -> io::Result<Blob> {
        let mut blob = Blob::default();
        let mut buffer = Vec::new();
        loop {
            buffer.clear();
            content
                .take((BATCH * CHUNK_SIZE) as u64)
                .read_to_end(&mut buffer)?;
            if buffer.is_empty() {
                return Ok(blob);
            }
            blob.len += buffer.len() as u64;
            let chunks = buffer.chunks(CHUNK_SIZE);
            let digests = chunk::digests(&buffer);
            let chunks: Vec<_> = chunks
                .zip(digests)
                .map(|(chunk, digest)| (digest.unwrap_or_else(|| layout::sha256(chunk)), chunk))
                .collect();
            blob.digests
                .extend(chunks.iter().map(|(digest, _)| *digest));
            self.store(chunks)?;
        }
    }
}

fn encoded<T: Serialize>(value: &T) -> io::Result<Vec<u8>> {
    postcard::to_stdvec(value).map_err(io::Error::other)
}
