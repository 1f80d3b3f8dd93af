//! The host's side of a job's files: the directories it was given, what they know about a
//! file, and the identity under which the job sees it.

use std::collections::{BTreeMap, BTreeSet};
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
/// database whose inode has changed), so a file keeps its numbers across a restore, and no
/// file that appears later gets them.
#[derive(Debug, Default)]
pub(crate) struct Identities {
    /// Device numbers of the job, by those of the host: no number for two devices.
    devices: BTreeMap<u64, u64>,
    /// Files whose inode is not the host's.
    files: BTreeMap<FileId, FileId>,
    /// The numbers of those files.
    taken: BTreeSet<FileId>,
}

/// Where inodes start that are not the host's.
const MADE_UP: u64 = 1 << 62;

impl Identities {
    /// Makes the job see the device `host` as `guest`, if neither has another number yet.
    pub(crate) fn keep_device(&mut self, host: u64, guest: u64) {
        if !self.devices.values().any(|&taken| taken == guest) {
            self.devices.entry(host).or_insert(guest);
        }
    }

    /// Makes the job see the file `host` as `guest`.
    pub(crate) fn keep(&mut self, host: FileId, guest: FileId) {
        self.files.insert(host, guest);
        self.taken.insert(guest);
    }

    /// The number of a device that the job sees. They count up from 1.
    pub(crate) fn device(&mut self, host: u64) -> u64 {
        let last = self.devices.values().max().copied().unwrap_or(0);
        *self.devices.entry(host).or_insert(last.saturating_add(1))
    }

    /// The numbers of a file that the job sees.
    pub(crate) fn guest(&mut self, host: FileId) -> FileId {
        if let Some(&guest) = self.files.get(&host) {
            return guest;
        }
        let dev = self.device(host.dev);
        let guest = FileId { dev, ino: host.ino };
        if !self.taken.contains(&guest) {
            return guest;
        }
        let all = FileId { dev, ino: MADE_UP }..=FileId { dev, ino: u64::MAX };
        let last = self.taken.range(all).next_back();
        let ino = last.map_or(MADE_UP, |last| last.ino.saturating_add(1));
        let guest = FileId { dev, ino };
        self.keep(host, guest);
        guest
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

#[cfg(test)]
mod tests {
    use super::*;

    fn id(dev: u64, ino: u64) -> FileId {
        FileId { dev, ino }
    }

    #[test]
    fn devices_count_up_and_inodes_are_the_hosts() {
        let mut identities = Identities::default();
        assert_eq!(identities.guest(id(77, 5)), id(1, 5));
        assert_eq!(identities.guest(id(66, 5)), id(2, 5));
        assert_eq!(identities.guest(id(77, 6)), id(1, 6));
    }

    #[test]
    fn kept_numbers_are_given_to_no_other_file() {
        let mut identities = Identities::default();
        identities.keep_device(77, 1);
        // Another device that had the same number.
        identities.keep_device(66, 1);
        identities.keep(id(77, 8), id(1, 5));
        assert_eq!(identities.guest(id(77, 8)), id(1, 5));
        let first = identities.guest(id(77, 5));
        assert_eq!(first, id(1, MADE_UP));
        assert_eq!(identities.guest(id(77, 5)), first);
        assert_eq!(identities.guest(id(66, 5)), id(2, 5));
    }

    #[test]
    fn joining_goes_by_name() {
        let joined = |path: &str| join(Path::new("a/b"), Path::new(path));
        assert_eq!(joined("./c/../d/"), Path::new("a/b/d"));
        assert_eq!(joined("../.."), Path::new(""));
        assert_eq!(joined("../../../x"), Path::new("x"));
    }
}
