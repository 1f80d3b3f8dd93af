//! What checkpoints build on: a delta needs the files that hold what it lacks. They lie beside
//! it, under whatever name.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use wherry_snapshot::{Digest, Error, Key, Outline, Reader};

use crate::Checkpoint;
use crate::checkpoints::Standing;

/// Opens a checkpoint, and those that it builds on from the same directory, with the key that
/// they may be encrypted with.
///
/// # Errors
/// As [`Reader::open_sealed`].
pub fn open_checkpoint(path: &Path, key: Option<&Key>) -> Result<Reader<File>, Error> {
    Reader::open_sealed(File::open(path)?, key, |base| find(path, base))
}

/// The files that make up a checkpoint: itself, and those that it builds on, which lie in the
/// same directory. No key is needed.
///
/// # Errors
/// It cannot be read, or [`Error::MissingBase`].
pub fn checkpoint_files(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let outline = Outline::read(&mut File::open(path)?)?;
    let mut files = vec![path.to_owned()];
    for base in outline.bases {
        files.push(find_path(path, &base)?.ok_or(Error::MissingBase(base))?);
    }
    Ok(files)
}

/// The file beside `path` with this digest.
fn find(path: &Path, base: &Digest) -> io::Result<Option<File>> {
    find_path(path, base)?.map(File::open).transpose()
}

fn find_path(path: &Path, base: &Digest) -> io::Result<Option<PathBuf>> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if outline(&path).is_some_and(|outline| outline.file == *base) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// What a file says of itself, if it is a checkpoint.
fn outline(path: &Path) -> Option<Outline> {
    let is_file = fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    let mut file = File::open(path).ok().filter(|_| is_file)?;
    Outline::read(&mut file).ok()
}

/// For each of `checkpoints` the number of the last one that is kept and builds on it.
pub(crate) fn needed_by(checkpoints: &[Checkpoint], kept: &[bool]) -> Vec<Option<u64>> {
    let outline = |one: &Checkpoint| match one.standing {
        Standing::Elsewhere => None,
        _ => outline(&one.path),
    };
    let outlines: Vec<_> = checkpoints.iter().map(outline).collect();
    let mut needed = vec![None; checkpoints.len()];
    for (one, (kept, above)) in checkpoints.iter().zip(kept.iter().zip(&outlines)) {
        let bases = above
            .iter()
            .filter(|_| *kept)
            .flat_map(|above| &above.bases);
        for base in bases {
            let is_it = |outline: &Option<Outline>| {
                outline
                    .as_ref()
                    .is_some_and(|outline| outline.file == *base)
            };
            if let Some(index) = outlines.iter().position(is_it) {
                needed[index] = Some(one.sequence);
            }
        }
    }
    needed
}
