//! Requests to a running job, from signals, timers and other processes.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wherry_engine::Control;

use crate::{Answer, Question};

/// Takes requests to one job; clones share them. What is asked for before the job runs is
/// done as soon as it does.
#[derive(Clone)]
pub(crate) struct Requests {
    control: Control,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Default)]
struct Waiting {
    checkpoints: Vec<CheckpointRequest>,
    /// Who wants to hear that the job was killed.
    killers: Vec<Sender<Answer>>,
    /// The job has ended: nothing more is done.
    closed: bool,
}

/// Someone wants a checkpoint.
pub(crate) struct CheckpointRequest {
    /// The file to write, or the usual place.
    pub(crate) to: Option<PathBuf>,
    /// Whether the job goes on afterwards.
    pub(crate) go_on: bool,
    /// Whether the run was to end with this checkpoint from the beginning, so that it ends
    /// even if the checkpoint cannot be written.
    pub(crate) planned: bool,
    /// Who wants to hear of it.
    pub(crate) reply: Option<Sender<Answer>>,
}

impl Requests {
    /// For the job that `control` controls.
    #[must_use]
    pub(crate) fn new(control: Control) -> Self {
        let waiting = Arc::default();
        Requests { control, waiting }
    }

    /// The job's control.
    #[must_use]
    pub(crate) fn control(&self) -> &Control {
        &self.control
    }

    /// Asks for a checkpoint at the usual place, after which the job goes on, or the run is over
    /// even if it cannot be written.
    pub(crate) fn planned_checkpoint(&self, go_on: bool) {
        self.push(CheckpointRequest {
            to: None,
            go_on,
            planned: true,
            reply: None,
        });
    }

    /// Ends the job.
    pub(crate) fn kill(&self) {
        self.control.kill();
    }

    /// Asks for what another process wants. The answer comes when it is done.
    pub(crate) fn ask(&self, question: Question) -> Receiver<Answer> {
        let (reply, answer) = channel();
        match question {
            Question::Checkpoint { to, go_on } => self.push(CheckpointRequest {
                to,
                go_on,
                planned: false,
                reply: Some(reply),
            }),
            Question::Kill => {
                let mut waiting = self.lock();
                if !waiting.closed {
                    waiting.killers.push(reply);
                }
                drop(waiting);
                self.kill();
            }
        }
        answer
    }

    fn push(&self, request: CheckpointRequest) {
        let mut waiting = self.lock();
        // Whoever waits for an answer gets to know by the end of the channel.
        if !waiting.closed {
            waiting.checkpoints.push(request);
        }
        drop(waiting);
        self.control.request_checkpoint();
    }

    /// Gives back what cannot be done yet. The job is not stopped for it.
    pub(crate) fn put_back(&self, mut requests: Vec<CheckpointRequest>) {
        let mut waiting = self.lock();
        if !waiting.closed {
            requests.append(&mut waiting.checkpoints);
            waiting.checkpoints = requests;
        }
    }

    /// The checkpoints that were asked for up to now.
    pub(crate) fn take(&self) -> Vec<CheckpointRequest> {
        std::mem::take(&mut self.lock().checkpoints)
    }

    /// No more requests are taken. Returns who still wants to hear how the job ended.
    pub(crate) fn close(&self) -> (Vec<CheckpointRequest>, Vec<Sender<Answer>>) {
        let mut waiting = self.lock();
        waiting.closed = true;
        let Waiting {
            checkpoints,
            killers,
            ..
        } = &mut *waiting;
        (std::mem::take(checkpoints), std::mem::take(killers))
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
