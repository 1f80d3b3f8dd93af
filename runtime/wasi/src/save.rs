//! Saving the state of a job that is stopped. It may go on afterwards.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use cap_std::fs::Metadata;
use wherry_snapshot::{Blob, BlobSink};

use crate::attributes::Attributes;
use crate::dir::Listing;
use crate::host::{FileId, MountRoot, read_unseen};
use crate::random::RandomState;
use crate::saved::Saved;
use crate::scratch::{Tree, as_path};
use crate::state::{
    DescriptorState, DirectoryState, FileState, Location, MountState, ObjectState, Orphan,
    WasiState,
};
use crate::table::{Access, Descriptor, Object, OpenDirectory, OpenFile, OutputStream, Place};
use crate::types::Filetype;
use crate::{Input, Wasi};

/// Why the state cannot be saved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaveError {
    /// A file cannot be read, or the checkpoint not written.
    #[error("{path:?} cannot be saved: {source}")]
    Io {
        /// The file, as the job knows it.
        path: String,
        /// What the host said.
        source: io::Error,
    },
    /// A socket, pipe or device is in the scratch directory, or is open and has no name.
    #[error("{path:?} cannot move: it is neither a file nor a directory")]
    Special {
        /// Its path, as the job knows it.
        path: String,
    },
    /// A path in the scratch directory is too long to be opened by name.
    #[error("{path:?} cannot be saved: the path is longer than 4095 bytes")]
    TooDeep {
        /// The path.
        path: String,
    },
    /// An open file of a read-only directory was deleted, and there is no scratch directory
    /// in which it could be restored.
    #[error("{path:?} was deleted while it is open, and the job has no directory to restore it in")]
    Homeless {
        /// Where it was.
        path: String,
    },
}

impl SaveError {
    pub(crate) fn io(path: &[u8], source: io::Error) -> Self {
        Self::Io {
            path: String::from_utf8_lossy(path).into_owned(),
            source,
        }
    }
}

impl Wasi {
    /// Saves the state. Content of files goes to `blobs`; the job may go on afterwards.
    ///
    /// # Errors
    /// See [`SaveError`].
    pub fn save(&mut self, blobs: &mut dyn BlobSink) -> Result<WasiState, SaveError> {
        self.forget_changes()?;
        // Of files that are gone nothing is noted again.
        let before = std::mem::take(&mut self.saved);
        let mut blobs = Blobs {
            before: &before,
            now: &mut self.saved,
            sink: blobs,
        };
        let mut mounts = self.mounts.iter().enumerate();
        let tree = match mounts.find(|(_, mount)| mount.scratch) {
            Some((index, scratch)) => {
                Tree::save(&scratch.dir, index, &mut self.attributes, &mut blobs)?
            }
            None => Tree::default(),
        };
        let mut files = Files {
            mounts: &self.mounts,
            attributes: &mut self.attributes,
            tree: &tree,
            orphans: Vec::new(),
            indices: BTreeMap::new(),
            blobs,
        };
        let mut descriptors = BTreeMap::new();
        for (fd, descriptor) in self.table.iter() {
            descriptors.insert(fd, files.descriptor(descriptor)?);
        }
        let orphans = files.orphans;
        let mounts = self.mounts.iter().enumerate();
        let mounts = mounts.map(|(index, mount)| mount.save(index, &mut self.attributes));
        let mounts = mounts.collect::<Result<_, _>>()?;
        Ok(WasiState {
            args: self.args.clone(),
            env: self.env.clone(),
            mounts,
            descriptors,
            orphans,
            scratch: tree.nodes,
            clocks: self.clocks.save(),
            random: RandomState::save(&self.random),
            pending_poll: self.pending_poll.clone(),
        })
    }

    /// Forgets the content of open files that was changed since they were saved.
    fn forget_changes(&mut self) -> Result<(), SaveError> {
        for file in self.table.files_mut().filter(|file| file.changed) {
            let metadata = Metadata::from_file(&file.file);
            let path = file.place.path.as_os_str().as_bytes();
            self.saved
                .forget(&metadata.map_err(|error| SaveError::io(path, error))?);
            file.changed = false;
        }
        Ok(())
    }
}

/// Where the content of files goes, and what is known of it.
pub(crate) struct Blobs<'a> {
    before: &'a Saved,
    now: &'a mut Saved,
    sink: &'a mut dyn BlobSink,
}

impl Blobs<'_> {
    /// The content of a file, which is read only if it is not known.
    pub(crate) fn content(
        &mut self,
        metadata: &Metadata,
        read: impl FnOnce(&mut dyn BlobSink) -> io::Result<Blob>,
    ) -> io::Result<Blob> {
        self.before.content(self.now, metadata, self.sink, read)
    }
}

impl MountRoot {
    fn save(&self, index: usize, attributes: &mut Attributes) -> Result<MountState, SaveError> {
        let metadata = self.dir.dir_metadata();
        let metadata = metadata.map_err(|error| SaveError::io(self.guest.as_bytes(), error))?;
        Ok(MountState {
            guest: self.guest.clone(),
            read_only: self.read_only,
            scratch: self.scratch,
            dev: attributes.device(FileId::of(&metadata).dev, index),
        })
    }
}

/// Saves open files.
struct Files<'a> {
    mounts: &'a [MountRoot],
    attributes: &'a mut Attributes,
    tree: &'a Tree,
    orphans: Vec<Orphan>,
    /// Of the orphans, by their numbers on the host.
    indices: BTreeMap<FileId, u32>,
    blobs: Blobs<'a>,
}

impl Files<'_> {
    fn descriptor(&mut self, descriptor: &Descriptor) -> Result<DescriptorState, SaveError> {
        let object = match &descriptor.object {
            Object::Input(input) => ObjectState::Stdin {
                position: input_position(input, descriptor.filetype),
            },
            Object::Output(_, OutputStream::Stdout) => ObjectState::Stdout,
            Object::Output(_, OutputStream::Stderr) => ObjectState::Stderr,
            Object::File(file) => self.file(file, descriptor.filetype)?,
            Object::Directory(directory) => self.directory(directory)?,
        };
        Ok(DescriptorState {
            rights: descriptor.rights,
            inheriting: descriptor.inheriting,
            flags: descriptor.flags,
            object,
        })
    }

    fn file(&mut self, file: &OpenFile, filetype: Filetype) -> Result<ObjectState, SaveError> {
        let name = self.name(&file.place);
        let failed = |error| SaveError::io(name.as_bytes(), error);
        let metadata = Metadata::from_file(&file.file).map_err(failed)?;
        let position = if filetype == Filetype::RegularFile {
            let position = rustix::fs::tell(&file.file).map_err(io::Error::from);
            Some((position.map_err(failed)?, metadata.len()))
        } else {
            None
        };
        let location = match self.locate(&file.place, file.file.as_fd(), &metadata) {
            Some(location) => location,
            None if position.is_none() => return Err(SaveError::Special { path: name }),
            None => self.orphan(&file.place, &metadata, Some((&file.file, file.access)))?,
        };
        Ok(ObjectState::File(FileState {
            location,
            id: self.attributes.id(FileId::of(&metadata), &file.place),
            read: file.access.read,
            write: file.access.write,
            position,
        }))
    }

    fn directory(&mut self, directory: &OpenDirectory) -> Result<ObjectState, SaveError> {
        let name = self.name(&directory.place);
        let metadata = directory.dir.dir_metadata();
        let metadata = metadata.map_err(|error| SaveError::io(name.as_bytes(), error))?;
        let location = match self.locate(&directory.place, directory.dir.as_fd(), &metadata) {
            Some(location) => location,
            None => self.orphan(&directory.place, &metadata, None)?,
        };
        Ok(ObjectState::Directory(DirectoryState {
            location,
            id: self.attributes.id(FileId::of(&metadata), &directory.place),
            preopened: directory.preopened,
            listing: directory.listing.as_ref().map(Listing::names),
        }))
    }

    /// Where an open file is now: at the path we know, or else where the scratch directory
    /// or the host has it. Whatever the path, it must lead to this very file.
    fn locate(&self, place: &Place, fd: BorrowedFd<'_>, metadata: &Metadata) -> Option<Location> {
        let id = FileId::of(metadata);
        let mount = self.mounts.get(place.mount)?;
        let leads_there = |path: &Path| {
            let found = mount.metadata(path);
            found.is_ok_and(|found| FileId::of(&found) == id)
        };
        let path = if leads_there(&place.path) {
            place.path.clone()
        } else if let Some(path) = self.tree.paths.get(&id).filter(|_| mount.scratch) {
            as_path(path).to_owned()
        } else {
            host_path(mount, fd).filter(|path| leads_there(path))?
        };
        Some(Location::Path {
            mount: u32::try_from(place.mount).ok()?,
            path: path.as_os_str().as_bytes().to_owned(),
        })
    }

    /// Takes in a file without a name, or a directory if there is no `file`.
    fn orphan(
        &mut self,
        place: &Place,
        metadata: &Metadata,
        file: Option<(&File, Access)>,
    ) -> Result<Location, SaveError> {
        let host = FileId::of(metadata);
        if let Some(&index) = self.indices.get(&host) {
            return Ok(Location::Orphan(index));
        }
        let name = self.name(place);
        let writable = self.mounts.get(place.mount).is_some_and(|m| !m.read_only);
        if !writable && !self.mounts.iter().any(|mount| mount.scratch) {
            return Err(SaveError::Homeless { path: name });
        }
        let content = match file {
            Some((file, access)) => Some(
                self.blobs
                    .content(metadata, |blobs| read_orphan(file, access, blobs))
                    .map_err(|error| SaveError::io(name.as_bytes(), error))?,
            ),
            None => None,
        };
        let (atime, mtime) = self.attributes.times(metadata, place);
        let index = u32::try_from(self.orphans.len()).unwrap_or(u32::MAX);
        self.orphans.push(Orphan {
            mount: u32::try_from(place.mount).unwrap_or(u32::MAX),
            path: place.path.as_os_str().as_bytes().to_owned(),
            atime,
            mtime,
            content,
        });
        self.indices.insert(host, index);
        Ok(Location::Orphan(index))
    }

    /// A file's name for messages.
    fn name(&self, place: &Place) -> String {
        match self.mounts.get(place.mount) {
            Some(mount) => guest_name(&mount.guest, &place.path),
            None => place.path.display().to_string(),
        }
    }
}

/// What the job calls `path` in the mount `guest`.
pub(crate) fn guest_name(guest: &str, path: &Path) -> String {
    if path.as_os_str().is_empty() {
        return guest.to_owned();
    }
    format!("{}/{}", guest.trim_end_matches('/'), path.display())
}

/// The path under which Linux knows an open file, if it is in the mount.
fn host_path(mount: &MountRoot, fd: BorrowedFd<'_>) -> Option<PathBuf> {
    let path = std::fs::read_link(proc_path(fd)).ok()?;
    let root = mount.host.as_ref()?;
    Some(path.strip_prefix(root).ok()?.to_owned())
}

fn proc_path(fd: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

/// Reads a whole file without moving its position.
fn read_orphan(file: &File, access: Access, blobs: &mut dyn BlobSink) -> io::Result<Blob> {
    if !access.read {
        return blobs.put(&mut File::open(proc_path(file.as_fd()))?);
    }
    let flags = read_unseen(file);
    let blob = blobs.put(&mut Positioned { file, position: 0 });
    if let Some(flags) = flags {
        rustix::fs::fcntl_setfl(file, flags)?;
    }
    blob
}

struct Positioned<'a> {
    file: &'a File,
    position: u64,
}

impl Read for Positioned<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.position)?;
        self.position = self
            .position
            .saturating_add(u64::try_from(read).unwrap_or(0));
        Ok(read)
    }
}

fn input_position(input: &Input, filetype: Filetype) -> Option<u64> {
    match input {
        Input::Fd(fd) if filetype == Filetype::RegularFile => rustix::fs::tell(fd).ok(),
        _ => None,
    }
}
