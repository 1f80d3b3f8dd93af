//! Limits of the process that the kernel has known for longest.

use std::io;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use crate::report::{Facility, Finding, State};

/// Limits of a process. Address space is not limited: the engine reserves far more of it than
/// a program uses, so that accesses need no checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Open descriptors.
    pub descriptors: u64,
    /// Bytes of private memory that can be written to: heap, stacks, memories of the program.
    pub memory_bytes: Option<u64>,
    /// CPU time. The kernel ends the process when it is used up, and by force a second later.
    pub cpu_time: Option<Duration>,
    /// Bytes of any file that it writes.
    pub file_bytes: Option<u64>,
}

impl Limits {
    pub(crate) fn apply(&self) -> Finding {
        let mut said = Vec::new();
        let cpu = self.cpu_time.map(|time| time.as_secs().max(1));
        let wanted = [
            ("descriptors", Resource::Nofile, Some(self.descriptors)),
            ("memory", Resource::Data, self.memory_bytes),
            ("file", Resource::Fsize, self.file_bytes),
            ("core", Resource::Core, Some(0)),
            ("locked", Resource::Memlock, Some(0)),
            ("queues", Resource::Msgqueue, Some(0)),
            ("priority", Resource::Rtprio, Some(0)),
        ];
        for (name, resource, value) in wanted {
            let Some(value) = value else { continue };
            if let Err(error) = lower(resource, value, value) {
                return Finding::missing(Facility::Rlimits, format!("{name}: {error}"));
            }
            said.push(format!("{name} {value}"));
        }
        if let Some(seconds) = cpu {
            if let Err(error) = lower(Resource::Cpu, seconds, seconds + 1) {
                return Finding::missing(Facility::Rlimits, format!("CPU time: {error}"));
            }
            said.push(format!("CPU time {seconds} s"));
        }
        Finding::new(Facility::Rlimits, State::Active, said.join(", "))
    }
}

/// Lowers a limit. What is lower already stays.
fn lower(resource: Resource, soft: u64, hard: u64) -> io::Result<()> {
    let now = getrlimit(resource);
    let least = |now: Option<u64>, wanted: u64| Some(now.map_or(wanted, |now| now.min(wanted)));
    let maximum = least(now.maximum, hard);
    let limit = Rlimit {
        current: least(now.current, soft).min(maximum),
        maximum,
    };
    Ok(setrlimit(resource, limit)?)
}
