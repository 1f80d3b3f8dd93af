//! Replacing a file as a whole or not at all.

use std::fs::File;
use std::path::Path;

use crate::Error;

/// Writes a file through a temporary one beside it, which then takes its name. When this
/// returns `Ok`, the new content is on the disk; otherwise what was there before still is.
///
/// # Errors
/// What `write` returns, or [`Error::File`] if the system refuses something.
pub fn write_atomically<T>(
    path: &Path,
    write: impl FnOnce(&mut File) -> Result<T, Error>,
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
        .prefix(".wherry-")
        .tempfile_in(directory)
        .map_err(failed)?;
    let result = write(file.as_file_mut())?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(failed)?;
    Ok(result)
}
