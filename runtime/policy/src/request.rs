//! What a job asks for: what its workload says, and what whoever starts it adds.

use std::path::PathBuf;

use crate::Item;

/// What a job asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Where the workload comes from.
    pub origin: Origin,
    /// Who signed it of those whose signature counts, as far as that was verified.
    pub signer: Option<String>,
    /// Whether the policy's `[signatures]` let it run without.
    pub may_be_unsigned: bool,
    /// How much it wants at most.
    pub asks: Amounts,
    /// With how much less it cannot run.
    pub needs: Amounts,
    /// Directories that it wants to see.
    pub mounts: Vec<MountRequest>,
    /// The GPU that it uses, if it uses one.
    pub gpu: Option<GpuRequest>,
}

impl Request {
    /// Whether it cannot run without a GPU.
    pub(crate) fn needs_gpu(&self) -> bool {
        self.gpu.as_ref().is_some_and(|gpu| !gpu.optional)
    }
}

/// A GPU that a job uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GpuRequest {
    /// Whether the job can do without.
    pub optional: bool,
    /// What it declares beyond the portable profile, in words.
    pub beyond: Vec<String>,
}

/// Where a workload comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// A file of this machine.
    #[default]
    File,
    /// A repository, `registry.example/team/name`, or `name` in the local store.
    Repository(String),
    /// The store, by its digest alone.
    Digest,
}

/// A directory that a job wants to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountRequest {
    /// Its path for the guest.
    pub guest: String,
    /// The directory of the host, absolute and without links, if whoever starts the job
    /// names one.
    pub host: Option<PathBuf>,
    /// Whether it is only to be read.
    pub read_only: bool,
    /// Whether the job cannot run without it.
    pub required: bool,
}

/// How much of each item; of some perhaps nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Amounts([Option<u64>; Item::ALL.len()]);

impl Amounts {
    /// How much of `item`, in its unit.
    #[must_use]
    pub fn of(&self, item: Item) -> Option<u64> {
        self.0[item as usize]
    }

    /// Says how much of `item`, whatever was said before.
    pub fn set(&mut self, item: Item, amount: Option<u64>) {
        self.0[item as usize] = amount;
    }

    /// Says how much of `item`; a second time, the smaller counts.
    #[must_use]
    pub fn with(mut self, item: Item, amount: Option<u64>) -> Self {
        let both = self.0[item as usize].into_iter().chain(amount);
        self.0[item as usize] = both.min();
        self
    }
}
