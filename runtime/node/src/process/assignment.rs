//! What the process of a job is told to do.

use std::os::fd::RawFd;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use wherry_engine::{Command, Limits, Target};

use crate::{MountRecord, Plan};

/// What the process of a job is told to do. What it has open it gets besides.
#[derive(Debug, Serialize, Deserialize)]
pub struct Assignment {
    /// What the module is compiled for.
    pub target: Target,
    /// How the job begins.
    pub start: Start,
    /// Directories of the host that it is lent.
    pub mounts: Vec<MountRecord>,
    /// Its own directory for files, and what the program calls it.
    pub scratch: Option<(PathBuf, String)>,
    /// What it may use over its whole life.
    pub limits: Limits,
    /// How many processors may work for it at a time, where that can be limited.
    pub cores: Option<u64>,
    /// The smallest step that the host's clocks make for it, in nanoseconds.
    pub clock_resolution: u64,
    /// A GPU, if it may use one.
    pub gpu: Option<wherry_gpu_host::Settings>,
    /// Whether a program that uses a GPU is started without one if there is none for it.
    pub gpu_optional: bool,
    /// Stop at exactly the nth safepoint from here.
    pub countdown: Option<u64>,
    /// When checkpoints are made, and where they go.
    pub plan: Plan,
    /// Whether its scratch directory stays when it has ended.
    pub keep_scratch: bool,
}

/// How a job begins.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// With the program.
    Command(Command),
    /// From a checkpoint, in the files that go with it.
    Checkpoint {
        /// Whether later ones may build on it.
        build_on: bool,
    },
}

/// The numbers of what the process of a job has open.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Descriptors {
    /// The lock that it holds while it lives.
    pub(crate) lock: RawFd,
    /// Files that take its standard output and error.
    pub(crate) output: Option<RawFd>,
    pub(crate) log: Option<RawFd>,
    /// The checkpoint, and those that it builds on.
    pub(crate) checkpoint: Vec<RawFd>,
}
