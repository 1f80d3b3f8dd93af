//! The programs that the tests run.

use std::fs;
use std::path::{Path, PathBuf};

use crate::say_skipped;

/// The root of the repository.
///
/// # Panics
/// Never: the crate lies in it.
#[must_use]
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate lies in the repository")
}

/// The module of `tests/programs/NAME.wat`.
///
/// # Panics
/// If there is no such program or it is invalid.
#[must_use]
pub fn program(name: &str) -> Vec<u8> {
    let path = repository().join(format!("tests/programs/{name}.wat"));
    wat::parse_file(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A real program, from `workloads/`.
#[derive(Clone, Copy, Debug)]
pub enum Workload {
    /// Checked in.
    Prebuilt(&'static str),
    /// Built by `workloads/build`.
    Built(&'static str),
}

impl Workload {
    /// The file of its module; if it was not built, this is said loudly.
    #[must_use]
    pub fn module(self) -> Option<PathBuf> {
        let (folder, name) = match self {
            Workload::Prebuilt(name) => ("prebuilt", name),
            Workload::Built(name) => ("out", name),
        };
        let path = repository().join(format!("workloads/{folder}/{name}.wasm"));
        if fs::exists(&path).is_ok_and(|exists| exists) {
            return Some(path);
        }
        say_skipped(&format!("{name} is not built (workloads/build {name})"));
        None
    }
}
