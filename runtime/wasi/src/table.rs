//! The descriptor table: what each number of the job stands for.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;

use cap_std::fs::Dir;

use crate::dir::Listing;
use crate::host::FileId;
use crate::types::{FdFlags, Filetype, Rights};
use crate::{Errno, Input, Output};

/// An open descriptor.
#[derive(Debug)]
pub(crate) struct Descriptor {
    pub(crate) rights: Rights,
    /// Rights of what is opened through it.
    pub(crate) inheriting: Rights,
    pub(crate) flags: FdFlags,
    pub(crate) filetype: Filetype,
    pub(crate) object: Object,
}

/// What a descriptor stands for.
#[derive(Debug)]
pub(crate) enum Object {
    Input(Input),
    Output(Output, OutputStream),
    File(OpenFile),
    Directory(OpenDirectory),
}

/// Which output stream of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutputStream {
    Stdout,
    Stderr,
}

/// A file, or a pipe or device with a path.
#[derive(Debug)]
pub(crate) struct OpenFile {
    pub(crate) file: File,
    /// Its numbers on the host.
    pub(crate) id: FileId,
    pub(crate) place: Place,
    pub(crate) access: Access,
    /// Whether its content may have been changed through this descriptor since it was saved.
    pub(crate) changed: bool,
}

/// How a file is open on the host, which may be for more than the descriptor's rights say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) read: bool,
    pub(crate) write: bool,
}

/// A directory.
#[derive(Debug)]
pub(crate) struct OpenDirectory {
    pub(crate) dir: Dir,
    pub(crate) place: Place,
    /// Whether the job was given it, under the name of its mount.
    pub(crate) preopened: bool,
    /// What `fd_readdir` goes through.
    pub(crate) listing: Option<Listing>,
}

/// Where a file was opened: a hint, as it may have been moved since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Index of the mount.
    pub(crate) mount: usize,
    /// Path in the mount, without `.` and `..`; empty for its root.
    pub(crate) path: PathBuf,
}

impl Descriptor {
    /// The host descriptor to wait for, if using this one can block.
    pub(crate) fn stream(&self) -> Option<BorrowedFd<'_>> {
        match self.filetype {
            Filetype::RegularFile | Filetype::Directory => None,
            _ => self.host(),
        }
    }

    /// The host descriptor, unless the stream is something of this process.
    pub(crate) fn host(&self) -> Option<BorrowedFd<'_>> {
        match &self.object {
            Object::Input(Input::Fd(fd)) | Object::Output(Output::Fd(fd), _) => Some(fd.as_fd()),
            Object::Input(Input::Reader(_))
            | Object::Output(Output::Writer(_) | Output::Opaque(_), _) => None,
            Object::File(file) => Some(file.file.as_fd()),
            Object::Directory(directory) => Some(directory.dir.as_fd()),
        }
    }

    /// Where it was opened; standard streams are nowhere.
    pub(crate) fn place(&self) -> &Place {
        static NOWHERE: Place = Place {
            mount: usize::MAX,
            path: PathBuf::new(),
        };
        match &self.object {
            Object::File(file) => &file.place,
            Object::Directory(directory) => &directory.place,
            Object::Input(_) | Object::Output(..) => &NOWHERE,
        }
    }

    /// Notes that content is changed through this descriptor.
    pub(crate) fn changes(&mut self) {
        if let Object::File(file) = &mut self.object {
            file.changed = true;
        }
    }

    /// `isdir` for a directory, which the functions on a file's content refuse.
    pub(crate) fn not_a_directory(&self) -> Result<(), Errno> {
        match self.object {
            Object::Directory(_) => Err(Errno::Isdir),
            _ => Ok(()),
        }
    }
}

/// The open descriptors of a job.
#[derive(Debug, Default)]
pub(crate) struct Table(BTreeMap<u32, Descriptor>);

impl Table {
    pub(crate) fn get(&self, fd: u32) -> Result<&Descriptor, Errno> {
        self.0.get(&fd).ok_or(Errno::Badf)
    }

    pub(crate) fn get_mut(&mut self, fd: u32) -> Result<&mut Descriptor, Errno> {
        self.0.get_mut(&fd).ok_or(Errno::Badf)
    }

    /// The descriptor, if it has all of `rights`.
    pub(crate) fn with(&self, fd: u32, rights: Rights) -> Result<&Descriptor, Errno> {
        let descriptor = self.get(fd)?;
        descriptor.rights.require(rights)?;
        Ok(descriptor)
    }

    /// The directory, if it has all of `rights`.
    pub(crate) fn directory(&self, fd: u32, rights: Rights) -> Result<&OpenDirectory, Errno> {
        let descriptor = self.get(fd)?;
        match &descriptor.object {
            Object::Directory(directory) => {
                descriptor.rights.require(rights)?;
                Ok(directory)
            }
            _ => Err(Errno::Notdir),
        }
    }

    /// Opens the lowest number that is free.
    pub(crate) fn insert(&mut self, descriptor: Descriptor) -> Result<u32, Errno> {
        let fd = (0..=u32::MAX >> 1)
            .zip(self.0.keys().map(Some).chain(std::iter::repeat(None)))
            .find(|(number, used)| *used != Some(number))
            .map(|(number, _)| number)
            .ok_or(Errno::Mfile)?;
        self.0.insert(fd, descriptor);
        Ok(fd)
    }

    /// Opens a given number.
    pub(crate) fn place(&mut self, fd: u32, descriptor: Descriptor) {
        self.0.insert(fd, descriptor);
    }

    pub(crate) fn remove(&mut self, fd: u32) -> Result<Descriptor, Errno> {
        self.0.remove(&fd).ok_or(Errno::Badf)
    }

    /// In the order of their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Descriptor)> {
        self.0.iter().map(|(&fd, descriptor)| (fd, descriptor))
    }

    /// The open files.
    pub(crate) fn files_mut(&mut self) -> impl Iterator<Item = &mut OpenFile> {
        self.0
            .values_mut()
            .filter_map(|descriptor| match &mut descriptor.object {
                Object::File(file) => Some(file),
                _ => None,
            })
    }

    /// Where the open files and directories are.
    pub(crate) fn places_mut(&mut self) -> impl Iterator<Item = &mut Place> {
        self.0
            .values_mut()
            .filter_map(|descriptor| match &mut descriptor.object {
                Object::File(file) => Some(&mut file.place),
                Object::Directory(directory) => Some(&mut directory.place),
                Object::Input(_) | Object::Output(..) => None,
            })
    }
}
