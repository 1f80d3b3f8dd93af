//! Writing a file as a whole or not at all.

use std::fs::File;
use std::path::Path;

use tempfile::{NamedTempFile, PersistError};

use crate::Error;

/// What the name of a file begins with while it is being written.
pub(crate) const TEMPORARY: &str = ".wherry-";

/// Writes a file through a temporary one beside it, which then takes its name. When this
/// returns `Ok`, the new content is on the disk; otherwise what was there before still is.
///
/// # Errors
/// What `write` returns, or [`Error::File`] if the system refuses something.
pub fn write_atomically<T>(
    path: &Path,
    write: impl FnOnce(&mut File) -> Result<T, Error>,
) -> Result<T, Error> {
    write_beside(path, write, |file| file.persist(path))
}

/// Writes a file that is not there yet, in the same way.
///
/// # Errors
/// What `write` returns, or [`Error::File`] if there is such a file or the system refuses
/// something.
pub fn write_anew<T>(
    path: &Path,
    write: impl FnOnce(&mut File) -> Result<T, Error>,
) -> Result<T, Error> {
    write_beside(path, write, |file| file.persist_noclobber(path))
}

fn write_beside<T>(
    path: &Path,
    write: impl FnOnce(&mut File) -> Result<T, Error>,
    name: impl FnOnce(NamedTempFile) -> Result<File, PersistError>,
) -> Result<T, Error> {
    let failed = |source| Error::File {
        path: path.to_owned(),
        source,
    };
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // Removed again when it is dropped, whatever happens from here on.
    let mut file = tempfile::Builder::new()
        .prefix(TEMPORARY)
        .tempfile_in(directory)
        .map_err(failed)?;
    let result = write(file.as_file_mut())?;
    file.as_file().sync_all().map_err(failed)?;
    name(file).map_err(|error| failed(error.error))?;
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(failed)?;
    Ok(result)
}
