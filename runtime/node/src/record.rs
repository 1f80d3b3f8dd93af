//! What a node remembers of a job.

use std::fmt;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Arrival, Retention, Used};

/// The version of the record's format that is written. All up to it are read.
pub(crate) const FORMAT: u32 = 2;

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
    /// The GPU that it asks for, if it uses one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<wherry_gpu_host::Settings>,
    /// Name of the scratch directory for the guest, if the job has one.
    pub scratch: Option<String>,
    /// When the job was started, in milliseconds since 1970.
    pub created: u64,
    /// How the job stands, as far as whoever ran it could say.
    pub status: Status,
    /// Its checkpoints, the newest last: those that it keeps itself, and the last of those that
    /// went elsewhere.
    pub checkpoints: Vec<Checkpointed>,
    /// Which of its own checkpoints it keeps.
    pub retention: Retention,
    /// The name of the key that its checkpoints are encrypted with, if they are.
    #[serde(default)]
    pub key: Option<String>,
    /// Identifies the command that started it, if the same command is to go on with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Files that have its output.
    #[serde(default, skip_serializing_if = "Streams::is_empty")]
    pub streams: Streams,
    /// What it had used when it stopped last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<Used>,
    /// The checkpoint that it was resumed from last: its number and state digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed_from: Option<(u64, String)>,
    /// The last checkpoint that was made of it, kept or not: its number and state digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_state: Option<(u64, String)>,
    /// With what it came to this node; none if it began here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrival: Option<Arrival>,
}

/// Files that have the output of a job, and nothing else: when it goes on from a checkpoint,
/// they are cut back to what it had written then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Streams {
    /// Standard output.
    pub output: Option<PathBuf>,
    /// Standard error.
    pub log: Option<PathBuf>,
}

impl From<&MountRecord> for wherry_engine::Mount {
    fn from(record: &MountRecord) -> Self {
        wherry_engine::Mount {
            host: record.host.clone(),
            guest: record.guest.clone(),
            read_only: record.read_only,
        }
    }
}

impl Streams {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.output.is_none() && self.log.is_none()
    }
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
    /// Its number among those of the job, from 1; 0 if the version that wrote it did not note
    /// it.
    pub sequence: u64,
    /// The file.
    pub path: PathBuf,
    /// Identifies the state, `sha256:…`; of a checkpoint that is encrypted, `keyed-sha256:…`.
    pub state_digest: String,
    /// Length of the file in bytes.
    pub bytes: u64,
    /// Bytes of memory and files in it, before compression.
    pub raw_bytes: u64,
    /// How long the program stood still, in microseconds: until it was captured if it went on
    /// then, and otherwise until the file was on the disk.
    pub pause_us: u64,
    /// How long it took from then until the file was on the disk, in microseconds.
    #[serde(default)]
    pub write_us: u64,
    /// Whether the file stands on its own.
    #[serde(default)]
    pub form: Form,
    /// How the pages were found that had changed, if the memories are watched.
    #[serde(default)]
    pub tracking: Option<String>,
    /// When it was made, in milliseconds since 1970.
    pub at: u64,
}

/// Whether the file of a checkpoint stands on its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// It does.
    #[default]
    Full,
    /// It builds on files beside it.
    Delta,
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
            gpu: None,
            scratch: None,
            created: since,
            status: Status::running(),
            checkpoints: Vec::new(),
            retention: Retention::default(),
            key: None,
            command: None,
            streams: Streams::default(),
            used: None,
            resumed_from: None,
            last_state: None,
            arrival: None,
        }
    }

    /// Reads a record of any format that there was.
    ///
    /// # Errors
    /// It is no record, or of a version to come.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, String> {
        let damaged = |error| format!("is not the record of a job: {error}");
        let mut value: Value = serde_json::from_slice(text).map_err(damaged)?;
        match value["format"].as_u64() {
            Some(1) => from_format_1(&mut value),
            Some(format) if format != u64::from(FORMAT) => {
                return Err(format!("has format {format}, only 1 to {FORMAT} are known"));
            }
            _ => {}
        }
        serde_json::from_value(value).map_err(damaged)
    }

    /// The last checkpoint that was noted.
    #[must_use]
    pub fn last_checkpoint(&self) -> Option<&Checkpointed> {
        self.checkpoints.last()
    }

    /// Notes a checkpoint that was written. What it took the place of is forgotten, and so are
    /// those of the user's files that are older than as many as the job keeps of its own.
    pub(crate) fn note(&mut self, done: Checkpointed, is_own: impl Fn(&Checkpointed) -> bool) {
        self.last_state = Some((done.sequence, done.state_digest.clone()));
        self.checkpoints.retain(|known| known.path != done.path);
        self.checkpoints.push(done);
        let last = self.retention.last.get() as usize;
        let mut elsewhere = self.checkpoints.iter().filter(|one| !is_own(one)).count();
        self.checkpoints.retain(|known| {
            is_own(known) || {
                elsewhere -= 1;
                elsewhere < last
            }
        });
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

/// There was one checkpoint, and its number was not noted.
fn from_format_1(record: &mut Value) {
    let Some(fields) = record.as_object_mut() else {
        return;
    };
    let mut last = fields.remove("checkpoint").unwrap_or_default();
    let checkpoints = match last.as_object_mut() {
        Some(last) => {
            last.insert("sequence".to_owned(), json!(0));
            json!([last])
        }
        None => json!([]),
    };
    fields.insert("checkpoints".to_owned(), checkpoints);
    fields.insert("retention".to_owned(), json!(Retention::default()));
    fields.insert("format".to_owned(), json!(FORMAT));
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

    /// As the version before the directory of checkpoints wrote it.
    const FORMAT_1: &str = r#"{"format": 1, "id": "3f9c2a11", "workload": "w",
        "module": "sha256:00", "manifest": null, "args": ["w"], "mounts": [], "scratch": "/",
        "created": 1, "status": {"state": "suspended", "at": 2, "reason": "r"},
        "checkpoint": {"path": "/jobs/3f9c2a11/checkpoint", "state_digest": "sha256:01",
        "bytes": 3, "raw_bytes": 4, "pause_us": 5, "at": 6}}"#;

    #[test]
    fn records_of_the_format_before_are_read() {
        let record = Record::parse(FORMAT_1.as_bytes()).unwrap();
        let last = record.last_checkpoint().unwrap();
        assert_eq!((last.sequence, last.at), (0, 6));
        assert_eq!(record.retention, Retention::default());
        let again = serde_json::to_vec(&record).unwrap();
        assert_eq!(Record::parse(&again).unwrap(), record);
        let never = FORMAT_1.replace(r#""path""#, r#""way""#);
        assert!(Record::parse(never.as_bytes()).is_err());
        let later = FORMAT_1.replace(r#""format": 1"#, r#""format": 3"#);
        let refused = Record::parse(later.as_bytes()).unwrap_err();
        assert!(refused.contains("format 3"), "{refused}");
    }

    #[test]
    fn of_the_users_files_the_last_are_remembered() {
        let mut record = Record::parse(FORMAT_1.as_bytes()).unwrap();
        let written = |sequence: u64, path: &str| Checkpointed {
            sequence,
            path: path.into(),
            ..record.checkpoints[0].clone()
        };
        let steps = [
            (1, "own"),
            (2, "a"),
            (3, "b"),
            (4, "b"),
            (5, "c"),
            (6, "own-2"),
        ];
        let steps = steps.map(|(sequence, path)| written(sequence, path));
        record.checkpoints.clear();
        for done in steps {
            let own =
                |one: &Checkpointed| one.path.starts_with("own") || one.path.starts_with("own-2");
            record.note(done, own);
        }
        let left = record.checkpoints.iter().map(|one| one.sequence);
        assert_eq!(left.collect::<Vec<_>>(), [1, 4, 5, 6]);
    }

    proptest::proptest! {
        #[test]
        fn a_damaged_record_is_read_or_refused(flip: usize, bit in 0..8u8) {
            let record = Record::new("nbody:1".into(), "sha256:00".into(), vec!["nbody".into()]);
            let mut bytes = serde_json::to_vec(&record).unwrap();
            let place = flip % bytes.len();
            bytes[place] ^= 1 << bit;
            if let Ok(record) = Record::parse(&bytes) {
                proptest::prop_assert!(serde_json::to_vec(&record).is_ok());
            }
        }
    }
}
