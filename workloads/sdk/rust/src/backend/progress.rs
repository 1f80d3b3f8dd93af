//! How far the GPU is, and which callbacks of the program wait for it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use wgpu::custom::{BoxSubmittedWorkDoneCallback, BufferMapCallback};
use wgpu::wgt::PollType;
use wgpu::{BufferAsyncError, PollError, PollStatus};
use wherry_gpu_abi::{Failure, SubmitMode};

use super::buffer::Mapping;
use super::context::Context;
use super::host::{self, Failed};
use super::lock;

#[derive(Debug, Default)]
pub(crate) struct Progress(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The last submission, 0 before the first.
    submitted: u64,
    /// The last submission that is known to be done.
    done: u64,
    /// What waits, in the order of the submissions it waits for.
    waiting: VecDeque<(u64, Waiting)>,
}

/// What is to be called when a submission is done.
pub(crate) enum Waiting {
    Map(Arc<Mapping>, BufferMapCallback),
    Work(BoxSubmittedWorkDoneCallback),
}

impl Waiting {
    fn call(self, context: &Context) {
        match self {
            Waiting::Map(mapping, callback) if context.is_open() => {
                mapping.is_ready();
                callback(Ok(()));
            }
            Waiting::Map(_, callback) => callback(Err(BufferAsyncError)),
            Waiting::Work(callback) => callback(),
        }
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Waiting::Map(..) => "Map",
            Waiting::Work(_) => "Work",
        })
    }
}

impl Progress {
    /// Calls back when all that was submitted until now is done.
    pub(crate) fn call_back(&self, waiting: Waiting) {
        let mut state = lock(&self.0);
        let after = state.submitted;
        state.waiting.push_back((after, waiting));
    }

    /// The callback that waits to tell that `mapping` is there, which does not wait any more.
    pub(crate) fn forget(&self, mapping: &Arc<Mapping>) -> Option<BufferMapCallback> {
        let mut state = lock(&self.0);
        let place = state.waiting.iter().position(
            |(_, waiting)| matches!(waiting, Waiting::Map(other, _) if Arc::ptr_eq(other, mapping)),
        )?;
        match state.waiting.remove(place)? {
            (_, Waiting::Map(_, callback)) => Some(callback),
            _ => None,
        }
    }
}

impl Context {
    /// Submits commands, and returns the number of the submission.
    #[track_caller]
    pub(crate) fn submit(&self, stream: &[u8]) -> u64 {
        if self.is_open() {
            match host::submit(stream, SubmitMode::Run) {
                Ok(number) => lock(&self.progress.0).submitted = number,
                Err(failed) => self.report("Queue::submit", failed),
            }
        }
        self.settle();
        self.submitted()
    }

    /// The number of the last submission.
    pub(crate) fn submitted(&self) -> u64 {
        lock(&self.progress.0).submitted
    }

    pub(crate) fn poll(&self, poll: PollType<u64>) -> Result<PollStatus, PollError> {
        let waited = match poll {
            PollType::Poll => Ok(false),
            PollType::Wait {
                submission_index,
                timeout,
            } => self.wait(submission_index, timeout).map(|()| true),
        };
        self.settle();
        waited?;
        Ok(match poll {
            _ if self.is_done(self.submitted()) => PollStatus::QueueEmpty,
            PollType::Poll => PollStatus::Poll,
            PollType::Wait { .. } => PollStatus::WaitSucceeded,
        })
    }

    fn wait(&self, submission: Option<u64>, timeout: Option<Duration>) -> Result<(), PollError> {
        let submitted = self.submitted();
        let submission = submission.unwrap_or(submitted);
        if submission > submitted {
            return Err(PollError::WrongSubmissionIndex(submission, submitted));
        }
        if !self.is_open() {
            return Ok(());
        }
        let nanoseconds = timeout.map_or(u64::MAX, |timeout| {
            u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX)
        });
        match host::wait(submission, nanoseconds) {
            Ok(()) => self.reached(submission),
            Err(Failed {
                failure: Failure::Timeout,
                ..
            }) => return Err(PollError::Timeout),
            Err(failed) => self.report("Device::poll", failed),
        }
        Ok(())
    }

    /// Calls back whoever waits for something that is done by now.
    pub(crate) fn settle(&self) {
        // A callback may ask for another one, which the next poll looks at.
        let waiting = lock(&self.progress.0).waiting.len();
        for _ in 0..waiting {
            let Some(submission) = lock(&self.progress.0).waiting.front().map(|first| first.0)
            else {
                return;
            };
            if !self.is_done(submission) {
                return;
            }
            let first = lock(&self.progress.0).waiting.pop_front();
            if let Some((_, waiting)) = first {
                waiting.call(self);
            }
        }
    }

    fn is_done(&self, submission: u64) -> bool {
        if submission <= lock(&self.progress.0).done || !self.is_open() {
            return true;
        }
        match host::wait(submission, 0) {
            Ok(()) => {
                self.reached(submission);
                true
            }
            Err(Failed {
                failure: Failure::Timeout,
                ..
            }) => false,
            Err(failed) => {
                self.report("Device::poll", failed);
                !self.is_open()
            }
        }
    }

    fn reached(&self, submission: u64) {
        let mut state = lock(&self.progress.0);
        state.done = state.done.max(submission);
    }
}
