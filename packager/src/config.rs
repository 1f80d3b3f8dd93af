//! The config blob of a workload: what the program is given and what it asks for.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a node needs to know to run the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadConfig {
    /// The workload's name; none for a bare module.
    pub name: Option<String>,
    /// The workload's version; none for a bare module.
    pub version: Option<String>,
    /// Arguments after the program's name.
    pub args: Vec<String>,
    /// Environment variables.
    pub env: BTreeMap<String, String>,
    /// Directories of the node that the program wants to see.
    pub mounts: Vec<Mount>,
    /// Guest path of the job's own directory, which travels with its checkpoints.
    pub scratch: String,
    /// What the program asks for; a node may grant less.
    pub limits: Limits,
}

/// A directory of the node that the program wants to see at a path of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mount {
    /// Absolute path in the guest.
    pub guest: String,
    /// The program does not write there.
    #[serde(default)]
    pub read_only: bool,
    /// The program cannot run without it.
    #[serde(default)]
    pub required: bool,
}

/// What a workload asks for. What it does not mention is left to the node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory, all memories together, in bytes.
    pub memory: Option<u64>,
    /// Time on a CPU.
    pub cpu_time: Option<Duration>,
    /// Time from start to end, checkpoints and pauses not counted.
    pub wall_time: Option<Duration>,
}

/// Why a config blob is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not the JSON that the format asks for.
    #[error("the workload's config is not valid: {0}")]
    Malformed(#[from] serde_json::Error),
}

impl Default for WorkloadConfig {
    fn default() -> Self {
        Self {
            name: None,
            version: None,
            args: Vec::new(),
            env: BTreeMap::new(),
            mounts: Vec::new(),
            scratch: "/".into(),
            limits: Limits::default(),
        }
    }
}
