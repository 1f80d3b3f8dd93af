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
    /// After an error the memory is what it was (but for [`Error::OutOfMemory`], after which it
    /// cannot be used), and the next freeze tells [`Changed::Everything`].
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
    /// was, unless it is [`Error::OutOfMemory`]: then there is none that could be used.
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
        Ok(self.replace(length, Some(Arc::new(content)))?)
    }

    /// Makes this memory equal to `other`, which is about to be given up: what the next freeze of
    /// `other` would tell is what the next one of this tells. What was frozen is shared, not
    /// copied, also while an image of it is in use; until `other` is dropped, this cannot be
    /// frozen.
    ///
    /// # Errors
    /// If the system refuses what is needed.
    pub fn replace_by(&mut self, other: &mut Memory) -> Result<(), Error> {
        self.check_process()?;
        self.grow_to(other.length)?;
        let candidates = other.candidates()?;
        // They are marked as seen now.
        let known = std::mem::replace(&mut other.known, false);
        let content = other.content.clone();
        let shared = content.filter(|_| self.capacity() == other.capacity());
        let candidates = match shared.is_some() {
            true => candidates,
            false => std::iter::once(0..other.accessible()).collect(),
        };
        let known = known && shared.is_some();
        self.replace(other.length, shared)?;
        self.known &= known;
        let size = self.page_size;
        for page in candidates.into_iter().flat_map(|run| run.step_by(size)) {
            #[expect(unsafe_code, reason = "memories are known by their addresses only")]
            // SAFETY: both are accessible for this page, and nobody runs a program in them: this
            // takes them mutably.
            let (from, to) = unsafe {
                let (from, to) = (other.as_ptr().add(page), self.as_ptr().add(page));
                (
                    std::slice::from_raw_parts(from, size),
                    std::slice::from_raw_parts_mut(to, size),
                )
            };
            if from != to {
                to.copy_from_slice(from);
            }
        }
        Ok(())
    }

    /// Makes `content` the memory, or zeros.
    fn replace(&mut self, length: usize, content: Option<Arc<Content>>) -> Result<(), Error> {
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
        let Some(content) = content else {
            return Ok(());
        };
        for block in 0..end.div_ceil(self.block_size) {
            if self.has_data(block, &content) {
                self.show(block, &content)?;
            }
        }
        self.content = Some(content);
        self.known = self.start_tracking().is_ok();
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
            } else if self.has_data(block, content) {
                self.show(block, content)?;
            } else {
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

    fn has_data(&self, block: usize, content: &Content) -> bool {
        content.data().meets(self.pages(&self.block(block)))
    }

    /// Lets an ordinary block show the content: by mapping it, or, if the process may not have
    /// more mappings, by copying it.
    fn show(&mut self, block: usize, content: &Content) -> Result<(), Error> {
        let range = self.block(block);
        if self.reservation.map(content.file(), range.clone()).is_ok() {
            self.mapped.insert(block..block + 1);
            return Ok(());
        }
        // The kernel may have taken away what was there.
        let cleared = self.reservation.clear(range.clone(), true);
        cleared.map_err(|source| Error::OutOfMemory {
            bytes: range.len(),
            source,
        })?;
        let from = &content.bytes()[range.clone()];
        #[expect(unsafe_code, reason = "the memory is known by its address only")]
        // SAFETY: the block is accessible, and nobody else uses it: this takes it mutably.
        unsafe {
            let to = self.as_ptr().add(range.start);
            std::ptr::copy_nonoverlapping(from.as_ptr(), to, from.len());
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of memory that the content takes.
    fn taken(memory: &Memory) -> i64 {
        let content = memory.content.as_ref().expect("it was frozen");
        rustix::fs::fstat(content.file())
            .expect("its state")
            .st_blocks
            * 512
    }

    #[expect(unsafe_code, reason = "what a program would do")]
    fn bytes(memory: &mut Memory) -> &mut [u8] {
        // SAFETY: it is as long as the memory, and borrowed with it.
        unsafe { std::slice::from_raw_parts_mut(memory.as_ptr(), memory.len()) }
    }

    #[test]
    fn zeros_take_no_memory() -> Result<(), Error> {
        let mut memory = Memory::new(64 << 20, 1 << 30, 1 << 16)?;
        bytes(&mut memory)[5 << 20..6 << 20].fill(0);
        assert_eq!(memory.freeze()?.image.data_chunks().count(), 0);
        assert_eq!(taken(&memory), 0);
        let places = [7 << 20, 30 << 20, 31 << 20];
        places.iter().for_each(|&at| bytes(&mut memory)[at] = 1);
        assert_eq!(memory.freeze()?.image.data_chunks().count(), 3);
        assert!((1..=3 << 21).contains(&taken(&memory)));
        assert!(bytes(&mut memory)[..5 << 20].iter().all(|&byte| byte == 0));
        assert_eq!(memory.freeze()?.changed, Changed::Chunks(vec![]));
        places.iter().for_each(|&at| bytes(&mut memory)[at] = 0);
        assert_eq!(memory.freeze()?.image.data_chunks().count(), 0);
        assert_eq!(taken(&memory), 0);
        memory.restore::<Error>(32 << 20, |content| {
            content[1 << 20] = 1;
            Ok(())
        })?;
        assert!((1..=1 << 21).contains(&taken(&memory)));
        Ok(())
    }

    #[test]
    fn ranges_are_split_at_blocks() {
        let ranges = vec![0..1, 3..4, 4..25, 39..40];
        let blocks: Vec<_> = by_block(ranges, 10).collect();
        let expected = [
            (0, vec![0..1, 3..4, 4..10]),
            (1, std::iter::once(10..20).collect()),
            (2, std::iter::once(20..25).collect()),
            (3, std::iter::once(39..40).collect()),
        ];
        assert_eq!(blocks, expected);
    }

    /// A freeze that fails may have asked the tracker already, which tells everything once.
    #[test]
    fn a_failed_freeze_is_made_up_for() -> Result<(), Error> {
        let mut memory = Memory::new(4 << 20, 1 << 30, 1 << 16)?;
        bytes(&mut memory)[1 << 20] = 1;
        memory.freeze()?;
        bytes(&mut memory)[2 << 20] = 2;
        memory.candidates()?;
        memory.known = false;
        let frozen = memory.freeze()?;
        assert_eq!(frozen.changed, Changed::Everything);
        assert_eq!(frozen.image.bytes()[2 << 20], 2);
        drop(frozen);
        bytes(&mut memory)[2 << 20] = 3;
        assert_eq!(memory.freeze()?.changed, Changed::Chunks(vec![32]));
        Ok(())
    }

    /// As in a process that was forked: the content belongs to both.
    #[test]
    fn another_process_is_refused() -> Result<(), Error> {
        let mut memory = Memory::new(1 << 16, 1 << 20, 0)?;
        memory.process = memory.process.wrapping_add(1);
        assert!(matches!(memory.freeze(), Err(Error::OtherProcess)));
        let restored = memory.restore::<Error>(1 << 16, |_| Ok(()));
        assert!(matches!(restored, Err(Error::OtherProcess)));
        Ok(())
    }
}
