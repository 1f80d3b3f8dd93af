//! How it is found out which pages a program has written.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::OnceLock;

#[cfg(any(target_os = "linux", target_os = "android"))]
use crate::{pagemap::Pagemap, write_protect::WriteProtect};

/// How a memory finds out which pages were written since it was last frozen, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tracking {
    /// The kernel protects pages, notes the first write to each, and lists what was written
    /// (userfaultfd with asynchronous write protection, Linux 6.7). Costs a fault per page and
    /// freeze, about a nanosecond per page to list, and lets written pages stay in place.
    WriteProtect,
    /// The kernel lists pages that are private copies (`PAGEMAP_SCAN`, Linux 6.7). Needs no
    /// userfaultfd, which sandboxes tend to forbid; written pages are copied twice.
    PrivatePages,
    /// As before, page by page from `/proc/self/pagemap`.
    Pagemap,
    /// Everything is compared with the last image. Works everywhere, and takes as long as
    /// reading all the memory twice.
    Compare,
}

impl Tracking {
    const BEST_FIRST: [Tracking; 4] = [
        Tracking::WriteProtect,
        Tracking::PrivatePages,
        Tracking::Pagemap,
        Tracking::Compare,
    ];

    /// The best that works in this process. It is found by trying, once.
    #[must_use]
    pub fn of_this_machine() -> Self {
        static BEST: OnceLock<Tracking> = OnceLock::new();
        *BEST.get_or_init(|| {
            let mut all = Self::BEST_FIRST.into_iter();
            all.find(|tracking| tracking.works())
                .unwrap_or(Tracking::Compare)
        })
    }

    /// Whether it really finds writes in this process.
    #[must_use]
    pub fn works(self) -> bool {
        match self {
            Tracking::Compare => true,
            #[cfg(any(target_os = "linux", target_os = "android"))]
            _ => probe::finds_writes(self).unwrap_or(false),
            #[cfg(not(any(target_os = "linux", target_os = "android")))]
            _ => false,
        }
    }
}

impl fmt::Display for Tracking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Tracking::WriteProtect => "asynchronous write protection",
            Tracking::PrivatePages => "scan for private pages",
            Tracking::Pagemap => "page map",
            Tracking::Compare => "comparison",
        })
    }
}

/// Finds what was written to one memory.
pub(crate) enum Tracker {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    WriteProtect(WriteProtect, Pagemap),
    #[cfg(any(target_os = "linux", target_os = "android"))]
    PrivatePages(Pagemap),
    #[cfg(any(target_os = "linux", target_os = "android"))]
    Pagemap(Pagemap),
    Compare,
}

impl Tracker {
    pub(crate) fn new(tracking: Tracking) -> io::Result<Self> {
        Ok(match tracking {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Tracking::WriteProtect => Tracker::WriteProtect(WriteProtect::new()?, Pagemap::open()?),
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Tracking::PrivatePages => Tracker::PrivatePages(Pagemap::open()?),
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Tracking::Pagemap => Tracker::Pagemap(Pagemap::open()?),
            #[cfg(not(any(target_os = "linux", target_os = "android")))]
            Tracking::WriteProtect | Tracking::PrivatePages | Tracking::Pagemap => {
                return Err(io::ErrorKind::Unsupported.into());
            }
            Tracking::Compare => Tracker::Compare,
        })
    }

    pub(crate) fn tracking(&self) -> Tracking {
        match self {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Tracker::WriteProtect(..) => Tracking::WriteProtect,
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Tracker::PrivatePages(_) => Tracking::PrivatePages,
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Tracker::Pagemap(_) => Tracking::Pagemap,
            Tracker::Compare => Tracking::Compare,
        }
    }

    /// Must be called when the mappings at these addresses have changed.
    pub(crate) fn watch(&self, start: usize, length: usize) -> io::Result<()> {
        match self {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Tracker::WriteProtect(protection, _) => protection.watch(start, length),
            _ => {
                let _ = (start, length);
                Ok(())
            }
        }
    }

    /// Offsets from `start` of pages, among them all that were written since this was last
    /// asked, or since their mapping was made.
    pub(crate) fn written(&self, start: usize, length: usize) -> io::Result<Vec<Range<usize>>> {
        match self {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Tracker::WriteProtect(_, pagemap) => pagemap.take_written(start, length),
            _ => self.private(start, length),
        }
    }

    /// Offsets from `start` of pages, among them all that are private copies.
    pub(crate) fn private(&self, start: usize, length: usize) -> io::Result<Vec<Range<usize>>> {
        match self {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Tracker::WriteProtect(_, pagemap) | Tracker::PrivatePages(pagemap) => {
                pagemap.private(start, length)
            }
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Tracker::Pagemap(pagemap) => pagemap.private_by_reading(start, length),
            Tracker::Compare => {
                let _ = start;
                Ok(std::iter::once(0..length).collect())
            }
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod probe {
    use std::io;

    use rustix::param::page_size;

    use super::{Tracker, Tracking};
    use crate::content::Content;
    use crate::reservation::Reservation;

    /// Writes to some pages of a small mapping, by hand and through the kernel, and looks
    /// whether those are found, and others are not.
    pub(super) fn finds_writes(tracking: Tracking) -> io::Result<bool> {
        let page = page_size();
        let mut content = Content::new(page).map_err(io::Error::other)?;
        content.grow(8 * page).map_err(io::Error::other)?;
        let mut place = Reservation::new(8 * page, 0)?;
        place.map(content.file(), 0..8 * page)?;
        let tracker = Tracker::new(tracking)?;
        let (start, length) = place.place(0..8 * page);
        tracker.watch(start as usize, length)?;
        let found = |expected: &[usize]| -> io::Result<bool> {
            let found = tracker.written(start as usize, length)?;
            let pages = found.into_iter().flatten().step_by(page);
            Ok(pages
                .map(|offset| offset / page)
                .eq(expected.iter().copied()))
        };
        touch(&place, &[0, 1], page, false);
        tracker.written(start as usize, length)?;
        touch(&place, &[1, 4], page, true);
        read_into(&content, &place, 6 * page)?;
        let mut works = found(&[1, 4, 6])?;
        if tracking == Tracking::WriteProtect {
            touch(&place, &[4], page, true);
            works &= found(&[4])? && found(&[])?;
        }
        Ok(works)
    }

    fn touch(place: &Reservation, pages: &[usize], page_size: usize, write: bool) {
        for page in pages {
            let byte = place.base().as_ptr().wrapping_add(page * page_size);
            #[expect(unsafe_code, reason = "what a program would do")]
            // SAFETY: the mapping has eight pages, and is used here only.
            unsafe {
                let value = byte.read_volatile();
                if write {
                    byte.write_volatile(value + 1);
                }
            }
        }
    }

    /// Has the kernel write a byte.
    fn read_into(content: &Content, place: &Reservation, offset: usize) -> io::Result<()> {
        let byte = place.base().as_ptr().wrapping_add(offset);
        #[expect(unsafe_code, reason = "what a program would do")]
        // SAFETY: it lies in the mapping, which is used here only.
        let byte = unsafe { std::slice::from_raw_parts_mut(byte, 1) };
        rustix::io::pread(content.file(), byte, 0)?;
        Ok(())
    }
}
