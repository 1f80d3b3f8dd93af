//! What the system says that the process of a job has used: it may be in a stranger's hands, and
//! understate it.

use std::fs;
use std::process::Child;

use rustix::param::clock_ticks_per_second;

use crate::Used;
use crate::used::peak_bytes;

/// What a process has used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Account {
    /// CPU time of all its threads, those that have ended as well.
    cpu_ms: u64,
    /// The most memory that it had.
    peak_bytes: u64,
}

impl Account {
    /// Of a child that was not waited for.
    pub(super) fn of(child: &Child) -> Self {
        let read = |name: &str| fs::read_to_string(format!("/proc/{}/{name}", child.id()));
        Account {
            cpu_ms: read("stat").map_or(0, |stat| cpu_ms(&stat, clock_ticks_per_second())),
            peak_bytes: read("status").map_or(0, |status| peak_bytes(&status)),
        }
    }

    /// What a job has used, of which its process says `said`, and which had used `before` it began.
    pub(super) fn correct(self, said: Used, before: Used) -> Used {
        Used {
            cpu_ms: said.cpu_ms.max(before.cpu_ms.saturating_add(self.cpu_ms)),
            peak_resident_bytes: said.peak_resident_bytes.max(self.peak_bytes),
            ..said
        }
    }
}

/// From `/proc/PID/stat`, in which the name of the program can have any characters.
fn cpu_ms(stat: &str, ticks_per_second: u64) -> u64 {
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    // `utime` and `stime` are the 14th and 15th of all, the first two of which are gone.
    let times = fields.split_whitespace().skip(11).take(2);
    let ticks = times.map(|time| time.parse().unwrap_or(0));
    let ticks = ticks.fold(0, u64::saturating_add);
    ticks.saturating_mul(1000) / ticks_per_second.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_is_read_whatever_the_program_is_called() {
        let stat = "7 (a) 9 9 (b) R 1 7 7 0 -1 4194304 99 0 0 0 150 25 9 9 20 0 4 0 17 1 2";
        assert_eq!(cpu_ms(stat, 100), 1750);
        assert_eq!(cpu_ms("", 100), 0);
        assert_eq!(peak_bytes("Name:\tx\nVmHWM:\t    12 kB\n"), 12288);
        assert_eq!(peak_bytes("Name:\tx\n"), 0);
    }

    #[test]
    fn what_is_understated_is_corrected_and_the_rest_believed() {
        let used = |cpu_ms, peak| Used {
            cpu_ms,
            peak_resident_bytes: peak,
            wall_ms: 5,
            ..Used::default()
        };
        let account = Account {
            cpu_ms: 30,
            peak_bytes: 100,
        };
        assert_eq!(account.correct(used(0, 0), used(20, 0)), used(50, 100));
        assert_eq!(account.correct(used(90, 200), used(20, 0)), used(90, 200));
    }
}
