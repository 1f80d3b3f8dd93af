//! A failure of another process, as people and programs are told of it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a process that works for a job could not do what it was to do. Errors do not pass from one
/// process to another: what is said of them does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// What went wrong, in words.
    pub message: String,
    /// What to do next, if that is known.
    pub hint: Option<String>,
    /// The exit code that it has.
    pub exit: u8,
    /// Whether the checkpoint is to blame, so that an older one may do.
    pub damage: bool,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
