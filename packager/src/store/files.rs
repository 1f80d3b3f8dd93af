//! Files of the layout: creating it, locking, and writing so that a crash loses nothing.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use tempfile::{NamedTempFile, TempPath};

use super::error::StoreError;
use crate::artifact::MAX_DOCUMENT_SIZE;

/// Marks a directory as a layout.
pub(super) const MARKER: &str = "oci-layout";
pub(super) const MARKER_TEXT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;
const VERSION: &str = "1.0.0";

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Marker {
    image_layout_version: String,
}

/// Whether `directory` is a layout, of the version that is known.
pub(super) fn has_layout(directory: &Path) -> Result<bool, StoreError> {
    let path = directory.join(MARKER);
    let Some(text) = read_small(&path)? else {
        return Ok(false);
    };
    let reason = match serde_json::from_slice::<Marker>(&text) {
        Ok(marker) if marker.image_layout_version == VERSION => return Ok(true),
        Ok(marker) => format!(
            "is of version {}, only {VERSION} is known",
            crate::digest::excerpt(&marker.image_layout_version)
        ),
        Err(error) => format!("is damaged: {error}"),
    };
    Err(StoreError::Layout { path, reason })
}

/// Makes an empty layout. Harmless if another process does the same at the same time.
pub(super) fn create_layout(directory: &Path) -> Result<(), StoreError> {
    fs::create_dir_all(directory).map_err(StoreError::io("create", directory))?;
    let mut entries = fs::read_dir(directory).map_err(StoreError::io("read", directory))?;
    let is_foreign = |entry: &fs::DirEntry| !entry.file_name().to_string_lossy().starts_with('.');
    if entries.any(|entry| entry.is_ok_and(|entry| is_foreign(&entry))) && !has_layout(directory)? {
        return Err(StoreError::Layout {
            path: directory.to_owned(),
            reason: "is neither empty nor an OCI image layout".to_owned(),
        });
    }
    replace(&directory.join(MARKER), MARKER_TEXT.as_bytes())
}

/// Reads a document of the layout, or `None` if there is no such file.
pub(super) fn read_small(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::io("read", path)(error)),
    };
    let mut bytes = Vec::new();
    file.take(MAX_DOCUMENT_SIZE + 1)
        .read_to_end(&mut bytes)
        .map_err(StoreError::io("read", path))?;
    if bytes.len() as u64 > MAX_DOCUMENT_SIZE {
        let reason = format!("has more than the {MAX_DOCUMENT_SIZE} bytes that are accepted");
        return Err(StoreError::Layout {
            path: path.to_owned(),
            reason,
        });
    }
    Ok(Some(bytes))
}

/// Puts `bytes` in the place of the file at `path`, all of them or none.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut file = temporary(directory).map_err(StoreError::io("write", path))?;
    file.write_all(bytes)
        .map_err(StoreError::io("write", path))?;
    let (file, temporary) = file.into_parts();
    publish(&file, temporary, path)
}

/// A new file in `directory`, which is deleted unless it is published.
pub(super) fn temporary(directory: &Path) -> io::Result<NamedTempFile> {
    // As `File::create` would: the umask decides, a store may be shared.
    tempfile::Builder::new()
        .prefix(".new-")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(directory)
}

/// Opens what is left of a file that was being written, or makes it. Nobody else writes it while
/// it is open; `None` if somebody does.
pub(super) fn open_partial(path: &Path) -> io::Result<Option<File>> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // Until we had the lock, whoever had it may have put the file in its place.
    let own = file.metadata()?.ino();
    let is_there = fs::metadata(path).is_ok_and(|found| found.ino() == own);
    Ok(is_there.then_some(file))
}

/// Renames the file at `from` to `path` once its bytes are on the disk, and makes the rename
/// last.
pub(super) fn publish(file: &File, from: TempPath, path: &Path) -> Result<(), StoreError> {
    file.sync_all().map_err(StoreError::io("write", path))?;
    from.persist(path)
        .map_err(|error| StoreError::io("write", path)(error.error))?;
    let directory = path.parent().unwrap_or(Path::new("."));
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(StoreError::io("sync", directory))
}

/// The files in `directory`, sorted by name; none if there is no such directory.
pub(super) fn list(directory: &Path) -> Result<Vec<fs::DirEntry>, StoreError> {
    let failed = StoreError::io("read", directory);
    let mut entries: Vec<_> = match fs::read_dir(directory).and_then(Iterator::collect) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(failed(error)),
    };
    entries.sort_by_key(fs::DirEntry::file_name);
    Ok(entries)
}

/// The file to lock for `name`; the lock is held while the file is open.
pub(super) fn lock_file(directory: &Path, name: &str) -> Result<File, StoreError> {
    let path = directory.join(name);
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(StoreError::io("lock", &path))
}
