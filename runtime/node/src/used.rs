//! What a job has used, for its record and its receipt.

use std::fs;

use serde::{Deserialize, Serialize};
use wherry_engine::Job;

/// What a job has used over its whole life, as far as this node knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Used {
    /// Wall time of running, in milliseconds.
    pub wall_ms: u64,
    /// CPU time, in milliseconds.
    pub cpu_ms: u64,
    /// Memories and tables of the program, in bytes.
    pub memory_bytes: u64,
    /// The most memory that the process had on this node, in bytes; 0 if the system does not
    /// tell.
    pub peak_resident_bytes: u64,
    /// Bytes read from files and standard input.
    pub read_bytes: u64,
    /// Bytes written to files and standard streams.
    pub written_bytes: u64,
    /// Of these, bytes written to standard output.
    pub stdout_bytes: u64,
    /// Of these, bytes written to standard error.
    pub stderr_bytes: u64,
    /// Time that a GPU worked for it, in milliseconds.
    pub gpu_ms: u64,
    /// The most memory of a GPU that it had, in bytes.
    pub gpu_bytes: u64,
}

impl Used {
    /// What `job` has used; `before` is what was noted of it here.
    pub(crate) fn of(job: &mut Job, before: Option<Used>) -> Self {
        let before = before.unwrap_or_default();
        let time = job.accounting();
        let usage = job.usage().unwrap_or_default();
        let gpu = job.gpu_usage();
        let gpu_ms = gpu.map_or(before.gpu_ms, |gpu| {
            u64::try_from(gpu.time.as_millis()).unwrap_or(u64::MAX)
        });
        let gpu_bytes = gpu.map_or(0, |gpu| gpu.peak_bytes);
        Used {
            wall_ms: time.wall_ns / 1_000_000,
            cpu_ms: time.cpu_ns / 1_000_000,
            memory_bytes: job.memory_bytes(),
            peak_resident_bytes: peak_resident().max(before.peak_resident_bytes),
            read_bytes: usage.read_bytes,
            written_bytes: usage.written_bytes,
            stdout_bytes: usage.stdout_bytes,
            stderr_bytes: usage.stderr_bytes,
            gpu_ms,
            gpu_bytes: gpu_bytes.max(before.gpu_bytes),
        }
    }
}

/// The most memory that this process had.
fn peak_resident() -> u64 {
    fs::read_to_string("/proc/self/status").map_or(0, |status| peak_bytes(&status))
}

/// The most memory that a process had, from `/proc/PID/status`, which has it in KiB.
pub(crate) fn peak_bytes(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0).saturating_mul(1024)
}
