//! The scratch directory, as part of a checkpoint.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use cap_fs_ext::{DirExt, FollowSymlinks, OpenOptionsFollowExt};
use cap_std::fs::{Dir, Metadata, OpenOptions};
use wherry_snapshot::{Blob, BlobSink, BlobSource};

use crate::attributes::Attributes;
use crate::host::{FileId, entries, filetype, read_unseen};
use crate::path::absolute;
use crate::restore::RestoreError;
use crate::save::{Blobs, SaveError};
use crate::saved::Saved;
use crate::state::{Content, Node};
use crate::table::Place;
use crate::types::Filetype;

/// A longer path could not be restored.
const MAX_PATH: usize = 4095;

/// A scratch directory that was saved.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(crate) nodes: BTreeMap<Vec<u8>, Node>,
    /// The first path of each file and directory, by its numbers on the host.
    pub(crate) paths: BTreeMap<FileId, Vec<u8>>,
}

impl Tree {
    /// Saves what is in `root`, the mount of this index.
    pub(crate) fn save(
        root: &Dir,
        mount: usize,
        attributes: &mut Attributes,
        blobs: &mut Blobs<'_>,
    ) -> Result<Self, SaveError> {
        let mut tree = Self::default();
        let metadata = root.dir_metadata().map_err(|e| SaveError::io(b"", e))?;
        tree.insert(Vec::new(), mount, &metadata, Content::Directory, attributes);
        let mut directories = vec![Vec::new()];
        while let Some(directory) = directories.pop() {
            for path in children(root, &directory).map_err(|e| SaveError::io(&directory, e))? {
                if path.len() > MAX_PATH {
                    return Err(SaveError::TooDeep {
                        path: String::from_utf8_lossy(&path).into_owned(),
                    });
                }
                let metadata = root.symlink_metadata(as_path(&path));
                let metadata = metadata.map_err(|e| SaveError::io(&path, e))?;
                let content = tree.content(root, &path, &metadata, blobs)?;
                if content == Content::Directory {
                    directories.push(path.clone());
                }
                tree.insert(path, mount, &metadata, content, attributes);
            }
        }
        Ok(tree)
    }

    fn insert(
        &mut self,
        path: Vec<u8>,
        mount: usize,
        metadata: &Metadata,
        content: Content,
        attributes: &mut Attributes,
    ) {
        let host = FileId::of(metadata);
        self.paths.entry(host).or_insert_with(|| path.clone());
        let place = Place {
            mount,
            path: as_path(&path).to_owned(),
        };
        let (atime, mtime) = attributes.times(metadata, &place);
        let node = Node {
            id: attributes.id(host, &place),
            atime,
            mtime,
            content,
        };
        self.nodes.insert(path, node);
    }

    fn content(
        &self,
        root: &Dir,
        path: &[u8],
        metadata: &Metadata,
        blobs: &mut Blobs<'_>,
    ) -> Result<Content, SaveError> {
        let failed = |error| SaveError::io(path, error);
        match filetype(metadata) {
            Filetype::Directory => Ok(Content::Directory),
            Filetype::RegularFile => match self.paths.get(&FileId::of(metadata)) {
                Some(first) => Ok(Content::Link(first.clone())),
                None => blobs
                    .content(metadata, |blobs| read_file(root, path, blobs))
                    .map(Content::File)
                    .map_err(failed),
            },
            Filetype::SymbolicLink => {
                let target = root.read_link_contents(as_path(path)).map_err(failed)?;
                Ok(Content::Symlink(target.as_os_str().as_bytes().to_owned()))
            }
            _ => Err(SaveError::Special {
                path: String::from_utf8_lossy(path).into_owned(),
            }),
        }
    }
}

/// The paths of what is in `directory`.
fn children(root: &Dir, directory: &[u8]) -> io::Result<Vec<Vec<u8>>> {
    let dir = match directory {
        b"" => root.try_clone()?,
        path => root.open_dir(as_path(path))?,
    };
    let mut paths = Vec::new();
    let mut listed = entries(&dir)?;
    read_unseen(listed.fd()?);
    while let Some(entry) = listed.read() {
        let entry = entry?;
        match (entry.file_name().to_bytes(), directory) {
            (b"." | b"..", _) => {}
            (name, b"") => paths.push(name.to_owned()),
            (name, _) => paths.push([directory, b"/", name].concat()),
        }
    }
    // The order decides which name of a file comes first.
    paths.sort();
    Ok(paths)
}

fn read_file(root: &Dir, path: &[u8], blobs: &mut dyn BlobSink) -> io::Result<Blob> {
    let mut options = OpenOptions::new();
    options.read(true).follow(FollowSymlinks::No);
    let mut file = root.open_with(as_path(path), &options)?;
    read_unseen(&file);
    blobs.put(&mut file)
}

/// Builds a saved tree in `root`, which must be empty. Times of directories are left to
/// [`restore_times`]: what happens in a directory changes them.
pub(crate) fn restore(
    root: &Dir,
    nodes: &BTreeMap<Vec<u8>, Node>,
    attributes: &mut Attributes,
    saved: &mut Saved,
    blobs: &dyn BlobSource,
) -> Result<(), RestoreError> {
    if !is_empty(root).map_err(|e| RestoreError::scratch(b"", e))? {
        return Err(RestoreError::ScratchNotEmpty);
    }
    // A name of a file can sort before the one that was saved first: links come last.
    let (links, others): (Vec<_>, Vec<_>) = nodes
        .iter()
        .partition(|(_, node)| matches!(node.content, Content::Link(_)));
    for (path, node) in others.into_iter().chain(links) {
        check_path(path)?;
        let failed = |error| RestoreError::scratch(path, error);
        restore_node(root, path, node, blobs).map_err(failed)?;
        let metadata = match path.as_slice() {
            b"" => root.dir_metadata(),
            path => root.symlink_metadata(as_path(path)),
        };
        let (host, times) = (metadata.map_err(failed)?, (node.atime, node.mtime));
        attributes.keep(FileId::of(&host), node.id, Some(times));
        if let Content::File(blob) = &node.content {
            saved.insert(&host, blob.clone());
        }
    }
    Ok(())
}

fn restore_node(root: &Dir, path: &[u8], node: &Node, blobs: &dyn BlobSource) -> io::Result<()> {
    let at = as_path(path);
    match &node.content {
        Content::Directory if path.is_empty() => Ok(()),
        Content::Directory => root.create_dir(at),
        Content::Link(first) => root.hard_link(as_path(first), root, at),
        Content::Symlink(target) => {
            root.symlink_contents(as_path(target), at)?;
            let (atime, mtime) = (absolute(node.atime), absolute(node.mtime));
            root.set_symlink_times(at, Some(atime), Some(mtime))
        }
        Content::File(blob) => {
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            let mut file = root.open_with(at, &options)?.into_std();
            blobs.read(blob, &mut file)?;
            set_times(&file, node.atime, node.mtime)
        }
    }
}

/// Gives the directories of a restored tree their times, the innermost first.
pub(crate) fn restore_times(
    root: &Dir,
    nodes: &BTreeMap<Vec<u8>, Node>,
) -> Result<(), RestoreError> {
    for (path, node) in nodes.iter().rev() {
        if node.content != Content::Directory {
            continue;
        }
        let at = if path.is_empty() {
            b"."
        } else {
            path.as_slice()
        };
        let (atime, mtime) = (absolute(node.atime), absolute(node.mtime));
        DirExt::set_times(root, as_path(at), Some(atime), Some(mtime))
            .map_err(|e| RestoreError::scratch(path, e))?;
    }
    Ok(())
}

/// Sets the times of an open file.
pub(crate) fn set_times(file: impl std::os::fd::AsFd, atime: u64, mtime: u64) -> io::Result<()> {
    use crate::types::NewTime;
    let times = rustix::fs::Timestamps {
        last_access: crate::fd::timespec(NewTime::At(atime)),
        last_modification: crate::fd::timespec(NewTime::At(mtime)),
    };
    Ok(rustix::fs::futimens(file, &times)?)
}

fn is_empty(root: &Dir) -> io::Result<bool> {
    Ok(root.entries()?.next().is_none())
}

/// A saved path holds names only. cap-std keeps it in the directory in any case.
fn check_path(path: &[u8]) -> Result<(), RestoreError> {
    let names = as_path(path).components();
    let rebuilt = names.map(|component| match component {
        Component::Normal(name) => Some(name.as_bytes()),
        _ => None,
    });
    let rebuilt: Option<Vec<&[u8]>> = rebuilt.collect();
    match rebuilt {
        Some(names) if names.join(&b'/') == path => Ok(()),
        _ => Err(RestoreError::Invalid {
            reason: "a path of the scratch directory is not a list of names",
        }),
    }
}

pub(crate) fn as_path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}
