//! The checkpoints of a job: which there are, and what they are called.
//!
//! Its own lie in its directory, each under the number that it has among the job's
//! checkpoints, and are never overwritten. One that went elsewhere belongs to the user: it is
//! remembered, and never deleted. A file that could not be used is set aside under another
//! name, and so is one that the job went back behind: their numbers are free again.

use std::fmt;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::Serialize;
use wherry_snapshot::{Digest, Key, Reader, hex};

use crate::{Checkpointed, Error, Record};

pub(crate) const DIRECTORY: &str = "checkpoints";

/// Where versions before the directory had the only one.
pub(crate) const BEFORE: &str = "checkpoint";

/// A checkpoint of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Its number among those of the job; 0 if the version that wrote it did not note it.
    pub sequence: u64,
    /// The file.
    pub path: PathBuf,
    /// Whose file it is, and whether it is one to go on from.
    pub standing: Standing,
    /// Length of the file in bytes; none if it cannot be found.
    pub bytes: Option<u64>,
    /// When it was made, in milliseconds since 1970, as far as that is known.
    pub at: Option<u64>,
    /// What was noted when it was written: nothing, if the process was killed before that.
    pub noted: Option<Checkpointed>,
}

/// Whose file a checkpoint is, and whether it is one to go on from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The job's own, in its directory.
    Own,
    /// The user's.
    Elsewhere,
    /// The job's own, but set aside for this reason: the job does not go on from it.
    Aside(String),
}

/// Why a checkpoint is set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aside {
    /// It cannot be used.
    Damaged,
    /// The job went on from an older one.
    Superseded,
}

impl Checkpoint {
    /// Whether the job could go on from it.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        !matches!(self.standing, Standing::Aside(_))
    }

    /// Checks that what was read from the file is this checkpoint of the job.
    ///
    /// # Errors
    /// [`Error::OtherCheckpoint`] if it is of another module, not what was written there, or
    /// not encrypted though the job's checkpoints are.
    pub fn check<R: Read + Seek>(&self, record: &Record, file: &Reader<R>) -> Result<(), Error> {
        let found = file.contents();
        let text = |digest: &Digest| state_name(digest, file.key());
        let state = text(&file.state_digest());
        let module = state_name(&found.workload.module, None);
        if module != record.module {
            return Err(self.is_other(format!("it is of the module {module}")));
        }
        if let Some(noted) = &self.noted
            && noted.state_digest != state
            && !self.is_successor(record, found.lineage.parent.as_ref().map(text).as_ref())
        {
            return Err(self.is_other(format!("its state is {state}")));
        }
        // One that was noted may be from before the job had its key.
        if record.key.is_some() && file.key().is_none() && self.noted.is_none() {
            return Err(self.is_other("it is not encrypted".to_owned()));
        }
        let sequence = found.lineage.sequence;
        if self.standing == Standing::Own && self.sequence != 0 && self.sequence != sequence {
            return Err(self.is_other(format!("it is checkpoint {sequence}")));
        }
        Ok(())
    }

    /// Whether the file of the user was replaced by the next checkpoint, and the process killed
    /// before it could note that.
    fn is_successor(&self, record: &Record, parent: Option<&String>) -> bool {
        let last = record.last_checkpoint().map(|last| &last.state_digest);
        self.standing == Standing::Elsewhere && parent.is_some() && parent == last
    }

    fn is_other(&self, reason: String) -> Error {
        Error::OtherCheckpoint {
            path: self.path.clone(),
            sequence: self.sequence,
            reason,
        }
    }
}

impl fmt::Display for Aside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Aside::Damaged => "damaged",
            Aside::Superseded => "superseded",
        })
    }
}

/// How a state is named where everybody can read it: by its digest, or if it is encrypted by
/// something that says nothing to whoever has not got the key.
#[must_use]
pub fn state_name(state: &Digest, key: Option<&Key>) -> String {
    match key {
        Some(key) => format!("keyed-sha256:{}", hex(&key.name(state))),
        None => format!("sha256:{}", hex(state)),
    }
}

/// The file of a job's own checkpoint with this number.
pub(crate) fn own(directory: &Path, sequence: u64) -> PathBuf {
    directory.join(DIRECTORY).join(sequence.to_string())
}

/// The names in a directory are on the disk.
pub(crate) fn sync_directory(directory: &Path) -> Result<(), Error> {
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(Error::io("write", directory))
}

/// All checkpoints of a job, by their numbers: those that are noted, even if their files are
/// gone, and those that were written when the process was killed before it could note them.
pub(crate) fn list(record: &Record, directory: &Path) -> Result<Vec<Checkpoint>, Error> {
    let own = directory.join(DIRECTORY);
    let before = directory.join(BEFORE);
    let noted = record.checkpoints.iter().map(|noted| {
        let is_own = noted.path.parent() == Some(&own) || noted.path == before;
        let (bytes, _) = measure(&noted.path);
        Checkpoint {
            sequence: noted.sequence,
            path: noted.path.clone(),
            standing: if is_own {
                Standing::Own
            } else {
                Standing::Elsewhere
            },
            bytes,
            at: Some(noted.at),
            noted: Some(noted.clone()),
        }
    });
    let mut checkpoints: Vec<_> = noted.collect();
    let mut files = files(&own)?;
    files.extend(Some((0, Standing::Own, before)).filter(|(_, _, path)| path.is_file()));
    for (sequence, standing, path) in files {
        if checkpoints.iter().any(|noted| noted.path == path) {
            continue;
        }
        let (bytes, at) = measure(&path);
        checkpoints.push(Checkpoint {
            sequence,
            path,
            standing,
            bytes,
            at,
            noted: None,
        });
    }
    // One that was set aside is as old as its number says, and no newer than a usable one.
    checkpoints.sort_by_key(|one| (one.sequence, one.is_usable()));
    Ok(checkpoints)
}

/// The files in `directory` whose names are those of checkpoints: `7`, `7.damaged`,
/// `7.damaged.2`.
fn files(directory: &Path) -> Result<Vec<(u64, Standing, PathBuf)>, Error> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(Error::io("read", directory))?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(Error::io("read", directory))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some((sequence, standing)) = name.and_then(standing_of).filter(|_| path.is_file()) {
            files.push((sequence, standing, path));
        }
    }
    Ok(files)
}

fn standing_of(name: &str) -> Option<(u64, Standing)> {
    let (number, rest) = name.split_once('.').unwrap_or((name, ""));
    let sequence: u64 = number.parse().ok()?;
    // `+7` and `07` are numbers, but not names that were given here.
    if sequence.to_string() != number {
        return None;
    }
    let standing = match rest.split('.').next() {
        Some("") | None => Standing::Own,
        Some(reason) => Standing::Aside(reason.to_owned()),
    };
    Some((sequence, standing))
}

/// The length of a file in bytes, and when it was written, in milliseconds since 1970.
fn measure(path: &Path) -> (Option<u64>, Option<u64>) {
    let Ok(metadata) = fs::metadata(path) else {
        return (None, None);
    };
    let written = metadata.modified().ok();
    let since = written.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let at = since.and_then(|since| u64::try_from(since.as_millis()).ok());
    (Some(metadata.len()), at)
}

/// Gives the file another name, under which nothing goes on from it.
pub(crate) fn set_aside(path: &Path, reason: Aside) -> Result<PathBuf, Error> {
    let named = |suffix: &str| {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(suffix);
        path.with_file_name(name)
    };
    let names = std::iter::once(format!(".{reason}"));
    let names = names.chain((2..).map(|count: u32| format!(".{reason}.{count}")));
    let free = names.map(|name| named(&name)).find(|name| !name.exists());
    let aside = free.unwrap_or_else(|| named(&format!(".{reason}")));
    fs::rename(path, &aside).map_err(Error::io("set aside", path))?;
    Ok(aside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_checkpoints() {
        assert_eq!(standing_of("7"), Some((7, Standing::Own)));
        let aside = Standing::Aside("damaged".into());
        assert_eq!(standing_of("7.damaged"), Some((7, aside.clone())));
        assert_eq!(standing_of("7.damaged.2"), Some((7, aside)));
        for other in ["", "x", ".wherry-abc", "07", "+7", "-1", "1x", ".7"] {
            assert_eq!(standing_of(other), None, "{other}");
        }
    }

    #[test]
    fn nothing_that_was_set_aside_is_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("7");
        let mut names = Vec::new();
        for content in ["a", "b", "c"] {
            fs::write(&path, content).unwrap();
            let aside = set_aside(&path, Aside::Damaged).unwrap();
            assert_eq!(fs::read_to_string(&aside).unwrap(), content);
            names.push(aside.file_name().unwrap().to_str().unwrap().to_owned());
        }
        assert_eq!(names, ["7.damaged", "7.damaged.2", "7.damaged.3"]);
        assert!(!path.exists());
    }
}
