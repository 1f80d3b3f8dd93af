//! Content that travels with a checkpoint as chunks: a file that the job wrote, for one.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

/// A SHA-256 digest.
pub type Digest = [u8; 32];

/// Size of a chunk of uncompressed content; only a blob's last chunk may be shorter.
pub const CHUNK_SIZE: usize = 64 * 1024;

/// Content by reference: its length in bytes and the digests of its chunks, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blob {
    /// Length in bytes.
    pub len: u64,
    /// Digests of the uncompressed chunks of [`CHUNK_SIZE`] bytes, the last one shorter.
    pub digests: Vec<Digest>,
}

/// Takes content into a checkpoint that is being written.
pub trait BlobSink {
    /// Stores everything that `content` yields.
    ///
    /// # Errors
    /// If `content` cannot be read or the checkpoint cannot be written.
    fn put(&mut self, content: &mut (dyn Read + Send)) -> io::Result<Blob>;

    /// Takes in content that was stored before, if the checkpoint has all of it already, or
    /// builds on files that do. Otherwise it has to be [`put`](BlobSink::put).
    fn keep(&mut self, blob: &Blob) -> bool;
}

/// Gives back the content that a checkpoint holds.
pub trait BlobSource {
    /// Writes the content of `blob` to `out`, every chunk verified before it is written.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] if the checkpoint lacks a chunk or one is damaged;
    /// otherwise, if reading the checkpoint or writing to `out` fails.
    fn read(&self, blob: &Blob, out: &mut dyn Write) -> io::Result<()>;
}
