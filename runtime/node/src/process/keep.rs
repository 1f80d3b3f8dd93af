//! What the process that answers for a job writes down of it. The one that runs the job tells what it
//! has done; the record says what the job is lent when it goes on, and is out of its reach, as its
//! checkpoints are.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use wherry_engine::write_atomically;

use super::message::Ended;
use crate::checkpoints::{self, sync_directory};
use crate::record::now;
use crate::retention::delete;
use crate::store::{OUTGOING, ignore_missing, private_directories};
use crate::{ActiveJob, Checkpointed, End, Ending, Error, Status};

/// A checkpoint on its way, in the directory for that.
pub(crate) const NAME: &str = "checkpoint";

/// A checkpoint on its way to where the user wants it, taken from the process that made it.
const TAKEN: &str = ".taken";

impl ActiveJob {
    /// Makes the directory of the job that the process that runs it leaves checkpoints in.
    pub(crate) fn make_room(&self) -> Result<(), Error> {
        let outgoing = self.directory().join(OUTGOING);
        // What another process has not delivered, nobody waits for.
        ignore_missing(fs::remove_dir_all(&outgoing)).map_err(Error::io("remove", &outgoing))?;
        private_directories(&outgoing)
    }

    /// Brings a checkpoint that was written to where it was to go, and notes it. Returns why one
    /// that is not kept could not be deleted.
    ///
    /// # Errors
    /// There is no such file, or nobody `wants` one there, or the system refuses.
    pub(super) fn written(
        &mut self,
        done: &Checkpointed,
        wants: impl Fn(&Path) -> bool,
    ) -> Result<Option<Error>, Error> {
        let refused = |source| Error::io("write", &done.path)(source);
        let kept = self.directory().join(checkpoints::DIRECTORY);
        private_directories(&kept)?;
        let own = checkpoints::own(self.directory(), done.sequence);
        if done.path == own {
            self.take(&own).map_err(refused)?;
            sync_directory(&kept)?;
            if self.record.checkpoints.is_empty() {
                // It outlives a power failure only if the job's directory does.
                sync_directory(self.directory().parent().unwrap_or(self.directory()))?;
            }
        } else if wants(&done.path) {
            let taken = kept.join(TAKEN);
            ignore_missing(fs::remove_file(&taken)).map_err(refused)?;
            let brought = self.take(&taken).and_then(|()| deliver(&taken, &done.path));
            brought.map_err(refused)?;
        } else {
            return Err(refused(io::ErrorKind::PermissionDenied.into()));
        }
        let of_no_use = self.keep(done.clone())?;
        Ok(delete(&of_no_use).err())
    }

    /// Takes the checkpoint that the process of the job has left. It may be anything until its name
    /// is out of the reach of that process: a link would be followed by whoever reads it later.
    fn take(&self, to: &Path) -> io::Result<()> {
        if fs::symlink_metadata(to).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        fs::rename(self.directory().join(OUTGOING).join(NAME), to)?;
        let left = fs::symlink_metadata(to)?;
        if left.is_file() && left.nlink() == 1 {
            return Ok(());
        }
        match left.is_dir() {
            true => fs::remove_dir_all(to)?,
            false => fs::remove_file(to)?,
        }
        let what = "what the process of the job left there is no file of its own";
        Err(io::Error::new(io::ErrorKind::PermissionDenied, what))
    }

    /// Notes how the run ended, and tidies up. `keep` the scratch directory when the job has ended.
    ///
    /// # Errors
    /// The run failed, or the system refuses.
    pub(super) fn conclude(&mut self, ended: Ended, keep: bool) -> Result<Ending, Error> {
        let Ended {
            ending,
            suspended,
            used,
        } = ended;
        self.record.used = Some(used);
        match &ending {
            Ok(Ending::Suspended(reason, _)) => self.suspend(reason.to_string())?,
            Ok(Ending::Exited(code)) => {
                // First the end: a job that is killed in between is not run again.
                self.end(End::Exited(*code))?;
                let kept = self.directory().join(checkpoints::DIRECTORY);
                if kept.exists() || !self.record.checkpoints.is_empty() {
                    self.remove_checkpoints()?;
                    self.save(false)?;
                }
            }
            Ok(Ending::Trapped(trap)) => self.end(End::Trapped(trap.message.clone()))?,
            Ok(Ending::Killed(_)) => self.end(End::Killed)?,
            Err(failure) => match suspended {
                Some(reason) => self.suspend(reason)?,
                None => self.end(End::Failed(failure.message.clone()))?,
            },
        }
        // A checkpoint has its own copy of the files.
        let suspended = matches!(ending, Ok(Ending::Suspended(..)));
        if suspended || !keep {
            self.remove_scratch()?;
        }
        self.remove_room();
        match ending {
            Ok(Ending::Killed(_)) => Ok(Ending::Killed(self.record.last_checkpoint().cloned())),
            ending => ending.map_err(Error::Failed),
        }
    }

    fn suspend(&mut self, reason: String) -> Result<(), Error> {
        self.record.status = Status::Suspended { at: now(), reason };
        self.save(true)
    }

    /// Removes directories that nothing is in.
    fn remove_room(&self) {
        let _ = fs::remove_dir_all(self.directory().join(OUTGOING));
        let _ = fs::remove_dir(self.directory().join(checkpoints::DIRECTORY));
    }
}

/// Brings a file that is on the disk to another place, where it is on the disk.
fn deliver(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => copy(from, to)?,
        renamed => renamed?,
    }
    let directory = to.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

/// For another file system.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = File::open(from)?;
    let copied = write_atomically(to, |file| Ok(io::copy(&mut source, file)?));
    copied.map_err(io::Error::other)?;
    fs::remove_file(from)
}
