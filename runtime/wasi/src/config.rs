//! What a job is given: arguments, environment, directories, standard streams.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use wherry_snapshot::Usage;

use crate::{Interrupt, QuotaObserver};

/// Everything that a job is given.
#[derive(Debug)]
pub struct WasiConfig {
    /// Command line, the program's name first. No argument may hold a NUL.
    pub args: Vec<Vec<u8>>,
    /// Environment, as names and values.
    pub env: Vec<(Vec<u8>, Vec<u8>)>,
    /// Directories of the host; they become descriptors from 3 on, in this order.
    pub mounts: Vec<Mount>,
    /// The job's own directory, whose content travels with a checkpoint. Its descriptor
    /// follows those of the mounts.
    pub scratch: Option<Scratch>,
    /// Descriptors 0, 1 and 2.
    pub stdio: Stdio,
    /// Ends calls that block.
    pub interrupt: Interrupt,
    /// Seed of `random_get`.
    pub seed: [u8; 32],
    /// What a deterministic job's real-time clock shows when it starts, in nanoseconds since
    /// 1970. Such a job sees nothing of the machine: its clocks and the numbers and times of
    /// its files are its own, it reads nothing from standard input, and its outputs take what
    /// it writes and show nothing else. `None` for any other job.
    pub deterministic: Option<u64>,
    /// What the job may write, and has written before.
    pub usage: Usage,
    /// Is told when that is all it may write.
    pub quota_observer: QuotaObserver,
    /// The smallest step that the host's clocks and the times of files make for the job, in
    /// nanoseconds.
    pub clock_resolution: u64,
}

impl WasiConfig {
    /// A deterministic job has clocks of its own, wherever it runs.
    pub(crate) fn clock_resolution(&self) -> u64 {
        match self.deterministic {
            Some(_) => 1,
            None => self.clock_resolution.max(1),
        }
    }
}

/// A directory of the host that a job may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Where it lies on the host.
    pub host: PathBuf,
    /// The name under which the job finds it.
    pub guest: String,
    /// Whether whatever would change it is refused, with `rofs`.
    pub read_only: bool,
}

/// A directory of the host that belongs to one job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scratch {
    /// Where it lies on the host.
    pub host: PathBuf,
    /// The name under which the job finds it.
    pub guest: String,
}

/// The three standard streams.
#[derive(Debug)]
pub struct Stdio {
    /// Descriptor 0.
    pub stdin: Input,
    /// Descriptor 1.
    pub stdout: Output,
    /// Descriptor 2.
    pub stderr: Output,
}

impl Stdio {
    /// The process's own streams.
    ///
    /// # Errors
    /// A stream is closed, or the process has no descriptors left.
    pub fn inherit() -> io::Result<Self> {
        Ok(Self {
            stdin: Input::Fd(io::stdin().as_fd().try_clone_to_owned()?),
            stdout: Output::Fd(io::stdout().as_fd().try_clone_to_owned()?),
            stderr: Output::Fd(io::stderr().as_fd().try_clone_to_owned()?),
        })
    }

    /// No input, and output that goes nowhere.
    #[must_use]
    pub fn null() -> Self {
        Self {
            stdin: Input::Reader(Box::new(io::empty())),
            stdout: Output::Writer(Box::new(io::sink())),
            stderr: Output::Writer(Box::new(io::sink())),
        }
    }
}

impl Stdio {
    /// The same for whatever the streams are.
    pub(crate) fn opaque(self) -> Self {
        Self {
            stdin: Input::Reader(Box::new(io::empty())),
            stdout: self.stdout.opaque(),
            stderr: self.stderr.opaque(),
        }
    }
}

/// Where standard input comes from.
pub enum Input {
    /// An open file, pipe or terminal.
    Fd(OwnedFd),
    /// Something of this process. It is taken to be always ready: a read that blocks in it
    /// cannot be interrupted.
    Reader(Box<dyn Read + Send>),
}

/// Where standard output or error goes to.
pub enum Output {
    /// An open file, pipe or terminal.
    Fd(OwnedFd),
    /// Something of this process, taken to be always ready.
    Writer(Box<dyn Write + Send>),
    /// As `Fd`, but all that the job sees of it is that it takes what is written.
    Opaque(OwnedFd),
}

impl Output {
    fn opaque(self) -> Self {
        match self {
            Self::Fd(fd) => Self::Opaque(fd),
            other => other,
        }
    }
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fd(fd) => f.debug_tuple("Fd").field(fd).finish(),
            Self::Reader(_) => f.write_str("Reader"),
        }
    }
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fd(fd) => f.debug_tuple("Fd").field(fd).finish(),
            Self::Writer(_) => f.write_str("Writer"),
            Self::Opaque(fd) => f.debug_tuple("Opaque").field(fd).finish(),
        }
    }
}

/// Why a job cannot be given what its configuration says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// An argument holds a NUL byte, which ends a string for the guest.
    #[error("argument {index} holds a NUL byte")]
    Argument {
        /// Its position, from 0.
        index: usize,
    },
    /// A variable has no name, a name with `=`, or a NUL byte.
    #[error("environment variable {name:?} has an empty name, a '=' in its name, or a NUL byte")]
    Variable {
        /// Its name.
        name: String,
    },
    /// Two directories have the same name for the guest.
    #[error("two directories are called {guest:?}")]
    DuplicateMount {
        /// The name.
        guest: String,
    },
    /// A directory of the host cannot be opened.
    #[error("directory {} cannot be opened for {guest:?}: {source}", host.display())]
    Mount {
        /// Where it should be on the host.
        host: PathBuf,
        /// Its name for the guest.
        guest: String,
        /// What the host said.
        source: io::Error,
    },
}
