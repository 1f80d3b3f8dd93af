//! What a checkpoint holds, section by section.

use serde::{Deserialize, Serialize};

use crate::{Digest, Execution};

/// What was running.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    /// SHA-256 of the original module.
    pub module: Digest,
    /// SHA-256 of the OCI manifest that the module came from, if it came from one.
    pub manifest: Option<Digest>,
    /// The version of the instrumentation pass, which chose the safepoints.
    pub instrumentation: u32,
}

/// A linear memory: its size, and the digests of those pages that are not zero.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Current size in pages of 64 KiB.
    pub pages: u64,
    /// Declared maximum in pages.
    pub maximum: Option<u64>,
    /// Pages that are not zero: ascending, not empty, with a zero page between two runs.
    pub runs: Vec<Run>,
}

impl Memory {
    /// The pages that are not zero, by number, with their digests.
    pub fn pages(&self) -> impl Iterator<Item = (u64, &Digest)> {
        self.runs
            .iter()
            .flat_map(|run| (run.first..).zip(&run.pages))
    }
}

/// Successive pages that are not zero.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Number of the first page.
    pub first: u64,
    /// SHA-256 of each page.
    pub pages: Vec<Digest>,
}

/// What the job was started with, as far as resuming it needs it. Where the host kept the
/// mounted directories is not here: another node has others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Arguments, the program's name first.
    pub args: Vec<String>,
    /// Environment variables, in order.
    pub env: Vec<(String, String)>,
    /// Directories that whoever resumes the job must provide.
    pub mounts: Vec<Mount>,
    /// Limits over the whole life of the job.
    pub limits: Limits,
}

/// A directory that the job sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Its path for the guest.
    pub guest: String,
    /// Whether the guest may not write to it.
    pub read_only: bool,
}

/// Limits over the whole life of a job, before and after every checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of all linear memories and tables together.
    pub memory_bytes: Option<u64>,
    /// Wall time of running, in nanoseconds (time spent as a file does not count).
    pub wall_ns: Option<u64>,
    /// CPU time in nanoseconds.
    pub cpu_ns: Option<u64>,
}

/// What the job has used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accounting {
    /// Wall time of running, in nanoseconds.
    pub wall_ns: u64,
    /// CPU time in nanoseconds.
    pub cpu_ns: u64,
}

/// What the job may write, and has written and read, over its whole life. Files from before
/// there was this section lack it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// What it may write.
    pub quota: Quota,
    /// Bytes that it wrote to standard output.
    pub stdout_bytes: u64,
    /// Bytes that it wrote to standard error.
    pub stderr_bytes: u64,
    /// Bytes that it wrote to directories that it was lent.
    pub lent_bytes: u64,
    /// Files, directories and links that it created there.
    pub lent_files: u64,
    /// Bytes that it read from files and standard input.
    pub read_bytes: u64,
    /// Bytes that it wrote to files, standard output and standard error.
    pub written_bytes: u64,
}

/// What a job may write over its whole life; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// Bytes of the files in its scratch directory.
    pub scratch_bytes: Option<u64>,
    /// Files, directories and links in its scratch directory, and those that it creates
    /// elsewhere.
    pub files: Option<u64>,
    /// Bytes to standard output and to directories that it is lent.
    pub output_bytes: Option<u64>,
    /// Bytes to standard error.
    pub log_bytes: Option<u64>,
}

impl Quota {
    /// Where this says nothing, what `other` says.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Quota {
            scratch_bytes: self.scratch_bytes.or(other.scratch_bytes),
            files: self.files.or(other.files),
            output_bytes: self.output_bytes.or(other.output_bytes),
            log_bytes: self.log_bytes.or(other.log_bytes),
        }
    }

    /// Whether files are limited, so that they may not be moved between directories.
    #[must_use]
    pub fn limits_files(&self) -> bool {
        self.scratch_bytes
            .or(self.files)
            .or(self.output_bytes)
            .is_some()
    }
}

/// Where a checkpoint stands among those of its job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lineage {
    /// 1 for the first checkpoint of a job.
    pub sequence: u64,
    /// State digest of the checkpoint before this one.
    pub parent: Option<Digest>,
}

/// What makes a job reproducible, and how far it is. Only jobs of the deterministic profile
/// have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Version of the profile's rules: what the clocks show, how files are numbered.
    pub version: u32,
    /// Safepoints that the job has passed since its start, the one it is stopped at included.
    pub position: u64,
    /// What the real-time clock showed when the job started, in nanoseconds since 1970.
    pub start_time: u64,
    /// The limit of memory, which the program can find out.
    pub memory_bytes: Option<u64>,
}

/// Everything in a checkpoint but the chunks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// What was running.
    pub workload: Workload,
    /// Frames, globals, tables, dropped segments.
    pub execution: Execution,
    /// The linear memories, in index order.
    pub memories: Vec<Memory>,
    /// The state of the WASI host, in that host's own encoding.
    pub wasi: Vec<u8>,
    /// What the job was started with.
    pub settings: Settings,
    /// What it has used.
    pub accounting: Accounting,
    /// Its place among the job's checkpoints.
    pub lineage: Lineage,
    /// The deterministic profile, if the job has it.
    pub profile: Option<Profile>,
    /// What it has written and read.
    pub usage: Option<Usage>,
    /// What the job has on a GPU, if it uses one.
    pub gpu: Option<Gpu>,
}

/// What a job has on a GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpu {
    /// The state of the GPU host, in that host's own encoding.
    pub state: Vec<u8>,
    /// For how long the GPU has worked for the job, in nanoseconds over its whole life.
    pub used_ns: u64,
}
