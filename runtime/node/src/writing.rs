//! A checkpoint on its way to the disk, while the job waits or runs on.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use wherry_engine::{Capture, Checkpoint, Job, NewFile};
use wherry_snapshot::Key;

use crate::checkpoints;
use crate::process::OUTGOING_NAME as NAME;
use crate::record::now;
use crate::requests::{CheckpointRequest, Requests};
use crate::store::OUTGOING;
use crate::supervisor::{Observer, sync};
use crate::{Answer, Checkpointed, Error, Event, Form, state_name};

/// What both the supervisor and who writes in the background work on.
pub(crate) struct Shared<'a> {
    directory: &'a Path,
    observer: &'a dyn Observer,
    outputs: Vec<Arc<File>>,
}

impl<'a> Shared<'a> {
    pub(crate) fn new(
        directory: &'a Path,
        observer: &'a dyn Observer,
        outputs: Vec<Arc<File>>,
    ) -> Self {
        Shared {
            directory,
            observer,
            outputs,
        }
    }

    /// Captures the stopped job, to be brought to the user's file `to`, which is replaced, or to
    /// one of its own, which are never. Nothing builds on a file of the user's, nor does such a
    /// file on others: it may go anywhere.
    pub(crate) fn capture(&self, job: &mut Job, to: Option<PathBuf>) -> Result<Captured, Error> {
        let is_own = to.is_none();
        let sequence = job.sequence().saturating_add(1);
        let path = to.unwrap_or_else(|| checkpoints::own(self.directory, sequence));
        let refused = |source| Error::Checkpoint {
            path: path.clone(),
            source,
        };
        let extent = match is_own {
            true => wherry_engine::Extent::Delta,
            false => wherry_engine::Extent::Full,
        };
        let outgoing = self.directory.join(OUTGOING).join(NAME);
        let file = NewFile::replacing(&outgoing).map_err(refused)?;
        let capture = file.handle().and_then(|file| job.capture(file, extent));
        Ok(Captured {
            capture: capture.map_err(refused)?,
            key: job.key().cloned(),
            file,
            path,
            is_own,
        })
    }

    /// Writes a checkpoint, and notes it.
    pub(crate) fn write(&self, captured: Captured, pause: Pause) -> Result<Written, Error> {
        // A checkpoint says how much output there is.
        sync(&self.outputs)?;
        let written = captured.write(pause)?;
        let noted = self.observer.written(&written.done);
        noted.map_err(|source| {
            let path = written.done.path.clone();
            Error::Checkpoint {
                path: path.clone(),
                source: wherry_engine::Error::File { path, source },
            }
        })?;
        Ok(written)
    }

    /// Tells that a checkpoint could not be written.
    pub(crate) fn refuse(&self, requests: Vec<CheckpointRequest>, error: &Error) {
        self.observer
            .observe(Event::CheckpointFailed(error.to_string()));
        for reply in requests.into_iter().filter_map(|request| request.reply) {
            let _ = reply.send(Answer::Refused(error.to_string()));
        }
    }
}

/// How long the program stands still for a checkpoint.
#[derive(Clone, Copy)]
pub(crate) enum Pause {
    /// It has gone on after this.
    Was(Duration),
    /// It waits since then.
    Since(Instant),
}

/// The state of a job, and the file that it goes to.
pub(crate) struct Captured {
    capture: Capture<File>,
    key: Option<Key>,
    file: NewFile,
    path: PathBuf,
    is_own: bool,
}

/// A checkpoint that is on the disk.
pub(crate) struct Written {
    pub(crate) done: Checkpointed,
    checkpoint: Checkpoint,
    is_own: bool,
}

impl Written {
    /// The next checkpoint may build on the job's own.
    pub(crate) fn tell(&self, job: &mut Job) {
        job.written(&self.checkpoint, self.is_own);
    }
}

impl Captured {
    fn write(self, pause: Pause) -> Result<Written, Error> {
        let Captured {
            capture,
            key,
            file,
            path,
            is_own,
        } = self;
        let start = Instant::now();
        let tracking = capture.tracking().map(str::to_owned);
        let form = match capture.extent() {
            wherry_engine::Extent::Full => Form::Full,
            wherry_engine::Extent::Delta => Form::Delta,
        };
        let written = capture
            .write()
            .and_then(|written| file.hand_over().map(|()| written));
        let checkpoint = written.map_err(|source| Error::Checkpoint {
            path: path.clone(),
            source,
        })?;
        let summary = &checkpoint.summary;
        let pause = match pause {
            Pause::Was(pause) => pause,
            Pause::Since(stopped) => stopped.elapsed(),
        };
        let done = Checkpointed {
            sequence: checkpoint.sequence,
            path,
            state_digest: state_name(&summary.state_digest, key.as_ref()),
            bytes: summary.bytes,
            raw_bytes: summary.chunk_bytes,
            pause_us: microseconds(pause),
            write_us: microseconds(start.elapsed()),
            form,
            tracking,
            at: now(),
        };
        Ok(Written {
            done,
            checkpoint,
            is_own,
        })
    }
}

/// A checkpoint that is written while the job runs on.
pub(crate) struct Background<'scope> {
    thread: ScopedJoinHandle<'scope, Option<Written>>,
    progress: Arc<Mutex<Progress>>,
}

#[derive(Default)]
struct Progress {
    is_done: bool,
    /// Someone wants the job to be stopped again when it is.
    is_awaited: bool,
}

impl<'scope> Background<'scope> {
    /// Writes what was captured after `pause`, and answers `requests` when it is on the disk.
    pub(crate) fn start<'env>(
        scope: &'scope Scope<'scope, 'env>,
        shared: &'scope Shared<'_>,
        control: Requests,
        captured: Captured,
        pause: Duration,
        requests: Vec<CheckpointRequest>,
    ) -> Self {
        let progress = Arc::<Mutex<Progress>>::default();
        let shown = Arc::clone(&progress);
        let thread = scope.spawn(move || {
            let written = match shared.write(captured, Pause::Was(pause)) {
                Ok(written) => {
                    for reply in requests.into_iter().filter_map(|request| request.reply) {
                        let _ = reply.send(Answer::Checkpointed(written.done.clone()));
                    }
                    Some(written)
                }
                Err(error) => {
                    shared.refuse(requests, &error);
                    None
                }
            };
            let mut progress = lock(&shown);
            progress.is_done = true;
            if progress.is_awaited {
                control.control().request_checkpoint();
            }
            written
        });
        Background { thread, progress }
    }

    /// Has the job stopped again when this is done; unless it is done already.
    pub(crate) fn await_end(&self) -> bool {
        let mut progress = lock(&self.progress);
        progress.is_awaited = true;
        !progress.is_done
    }

    /// Waits until it is done, and tells the job.
    pub(crate) fn finish(self, job: &mut Job) {
        let written = self.thread.join();
        let written = written.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        if let Some(written) = written {
            written.tell(job);
        }
    }
}

/// A panic of another thread leaves nothing half done that a mutex here protects.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
