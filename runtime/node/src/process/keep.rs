//! What the process that answers for a job writes down of it. The one that runs the job tells what it
//! has done; the record says what the job is lent when it goes on, and is out of its reach.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;
use wherry_engine::write_atomically;

use super::message::Ended;
use crate::checkpoints::{self, sync_directory};
use crate::record::now;
use crate::retention::delete;
use crate::store::{OUTGOING, ignore_missing, private_directories};
use crate::{ActiveJob, Checkpointed, End, Ending, Error, Status};

/// The job's checkpoint on its way to where the user wants it, in the directory for that.
pub(crate) const NAME: &str = "checkpoint";

impl ActiveJob {
    /// Makes the directories of the job that the process that runs it may write to.
    pub(crate) fn make_room(&self) -> Result<(), Error> {
        let outgoing = self.directory().join(OUTGOING);
        // What another process has not delivered, nobody waits for.
        ignore_missing(fs::remove_dir_all(&outgoing)).map_err(Error::io("remove", &outgoing))?;
        private_directories(&outgoing)?;
        private_directories(&self.directory().join(checkpoints::DIRECTORY))
    }

    /// Notes a checkpoint that was written, and brings it to where it was to go if that is not the
    /// job's directory. Returns why one that is not kept could not be deleted.
    ///
    /// # Errors
    /// There is no such file, or nobody `wants` one there, or the system refuses.
    pub(super) fn written(
        &mut self,
        done: &Checkpointed,
        wants: impl Fn(&Path) -> bool,
    ) -> Result<Option<Error>, Error> {
        let refused = |source| Error::io("write", &done.path)(source);
        let own = checkpoints::own(self.directory(), done.sequence);
        if done.path == own {
            refuse_link(&own).map_err(refused)?;
            if self.record.checkpoints.is_empty() {
                // It outlives a power failure only if the job's directory does.
                sync_directory(self.directory().parent().unwrap_or(self.directory()))?;
            }
        } else if wants(&done.path) {
            let outgoing = self.directory().join(OUTGOING).join(NAME);
            deliver(&outgoing, &done.path).map_err(refused)?;
        } else {
            return Err(refused(io::ErrorKind::PermissionDenied.into()));
        }
        let of_no_use = self.keep(done.clone())?;
        Ok(delete(&of_no_use).err())
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
                self.remove_checkpoints()?;
                self.save(false)?;
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
    refuse_link(from)?;
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => copy(from, to)?,
        renamed => renamed?,
    }
    let directory = to.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

/// For another file system.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    // Not what a link that has just taken its place leads to.
    let no_link = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
    let mut source = OpenOptions::new()
        .read(true)
        .custom_flags(no_link)
        .open(from)?;
    let copied = write_atomically(to, |file| Ok(io::copy(&mut source, file)?));
    copied.map_err(io::Error::other)?;
    fs::remove_file(from)
}

fn refuse_link(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_file() {
        return Ok(());
    }
    Err(io::ErrorKind::PermissionDenied.into())
}
