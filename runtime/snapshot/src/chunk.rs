//! Chunks: hashing, compressing and restoring them on several threads.

use std::io;
use std::thread;

use zstd::bulk::{Compressor, Decompressor};

use crate::layout::{Fields, sha256};
use crate::{CHUNK_SIZE, Digest, Error};

/// Fast enough to keep up with a disk; memory pages compress well at any level.
const LEVEL: i32 = 1;

/// Chunks that are worked on together, which bounds the memory that this takes.
pub(crate) const BATCH: usize = 128;

/// An entry of the chunk index. Chunks lie in the order of the index, without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// SHA-256 of the content.
    pub(crate) digest: Digest,
    /// SHA-256 of the compressed bytes: verified before they are decompressed.
    pub(crate) stored_digest: Digest,
    /// Length of the compressed bytes.
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
}

/// The longest that the compressed form of a chunk may be.
pub(crate) fn stored_limit() -> usize {
    zstd::zstd_safe::compress_bound(CHUNK_SIZE)
}

/// The digests of the chunks of `content`; `None` for a full chunk of zeros.
pub(crate) fn digests(content: &[u8]) -> Vec<Option<Digest>> {
    static ZEROS: [u8; CHUNK_SIZE] = [0; CHUNK_SIZE];
    let chunks: Vec<&[u8]> = content.chunks(CHUNK_SIZE).collect();
    in_parallel(&chunks, || {
        |chunk: &&[u8]| (*chunk != ZEROS).then(|| sha256(chunk))
    })
}

/// A chunk as it lies in the file.
pub(crate) struct Stored {
    pub(crate) entry: Entry,
    pub(crate) bytes: Vec<u8>,
}

/// Compresses chunks whose digests are known.
pub(crate) fn compress(chunks: &[(Digest, &[u8])]) -> io::Result<Vec<Stored>> {
    in_parallel(chunks, || {
        let mut compressor = Compressor::new(LEVEL);
        move |(digest, content): &(Digest, &[u8])| {
            let compressor = compressor
                .as_mut()
                .map_err(|error| io::Error::other(error.to_string()))?;
            let bytes = compressor.compress(content)?;
            let length = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(io::Error::other);
            let entry = Entry {
                digest: *digest,
                stored_digest: sha256(&bytes),
                stored: length(&bytes)?,
                length: length(content)?,
            };
            Ok(Stored { entry, bytes })
        }
    })
    .into_iter()
    .collect()
}

/// A chunk to restore: its entry, its bytes in the file, and where its content goes.
pub(crate) struct Restore<'a> {
    pub(crate) entry: Entry,
    pub(crate) stored: Vec<u8>,
    pub(crate) content: &'a mut [u8],
}

/// Verifies and decompresses chunks into their places.
pub(crate) fn decompress(mut chunks: Vec<Restore<'_>>) -> Result<(), Error> {
    let share = chunks.len().div_ceil(threads()).max(1);
    thread::scope(|scope| {
        let workers: Vec<_> = chunks
            .chunks_mut(share)
            .map(|share| {
                scope.spawn(|| {
                    let mut decompressor = Decompressor::new()?;
                    share
                        .iter_mut()
                        .try_for_each(|chunk| chunk.restore(&mut decompressor))
                })
            })
            .collect();
        workers.into_iter().try_for_each(joined)
    })
}

impl Restore<'_> {
    fn restore(&mut self, decompressor: &mut Decompressor<'_>) -> Result<(), Error> {
        let part = "chunk";
        let (found, expected) = (sha256(&self.stored), self.entry.stored_digest);
        if found != expected {
            return Err(Error::WrongDigest {
                part,
                found,
                expected,
            });
        }
        let length = decompressor
            .decompress_to_buffer(&self.stored, self.content)
            .map_err(|error| Error::Damaged {
                part,
                reason: error.to_string(),
            })?;
        if length != self.content.len() {
            let reason = format!("has {length} bytes instead of {}", self.content.len());
            return Err(Error::Damaged { part, reason });
        }
        let (found, expected) = (sha256(self.content), self.entry.digest);
        if found != expected {
            return Err(Error::WrongDigest {
                part,
                found,
                expected,
            });
        }
        Ok(())
    }
}

fn threads() -> usize {
    // More threads than this are not faster than the memory and the disk behind them.
    thread::available_parallelism()
        .map_or(1, usize::from)
        .min(8)
}

/// Maps `items` in order, each thread with a function (and its scratch state) of its own.
fn in_parallel<T: Sync, R: Send, F>(items: &[T], function: impl Fn() -> F + Sync) -> Vec<R>
where
    F: FnMut(&T) -> R,
{
    let share = items.len().div_ceil(threads()).max(1);
    if items.len() <= 1 {
        return items.iter().map(function()).collect();
    }
    thread::scope(|scope| {
        let work = |share| {
            let function = &function;
            scope.spawn(move || <[T]>::iter(share).map(function()).collect::<Vec<R>>())
        };
        let workers: Vec<_> = items.chunks(share).map(work).collect();
        workers.into_iter().flat_map(joined).collect()
    })
}

/// The result of a worker; its panic, a bug of ours, goes on in the caller.
fn joined<T>(worker: thread::ScopedJoinHandle<'_, T>) -> T {
    worker
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
