//! What confines a process, and what does not: for operators, and for policies that insist.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Something of the kernel that confines a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Facility {
    /// A process of its own.
    Process,
    /// `PR_SET_NO_NEW_PRIVS`.
    NoNewPrivileges,
    /// No capabilities.
    Capabilities,
    /// Landlock.
    Landlock,
    /// A list of allowed system calls.
    Seccomp,
    /// Limits of the process.
    Rlimits,
    /// A user namespace.
    UserNamespace,
    /// A network namespace without interfaces.
    NetworkNamespace,
    /// Namespaces of System V IPC and host names.
    IpcNamespace,
    /// A control group that limits memory.
    MemoryCgroup,
    /// A control group that limits threads.
    PidsCgroup,
    /// A control group that limits how many processors work at a time.
    CpuCgroup,
}

/// How much of a facility is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// All that is wanted of it.
    Active,
    /// A part of it: the kernel is too old for the rest.
    Partial,
    /// Nothing: the system does not have or does not allow it.
    Missing,
    /// Nothing: it was not wanted.
    Off,
}

/// How a facility is in use in a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Which.
    pub facility: Facility,
    /// How much of it.
    pub state: State,
    /// Which version or part of it, or why it is missing.
    pub detail: String,
    /// What that means for whoever runs a stranger's code.
    pub meaning: String,
}

/// What confines a process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Report {
    /// In the order of [`Facility`].
    pub findings: Vec<Finding>,
}

impl Facility {
    /// What a process must be confined by when a policy insists and says no more: files,
    /// network, other processes and privileges are out of reach of any code that it runs.
    pub const CORE: [Facility; 5] = [
        Facility::Process,
        Facility::NoNewPrivileges,
        Facility::Capabilities,
        Facility::Landlock,
        Facility::Seccomp,
    ];

    /// All of them.
    pub const ALL: [Facility; 12] = [
        Facility::Process,
        Facility::NoNewPrivileges,
        Facility::Capabilities,
        Facility::Landlock,
        Facility::Seccomp,
        Facility::Rlimits,
        Facility::UserNamespace,
        Facility::NetworkNamespace,
        Facility::IpcNamespace,
        Facility::MemoryCgroup,
        Facility::PidsCgroup,
        Facility::CpuCgroup,
    ];

    /// What it is called where programs read and write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Facility::Process => "process",
            Facility::NoNewPrivileges => "no-new-privileges",
            Facility::Capabilities => "capabilities",
            Facility::Landlock => "landlock",
            Facility::Seccomp => "seccomp",
            Facility::Rlimits => "rlimits",
            Facility::UserNamespace => "user-namespace",
            Facility::NetworkNamespace => "network-namespace",
            Facility::IpcNamespace => "ipc-namespace",
            Facility::MemoryCgroup => "memory-cgroup",
            Facility::PidsCgroup => "pids-cgroup",
            Facility::CpuCgroup => "cpu-cgroup",
        }
    }

    /// What there is when it is in use, and when it is not.
    fn meanings(self) -> (&'static str, &'static str) {
        match self {
            Facility::Process => (
                "a crash or a takeover of one job does not touch others or the supervisor",
                "the job runs in the supervisor's process, and nothing below confines it",
            ),
            Facility::NoNewPrivileges => (
                "no set-uid program can give it privileges",
                "a set-uid program could give it privileges",
            ),
            Facility::Capabilities => (
                "it has none of root's privileges",
                "it has the privileges of whoever started it",
            ),
            Facility::Landlock => (
                "it opens no file but those it was granted",
                "a bug in the compiler or the host functions opens every file of the user",
            ),
            Facility::Seccomp => (
                "it runs no program, makes no socket, sees no other process",
                "a bug in the compiler or the host functions can use the whole kernel",
            ),
            Facility::Rlimits => (
                "descriptors, memory and core files are bounded",
                "descriptors and memory are bounded by the engine only",
            ),
            Facility::UserNamespace => (
                "its user has no rights over other users' namespaces",
                "no second line behind the dropped capabilities",
            ),
            Facility::NetworkNamespace => (
                "there is no network to reach",
                "only seccomp and Landlock keep it from the network",
            ),
            Facility::IpcNamespace => (
                "it sees no shared memory or queues of others",
                "only seccomp keeps it from shared memory and queues of others",
            ),
            Facility::MemoryCgroup => (
                "the kernel counts and bounds all its memory",
                "memory is bounded by the engine and by RLIMIT_DATA, which does not count files in memory",
            ),
            Facility::PidsCgroup => (
                "the number of its threads is bounded",
                "the number of its threads is bounded by the user's limit only",
            ),
            Facility::CpuCgroup => (
                "it has no more processors at a time than it was granted",
                "its program has one thread, but what writes its checkpoints has more",
            ),
        }
    }
}

impl Finding {
    /// A finding with the meaning that the state has.
    #[must_use]
    pub fn new(facility: Facility, state: State, detail: impl Into<String>) -> Self {
        let (with, without) = facility.meanings();
        let meaning = match state {
            State::Active => with.to_owned(),
            State::Partial => format!("{with}, as far as this kernel can"),
            State::Missing | State::Off => without.to_owned(),
        };
        Finding {
            facility,
            state,
            detail: detail.into(),
            meaning,
        }
    }

    /// One that is missing because of what the system said.
    pub(crate) fn missing(facility: Facility, why: impl fmt::Display) -> Self {
        Self::new(facility, State::Missing, why.to_string())
    }
}

impl Report {
    /// Adds a finding, in the place of what was known of its facility.
    pub fn note(&mut self, finding: Finding) {
        self.findings
            .retain(|known| known.facility != finding.facility);
        self.findings.push(finding);
        self.findings.sort_by_key(|finding| finding.facility);
    }

    /// Adds findings, in the place of what was known of their facilities.
    pub fn extend(&mut self, findings: impl IntoIterator<Item = Finding>) {
        findings.into_iter().for_each(|finding| self.note(finding));
    }

    /// How much of a facility is in use.
    #[must_use]
    pub fn state(&self, facility: Facility) -> State {
        let mut findings = self.findings.iter();
        findings
            .find(|finding| finding.facility == facility)
            .map_or(State::Missing, |finding| finding.state)
    }

    /// Those of `wanted` that are not in use, with the reasons.
    #[must_use]
    pub fn lacking(&self, wanted: &[Facility]) -> Vec<Finding> {
        let lacking = wanted
            .iter()
            .filter(|facility| self.state(**facility) != State::Active);
        let finding = |facility: &Facility| {
            let known = self.findings.iter().find(|one| one.facility == *facility);
            known
                .cloned()
                .unwrap_or_else(|| Finding::missing(*facility, "it was not tried"))
        };
        lacking.map(finding).collect()
    }
}

impl fmt::Display for Facility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Facility::Process => "process",
            Facility::NoNewPrivileges => "no new privileges",
            Facility::Capabilities => "no capabilities",
            Facility::Landlock => "Landlock",
            Facility::Seccomp => "seccomp",
            Facility::Rlimits => "resource limits",
            Facility::UserNamespace => "user namespace",
            Facility::NetworkNamespace => "network namespace",
            Facility::IpcNamespace => "IPC namespace",
            Facility::MemoryCgroup => "memory control group",
            Facility::PidsCgroup => "pids control group",
            Facility::CpuCgroup => "cpu control group",
        })
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Active => "active",
            State::Partial => "partial",
            State::Missing => "missing",
            State::Off => "off",
        })
    }
}
