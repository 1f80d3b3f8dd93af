//! A memory as it was when it was frozen.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::CHUNK_SIZE;
use crate::content::Content;

/// A memory as it was when it was frozen, for reading from any thread. While one exists, the
/// memory cannot be frozen again. Clones are the same image.
#[derive(Clone)]
pub struct Image {
    content: Arc<Content>,
    length: usize,
    pages_per_chunk: usize,
}

impl Image {
    pub(crate) fn new(content: Arc<Content>, length: usize, page_size: usize) -> Self {
        let pages_per_chunk = (CHUNK_SIZE / page_size).max(1);
        Image {
            content,
            length,
            pages_per_chunk,
        }
    }

    /// The content. Reading what [`Image::has_data`] denies is right, but takes memory.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.content.bytes()[..self.length]
    }

    /// How many chunks there are; the last one may be shorter.
    #[must_use]
    pub fn chunk_count(&self) -> u32 {
        chunk_number(self.length.div_ceil(CHUNK_SIZE))
    }

    /// The content of a chunk; empty beyond the last one.
    #[must_use]
    pub fn chunk(&self, index: u32) -> &[u8] {
        let start = (index as usize).saturating_mul(CHUNK_SIZE).min(self.length);
        let end = start.saturating_add(CHUNK_SIZE).min(self.length);
        &self.bytes()[start..end]
    }

    /// Whether a chunk may be anything but zeros.
    #[must_use]
    pub fn has_data(&self, index: u32) -> bool {
        self.content.data().meets(self.pages(index))
    }

    /// The chunks that may be anything but zeros, ascending.
    pub fn data_chunks(&self) -> impl Iterator<Item = u32> {
        let data = self.content.data().runs();
        let chunks = data.flat_map(|run| {
            run.start / self.pages_per_chunk..run.end.div_ceil(self.pages_per_chunk)
        });
        let mut next = 0;
        chunks.map(chunk_number).filter(move |&chunk| {
            let new = chunk >= next;
            next = next.max(chunk + 1);
            new
        })
    }

    fn pages(&self, chunk: u32) -> Range<usize> {
        let first = (chunk as usize).saturating_mul(self.pages_per_chunk);
        first..first.saturating_add(self.pages_per_chunk)
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image")
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

/// Memories are too small for the number of a chunk to have more than 32 bits: that would be
/// 256 TiB.
pub(crate) fn chunk_number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
