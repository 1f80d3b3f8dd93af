//! The directories of jobs.

use std::collections::hash_map::RandomState;
use std::fs::{self, DirBuilder, File};
use std::hash::BuildHasher;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::checkpoints::{self, Checkpoint};
use crate::lock::{LOCK, PROCESS_LOCK, await_process, is_locked, open_lock, try_lock};
use crate::record::now;
use crate::{Error, Record, State, Status};

pub(crate) const RECORD: &str = "job.json";
pub(crate) const SOCKET: &str = "control.sock";
pub(crate) const SCRATCH: &str = "scratch";
/// The directory of a checkpoint on its way to where the user wants it.
pub(crate) const OUTGOING: &str = "outgoing";

/// Larger than the record of a job with all the arguments that the system lets pass.
const MAX_RECORD: u64 = 16 << 20;

/// The directory of all jobs. Any number of processes may use it at once.
#[derive(Clone, Debug)]
pub struct JobStore {
    directory: PathBuf,
}

/// A job and how it stands.
#[derive(Clone, Debug)]
pub struct JobInfo {
    /// What the node remembers of it.
    pub record: Record,
    /// How it stands.
    pub state: State,
    directory: PathBuf,
}

/// A job that this process answers for: while it lives, no other process can.
#[derive(Debug)]
pub struct ActiveJob {
    /// What the node remembers of it.
    pub record: Record,
    directory: PathBuf,
    /// Released when the file is closed.
    _lock: File,
}

impl JobStore {
    /// The jobs in `directory`, which need not exist yet.
    #[must_use]
    pub fn new(directory: PathBuf) -> Self {
        JobStore { directory }
    }

    /// Makes a new job that this process runs, and gives it an id.
    ///
    /// # Errors
    /// Its directory cannot be written.
    pub fn create(&self, record: Record) -> Result<ActiveJob, Error> {
        private_directories(&self.directory)?;
        let (id, directory) = self.new_directory()?;
        let lock = open_lock(&directory, LOCK)?;
        lock.lock().map_err(Error::io("lock", &directory))?;
        let record = Record { id, ..record };
        save(&directory, &record, false)?;
        Ok(ActiveJob {
            record,
            directory,
            _lock: lock,
        })
    }

    fn new_directory(&self) -> Result<(String, PathBuf), Error> {
        loop {
            let id = new_id();
            let directory = self.directory.join(&id);
            match DirBuilder::new().mode(0o700).create(&directory) {
                Ok(()) => return Ok((id, directory)),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::io("create", &directory)(error)),
            }
        }
    }

    /// All jobs, the oldest first, each with its record's problem if it has one.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn list(&self) -> Result<Vec<Result<JobInfo, Error>>, Error> {
        let directories = self.directories()?.into_iter();
        // Without a record it is being made, or removed.
        let directories = directories.filter(|directory| directory.join(RECORD).exists());
        let mut jobs: Vec<_> = directories.map(read_job).collect();
        jobs.sort_by_key(|job| job.as_ref().map_or(0, |job| job.record.created));
        Ok(jobs)
    }

    /// The directories of jobs, and of what was one or may become one.
    pub(crate) fn directories(&self) -> Result<Vec<PathBuf>, Error> {
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(Error::io("read", &self.directory))?,
        };
        let directories = entries.flatten().map(|entry| entry.path());
        Ok(directories.filter(|path| path.is_dir()).collect())
    }

    /// The job with this id, or the only one whose id begins so.
    ///
    /// # Errors
    /// There is none, there are several, or its record cannot be read.
    pub fn find(&self, name: &str) -> Result<JobInfo, Error> {
        let missing = || Error::NoSuchJob(name.to_owned());
        if !is_id(name) {
            return Err(missing());
        }
        let directory = self.directory.join(name);
        if directory.join(RECORD).exists() {
            return read_job(directory);
        }
        let jobs = self.list()?.into_iter().flatten();
        let mut fitting: Vec<_> = jobs.filter(|job| job.record.id.starts_with(name)).collect();
        match (fitting.pop(), fitting.len()) {
            (Some(job), 0) => Ok(job),
            (None, _) => Err(missing()),
            (Some(_), others) => Err(Error::Ambiguous {
                prefix: name.to_owned(),
                count: others + 1,
            }),
        }
    }

    /// The job whose last checkpoint has this state digest.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn with_checkpoint(&self, state_digest: &str) -> Result<Option<JobInfo>, Error> {
        let is_it = |job: &JobInfo| {
            let checkpoint = job.record.last_checkpoint();
            checkpoint.is_some_and(|checkpoint| checkpoint.state_digest == state_digest)
        };
        Ok(self.list()?.into_iter().flatten().rfind(is_it))
    }

    /// Removes what is left of a job.
    ///
    /// # Errors
    /// It is running, or its files cannot be deleted.
    pub fn remove(&self, job: JobInfo) -> Result<(), Error> {
        job.activate()?.discard()
    }
}

impl JobInfo {
    /// Takes the job over: from now on this process runs it.
    ///
    /// # Errors
    /// Another process runs it.
    pub fn activate(self) -> Result<ActiveJob, Error> {
        let lock = open_lock(&self.directory, LOCK)?;
        while !try_lock(&lock, &self.directory)? {
            // Whoever only looks holds a shared lock for a moment.
            if is_locked(&self.directory)? {
                return Err(Error::Running(self.record.id));
            }
            std::thread::yield_now();
        }
        await_process(&self.directory)?;
        // It may have changed until we had the locks.
        let record = read_record(&self.directory)?;
        Ok(ActiveJob {
            record,
            directory: self.directory,
            _lock: lock,
        })
    }

    /// The job's directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Its checkpoints, the newest last, with those that were set aside.
    ///
    /// # Errors
    /// Their directory cannot be read.
    pub fn checkpoints(&self) -> Result<Vec<Checkpoint>, Error> {
        checkpoints::list(&self.record, &self.directory)
    }

    /// The last of its checkpoints that it could go on from, if there is one.
    #[must_use]
    pub fn last_checkpoint(&self) -> Option<Checkpoint> {
        self.checkpoints()
            .ok()?
            .into_iter()
            .rfind(Checkpoint::is_usable)
    }

    /// Whether a process runs it now.
    pub(crate) fn is_running(&self) -> bool {
        is_locked(&self.directory).unwrap_or(false)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.join(SOCKET)
    }
}

impl ActiveJob {
    /// Locks the job for the process that runs it.
    ///
    /// # Errors
    /// The lock cannot be made.
    pub(crate) fn lock_process(&self) -> Result<File, Error> {
        let lock = open_lock(&self.directory, PROCESS_LOCK)?;
        lock.lock().map_err(Error::io("lock", &self.directory))?;
        Ok(lock)
    }

    /// The job's directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Its checkpoints, the newest last, with those that were set aside.
    ///
    /// # Errors
    /// Their directory cannot be read.
    pub fn checkpoints(&self) -> Result<Vec<Checkpoint>, Error> {
        checkpoints::list(&self.record, &self.directory)
    }

    /// Where the scratch directory is, made anew and empty: what a suspended job had in it is
    /// in its checkpoint.
    ///
    /// # Errors
    /// It cannot be emptied or made.
    pub fn new_scratch(&self) -> Result<PathBuf, Error> {
        let path = self.directory.join(SCRATCH);
        self.remove_scratch()?;
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(Error::io("create", &path))?;
        Ok(path)
    }

    /// Deletes the scratch directory.
    ///
    /// # Errors
    /// The system refuses.
    pub fn remove_scratch(&self) -> Result<(), Error> {
        let path = self.directory.join(SCRATCH);
        ignore_missing(fs::remove_dir_all(&path)).map_err(Error::io("remove", &path))
    }

    /// Marks the job as running in this process.
    ///
    /// # Errors
    /// The record cannot be written.
    pub fn begin(&mut self) -> Result<(), Error> {
        self.record.status = Status::running();
        self.save(false)
    }

    /// Notes that the job has ended.
    ///
    /// # Errors
    /// The record cannot be written.
    pub fn end(&mut self, end: crate::End) -> Result<(), Error> {
        self.record.status = Status::Ended { at: now(), end };
        // Whoever gives the same command again relies on it.
        self.save(self.record.command.is_some())
    }

    /// Writes the record; with `durable`, so that it outlives a power failure.
    pub(crate) fn save(&self, durable: bool) -> Result<(), Error> {
        save(&self.directory, &self.record, durable)
    }

    /// Removes the job and all it has here.
    ///
    /// # Errors
    /// The system refuses.
    pub fn discard(self) -> Result<(), Error> {
        // Without its record it is no job any more, whatever happens to the rest.
        let record = self.directory.join(RECORD);
        ignore_missing(fs::remove_file(&record)).map_err(Error::io("remove", &record))?;
        fs::remove_dir_all(&self.directory).map_err(Error::io("remove", &self.directory))
    }
}

pub(crate) fn read_job(directory: PathBuf) -> Result<JobInfo, Error> {
    // First the lock: a job that ends in between is shown as it ended.
    let locked = is_locked(&directory)?;
    let record = read_record(&directory)?;
    Ok(JobInfo {
        state: record.state(locked),
        record,
        directory,
    })
}

fn read_record(directory: &Path) -> Result<Record, Error> {
    let path = directory.join(RECORD);
    let mut text = Vec::new();
    File::open(&path)
        .and_then(|file| file.take(MAX_RECORD).read_to_end(&mut text))
        .map_err(Error::io("read", &path))?;
    let refused = |reason: String| Error::Record {
        path: path.clone(),
        reason,
    };
    let record = Record::parse(&text).map_err(refused)?;
    if directory.file_name() != Some(record.id.as_ref()) {
        return Err(refused("is of another job".to_owned()));
    }
    Ok(record)
}

fn save(directory: &Path, record: &Record, durable: bool) -> Result<(), Error> {
    let path = directory.join(RECORD);
    let failed = |source: std::io::Error| Error::Io {
        action: "write",
        path: path.clone(),
        source,
    };
    let mut text = serde_json::to_vec_pretty(record).map_err(|error| failed(error.into()))?;
    text.push(b'\n');
    let mut file = tempfile::NamedTempFile::new_in(directory).map_err(failed)?;
    file.write_all(&text).map_err(failed)?;
    if durable {
        file.as_file().sync_all().map_err(failed)?;
    }
    file.persist(&path).map_err(|error| failed(error.error))?;
    if durable {
        let opened = File::open(directory);
        opened
            .and_then(|directory| directory.sync_all())
            .map_err(failed)?;
    }
    Ok(())
}

pub(crate) fn private_directories(directory: &Path) -> Result<(), Error> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(Error::io("create", directory))
}

pub(crate) fn ignore_missing(result: std::io::Result<()>) -> std::io::Result<()> {
    result.or_else(|error| match error.kind() {
        ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })
}

/// Eight hexadecimal digits from the system's random numbers, which seed every `RandomState`.
fn new_id() -> String {
    format!("{:08x}", RandomState::new().hash_one(now()) >> 32)
}

fn is_id(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::End;

    fn record() -> Record {
        Record::new("w".into(), "sha256:00".into(), vec!["w".into()])
    }

    fn store() -> (tempfile::TempDir, JobStore) {
        let directory = tempfile::tempdir().unwrap();
        let store = JobStore::new(directory.path().join("jobs"));
        (directory, store)
    }

    #[test]
    fn a_job_runs_while_its_process_has_it_and_is_lost_after() {
        let (_directory, store) = store();
        let job = store.create(record()).unwrap();
        let id = job.record.id.clone();
        assert_eq!(store.find(&id).unwrap().state, State::Running);
        assert!(matches!(
            store.find(&id).unwrap().activate(),
            Err(Error::Running(running)) if running == id
        ));
        drop(job); // as when the process is killed: nothing is noted
        let lost = store.find(&id[..4]).unwrap();
        assert_eq!(lost.state, State::Lost);
        assert_eq!(lost.last_checkpoint(), None);
        let mut again = lost.activate().unwrap();
        again.end(End::Exited(0)).unwrap();
        drop(again);
        assert_eq!(store.find(&id).unwrap().state, State::Ended);
        store.remove(store.find(&id).unwrap()).unwrap();
        assert!(matches!(store.find(&id), Err(Error::NoSuchJob(_))));
        assert!(store.list().unwrap().is_empty());
    }

    #[test]
    fn scratch_is_made_empty() {
        let (_directory, store) = store();
        let job = store.create(record()).unwrap();
        fs::write(job.new_scratch().unwrap().join("left"), "over").unwrap();
        let scratch = job.new_scratch().unwrap();
        assert_eq!(fs::read_dir(scratch).unwrap().count(), 0);
    }

    #[test]
    fn damaged_records_are_refused_and_do_not_hide_others() {
        let (_directory, store) = store();
        let bad = store.create(record()).unwrap();
        let good = store.create(record()).unwrap();
        fs::write(bad.directory().join(RECORD), "{").unwrap();
        assert!(matches!(
            store.find(&bad.record.id),
            Err(Error::Record { .. })
        ));
        let jobs = store.list().unwrap();
        let ids = jobs.iter().flatten().map(|job| &job.record.id);
        assert_eq!(ids.collect::<Vec<_>>(), [&good.record.id]);
        assert_eq!(jobs.len(), 2);
    }

    #[test]
    fn names_that_are_no_ids_never_become_paths() {
        let (_directory, store) = store();
        for name in ["", "..", "../jobs", "/", "a/b", "nbody"] {
            assert!(matches!(store.find(name), Err(Error::NoSuchJob(_))));
        }
    }
}
