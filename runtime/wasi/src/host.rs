//! The host's side of a job's files: the directories it was given, what they know about a
//! file, and the identity under which the job sees it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

use cap_std::fs::{Dir, Metadata, MetadataExt};
use rustix::fs::{FileType, Mode, OFlags};
use serde::{Deserialize, Serialize};

use crate::types::{Filestat, Filetype};

/// A directory of the host that the job was given.
#[derive(Debug)]
pub(crate) struct MountRoot {
    pub(crate) guest: String,
    pub(crate) read_only: bool,
    /// Whether it is the job's own, which travels with a checkpoint.
    pub(crate) scratch: bool,
    pub(crate) dir: Dir,
    /// Where it is on the host, if that can be told.
    pub(crate) host: Option<PathBuf>,
}

impl MountRoot {
    pub(crate) fn open(
        host: &Path,
        guest: &str,
        read_only: bool,
        scratch: bool,
    ) -> io::Result<Self> {
        // cap-std would open it as a mere path, which cannot be synchronised.
        let directory = OFlags::DIRECTORY.bits().cast_signed();
        let file = File::options()
            .read(true)
            .custom_flags(directory)
            .open(host)?;
        Ok(Self {
            guest: guest.to_owned(),
            read_only,
            scratch,
            dir: Dir::from_std_file(file),
            host: host.canonicalize().ok(),
        })
    }

    /// What is at `path`, symbolic links followed; the empty path is the root.
    pub(crate) fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        if path.as_os_str().is_empty() {
            self.dir.dir_metadata()
        } else {
            self.dir.metadata(path)
        }
    }
}

/// The entries of a directory, from the first on; `.` and `..` among them.
pub(crate) fn entries(dir: &Dir) -> io::Result<rustix::fs::Dir> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let own = rustix::fs::openat(dir, ".", flags, Mode::empty())?;
    Ok(rustix::fs::Dir::new(own)?)
}

/// Makes reads of `file` leave its access time as it is, if the host lets us: saving a job
/// is not to be seen by it. What was set before is returned.
pub(crate) fn read_unseen(file: impl AsFd) -> Option<OFlags> {
    let flags = rustix::fs::fcntl_getfl(&file).ok()?;
    rustix::fs::fcntl_setfl(&file, flags | OFlags::NOATIME).ok()?;
    Some(flags)
}

/// The two numbers that name a file.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct FileId {
    /// The device.
    pub dev: u64,
    /// The inode.
    pub ino: u64,
}

impl FileId {
    /// As the host has it.
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            dev: metadata.dev(),
            ino: metadata.ino(),
        }
    }
}

/// Gives files the numbers that the job sees. Programs remember them (SQLite refuses a
/// database whose inode has changed), so a file keeps its numbers across a restore.
#[derive(Debug, Default)]
pub(crate) struct Identities {
    /// How often the job was restored. It is part of every device number, so that a file
    /// first seen now cannot be taken for one that was seen before.
    pub(crate) generation: u32,
    /// Devices of the host in the order in which they were seen.
    devices: Vec<u64>,
    /// Numbers of restored files.
    restored: BTreeMap<FileId, FileId>,
}

impl Identities {
    pub(crate) fn restore(generation: u32) -> Self {
        Self {
            generation,
            ..Self::default()
        }
    }

    /// Makes the job see `host` as `guest`.
    pub(crate) fn keep(&mut self, host: FileId, guest: FileId) {
        self.restored.insert(host, guest);
    }

    /// The numbers that the job sees.
    pub(crate) fn guest(&mut self, host: FileId) -> FileId {
        if let Some(&guest) = self.restored.get(&host) {
            return guest;
        }
        let index = match self.devices.iter().position(|&dev| dev == host.dev) {
            Some(index) => index,
            None => {
                self.devices.push(host.dev);
                self.devices.len() - 1
            }
        };
        let index = u64::try_from(index).unwrap_or(u64::MAX).saturating_add(1);
        FileId {
            dev: (u64::from(self.generation) << 32) | index,
            ino: host.ino,
        }
    }

    /// What the job is told about a file.
    pub(crate) fn filestat(&mut self, metadata: &Metadata) -> Filestat {
        let id = self.guest(FileId::of(metadata));
        Filestat {
            dev: id.dev,
            ino: id.ino,
            filetype: filetype(metadata),
            nlink: metadata.nlink(),
            size: metadata.len(),
            atim: nanoseconds(metadata.atime(), metadata.atime_nsec()),
            mtim: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            ctim: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

pub(crate) fn filetype(metadata: &Metadata) -> Filetype {
    FileType::from_raw_mode(metadata.mode()).into()
}

/// Access and modification time of a file, in nanoseconds since 1970.
pub(crate) fn times(metadata: &Metadata) -> (u64, u64) {
    (
        nanoseconds(metadata.atime(), metadata.atime_nsec()),
        nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
    )
}

/// The specification has no times before 1970, nor after 2554.
fn nanoseconds(seconds: i64, rest: i64) -> u64 {
    let nanoseconds = i128::from(seconds) * 1_000_000_000 + i128::from(rest);
    u64::try_from(nanoseconds.max(0)).unwrap_or(u64::MAX)
}

/// `path` in `base`, with `.` and `..` resolved by name.
pub(crate) fn join(base: &Path, path: &Path) -> PathBuf {
    let mut joined = base.to_owned();
    for component in path.components() {
        match component {
            Component::Normal(name) => joined.push(name),
            Component::ParentDir => {
                joined.pop();
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    joined
}
