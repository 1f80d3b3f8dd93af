//! `workload.toml`.

use std::path::{Path, PathBuf};

use crate::config::WorkloadConfig;

/// A parsed `workload.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadFile {
    /// The workload's name: a repository name.
    pub name: String,
    /// The workload's version: a tag.
    pub version: String,
    /// Path of the module, relative to the file's directory.
    pub module: PathBuf,
    /// What goes into the artifact's config, name and version included.
    pub config: WorkloadConfig,
    /// One line about the workload.
    pub description: Option<String>,
    /// SPDX license expression.
    pub licenses: Option<String>,
    /// URL of the source code.
    pub source: Option<String>,
}

/// Why a `workload.toml` is refused.
#[derive(Debug, thiserror::Error)]
pub enum WorkloadFileError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not what the format asks for; the message has line and column.
    #[error("{0}")]
    Invalid(String),
}

impl WorkloadFile {
    /// The file's name in a project.
    pub const NAME: &str = "workload.toml";

    /// Parses the text of a `workload.toml`.
    ///
    /// # Errors
    /// The text is not valid, with line and column.
    pub fn parse(_text: &str) -> Result<Self, WorkloadFileError> {
        todo!()
    }

    /// Reads the `workload.toml` of the project in `directory`.
    ///
    /// # Errors
    /// There is none, or it is not valid.
    pub fn load(_directory: &Path) -> Result<Self, WorkloadFileError> {
        todo!()
    }
}
