//! A host for WASI preview 1 (`wasi_snapshot_preview1`) over cap-std, whose whole state can
//! be saved and restored. No engine is linked: memory is a slice of bytes.
//!
//! [`Wasi`] has one method per function of the specification; [`for_each_function!`] hands
//! their list to a macro, so that an engine registers them in one invocation. A call either
//! takes effect or ends with [`Fault::Interrupted`] and has none: then it is made again,
//! here or after [`Wasi::save`] and [`Wasi::restore`] on another machine.
//!
//! # Where the specification leaves a choice
//!
//! - Rights are kept and enforced. `path_open` refuses rights that the directory does not
//!   pass on (`notcapable`); of the others, those that make no sense for what was opened are
//!   dropped. What would change a read-only mount is refused with `rofs`, whatever the rights:
//!   a program that only reads may ask for more than it uses.
//! - A path is UTF-8 (`ilseq`), without NUL (`inval`), at most 4095 bytes (`nametoolong`).
//!   One that leads out of its directory is refused with `perm`.
//! - `fd_readdir` lists by name, from a copy taken at cookie 0.
//! - Opening a pipe never waits for its other end; reading and writing do.
//! - Standard streams have size and times 0 unless they are regular files.
//! - A wait for CPU time is refused with `notsup`, and `proc_raise` too.
//! - What is beyond a [`Quota`](wherry_snapshot::Quota) is refused with `dquot`; with one on
//!   files, links and renames between directories are refused with `xdev`.
//! - Device numbers count up in the order in which devices were seen.
//! - A deterministic job ([`WasiConfig::deterministic`]) has a device for each mount, numbers
//!   and times of files that no host has a part in, directories of size 0, and clocks that
//!   move only when it looks at them or waits. One write to an output takes 4096 bytes at most.

mod attributes;
mod clock;
mod config;
mod dir;
mod errno;
mod fd;
mod functions;
mod host;
mod interrupt;
mod io;
mod memory;
mod open;
mod orphan;
mod path;
mod poll;
mod process;
mod quota;
mod random;
mod restore;
mod save;
mod saved;
mod scratch;
mod sock;
mod state;
mod stream;
mod table;
mod types;
mod wasi;

pub use clock::ClockState;
pub use config::{ConfigError, Input, Mount, Output, Scratch, Stdio, WasiConfig};
pub use errno::{Errno, Fault};
pub use host::FileId;
pub use interrupt::Interrupt;
pub use poll::PendingPoll;
pub use quota::{Exhausted, QuotaObserver};
pub use random::RandomState;
pub use restore::RestoreError;
pub use save::SaveError;
pub use state::{
    Content, DescriptorState, DirectoryState, FileState, Location, MountState, Node, ObjectState,
    Orphan, WasiState,
};
pub use types::{FdFlags, Rights};
pub use wasi::Wasi;
