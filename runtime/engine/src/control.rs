//! Stopping a running program: on request, or when its time is up.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use wherry_wasi::Interrupt;

use crate::Reason;
use crate::flag::{Flag, Raiser};

/// Stops a job from another thread. Clones control the same job. A request that comes while
/// the job does not run is met as soon as it does.
#[derive(Clone)]
pub struct Control(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    interrupt: Interrupt,
}

#[derive(Default)]
struct State {
    requested: Option<Reason>,
    /// The flag of the instance that runs.
    running: Option<Raiser>,
}

/// The time that a run may take.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Allowance {
    pub(crate) wall: Option<Duration>,
    pub(crate) cpu: Option<Duration>,
}

impl Control {
    /// A control for one job.
    ///
    /// # Errors
    /// If the process has no descriptors left.
    pub fn new() -> io::Result<Self> {
        let (state, changed) = (Mutex::default(), Condvar::new());
        Ok(Control(Arc::new(Shared {
            state,
            changed,
            interrupt: Interrupt::new()?,
        })))
    }

    /// Stops the job at its next safepoint, with [`Reason::Checkpoint`].
    pub fn request_checkpoint(&self) {
        self.request(Reason::Checkpoint);
    }

    /// Stops the job at its next safepoint, with [`Reason::Killed`].
    pub fn kill(&self) {
        self.request(Reason::Killed);
    }

    pub(crate) fn request(&self, reason: Reason) {
        self.0.raise(&mut self.0.lock(), reason);
    }

    pub(crate) fn interrupt(&self) -> Interrupt {
        self.0.interrupt.clone()
    }

    /// Says which program requests are for from now on.
    pub(crate) fn begin(&self, flag: &Flag) {
        let mut state = self.0.lock();
        state.running = Some(flag.raiser());
        if let Some(reason) = state.requested {
            self.0.raise(&mut state, reason);
        }
    }

    /// Waits for the end of the run, and requests one when its time is up.
    pub(crate) fn watch(&self, allowance: Allowance) {
        let start = Clocks::now();
        let mut state = self.0.lock();
        while state.running.is_some() {
            let left = start.left_of(allowance);
            match left {
                Some((reason, Duration::ZERO)) if state.requested < Some(reason) => {
                    self.0.raise(&mut state, reason);
                }
                _ => {}
            }
            state = self.0.wait(
                state,
                left.map(|(_, left)| left).filter(|left| !left.is_zero()),
            );
        }
    }

    /// Ends the run for requests and for the watcher.
    pub(crate) fn finished(&self) {
        self.0.lock().running = None;
        self.0.changed.notify_all();
    }

    /// What was requested during the run that has finished.
    pub(crate) fn take_request(&self) -> Option<Reason> {
        let mut state = self.0.lock();
        self.0.interrupt.clear();
        state.requested.take()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A later reason outranks an earlier one.
    fn raise(&self, state: &mut State, reason: Reason) {
        state.requested = state.requested.max(Some(reason));
        if let Some(flag) = &state.running {
            flag.raise();
            self.interrupt.raise();
        }
    }

    fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        timeout: Option<Duration>,
    ) -> MutexGuard<'a, State> {
        match timeout {
            None => self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner),
            Some(timeout) => {
                let waited = self.changed.wait_timeout(state, timeout);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        }
    }
}

/// The clocks at the start of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clocks {
    wall: Instant,
    cpu: Duration,
}

impl Clocks {
    pub(crate) fn now() -> Self {
        Clocks {
            wall: Instant::now(),
            cpu: process_cpu_time(),
        }
    }

    /// Wall and CPU time since then.
    pub(crate) fn elapsed(self) -> (Duration, Duration) {
        (
            self.wall.elapsed(),
            process_cpu_time().saturating_sub(self.cpu),
        )
    }

    /// How long at least until a limit is reached, and which. A program has one thread, so
    /// that its CPU time grows no faster than the wall time.
    fn left_of(self, allowance: Allowance) -> Option<(Reason, Duration)> {
        let (wall, cpu) = self.elapsed();
        let wall = allowance
            .wall
            .map(|limit| (Reason::WallTime, limit.saturating_sub(wall)));
        let cpu = allowance
            .cpu
            .map(|limit| (Reason::CpuTime, limit.saturating_sub(cpu)));
        [wall, cpu]
            .into_iter()
            .flatten()
            .min_by_key(|(_, left)| *left)
    }
}

fn process_cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}
