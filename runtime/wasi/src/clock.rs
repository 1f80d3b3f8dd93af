//! Clocks. The monotonic clock and CPU time go on from the captured value after a restore,
//! as if the job had not been stopped.

use rustix::time::{ClockId, Timespec, clock_getres, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::memory::GuestMemory;
use crate::{Errno, Fault, Wasi};

const SECOND: u64 = 1_000_000_000;

/// What a new job's monotonic clock shows: not 0, which programs take for "never".
const EPOCH: u64 = SECOND;

/// Values of the clocks that stop with the job, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockState {
    /// The monotonic clock.
    pub monotonic: u64,
    /// CPU time of the job.
    pub cpu: u64,
}

/// The clocks of a running job.
#[derive(Debug)]
pub(crate) struct Clocks {
    monotonic: Stopwatch,
    /// A job has one thread, so this serves as the CPU time of both.
    cpu: Stopwatch,
}

/// A clock of the host, shown from another start.
#[derive(Debug)]
struct Stopwatch {
    clock: ClockId,
    host_start: u64,
    guest_start: u64,
}

impl Clocks {
    pub(crate) fn new() -> Self {
        Self::restore(ClockState {
            monotonic: EPOCH,
            cpu: 0,
        })
    }

    pub(crate) fn restore(state: ClockState) -> Self {
        Self {
            monotonic: Stopwatch::new(ClockId::Monotonic, state.monotonic),
            cpu: Stopwatch::new(ClockId::ProcessCPUTime, state.cpu),
        }
    }

    pub(crate) fn save(&self) -> ClockState {
        ClockState {
            monotonic: self.monotonic(),
            cpu: self.cpu.now(),
        }
    }

    /// Nanoseconds of the job's monotonic clock.
    pub(crate) fn monotonic(&self) -> u64 {
        self.monotonic.now()
    }

    fn now(&self, id: u32) -> Result<u64, Errno> {
        match id {
            0 => Ok(realtime()),
            1 => Ok(self.monotonic()),
            2 | 3 => Ok(self.cpu.now()),
            _ => Err(Errno::Inval),
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

/// Nanoseconds since 1970.
pub(crate) fn realtime() -> u64 {
    nanoseconds(clock_gettime(ClockId::Realtime))
}

/// A time before the clock's zero is shown as zero.
fn nanoseconds(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let rest = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(SECOND).saturating_add(rest)
}

/// Clocks.
impl Wasi {
    /// The resolution of a clock, in nanoseconds.
    ///
    /// # Errors
    /// `inval` for a clock that does not exist.
    pub fn clock_res_get(&mut self, memory: &mut [u8], id: u32, result: u32) -> Result<(), Fault> {
        let clock = match id {
            0 => ClockId::Realtime,
            1 => ClockId::Monotonic,
            2 | 3 => ClockId::ProcessCPUTime,
            _ => return Err(Errno::Inval.into()),
        };
        let resolution = nanoseconds(clock_getres(clock)).max(1);
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
        let now = self.clocks.now(id)?;
        Ok(memory.put_u64(result, now)?)
    }
}
