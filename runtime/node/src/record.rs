//! What a node remembers of a job.

use std::fmt;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// The version of the record's format that is written, and the only one that is read.
pub(crate) const FORMAT: u32 = 1;

/// What a node remembers of a job: enough to show it and to resume it with the same grants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Version of this format.
    pub(crate) format: u32,
    /// The job's name on this node.
    pub id: String,
    /// What was run, as the user named it.
    pub workload: String,
    /// Digest of the module, `sha256:…`.
    pub module: String,
    /// Digest of the manifest, `sha256:…`, if the module came from an artifact.
    pub manifest: Option<String>,
    /// Arguments, the program's name first.
    pub args: Vec<String>,
    /// Directories of the host that the job has.
    pub mounts: Vec<MountRecord>,
    /// Name of the scratch directory for the guest, if the job has one.
    pub scratch: Option<String>,
    /// When the job was started, in milliseconds since 1970.
    pub created: u64,
    /// How the job stands, as far as whoever ran it could say.
    pub status: Status,
    /// Its last checkpoint.
    pub checkpoint: Option<Checkpointed>,
}

/// A directory of the host that a job has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MountRecord {
    /// Its absolute path.
    pub host: PathBuf,
    /// Its name for the guest.
    pub guest: String,
    /// Whether the guest may not write to it.
    pub read_only: bool,
}

/// How a job stands, as its record says. Times are in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase", deny_unknown_fields)]
pub enum Status {
    /// A process runs it, or was killed while it did.
    Running {
        /// That process.
        pid: u32,
        /// Since when.
        since: u64,
    },
    /// It left a checkpoint and stopped.
    Suspended {
        /// When.
        at: u64,
        /// Why.
        reason: String,
    },
    /// It will not run again.
    Ended {
        /// When.
        at: u64,
        /// How.
        end: End,
    },
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum End {
    /// By itself, with this code.
    Exited(u32),
    /// It did something that WebAssembly forbids.
    Trapped(String),
    /// Someone killed it.
    Killed,
    /// The runtime could not go on with it.
    Failed(String),
}

/// A checkpoint that was written, and what it took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpointed {
    /// The file.
    pub path: PathBuf,
    /// Identifies the state, `sha256:…`.
    pub state_digest: String,
    /// Length of the file in bytes.
    pub bytes: u64,
    /// Bytes of memory and files in it, before compression.
    pub raw_bytes: u64,
    /// How long the program stood still, in microseconds: until the file was on the disk.
    pub pause_us: u64,
    /// When it was made, in milliseconds since 1970.
    pub at: u64,
}

/// How a job really stands: what its record says, checked against who runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// A process runs it.
    Running,
    /// It left a checkpoint and stopped.
    Suspended,
    /// The process that ran it is gone without a word. It can be resumed from its last
    /// checkpoint, if it has one.
    Lost,
    /// It will not run again.
    Ended,
}

impl Record {
    /// The record of a job that this process starts now. [`crate::JobStore::create`] gives
    /// it its id.
    #[must_use]
    pub fn new(workload: String, module: String, args: Vec<String>) -> Self {
        let since = now();
        Record {
            format: FORMAT,
            id: String::new(),
            workload,
            module,
            manifest: None,
            args,
            mounts: Vec::new(),
            scratch: None,
            created: since,
            status: Status::running(),
            checkpoint: None,
        }
    }

    /// How the job stands, given whether a process has its lock.
    pub(crate) fn state(&self, locked: bool) -> State {
        match (&self.status, locked) {
            (_, true) => State::Running,
            (Status::Running { .. }, false) => State::Lost,
            (Status::Suspended { .. }, false) => State::Suspended,
            (Status::Ended { .. }, false) => State::Ended,
        }
    }
}

impl Status {
    /// This process runs it from now on.
    pub(crate) fn running() -> Self {
        Status::Running {
            pid: std::process::id(),
            since: now(),
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            State::Running => "running",
            State::Suspended => "suspended",
            State::Lost => "lost",
            State::Ended => "ended",
        })
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Exited(code) => write!(f, "exited with code {code}"),
            End::Trapped(trap) => write!(f, "trapped: {trap}"),
            End::Killed => f.write_str("killed"),
            End::Failed(reason) => write!(f, "failed: {reason}"),
        }
    }
}

/// Milliseconds since 1970.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_decides_whether_a_job_runs() {
        let mut record = Record::new("w".into(), "sha256:00".into(), Vec::new());
        assert_eq!(record.state(true), State::Running);
        assert_eq!(record.state(false), State::Lost);
        record.status = Status::Suspended {
            at: 1,
            reason: String::new(),
        };
        assert_eq!(record.state(false), State::Suspended);
        assert_eq!(record.state(true), State::Running);
        let end = End::Exited(3);
        record.status = Status::Ended { at: 1, end };
        assert_eq!(record.state(false), State::Ended);
    }

    proptest::proptest! {
        #[test]
        fn a_damaged_record_is_read_or_refused(flip: usize, bit in 0..8u8) {
            let record = Record::new("nbody:1".into(), "sha256:00".into(), vec!["nbody".into()]);
            let mut bytes = serde_json::to_vec(&record).unwrap();
            let place = flip % bytes.len();
            bytes[place] ^= 1 << bit;
            if let Ok(record) = serde_json::from_slice::<Record>(&bytes) {
                proptest::prop_assert!(serde_json::to_vec(&record).is_ok());
            }
        }
    }
}
