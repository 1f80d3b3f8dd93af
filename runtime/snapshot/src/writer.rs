//! Writing a checkpoint: chunks as they come, then the sections, then table and header.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::io::{self, Read, Seek, Write};
use std::sync::{PoisonError, RwLock};

use serde::Serialize;

use crate::chunk::{self, Packer, Stored};
use crate::layout::{self, Entry, HEADER_LENGTH, Kind};
use crate::output::{Batch, Output};
use crate::{
    Base, Blob, BlobSink, CHUNK_SIZE, Contents, Digest, Error, Key, KeyId, MAX_BASES, Memory, Run,
    base, workers,
};

/// Writes one checkpoint. Memories and blobs first, then [`Writer::finish`]. Until that has
/// returned, the file has no valid header and is refused by every reader.
pub struct Writer<W: Write + Seek> {
    key: Option<KeyId>,
    out: Output<W>,
    chunks: Vec<chunk::Entry>,
    /// The digests of `chunks`.
    known: RwLock<HashSet<Digest>>,
    base: Option<Base>,
    /// Which of the base's files this one builds on.
    used: [bool; MAX_BASES],
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Identifies the state: equal for equal states, however they are stored.
    pub state_digest: Digest,
    /// Identifies the file: SHA-256 of its section table, which covers everything in it.
    pub file_digest: Digest,
    /// Length of the file in bytes.
    pub bytes: u64,
    /// Different chunks in the file.
    pub chunks: u64,
    /// Their length in bytes before compression.
    pub chunk_bytes: u64,
    /// Number of files that it builds on: none if it stands on its own.
    pub bases: usize,
}

/// A checkpoint that is complete.
#[derive(Clone, Debug)]
pub struct Written {
    /// What was written.
    pub summary: Summary,
    /// The checkpoint, for the next one to build on.
    pub base: Base,
}

impl<W: Write + Seek> Writer<W> {
    /// Starts a checkpoint at the start of `out`, which stands on its own.
    ///
    /// # Errors
    /// If `out` cannot be written.
    pub fn new(out: W) -> io::Result<Self> {
        Self::start(out, None, None)
    }

    /// Starts a checkpoint at the start of `out` that stores only what `base` has not.
    ///
    /// # Errors
    /// If `out` cannot be written, or `base` builds on so many files that it
    /// [is exhausted](Base::is_exhausted).
    pub fn delta(out: W, base: &Base) -> io::Result<Self> {
        Self::start(out, Some(base), None)
    }

    /// Starts a checkpoint at the start of `out` that is encrypted with `key`, and stores only
    /// what `base` has not if there is one.
    ///
    /// # Errors
    /// As [`Writer::delta`], if `base` is not encrypted with the same key, or if the system
    /// has no random numbers.
    pub fn sealed(out: W, base: Option<&Base>, key: &Key) -> io::Result<Self> {
        Self::start(out, base, Some(key))
    }

    fn start(out: W, base: Option<&Base>, key: Option<&Key>) -> io::Result<Self> {
        let refused = |why| Err(io::Error::other(why));
        let key_id = key.map(Key::id);
        match base {
            Some(base) if base.files().len() > MAX_BASES => {
                return refused("the base builds on too many files");
            }
            Some(base) if base.key() != key_id => {
                return refused("the base is encrypted otherwise");
            }
            _ => {}
        }
        let base = base.cloned();
        Ok(Writer {
            key: key_id,
            out: Output::new(out, key)?,
            chunks: Vec::new(),
            known: RwLock::default(),
            base,
            used: [false; MAX_BASES],
        })
    }

    /// Stores those pages of a linear memory that are not zero.
    ///
    /// # Errors
    /// If the file cannot be written, or `content` is not made of whole pages.
    pub fn memory(&mut self, content: &[u8], maximum: Option<u64>) -> io::Result<Memory> {
        let pages: Vec<u64> = (0..(content.len() / CHUNK_SIZE) as u64).collect();
        self.changed_memory(content, maximum, None, &pages)
    }

    /// Stores those of the pages `changed` of a linear memory that are not zero. The others
    /// are not looked at: they are as in `before`, a memory of the base, or zero without one.
    ///
    /// # Errors
    /// If the file cannot be written, `content` is not made of whole pages, `changed` is not
    /// ascending or goes beyond it, or `before` has pages that the base has not.
    pub fn changed_memory(
        &mut self,
        content: &[u8],
        maximum: Option<u64>,
        before: Option<&Memory>,
        changed: &[u64],
    ) -> io::Result<Memory> {
        let refused = |why| Err(io::Error::other(why));
        let (contents, rest) = content.as_chunks::<CHUNK_SIZE>();
        if !rest.is_empty() {
            return refused("a memory is made of whole pages of 64 KiB");
        }
        let pages = contents.len() as u64;
        let ascending = changed.is_sorted_by(|a, b| a < b);
        if !ascending || changed.last().is_some_and(|last| *last >= pages) {
            return refused("the changed pages are not ascending numbers in the memory");
        }
        let mut digests = Vec::with_capacity(changed.len());
        let parts = changed.iter().map(|page| {
            let page = usize::try_from(*page).map_err(io::Error::other)?;
            Ok(Cow::Borrowed(&contents[page][..]))
        });
        self.store(changed.len(), parts, Zeros::Implicit, |digest| {
            digests.push(digest);
        })?;
        let mut runs = Runs::default();
        let mut before = before.into_iter().flat_map(Memory::pages).peekable();
        for (&page, digest) in changed.iter().zip(digests) {
            while let Some((earlier, digest)) = before.next_if(|(earlier, _)| *earlier < page) {
                self.keep_page(&mut runs, earlier, digest)?;
            }
            before.next_if(|(same, _)| *same == page);
            if let Some(digest) = digest {
                runs.push(page, digest);
            }
        }
        for (page, digest) in before.take_while(|(page, _)| *page < pages) {
            self.keep_page(&mut runs, page, digest)?;
        }
        Ok(Memory {
            pages,
            maximum,
            runs: runs.0,
        })
    }

    fn keep_page(&mut self, runs: &mut Runs, page: u64, digest: &Digest) -> io::Result<()> {
        if !self.has(digest) {
            return Err(Error::MissingChunk(*digest).into());
        }
        self.mark_used(digest);
        runs.push(page, *digest);
        Ok(())
    }

    /// Stores chunks that are not there yet, and notes the digests of all in order.
    fn store<'a>(
        &mut self,
        count: usize,
        contents: impl Iterator<Item = io::Result<Cow<'a, [u8]>>> + Send,
        zeros: Zeros,
        mut note: impl FnMut(Option<Digest>),
    ) -> io::Result<()> {
        let mut batch = Batch::default();
        let Writer {
            out,
            chunks,
            known,
            base,
            used,
            ..
        } = self;
        let known = &*known;
        let base = base.as_ref();
        let is_known = |digest: &Digest| {
            let known = known.read().unwrap_or_else(PoisonError::into_inner);
            known.contains(digest)
        };
        let pack = |packer: &mut Packer, content: Cow<'a, [u8]>| {
            if zeros == Zeros::Implicit && *content == ZEROS[..content.len()] {
                return Ok(Packed::Zero);
            }
            let digest = layout::sha256(&content);
            if let Some(holder) = base.and_then(|base| base.holder(&digest)) {
                return Ok(Packed::InBase(digest, holder));
            }
            if is_known(&digest) {
                return Ok(Packed::Known(digest));
            }
            packer.pack(digest, content).map(Packed::New)
        };
        let take = |packed: Packed<'a>| {
            note(packed.digest());
            match packed {
                Packed::Zero | Packed::Known(_) => {}
                Packed::InBase(_, holder) => used[usize::from(holder)] = true,
                Packed::New(stored) => {
                    let mut known = known.write().unwrap_or_else(PoisonError::into_inner);
                    // Two workers may have had the same content at the same time.
                    if known.insert(stored.entry.digest) {
                        drop(known);
                        let bytes = out.chunk(chunks.len(), stored.bytes)?;
                        chunks.push(stored.entry);
                        batch.add(bytes, out)?;
                    }
                }
            }
            Ok(())
        };
        workers::in_order(count, contents, Packer::new, pack, take)?;
        batch.write(out)
    }

    /// Whether a chunk is in this file or in one that it can build on.
    pub(crate) fn has(&self, digest: &Digest) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.contains(digest)
            || self
                .base
                .as_ref()
                .is_some_and(|base| base.holder(digest).is_some())
    }

    /// Notes the file that a chunk is taken from, if that is not this one.
    fn mark_used(&mut self, digest: &Digest) {
        if let Some(holder) = self.base.as_ref().and_then(|base| base.holder(digest)) {
            self.used[usize::from(holder)] = true;
        }
    }

    /// Takes over a chunk as another file has it.
    pub(crate) fn copy(&mut self, stored: Stored<'_>) -> io::Result<()> {
        let known = self.known.get_mut().unwrap_or_else(PoisonError::into_inner);
        if known.insert(stored.entry.digest) {
            let bytes = self.out.chunk(self.chunks.len(), stored.bytes)?;
            self.chunks.push(stored.entry);
            self.out.append(&bytes)?;
        }
        Ok(())
    }

    /// Completes the file.
    ///
    /// # Errors
    /// If the file cannot be written, or a section is larger than a reader would accept.
    pub fn finish(mut self, contents: &Contents) -> Result<Written, Error> {
        let chunks_length = self.out.position - HEADER_LENGTH as u64;
        let index: Vec<u8> = self.chunks.iter().flat_map(chunk::Entry::encode).collect();
        let bases = self.bases();
        let mut sections = vec![
            self.out
                .section(Kind::Workload, &encoded(&contents.workload)?)?,
            self.out
                .section(Kind::Execution, &encoded(&contents.execution)?)?,
            self.out
                .section(Kind::Memories, &encoded(&contents.memories)?)?,
            self.out.section(Kind::Wasi, &contents.wasi)?,
            self.out
                .section(Kind::Settings, &encoded(&contents.settings)?)?,
            self.out
                .section(Kind::Accounting, &encoded(&contents.accounting)?)?,
            self.out
                .section(Kind::Lineage, &encoded(&contents.lineage)?)?,
            self.out.section(Kind::ChunkIndex, &index)?,
        ];
        if let Some(profile) = &contents.profile {
            sections.push(self.out.section(Kind::Profile, &encoded(profile)?)?);
        }
        if let Some(usage) = &contents.usage {
            sections.push(self.out.section(Kind::Usage, &encoded(usage)?)?);
        }
        if let Some(gpu) = &contents.gpu {
            sections.push(self.out.section(Kind::Gpu, &gpu.state)?);
            sections.push(self.out.section(Kind::GpuUse, &encoded(&gpu.used_ns)?)?);
        }
        let state: Vec<Entry> = sections.iter().map(|section| section.plain).collect();
        if !bases.is_empty() {
            let bases: Vec<Digest> = bases.iter().map(|base| base.digest).collect();
            sections.push(self.out.section(Kind::Bases, &encoded(&bases)?)?);
        }
        sections.extend(self.out.encryption()?);
        let mut table: Vec<Entry> = sections.iter().map(|section| section.entry).collect();
        table.push(Entry {
            kind: Kind::Chunks.number(),
            flags: Kind::Chunks.flags(),
            offset: HEADER_LENGTH as u64,
            length: chunks_length,
            digest: [0; 32],
        });
        table.sort_by_key(|entry| entry.kind);
        let file_digest = self.out.complete(&table)?;
        let lengths = self.chunks.iter().map(|chunk| u64::from(chunk.length));
        let summary = Summary {
            state_digest: layout::state_digest(&state),
            file_digest,
            bytes: self.out.position,
            chunks: self.chunks.len() as u64,
            chunk_bytes: lengths.sum(),
            bases: bases.len(),
        };
        let own = base::File {
            digest: file_digest,
            stored: chunks_length,
        };
        let base = self.into_base(own, bases, contents.memories.clone());
        Ok(Written { summary, base })
    }

    /// The files that this one builds on.
    fn bases(&self) -> Vec<base::File> {
        let files = self.base.as_ref().map_or(&[][..], Base::files);
        let used = files.iter().zip(self.used).filter(|(_, used)| *used);
        used.map(|(file, _)| *file).collect()
    }

    /// The file that was written, with all that it can name of those that it builds on.
    fn into_base(self, own: base::File, bases: Vec<base::File>, memories: Vec<Memory>) -> Base {
        // The new numbers of the files that are built on: this file is the first.
        let mut numbers = [None; MAX_BASES];
        let used = numbers.iter_mut().zip(self.used).filter(|(_, used)| *used);
        for (new, (number, _)) in (1..).zip(used) {
            *number = Some(new);
        }
        let of_bases = self.base.iter().flat_map(Base::chunks);
        let of_bases =
            of_bases.filter_map(|(digest, holder)| Some((*digest, numbers[usize::from(holder)]?)));
        let own_chunks = self.chunks.iter().map(|chunk| (chunk.digest, 0));
        let chunks: HashMap<Digest, u8> = of_bases.chain(own_chunks).collect();
        let files = std::iter::once(own).chain(bases).collect();
        Base::new(files, chunks, memories, self.key)
    }
}

impl<W: Write + Seek> BlobSink for Writer<W> {
    fn put(&mut self, content: &mut (dyn Read + Send)) -> io::Result<Blob> {
        let first = read_chunk(content)?;
        let mut len = first.len() as u64;
        // How many there are shows while they are read.
        let count = if first.len() < CHUNK_SIZE {
            1
        } else {
            usize::MAX
        };
        let rest = std::iter::from_fn(|| match read_chunk(content) {
            Ok(chunk) if chunk.is_empty() => None,
            Ok(chunk) => {
                len += chunk.len() as u64;
                Some(Ok(Cow::Owned(chunk)))
            }
            Err(error) => Some(Err(error)),
        });
        let first = Some(first).filter(|chunk| !chunk.is_empty());
        let chunks = first
            .map(|chunk| Ok(Cow::Owned(chunk)))
            .into_iter()
            .chain(rest);
        let mut digests = Vec::new();
        self.store(count, chunks, Zeros::Stored, |digest| {
            digests.extend(digest)
        })?;
        Ok(Blob { len, digests })
    }

    fn keep(&mut self, blob: &Blob) -> bool {
        let all = blob.digests.iter().all(|digest| self.has(digest));
        if all {
            blob.digests
                .iter()
                .for_each(|digest| self.mark_used(digest));
        }
        all
    }
}

fn read_chunk(content: &mut (dyn Read + Send)) -> io::Result<Vec<u8>> {
    let mut chunk = Vec::with_capacity(CHUNK_SIZE);
    content.take(CHUNK_SIZE as u64).read_to_end(&mut chunk)?;
    Ok(chunk)
}

static ZEROS: [u8; CHUNK_SIZE] = [0; CHUNK_SIZE];

/// What becomes of a chunk of zeros.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Zeros {
    /// Nothing: the page is not in the description of the memory.
    Implicit,
    /// It is a chunk as any other.
    Stored,
}

/// What a worker made of a chunk.
enum Packed<'a> {
    Zero,
    /// The file has it already.
    Known(Digest),
    /// This file of the base has it.
    InBase(Digest, u8),
    New(Stored<'a>),
}

impl Packed<'_> {
    fn digest(&self) -> Option<Digest> {
        match self {
            Packed::Zero => None,
            Packed::Known(digest) | Packed::InBase(digest, _) => Some(*digest),
            Packed::New(stored) => Some(stored.entry.digest),
        }
    }
}

/// Pages that are not zero, as they are found in ascending order.
#[derive(Default)]
struct Runs(Vec<Run>);

impl Runs {
    fn push(&mut self, page: u64, digest: Digest) {
        match self.0.last_mut() {
            Some(run) if run.first + run.pages.len() as u64 == page => run.pages.push(digest),
            _ => self.0.push(Run {
                first: page,
                pages: vec![digest],
            }),
        }
    }
}

fn encoded<T: Serialize>(value: &T) -> io::Result<Vec<u8>> {
    postcard::to_stdvec(value).map_err(io::Error::other)
}
