//! A linear memory: reservation, growth, and where its parts come from.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use rustix::param::page_size;

use crate::content::Content;
use crate::pages::PageSet;
use crate::reservation::Reservation;
use crate::tracking::Tracker;
use crate::{Error, Tracking};

/// The unit in which a memory is either ordinary or a private mapping of the frozen content.
/// The smaller, the less memory sparse programs take; but each change of kind is a mapping,
/// of which a process may have 65,530.
const BLOCK: usize = 2 << 20;
const MAX_BLOCKS: usize = 4096;

/// When a memory outgrows its reservation, it gets as much again, and at most this more.
const MAX_SPARE: usize = 2 << 30;

/// A linear memory.
///
/// Its content is accessed through [`Memory::as_ptr`] by whoever runs the program; it starts
/// as zeros.
pub struct Memory {
    pub(crate) reservation: Reservation,
    pub(crate) length: usize,
    pub(crate) page_size: usize,
    pub(crate) block_size: usize,
    /// Blocks that are private mappings of the content. The others are ordinary memory, for
    /// which the content has holes.
    pub(crate) mapped: PageSet,
    pub(crate) content: Option<Arc<Content>>,
    pub(crate) tracker: Option<Tracker>,
    pub(crate) strategy: Option<Tracking>,
    /// Whether the memory differs from the content only where the tracker knows.
    pub(crate) known: bool,
    /// Pages in mapped blocks that still have a private copy, equal to the content: they were
    /// written shortly before the last freeze, and will be again.
    pub(crate) kept: PageSet,
    pub(crate) process: u32,
}

impl Memory {
    /// A memory of `length` bytes which can grow to `reservation` bytes without moving, with at
    /// least `guard` inaccessible bytes before it and after what is reserved.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] if the system has not that much.
    pub fn new(length: usize, reservation: usize, guard: usize) -> Result<Self, Error> {
        let page_size = page_size();
        let refused = |source| Error::OutOfMemory {
            bytes: length.max(reservation),
            source,
        };
        let round = |bytes: usize| {
            let rounded = bytes.checked_next_multiple_of(page_size);
            rounded.ok_or_else(|| refused(std::io::ErrorKind::OutOfMemory.into()))
        };
        let capacity = round(length.max(reservation))?;
        let mut reservation = Reservation::new(capacity, round(guard)?).map_err(refused)?;
        reservation.open(0..round(length)?).map_err(refused)?;
        Ok(Memory {
            reservation,
            length,
            page_size,
            block_size: block_size(capacity),
            mapped: PageSet::default(),
            content: None,
            tracker: None,
            strategy: None,
            known: false,
            kept: PageSet::default(),
            process: std::process::id(),
        })
    }

    /// Where the memory begins. It moves only when it outgrows its capacity.
    #[must_use]
    pub fn as_ptr(&self) -> *mut u8 {
        self.reservation.base().as_ptr()
    }

    /// Its current size in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether it has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The size in bytes that it can have without moving.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.reservation.capacity()
    }

    /// How the next [`Memory::freeze`] finds what was written; `None` before the first.
    #[must_use]
    pub fn tracking(&self) -> Option<Tracking> {
        self.tracker.as_ref().map(Tracker::tracking)
    }

    /// Tracks writes in this way instead of the best that works, from the next freeze or restore
    /// on. What was written until then is not known: that freeze tells
    /// [`Changed::Everything`](crate::Changed::Everything).
    pub fn track_by(&mut self, tracking: Tracking) {
        (self.strategy, self.tracker, self.known) = (Some(tracking), None, false);
    }

    /// Makes the memory `length` bytes long; what is new is zero. It moves if that is more
    /// than its capacity.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], and nothing has changed.
    pub fn grow_to(&mut self, length: usize) -> Result<(), Error> {
        if length <= self.length {
            return Ok(());
        }
        if length > self.capacity() {
            return self.move_to(length);
        }
        let new = self.accessible()..length.next_multiple_of(self.page_size);
        self.open(new).map_err(|source| Error::OutOfMemory {
            bytes: length,
            source,
        })?;
        self.length = length;
        Ok(())
    }

    /// Bytes that can be accessed: whole pages.
    pub(crate) fn accessible(&self) -> usize {
        self.length.next_multiple_of(self.page_size)
    }

    /// The part of a block that can be accessed.
    pub(crate) fn block(&self, index: usize) -> Range<usize> {
        let (start, end) = (index * self.block_size, (index + 1) * self.block_size);
        let accessible = self.accessible();
        start.min(accessible)..end.min(accessible)
    }

    pub(crate) fn check_process(&self) -> Result<(), Error> {
        match self.process == std::process::id() {
            true => Ok(()),
            false => Err(Error::OtherProcess),
        }
    }

    /// Makes addresses accessible: within a mapped block by mapping more of the content.
    fn open(&mut self, range: Range<usize>) -> std::io::Result<()> {
        let block_end = range.start.next_multiple_of(self.block_size);
        let edge = range.start.max(block_end.min(range.end));
        let (inside, beyond) = (range.start..edge, edge..range.end);
        let last = range.start / self.block_size;
        self.reservation.open(beyond.clone())?;
        let opened = match (&self.content, self.mapped.contains(last)) {
            (Some(content), true) => self.reservation.map(content.file(), inside.clone()),
            _ => self.reservation.open(inside.clone()),
        };
        if opened.is_err() {
            self.reservation.close(beyond)?;
            return opened;
        }
        if self.mapped.contains(last) && !inside.is_empty() && self.watch().is_err() {
            self.known = false;
        }
        Ok(())
    }

    /// Lets the tracker see all mappings.
    pub(crate) fn watch(&mut self) -> std::io::Result<()> {
        let (start, length) = self.reservation.place(0..self.capacity());
        match &self.tracker {
            Some(tracker) => tracker.watch(start as usize, length),
            None => Ok(()),
        }
    }

    /// Moves everything to a larger reservation, as ordinary memory.
    fn move_to(&mut self, length: usize) -> Result<(), Error> {
        let spare = length.min(MAX_SPARE);
        let guard = self.reservation.guard();
        let mut larger = Memory::new(length, length.saturating_add(spare), guard)?;
        larger.strategy = self.strategy;
        #[expect(unsafe_code, reason = "a copy of memory that is known by its address")]
        // SAFETY: both are at least this long, and the new one is not yet known to anybody.
        unsafe {
            std::ptr::copy_nonoverlapping(self.as_ptr(), larger.as_ptr(), self.length);
        }
        *self = larger;
        Ok(())
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("length", &self.length)
            .field("capacity", &self.capacity())
            .field("tracking", &self.tracking())
            .finish_non_exhaustive()
    }
}

fn block_size(capacity: usize) -> usize {
    let smallest = capacity.div_ceil(MAX_BLOCKS).next_power_of_two();
    smallest.max(BLOCK)
}
