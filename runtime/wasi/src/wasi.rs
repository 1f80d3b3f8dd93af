//! A job's view of the system.

use std::os::fd::AsFd;

use rand_chacha::ChaCha20Rng;

use crate::attributes::Attributes;
use crate::clock::{ClockState, Clocks};
use crate::config::{ConfigError, Stdio, WasiConfig};
use crate::host::MountRoot;
use crate::poll::PendingPoll;
use crate::quota::Accounts;
use crate::random::RandomState;
use crate::saved::Saved;
use crate::table::{Descriptor, Object, OpenDirectory, OutputStream, Place, Table};
use crate::types::{FdFlags, Filetype, Rights};
use crate::{Input, Interrupt, Output};

/// A job's view of the system: the functions of preview 1, and all the state behind them.
#[derive(Debug)]
pub struct Wasi {
    pub(crate) args: Vec<Vec<u8>>,
    pub(crate) env: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) mounts: Vec<MountRoot>,
    pub(crate) table: Table,
    pub(crate) attributes: Attributes,
    pub(crate) saved: Saved,
    pub(crate) clocks: Clocks,
    pub(crate) random: ChaCha20Rng,
    pub(crate) pending_poll: Option<PendingPoll>,
    pub(crate) interrupt: Interrupt,
    pub(crate) accounts: Accounts,
    /// In nanoseconds; at least 1.
    pub(crate) clock_resolution: u64,
}

impl Wasi {
    /// Gives a new job what `config` says.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn new(config: WasiConfig) -> Result<Self, ConfigError> {
        check_strings(&config)?;
        let mounts = open_mounts(&config)?;
        let clock_resolution = config.clock_resolution();
        let mut table = Table::default();
        let Stdio {
            stdin,
            stdout,
            stderr,
        } = streams(config.stdio, config.deterministic);
        table.place(0, standard(Object::Input(stdin)));
        table.place(1, standard(Object::Output(stdout, OutputStream::Stdout)));
        table.place(2, standard(Object::Output(stderr, OutputStream::Stderr)));
        for (fd, (index, mount)) in (3..).zip(mounts.iter().enumerate()) {
            table.place(fd, preopened(index, mount)?);
        }
        let scratch = mounts.iter().position(|mount| mount.scratch);
        let random = RandomState {
            seed: config.seed,
            position: 0,
        };
        Ok(Self {
            args: config.args,
            env: config.env,
            mounts,
            table,
            attributes: Attributes::new(config.deterministic, scratch),
            saved: Saved::default(),
            clocks: Clocks::new(config.deterministic),
            random: random.restore(),
            pending_poll: None,
            interrupt: config.interrupt,
            accounts: Accounts::new(config.usage, config.quota_observer),
            clock_resolution,
        })
    }

    /// Whether the job sees nothing of the machine.
    pub(crate) fn is_deterministic(&self) -> bool {
        matches!(self.attributes, Attributes::Own(_))
    }

    /// The clocks that stop with the job, as they stand.
    #[must_use]
    pub fn clocks(&self) -> ClockState {
        self.clocks.save()
    }
}

fn check_strings(config: &WasiConfig) -> Result<(), ConfigError> {
    if let Some(index) = config.args.iter().position(|arg| arg.contains(&0)) {
        return Err(ConfigError::Argument { index });
    }
    let bad = config.env.iter().find(|(name, value)| {
        name.is_empty() || name.contains(&b'=') || name.contains(&0) || value.contains(&0)
    });
    match bad {
        Some((name, _)) => Err(ConfigError::Variable {
            name: String::from_utf8_lossy(name).into_owned(),
        }),
        None => Ok(()),
    }
}

/// Opens the directories of `config`, the scratch directory last.
pub(crate) fn open_mounts(config: &WasiConfig) -> Result<Vec<MountRoot>, ConfigError> {
    let mut roots: Vec<MountRoot> = Vec::new();
    let mounts = config.mounts.iter();
    let mounts = mounts.map(|mount| (&mount.host, &mount.guest, mount.read_only, false));
    let scratch = config.scratch.iter();
    let scratch = scratch.map(|scratch| (&scratch.host, &scratch.guest, false, true));
    for (host, guest, read_only, scratch) in mounts.chain(scratch) {
        if roots.iter().any(|root| &root.guest == guest) {
            return Err(ConfigError::DuplicateMount {
                guest: guest.clone(),
            });
        }
        let root = MountRoot::open(host, guest, read_only, scratch);
        roots.push(root.map_err(|source| ConfigError::Mount {
            host: host.clone(),
            guest: guest.clone(),
            source,
        })?);
    }
    Ok(roots)
}

fn preopened(index: usize, mount: &MountRoot) -> Result<Descriptor, ConfigError> {
    let dir = mount.dir.try_clone().map_err(|source| ConfigError::Mount {
        host: mount.host.clone().unwrap_or_default(),
        guest: mount.guest.clone(),
        source,
    })?;
    Ok(Descriptor {
        rights: Rights::DIRECTORY,
        inheriting: Rights::ALL,
        flags: FdFlags::default(),
        filetype: Filetype::Directory,
        object: Object::Directory(OpenDirectory {
            dir,
            place: Place {
                mount: index,
                path: std::path::PathBuf::new(),
            },
            preopened: true,
            listing: None,
        }),
    })
}

/// The standard streams as the job gets them.
pub(crate) fn streams(stdio: Stdio, deterministic: Option<u64>) -> Stdio {
    match deterministic {
        Some(_) => stdio.opaque(),
        None => stdio,
    }
}

/// The descriptor of a standard stream.
pub(crate) fn standard(object: Object) -> Descriptor {
    let host = match &object {
        Object::Input(Input::Fd(fd)) | Object::Output(Output::Fd(fd), _) => Some(fd.as_fd()),
        _ => None,
    };
    // A stream that lives in this process is like a pipe.
    let filetype = match host.map(rustix::fs::fstat) {
        Some(Ok(stat)) => rustix::fs::FileType::from_raw_mode(stat.st_mode).into(),
        Some(Err(_)) | None => Filetype::Unknown,
    };
    let terminal = host.is_some_and(|fd| std::io::IsTerminal::is_terminal(&fd));
    let direction = match object {
        Object::Input(_) => Rights::FD_READ,
        _ => Rights::FD_WRITE,
    };
    let others = Rights::FILE.without(Rights::FD_READ.or(Rights::FD_WRITE));
    // wasi-libc takes a character device for a terminal if it has no right to seek.
    let unseekable = if terminal {
        Rights::FD_SEEK.or(Rights::FD_TELL)
    } else {
        Rights::NONE
    };
    Descriptor {
        rights: direction.or(others).without(unseekable),
        inheriting: Rights::NONE,
        flags: FdFlags::default(),
        filetype,
        object,
    }
}
