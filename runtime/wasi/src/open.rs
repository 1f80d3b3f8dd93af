//! `path_open`.

use std::fs::File;
use std::io;
use std::path::Path;

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt, OpenOptionsMaybeDirExt};
use cap_std::fs::{Dir, Metadata, OpenOptions, OpenOptionsExt};
use rustix::fs::OFlags as HostFlags;

use crate::host::{FileId, filetype};
use crate::memory::GuestMemory;
use crate::path::path_at;
use crate::table::{Access, Descriptor, Object, OpenDirectory, OpenFile, Place};
use crate::types::{FdFlags, Filetype, NewTime, OFlags, Rights, follow};
use crate::{Errno, Fault, Wasi};

/// How to open a file on the host.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HowToOpen {
    pub(crate) access: Access,
    pub(crate) follow: bool,
    pub(crate) oflags: OFlags,
    pub(crate) flags: FdFlags,
}

impl HowToOpen {
    /// An existing directory.
    pub(crate) const DIRECTORY: Self = Self {
        access: Access {
            read: true,
            write: false,
        },
        follow: true,
        oflags: OFlags::existing(true),
        flags: FdFlags::NONE,
    };
}

/// Opening.
impl Wasi {
    /// Opens a file or directory under a new number, the lowest that is free. The new
    /// descriptor has those of the requested rights that make sense for what was opened. Who
    /// names no rights but reading and writing means the others that the directory passes on:
    /// many programs do, since other runtimes look at nothing else.
    ///
    /// # Errors
    /// `badf`, `notdir`, `isdir`, `exist`, `noent`, `loop`, `inval`, `mfile`, `fault`; `perm`
    /// if the path leads out; `notcapable` for rights that the directory does not pass on;
    /// `rofs`.
    #[expect(clippy::too_many_arguments, reason = "as the specification has it")]
    pub fn path_open(
        &mut self,
        memory: &mut [u8],
        fd: u32,
        lookup: u32,
        path: u32,
        len: u32,
        oflags: u32,
        base: u64,
        inheriting: u64,
        fdflags: u32,
        result: u32,
    ) -> Result<(), Fault> {
        let (base, inheriting) = (Rights::from_bits(base), Rights::from_bits(inheriting));
        let how = HowToOpen {
            access: access(base),
            follow: follow(lookup)?,
            oflags: OFlags::from_raw(oflags)?,
            flags: FdFlags::from_raw(fdflags)?,
        };
        memory.range(result, 4)?;
        let path = path_at(memory, path, len)?;
        let directory = self.openable(fd, &how, base.or(inheriting))?;
        if how.oflags.create && directory.dir.symlink_metadata(&path).is_err() {
            self.may_create()?;
        }
        let directory = self.openable(fd, &how, base.or(inheriting))?;
        let (base, inheriting) = self.table.get(fd)?.meant(base, inheriting);
        let place = directory.at(&path);
        let read_only = self.writable_mount(place.mount).is_err();
        let (file, access, created) = open(&directory.dir, &path, &how, read_only)?;
        let descriptor = describe(file, place, access, how.flags, base, inheriting)?;
        if how.oflags.create {
            descriptor.not_a_directory()?;
        }
        match &descriptor.object {
            Object::File(file) if created => {
                let (id, place) = (file.id, file.place.clone());
                self.created(id, &place);
                self.account_created(place.mount);
            }
            Object::File(file) if how.oflags.truncate => {
                let (id, place) = (file.id, file.place.clone());
                self.written(id, &place);
            }
            _ => {}
        }
        let fd = self.table.insert(descriptor)?;
        Ok(memory.put_u32(result, fd)?)
    }

    /// The directory, if it has the rights to open in this way and to pass on `requested`.
    fn openable(
        &self,
        fd: u32,
        how: &HowToOpen,
        requested: Rights,
    ) -> Result<&OpenDirectory, Errno> {
        let OFlags {
            create, truncate, ..
        } = how.oflags;
        let when = |condition, right| if condition { right } else { Rights::NONE };
        let needed = Rights::PATH_OPEN
            .or(when(create, Rights::PATH_CREATE_FILE))
            .or(when(truncate, Rights::PATH_FILESTAT_SET_SIZE));
        let directory = self.table.directory(fd, needed)?;
        let passed_on = requested
            .or(when(how.flags.contains(FdFlags::SYNC), Rights::FD_SYNC))
            .or(when(how.flags.contains(FdFlags::RSYNC), Rights::FD_SYNC))
            .or(when(
                how.flags.contains(FdFlags::DSYNC),
                Rights::FD_DATASYNC,
            ));
        self.table.get(fd)?.inheriting.require(passed_on)?;
        Ok(directory)
    }
}

/// What the job does to files, for the attributes that the host does not keep.
impl Wasi {
    /// A file was created.
    pub(crate) fn created(&mut self, host: FileId, place: &Place) {
        if let Some(own) = self.attributes.own() {
            own.created(host, place, self.clocks.tick());
        }
    }

    /// A file was given other times of access and modification.
    pub(crate) fn set_own_times(&mut self, host: FileId, place: &Place, times: (NewTime, NewTime)) {
        if let Some(own) = self.attributes.own() {
            own.set_times(host, place, times, self.clocks.tick());
        }
    }

    /// The content of a file was changed.
    pub(crate) fn written(&mut self, host: FileId, place: &Place) {
        if let Some(own) = self.attributes.own() {
            own.written(host, place, self.clocks.tick());
        }
    }
}

impl Descriptor {
    /// The rights, and those to pass on, that are meant by who asks this directory for some.
    fn meant(&self, base: Rights, inheriting: Rights) -> (Rights, Rights) {
        if base.or(inheriting).without(Rights::ACCESS) != Rights::NONE {
            return (base, inheriting);
        }
        let others = self.inheriting.without(Rights::ACCESS);
        (base.or(others), self.inheriting)
    }
}

/// The host's file is opened for reading if there is nothing else to open it for.
fn access(rights: Rights) -> Access {
    let write = rights.contains(Rights::FD_WRITE);
    Access {
        read: rights.contains(Rights::FD_READ) || !write,
        write,
    }
}

/// Opens a file on the host, and says how it is open there, and whether it was created.
pub(crate) fn open(
    dir: &Dir,
    path: &Path,
    how: &HowToOpen,
    read_only: bool,
) -> Result<(File, Access, bool), Fault> {
    let OFlags {
        create,
        directory,
        exclusive,
        truncate,
    } = how.oflags;
    if directory && (create || exclusive || truncate) {
        return Err(Errno::Inval.into());
    }
    if read_only && (how.access.write || truncate) {
        return Err(Errno::Rofs.into());
    }
    let mut access = how.access;
    access.write |= truncate;
    if !(create && exclusive) {
        let found = open_existing(dir, path, how, access);
        match found {
            Err(error) if create && error.kind() == io::ErrorKind::NotFound => {}
            other => return Ok((other?, access, false)),
        }
    }
    if read_only {
        let exists = dir.symlink_metadata(path).is_ok();
        return Err(if exists { Errno::Exist } else { Errno::Rofs }.into());
    }
    // The host creates files only for writing; what the job may do is up to the rights.
    access.write = true;
    Ok((open_host(dir, path, how, access, true)?, access, true))
}

/// Opens something that exists, as it is.
pub(crate) fn open_existing(
    dir: &Dir,
    path: &Path,
    how: &HowToOpen,
    access: Access,
) -> io::Result<File> {
    open_host(dir, path, how, access, false)
}

fn open_host(
    dir: &Dir,
    path: &Path,
    how: &HowToOpen,
    access: Access,
    create: bool,
) -> io::Result<File> {
    // Never wait for the other end of a pipe here: reads and writes wait where they can be
    // interrupted.
    let mut custom = HostFlags::NONBLOCK | HostFlags::NOCTTY;
    custom.set(HostFlags::DIRECTORY, how.oflags.directory);
    custom.set(HostFlags::APPEND, how.flags.contains(FdFlags::APPEND));
    custom.set(HostFlags::DSYNC, how.flags.contains(FdFlags::DSYNC));
    if how.flags.contains(FdFlags::SYNC) || how.flags.contains(FdFlags::RSYNC) {
        custom |= HostFlags::SYNC;
    }
    let follow = if how.follow {
        FollowSymlinks::Yes
    } else {
        FollowSymlinks::No
    };
    let mut options = OpenOptions::new();
    options
        .read(access.read)
        .write(access.write)
        .truncate(how.oflags.truncate)
        .create(create)
        .create_new(create && how.oflags.exclusive)
        .custom_flags(custom.bits().cast_signed())
        .follow(follow)
        .maybe_dir(true);
    Ok(dir.open_with(path, &options)?.into_std())
}

/// The descriptor of a file that was just opened.
pub(crate) fn describe(
    file: File,
    place: Place,
    access: Access,
    flags: FdFlags,
    base: Rights,
    inheriting: Rights,
) -> io::Result<Descriptor> {
    let metadata = Metadata::from_file(&file)?;
    let filetype = filetype(&metadata);
    if filetype == Filetype::Directory {
        return Ok(Descriptor {
            rights: base.and(Rights::DIRECTORY),
            inheriting,
            flags: FdFlags::default(),
            filetype,
            object: Object::Directory(OpenDirectory {
                dir: Dir::from_std_file(file),
                place,
                preopened: false,
                listing: None,
            }),
        });
    }
    Ok(Descriptor {
        rights: base.and(Rights::FILE),
        inheriting: Rights::NONE,
        flags,
        filetype,
        object: Object::File(OpenFile {
            file,
            id: FileId::of(&metadata),
            place,
            access,
            // It may have been created or truncated just now.
            changed: access.write,
        }),
    })
}
