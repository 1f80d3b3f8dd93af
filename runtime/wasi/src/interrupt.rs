//! The signal that makes a blocking call give up.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Makes calls that block return [`Fault::Interrupted`](crate::Fault::Interrupted) until it
/// is cleared. Clones share one signal; any thread may raise it.
#[derive(Clone, Debug)]
pub struct Interrupt(Arc<Signal>);

/// The pipe holds one byte while `raised` is set and none otherwise, so that the signal can
/// be waited for together with other descriptors.
#[derive(Debug)]
struct Signal {
    raised: AtomicBool,
    reader: PipeReader,
    writer: PipeWriter,
}

impl Interrupt {
    /// A signal that is not raised.
    ///
    /// # Errors
    /// The host has no descriptors left for a pipe.
    pub fn new() -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        let raised = AtomicBool::new(false);
        Ok(Self(Arc::new(Signal {
            raised,
            reader,
            writer,
        })))
    }

    /// Ends the call that blocks now, and those to come.
    pub fn raise(&self) {
        if !self.0.raised.swap(true, Ordering::SeqCst) {
            // The pipe is empty or about to be, so this neither blocks nor fails: both ends
            // live as long as `self`.
            let _ = (&self.0.writer).write_all(&[1]);
        }
    }

    /// Lets calls block again.
    pub fn clear(&self) {
        if self.0.raised.swap(false, Ordering::SeqCst) {
            // Whoever set the flag writes its byte right after, so this ends.
            let _ = (&self.0.reader).read_exact(&mut [0]);
        }
    }

    /// Whether it is raised.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        self.0.raised.load(Ordering::SeqCst)
    }

    /// Readable while the signal is raised.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.reader.as_fd()
    }
}
