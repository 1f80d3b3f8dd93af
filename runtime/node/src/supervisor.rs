//! Runs a job to its end or its suspension, and writes its checkpoints on the way.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use wherry_engine::{Job, Outcome, Reason, Trap};

use crate::requests::{CheckpointRequest, Requests};
use crate::writing::{Background, Pause, Shared};
use crate::{Answer, Checkpointed, Error, Used};

/// The shortest time from one regular checkpoint to the next.
const SHORTEST: Duration = Duration::from_millis(1);

/// When checkpoints are made without being asked for, and where they go.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Plan {
    /// Where checkpoints go; the job's directory if it is not said.
    pub checkpoint_to: Option<PathBuf>,
    /// Make one when the program has run this long; if it goes on, again and again.
    pub after: Option<Duration>,
    /// Make one whenever a deterministic job has passed a multiple of so many safepoints since
    /// its start, and go on.
    pub every: Option<u64>,
    /// Whether the job goes on after the checkpoints that were planned.
    pub go_on: bool,
    /// Whether the job goes on after those that are made by the clock, in any case.
    pub periodic: bool,
    /// Files that have the job's output: they are on the disk before a checkpoint is that
    /// counts on what is in them.
    #[serde(skip)]
    pub outputs: Vec<Arc<File>>,
}

/// How a run ended.
#[derive(Debug, Serialize, Deserialize)]
pub enum Ending {
    /// The program ended by itself.
    Exited(u32),
    /// The program did something that WebAssembly forbids.
    Trapped(Trap),
    /// The job is a checkpoint now.
    Suspended(Reason, Checkpointed),
    /// The job was killed. What it did after its last checkpoint is lost.
    Killed(Option<Checkpointed>),
}

/// What happens while a job runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Event {
    /// A checkpoint is on the disk.
    Checkpointed(Checkpointed),
    /// A checkpoint could not be written, for this reason. The job goes on.
    CheckpointFailed(String),
    /// An older checkpoint, which the job does not keep, could not be deleted.
    NotDeleted(String),
    /// The job gets no more of something: `memory`, `scratch`, `files`, `output` or `log`.
    LimitReached(String),
}

/// The world outside the process of a job.
pub(crate) trait Observer: Sync {
    /// Is told what happens.
    fn observe(&self, event: Event);

    /// Notes a checkpoint that was written: to its own place in the job's directory, or to the one
    /// for what is to go elsewhere, from where it is brought there.
    fn written(&self, done: &Checkpointed) -> io::Result<()>;
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Run {
    /// How it ended.
    ///
    /// # Errors
    /// The engine fails, or a checkpoint that was to end the run cannot be written. The job's
    /// previous checkpoint is as it was.
    pub(crate) ending: Result<Ending, Error>,
    /// Why the job can go on from a checkpoint although the run failed.
    pub(crate) suspended: Option<String>,
    /// What the job has used.
    pub(crate) used: Used,
}

/// Runs `job`, whose directory is `directory`, until it ends or is suspended. `before` is what was
/// noted of what it has used.
pub(crate) fn supervise(
    job: Job,
    directory: &Path,
    before: Option<Used>,
    requests: &Requests,
    plan: Plan,
    observer: &dyn Observer,
) -> Run {
    let _timer = plan
        .after
        .map(|after| Timer::start(after, plan.go_on || plan.periodic, requests));
    let outputs = plan.outputs.clone();
    let shared = Shared::new(directory, observer, outputs.clone());
    let (run, suspenders) = thread::scope(|scope| {
        let mut supervisor = Supervisor {
            job,
            scope,
            shared: &shared,
            requests,
            plan,
            background: None,
            suspenders: Vec::new(),
            suspended: None,
        };
        let ending = supervisor.run();
        supervisor.finish_background();
        let run = Run {
            ending: sync(&outputs).and(ending),
            suspended: supervisor.suspended,
            used: Used::of(&mut supervisor.job, before),
        };
        (run, supervisor.suspenders)
    });
    answer(requests, suspenders, &run.ending);
    run
}

struct Supervisor<'scope, 'env, 'observer> {
    job: Job,
    scope: &'scope Scope<'scope, 'env>,
    shared: &'scope Shared<'observer>,
    requests: &'scope Requests,
    plan: Plan,
    /// The checkpoint that is being written while the job runs.
    background: Option<Background<'scope>>,
    /// Who asked for the checkpoint that suspends the job.
    suspenders: Vec<(Sender<Answer>, Checkpointed)>,
    /// Why the job can go on from a checkpoint although the run fails.
    suspended: Option<String>,
}

/// The requests that one file serves: the user's, or none if it is the job's own.
type Wanted = (Option<PathBuf>, Vec<CheckpointRequest>);

impl Supervisor<'_, '_, '_> {
    fn run(&mut self) -> Result<Ending, Error> {
        loop {
            self.count_to_next();
            match self.job.run()? {
                Outcome::Exited(code) => return Ok(Ending::Exited(code)),
                Outcome::Trapped(trap) => return Ok(Ending::Trapped(trap)),
                Outcome::Stopped(Reason::Killed) => {
                    self.finish_background();
                    return Ok(Ending::Killed(None));
                }
                Outcome::Stopped(reason) => {
                    if let Some(checkpoint) = self.stopped(reason)? {
                        return Ok(Ending::Suspended(reason, checkpoint));
                    }
                }
            }
        }
    }

    fn count_to_next(&mut self) {
        if let (Some(every), Some(passed)) = (self.plan.every, self.job.safepoints_passed()) {
            let left = every.saturating_sub(passed.checked_rem(every).unwrap_or(0));
            self.job.set_countdown(Some(left));
        }
    }

    fn finish_background(&mut self) {
        if let Some(background) = self.background.take() {
            background.finish(&mut self.job);
        }
    }

    /// Does what was asked for. Returns the checkpoint that ends the run, if one does.
    fn stopped(&mut self, reason: Reason) -> Result<Option<Checkpointed>, Error> {
        let stopped = Instant::now();
        let mut requests = self.requests.take();
        requests.extend(self.due(reason));
        let goes_on = requests.iter().all(|request| request.go_on);
        let is_busy = |background: &Background<'_>| background.await_end();
        let may_be_later = goes_on && reason != Reason::Countdown;
        if may_be_later && self.background.as_ref().is_some_and(is_busy) {
            // One after the other. The job does not wait for what it goes on after.
            self.requests.put_back(requests);
            return Ok(None);
        }
        self.finish_background();
        let mut wanted = self.by_destination(requests);
        if goes_on && wanted.len() == 1 {
            wanted.drain(..).for_each(|one| self.go_on(one, stopped));
        }
        let mut last = None;
        for one in wanted {
            last = self.wait(one, stopped)?.or(last);
        }
        Ok(last)
    }

    /// Makes a checkpoint that is written while the job goes on.
    fn go_on(&mut self, (to, requests): Wanted, stopped: Instant) {
        match self.shared.capture(&mut self.job, to) {
            Ok(captured) => {
                let (shared, control) = (self.shared, self.requests.clone());
                let pause = stopped.elapsed();
                let background =
                    Background::start(self.scope, shared, control, captured, pause, requests);
                self.background = Some(background);
            }
            Err(error) => self.shared.refuse(requests, &error),
        }
    }

    /// Makes a checkpoint that the job waits for. Returns it if it ends the run.
    fn wait(
        &mut self,
        (to, requests): Wanted,
        stopped: Instant,
    ) -> Result<Option<Checkpointed>, Error> {
        let done = match self.write(to, stopped) {
            Ok(done) => done,
            Err(error) => {
                self.failed(requests, error, stopped)?;
                return Ok(None);
            }
        };
        let mut last = None;
        for request in requests {
            match (request.go_on, request.reply) {
                (true, Some(reply)) => drop(reply.send(Answer::Checkpointed(done.clone()))),
                (true, None) => {}
                (false, reply) => {
                    self.suspenders
                        .extend(reply.map(|reply| (reply, done.clone())));
                    last = Some(done.clone());
                }
            }
        }
        Ok(last)
    }

    fn write(&mut self, to: Option<PathBuf>, stopped: Instant) -> Result<Checkpointed, Error> {
        let captured = self.shared.capture(&mut self.job, to)?;
        let written = self.shared.write(captured, Pause::Since(stopped))?;
        written.tell(&mut self.job);
        Ok(written.done)
    }

    /// The checkpoint that is due because of how the program stopped.
    fn due(&self, reason: Reason) -> Option<CheckpointRequest> {
        let go_on = match reason {
            Reason::Countdown => self.plan.go_on || self.plan.every.is_some(),
            Reason::CpuTime | Reason::GpuTime | Reason::WallTime => false,
            Reason::Checkpoint | Reason::Killed => return None,
        };
        Some(CheckpointRequest {
            to: None,
            go_on,
            planned: true,
            reply: None,
        })
    }

    fn by_destination(&self, requests: Vec<CheckpointRequest>) -> Vec<Wanted> {
        let mut wanted: Vec<Wanted> = Vec::new();
        for request in requests {
            let asked = request.to.as_ref().or(self.plan.checkpoint_to.as_ref());
            let to = asked.cloned();
            match wanted.iter_mut().find(|(known, _)| *known == to) {
                Some((_, requests)) => requests.push(request),
                None => wanted.push((to, vec![request])),
            }
        }
        wanted
    }

    /// A checkpoint could not be written. What the job has done so far is not thrown away
    /// because of that: it goes on, unless the run was to end here. Then its own directory
    /// is tried before it does.
    fn failed(
        &mut self,
        mut requests: Vec<CheckpointRequest>,
        error: Error,
        stopped: Instant,
    ) -> Result<(), Error> {
        let ends = |request: &CheckpointRequest| request.planned && !request.go_on;
        let is_end = requests.iter().any(ends);
        requests.retain(|request| !ends(request));
        if !requests.is_empty() {
            self.shared.refuse(requests, &error);
        }
        if !is_end {
            return Ok(());
        }
        if let Ok(own) = self.write(None, stopped) {
            let reason = format!("the checkpoint went to {} instead", own.path.display());
            self.suspended = Some(reason);
        }
        Err(error)
    }
}

/// What the job wrote is on the disk.
pub(crate) fn sync(outputs: &[Arc<File>]) -> Result<(), Error> {
    outputs.iter().try_for_each(|output| {
        let synced = output.sync_data();
        synced.map_err(Error::io("write", Path::new("the output of the job")))
    })
}

fn answer(
    requests: &Requests,
    suspenders: Vec<(Sender<Answer>, Checkpointed)>,
    ending: &Result<Ending, Error>,
) {
    // What nobody will do any more is refused by the end of its channel.
    let (_, killers) = requests.close();
    for (reply, checkpoint) in suspenders {
        let _ = reply.send(Answer::Checkpointed(checkpoint));
    }
    if matches!(ending, Ok(Ending::Killed(_))) {
        for reply in killers {
            let _ = reply.send(Answer::Killed);
        }
    }
}

/// Asks for checkpoints by the clock, until it is dropped.
struct Timer {
    _stop: Sender<()>,
}

impl Timer {
    fn start(after: Duration, go_on: bool, requests: &Requests) -> Self {
        let (stop, stopped) = channel();
        let requests = requests.clone();
        // A program that goes on gets to run in between.
        let after = if go_on { after.max(SHORTEST) } else { after };
        let tick = move || {
            while stopped.recv_timeout(after) == Err(RecvTimeoutError::Timeout) {
                requests.planned_checkpoint(go_on);
                if !go_on {
                    return;
                }
            }
        };
        // Without a thread there is no checkpoint, as if the time had never come.
        let _ = thread::Builder::new().name("timer".to_owned()).spawn(tick);
        Timer { _stop: stop }
    }
}
