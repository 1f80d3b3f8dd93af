//! Restoring a saved state. Files of the host are opened and checked before any of them is
//! changed.

use std::fs::File;
use std::io;
use std::path::Path;

use cap_std::fs::Metadata;
use rustix::fs::SeekFrom;
use wherry_snapshot::BlobSource;

use crate::attributes::Attributes;
use crate::clock::Clocks;
use crate::config::{ConfigError, Stdio, WasiConfig};
use crate::dir::Listing;
use crate::host::{FileId, MountRoot};
use crate::open::{HowToOpen, describe, open_existing};
use crate::orphan::{self, OpenOrphans};
use crate::quota::Accounts;
use crate::save::guest_name;
use crate::saved::Saved;
use crate::scratch::{self, as_path};
use crate::state::{
    DescriptorState, DirectoryState, FileState, Location, ObjectState, Orphan, WasiState,
};
use crate::table::{Access, Descriptor, Object, OutputStream, Place, Table};
use crate::types::{FdFlags, Filetype, OFlags, Rights};
use crate::wasi::{open_mounts, standard, streams};
use crate::{Input, Output, Wasi};

/// Why a state cannot be restored here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// A directory cannot be opened.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The job had a directory that it is not given here.
    #[error("the job needs a directory called {guest:?}, and is given none")]
    MissingMount {
        /// Its name for the job.
        guest: String,
    },
    /// The job is given a directory that it never had.
    #[error("the job has no directory called {guest:?}, and cannot be given one now")]
    UnknownMount {
        /// Its name.
        guest: String,
    },
    /// The job could write in a directory that it is given read-only here.
    #[error("the job needs to write in {guest:?}, which is read-only here")]
    ReadOnlyMount {
        /// Its name for the job.
        guest: String,
    },
    /// The scratch directory holds something, which the job would find.
    #[error("the scratch directory is not empty")]
    ScratchNotEmpty,
    /// Something of the scratch directory cannot be restored.
    #[error("{path:?} cannot be restored in the scratch directory: {source}")]
    Scratch {
        /// Its path in the scratch directory.
        path: String,
        /// What the host or the checkpoint said.
        source: io::Error,
    },
    /// A file that the job has open cannot be opened here.
    #[error("{path:?}, which the job has open, cannot be opened here: {source}")]
    MissingFile {
        /// Its path, as the job knows it.
        path: String,
        /// What the host said.
        source: io::Error,
    },
    /// A file that the job has open is of another type here.
    #[error("{path:?}, which the job has open, is something else here")]
    ReplacedFile {
        /// Its path, as the job knows it.
        path: String,
    },
    /// A file that the job has open has lost content.
    #[error("{path:?}, which the job has open, had {recorded} bytes and has {present} here")]
    ShrunkFile {
        /// Its path, as the job knows it.
        path: String,
        /// Its size when the state was saved.
        recorded: u64,
        /// Its size now.
        present: u64,
    },
    /// The state contradicts itself.
    #[error("the state is damaged: {reason}")]
    Invalid {
        /// In what way.
        reason: &'static str,
    },
}

impl RestoreError {
    pub(crate) fn scratch(path: &[u8], source: io::Error) -> Self {
        Self::Scratch {
            path: String::from_utf8_lossy(path).into_owned(),
            source,
        }
    }

    pub(crate) fn file(path: &str, source: io::Error) -> Self {
        Self::MissingFile {
            path: path.to_owned(),
            source,
        }
    }
}

impl Wasi {
    /// Restores a saved state. Of `config`, the directories, standard streams and interrupt
    /// are used; arguments, environment and seed are those of the state. The scratch
    /// directory must be empty. A file of the host that the job had open for writing is cut
    /// back to the size it had.
    ///
    /// # Errors
    /// See [`RestoreError`].
    pub fn restore(
        state: &WasiState,
        config: WasiConfig,
        blobs: &dyn BlobSource,
    ) -> Result<Self, RestoreError> {
        let mounts = match_mounts(state, &config)?;
        let clock_resolution = config.clock_resolution();
        let own_mount = mounts.iter().position(|mount| mount.scratch);
        let mut attributes = Attributes::new(config.deterministic, own_mount);
        for (mount, saved) in mounts.iter().zip(&state.mounts) {
            let metadata = mount.metadata(Path::new(""));
            let metadata = metadata.map_err(|error| RestoreError::file(&mount.guest, error))?;
            attributes.keep_device(FileId::of(&metadata).dev, saved.dev);
        }
        let mut saved = Saved::default();
        let scratch = mounts.iter().find(|mount| mount.scratch);
        if let Some(scratch) = scratch {
            let nodes = &state.scratch;
            scratch::restore(&scratch.dir, nodes, &mut attributes, &mut saved, blobs)?;
        }
        let mut files = Files {
            mounts: &mounts,
            attributes: &mut attributes,
            saved_orphans: &state.orphans,
            streams: Streams::new(streams(config.stdio, config.deterministic)),
            orphans: orphan::restore(state, &mounts, blobs)?,
            rewinds: Vec::new(),
        };
        let mut table = Table::default();
        for (&fd, descriptor) in &state.descriptors {
            table.place(fd, files.descriptor(fd, descriptor)?);
        }
        for rewind in files.rewinds {
            rewind.apply()?;
        }
        if let Some(scratch) = scratch {
            scratch::restore_times(&scratch.dir, &state.scratch)?;
        }
        Ok(Self {
            args: state.args.clone(),
            env: state.env.clone(),
            mounts,
            table,
            attributes,
            saved,
            clocks: Clocks::restore(state.clocks, config.deterministic),
            random: state.random.restore(),
            pending_poll: state.pending_poll.clone(),
            interrupt: config.interrupt,
            accounts: Accounts::new(config.usage, config.quota_observer),
            clock_resolution,
        })
    }
}

pub(crate) fn invalid(reason: &'static str) -> RestoreError {
    RestoreError::Invalid { reason }
}

/// The directories in the order of the state, with no more rights than it says.
fn match_mounts(state: &WasiState, config: &WasiConfig) -> Result<Vec<MountRoot>, RestoreError> {
    let mut given = open_mounts(config)?;
    let mut mounts = Vec::new();
    for wanted in &state.mounts {
        let guest = wanted.guest.clone();
        let same = |root: &MountRoot| root.guest == guest && root.scratch == wanted.scratch;
        let Some(index) = given.iter().position(same) else {
            return Err(RestoreError::MissingMount { guest });
        };
        let mut root = given.remove(index);
        if root.read_only && !wanted.read_only {
            return Err(RestoreError::ReadOnlyMount { guest });
        }
        root.read_only = wanted.read_only;
        mounts.push(root);
    }
    match given.pop() {
        Some(root) => Err(RestoreError::UnknownMount { guest: root.guest }),
        None => Ok(mounts),
    }
}

/// The standard streams, each to be handed out once.
struct Streams {
    stdin: Option<Input>,
    stdout: Option<Output>,
    stderr: Option<Output>,
}

impl Streams {
    fn new(stdio: Stdio) -> Self {
        Self {
            stdin: Some(stdio.stdin),
            stdout: Some(stdio.stdout),
            stderr: Some(stdio.stderr),
        }
    }

    fn input(&mut self) -> Result<Object, RestoreError> {
        let stream = self.stdin.take();
        stream.map(Object::Input).ok_or(invalid(TWICE))
    }

    fn output(&mut self, which: OutputStream) -> Result<Object, RestoreError> {
        let stream = match which {
            OutputStream::Stdout => self.stdout.take(),
            OutputStream::Stderr => self.stderr.take(),
        };
        let stream = stream.ok_or(invalid(TWICE))?;
        Ok(Object::Output(stream, which))
    }
}

const TWICE: &str = "a standard stream is open twice";

/// A file of the host that has grown since the state was saved.
struct Rewind {
    file: File,
    path: String,
    size: u64,
}

impl Rewind {
    fn apply(self) -> Result<(), RestoreError> {
        let Self { file, path, size } = self;
        file.set_len(size)
            .map_err(|error| RestoreError::file(&path, error))
    }
}

/// Restores open descriptors.
struct Files<'a> {
    mounts: &'a [MountRoot],
    attributes: &'a mut Attributes,
    saved_orphans: &'a [Orphan],
    streams: Streams,
    orphans: OpenOrphans,
    rewinds: Vec<Rewind>,
}

impl Files<'_> {
    fn descriptor(&mut self, fd: u32, state: &DescriptorState) -> Result<Descriptor, RestoreError> {
        let mut descriptor = match &state.object {
            ObjectState::Stdin { position } => self.stdin(*position)?,
            ObjectState::Stdout => standard(self.streams.output(OutputStream::Stdout)?),
            ObjectState::Stderr => standard(self.streams.output(OutputStream::Stderr)?),
            ObjectState::File(file) => self.file(fd, file, state.flags)?,
            ObjectState::Directory(directory) => self.directory(fd, directory)?,
        };
        // A stream of another type than before is no reason to give the job more rights.
        descriptor.rights = descriptor.rights.and(state.rights);
        descriptor.inheriting = state.inheriting.and(Rights::ALL);
        descriptor.flags = checked(state.flags)?;
        Ok(descriptor)
    }

    /// Standard input goes on where the job was, if it is a file once more.
    fn stdin(&mut self, position: Option<u64>) -> Result<Descriptor, RestoreError> {
        let descriptor = standard(self.streams.input()?);
        if let (Some(position), Filetype::RegularFile, Some(file)) =
            (position, descriptor.filetype, descriptor.host())
        {
            rustix::fs::seek(file, SeekFrom::Start(position))
                .map_err(|error| RestoreError::file("standard input", error.into()))?;
        }
        Ok(descriptor)
    }

    fn file(
        &mut self,
        fd: u32,
        state: &FileState,
        flags: FdFlags,
    ) -> Result<Descriptor, RestoreError> {
        let how = how_to_open(state, flags)?;
        let (file, place) = self.open(fd, &state.location, &how)?;
        let name = self.name(&place);
        let failed = |error| RestoreError::file(&name, error);
        let metadata = Metadata::from_file(&file).map_err(failed)?;
        if metadata.is_dir() || metadata.is_file() != state.position.is_some() {
            return Err(RestoreError::ReplacedFile { path: name });
        }
        self.keep(&metadata, state.id, &state.location);
        if let Some((position, size)) = state.position {
            rustix::fs::seek(&file, SeekFrom::Start(position)).map_err(|e| failed(e.into()))?;
            if metadata.len() < size {
                return Err(RestoreError::ShrunkFile {
                    path: name,
                    recorded: size,
                    present: metadata.len(),
                });
            }
            // What the job wrote after the state was saved, it will write again.
            if state.write && metadata.len() > size {
                let file = file.try_clone().map_err(failed)?;
                let path = name.clone();
                self.rewinds.push(Rewind { file, path, size });
            }
        }
        let all = Rights::ALL;
        describe(file, place, how.access, flags, all, all).map_err(failed)
    }

    fn directory(&mut self, fd: u32, state: &DirectoryState) -> Result<Descriptor, RestoreError> {
        let (file, place) = self.open(fd, &state.location, &HowToOpen::DIRECTORY)?;
        let name = self.name(&place);
        let failed = |error| RestoreError::file(&name, error);
        let metadata = Metadata::from_file(&file).map_err(failed)?;
        self.keep(&metadata, state.id, &state.location);
        let (access, all) = (HowToOpen::DIRECTORY.access, Rights::ALL);
        let mut descriptor =
            describe(file, place, access, FdFlags::default(), all, all).map_err(failed)?;
        let Object::Directory(directory) = &mut descriptor.object else {
            return Err(RestoreError::ReplacedFile { path: name });
        };
        directory.preopened = state.preopened;
        let listing = state.listing.as_deref();
        let listing = listing.map(|names| Listing::restore(&directory.dir, names));
        directory.listing = listing.transpose().map_err(failed)?;
        Ok(descriptor)
    }

    /// Opens what is at `location`, as descriptor `fd`.
    fn open(
        &mut self,
        fd: u32,
        location: &Location,
        how: &HowToOpen,
    ) -> Result<(File, Place), RestoreError> {
        let (mount, path) = match location {
            Location::Path { mount, path } => (*mount, as_path(path)),
            Location::Orphan(_) => {
                return self
                    .orphans
                    .remove(&fd)
                    .ok_or(invalid("a file without a name is missing"));
            }
        };
        let root = mount_at(self.mounts, mount)?;
        if root.read_only && how.access.write {
            return Err(invalid(
                "a file of a read-only directory is open for writing",
            ));
        }
        let place = Place {
            mount: index(mount),
            path: path.to_owned(),
        };
        let at = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        let file = open_existing(&root.dir, at, how, how.access)
            .map_err(|error| RestoreError::file(&self.name(&place), error))?;
        Ok((file, place))
    }

    /// What the tree of the scratch directory holds has its numbers already.
    fn keep(&mut self, metadata: &Metadata, guest: FileId, location: &Location) {
        let times = match location {
            Location::Path { .. } => None,
            Location::Orphan(number) => {
                let orphan = self.saved_orphans.get(index(*number));
                orphan.map(|orphan| (orphan.atime, orphan.mtime))
            }
        };
        self.attributes.keep(FileId::of(metadata), guest, times);
    }

    fn name(&self, place: &Place) -> String {
        let root = self.mounts.get(place.mount);
        guest_name(root.map_or("", |root| &root.guest), &place.path)
    }
}

/// How a saved file was open.
pub(crate) fn how_to_open(state: &FileState, flags: FdFlags) -> Result<HowToOpen, RestoreError> {
    if !state.read && !state.write {
        return Err(invalid("a file is open for nothing"));
    }
    Ok(HowToOpen {
        access: Access {
            read: state.read,
            write: state.write,
        },
        follow: true,
        oflags: OFlags::existing(false),
        flags: checked(flags)?,
    })
}

pub(crate) fn mount_at(mounts: &[MountRoot], mount: u32) -> Result<&MountRoot, RestoreError> {
    let root = mounts.get(index(mount));
    root.ok_or(invalid(
        "a file is in a directory that the job does not have",
    ))
}

/// Never in range if it does not fit.
pub(crate) fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn checked(flags: FdFlags) -> Result<FdFlags, RestoreError> {
    FdFlags::from_raw(flags.bits().into()).map_err(|_| invalid("a descriptor has unknown flags"))
}
