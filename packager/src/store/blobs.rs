//! Blobs: read and written in a stream, never trusted before their size and digest are checked.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};
use tempfile::TempPath;

use super::error::StoreError;
use super::writeback::Writeback;
use super::{Store, files};
use crate::artifact::{ArtifactError, Descriptor, MAX_DOCUMENT_SIZE};
use crate::digest::Digest;

const CHUNK: usize = 128 << 10;
/// Of a blob that breaks off, so many bytes or more are kept for the next try.
const KEPT_FROM: u64 = 1 << 20;

impl Store {
    pub(super) fn blobs_directory(&self) -> PathBuf {
        self.directory.join("blobs").join("sha256")
    }

    pub(super) fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.blobs_directory().join(digest.hex())
    }

    /// How many bytes a blob has; none if it is not here.
    pub(super) fn size_of(&self, digest: &Digest) -> u64 {
        fs::metadata(self.blob_path(digest)).map_or(0, |blob| blob.len())
    }

    /// Opens a blob to be read in a stream.
    ///
    /// # Errors
    /// It is missing, cannot be read, or has another size.
    pub fn open_blob(&self, blob: &Descriptor) -> Result<BlobReader, StoreError> {
        let (file, path) = self.open_file(&blob.digest)?;
        let actual = file
            .metadata()
            .map_err(StoreError::io("read", &path))?
            .len();
        if actual != blob.size {
            return Err(StoreError::WrongSize {
                digest: blob.digest,
                expected: blob.size,
                actual,
            });
        }
        Ok(BlobReader {
            file,
            path,
            blob: blob.clone(),
            hash: Sha256::new(),
            position: 0,
        })
    }

    fn open_file(&self, digest: &Digest) -> Result<(File, PathBuf), StoreError> {
        let path = self.blob_path(digest);
        match File::open(&path) {
            Ok(file) => Ok((file, path)),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(StoreError::MissingBlob { digest: *digest })
            }
            Err(error) => Err(StoreError::io("read", &path)(error)),
        }
    }

    /// Reads a blob whole. The caller has judged its size.
    pub(crate) fn read(&self, blob: &Descriptor) -> Result<Vec<u8>, StoreError> {
        let mut reader = self.open_blob(blob)?;
        // The file has this size: the descriptor alone could make us reserve anything.
        let mut bytes = Vec::with_capacity(usize::try_from(blob.size).unwrap_or(0));
        while let Some(chunk) = reader.next_chunk()? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// Reads a manifest, of which nothing is known but the digest.
    pub(super) fn read_document(&self, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        let (file, path) = self.open_file(digest)?;
        let size = file
            .metadata()
            .map_err(StoreError::io("read", &path))?
            .len();
        if size > MAX_DOCUMENT_SIZE {
            let source = ArtifactError::TooLarge {
                what: "manifest",
                digest: *digest,
                size,
                limit: MAX_DOCUMENT_SIZE,
            };
            return Err(StoreError::Artifact {
                digest: *digest,
                source,
            });
        }
        self.read(&Descriptor {
            media_type: String::new(),
            digest: *digest,
            size,
        })
    }

    /// Whether a blob is there and undamaged.
    pub(super) fn has_blob(&self, blob: &Descriptor) -> Result<bool, StoreError> {
        let check = || {
            let mut reader = self.open_blob(blob)?;
            while reader.next_chunk()?.is_some() {}
            Ok(())
        };
        match check() {
            Ok(()) => Ok(true),
            Err(
                StoreError::MissingBlob { .. }
                | StoreError::WrongDigest { .. }
                | StoreError::WrongSize { .. },
            ) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// A blob being read. Its last chunk is given out only if size and digest are right.
#[derive(Debug)]
pub struct BlobReader {
    file: File,
    path: PathBuf,
    blob: Descriptor,
    hash: Sha256,
    position: u64,
}

impl BlobReader {
    /// How many bytes were given out.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Goes on to `position`. What lies between is read, for the digest.
    ///
    /// # Errors
    /// As [`BlobReader::next_chunk`].
    pub fn skip_to(&mut self, position: u64) -> Result<(), StoreError> {
        while self.position < position {
            let wanted = position - self.position;
            if self.read_at_most(wanted)?.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// The next bytes, or `None` after the last.
    ///
    /// # Errors
    /// It cannot be read, or it is not what its descriptor says.
    pub fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        self.read_at_most(CHUNK as u64)
    }

    /// As [`BlobReader::next_chunk`], and no more than `limit` of them.
    ///
    /// # Errors
    /// As [`BlobReader::next_chunk`].
    pub fn read_at_most(&mut self, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let left = self.blob.size.saturating_sub(self.position);
        let wanted = left.min(CHUNK as u64).min(limit);
        let mut chunk = Vec::with_capacity(usize::try_from(wanted).unwrap_or(CHUNK));
        (&mut self.file)
            .take(wanted)
            .read_to_end(&mut chunk)
            .map_err(StoreError::io("read", &self.path))?;
        let read = chunk.len() as u64;
        self.position += read;
        self.hash.update(&chunk);
        let Descriptor { digest, size, .. } = self.blob;
        if read < wanted {
            return Err(StoreError::WrongSize {
                digest,
                expected: size,
                actual: self.position,
            });
        }
        if self.position == size {
            let actual = Digest::finish(self.hash.clone());
            if actual != digest {
                return Err(StoreError::WrongDigest {
                    expected: digest,
                    actual,
                });
            }
        }
        Ok((!chunk.is_empty()).then_some(chunk))
    }
}

/// Its errors have a [`StoreError`] in them.
impl Read for BlobReader {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let chunk = self
            .read_at_most(to.len() as u64)
            .map_err(io::Error::other)?;
        let chunk = chunk.unwrap_or_default();
        to[..chunk.len()].copy_from_slice(&chunk);
        Ok(chunk.len())
    }
}

/// A blob being written. It appears in the store when it is complete and right. Dropped before
/// that, it leaves nothing, or if there is much of it, what had arrived: the next writer of the
/// same blob goes on from there.
#[derive(Debug)]
pub struct BlobWriter {
    file: File,
    writeback: Writeback,
    path: TempPath,
    /// Whether the next writer would find what is left.
    resumable: bool,
    target: PathBuf,
    blob: Descriptor,
    hash: Sha256,
    written: u64,
}

impl BlobWriter {
    pub(super) fn resume(store: &Store, blob: &Descriptor) -> Result<Self, StoreError> {
        store.check_quota(blob.size)?;
        let directory = store.ingest_directory();
        let path = directory.join(format!("{}.partial", blob.digest.hex()));
        let failed = || StoreError::io("write to", &directory);
        let partial = files::open_partial(&path).map_err(failed())?;
        let resumable = partial.is_some();
        let (file, path) = match partial {
            Some(file) => (file, TempPath::try_from_path(path).map_err(failed())?),
            // Somebody else writes it: each has a file of its own.
            None => files::temporary(&directory).map_err(failed())?.into_parts(),
        };
        let mut writer = Self {
            file,
            writeback: Writeback::default(),
            path,
            resumable,
            target: store.blob_path(&blob.digest),
            blob: blob.clone(),
            hash: Sha256::new(),
            written: 0,
        };
        writer.take_up()?;
        Ok(writer)
    }

    /// Takes in what an earlier writer left.
    fn take_up(&mut self) -> Result<(), StoreError> {
        let mut buffer = vec![0; CHUNK];
        loop {
            let read = self.file.read(&mut buffer);
            let read = read.map_err(StoreError::io("read", &self.path))?;
            if read == 0 {
                break;
            }
            self.hash.update(&buffer[..read]);
            self.written += read as u64;
        }
        if self.written > self.blob.size {
            self.restart()?;
        }
        self.path.disable_cleanup(self.is_kept());
        Ok(())
    }

    fn is_kept(&self) -> bool {
        self.resumable && self.written >= KEPT_FROM
    }

    /// How many bytes are here already.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Forgets what was written.
    ///
    /// # Errors
    /// The file cannot be emptied.
    pub fn restart(&mut self) -> Result<(), StoreError> {
        self.writeback
            .settle()
            .and_then(|()| self.file.set_len(0))
            .and_then(|()| self.file.rewind())
            .map_err(StoreError::io("write", &self.path))?;
        self.hash = Sha256::new();
        self.written = 0;
        self.path.disable_cleanup(false);
        Ok(())
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// There are more than the descriptor says, or they cannot be written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let written = self.written.saturating_add(bytes.len() as u64);
        if written > self.blob.size {
            return Err(self.wrong_size(written));
        }
        self.hash.update(bytes);
        self.file
            .write_all(bytes)
            .and_then(|()| self.writeback.wrote(&self.file, bytes.len()))
            .map_err(StoreError::io("write", &self.path))?;
        self.written = written;
        self.path.disable_cleanup(self.is_kept());
        Ok(())
    }

    /// Whether all of it is here, and it is what it should be.
    ///
    /// # Errors
    /// Its size or digest is wrong.
    pub fn check(&mut self) -> Result<(), StoreError> {
        if self.written != self.blob.size {
            return Err(self.wrong_size(self.written));
        }
        let actual = Digest::finish(self.hash.clone());
        if actual != self.blob.digest {
            self.path.disable_cleanup(false);
            return Err(StoreError::WrongDigest {
                expected: self.blob.digest,
                actual,
            });
        }
        Ok(())
    }

    /// Checks size and digest and puts the blob in its place.
    ///
    /// # Errors
    /// Either is wrong, or the blob cannot be written.
    pub fn commit(mut self) -> Result<(), StoreError> {
        self.check()?;
        self.path.disable_cleanup(false);
        let settled = self.writeback.settle();
        settled.map_err(StoreError::io("write", &self.target))?;
        if let Some(directory) = self.target.parent() {
            fs::create_dir_all(directory).map_err(StoreError::io("create", directory))?;
        }
        files::publish(&self.file, self.path, &self.target)
    }

    fn wrong_size(&mut self, actual: u64) -> StoreError {
        self.path
            .disable_cleanup(actual < self.blob.size && self.is_kept());
        StoreError::WrongSize {
            digest: self.blob.digest,
            expected: self.blob.size,
            actual,
        }
    }
}
