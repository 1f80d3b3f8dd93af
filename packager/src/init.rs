//! Files of a new project.

use std::path::{Path, PathBuf};

/// The language of a new project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// C, built with clang, zig cc or wasi-sdk.
    C,
    /// Rust, built with cargo for `wasm32-wasip1`.
    Rust,
}

/// Why a project was not created.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// A file that would be written is there already. Nothing was written.
    #[error("{} exists already, nothing was written", .0.display())]
    Exists(PathBuf),
    /// The name is not a repository name.
    #[error(transparent)]
    Name(#[from] crate::reference::ReferenceError),
    /// A file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Writes the files of a new project called `name` into `directory`, which is created if it
/// does not exist. Returns the paths it wrote.
///
/// # Errors
/// The name is refused, a file exists already, or one cannot be written.
pub fn init(
    _directory: &Path,
    _name: &str,
    _language: Language,
) -> Result<Vec<PathBuf>, InitError> {
    todo!()
}
