//! Clocks. The monotonic clock and CPU time go on from the captured value after a restore,
//! as if the job had not been stopped.
//!
//! A deterministic job has clocks of its own: they stand still while it computes, and move by
//! [`TICK`] whenever it looks at one of them or creates or changes a file. What it waits for
//! is there at once, and they have moved by as long as it would have taken.

use rustix::time::{ClockId, Timespec, clock_getres, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::attributes::Moment;
use crate::memory::GuestMemory;
use crate::{Errno, Fault, Wasi};

const SECOND: u64 = 1_000_000_000;

/// What a new job's monotonic clock shows: not 0, which programs take for "never".
const EPOCH: u64 = SECOND;

/// By how much a deterministic job's clocks move at a time, in nanoseconds. Also what they
/// say that their resolution is.
const TICK: u64 = 1_000;

/// Values of the clocks that stop with the job, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockState {
    /// The monotonic clock.
    pub monotonic: u64,
    /// CPU time of the job.
    pub cpu: u64,
}

/// The clocks of a running job. It has one thread, so the CPU time of both is one.
#[derive(Debug)]
pub(crate) enum Clocks {
    /// The host's.
    Host {
        monotonic: Stopwatch,
        cpu: Stopwatch,
    },
    /// Those of a deterministic job.
    Own {
        now: ClockState,
        /// What the real-time clock showed when the job started.
        start: u64,
    },
}

/// A clock of the host, shown from another start.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    clock: ClockId,
    host_start: u64,
    guest_start: u64,
}

impl Clocks {
    /// `start` is what a deterministic job's real-time clock showed when it started.
    pub(crate) fn new(start: Option<u64>) -> Self {
        let now = ClockState {
            monotonic: EPOCH,
            cpu: 0,
        };
        Self::restore(now, start)
    }

    pub(crate) fn restore(state: ClockState, start: Option<u64>) -> Self {
        match start {
            Some(start) => Self::Own { now: state, start },
            None => Self::Host {
                monotonic: Stopwatch::new(ClockId::Monotonic, state.monotonic),
                cpu: Stopwatch::new(ClockId::ProcessCPUTime, state.cpu),
            },
        }
    }

    pub(crate) fn save(&self) -> ClockState {
        match self {
            Self::Own { now, .. } => *now,
            Self::Host { monotonic, cpu } => ClockState {
                monotonic: monotonic.now(),
                cpu: cpu.now(),
            },
        }
    }

    /// Nanoseconds of the job's monotonic clock.
    pub(crate) fn monotonic(&self) -> u64 {
        match self {
            Self::Own { now, .. } => now.monotonic,
            Self::Host { monotonic, .. } => monotonic.now(),
        }
    }

    /// Nanoseconds since 1970.
    pub(crate) fn realtime(&self) -> u64 {
        match self {
            Self::Own { now, start } => start.saturating_add(now.monotonic.saturating_sub(EPOCH)),
            Self::Host { .. } => nanoseconds(clock_gettime(ClockId::Realtime)),
        }
    }

    fn look(&mut self, id: u32) -> Result<u64, Errno> {
        self.tick();
        match id {
            0 => Ok(self.realtime()),
            1 => Ok(self.monotonic()),
            2 | 3 => Ok(self.save().cpu),
            _ => Err(Errno::Inval),
        }
    }

    fn resolution(&self, id: u32) -> Result<u64, Errno> {
        let clock = match id {
            0 => ClockId::Realtime,
            1 => ClockId::Monotonic,
            2 | 3 => ClockId::ProcessCPUTime,
            _ => return Err(Errno::Inval),
        };
        match self {
            Self::Own { .. } => Ok(TICK),
            Self::Host { .. } => Ok(nanoseconds(clock_getres(clock)).max(1)),
        }
    }

    /// Moves a deterministic job's clocks a little, and says what they show.
    pub(crate) fn tick(&mut self) -> Moment {
        if let Self::Own { now, .. } = self {
            now.monotonic = now.monotonic.saturating_add(TICK);
            now.cpu = now.cpu.saturating_add(TICK);
        }
        Moment {
            monotonic: self.monotonic(),
            realtime: self.realtime(),
        }
    }

    /// Lets time pass in which a deterministic job waits. The host's time passes by itself.
    pub(crate) fn pass(&mut self, nanoseconds: u64) {
        if let Self::Own { now, .. } = self {
            now.monotonic = now.monotonic.saturating_add(nanoseconds);
        }
    }
}

impl Stopwatch {
    fn new(clock: ClockId, guest_start: u64) -> Self {
        Self {
            clock,
            host_start: nanoseconds(clock_gettime(clock)),
            guest_start,
        }
    }

    fn now(&self) -> u64 {
        let elapsed = nanoseconds(clock_gettime(self.clock)).saturating_sub(self.host_start);
        self.guest_start.saturating_add(elapsed)
    }
}

/// A time before the clock's zero is shown as zero.
fn nanoseconds(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let rest = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(SECOND).saturating_add(rest)
}

/// Clocks.
impl Wasi {
    /// A time as fine as the job may see it.
    pub(crate) fn coarse(&self, time: u64) -> u64 {
        time - time.checked_rem(self.clock_resolution).unwrap_or(0)
    }

    /// The resolution of a clock, in nanoseconds.
    ///
    /// # Errors
    /// `inval` for a clock that does not exist.
    pub fn clock_res_get(&mut self, memory: &mut [u8], id: u32, result: u32) -> Result<(), Fault> {
        let resolution = self.clocks.resolution(id)?.max(self.clock_resolution);
        Ok(memory.put_u64(result, resolution)?)
    }

    /// The time of a clock, in nanoseconds; `precision` is ignored, as it may be.
    ///
    /// # Errors
    /// `inval` for a clock that does not exist.
    pub fn clock_time_get(
        &mut self,
        memory: &mut [u8],
        id: u32,
        _precision: u64,
        result: u32,
    ) -> Result<(), Fault> {
        let now = self.clocks.look(id)?;
        let now = self.coarse(now);
        Ok(memory.put_u64(result, now)?)
    }
}
