//! The locks of a job: whoever answers for the job holds one, the process that runs it another, and
//! the system takes them from a process that dies.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::Path;

use crate::Error;

/// Of who answers for the job.
pub(crate) const LOCK: &str = "lock";
/// Of the process that runs it.
pub(crate) const PROCESS_LOCK: &str = "process.lock";

pub(crate) fn open_lock(directory: &Path, name: &str) -> Result<File, Error> {
    let path = directory.join(name);
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(Error::io("open", &path))
}

/// Waits until the process has gone that ran the job in `directory`. Nobody answers for it any more,
/// so that it is dying.
pub(crate) fn await_process(directory: &Path) -> Result<(), Error> {
    let path = directory.join(PROCESS_LOCK);
    match File::open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        lock => lock
            .and_then(|lock| lock.lock())
            .map_err(Error::io("lock", &path)),
    }
}

pub(crate) fn try_lock(lock: &File, directory: &Path) -> Result<bool, Error> {
    match lock.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(Error::io("lock", directory)(error)),
    }
}

/// Whether a process runs the job. Those who look do not stand in each other's way.
pub(crate) fn is_locked(directory: &Path) -> Result<bool, Error> {
    let path = directory.join(LOCK);
    let lock = match File::open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        lock => lock.map_err(Error::io("open", &path))?,
    };
    match lock.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(Error::io("lock", &path)(error)),
    }
}
