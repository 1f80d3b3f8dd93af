//! Runs a job to its end or its suspension, and writes its checkpoints on the way.

use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use wherry_engine::{Job, Outcome, Reason, Trap, write_anew, write_atomically};
use wherry_snapshot::hex;

use crate::record::now;
use crate::requests::CheckpointRequest;
use crate::retention::delete;
use crate::{ActiveJob, Answer, Checkpointed, ControlSocket, End, Error, Requests, Status};

/// The shortest time from one regular checkpoint to the next.
const SHORTEST: Duration = Duration::from_millis(1);

/// When checkpoints are made without being asked for, and where they go.
#[derive(Clone, Debug, Default)]
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
}

/// How a run ended.
#[derive(Debug)]
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
#[derive(Debug)]
pub enum Event<'a> {
    /// A checkpoint is on the disk.
    Checkpointed(&'a Checkpointed),
    /// A checkpoint could not be written. The job goes on.
    CheckpointFailed(&'a Error),
    /// An older checkpoint, which the job does not keep, could not be deleted.
    NotDeleted(&'a Error),
}

/// Runs `job` until it ends or is suspended. `keep` its scratch directory when it has ended.
///
/// # Errors
/// The engine fails, or a checkpoint that was to end the run cannot be written. The job's
/// previous checkpoint is as it was.
pub fn supervise(
    job: Job,
    active: ActiveJob,
    socket: ControlSocket,
    requests: &Requests,
    plan: Plan,
    keep: bool,
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<Ending, Error> {
    let _timer = plan
        .after
        .map(|after| Timer::start(after, plan.go_on, requests));
    let mut supervisor = Supervisor {
        job,
        active,
        requests,
        plan,
        observe,
        suspenders: Vec::new(),
    };
    let ending = supervisor.run();
    let Supervisor {
        active, suspenders, ..
    } = supervisor;
    let ending = conclude(active, ending, keep);
    // Only now, without the lock: who hears that a job is suspended may resume it at once.
    answer(requests, suspenders, &ending);
    socket.close();
    ending
}

struct Supervisor<'a> {
    job: Job,
    active: ActiveJob,
    requests: &'a Requests,
    plan: Plan,
    observe: &'a mut dyn FnMut(Event<'_>),
    /// Who asked for the checkpoint that suspends the job.
    suspenders: Vec<(Sender<Answer>, Checkpointed)>,
}

impl Supervisor<'_> {
    fn run(&mut self) -> Result<Ending, Error> {
        loop {
            self.count_to_next();
            match self.job.run()? {
                Outcome::Exited(code) => return Ok(Ending::Exited(code)),
                Outcome::Trapped(trap) => return Ok(Ending::Trapped(trap)),
                Outcome::Stopped(Reason::Killed) => {
                    return Ok(Ending::Killed(
                        self.active.record.last_checkpoint().cloned(),
                    ));
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

    /// Does what was asked for. Returns the checkpoint that ends the run, if one does.
    fn stopped(&mut self, reason: Reason) -> Result<Option<Checkpointed>, Error> {
        let stopped = Instant::now();
        let mut requests = self.requests.take();
        requests.extend(self.due(reason));
        let mut last = None;
        let mut written: Vec<(Option<PathBuf>, Checkpointed)> = Vec::new();
        for request in requests {
            let to = self.destination(&request);
            let known = written.iter().find(|(known, _)| *known == to);
            let done = match known {
                Some((_, done)) => done.clone(),
                None => match self.write(to.clone(), stopped) {
                    Ok(done) => done,
                    Err(error) => {
                        self.failed(request, error, stopped)?;
                        continue;
                    }
                },
            };
            written.push((to, done.clone()));
            match (request.go_on, request.reply) {
                (true, Some(reply)) => drop(reply.send(Answer::Checkpointed(done))),
                (true, None) => {}
                (false, reply) => {
                    self.suspenders
                        .extend(reply.map(|reply| (reply, done.clone())));
                    last = Some(done);
                }
            }
        }
        Ok(last)
    }

    /// The checkpoint that is due because of how the program stopped.
    fn due(&self, reason: Reason) -> Option<CheckpointRequest> {
        let go_on = match reason {
            Reason::Countdown => self.plan.go_on || self.plan.every.is_some(),
            Reason::CpuTime | Reason::WallTime => false,
            Reason::Checkpoint | Reason::Killed => return None,
        };
        Some(CheckpointRequest {
            to: None,
            go_on,
            planned: true,
            reply: None,
        })
    }

    /// The user's file that a checkpoint goes to; none if it is the job's own.
    fn destination(&self, request: &CheckpointRequest) -> Option<PathBuf> {
        let asked = request.to.as_ref().or(self.plan.checkpoint_to.as_ref());
        asked.cloned()
    }

    /// Writes a file as a whole or not at all: one of the user's is replaced, the job's own are
    /// never.
    fn write(&mut self, to: Option<PathBuf>, stopped: Instant) -> Result<Checkpointed, Error> {
        let sequence = self.job.sequence().saturating_add(1);
        let is_own = to.is_none();
        let path = to.map_or_else(|| self.active.own_checkpoint(sequence), Ok)?;
        let job = &mut self.job;
        let written = if is_own {
            write_anew(&path, |file| job.checkpoint(file))
        } else {
            write_atomically(&path, |file| job.checkpoint(file))
        };
        let summary = written.map_err(|source| Error::Checkpoint {
            path: path.clone(),
            source,
        })?;
        let pause = stopped.elapsed().as_micros();
        let done = Checkpointed {
            sequence,
            path,
            state_digest: format!("sha256:{}", hex(&summary.state_digest)),
            bytes: summary.bytes,
            raw_bytes: summary.chunk_bytes,
            pause_us: u64::try_from(pause).unwrap_or(u64::MAX),
            at: now(),
        };
        self.note(&done)?;
        Ok(done)
    }

    fn note(&mut self, done: &Checkpointed) -> Result<(), Error> {
        let of_no_use = self.active.keep(done.clone())?;
        (self.observe)(Event::Checkpointed(done));
        if let Err(error) = delete(&of_no_use) {
            (self.observe)(Event::NotDeleted(&error));
        }
        Ok(())
    }

    /// A checkpoint could not be written. What the job has done so far is not thrown away
    /// because of that: it goes on, unless the run was to end here. Then its own directory
    /// is tried before it does.
    fn failed(
        &mut self,
        request: CheckpointRequest,
        error: Error,
        stopped: Instant,
    ) -> Result<(), Error> {
        if !request.planned || request.go_on {
            (self.observe)(Event::CheckpointFailed(&error));
            if let Some(reply) = request.reply {
                let _ = reply.send(Answer::Refused(error.to_string()));
            }
            return Ok(());
        }
        if let Ok(own) = self.write(None, stopped) {
            let reason = format!("the checkpoint went to {} instead", own.path.display());
            self.suspend(&reason)?;
        }
        Err(error)
    }

    fn suspend(&mut self, reason: &str) -> Result<(), Error> {
        suspend(&mut self.active, reason)
    }
}

fn suspend(active: &mut ActiveJob, reason: &str) -> Result<(), Error> {
    active.record.status = Status::Suspended {
        at: now(),
        reason: reason.to_owned(),
    };
    active.save(true)
}

/// Notes how the run ended, and gives the job free.
fn conclude(
    mut active: ActiveJob,
    ending: Result<Ending, Error>,
    keep: bool,
) -> Result<Ending, Error> {
    match &ending {
        Ok(Ending::Suspended(reason, _)) => suspend(&mut active, &reason.to_string())?,
        Ok(Ending::Exited(code)) => {
            active.remove_checkpoints()?;
            active.end(End::Exited(*code))?;
        }
        Ok(Ending::Trapped(trap)) => active.end(End::Trapped(trap.message.clone()))?,
        Ok(Ending::Killed(_)) => active.end(End::Killed)?,
        // It was suspended after all.
        Err(_) if matches!(active.record.status, Status::Suspended { .. }) => {}
        Err(error) => active.end(End::Failed(error.to_string()))?,
    }
    // A checkpoint has its own copy of the files.
    let suspended = matches!(ending, Ok(Ending::Suspended(..)));
    if suspended || !keep {
        active.remove_scratch()?;
    }
    ending
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
