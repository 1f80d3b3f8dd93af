//! Why a job cannot be found, run or controlled.

use std::io;
use std::path::{Path, PathBuf};

/// Why a job cannot be found, run or controlled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No job has this id, or one that begins so.
    #[error("there is no job `{0}`")]
    NoSuchJob(String),
    /// The beginning of several ids.
    #[error("`{prefix}` is the beginning of {count} job ids, write more of it")]
    Ambiguous {
        /// What was asked for.
        prefix: String,
        /// How many jobs it fits.
        count: usize,
    },
    /// Another process runs the job.
    #[error("the job {0} is running")]
    Running(String),
    /// Another process uses the state directory.
    #[error("the state in {} is in use by another process", .0.display())]
    StateInUse(PathBuf),
    /// A directory is no state directory of one job.
    #[error("{} is not the state of a job: {reason}", path.display())]
    ForeignState {
        /// The directory.
        path: PathBuf,
        /// What is in it.
        reason: String,
    },
    /// No process runs the job.
    #[error("the job {id} is not running: it is {state}")]
    NotRunning {
        /// The job.
        id: String,
        /// How it stands.
        state: crate::State,
    },
    /// The record of a job says something that makes no sense.
    #[error("{}: {reason}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The process that runs the job did not answer as it should.
    #[error("the job {id} does not answer: {reason}")]
    NoAnswer {
        /// The job.
        id: String,
        /// Why.
        reason: String,
    },
    /// The process that runs the job refuses.
    #[error("the job {id} refuses: {reason}")]
    Refused {
        /// The job.
        id: String,
        /// Why.
        reason: String,
    },
    /// A checkpoint could not be written. What was there before still is.
    #[error("the checkpoint {} cannot be written: {source}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// Why.
        source: wherry_engine::Error,
    },
    /// A file is not the checkpoint that it should be.
    #[error("{} is not checkpoint {sequence} of the job: {reason}", path.display())]
    OtherCheckpoint {
        /// The file.
        path: PathBuf,
        /// The number of the checkpoint that it should be.
        sequence: u64,
        /// How that is known.
        reason: String,
    },
    /// A file or directory could not be used.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was being done: `read`, `write`, …
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The key of the node is damaged, or cannot be made.
    #[error("the node's key {}: {source}", path.display())]
    NodeKey {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: wherry_trust::KeyError,
    },
    /// A process that works for the job could not do what it was to do.
    #[error("{0}")]
    Failed(#[source] crate::Failure),
    /// A process that works for the job cannot be started, or talked to.
    #[error("the process {name} of the job: {source}")]
    Process {
        /// Which.
        name: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The process that runs the job says what cannot be: it is not believed any more.
    #[error("the process of the job is not what it was: it says that {what}")]
    Nonsense {
        /// What it says.
        what: String,
    },
    /// The process that ran the job died.
    #[error("the process of the job died: {how}")]
    Died {
        /// What is known of it.
        how: String,
    },
    /// The process that ran the job took more memory than the job, and what is needed to run it, may.
    #[error("the system ended the process of the job: it took more than {limit} bytes of memory")]
    OutOfMemory {
        /// The limit.
        limit: u64,
    },
    /// The compiler's process died.
    #[error(
        "the module cannot be compiled with {} of CPU time and {} MiB of memory: {how}",
        humantime::format_duration(limits.cpu_time),
        limits.memory_bytes >> 20
    )]
    Compiler {
        /// What is known of it.
        how: String,
        /// What it may use.
        limits: crate::CompilerLimits,
    },
    /// The process of the job cannot be confined as it should be.
    #[error(transparent)]
    Confinement(#[from] wherry_sandbox::Error),
    /// The engine cannot go on with the job.
    #[error(transparent)]
    Engine(#[from] wherry_engine::Error),
}

impl Error {
    /// For `map_err`: an operation on `path` failed.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}
