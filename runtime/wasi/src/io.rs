//! Reading and writing the content of open files and streams.

use std::io::{IoSlice, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::{PollFd, PollFlags};
use rustix::io::retry_on_intr;

use crate::memory::{Buffer, GuestMemory};
use crate::stream::{ATOMIC_WRITE, is_ready, poll_until, wait};
use crate::table::Object;
use crate::types::{FdFlags, Rights};
use crate::{Errno, Fault, Input, Output, Wasi};

/// Content of files and streams.
impl Wasi {
    /// Reads from a descriptor's position.
    ///
    /// # Errors
    /// `badf`, `notcapable`, `isdir`, `again`, `inval`, `fault`.
    pub fn fd_read(
        &mut self,
        memory: &mut [u8],
        fd: u32,
        iovs: u32,
        count: u32,
        result: u32,
    ) -> Result<(), Fault> {
        self.content(fd, Rights::FD_READ)?;
        memory.range(result, 4)?;
        let buffers = memory.buffers(iovs, count)?;
        let read = self.read(memory, fd, &buffers)?;
        self.account_read(read);
        Ok(memory.put_u32(result, read)?)
    }

    /// Reads from a given position.
    ///
    /// # Errors
    /// `badf`, `notcapable`, `isdir`, `spipe`, `inval`, `fault`.
    pub fn fd_pread(
        &mut self,
        memory: &mut [u8],
        fd: u32,
        iovs: u32,
        count: u32,
        offset: u64,
        result: u32,
    ) -> Result<(), Fault> {
        let descriptor = self.content(fd, Rights::FD_READ.or(Rights::FD_SEEK))?;
        memory.range(result, 4)?;
        let buffers = memory.buffers(iovs, count)?;
        let file = descriptor.host().ok_or(Errno::Spipe)?;
        let read = fill(memory, &buffers, |buffer, done| {
            let offset = offset.checked_add(done).ok_or(Errno::Inval)?;
            Ok(retry_on_intr(|| {
                rustix::io::pread(file, &mut *buffer, offset)
            })?)
        })?;
        self.account_read(read);
        Ok(memory.put_u32(result, read)?)
    }

    /// Writes at a descriptor's position.
    ///
    /// # Errors
    /// `badf`, `notcapable`, `isdir`, `again`, `pipe`, `nospc`, `dquot`, `inval`, `fault`.
    pub fn fd_write(
        &mut self,
        memory: &mut [u8],
        fd: u32,
        iovs: u32,
        count: u32,
        result: u32,
    ) -> Result<(), Fault> {
        self.content(fd, Rights::FD_WRITE)?;
        memory.range(result, 4)?;
        let buffers = self.granted(fd, None, memory.buffers(iovs, count)?)?;
        let written = self.write(memory, fd, &buffers)?;
        self.account_write(fd, written);
        Ok(memory.put_u32(result, written)?)
    }

    /// Writes at a given position. In a file that is open for appending, the bytes go to
    /// its end, as on Linux.
    ///
    /// # Errors
    /// `badf`, `notcapable`, `isdir`, `spipe`, `nospc`, `dquot`, `inval`, `fault`.
    pub fn fd_pwrite(
        &mut self,
        memory: &mut [u8],
        fd: u32,
        iovs: u32,
        count: u32,
        offset: u64,
        result: u32,
    ) -> Result<(), Fault> {
        let descriptor = self.content(fd, Rights::FD_WRITE.or(Rights::FD_SEEK))?;
        memory.range(result, 4)?;
        descriptor.host().ok_or(Errno::Spipe)?;
        let buffers = self.granted(fd, Some(offset), memory.buffers(iovs, count)?)?;
        let file = self.table.get(fd)?.host().ok_or(Errno::Spipe)?;
        let slices = slices(memory, &buffers)?;
        let written = retry_on_intr(|| rustix::io::pwritev(file, &slices, offset));
        self.table.get_mut(fd)?.changes();
        let written = written?;
        let written = u32::try_from(written).map_err(|_| Errno::Overflow)?;
        self.account_write(fd, written);
        if written > 0 {
            self.content_changed(fd);
        }
        Ok(memory.put_u32(result, written)?)
    }

    /// As much of the buffers as the job may write.
    fn granted(
        &mut self,
        fd: u32,
        offset: Option<u64>,
        buffers: Vec<Buffer>,
    ) -> Result<Vec<Buffer>, Fault> {
        let total: usize = buffers.iter().map(ExactSizeIterator::len).sum();
        let granted = self.may_write(fd, offset, total as u64)?;
        match usize::try_from(granted) {
            Ok(granted) if granted < total => Ok(shorten(&buffers, granted)),
            _ => Ok(buffers),
        }
    }

    fn read(&mut self, memory: &mut [u8], fd: u32, buffers: &[Buffer]) -> Result<u32, Fault> {
        let descriptor = self.table.get_mut(fd)?;
        let nonblocking = descriptor.flags.contains(FdFlags::NONBLOCK);
        if let Object::Input(Input::Reader(reader)) = &mut descriptor.object {
            return read_first(memory, buffers, |buffer| {
                reader.read(buffer).map_err(Fault::from)
            });
        }
        let Some(file) = descriptor.stream() else {
            let file = descriptor.host().ok_or(Errno::Badf)?;
            return fill(memory, buffers, |buffer, _| {
                Ok(retry_on_intr(|| rustix::io::read(file, &mut *buffer))?)
            });
        };
        read_first(memory, buffers, |buffer| {
            wait(file, PollFlags::IN, nonblocking, &self.interrupt)?;
            Ok(retry_on_intr(|| rustix::io::read(file, &mut *buffer))?)
        })
    }

    fn write(&mut self, memory: &mut [u8], fd: u32, buffers: &[Buffer]) -> Result<u32, Fault> {
        let deterministic = self.is_deterministic();
        let descriptor = self.table.get_mut(fd)?;
        let nonblocking = descriptor.flags.contains(FdFlags::NONBLOCK);
        let slices = match descriptor.object {
            Object::Output(..) if deterministic => slices(memory, &shorten(buffers, ATOMIC_WRITE))?,
            _ => slices(memory, buffers)?,
        };
        if slices.iter().all(|slice| slice.is_empty()) {
            return Ok(0);
        }
        if let Object::Output(output, _) = &mut descriptor.object {
            match output {
                Output::Fd(_) => {}
                Output::Writer(writer) => return write_through(writer.as_mut(), &slices),
                Output::Opaque(fd) => {
                    wait(fd.as_fd(), PollFlags::OUT, false, &self.interrupt)?;
                    return write_whole(fd.as_fd(), &slices);
                }
            }
        }
        descriptor.changes();
        let file = descriptor.host().ok_or(Errno::Badf)?;
        let written = match descriptor.stream() {
            None => retry_on_intr(|| rustix::io::writev(file, &slices))?,
            Some(file) => {
                wait(file, PollFlags::OUT, nonblocking, &self.interrupt)?;
                write_ready(file, &slices)?
            }
        };
        if written > 0 {
            self.content_changed(fd);
        }
        Ok(u32::try_from(written).map_err(|_| Errno::Overflow)?)
    }
}

/// The first `left` bytes of the buffers.
fn shorten(buffers: &[Buffer], mut left: usize) -> Vec<Buffer> {
    let shorten = |buffer: &Buffer| {
        let end = buffer.end.min(buffer.start.saturating_add(left));
        left -= end - buffer.start;
        buffer.start..end
    };
    buffers.iter().map(shorten).collect()
}

/// The buffers as slices. Their total may not exceed what a result can say.
fn slices<'a>(memory: &'a [u8], buffers: &[Buffer]) -> Result<Vec<IoSlice<'a>>, Errno> {
    let total: usize = buffers.iter().map(ExactSizeIterator::len).sum();
    u32::try_from(total).map_err(|_| Errno::Inval)?;
    buffers
        .iter()
        .map(|buffer| {
            memory
                .get(buffer.clone())
                .map(IoSlice::new)
                .ok_or(Errno::Fault)
        })
        .collect()
}

/// Fills one buffer after another until one stays short. `read` is given a buffer and how
/// much was read before it. An error after the first byte ends the read without being one.
fn fill(
    memory: &mut [u8],
    buffers: &[Buffer],
    mut read: impl FnMut(&mut [u8], u64) -> Result<usize, Fault>,
) -> Result<u32, Fault> {
    let mut total: u32 = 0;
    for buffer in buffers {
        // The result is 32 bits wide, and so is every buffer.
        let Some(room) = total.checked_add(u32::try_from(buffer.len()).unwrap_or(u32::MAX)) else {
            break;
        };
        let buffer = memory.get_mut(buffer.clone()).ok_or(Errno::Fault)?;
        if buffer.is_empty() {
            continue;
        }
        let got = match read(buffer, u64::from(total)) {
            Ok(got) => u32::try_from(got).map_err(|_| Errno::Overflow)?,
            Err(_) if total > 0 => break,
            Err(fault) => return Err(fault),
        };
        total = total.saturating_add(got);
        if total < room {
            break;
        }
    }
    Ok(total)
}

/// Reads into the first buffer that has room: a second read could block.
fn read_first(
    memory: &mut [u8],
    buffers: &[Buffer],
    read: impl FnOnce(&mut [u8]) -> Result<usize, Fault>,
) -> Result<u32, Fault> {
    let Some(buffer) = buffers.iter().find(|buffer| !buffer.is_empty()) else {
        return Ok(0);
    };
    let got = read(memory.get_mut(buffer.clone()).ok_or(Errno::Fault)?)?;
    Ok(u32::try_from(got).map_err(|_| Errno::Overflow)?)
}

/// Writes everything, and out of this process's buffers too: what the job wrote must not
/// be lost if the process ends.
fn write_through(writer: &mut dyn Write, slices: &[IoSlice<'_>]) -> Result<u32, Fault> {
    let mut total = 0;
    for slice in slices {
        writer.write_all(slice)?;
        total += slice.len();
    }
    writer.flush()?;
    Ok(u32::try_from(total).map_err(|_| Errno::Overflow)?)
}

/// Writes everything, which is so little that what is ready takes it at once; if it does not,
/// this waits for it, as the job must not see a part.
fn write_whole(fd: BorrowedFd<'_>, slices: &[IoSlice<'_>]) -> Result<u32, Fault> {
    let bytes: Vec<u8> = slices
        .iter()
        .flat_map(|slice| slice.iter().copied())
        .collect();
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        match retry_on_intr(|| rustix::io::write(fd, rest)) {
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(rustix::io::Errno::AGAIN) => {
                poll_until(&mut [PollFd::from_borrowed_fd(fd, PollFlags::OUT)], None)?;
            }
            // What is written is written: a job that tried again would double it.
            Err(_) if rest.len() < bytes.len() => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(u32::try_from(bytes.len() - rest.len()).map_err(|_| Errno::Overflow)?)
}

/// Writes to something that is ready, for as long as it stays so.
fn write_ready(file: BorrowedFd<'_>, slices: &[IoSlice<'_>]) -> Result<usize, Fault> {
    let mut total = 0;
    for chunk in slices.iter().flat_map(|slice| slice.chunks(ATOMIC_WRITE)) {
        if total > 0 && !is_ready(file, PollFlags::OUT)? {
            break;
        }
        match retry_on_intr(|| rustix::io::write(file, chunk)) {
            Ok(written) => {
                total += written;
                if written < chunk.len() {
                    break;
                }
            }
            Err(_) if total > 0 => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(total)
}
