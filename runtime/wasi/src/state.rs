//! What of a job's view of the system goes into a checkpoint: plain data, in an order that
//! depends on nothing but the state, so that equal states have equal bytes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wherry_snapshot::Blob;

use crate::{ClockState, FdFlags, FileId, PendingPoll, RandomState, Rights};

/// Everything that [`Wasi`](crate::Wasi) holds for a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WasiState {
    /// Command line.
    pub args: Vec<Vec<u8>>,
    /// Environment, as names and values.
    pub env: Vec<(Vec<u8>, Vec<u8>)>,
    /// The directories that the job was given, and must be given again.
    pub mounts: Vec<MountState>,
    /// Open descriptors by number.
    pub descriptors: BTreeMap<u32, DescriptorState>,
    /// Open files and directories that have no name any more.
    pub orphans: Vec<Orphan>,
    /// The tree of the scratch directory by path, names joined by `/`, the empty path being
    /// the directory itself; empty if the job has none.
    pub scratch: BTreeMap<Vec<u8>, Node>,
    /// Clocks that stop with the job.
    pub clocks: ClockState,
    /// Random numbers.
    pub random: RandomState,
    /// The wait in which the job was interrupted.
    pub pending_poll: Option<PendingPoll>,
}

/// A directory that the job was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountState {
    /// Its name for the job.
    pub guest: String,
    /// Whether the job may only read it.
    pub read_only: bool,
    /// Whether it is the scratch directory.
    pub scratch: bool,
    /// The device number under which the job knows it.
    pub dev: u64,
}

/// An open descriptor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DescriptorState {
    /// What it may be used for.
    pub rights: Rights,
    /// What may be used that is opened through it.
    pub inheriting: Rights,
    /// Its flags.
    pub flags: FdFlags,
    /// What it stands for.
    pub object: ObjectState,
}

/// What a descriptor stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ObjectState {
    /// Standard input.
    Stdin {
        /// Where the job was in it, if it is a regular file.
        position: Option<u64>,
    },
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A file, or a pipe or device with a path.
    File(FileState),
    /// A directory.
    Directory(DirectoryState),
}

/// An open file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileState {
    /// Where it is.
    pub location: Location,
    /// The numbers under which the job knows it.
    pub id: FileId,
    /// Whether the host has it open for reading.
    pub read: bool,
    /// Whether the host has it open for writing.
    pub write: bool,
    /// Position and size, if it is a regular file.
    pub position: Option<(u64, u64)>,
}

/// An open directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryState {
    /// Where it is.
    pub location: Location,
    /// The numbers under which the job knows it.
    pub id: FileId,
    /// Whether the job was given it.
    pub preopened: bool,
    /// The names that the job goes through with `fd_readdir`, without `.` and `..`.
    pub listing: Option<Vec<Vec<u8>>>,
}

/// Where an open file is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Location {
    /// At a path.
    Path {
        /// Index in [`WasiState::mounts`].
        mount: u32,
        /// Path there; empty for the mount itself.
        path: Vec<u8>,
    },
    /// Index in [`WasiState::orphans`].
    Orphan(u32),
}

/// An open file or directory without a name. Its content travels in the checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orphan {
    /// Index of the mount in which it had a name.
    pub mount: u32,
    /// The last path that is known.
    pub path: Vec<u8>,
    /// Access time, nanoseconds since 1970.
    pub atime: u64,
    /// Modification time, nanoseconds since 1970.
    pub mtime: u64,
    /// Content of a file; a directory without a name is empty.
    pub content: Option<Blob>,
}

/// Something in the scratch directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// The numbers under which the job knows it.
    pub id: FileId,
    /// Access time, nanoseconds since 1970.
    pub atime: u64,
    /// Modification time, nanoseconds since 1970.
    pub mtime: u64,
    /// What it is.
    pub content: Content,
}

/// What a node of the scratch directory is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// A directory.
    Directory,
    /// A regular file.
    File(Blob),
    /// Another name of the file at this path.
    Link(Vec<u8>),
    /// A symbolic link to this target.
    Symlink(Vec<u8>),
}
