//! Reading and writing of descriptors that can block: pipes, terminals, standard streams.
//! Each waits for the host descriptor and the interrupt together, before it does anything.

use std::os::fd::BorrowedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{Errno, Fault, Interrupt};

/// What a pipe takes at once if it is ready at all (`PIPE_BUF`), so that a write after a
/// successful wait cannot block.
pub(crate) const ATOMIC_WRITE: usize = 4096;

/// Waits until `fd` is ready. With `nonblocking`, `again` instead of waiting.
pub(crate) fn wait(
    fd: BorrowedFd<'_>,
    events: PollFlags,
    nonblocking: bool,
    interrupt: &Interrupt,
) -> Result<(), Fault> {
    if is_ready(fd, events)? {
        return Ok(());
    }
    if nonblocking {
        return Err(Errno::Again.into());
    }
    loop {
        let mut fds = [
            PollFd::from_borrowed_fd(fd, events),
            PollFd::from_borrowed_fd(interrupt.descriptor(), PollFlags::IN),
        ];
        poll_until(&mut fds, None)?;
        let [stream, signal] = fds;
        if !stream.revents().is_empty() {
            return Ok(());
        }
        if !signal.revents().is_empty() {
            return Err(Fault::Interrupted);
        }
    }
}

/// Whether `fd` can be used now without blocking (end of file and errors included).
pub(crate) fn is_ready(fd: BorrowedFd<'_>, events: PollFlags) -> Result<bool, Fault> {
    let mut fds = [PollFd::from_borrowed_fd(fd, events)];
    poll_until(&mut fds, Some(&Timespec::default()))?;
    let [stream] = fds;
    Ok(!stream.revents().is_empty())
}

/// `poll`, where a signal of the host is no event.
pub(crate) fn poll_until(
    fds: &mut [PollFd<'_>],
    timeout: Option<&Timespec>,
) -> Result<(), rustix::io::Errno> {
    match poll(fds, timeout) {
        // The caller looks at the events, finds none, and waits again.
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error),
    }
}
