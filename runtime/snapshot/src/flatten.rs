//! Making one file of a delta and those that it builds on.

use std::borrow::Cow;
use std::io::{Read, Seek, Write};

use crate::chunk::Stored;
use crate::{Blob, Error, Memory, Reader, Writer, Written};

/// Writes a checkpoint of the same state that stands on its own. Chunks are copied as they
/// are stored (encrypted with the same key if they were), in the order in which a full checkpoint has them: those of `blobs` first,
/// which are all that the state of the WASI host names, and then those of the memories.
///
/// # Errors
/// If a chunk is missing or damaged, or `out` cannot be written.
pub fn flatten<'a, R: Read + Seek, W: Write + Seek>(
    checkpoint: &Reader<R>,
    blobs: impl IntoIterator<Item = &'a Blob>,
    out: W,
) -> Result<Written, Error> {
    let contents = checkpoint.contents();
    let mut writer = match checkpoint.key() {
        Some(key) => Writer::sealed(out, None, key)?,
        None => Writer::new(out)?,
    };
    let blobs = blobs.into_iter().flat_map(|blob| &blob.digests);
    let pages = contents.memories.iter().flat_map(Memory::pages);
    for digest in blobs.chain(pages.map(|(_, digest)| digest)) {
        if writer.has(digest) {
            continue;
        }
        let (entry, bytes) = checkpoint.index().stored(digest)?;
        let bytes = Cow::Owned(bytes);
        writer.copy(Stored { entry, bytes })?;
    }
    writer.finish(contents)
}
