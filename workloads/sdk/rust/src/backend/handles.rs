//! Which handles are in use, and when one may be given back to the host.
//!
//! A program may drop an object as soon as it has recorded a command that uses it. The recording
//! only has the handle, so that the host must keep the object until the recording is submitted or
//! dropped. Counting the uses would cost something at every command; instead a dropped handle waits
//! until all recordings that were open at that time are over.

use std::collections::{BTreeSet, VecDeque};

use wherry_gpu_abi::Handle;

#[derive(Debug, Default)]
pub(crate) struct Handles {
    last: Handle,
    free: Vec<Handle>,
    /// Recordings that are open, by number.
    recordings: BTreeSet<u64>,
    next_recording: u64,
    /// Dropped handles, each with the number of the first recording that cannot use it.
    dropped: VecDeque<(u64, Handle)>,
}

impl Handles {
    /// A handle that names nothing.
    pub(crate) fn take(&mut self) -> Handle {
        self.free.pop().unwrap_or_else(|| {
            self.last += 1;
            self.last
        })
    }

    /// The program has no use for it any more, but recordings may have.
    pub(crate) fn give_up(&mut self, handle: Handle) {
        self.dropped.push_back((self.next_recording, handle));
    }

    /// Takes a handle that no recording uses: the host is to drop it.
    pub(crate) fn unused(&mut self) -> Option<Handle> {
        let (after, handle) = *self.dropped.front()?;
        if self
            .recordings
            .first()
            .is_some_and(|oldest| *oldest < after)
        {
            return None;
        }
        self.dropped.pop_front();
        self.free.push(handle);
        Some(handle)
    }

    pub(crate) fn begin_recording(&mut self) -> u64 {
        let number = self.next_recording;
        self.next_recording += 1;
        self.recordings.insert(number);
        number
    }

    pub(crate) fn end_recording(&mut self, number: u64) {
        self.recordings.remove(&number);
    }
}

#[cfg(test)]
mod tests {
    use super::Handles;

    #[test]
    fn a_handle_waits_for_the_recordings_that_may_use_it() {
        let mut handles = Handles::default();
        let (a, b) = (handles.take(), handles.take());
        let first = handles.begin_recording();
        handles.give_up(a);
        assert_eq!(handles.unused(), None);
        let second = handles.begin_recording();
        handles.give_up(b);
        handles.end_recording(first);
        assert_eq!(handles.unused(), Some(a), "the second began later");
        assert_eq!(handles.unused(), None);
        handles.end_recording(second);
        assert_eq!(handles.unused(), Some(b));
        assert_eq!(handles.unused(), None);
    }

    #[test]
    fn handles_are_used_again() {
        let mut handles = Handles::default();
        let a = handles.take();
        handles.give_up(a);
        assert_ne!(handles.take(), a, "it still names something");
        assert_eq!(handles.unused(), Some(a));
        assert_eq!(handles.take(), a);
    }
}
