//! A directory with the state of one job, with which the same command goes on.
//!
//! It is a [`JobStore`] that holds one job, and a lock: of two processes that are given it, one
//! works and the other is refused.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::lock::{LOCK, await_process, open_lock, try_lock};
use crate::store::{RECORD, private_directories};
use crate::{Error, JobInfo, JobStore};

/// A directory with the state of one job. While it lives, no other process uses the directory.
#[derive(Debug)]
pub struct StateDirectory {
    directory: PathBuf,
    store: JobStore,
    /// Released when the file is closed.
    _lock: File,
}

impl StateDirectory {
    /// Takes the directory, made now if there is none, and removes what a process that was
    /// killed left unfinished.
    ///
    /// # Errors
    /// Another process uses it, it holds something else, or the system refuses.
    pub fn take(directory: &Path) -> Result<Self, Error> {
        private_directories(directory)?;
        refuse_foreign(directory)?;
        let lock = open_lock(directory, LOCK)?;
        if !try_lock(&lock, directory)? {
            return Err(Error::StateInUse(directory.to_owned()));
        }
        let store = JobStore::new(directory.to_owned());
        for left in store.directories()? {
            await_process(&left)?;
            // Its process was killed before it was a job, or while it was removed.
            if is_job_directory(&left) && !left.join(RECORD).exists() {
                fs::remove_dir_all(&left).map_err(Error::io("remove", &left))?;
            }
        }
        store.collect(false)?;
        Ok(StateDirectory {
            directory: directory.to_owned(),
            store,
            _lock: lock,
        })
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where its job is made.
    #[must_use]
    pub fn store(&self) -> &JobStore {
        &self.store
    }

    /// Its job, if there is one.
    ///
    /// # Errors
    /// There are several, or its record cannot be read.
    pub fn job(&self) -> Result<Option<JobInfo>, Error> {
        let mut jobs = self.store.list()?;
        if jobs.len() > 1 {
            return Err(Error::ForeignState {
                path: self.directory.clone(),
                reason: format!("it holds {} jobs", jobs.len()),
            });
        }
        jobs.pop().transpose()
    }
}

/// Eight hexadecimal digits, as jobs are called.
fn is_job_directory(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.len() == 8 && name.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// A directory that was never used for state, and has something in it, is somebody's own.
fn refuse_foreign(directory: &Path) -> Result<(), Error> {
    let lock = directory.join(LOCK);
    if lock.exists() {
        return Ok(());
    }
    let mut entries = fs::read_dir(directory).map_err(Error::io("read", directory))?;
    match entries.next() {
        None => Ok(()),
        Some(entry) => {
            let entry = entry.map_err(Error::io("read", directory))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            Err(Error::ForeignState {
                path: directory.to_owned(),
                reason: format!("it has no state, and {name:?} in it"),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Record, State};

    #[test]
    fn one_job_one_process() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/state");
        let state = StateDirectory::take(&path).unwrap();
        assert!(state.job().unwrap().is_none());
        assert!(matches!(
            StateDirectory::take(&path),
            Err(Error::StateInUse(_))
        ));
        let record = Record::new("w".into(), "sha256:00".into(), Vec::new());
        let job = state.store().create(record.clone()).unwrap();
        drop((job, state));
        // As after a kill between the directory and the record.
        fs::create_dir(path.join("0123abcd")).unwrap();
        let state = StateDirectory::take(&path).unwrap();
        assert_eq!(state.job().unwrap().unwrap().state, State::Lost);
        assert!(!path.join("0123abcd").exists());
        state.store().create(record).unwrap();
        assert!(matches!(state.job(), Err(Error::ForeignState { .. })));
    }

    #[test]
    fn what_holds_something_else_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("thesis.tex"), "x").unwrap();
        let refused = StateDirectory::take(directory.path()).unwrap_err();
        assert!(refused.to_string().contains("thesis.tex"), "{refused}");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
