//! The files of a new project.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::reference::{ReferenceError, checked_name};
use crate::workload_file::WorkloadFile;

const WORKLOAD_FILE: &str = include_str!("../templates/workload.toml");

const C_FILES: [(&str, &str); 3] = [
    (WorkloadFile::NAME, WORKLOAD_FILE),
    ("main.c", include_str!("../templates/c/main.c")),
    ("README.md", include_str!("../templates/c/README.md")),
];

const RUST_FILES: [(&str, &str); 4] = [
    (WorkloadFile::NAME, WORKLOAD_FILE),
    // Not called Cargo.toml in this repository: cargo would take the folder for a package.
    (
        "Cargo.toml",
        include_str!("../templates/rust/Cargo.toml.template"),
    ),
    ("src/main.rs", include_str!("../templates/rust/main.rs")),
    ("README.md", include_str!("../templates/rust/README.md")),
];

/// The language of a new project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// C, built with clang, zig cc or wasi-sdk.
    C,
    /// Rust, built with cargo for `wasm32-wasip1`.
    Rust,
}

impl Language {
    fn files(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::C => &C_FILES,
            Self::Rust => &RUST_FILES,
        }
    }

    /// Where the compiler leaves the module.
    fn module(self, program: &str) -> String {
        match self {
            Self::C => format!("{program}.wasm"),
            Self::Rust => format!("target/wasm32-wasip1/release/{program}.wasm"),
        }
    }
}

/// Why a project was not created.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// A file that would be written is there already. Nothing was written.
    #[error("{} exists already, nothing was written", .0.display())]
    Exists(PathBuf),
    /// The name is not a repository name.
    #[error(transparent)]
    Name(#[from] ReferenceError),
    /// A file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Writes the files of a new project called `name` into `directory`, which is created if it
/// does not exist. Returns the paths it wrote.
///
/// # Errors
/// The name is refused, a file exists already, or one cannot be written.
pub fn init(directory: &Path, name: &str, language: Language) -> Result<Vec<PathBuf>, InitError> {
    let name = checked_name(name)?;
    let program = program_name(&name);
    let module = language.module(&program);
    let files: Vec<_> = language
        .files()
        .iter()
        .map(|(path, text)| {
            let text = text
                .replace("@NAME@", &name)
                .replace("@MODULE@", &module)
                .replace("@PROGRAM@", &program);
            (directory.join(path), text)
        })
        .collect();
    if let Some((path, _)) = files
        .iter()
        .find(|(path, _)| path.symlink_metadata().is_ok())
    {
        return Err(InitError::Exists(path.clone()));
    }
    for (path, text) in &files {
        write_new(path, text).map_err(|source| InitError::Write {
            path: path.clone(),
            source,
        })?;
    }
    Ok(files.into_iter().map(|(path, _)| path).collect())
}

/// A name that cargo takes for a package: the repository's last part, without dots, not
/// starting with a digit.
fn program_name(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or(name).replace('.', "-");
    if last.starts_with(|first: char| first.is_ascii_digit()) {
        format!("w{last}")
    } else {
        last
    }
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    File::create_new(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workload_file_of_every_template_is_valid() {
        for language in [Language::C, Language::Rust] {
            let directory = tempfile::tempdir().unwrap();
            let project = directory.path().join("new");
            let written = init(&project, "team/1.prime-count", language).unwrap();
            assert!(written.iter().all(|path| path.is_file()));
            let file = WorkloadFile::load(&project).unwrap();
            assert_eq!(file.name, "team/1.prime-count");
            assert_eq!(file.module.file_name().unwrap(), "w1-prime-count.wasm");
            for path in written {
                let text = fs::read_to_string(path).unwrap();
                assert!(!text.contains('@'), "{text}");
            }
        }
    }

    #[test]
    fn nothing_is_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("README.md"), "mine").unwrap();
        let error = init(directory.path(), "a", Language::C).unwrap_err();
        assert!(matches!(error, InitError::Exists(path) if path.ends_with("README.md")));
        assert!(!directory.path().join("main.c").exists());
        assert_eq!(
            fs::read_to_string(directory.path().join("README.md")).unwrap(),
            "mine"
        );
    }

    #[test]
    fn a_bad_name_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(
            init(directory.path(), "../x", Language::C),
            Err(InitError::Name(_))
        ));
    }
}
