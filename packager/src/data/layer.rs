//! What a layer with a directory holds, read in a stream. Whoever made the archive may be hostile: what
//! is not a file or a directory with a plain relative path is refused by its name.
//!
//! An archive is not compressed and has no holes, so that what it holds is never larger than itself.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use tar::{Archive, EntryType};

use super::MAX_ENTRIES;
use crate::digest::excerpt;

/// The longest path in an archive, in bytes.
const MAX_PATH: u64 = 4096;
/// The longest name of a file, in bytes.
const MAX_NAME: usize = 255;
/// Directories in directories.
const MAX_DEPTH: usize = 64;

/// Why a layer is refused.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// A path that leads out of the directory, or is none.
    #[error("the entry `{path}` is refused: {reason}")]
    Path {
        /// The path.
        path: String,
        /// Why.
        reason: &'static str,
    },
    /// Something else than a file or a directory.
    #[error(
        "the entry `{path}` is refused: it is {kind}, and data consists of files and directories"
    )]
    Kind {
        /// Its path.
        path: String,
        /// What it is.
        kind: &'static str,
    },
    /// A path that is there already, as something else.
    #[error("the entry `{0}` is refused: there are two of this path")]
    Twice(String),
    /// A file that is longer than the rest of the archive.
    #[error(
        "the entry `{path}` is refused: it says that it has {size} bytes, and there are {actual}"
    )]
    Size {
        /// Its path.
        path: String,
        /// How long it says that it is.
        size: u64,
        /// How long it is.
        actual: u64,
    },
    /// More files and directories than a layer may have.
    #[error("it has more than {MAX_ENTRIES} files and directories")]
    TooMany,
    /// It is not an archive, or damaged.
    #[error("it is not a tar archive: {0}")]
    Archive(String),
}

/// Something in an archive.
pub(crate) enum Entry<'a> {
    Directory,
    /// A file with this content.
    File(&'a mut dyn Read),
}

impl From<LayerError> for io::Error {
    fn from(error: LayerError) -> Self {
        Self::other(error)
    }
}

/// Reads an archive, and tells `each` of what it holds, in order: with relative paths of plain names.
/// An error has a [`LayerError`] in it, or what `from` or `each` failed with, or is about the archive.
pub(crate) fn read(
    from: impl Read,
    mut each: impl FnMut(&Path, Entry<'_>) -> io::Result<()>,
) -> io::Result<()> {
    let mut archive = Archive::new(from);
    let (mut long_path, mut count) = (None, 0);
    for entry in archive.entries()?.raw(true) {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        if kind == EntryType::GNULongName {
            long_path = Some(path_of(&mut entry)?);
            continue;
        }
        let bytes = match long_path.take() {
            Some(long) => long,
            None => entry.path_bytes().into_owned(),
        };
        let path = plain(&bytes)?;
        let named = || excerpt(&String::from_utf8_lossy(&bytes));
        count += 1;
        if count > MAX_ENTRIES {
            return Err(LayerError::TooMany.into());
        }
        match kind {
            EntryType::Directory => each(&path, Entry::Directory)?,
            EntryType::Regular if !bytes.ends_with(b"/") => {
                let size = entry.size();
                let mut content = Counted(&mut entry, 0);
                each(&path, Entry::File(&mut content))?;
                let actual = content.1;
                if actual != size {
                    let path = named();
                    return Err(LayerError::Size { path, size, actual }.into());
                }
            }
            other => {
                let (path, kind) = (named(), name_of(other));
                return Err(LayerError::Kind { path, kind }.into());
            }
        }
    }
    Ok(())
}

/// The path of the next entry, which is too long for its header.
fn path_of(entry: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut path = Vec::new();
    entry.take(MAX_PATH + 2).read_to_end(&mut path)?;
    let end = path.iter().position(|byte| *byte == 0);
    path.truncate(end.unwrap_or(path.len()));
    Ok(path)
}

/// A path below the directory, of plain names.
fn plain(bytes: &[u8]) -> Result<PathBuf, LayerError> {
    let refused = |reason| LayerError::Path {
        path: excerpt(&String::from_utf8_lossy(bytes)),
        reason,
    };
    let text = std::str::from_utf8(bytes).map_err(|_| refused("it is not UTF-8"))?;
    if bytes.len() as u64 > MAX_PATH {
        return Err(refused("it is longer than any path"));
    }
    if text.starts_with('/') {
        return Err(refused("it is absolute"));
    }
    let mut path = PathBuf::new();
    for (depth, name) in text
        .split('/')
        .filter(|name| !matches!(*name, "" | "."))
        .enumerate()
    {
        if name == ".." {
            return Err(refused("it leads out of its directory"));
        }
        if name.len() > MAX_NAME {
            return Err(refused("a name in it is longer than that of any file"));
        }
        if depth == MAX_DEPTH {
            return Err(refused("it is too deep"));
        }
        path.push(name);
    }
    Ok(path)
}

fn name_of(kind: EntryType) -> &'static str {
    match kind {
        EntryType::Regular => "a file and a directory at once",
        EntryType::Symlink => "a symbolic link",
        EntryType::Link => "a hard link",
        EntryType::Char | EntryType::Block => "a device",
        EntryType::Fifo => "a pipe",
        EntryType::GNUSparse => "a file with holes",
        EntryType::XHeader | EntryType::XGlobalHeader => "an extended header (pax)",
        _ => "of an unknown kind",
    }
}

struct Counted<R>(R, u64);

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(to)?;
        self.1 += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_below_the_directory() {
        let plain = |text: &str| super::plain(text.as_bytes());
        for (text, expected) in [("a", "a"), ("./a/b/", "a/b"), ("a//b", "a/b"), ("./", "")] {
            assert_eq!(plain(text).unwrap(), Path::new(expected));
        }
        let (deep, long) = ("a/".repeat(MAX_DEPTH + 1), "n".repeat(MAX_NAME + 1));
        let longer = "abc/".repeat(1025);
        for text in ["/a", "..", "a/../b", "a/..", &deep, &long, &longer] {
            assert!(plain(text).is_err(), "{text}");
        }
        assert!(super::plain(b"\xff").is_err());
        assert!(plain(&"a/".repeat(MAX_DEPTH)).is_ok());
    }
}
