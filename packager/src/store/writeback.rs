//! A large file goes to the disk while it is being written, so that the sync at its end has little
//! left to wait for.

use std::fs::File;
use std::io;
use std::thread::{self, JoinHandle};

/// What is written between two syncs, in bytes.
const STEP: u64 = 32 << 20;

/// Syncs of one file, one at a time, beside the thread that writes it.
#[derive(Debug, Default)]
pub(super) struct Writeback {
    /// Bytes written since the last one began.
    waiting: u64,
    running: Option<JoinHandle<io::Result<()>>>,
}

impl Writeback {
    /// So many bytes more were written to `file`.
    ///
    /// # Errors
    /// Earlier ones did not reach the disk.
    pub(super) fn wrote(&mut self, file: &File, bytes: usize) -> io::Result<()> {
        self.waiting += bytes as u64;
        let is_busy = self
            .running
            .as_ref()
            .is_some_and(|sync| !sync.is_finished());
        if is_busy || self.waiting < STEP {
            return Ok(());
        }
        self.settle()?;
        self.waiting = 0;
        let file = file.try_clone()?;
        let sync = thread::Builder::new().name("writeback".to_owned());
        // Without a thread, the sync at the end does it all.
        self.running = sync.spawn(move || file.sync_data()).ok();
        Ok(())
    }

    /// Waits for the sync that is running. It is not enough to sync once more: the system tells
    /// only once that something could not be written.
    ///
    /// # Errors
    /// It failed.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        let ended = self.running.take().map(JoinHandle::join);
        ended.map_or(Ok(()), |ended| {
            ended.unwrap_or_else(|_| Err(io::Error::other("the sync did not end")))
        })
    }
}

/// The lock on a file ends with its last handle.
impl Drop for Writeback {
    fn drop(&mut self) {
        let _ = self.settle();
    }
}
