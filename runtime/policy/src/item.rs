//! What comes in amounts: workloads ask for it, nodes grant some of it.

use std::time::Duration;

/// Something that a job uses up or holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Item {
    /// Bytes of guest, host and GPU memory together.
    Memory,
    /// CPU time of the whole job.
    CpuTime,
    /// Time from start to end, time as a checkpoint not counted.
    WallTime,
    /// CPU cores.
    Cores,
    /// Bytes in the job's own directory.
    Scratch,
    /// Files, directories and links in the job's own directory, and those that it creates
    /// elsewhere.
    Files,
    /// Bytes written to standard output and to directories that were lent.
    Output,
    /// Bytes written to standard error.
    Log,
    /// Bytes of GPU memory, which count as memory, too.
    GpuMemory,
    /// Time that the GPU works for the job.
    GpuTime,
}

/// In what an item is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Milliseconds.
    Milliseconds,
    /// Things.
    Count,
}

/// How much of an item a job may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// So much, in the item's unit.
    AtMost(u64),
    /// As much as there is.
    Unlimited,
}

impl Limit {
    /// The number, if there is one.
    #[must_use]
    pub fn at_most(self) -> Option<u64> {
        match self {
            Limit::AtMost(amount) => Some(amount),
            Limit::Unlimited => None,
        }
    }
}

impl From<Option<u64>> for Limit {
    fn from(amount: Option<u64>) -> Self {
        amount.map_or(Limit::Unlimited, Limit::AtMost)
    }
}

impl Item {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Item; 10] = [
        Item::Memory,
        Item::CpuTime,
        Item::WallTime,
        Item::Cores,
        Item::Scratch,
        Item::Files,
        Item::Output,
        Item::Log,
        Item::GpuMemory,
        Item::GpuTime,
    ];

    /// The table of a policy in which it is.
    #[must_use]
    pub fn table(self) -> &'static str {
        match self {
            Item::GpuMemory | Item::GpuTime => "gpu",
            _ => "limits",
        }
    }

    /// Its key in that table.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Item::Memory | Item::GpuMemory => "memory",
            Item::CpuTime => "cpu_time",
            Item::WallTime => "wall_time",
            Item::Cores => "cores",
            Item::Scratch => "scratch",
            Item::Files => "files",
            Item::Output => "output",
            Item::Log => "log",
            Item::GpuTime => "time",
        }
    }

    /// What people and programs call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Item::Memory => "memory",
            Item::CpuTime => "cpu-time",
            Item::WallTime => "wall-time",
            Item::Cores => "cores",
            Item::Scratch => "scratch",
            Item::Files => "files",
            Item::Output => "output",
            Item::Log => "log",
            Item::GpuMemory => "gpu-memory",
            Item::GpuTime => "gpu-time",
        }
    }

    /// In what it is counted.
    #[must_use]
    pub fn unit(self) -> Unit {
        match self {
            Item::CpuTime | Item::WallTime | Item::GpuTime => Unit::Milliseconds,
            Item::Cores | Item::Files => Unit::Count,
            _ => Unit::Bytes,
        }
    }

    /// How much a policy grants that does not mention it. Never "as much as there is": that
    /// must be written.
    #[must_use]
    pub fn unmentioned(self) -> u64 {
        match self {
            Item::Memory | Item::Scratch | Item::Output => 1 << 30,
            Item::Log => 16 << 20,
            Item::CpuTime => 3_600_000,
            Item::WallTime => 7_200_000,
            Item::Cores => 1,
            Item::Files => 10_000,
            Item::GpuMemory | Item::GpuTime => 0,
        }
    }

    /// More than this is a mistake: no machine has it.
    pub(crate) fn largest(self) -> u64 {
        const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
        match self.unit() {
            Unit::Bytes => 1 << 50,
            Unit::Milliseconds => CENTURY.as_secs() * 1000,
            Unit::Count => 1 << 32,
        }
    }
}
