//! Why a job cannot be loaded, started, captured or resumed.

use std::io;
use std::path::PathBuf;

use wherry_snapshot::{Digest, hex};

/// Why a job cannot be loaded, started, captured or resumed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The engine cannot work on this machine.
    #[error("the engine cannot start: {0}")]
    Engine(String),
    /// The module is invalid, or has something that cannot be captured.
    #[error(transparent)]
    Module(#[from] wherry_instrument::Error),
    /// The module cannot be compiled or instantiated.
    #[error("the module cannot be {action}: {reason}")]
    Instantiate {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        reason: String,
    },
    /// The module wants something that Wherry does not have.
    #[error("the module imports `{module}.{name}`, which is not available")]
    UnknownImport {
        /// Module name of the import.
        module: String,
        /// Field name of the import.
        name: String,
    },
    /// The module is no command.
    #[error("the module is no command: it exports no function `_start` without parameters")]
    NoEntryPoint,
    /// The module needs more memory at its start than the job may have.
    #[error("the module needs {needed} bytes of memory to start, and the limit is {limit}")]
    MemoryLimit {
        /// What it declares.
        needed: u64,
        /// What it may have.
        limit: u64,
    },
    /// Arguments, environment or directories are not acceptable.
    #[error(transparent)]
    Config(#[from] wherry_wasi::ConfigError),
    /// The host's state cannot be captured.
    #[error(transparent)]
    Save(#[from] wherry_wasi::SaveError),
    /// The host's state cannot be restored here.
    #[error(transparent)]
    Restore(#[from] wherry_wasi::RestoreError),
    /// A memory cannot be frozen or restored.
    #[error(transparent)]
    Memory(#[from] wherry_memory::Error),
    /// The checkpoint cannot be read or written.
    #[error(transparent)]
    Checkpoint(#[from] wherry_snapshot::Error),
    /// The checkpoint belongs to another module.
    #[error("the checkpoint is of module sha256:{}, not of sha256:{}", hex(.expected), hex(.found))]
    WrongModule {
        /// The module that the checkpoint names.
        expected: Digest,
        /// The module that was given.
        found: Digest,
    },
    /// The checkpoint was made by a version of the instrumentation that is not known.
    #[error("the checkpoint needs version {0} of the instrumentation, which is not known here")]
    InstrumentationVersion(u32),
    /// A deterministic job would have something that makes it depend on where it runs.
    #[error("a deterministic job cannot have {what}")]
    NotDeterministic {
        /// What it would have.
        what: String,
    },
    /// Two checkpoints that are not one after the other of the same deterministic job.
    #[error("the checkpoints cannot be compared: {reason}")]
    NotComparable {
        /// What is between them.
        reason: String,
    },
    /// The checkpoint's job is deterministic by rules that are not known.
    #[error(
        "the checkpoint needs version {0} of the deterministic profile, which is not known here"
    )]
    ProfileVersion(u32),
    /// The checkpoint's job had a directory that nobody provides now.
    #[error("the job needs the directory {guest:?}{}", if *.read_only { "" } else { ", writable" })]
    MissingMount {
        /// Its path for the guest.
        guest: String,
        /// Whether a read-only one is enough.
        read_only: bool,
    },
    /// The checkpoint's frames do not fit the module.
    #[error("the checkpoint does not fit the module: {0}")]
    Frames(#[from] wherry_instrument::MapError),
    /// The checkpoint's globals, tables, segments or memories do not fit the module.
    #[error("the checkpoint does not fit the module: {what}")]
    DoesNotFit {
        /// What does not fit, and why.
        what: String,
    },
    /// The program uses a GPU, and is lent none.
    #[error("the program uses a GPU, and the job is lent none")]
    NoGpu,
    /// The GPU cannot be used, or what is on it cannot be moved.
    #[error(transparent)]
    Gpu(#[from] wherry_gpu_host::Error),
    /// The job is not stopped at a safepoint, so it cannot be captured or run on.
    #[error("the job is not stopped: it has ended")]
    NotStopped,
    /// A file cannot be written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused something else.
    #[error(transparent)]
    Io(#[from] io::Error),
}
