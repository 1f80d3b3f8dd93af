//! What lies in the directories of jobs and is of no use to anyone.
//!
//! A job is looked at under its lock, so that one that runs is never touched.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::checkpoints::{DIRECTORY, Standing};
use crate::store::{OUTGOING, RECORD, SCRATCH, SOCKET, ignore_missing};
use crate::{ActiveJob, Checkpoint, End, Error, JobStore, State, Status};

/// A directory of a job without a record is being made, or removed: for this long.
const MOMENT: Duration = Duration::from_secs(60 * 60);

/// Something in the directory of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The job, if it is known.
    pub job: String,
    /// What it is.
    pub what: Leftover,
    /// Where it is.
    pub path: PathBuf,
    /// How large it is, in bytes.
    pub bytes: u64,
    /// Why it is kept; none if it is of no use.
    pub kept: Option<String>,
}

/// What can be left in the directory of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Leftover {
    /// A job as a whole.
    Job,
    /// A checkpoint, good or set aside.
    Checkpoint,
    /// A scratch directory.
    Scratch,
    /// A file that was being written when its process was killed.
    Unfinished,
    /// The socket of a process that was killed.
    Socket,
}

impl std::fmt::Display for Leftover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Leftover::Job => "job",
            Leftover::Checkpoint => "checkpoint",
            Leftover::Scratch => "scratch directory",
            Leftover::Unfinished => "unfinished file",
            Leftover::Socket => "socket",
        })
    }
}

impl JobStore {
    /// Looks for what is of no use, and deletes it unless `dry_run`. Returns that, and what is
    /// kept and why.
    ///
    /// # Errors
    /// A directory cannot be read, or something not deleted.
    pub fn collect(&self, dry_run: bool) -> Result<Vec<Finding>, Error> {
        let mut findings = Vec::new();
        for directory in self.directories()? {
            findings.extend(collect(&directory, dry_run)?);
        }
        Ok(findings)
    }
}

fn collect(directory: &Path, dry_run: bool) -> Result<Vec<Finding>, Error> {
    let id = name(directory);
    let job = |kept: Option<String>| Finding {
        job: id.clone(),
        what: Leftover::Job,
        path: directory.to_owned(),
        bytes: size(directory),
        kept,
    };
    if !directory.join(RECORD).exists() {
        let kept = is_recent(directory).then(|| "it may be being made".to_owned());
        let left = job(kept);
        if left.kept.is_none() && !dry_run {
            delete(&left.path)?;
        }
        return Ok(vec![left]);
    }
    let info = match crate::store::read_job(directory.to_owned()) {
        Ok(info) if info.state == State::Running => return Ok(vec![job(Some(running()))]),
        Ok(info) => info,
        Err(error) => return Ok(vec![job(Some(error.to_string()))]),
    };
    let mut active = match info.activate() {
        // It was faster.
        Err(Error::Running(_)) => return Ok(vec![job(Some(running()))]),
        active => active?,
    };
    let findings = survey(&active)?;
    if !dry_run {
        clear(&mut active, &findings)?;
    }
    Ok(findings)
}

fn running() -> String {
    "it is running".to_owned()
}

/// Everything in the directory of a job that does not run, but its record and its lock.
fn survey(active: &ActiveJob) -> Result<Vec<Finding>, Error> {
    let finding = |what, path: &Path, kept| Finding {
        job: active.record.id.clone(),
        what,
        bytes: size(path),
        path: path.to_owned(),
        kept,
    };
    let mut findings = Vec::new();
    let checkpoints = active.checkpoints()?;
    for (one, kept) in checkpoints.iter().zip(reasons(active, &checkpoints)) {
        if one.bytes.is_some() && one.standing != Standing::Elsewhere {
            findings.push(finding(Leftover::Checkpoint, &one.path, kept));
        }
    }
    let has_checkpoint = checkpoints.iter().any(Checkpoint::is_usable);
    let scratch = active.directory().join(SCRATCH);
    if scratch.exists() {
        let kept = scratch_is_kept(&active.record.status, has_checkpoint);
        findings.push(finding(Leftover::Scratch, &scratch, kept));
    }
    for directory in [active.directory(), &active.directory().join(DIRECTORY)] {
        for path in list(directory)? {
            // Whoever writes has the lock, so nobody does.
            if [".wherry-", ".tmp"]
                .iter()
                .any(|start| name(&path).starts_with(start))
            {
                findings.push(finding(Leftover::Unfinished, &path, None));
            }
        }
    }
    let left = [(OUTGOING, Leftover::Unfinished), (SOCKET, Leftover::Socket)];
    for (name, what) in left {
        let path = active.directory().join(name);
        if path.symlink_metadata().is_ok() {
            findings.push(finding(what, &path, None));
        }
    }
    Ok(findings)
}

/// Why each checkpoint is kept.
fn reasons(active: &ActiveJob, checkpoints: &[Checkpoint]) -> Vec<Option<String>> {
    let retention = active.record.retention;
    let exited = matches!(
        active.record.status,
        Status::Ended {
            end: End::Exited(_),
            ..
        }
    );
    if exited {
        let reasons = retention.sort_for_ever(checkpoints).into_iter();
        return reasons.map(|why| Some(why?.to_string())).collect();
    }
    let reasons = retention.sort(checkpoints).into_iter();
    reasons.map(|why| Some(why?.to_string())).collect()
}

/// Why the scratch directory of a job that does not run is kept.
fn scratch_is_kept(status: &Status, has_checkpoint: bool) -> Option<String> {
    let reason = match status {
        Status::Ended { .. } => "the job has ended and was to keep it",
        // What was in it is in the checkpoint, and the job is given a new one.
        _ if has_checkpoint => return None,
        _ => "there is no checkpoint: it is all that is left of the job",
    };
    Some(reason.to_owned())
}

fn clear(active: &mut ActiveJob, findings: &[Finding]) -> Result<(), Error> {
    let doomed: Vec<_> = findings.iter().filter(|one| one.kept.is_none()).collect();
    let known = active.record.checkpoints.len();
    let is_doomed = |path: &Path| doomed.iter().any(|one| one.path == path);
    active
        .record
        .checkpoints
        .retain(|one| !is_doomed(&one.path));
    if active.record.checkpoints.len() != known {
        active.save(true)?;
    }
    doomed.iter().try_for_each(|one| delete(&one.path))
}

fn delete(path: &Path) -> Result<(), Error> {
    let deleted = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        _ => fs::remove_file(path),
    };
    ignore_missing(deleted).map_err(Error::io("remove", path))
}

fn list(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        entries => Ok(entries
            .map_err(Error::io("read", directory))?
            .flatten()
            .map(|entry| entry.path())
            .collect()),
    }
}

fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn is_recent(path: &Path) -> bool {
    let changed = fs::metadata(path).and_then(|metadata| metadata.modified());
    let age = changed.map(|changed| {
        SystemTime::now()
            .duration_since(changed)
            .unwrap_or_default()
    });
    age.is_ok_and(|age| age < MOMENT)
}

/// Bytes of a file, or of all files in a directory. Links are not followed.
fn size(path: &Path) -> u64 {
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return 0;
    };
    if !metadata.is_dir() {
        return metadata.len();
    }
    let inside = list(path).unwrap_or_default();
    inside
        .iter()
        .map(|path| size(path))
        .fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Checkpointed, Record, checkpoints};

    fn store() -> (tempfile::TempDir, JobStore) {
        let directory = tempfile::tempdir().unwrap();
        let store = JobStore::new(directory.path().join("jobs"));
        (directory, store)
    }

    /// A job with the checkpoints 1 to 4, one set aside, and all that a process can leave.
    fn littered(store: &JobStore) -> ActiveJob {
        let record = Record::new("w".into(), "sha256:00".into(), vec!["w".into()]);
        let mut job = store.create(record).unwrap();
        job.make_room().unwrap();
        fs::create_dir(job.directory().join(DIRECTORY)).unwrap();
        for sequence in 1..=4 {
            let path = checkpoints::own(job.directory(), sequence);
            fs::write(&path, [0; 100]).unwrap();
            job.record.checkpoints.push(Checkpointed {
                sequence,
                path,
                state_digest: String::new(),
                bytes: 100,
                raw_bytes: 100,
                pause_us: 1,
                write_us: 1,
                form: crate::Form::Full,
                tracking: None,
                at: 1,
            });
        }
        let at = |name: &str| job.directory().join(name);
        fs::write(at("checkpoints/3.damaged"), [0; 10]).unwrap();
        fs::write(at("checkpoints/5.damaged"), [0; 10]).unwrap();
        fs::write(at("checkpoints/.wherry-abc"), [0; 7]).unwrap();
        fs::write(at(".tmpabc"), [0; 7]).unwrap();
        fs::write(at("outgoing/checkpoint"), [0; 9]).unwrap();
        fs::write(at(SOCKET), []).unwrap();
        fs::write(job.new_scratch().unwrap().join("file"), [0; 50]).unwrap();
        job.begin().unwrap();
        job
    }

    fn removed(findings: &[Finding]) -> Vec<String> {
        let gone = findings.iter().filter(|one| one.kept.is_none());
        let mut gone: Vec<_> = gone.map(|one| name(&one.path)).collect();
        gone.sort();
        gone
    }

    #[test]
    fn what_is_of_no_use_is_removed_and_the_rest_is_explained() {
        let (_directory, store) = store();
        let job = littered(&store);
        let (id, directory) = (job.record.id.clone(), job.directory().to_owned());
        let busy = store.collect(false).unwrap();
        assert_eq!(busy[0].kept.as_deref(), Some("it is running"));
        assert!(directory.join("checkpoints/1").exists());
        drop(job);

        let names = ["control.sock", ".tmpabc", "1", "2", "3.damaged", "scratch"];
        let mut names = names.map(str::to_owned).to_vec();
        names.extend([".wherry-abc", "outgoing"].map(str::to_owned));
        names.sort();
        let dry = store.collect(true).unwrap();
        assert_eq!(removed(&dry), names);
        assert!(directory.join("checkpoints/1").exists());
        assert_eq!(store.collect(false).unwrap(), dry);
        let bytes: u64 = dry
            .iter()
            .filter(|one| one.kept.is_none())
            .map(|one| one.bytes)
            .sum();
        assert_eq!(bytes, 100 + 100 + 10 + 7 + 7 + 9 + 50);

        let left = store.collect(false).unwrap();
        assert_eq!(removed(&left), [""; 0]);
        let kept: Vec<_> = left
            .iter()
            .map(|one| (name(&one.path), one.kept.clone()))
            .collect();
        let expected = [
            ("3", "one of the last 2"),
            ("4", "newest"),
            ("5.damaged", "set aside, nothing newer yet"),
        ];
        let expected = expected.map(|(name, why)| (name.to_owned(), Some(why.to_owned())));
        assert_eq!(kept, expected);
        let record = store.find(&id).unwrap().record;
        let noted = record.checkpoints.iter().map(|one| one.sequence);
        assert_eq!(noted.collect::<Vec<_>>(), [3, 4]);
    }

    #[test]
    fn of_a_job_that_exited_nothing_is_kept_but_what_was_to_be() {
        let (_directory, store) = store();
        let mut job = littered(&store);
        job.record.retention.every = Some(2.try_into().unwrap());
        job.end(End::Exited(0)).unwrap();
        drop(job);
        let findings = store.collect(false).unwrap();
        let kept = findings.iter().filter(|one| one.kept.is_some());
        let kept: Vec<_> = kept.map(|one| name(&one.path)).collect();
        assert_eq!(kept, ["2", "4", "scratch"]);
    }

    #[test]
    fn all_that_is_left_of_a_job_is_not_removed() {
        let (_directory, store) = store();
        let record = Record::new("w".into(), "sha256:00".into(), vec!["w".into()]);
        let job = store.create(record).unwrap();
        let scratch = job.new_scratch().unwrap();
        drop(job);
        let [kept] = &store.collect(false).unwrap()[..] else {
            panic!("one finding");
        };
        assert!(kept.kept.as_ref().unwrap().contains("all that is left"));
        assert!(scratch.exists());
    }

    #[test]
    fn a_job_whose_record_is_damaged_is_kept_and_one_without_is_removed() {
        let (_directory, store) = store();
        let damaged = littered(&store);
        fs::write(damaged.directory().join(RECORD), "{").unwrap();
        let damaged = damaged.directory().to_owned();
        let without = littered(&store).directory().to_owned();
        fs::remove_file(without.join(RECORD)).unwrap();
        let findings = store.collect(false).unwrap();
        assert!(
            findings.iter().all(|one| one.kept.is_some()),
            "{findings:?}"
        );
        let long_ago = SystemTime::now() - 2 * MOMENT;
        let opened = fs::File::open(&without).unwrap();
        opened.set_modified(long_ago).unwrap();
        store.collect(false).unwrap();
        assert!(!without.exists());
        assert!(damaged.join("checkpoints/1").exists());
    }
}
