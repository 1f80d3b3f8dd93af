//! What the kernel says about this process's pages: `/proc/self/pagemap`, read and scanned.

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, ioctl, opcode};
use rustix::param::page_size;

/// `/proc/self/pagemap` of the process that opened it.
pub(crate) struct Pagemap(File);

/// Regions that are asked for at once.
const REGIONS: usize = 1024;

/// Categories of pages, from `linux/fs.h`.
const WRITTEN: u64 = 1 << 1;
const FILE: u64 = 1 << 2;
const PRESENT: u64 = 1 << 3;
const SWAPPED: u64 = 1 << 4;
/// The page of zeros that all untouched memory shares.
const ZERO: u64 = 1 << 5;

/// Protect what is found against writing, again.
const WRITE_PROTECT: u64 = 1 << 0;
/// Fail where pages are not protected asynchronously.
const CHECK_ASYNC: u64 = 1 << 1;

impl Pagemap {
    pub(crate) fn open() -> io::Result<Self> {
        File::open("/proc/self/pagemap").map(Pagemap)
    }

    /// Pages that were written since they were protected or mapped, which protects them. Pages
    /// that were first read since they were mapped are found, too.
    pub(crate) fn take_written(
        &self,
        start: usize,
        length: usize,
    ) -> io::Result<Vec<Range<usize>>> {
        let scan = Scan {
            flags: WRITE_PROTECT | CHECK_ASYNC,
            category_inverted: ZERO,
            category_mask: WRITTEN | ZERO,
            category_anyof_mask: PRESENT | SWAPPED,
            return_mask: WRITTEN,
            ..Scan::default()
        };
        self.scan(scan, start, length)
    }

    /// Pages that are private to the mapping.
    pub(crate) fn private(&self, start: usize, length: usize) -> io::Result<Vec<Range<usize>>> {
        let scan = Scan {
            category_inverted: FILE | ZERO,
            category_mask: FILE | ZERO,
            category_anyof_mask: PRESENT | SWAPPED,
            return_mask: FILE,
            ..Scan::default()
        };
        self.scan(scan, start, length)
    }

    fn scan(&self, mut scan: Scan, start: usize, length: usize) -> io::Result<Vec<Range<usize>>> {
        let mut regions = vec![Region::default(); REGIONS];
        let mut found: Vec<Range<usize>> = Vec::new();
        let end = (start + length) as u64;
        scan.size = size_of::<Scan>() as u64;
        (scan.start, scan.end) = (start as u64, end);
        (scan.vec, scan.vec_len) = (regions.as_mut_ptr() as u64, REGIONS as u64);
        while scan.start < end {
            #[expect(unsafe_code, reason = "a system call that rustix does not have")]
            // SAFETY: the kernel writes to `scan`, and as many regions as there are.
            let count = unsafe { ioctl(&self.0, PagemapScan(&mut scan)) }?;
            for region in &regions[..count] {
                let offset = |address: u64| usize::try_from(address).unwrap_or(usize::MAX) - start;
                join(&mut found, offset(region.start)..offset(region.end));
            }
            if scan.walk_end <= scan.start {
                return Err(io::ErrorKind::InvalidData.into());
            }
            scan.start = scan.walk_end;
        }
        Ok(found)
    }

    /// Pages that are private to the mapping, as the file tells it page by page.
    pub(crate) fn private_by_reading(
        &self,
        start: usize,
        length: usize,
    ) -> io::Result<Vec<Range<usize>>> {
        const PRESENT_OR_SWAPPED: u64 = 0b11 << 62;
        const FILE_OR_SHARED: u64 = 1 << 61;
        let page_size = page_size();
        let (mut found, mut entries) = (Vec::new(), vec![0; 64 << 10]);
        let mut page = 0;
        while page * page_size < length {
            let wanted = (length / page_size - page).min(entries.len() / 8) * 8;
            let offset = (start / page_size + page) as u64 * 8;
            self.0.read_exact_at(&mut entries[..wanted], offset)?;
            for entry in entries[..wanted].as_chunks::<8>().0 {
                let entry = u64::from_ne_bytes(*entry);
                if entry & PRESENT_OR_SWAPPED != 0 && entry & FILE_OR_SHARED == 0 {
                    join(&mut found, page * page_size..(page + 1) * page_size);
                }
                page += 1;
            }
        }
        Ok(found)
    }
}

/// Adds a range, to the last one if they touch.
fn join(ranges: &mut Vec<Range<usize>>, range: Range<usize>) {
    match ranges.last_mut() {
        Some(last) if last.end == range.start => last.end = range.end,
        _ => ranges.push(range),
    }
}

/// `struct page_region`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Region {
    start: u64,
    end: u64,
    categories: u64,
}

/// `struct pm_scan_arg`.
#[repr(C)]
#[derive(Default)]
struct Scan {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vec: u64,
    vec_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

/// `PAGEMAP_SCAN`, which returns the number of regions.
struct PagemapScan<'a>(&'a mut Scan);

#[expect(unsafe_code, reason = "a system call that rustix does not have")]
// SAFETY: the opcode is that of `linux/fs.h`, whose argument is `struct pm_scan_arg`.
unsafe impl Ioctl for PagemapScan<'_> {
    type Output = usize;
    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        opcode::read_write::<Scan>(b'f', 16)
    }

    fn as_ptr(&mut self) -> *mut c_void {
        (&raw mut *self.0).cast()
    }

    unsafe fn output_from_ptr(out: IoctlOutput, _: *mut c_void) -> rustix::io::Result<usize> {
        usize::try_from(out).map_err(|_| rustix::io::Errno::INVAL)
    }
}
