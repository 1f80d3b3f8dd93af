//! What is asked of a job that runs in another process, from signals and by other processes.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::channel::send;
use super::message::Order;
use crate::{Answer, Question, Used};

/// Takes questions to one job; clones share them. What is asked before the job runs is asked as
/// soon as it does.
#[derive(Clone, Default)]
pub struct Questions(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    next: u64,
    open: BTreeMap<u64, Open>,
    /// To the job's process, when it runs the job.
    job: Option<UnixStream>,
    /// The job has ended: nothing more is done.
    closed: bool,
}

/// A question that is not answered yet.
struct Open {
    question: Question,
    reply: Sender<Answer>,
    /// The answer, if it has to wait until the job is free.
    answer: Option<Answer>,
}

impl Questions {
    /// Asks something of the job. The answer comes when it is done, or never if the job ends
    /// before.
    pub fn ask(&self, question: Question) -> Receiver<Answer> {
        let (reply, answer) = channel();
        let mut state = self.lock();
        if state.closed {
            return answer;
        }
        let id = state.next;
        state.next += 1;
        if let Some(job) = &state.job {
            // If it has gone, nobody answers.
            let _ = send(job, &Order::Ask(id, question.clone()), &[]);
        }
        let open = Open {
            question,
            reply,
            answer: None,
        };
        state.open.insert(id, open);
        answer
    }

    /// Has the job run, which has used so much, and asks what was asked so far.
    pub(super) fn run(&self, job: UnixStream, used: Option<Used>) -> io::Result<()> {
        let mut state = self.lock();
        send(&job, &Order::Run(used), &[])?;
        for (id, open) in &state.open {
            send(&job, &Order::Ask(*id, open.question.clone()), &[])?;
        }
        state.job = Some(job);
        Ok(())
    }

    /// Sends something else, which does not get between the questions.
    pub(super) fn send(&self, order: &Order, bytes: &[u8]) -> io::Result<()> {
        match &self.lock().job {
            Some(job) => send(job, order, bytes),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Passes an answer on. Who hears that the job has stopped may take it over at once: that
    /// answer waits until it is free.
    pub(super) fn answered(&self, id: u64, answer: Answer) {
        let mut state = self.lock();
        let Some(open) = state.open.get_mut(&id) else {
            return;
        };
        if matches!(open.question, Question::Checkpoint { go_on: true, .. }) {
            let _ = open.reply.send(answer);
            state.open.remove(&id);
        } else {
            open.answer = Some(answer);
        }
    }

    /// Whether somebody has asked for a checkpoint to be there.
    pub(super) fn wants(&self, path: &Path) -> bool {
        let is_it = |to: &Option<PathBuf>| to.as_deref() == Some(path);
        let wants = |open: &Open| match &open.question {
            Question::Checkpoint { to, .. } => is_it(to),
            Question::Kill => false,
        };
        self.lock().open.values().any(wants)
    }

    /// The job is free. Answers that waited are given, and no more questions taken.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        (state.closed, state.job) = (true, None);
        for open in std::mem::take(&mut state.open).into_values() {
            if let Some(answer) = open.answer {
                let _ = open.reply.send(answer);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
