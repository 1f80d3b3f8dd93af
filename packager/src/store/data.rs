//! Data of workloads, unpacked once and lent to every job that wants it.
//!
//! ```text
//! data/DIGEST             what a layer with a directory holds
//! data/DIGEST.NAME/NAME   a layer that is a file: another name of the blob
//! ```
//!
//! What lies there under its name is whole: it was verified while it was unpacked, has reached the
//! disk, and was renamed into its place. Whoever lends it to a job holds a lock on it meanwhile.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::error::StoreError;
use super::{Store, files};
use crate::artifact::{DataForm, DataLayer, Descriptor};
use crate::data::{Entry, LayerError, read};
use crate::digest::{Digest, excerpt};

const CHUNK: usize = 128 << 10;

/// Data that is lent to a job: it stays where it is as long as this lives.
#[derive(Debug)]
pub struct LentData {
    /// Where it is. Nobody may write there.
    pub directory: PathBuf,
    /// Where the program finds it.
    pub guest: String,
    /// Released when it is closed.
    _lock: File,
}

impl Store {
    pub(super) fn data_directory(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// The directory with the data of a layer, unpacked now if it was not before.
    ///
    /// # Errors
    /// The layer is not in the store, damaged, or not what it says, or there is no place for it.
    pub fn lend(&self, layer: &DataLayer) -> Result<LentData, StoreError> {
        loop {
            if let Some(lent) = self.lend_unpacked(layer)? {
                return Ok(lent);
            }
            self.unpack(layer)?;
        }
    }

    fn lend_unpacked(&self, layer: &DataLayer) -> Result<Option<LentData>, StoreError> {
        let directory = self.data_directory().join(name_of(layer));
        let lock = match File::open(&directory) {
            Ok(lock) => lock,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::io("read", &directory)(error)),
        };
        let own = lock.lock_shared().and_then(|()| lock.metadata());
        let own = own.map_err(StoreError::io("lock", &directory))?.ino();
        // Until we had the lock, it may have been deleted.
        let is_there = fs::metadata(&directory).is_ok_and(|found| found.ino() == own);
        Ok(is_there.then(|| LentData {
            directory,
            guest: layer.guest.clone(),
            _lock: lock,
        }))
    }

    /// Puts the data of a layer into its place, unless another process is faster.
    fn unpack(&self, layer: &DataLayer) -> Result<(), StoreError> {
        // While this lives, nothing is deleted.
        let _ingest = self.ingest()?;
        let (place, ingest) = (self.data_directory(), self.ingest_directory());
        fs::create_dir_all(&place).map_err(StoreError::io("create", &place))?;
        let failed = || StoreError::io("write to", &ingest);
        let new = tempfile::Builder::new()
            .prefix(".data-")
            .permissions(Permissions::from_mode(0o777))
            .tempdir_in(&ingest)
            .map_err(failed())?;
        match &layer.form {
            DataForm::Directory => {
                self.check_quota(layer.blob.size)?;
                self.unpack_directory(&layer.blob, new.path())?;
            }
            DataForm::File(name) => self.link_file(&layer.blob, &new.path().join(name))?,
        }
        // All of it at once: there may be many files.
        let root = File::open(new.path()).map_err(failed())?;
        rustix::fs::syncfs(&root).map_err(|error| failed()(error.into()))?;
        match fs::rename(new.path(), place.join(name_of(layer))) {
            Ok(()) => drop(new.keep()),
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::AlreadyExists | ErrorKind::DirectoryNotEmpty
                ) => {}
            Err(error) => return Err(StoreError::io("write to", &place)(error)),
        }
        File::open(&place)
            .and_then(|place| place.sync_all())
            .map_err(StoreError::io("sync", &place))
    }

    fn unpack_directory(&self, blob: &Descriptor, to: &Path) -> Result<(), StoreError> {
        self.read_layer(blob, |path, entry| {
            let target = to.join(path);
            match entry {
                Entry::Directory => make_directory(&target, path),
                Entry::File(content) => write_file(&target, path, content),
            }
        })
    }

    /// Reads what a layer with a directory holds, and the rest of it, so that it is verified.
    fn read_layer(
        &self,
        blob: &Descriptor,
        each: impl FnMut(&Path, Entry<'_>) -> io::Result<()>,
    ) -> Result<(), StoreError> {
        let mut reader = self.open_blob(blob)?;
        read(&mut reader, each)
            .and_then(|()| io::copy(&mut reader, &mut io::sink()).map(drop))
            .map_err(|error| named(error, blob.digest))
    }

    /// Gives a blob another name: a large file takes no place twice.
    fn link_file(&self, blob: &Descriptor, to: &Path) -> Result<(), StoreError> {
        let mut reader = self.open_blob(blob)?;
        while reader.next_chunk()?.is_some() {}
        let from = self.blob_path(&blob.digest);
        // Not everybody may link what somebody else wrote.
        fs::hard_link(&from, to)
            .or_else(|_| fs::copy(&from, to).map(drop))
            .map_err(StoreError::io("write", to))
    }

    /// What was unpacked, and names that mean nothing.
    pub(super) fn unpacked(&self) -> Result<(Vec<Unpacked>, Vec<String>), StoreError> {
        let (mut found, mut foreign) = (Vec::new(), Vec::new());
        for entry in files::list(&self.data_directory())? {
            let name = entry.file_name().to_string_lossy().into_owned();
            let (hex, file) = match name.split_once('.') {
                Some((hex, file)) => (hex, Some(file.to_owned())),
                None => (name.as_str(), None),
            };
            match Digest::from_hex(hex) {
                Some(layer) => found.push(Unpacked {
                    layer,
                    file,
                    path: entry.path(),
                }),
                None => foreign.push(name),
            }
        }
        Ok((found, foreign))
    }

    /// Whether what was unpacked is what its blob, which is whole, says.
    pub(super) fn is_unpacked_whole(&self, unpacked: &Unpacked) -> Result<bool, StoreError> {
        let blob = Descriptor {
            media_type: String::new(),
            digest: unpacked.layer,
            size: self.size_of(&unpacked.layer),
        };
        let (mut files, mut same) = (0, true);
        let compared = match &unpacked.file {
            Some(name) => {
                let (path, mut blob) = (unpacked.path.join(name), self.open_blob(&blob)?);
                (files, same) = (1, holds(&path, &mut blob));
                Ok(())
            }
            None => self.read_layer(&blob, |path, entry| {
                let path = unpacked.path.join(path);
                match entry {
                    Entry::Directory => same &= path.is_dir(),
                    Entry::File(content) => {
                        files += 1;
                        same &= holds(&path, content);
                        io::copy(content, &mut io::sink())?;
                    }
                }
                Ok(())
            }),
        };
        match compared {
            Ok(()) => Ok(same && measure(&unpacked.path)?.0 == files),
            Err(StoreError::Layer { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Deletes what was unpacked, unless a job uses it or this is a `dry_run`. Returns the bytes
    /// that are free then; none if it is in use. Nobody unpacks anything meanwhile.
    pub(super) fn delete_unpacked(
        &self,
        unpacked: &Unpacked,
        dry_run: bool,
    ) -> Result<Option<u64>, StoreError> {
        let path = &unpacked.path;
        let lock = File::open(path).map_err(StoreError::io("read", path))?;
        if lock.try_lock().is_err() {
            return Ok(None);
        }
        // A file has its bytes in the blob.
        let bytes = match unpacked.file {
            Some(_) => 0,
            None => measure(path)?.1,
        };
        if !dry_run {
            // Half of it must not have its name.
            let doomed = self
                .ingest_directory()
                .join(format!(".old-{}", unpacked.layer.hex()));
            fs::create_dir_all(self.ingest_directory())
                .and_then(|()| fs::rename(path, &doomed))
                .and_then(|()| fs::remove_dir_all(&doomed))
                .map_err(StoreError::io("delete", path))?;
        }
        Ok(Some(bytes))
    }
}

/// Something that was unpacked.
pub(super) struct Unpacked {
    /// The layer.
    pub(super) layer: Digest,
    /// The name of the file, if the layer is one.
    pub(super) file: Option<String>,
    pub(super) path: PathBuf,
}

fn name_of(layer: &DataLayer) -> String {
    let hex = layer.blob.digest.hex();
    match &layer.form {
        DataForm::Directory => hex,
        DataForm::File(name) => format!("{hex}.{name}"),
    }
}

/// What is wrong with a layer that could not be read to its end.
fn named(error: io::Error, digest: Digest) -> StoreError {
    let layer = |source| StoreError::Layer { digest, source };
    let error = match error.downcast::<StoreError>() {
        Ok(own) => return own,
        Err(error) => error,
    };
    match error.downcast::<LayerError>() {
        Ok(source) => layer(source),
        Err(error) => layer(LayerError::Archive(excerpt(&error.to_string()))),
    }
}

fn make_directory(target: &Path, path: &Path) -> io::Result<()> {
    fs::create_dir_all(target).map_err(|error| taken(error, target, path))
}

/// Writes a file that nobody is to change.
fn write_file(target: &Path, path: &Path, content: &mut dyn Read) -> io::Result<()> {
    if let Some(parent) = target.parent() {
        make_directory(parent, path)?;
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o444)
        .open(target)
        .map_err(|error| taken(error, target, path))?;
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = content.read(&mut chunk)?;
        if read == 0 {
            return Ok(());
        }
        file.write_all(&chunk[..read])
            .map_err(|error| io::Error::other(StoreError::io("write", target)(error)))?;
    }
}

/// Why there is no place for an entry: the archive has two, or the disk cannot take it.
fn taken(error: io::Error, target: &Path, path: &Path) -> io::Error {
    match error.kind() {
        ErrorKind::AlreadyExists | ErrorKind::NotADirectory | ErrorKind::IsADirectory => {
            LayerError::Twice(excerpt(&path.to_string_lossy())).into()
        }
        _ => io::Error::other(StoreError::io("write", target)(error)),
    }
}

/// Whether a file has this content, and nothing else.
fn holds(path: &Path, content: &mut dyn Read) -> bool {
    let is_file = fs::symlink_metadata(path).is_ok_and(|found| found.is_file());
    let Ok(mut file) = File::open(path) else {
        return false;
    };
    let (mut expected, mut found) = (vec![0; CHUNK], vec![0; CHUNK]);
    loop {
        let Ok(read) = content.read(&mut expected) else {
            return false;
        };
        let wanted = match read {
            // Whether there is more.
            0 => &mut found[..1],
            read => &mut found[..read],
        };
        let is_same = match file.read_exact(wanted) {
            Ok(()) => read > 0 && *wanted == expected[..read],
            Err(_) => read == 0,
        };
        if read == 0 || !is_same {
            return is_file && is_same;
        }
    }
}

/// How many files are in a directory, and how many bytes they have.
fn measure(directory: &Path) -> Result<(u64, u64), StoreError> {
    let (mut files, mut bytes) = (0, 0);
    for entry in files::list(directory)? {
        let path = entry.path();
        let metadata = entry.metadata().map_err(StoreError::io("read", &path))?;
        let (more_files, more_bytes) = match metadata.is_dir() {
            true => measure(&path)?,
            false => (1, metadata.len()),
        };
        files += more_files;
        bytes += more_bytes;
    }
    Ok((files, bytes))
}
