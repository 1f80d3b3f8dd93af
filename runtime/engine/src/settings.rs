//! What a job is started with, and what this node lends it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
pub use wherry_snapshot::Quota;
use wherry_snapshot::{Digest, Key};
pub use wherry_wasi::{Input, Mount, Output, Scratch, Stdio};

/// How a program is started. Its arguments, environment and seed travel with the job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Arguments, the program's name first.
    pub args: Vec<String>,
    /// Environment variables, in order.
    pub env: Vec<(String, String)>,
    /// Seed of the random numbers that the program gets; `None` takes one from the system.
    pub seed: Option<[u8; 32]>,
    /// Makes the job deterministic: it can be run again, on any machine, and is in the same
    /// state whenever it has passed as many safepoints. The value is what its real-time clock
    /// shows when it starts, in nanoseconds since 1970. See `docs/determinism.md`.
    pub deterministic: Option<u64>,
    /// SHA-256 of the OCI manifest that the module came from, if it came from one.
    pub manifest: Option<Digest>,
}

/// Something of which a job may have no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Exhausted {
    /// Memory: growing failed in the guest.
    Memory,
    /// What it may write: that failed in the guest, with `dquot`.
    Quota(wherry_wasi::Exhausted),
}

/// Is told when a job gets no more of something, from the job's thread: at least once of each.
#[derive(Clone, Default)]
pub struct LimitObserver(Option<Arc<dyn Fn(Exhausted) + Send + Sync>>);

impl LimitObserver {
    /// Calls `tell`.
    pub fn new(tell: impl Fn(Exhausted) + Send + Sync + 'static) -> Self {
        LimitObserver(Some(Arc::new(tell)))
    }

    pub(crate) fn tell(&self, what: Exhausted) {
        if let Some(tell) = &self.0 {
            tell(what);
        }
    }
}

impl fmt::Debug for LimitObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LimitObserver")
    }
}

/// What this node lends a job, when it starts and anew whenever it is resumed.
#[derive(Debug)]
pub struct Settings {
    /// Directories of the host that the job may use.
    pub mounts: Vec<Mount>,
    /// An empty directory of the host for the job's own files, which travel with it.
    pub scratch: Option<Scratch>,
    /// Standard input, output and error.
    pub stdio: Stdio,
    /// Limits over the whole life of the job. When it is resumed, a limit that is given here
    /// replaces the one it was started with, and one that is not stays.
    pub limits: Limits,
    /// A GPU, if the job may use one: a program that does not has none.
    pub gpu: Option<wherry_gpu_host::Settings>,
    /// Whether a program that uses a GPU is started without one if there is none for it.
    pub gpu_optional: bool,
    /// What checkpoints are encrypted with. A job that is resumed from one that is encrypted
    /// keeps its key if there is none here.
    pub key: Option<Key>,
    /// Stop at exactly the nth safepoint executed from here on, counted from 1. The same
    /// program with the same input stops at the same place; it runs slower.
    pub countdown: Option<u64>,
    /// The smallest step that the host's clocks make for the job, in nanoseconds.
    pub clock_resolution: u64,
    /// Who wants to know when a limit is reached.
    pub limit_observer: LimitObserver,
}

impl Settings {
    /// No directories, no limits.
    #[must_use]
    pub fn new(stdio: Stdio) -> Self {
        Settings {
            mounts: Vec::new(),
            scratch: None,
            stdio,
            limits: Limits::default(),
            gpu: None,
            gpu_optional: false,
            key: None,
            countdown: None,
            clock_resolution: 1,
            limit_observer: LimitObserver::default(),
        }
    }
}

/// Limits over the whole life of a job; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of all linear memories and tables, and of buffers and textures of the GPU, together.
    /// Growing beyond fails in the guest.
    pub memory_bytes: Option<u64>,
    /// Wall time of running (time spent as a file does not count). The job is stopped.
    pub wall: Option<Duration>,
    /// CPU time of the process while the job runs. The job is stopped.
    pub cpu: Option<Duration>,
    /// What it may write. What is more is refused with `dquot`.
    pub quota: Quota,
}
