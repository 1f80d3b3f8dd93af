//! The policy of a node, as types.

use std::path::{Path, PathBuf};
use std::time::Duration;

use wherry_sandbox::Facility;
use wherry_trust::{CheckpointTable, PolicyTable, Unsigned};

use crate::{Item, Limit, PolicyError, parse, show};

/// What a node grants.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// From where workloads may come.
    pub who: Who,
    /// Who must have signed them.
    pub signatures: PolicyTable,
    /// By [`Item`].
    pub(crate) limits: [Limit; Item::ALL.len()],
    /// On which adapters jobs may work.
    pub adapter: Adapter,
    /// Directories of the host that may be lent.
    pub mounts: Vec<Mount>,
    /// The smallest step that a job sees its clocks make.
    pub clock: Duration,
    /// When jobs may run.
    pub when: When,
    /// Where checkpoints go, and how often.
    pub checkpoints: Checkpoints,
    /// What must confine the processes that work for a job.
    pub isolation: Isolation,
}

/// What must confine the processes that work for a job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Isolation {
    /// Without these no job runs.
    pub require: Vec<Facility>,
    /// CPU time to compile a module with; the usual if it is not said.
    pub compile_time: Option<Duration>,
    /// Bytes of memory to compile a module with; the usual if it is not said.
    pub compile_memory: Option<u64>,
}

/// From where workloads may come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Who {
    /// From which repositories artifacts may come.
    pub repositories: Vec<Pattern>,
    /// Whether modules in files of this machine may run.
    pub files: bool,
}

/// A repository, or with `*` at its end all that begin so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(pub(crate) String);

impl Pattern {
    /// Whether `repository` is meant.
    #[must_use]
    pub fn matches(&self, repository: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(beginning) => repository.starts_with(beginning),
            None => self.0 == repository,
        }
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// On which adapters jobs may work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Adapter {
    /// On none.
    #[default]
    None,
    /// On real GPUs.
    Hardware,
    /// On drivers that use the CPU, too.
    Any,
}

impl Adapter {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Adapter::None => "none",
            Adapter::Hardware => "hardware",
            Adapter::Any => "any",
        }
    }
}

/// A directory of the host that may be lent, with all that is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The directory, absolute.
    pub host: PathBuf,
    /// The path at which workloads get it that ask for one there.
    pub guest: Option<String>,
    /// Whether it may only be read.
    pub read_only: bool,
}

/// When jobs may run. Nothing said means always.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct When {
    /// Only while nobody else uses the machine.
    pub idle: bool,
    /// Only on mains power.
    pub mains: bool,
    /// Only while no sensor shows more, in degrees Celsius.
    pub below_celsius: Option<u32>,
    /// Only at these times of the day.
    pub hours: Vec<Hours>,
    /// Only while a number, such as a price or the carbon intensity, is no larger than this.
    pub signal: Option<Signal>,
}

/// A time of the day in UTC, in minutes; it may go over midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    /// The first minute.
    pub from: u16,
    /// The minute after the last.
    pub to: u16,
}

impl Hours {
    /// Whether `minute` of the day is in it.
    #[must_use]
    pub fn contains(self, minute: u16) -> bool {
        if self.from < self.to {
            (self.from..self.to).contains(&minute)
        } else {
            minute >= self.from || minute < self.to
        }
    }
}

/// A number from outside that decides whether jobs run.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// The file that has it, or the command that prints it.
    pub source: SignalSource,
    /// The largest with which they do.
    pub at_most: f64,
}

/// Where a number comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignalSource {
    /// The content of a file.
    File(PathBuf),
    /// What a command prints; the program first, no shell.
    Command(Vec<String>),
}

/// Where checkpoints go, and how often.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoints {
    /// Where jobs have their state unless they are given a place.
    pub directory: Option<PathBuf>,
    /// Every so often.
    pub every: Option<Duration>,
    /// How many of a job are kept.
    pub keep: Option<u32>,
    /// How long one may take when the job has to leave.
    pub grace: Option<Duration>,
    /// Whether they must be encrypted.
    pub encrypted: bool,
}

impl Policy {
    /// The name of the file in the place where it is looked for.
    pub const FILE_NAME: &'static str = "policy.toml";

    /// Reads the text of a `policy.toml`.
    ///
    /// # Errors
    /// All that is wrong with it, each with its place.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        parse::policy(text)
    }

    /// What an empty file says: nobody may run anything.
    #[must_use]
    pub fn deny_all() -> Self {
        Policy {
            who: Who::default(),
            signatures: PolicyTable::default(),
            limits: Item::ALL.map(|item| Limit::AtMost(item.unmentioned())),
            adapter: Adapter::None,
            mounts: Vec::new(),
            clock: Duration::from_millis(1),
            when: When::default(),
            checkpoints: Checkpoints::default(),
            isolation: Isolation {
                require: Facility::CORE.to_vec(),
                ..Isolation::default()
            },
        }
    }

    /// For one's own jobs on one's own machine, where there is no policy: everything that is
    /// asked for on the command line.
    #[must_use]
    pub fn own_machine() -> Self {
        Policy {
            who: Who {
                repositories: vec![Pattern("*".to_owned())],
                files: true,
            },
            signatures: PolicyTable {
                unsigned: Unsigned::Allow,
                checkpoints: CheckpointTable {
                    unsigned: Unsigned::Allow,
                    ..CheckpointTable::default()
                },
                ..PolicyTable::default()
            },
            limits: Item::ALL.map(|_| Limit::Unlimited),
            adapter: Adapter::Any,
            mounts: vec![Mount {
                host: PathBuf::from("/"),
                guest: None,
                read_only: false,
            }],
            clock: Duration::from_nanos(1),
            when: When::default(),
            checkpoints: Checkpoints::default(),
            isolation: Isolation::default(),
        }
    }

    /// How much of `item` it grants.
    #[must_use]
    pub fn limit(&self, item: Item) -> Limit {
        self.limits[item as usize]
    }

    /// The whole policy as a file, with what was not mentioned.
    #[must_use]
    pub fn to_toml(&self) -> String {
        show::policy(self)
    }

    /// The entry that lends `host`: the one with the longest path, if there are several.
    pub(crate) fn mount_of(&self, host: &Path) -> Option<&Mount> {
        let lent = self
            .mounts
            .iter()
            .filter(|mount| host.starts_with(&mount.host));
        lent.max_by_key(|mount| mount.host.components().count())
    }

    /// The entry for the guest's path.
    pub(crate) fn mount_at(&self, guest: &str) -> Option<&Mount> {
        let mut mounts = self.mounts.iter();
        mounts.find(|mount| mount.guest.as_deref() == Some(guest))
    }
}
