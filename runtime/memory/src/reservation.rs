//! A range of addresses with a guard on both sides, and what is mapped into it.

use std::ffi::c_void;
use std::io;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::ptr::{self, NonNull};

use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap, mmap_anonymous, mprotect, munmap};

/// Addresses that belong to one memory. Ranges are of bytes from its base, and whole pages.
pub(crate) struct Reservation {
    base: NonNull<u8>,
    capacity: usize,
    guard: usize,
}

// SAFETY: a reservation is a range of addresses that it owns; what happens to them takes
// `&mut self`.
#[expect(unsafe_code, reason = "it holds a pointer")]
unsafe impl Send for Reservation {}
// SAFETY: as above.
#[expect(unsafe_code, reason = "it holds a pointer")]
unsafe impl Sync for Reservation {}

impl Reservation {
    /// Addresses that cannot be accessed.
    pub(crate) fn new(capacity: usize, guard: usize) -> io::Result<Self> {
        let total = guard
            .checked_mul(2)
            .and_then(|guards| guards.checked_add(capacity))
            .ok_or(io::ErrorKind::OutOfMemory)?;
        if total == 0 {
            let base = NonNull::dangling();
            return Ok(Reservation {
                base,
                capacity,
                guard,
            });
        }
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        #[expect(unsafe_code, reason = "memory comes from the kernel")]
        // SAFETY: the kernel chooses the addresses, so that nothing else is there.
        let start = unsafe { mmap_anonymous(ptr::null_mut(), total, ProtFlags::empty(), flags)? };
        let base = start.cast::<u8>().wrapping_add(guard);
        let base = NonNull::new(base).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Reservation {
            base,
            capacity,
            guard,
        })
    }

    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Bytes between the guards.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(crate) fn guard(&self) -> usize {
        self.guard
    }

    /// Makes addresses accessible that were not; what is there is zero.
    pub(crate) fn open(&mut self, range: Range<usize>) -> io::Result<()> {
        self.protect(range, MprotectFlags::READ | MprotectFlags::WRITE)
    }

    /// Makes addresses inaccessible.
    pub(crate) fn close(&mut self, range: Range<usize>) -> io::Result<()> {
        self.protect(range, MprotectFlags::empty())
    }

    fn protect(&mut self, range: Range<usize>, flags: MprotectFlags) -> io::Result<()> {
        if range.is_empty() {
            return Ok(());
        }
        let (start, length) = self.place(range);
        #[expect(unsafe_code, reason = "memory comes from the kernel")]
        // SAFETY: `place` gives addresses of this reservation, to which no reference is held
        // here; who has a pointer to them knows that they change.
        unsafe { mprotect(start, length, flags) }.map_err(io::Error::from)
    }

    /// Replaces what is mapped by zeros, accessible or not.
    pub(crate) fn clear(&mut self, range: Range<usize>, accessible: bool) -> io::Result<()> {
        if range.is_empty() {
            return Ok(());
        }
        let protection = match accessible {
            true => ProtFlags::READ | ProtFlags::WRITE,
            false => ProtFlags::empty(),
        };
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::FIXED;
        let (start, length) = self.place(range);
        #[expect(unsafe_code, reason = "memory comes from the kernel")]
        // SAFETY: only addresses of this reservation are mapped anew.
        unsafe {
            mmap_anonymous(start, length, protection, flags)?
        };
        Ok(())
    }

    /// Maps the same range of a file, accessible, with changes kept out of the file.
    pub(crate) fn map(&mut self, file: BorrowedFd<'_>, range: Range<usize>) -> io::Result<()> {
        if range.is_empty() {
            return Ok(());
        }
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::PRIVATE | MapFlags::FIXED;
        let offset = range.start as u64;
        let (start, length) = self.place(range);
        #[expect(unsafe_code, reason = "memory comes from the kernel")]
        // SAFETY: only addresses of this reservation are mapped anew.
        unsafe {
            mmap(start, length, protection, flags, file, offset)?
        };
        Ok(())
    }

    /// Drops the private copies of pages: the file that is mapped there shows again, or zeros.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn discard(
        &mut self,
        range: Range<usize>,
        _file: Option<BorrowedFd<'_>>,
    ) -> io::Result<()> {
        use rustix::mm::{Advice, madvise};
        let (start, length) = self.place(range);
        #[expect(unsafe_code, reason = "memory goes back to the kernel")]
        // SAFETY: only addresses of this reservation are changed.
        unsafe { madvise(start, length, Advice::LinuxDontNeed) }.map_err(io::Error::from)
    }

    /// Drops the private copies of pages: the file that is mapped there shows again, or zeros.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(crate) fn discard(
        &mut self,
        range: Range<usize>,
        file: Option<BorrowedFd<'_>>,
    ) -> io::Result<()> {
        match file {
            Some(file) => self.map(file, range),
            None => self.clear(range, true),
        }
    }

    /// Start and length of a range.
    pub(crate) fn place(&self, range: Range<usize>) -> (*mut c_void, usize) {
        assert!(
            range.start <= range.end && range.end <= self.capacity,
            "{range:?} lies in the reservation"
        );
        let start = self.base.as_ptr().wrapping_add(range.start);
        (start.cast(), range.end - range.start)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let total = self.capacity + 2 * self.guard;
        if total == 0 {
            return;
        }
        let start = self.base.as_ptr().wrapping_sub(self.guard);
        #[expect(unsafe_code, reason = "memory goes back to the kernel")]
        // SAFETY: it is the range that `new` got. It cannot fail: it is whole and page-aligned.
        let _ = unsafe { munmap(start.cast(), total) };
    }
}
