//! What a process may do, and how it gives up the rest.

use std::path::PathBuf;

use rustix::process::{Signal, set_parent_process_death_signal};
use serde::{Deserialize, Serialize};

use crate::report::{Facility, Finding, Report, State};
use crate::{Limits, capabilities, landlock, namespaces, seccomp};

/// What a process may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// What it is for.
    pub role: Role,
    /// The files that it may open, by path; what it has open stays open.
    pub grants: Vec<Grant>,
    /// How much it may use.
    pub limits: Limits,
    /// Devices that it works with.
    pub devices: Devices,
    /// What happens when something is missing.
    pub requirement: Requirement,
    /// The process that started this one, which it does not outlive.
    pub supervisor: Option<u32>,
}

/// What a process is for: this decides which system calls it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It runs a job.
    Job,
    /// It compiles a module: from one descriptor to another.
    Compiler,
}

/// A file, or a directory and all below it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Where it lies.
    pub path: PathBuf,
    /// What may be done with it.
    pub access: Access,
}

/// What may be done with a file or what is below a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Reading and listing.
    Read,
    /// Also writing, making, renaming and deleting files, directories and links.
    ReadWrite,
    /// Reading, writing and controlling a device.
    Device,
}

/// Devices that a job was granted, with what their drivers need.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Devices {
    /// None.
    #[default]
    None,
    /// A GPU. Its driver is a large library of native code in the same process, and wants far
    /// more of the kernel than the engine: see `docs/security.md` for the list.
    Gpu {
        /// Device files, and the driver's libraries and descriptions.
        grants: Vec<Grant>,
    },
}

/// What happens when the system lacks something.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Requirement {
    /// Nothing is even tried.
    Off,
    /// The process does without, and says so.
    #[default]
    Auto,
    /// The process refuses to go on unless these are all in use.
    Require(Vec<Facility>),
}

/// Why a process could not be confined.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something that was granted cannot be opened.
    #[error("{} cannot be granted: {reason}", path.display())]
    Grant {
        /// Where it should be.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// Something that is required is not in use.
    #[error("isolation is required and incomplete: {}", list(.0))]
    Incomplete(Vec<Finding>),
}

/// What rustix asks the kernel for once, and could not later: `/proc/self/auxv`.
fn look_around() {
    let _ = rustix::param::page_size();
    let _ = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
}

fn list(findings: &[Finding]) -> String {
    let one = |finding: &Finding| {
        let Finding {
            facility,
            state,
            detail,
            ..
        } = finding;
        format!("{facility} is {state} ({detail})")
    };
    findings.iter().map(one).collect::<Vec<_>>().join(", ")
}

impl Confinement {
    /// Confines this process, for ever. It must have one thread: others would keep their rights.
    ///
    /// # Errors
    /// A grant cannot be met, or something that is required is missing. The process may be
    /// confined in part then, and should end.
    pub fn apply(&self) -> Result<Report, Error> {
        let mut report = Report::default();
        look_around();
        self.follow_supervisor();
        if self.requirement == Requirement::Off {
            return Ok(report);
        }
        report.note(Finding::new(Facility::Process, State::Active, "its own"));
        report.note(self.limits.apply());
        report.extend(namespaces::enter());
        report.note(capabilities::drop_all());
        capabilities::stay_dumpable();
        // Whoever changes what it may do outlives its supervisor again.
        self.follow_supervisor();
        report.note(capabilities::no_new_privileges());
        report.note(landlock::restrict(&self.all_grants())?);
        // The last, because what comes before needs system calls that it forbids.
        report.note(seccomp::filter(self.role, &self.devices));
        self.check(&report)?;
        Ok(report)
    }

    /// Refuses a process that lacks what is required of it.
    ///
    /// # Errors
    /// Something is missing.
    pub fn check(&self, report: &Report) -> Result<(), Error> {
        let Requirement::Require(wanted) = &self.requirement else {
            return Ok(());
        };
        // Those are made from outside, and checked there.
        let outside = |facility: &Facility| {
            matches!(
                facility,
                Facility::MemoryCgroup | Facility::PidsCgroup | Facility::CpuCgroup
            )
        };
        let wanted: Vec<_> = wanted.iter().copied().filter(|one| !outside(one)).collect();
        match report.lacking(&wanted) {
            lacking if lacking.is_empty() => Ok(()),
            lacking => Err(Error::Incomplete(lacking)),
        }
    }

    /// Ends this process with the thread that started it, or now if that is gone already.
    fn follow_supervisor(&self) {
        let Some(supervisor) = self.supervisor else {
            return;
        };
        // Without it, the process ends when it finds that nobody talks to it any more.
        let _ = set_parent_process_death_signal(Some(Signal::KILL));
        if std::os::unix::process::parent_id() != supervisor {
            std::process::exit(1);
        }
    }

    fn all_grants(&self) -> Vec<Grant> {
        let devices = match &self.devices {
            Devices::None => &[][..],
            Devices::Gpu { grants } => grants,
        };
        self.grants.iter().chain(devices).cloned().collect()
    }
}
