//! Freezing a memory, and restoring one.

use std::ops::Range;
use std::sync::Arc;

use crate::content::Content;
use crate::image::chunk_number;
use crate::pages::PageSet;
use crate::tracking::Tracker;
use crate::{CHUNK_SIZE, Error, Image, Memory, Tracking};

/// What [`Memory::freeze`] gives.
#[derive(Debug)]
pub struct Frozen {
    /// The memory at this moment.
    pub image: Image,
    /// What was written since the last freeze or restore.
    pub changed: Changed,
}

/// Where a memory differs from what it was at the last freeze or restore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// There was none, or it is not known: all of it must be looked at.
    Everything,
    /// The numbers of chunks of [`CHUNK_SIZE`] bytes, ascending. One that has become zero is
    /// among them; one that is new since the memory grew is not if it is zero.
    Chunks(Vec<u32>),
}

impl Memory {
    /// Sets the content of this moment aside, and tells what of it has changed. The program,
    /// which must be stopped, can go on at once.
    ///
    /// After an error the memory is what it was, and the next freeze tells
    /// [`Changed::Everything`].
    ///
    /// # Errors
    /// [`Error::ImageInUse`] while an image of this memory exists, which is the only error that
    /// loses nothing; otherwise if the system refuses what is needed.
    pub fn freeze(&mut self) -> Result<Frozen, Error> {
        self.check_process()?;
        let mut shared = match self.content.take() {
            Some(content) => content,
            None => Arc::new(Content::new(self.page_size)?),
        };
        let known = self.known;
        let changed = match Arc::get_mut(&mut shared) {
            Some(content) => self.take_over(content),
            None => Err(Error::ImageInUse),
        };
        self.known = match &changed {
            Err(Error::ImageInUse) => known,
            changed => changed.is_ok(),
        };
        let image = Image::new(Arc::clone(&shared), self.length, self.page_size);
        self.content = Some(shared);
        let changed = match (known, changed?) {
            (true, pages) => Changed::Chunks(chunks(&pages, self.page_size)),
            (false, _) => Changed::Everything,
        };
        Ok(Frozen { image, changed })
    }

    /// Replaces the memory by one of `length` bytes that `fill` writes into zeros. The next
    /// freeze tells what was written since. A memory keeps its capacity, and does not move
    /// unless `length` is more.
    ///
    /// What `fill` never touches takes no memory.
    ///
    /// # Errors
    /// What `fill` returns, or if the system refuses what is needed. The memory is then what it
    /// was, unless [`Error::OutOfMemory`] says that it could not be made accessible again.
    pub fn restore<E: From<Error>>(
        &mut self,
        length: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.check_process()?;
        self.grow_to(length)?;
        let mut content = Content::new(self.page_size)?;
        content.grow(self.content_length(length))?;
        content.fill(length, fill)?;
        Ok(self.replace(length, content)?)
    }

    /// Makes `content` the memory.
    fn replace(&mut self, length: usize, content: Content) -> Result<(), Error> {
        let refused = |source| Error::OutOfMemory {
            bytes: length,
            source,
        };
        let accessible = self.accessible();
        let end = length.next_multiple_of(self.page_size);
        self.known = false;
        self.content = None;
        (self.mapped, self.kept) = Default::default();
        self.reservation.clear(0..end, true).map_err(refused)?;
        let beyond = end..accessible;
        self.reservation.clear(beyond, false).map_err(refused)?;
        self.length = length;
        for block in 0..end.div_ceil(self.block_size) {
            self.map_if_data(block, &content)?;
        }
        self.content = Some(Arc::new(content));
        self.start_tracking()?;
        self.known = true;
        Ok(())
    }

    /// Brings the content up to date, and tells which pages were not.
    fn take_over(&mut self, content: &mut Content) -> Result<PageSet, Error> {
        content.grow(self.content_length(self.length))?;
        let (mut changed, mut written) = (PageSet::default(), PageSet::default());
        for (block, runs) in by_block(self.candidates()?, self.block_size) {
            for run in &runs {
                #[expect(unsafe_code, reason = "the memory is known by its address only")]
                // SAFETY: candidates lie in the accessible part, and the program is stopped:
                // this takes the memory mutably.
                unsafe { content.take_over(self.as_ptr(), self.pages(run), &mut changed) }
                    .map_err(Error::Content)?;
            }
            if self.mapped.contains(block) {
                let pages = self.pages(&self.block(block));
                changed.runs_in(pages).for_each(|run| written.insert(run));
                self.discard_copies(runs, &changed, content)?;
            } else if !self.map_if_data(block, content)? {
                // They are zero, as is what was never touched.
                self.discard(runs, None)?;
            }
        }
        self.discard_cold(content, written)?;
        self.start_tracking()?;
        Ok(changed)
    }

    /// Where the memory may differ from the content, in whole pages.
    fn candidates(&mut self) -> Result<Vec<Range<usize>>, Error> {
        let tracking = self.strategy.unwrap_or_else(Tracking::of_this_machine);
        let accessible = self.accessible();
        let start = self.as_ptr() as usize;
        let found = match &self.tracker {
            Some(tracker) if self.known => tracker.written(start, accessible),
            Some(tracker) => tracker.private(start, accessible),
            None => Tracker::new(tracking).and_then(|tracker| tracker.private(start, accessible)),
        };
        found.map_err(Error::Tracking)
    }

    /// Maps the content over an ordinary block for which it has any, and says so.
    fn map_if_data(&mut self, block: usize, content: &Content) -> Result<bool, Error> {
        let range = self.block(block);
        if !content.data().meets(self.pages(&range)) {
            return Ok(false);
        }
        let mapped = self.reservation.map(content.file(), range);
        mapped.map_err(Error::Content)?;
        self.mapped.insert(block..block + 1);
        Ok(true)
    }

    /// Drops private copies of `runs`, which are in the content now, where a tracker would take
    /// them for changes.
    fn discard_copies(
        &mut self,
        runs: Vec<Range<usize>>,
        changed: &PageSet,
        content: &Content,
    ) -> Result<(), Error> {
        if self.keeps_copies() {
            return Ok(());
        }
        let runs = match self.tracking() {
            Some(Tracking::Compare) => {
                let runs = runs.iter().flat_map(|run| changed.runs_in(self.pages(run)));
                runs.map(|run| self.bytes(&run)).collect()
            }
            _ => runs,
        };
        self.discard(runs, Some(content))
    }

    /// Drops copies that were kept and not written since, and keeps those of `written`.
    fn discard_cold(&mut self, content: &Content, written: PageSet) -> Result<(), Error> {
        let mut cold = std::mem::take(&mut self.kept);
        cold.remove_all(&written);
        let cold = cold.runs().map(|run| self.bytes(&run)).collect();
        if self.keeps_copies() {
            self.kept = written;
        }
        self.discard(cold, Some(content))
    }

    fn discard(&mut self, runs: Vec<Range<usize>>, content: Option<&Content>) -> Result<(), Error> {
        let file = content.map(Content::file);
        for run in runs {
            let discarded = self.reservation.discard(run, file);
            discarded.map_err(Error::Content)?;
        }
        Ok(())
    }

    /// Whether private copies may stay although they equal the content.
    fn keeps_copies(&self) -> bool {
        self.known && self.tracking() == Some(Tracking::WriteProtect)
    }

    fn pages(&self, bytes: &Range<usize>) -> Range<usize> {
        bytes.start / self.page_size..bytes.end / self.page_size
    }

    fn bytes(&self, pages: &Range<usize>) -> Range<usize> {
        pages.start * self.page_size..pages.end * self.page_size
    }

    fn start_tracking(&mut self) -> Result<(), Error> {
        if self.tracker.is_none() {
            let tracking = self.strategy.unwrap_or_else(Tracking::of_this_machine);
            self.tracker = Some(Tracker::new(tracking).map_err(Error::Tracking)?);
        }
        self.watch().map_err(Error::Tracking)
    }

    /// The content is as long as the blocks that it is mapped into may become.
    fn content_length(&self, length: usize) -> usize {
        length
            .next_multiple_of(self.block_size)
            .min(self.capacity())
    }
}

/// Splits ascending ranges at the borders of blocks.
fn by_block(
    ranges: Vec<Range<usize>>,
    block_size: usize,
) -> impl Iterator<Item = (usize, Vec<Range<usize>>)> {
    let mut ranges = ranges.into_iter().peekable();
    std::iter::from_fn(move || {
        let block = ranges.peek()?.start / block_size;
        let end = (block + 1) * block_size;
        let mut within = Vec::new();
        while let Some(range) = ranges.next_if(|range| range.end <= end) {
            within.push(range);
        }
        if let Some(range) = ranges.peek_mut().filter(|range| range.start < end) {
            within.push(range.start..end);
            range.start = end;
        }
        Some((block, within))
    })
}

/// The chunks that `pages` lie in.
fn chunks(pages: &PageSet, page_size: usize) -> Vec<u32> {
    let mut chunks = Vec::new();
    for run in pages.runs() {
        let (start, end) = (run.start * page_size, run.end * page_size);
        let (first, last) = (start / CHUNK_SIZE, end.div_ceil(CHUNK_SIZE));
        chunks.extend((first..last).map(chunk_number));
    }
    chunks.dedup();
    chunks
}
