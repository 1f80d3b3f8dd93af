//! Writing a file as a whole or not at all.

use std::fs::File;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::Error;

/// What the name of a file begins with while it is being written.
pub(crate) const TEMPORARY: &str = ".wherry-";

/// A file that has another name until it is complete. Dropped before that, it is gone.
pub struct NewFile {
    file: NamedTempFile,
    path: PathBuf,
}

impl NewFile {
    /// Starts a file that will replace the one at `path`.
    ///
    /// # Errors
    /// [`Error::File`] if the system refuses something.
    pub fn replacing(path: &Path) -> Result<Self, Error> {
        let directory = directory_of(path);
        let file = tempfile::Builder::new()
            .prefix(TEMPORARY)
            .tempfile_in(directory)
            .map_err(failed(path))?;
        let path = path.to_owned();
        Ok(NewFile { file, path })
    }

    /// The file, for writing.
    ///
    /// # Errors
    /// [`Error::File`] if the process has no descriptors left.
    pub fn handle(&self) -> Result<File, Error> {
        self.file.as_file().try_clone().map_err(failed(&self.path))
    }

    /// Gives the file its name. When this returns `Ok`, it is on the disk; otherwise what was
    /// there before still is.
    ///
    /// # Errors
    /// [`Error::File`] if the system refuses something.
    pub fn complete(self) -> Result<(), Error> {
        let path = self.path.clone();
        self.hand_over()?;
        File::open(directory_of(&path))
            .and_then(|directory| directory.sync_all())
            .map_err(failed(&path))
    }

    /// Gives the file its name, for somebody who brings it to another place. Its content is on the
    /// disk when this returns `Ok`; that its name is, they see to.
    ///
    /// # Errors
    /// As [`complete`](Self::complete).
    pub fn hand_over(self) -> Result<(), Error> {
        let failed = failed(&self.path);
        self.file.as_file().sync_all().map_err(&failed)?;
        let named = self.file.persist(&self.path);
        named.map(drop).map_err(|error| failed(error.error))
    }
}

/// Writes a file through a temporary one beside it, which then takes its name. When this
/// returns `Ok`, the new content is on the disk; otherwise what was there before still is.
///
/// # Errors
/// What `write` returns, or [`Error::File`] if the system refuses something.
pub fn write_atomically<T>(
    path: &Path,
    write: impl FnOnce(&mut File) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut file = NewFile::replacing(path)?;
    let result = write(file.file.as_file_mut())?;
    file.complete()?;
    Ok(result)
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn failed(path: &Path) -> impl Fn(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File {
        path: path.clone(),
        source,
    }
}
