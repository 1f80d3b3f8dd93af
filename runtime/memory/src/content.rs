//! What a memory was when it was frozen: a file in memory, and a view of it.

use std::ffi::c_void;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr;

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use crate::Error;
use crate::pages::PageSet;

/// The frozen content. Pages that are zero are holes of the file, as far as that is known.
pub(crate) struct Content {
    file: OwnedFd,
    view: View,
    /// Pages that are not holes.
    data: PageSet,
    page_size: usize,
}

impl Content {
    pub(crate) fn new(page_size: usize) -> Result<Self, Error> {
        Ok(Content {
            file: file_in_memory().map_err(Error::Content)?,
            view: View::empty(),
            data: PageSet::default(),
            page_size,
        })
    }

    pub(crate) fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.view.bytes()
    }

    pub(crate) fn data(&self) -> &PageSet {
        &self.data
    }

    /// Makes room for `length` bytes, whole pages; it never shrinks.
    pub(crate) fn grow(&mut self, length: usize) -> Result<(), Error> {
        if length <= self.view.length {
            return Ok(());
        }
        check_file_size_limit(length as u64)?;
        let grown = rustix::fs::ftruncate(&self.file, length as u64).map_err(io::Error::from);
        grown.map_err(Error::Content)?;
        // The old view goes first: both may not fit into the address space.
        self.view = View::empty();
        self.view = View::of(self.file(), length).map_err(Error::Content)?;
        Ok(())
    }

    /// Lets `fill` write into a content that is all zeros, and sees what it wrote.
    pub(crate) fn fill<E: From<Error>>(
        &mut self,
        length: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        fill(&mut self.view.bytes_mut()[..length])?;
        self.data = written_pages(&self.file, self.page_size).map_err(Error::Content)?;
        Ok(())
    }

    /// Takes over those of `pages` that are not the same in `live`, which is where the memory
    /// begins, and adds them to `changed`.
    ///
    /// # Safety
    /// `live` is valid for reads up to the end of `pages`, and nobody writes there.
    #[expect(unsafe_code, reason = "the memory is known by its address only")]
    pub(crate) unsafe fn take_over(
        &mut self,
        live: *const u8,
        pages: Range<usize>,
        changed: &mut PageSet,
    ) -> io::Result<()> {
        let mut page = pages.start;
        while page < pages.end {
            // SAFETY: as for this function.
            let difference = unsafe { self.difference(live, page) };
            let mut end = page + 1;
            // SAFETY: as for this function.
            while end < pages.end && unsafe { self.difference(live, end) } == difference {
                end += 1;
            }
            let range = page * self.page_size..end * self.page_size;
            // SAFETY: as for this function; the content lies elsewhere.
            let source =
                unsafe { std::slice::from_raw_parts(live.wrapping_add(range.start), range.len()) };
            match difference {
                Difference::None => {}
                Difference::Hole => {
                    write_all_at(&self.file, source, range.start as u64)?;
                    self.data.insert(page..end);
                }
                Difference::Data => self.view.bytes_mut()[range].copy_from_slice(source),
                Difference::Zero => {
                    self.view.bytes_mut()[range.clone()].fill(0);
                    if punch_hole(&self.file, range) {
                        self.data.remove(page..end);
                    }
                }
            }
            if difference != Difference::None {
                changed.insert(page..end);
            }
            page = end;
        }
        Ok(())
    }

    /// How a page differs from what is frozen.
    ///
    /// # Safety
    /// As for [`Content::take_over`].
    #[expect(unsafe_code, reason = "the memory is known by its address only")]
    unsafe fn difference(&self, live: *const u8, page: usize) -> Difference {
        let range = page * self.page_size..(page + 1) * self.page_size;
        // SAFETY: as for this function.
        let live =
            unsafe { std::slice::from_raw_parts(live.wrapping_add(range.start), range.len()) };
        if !self.data.contains(page) {
            return match is_zero(live) {
                true => Difference::None,
                false => Difference::Hole,
            };
        }
        let frozen = &self.bytes()[range];
        if live == frozen {
            Difference::None
        } else if is_zero(live) {
            Difference::Zero
        } else {
            Difference::Data
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Difference {
    None,
    /// There is none in the content, and it is not zero.
    Hole,
    /// There is another one.
    Data,
    /// There is another one, and it is zero now.
    Zero,
}

fn is_zero(page: &[u8]) -> bool {
    // Most pages that are not zero show it early.
    let (head, rest) = page.split_at(page.len().min(64));
    head.iter().all(|&byte| byte == 0) && rest.chunks(64).all(|line| line == &head[..line.len()])
}

/// A mapping of the whole file, for reading by images and for taking over pages.
struct View {
    start: *mut c_void,
    length: usize,
}

// SAFETY: a view is memory that it owns, written through `&mut self` only.
#[expect(unsafe_code, reason = "it holds a pointer")]
unsafe impl Send for View {}
// SAFETY: as above.
#[expect(unsafe_code, reason = "it holds a pointer")]
unsafe impl Sync for View {}

impl View {
    fn empty() -> Self {
        View {
            start: ptr::dangling_mut::<u8>().cast(),
            length: 0,
        }
    }

    fn of(file: BorrowedFd<'_>, length: usize) -> io::Result<Self> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        #[expect(unsafe_code, reason = "memory comes from the kernel")]
        // SAFETY: the kernel chooses the addresses, so that nothing else is there.
        let start = unsafe {
            mmap(
                ptr::null_mut(),
                length,
                protection,
                MapFlags::SHARED,
                file,
                0,
            )?
        };
        Ok(View { start, length })
    }

    #[expect(unsafe_code, reason = "the bytes are in a mapping")]
    fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping is this long and so is the file, which cannot shrink. Nobody else
        // has it open: it changes through `bytes_mut` and `Content::take_over`, which take
        // what owns the view mutably.
        unsafe { std::slice::from_raw_parts(self.start.cast(), self.length) }
    }

    #[expect(unsafe_code, reason = "the bytes are in a mapping")]
    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as for `bytes`.
        unsafe { std::slice::from_raw_parts_mut(self.start.cast(), self.length) }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        if self.length > 0 {
            #[expect(unsafe_code, reason = "memory goes back to the kernel")]
            // SAFETY: it is the range that `of` got, and no slice outlives the view.
            let _ = unsafe { munmap(self.start, self.length) };
        }
    }
}

/// A file that has no name, is not inherited, and can only grow: a view of a file that became
/// shorter would kill the process.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn file_in_memory() -> io::Result<OwnedFd> {
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let name = "wherry memory";
    let file = memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL)
        // Linux before 6.3 does not know the flag.
        .or_else(|_| memfd_create(name, flags))?;
    fcntl_add_seals(&file, SealFlags::SHRINK)?;
    Ok(file)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn file_in_memory() -> io::Result<OwnedFd> {
    Ok(tempfile::tempfile()?.into())
}

/// Beyond the limit the kernel would not only refuse, but kill.
fn check_file_size_limit(needed: u64) -> Result<(), Error> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Fsize).current;
    match limit {
        Some(limit) if limit < needed => Err(Error::FileSizeLimit { needed, limit }),
        _ => Ok(()),
    }
}

fn write_all_at(file: &OwnedFd, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = rustix::io::retry_on_intr(|| rustix::io::pwrite(file, bytes, offset))?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[written..];
        offset += written as u64;
    }
    Ok(())
}

/// Gives the memory of zero pages back, if the file can do that.
fn punch_hole(file: &OwnedFd, range: Range<usize>) -> bool {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        use rustix::fs::{FallocateFlags, fallocate};
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let (start, length) = (range.start as u64, range.len() as u64);
        fallocate(file, flags, start, length).is_ok()
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let _ = (file, range);
        false
    }
}

/// The pages of a file that are not holes.
fn written_pages(file: &OwnedFd, page_size: usize) -> io::Result<PageSet> {
    use rustix::fs::{SeekFrom, seek};
    let mut pages = PageSet::default();
    let mut at = 0;
    loop {
        let data = match seek(file, SeekFrom::Data(at)) {
            Ok(data) => data,
            // There is none after this place.
            Err(rustix::io::Errno::NXIO) => return Ok(pages),
            Err(error) => return Err(error.into()),
        };
        at = seek(file, SeekFrom::Hole(data))?;
        let page = |offset: u64| usize::try_from(offset).map_err(io::Error::other);
        pages.insert(page(data)? / page_size..page(at)?.div_ceil(page_size));
    }
}
