//! What a job is told about its files: their numbers, times and sizes.
//!
//! For most jobs that is what the host says, with numbers that outlive a restore. What the
//! host says of a file's inode, of its times and of the size of a directory differs from
//! machine to machine, so a deterministic job has its own: a file of its scratch directory is
//! numbered by the time of its creation and keeps the times that the job's clock showed; a
//! file of a directory that it was lent is numbered by its path, and is as old as the job.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;

use cap_std::fs::{Metadata, MetadataExt};

use crate::host::{FileId, Identities, times};
use crate::table::Place;
use crate::types::{Filestat, Filetype, NewTime};

/// What a job is told about its files.
#[derive(Debug)]
pub(crate) enum Attributes {
    /// What the host says.
    Host(Identities),
    /// What depends on nothing but the job.
    Own(OwnAttributes),
}

/// The attributes of a deterministic job's files.
#[derive(Debug)]
pub(crate) struct OwnAttributes {
    /// Index of the mount that is the scratch directory.
    scratch: Option<usize>,
    /// When the job started, in nanoseconds since 1970.
    start: u64,
    /// Files of the scratch directory, by their numbers on the host.
    files: BTreeMap<FileId, Own>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Own {
    ino: u64,
    atime: u64,
    mtime: u64,
}

/// A moment of a deterministic job: no two are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Nanoseconds of the monotonic clock.
    pub(crate) monotonic: u64,
    /// Nanoseconds since 1970.
    pub(crate) realtime: u64,
}

impl Attributes {
    /// For a job that was given `scratch` as one of its directories. A deterministic one
    /// started at `start`.
    pub(crate) fn new(start: Option<u64>, scratch: Option<usize>) -> Self {
        match start {
            None => Self::Host(Identities::default()),
            Some(start) => Self::Own(OwnAttributes {
                scratch,
                start,
                files: BTreeMap::new(),
            }),
        }
    }

    /// Makes the job see the device of a mount as `guest`.
    pub(crate) fn keep_device(&mut self, host: u64, guest: u64) {
        if let Self::Host(identities) = self {
            identities.keep_device(host, guest);
        }
    }

    /// Makes the job see the file `host` as `guest`, with these times if they are known.
    pub(crate) fn keep(&mut self, host: FileId, guest: FileId, times: Option<(u64, u64)>) {
        match self {
            Self::Host(identities) => identities.keep(host, guest),
            Self::Own(own) => own.keep(host, guest, times),
        }
    }

    /// The number under which the job knows the device of a mount.
    pub(crate) fn device(&mut self, host: u64, mount: usize) -> u64 {
        match self {
            Self::Host(identities) => identities.device(host),
            Self::Own(_) => device(mount),
        }
    }

    /// The numbers under which the job knows a file.
    pub(crate) fn id(&mut self, host: FileId, place: &Place) -> FileId {
        match self {
            Self::Host(identities) => identities.guest(host),
            Self::Own(own) => FileId {
                dev: device(place.mount),
                ino: own.of(host, place).ino,
            },
        }
    }

    /// Access and modification time of a file, in nanoseconds since 1970.
    pub(crate) fn times(&self, metadata: &Metadata, place: &Place) -> (u64, u64) {
        match self {
            Self::Host(_) => times(metadata),
            Self::Own(own) => {
                let Own { atime, mtime, .. } = own.of(FileId::of(metadata), place);
                (atime, mtime)
            }
        }
    }

    /// All that the job is told about a file.
    pub(crate) fn filestat(&mut self, metadata: &Metadata, place: &Place) -> Filestat {
        match self {
            Self::Host(identities) => identities.filestat(metadata),
            Self::Own(own) => own.filestat(metadata, place),
        }
    }

    /// The files of a deterministic job; the host keeps those of another one.
    pub(crate) fn own(&mut self) -> Option<&mut OwnAttributes> {
        match self {
            Self::Host(_) => None,
            Self::Own(own) => Some(own),
        }
    }
}

impl OwnAttributes {
    /// The job has created a file. That its numbers on the host may have been another file's
    /// does not matter.
    pub(crate) fn created(&mut self, host: FileId, place: &Place, now: Moment) {
        if self.scratch == Some(place.mount) {
            let (ino, time) = (now.monotonic, now.realtime);
            let (atime, mtime) = (time, time);
            self.files.insert(host, Own { ino, atime, mtime });
        }
    }

    /// The job has changed the content of a file.
    pub(crate) fn written(&mut self, host: FileId, place: &Place, now: Moment) {
        self.set_times(host, place, (NewTime::Keep, NewTime::Now), now);
    }

    /// The job gives a file other times of access and modification.
    pub(crate) fn set_times(
        &mut self,
        host: FileId,
        place: &Place,
        (atime, mtime): (NewTime, NewTime),
        now: Moment,
    ) {
        let mut own = self.of(host, place);
        let set = |time: &mut u64, new| match new {
            NewTime::Keep => {}
            NewTime::Now => *time = now.realtime,
            NewTime::At(at) => *time = at,
        };
        set(&mut own.atime, atime);
        set(&mut own.mtime, mtime);
        if self.scratch == Some(place.mount) {
            self.files.insert(host, own);
        }
    }

    fn keep(&mut self, host: FileId, guest: FileId, times: Option<(u64, u64)>) {
        if let (Some(scratch), Some((atime, mtime))) = (self.scratch, times)
            && guest.dev == device(scratch)
        {
            let ino = guest.ino;
            self.files.insert(host, Own { ino, atime, mtime });
        }
    }

    /// A file that the job has not created is one that it was lent, or the scratch directory
    /// itself.
    fn of(&self, host: FileId, place: &Place) -> Own {
        let known = self.files.get(&host);
        known.copied().unwrap_or_else(|| Own {
            ino: number_of(place),
            atime: self.start,
            mtime: self.start,
        })
    }

    fn filestat(&self, metadata: &Metadata, place: &Place) -> Filestat {
        let Own { ino, atime, mtime } = self.of(FileId::of(metadata), place);
        let filetype = crate::host::filetype(metadata);
        let directory = filetype == Filetype::Directory;
        let links = if directory || self.scratch != Some(place.mount) {
            1
        } else {
            metadata.nlink()
        };
        Filestat {
            dev: device(place.mount),
            ino,
            filetype,
            nlink: links,
            size: if directory { 0 } else { metadata.len() },
            atim: atime,
            mtim: mtime,
            ctim: mtime,
        }
    }
}

fn device(mount: usize) -> u64 {
    u64::try_from(mount).unwrap_or(u64::MAX).saturating_add(1)
}

/// The number of a file that the job did not create: FNV-1a over its path, in the upper half
/// of the numbers, where no time of creation is.
fn number_of(place: &Place) -> u64 {
    let path = place.path.as_os_str().as_bytes();
    let hash = path.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash | 1 << 63
}
