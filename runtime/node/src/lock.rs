//! The lock of a job: whoever runs the job holds it, and the system takes it from a process
//! that dies.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::Path;

use crate::Error;

pub(crate) const LOCK: &str = "lock";

pub(crate) fn open_lock(directory: &Path) -> Result<File, Error> {
    let path = directory.join(LOCK);
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(Error::io("open", &path))
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
