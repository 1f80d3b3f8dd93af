//! Data that a workload brings along, on its way into a layer: a file as it is, or what a directory
//! holds as a tar archive. The same content gives the same bytes: entries sorted by their path, and
//! no times, owners and modes. Nothing is compressed: compressors change what they write from one
//! version to the next, and a layer that several workloads share has one digest.

mod layer;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

use crate::artifact::{DataForm, Descriptor, checked_file_name};
use crate::digest::Digest;

pub use layer::LayerError;
pub(crate) use layer::{Entry, read};

/// More files and directories than a layer may have.
pub(crate) const MAX_ENTRIES: usize = 1 << 20;

/// Why data cannot be packed.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is neither a file nor a directory, or a link to a directory.
    #[error("{} is {kind}: data consists of files and directories", path.display())]
    Kind {
        /// What is refused.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// Its name cannot be one in the guest.
    #[error("{}: {reason}", path.display())]
    Name {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// It has more files and directories than a layer may have.
    #[error("{} has more than {MAX_ENTRIES} files and directories", .0.display())]
    TooMany(PathBuf),
    /// It was written to while it was read.
    #[error("{} changed while it was being packed", .0.display())]
    Changed(PathBuf),
    /// The layer cannot be written.
    #[error("{0}")]
    Write(io::Error),
}

/// What becomes a layer.
pub(crate) struct Material {
    pub(crate) form: DataForm,
    /// The files and directories, sorted by their path in the layer.
    parts: Vec<Part>,
}

struct Part {
    host: PathBuf,
    /// Its path in the layer, with `/` between names.
    path: String,
    /// How long the file is; none for a directory.
    size: Option<u64>,
}

impl Material {
    /// Finds what is at `path`.
    pub(crate) fn find(path: &Path) -> Result<Self, DataError> {
        let metadata = fs::metadata(path).map_err(failed(path))?;
        if metadata.is_dir() {
            let mut parts = Vec::new();
            list(path, "", &mut parts)?;
            parts.sort_unstable_by(|a, b| a.path.cmp(&b.path));
            let form = DataForm::Directory;
            return Ok(Self { form, parts });
        }
        let size = regular(path, &metadata)?;
        let refused = |reason| DataError::Name {
            path: path.to_owned(),
            reason,
        };
        let name = checked_file_name(&name_of(path)?).map_err(refused)?;
        Ok(Self {
            form: DataForm::File(name.clone()),
            parts: vec![Part {
                host: path.to_owned(),
                path: name,
                size: Some(size),
            }],
        })
    }

    /// The layer that [`Material::write`] makes.
    pub(crate) fn describe(&self) -> Result<Descriptor, DataError> {
        let mut sum = Sum {
            hash: Sha256::new(),
            size: 0,
        };
        self.write(&mut sum)?;
        Ok(Descriptor {
            media_type: self.form.media_type().to_owned(),
            digest: Digest::finish(sum.hash),
            size: sum.size,
        })
    }

    /// Writes the layer.
    pub(crate) fn write(&self, to: &mut dyn Write) -> Result<(), DataError> {
        match self.form {
            DataForm::File(_) => self.parts.iter().try_for_each(|file| {
                let mut content = Content::open(file)?;
                let copied = io::copy(&mut content, to);
                copied.map_err(|error| content.blame(error))?;
                content.check()
            }),
            DataForm::Directory => {
                let mut tar = Builder::new(to);
                for part in &self.parts {
                    append(&mut tar, part)?;
                }
                tar.finish().map_err(DataError::Write)
            }
        }
    }
}

/// Finds what is in a directory that is called `above` in the layer.
fn list(directory: &Path, above: &str, parts: &mut Vec<Part>) -> Result<(), DataError> {
    for entry in fs::read_dir(directory).map_err(failed(directory))? {
        let host = entry.map_err(failed(directory))?.path();
        let path = format!("{above}{}", name_of(&host)?);
        let is_link = fs::symlink_metadata(&host)
            .map_err(failed(&host))?
            .is_symlink();
        let metadata = fs::metadata(&host).map_err(failed(&host))?;
        if parts.len() == MAX_ENTRIES {
            return Err(DataError::TooMany(directory.to_owned()));
        }
        if metadata.is_dir() && is_link {
            // It could lead to where it lies, and so on without an end.
            let kind = "a link to a directory";
            return Err(DataError::Kind { path: host, kind });
        }
        if metadata.is_dir() {
            let inside = format!("{path}/");
            list(&host, &inside, parts)?;
            let (path, size) = (inside, None);
            parts.push(Part { host, path, size });
        } else {
            let size = Some(regular(&host, &metadata)?);
            parts.push(Part { host, path, size });
        }
    }
    Ok(())
}

fn name_of(path: &Path) -> Result<String, DataError> {
    let name = path.file_name().unwrap_or_default().to_str();
    name.map(ToOwned::to_owned).ok_or_else(|| DataError::Name {
        path: path.to_owned(),
        reason: "its name is not UTF-8".to_owned(),
    })
}

/// How long a file is.
fn regular(path: &Path, metadata: &fs::Metadata) -> Result<u64, DataError> {
    if !metadata.is_file() {
        return Err(DataError::Kind {
            path: path.to_owned(),
            kind: "neither a file nor a directory",
        });
    }
    Ok(metadata.len())
}

fn append(tar: &mut Builder<&mut dyn Write>, part: &Part) -> Result<(), DataError> {
    let mut header = Header::new_ustar();
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(part.size.unwrap_or(0));
    if part.size.is_none() {
        header.set_entry_type(EntryType::Directory);
        header.set_mode(0o755);
        let added = tar.append_data(&mut header, &part.path, io::empty());
        return added.map_err(DataError::Write);
    }
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    let mut content = Content::open(part)?;
    let added = tar.append_data(&mut header, &part.path, &mut content);
    added.map_err(|error| content.blame(error))?;
    content.check()
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> DataError {
    let path = path.to_owned();
    move |source| DataError::Read { path, source }
}

/// The content of a file, which is as long as it was found to be.
struct Content<'a> {
    path: &'a Path,
    file: io::Take<File>,
    left: u64,
    /// Whether reading it failed.
    failed: bool,
}

impl<'a> Content<'a> {
    fn open(part: &'a Part) -> Result<Self, DataError> {
        let (path, left) = (part.host.as_path(), part.size.unwrap_or(0));
        let file = File::open(path).map_err(failed(path))?;
        Ok(Self {
            path,
            file: file.take(left),
            left,
            failed: false,
        })
    }

    /// Tells what could not be read from what could not be written.
    fn blame(&self, error: io::Error) -> DataError {
        match self.failed {
            true => failed(self.path)(error),
            false => DataError::Write(error),
        }
    }

    fn check(&self) -> Result<(), DataError> {
        match self.left {
            0 => Ok(()),
            _ => Err(DataError::Changed(self.path.to_owned())),
        }
    }
}

impl Read for Content<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(to);
        self.failed = read.is_err();
        self.left -= read.as_ref().map_or(0, |read| *read as u64);
        read
    }
}

/// Digest and length of what is written.
struct Sum {
    hash: Sha256,
    size: u64,
}

impl Write for Sum {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
