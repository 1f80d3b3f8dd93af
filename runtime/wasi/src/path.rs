//! Functions on paths. Every path goes through cap-std, which resolves it beneath the
//! directory it starts from, whatever symbolic links and `..` it holds.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use cap_fs_ext::{DirExt, SystemTimeSpec};
use cap_std::fs::{Dir, Metadata};

use crate::host::{FileId, join};
use crate::memory::GuestMemory;
use crate::table::{OpenDirectory, Place};
use crate::types::{Filestat, NewTime, Rights, follow};
use crate::{Errno, Fault, Wasi};

/// The longest path that is looked at, as Linux's `PATH_MAX` without its NUL.
const MAX_PATH: u32 = 4095;

/// Paths.
impl Wasi {
    /// Creates a directory.
    ///
    /// # Errors
    /// `badf`, `notdir`, `notcapable`, `exist`, `noent`, `perm` if the path leads out, `rofs`.
    pub fn path_create_directory(
        &mut self,
        memory: &mut [u8],
        fd: u32,
        path: u32,
        len: u32,
    ) -> Result<(), Fault> {
        let path = path_at(memory, path, len)?;
        self.changeable(fd, Rights::PATH_CREATE_DIRECTORY)?;
        self.may_create()?;
        let directory = self.changeable(fd, Rights::PATH_CREATE_DIRECTORY)?;
        directory.dir.create_dir(&path)?;
        self.created_at(fd, &path)
    }

    /// Attributes of what a path leads to.
    ///
    /// # Errors
    /// `badf`, `notdir`, `notcapable`, `noent`, `loop`, `perm` if the path leads out, `fault`.
    pub fn path_filestat_get(
        &mut self,
        memory: &mut [u8],
        fd: u32,
        lookup: u32,
        path: u32,
        len: u32,
        result: u32,
    ) -> Result<(), Fault> {
        let follow = follow(lookup)?;
        memory.range(result, Filestat::SIZE)?;
        let path = path_at(memory, path, len)?;
        let directory = self.table.directory(fd, Rights::PATH_FILESTAT_GET)?;
        let metadata = metadata(&directory.dir, &path, follow)?;
        let filestat = self.attributes.filestat(&metadata, &directory.at(&path));
        let filestat = self.coarse_times(filestat);
        Ok(memory.put(result, &filestat.encode())?)
    }

    /// Changes the times of what a path leads to.
    ///
    /// # Errors
    /// As [`path_filestat_get`](Self::path_filestat_get), and `inval`, `rofs`.
    #[expect(clippy::too_many_arguments, reason = "as the specification has it")]
    pub fn path_filestat_set_times(
        &mut self,
        memory: &mut [u8],
        fd: u32,
        lookup: u32,
        path: u32,
        len: u32,
        atim: u64,
        mtim: u64,
        flags: u32,
    ) -> Result<(), Fault> {
        let follow = follow(lookup)?;
        let (atim, mtim) = NewTime::decode(atim, mtim, flags)?;
        let path = path_at(memory, path, len)?;
        let directory = self.changeable(fd, Rights::PATH_FILESTAT_SET_TIMES)?;
        if has_slash(&path) {
            metadata(&directory.dir, &path, follow)?;
        }
        if self.is_deterministic() {
            let id = FileId::of(&metadata(&directory.dir, &path, follow)?);
            let place = directory.at(&path);
            self.set_own_times(id, &place, (atim, mtim));
            return Ok(());
        }
        if follow || has_slash(&path) {
            DirExt::set_times(&directory.dir, path, spec(atim), spec(mtim))?;
        } else {
            directory
                .dir
                .set_symlink_times(path, spec(atim), spec(mtim))?;
        }
        Ok(())
    }

    /// Creates a hard link. Symbolic links are not followed.
    ///
    /// # Errors
    /// `badf`, `notdir`, `notcapable`, `exist`, `noent`, `xdev`, `perm` for a directory or if
    /// a path leads out, `inval` to follow symbolic links, `rofs` if either directory is
    /// read-only: a link elsewhere would make its file writable.
    #[expect(clippy::too_many_arguments, reason = "as the specification has it")]
    pub fn path_link(
        &mut self,
        memory: &mut [u8],
        old_fd: u32,
        lookup: u32,
        old_path: u32,
        old_len: u32,
        new_fd: u32,
        new_path: u32,
        new_len: u32,
    ) -> Result<(), Fault> {
        if follow(lookup)? {
            return Err(Errno::Inval.into());
        }
        let old_path = path_at(memory, old_path, old_len)?;
        let new_path = path_at(memory, new_path, new_len)?;
        let old = self.changeable(old_fd, Rights::PATH_LINK_SOURCE)?;
        let new = self.changeable(new_fd, Rights::PATH_LINK_TARGET)?;
        self.may_move(old.place.mount, new.place.mount)?;
        self.may_create()?;
        let old = self.changeable(old_fd, Rights::PATH_LINK_SOURCE)?;
        let new = self.changeable(new_fd, Rights::PATH_LINK_TARGET)?;
        old.dir.hard_link(old_path, &new.dir, new_path)?;
        let mount = new.place.mount;
        self.account_created(mount);
        Ok(())
    }

    /// Reads a symbolic link, as much as the buffer takes.
    ///
    /// # Errors
    /// `badf`, `notdir`, `notcapable`, `noent`, `inval` for anything else than a link,
    /// `perm` if the path leads out or the link is absolute, `fault`.
    #[expect(clippy::too_many_arguments, reason = "as the specification has it")]
    pub fn path_readlink(
        &mut self,
        memory: &mut [u8],
        fd: u32,
        path: u32,
        len: u32,
        buffer: u32,
        buffer_len: u32,
        result: u32,
    ) -> Result<(), Fault> {
        memory.range(result, 4)?;
        let path = path_at(memory, path, len)?;
        let directory = self.table.directory(fd, Rights::PATH_READLINK)?;
        let target = directory.dir.read_link(path)?;
        let target = target.as_os_str().as_encoded_bytes();
        let out = memory.bytes_mut(buffer, buffer_len)?;
        let used = target.len().min(out.len());
        for (out, byte) in out.iter_mut().zip(target) {
            *out = *byte;
        }
        Ok(memory.put_u32(result, u32::try_from(used).map_err(|_| Errno::Overflow)?)?)
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// `badf`, `notdir`, `notcapable`, `noent`, `notempty`, `perm` if the path leads out,
    /// `rofs`.
    pub fn path_remove_directory(
        &mut self,
        memory: &mut [u8],
        fd: u32,
        path: u32,
        len: u32,
    ) -> Result<(), Fault> {
        let path = path_at(memory, path, len)?;
        let directory = self.changeable(fd, Rights::PATH_REMOVE_DIRECTORY)?;
        // cap-std takes a slash at the end for a `.` after it, which cannot be removed.
        Ok(directory.dir.remove_dir(without_slash(&path))?)
    }

    /// Renames a file or directory, replacing what has the new name.
    ///
    /// # Errors
    /// `badf`, `notdir`, `isdir`, `notempty`, `notcapable`, `noent`, `xdev`, `perm` if a path
    /// leads out, `rofs`.
    #[expect(clippy::too_many_arguments, reason = "as the specification has it")]
    pub fn path_rename(
        &mut self,
        memory: &mut [u8],
        old_fd: u32,
        old_path: u32,
        old_len: u32,
        new_fd: u32,
        new_path: u32,
        new_len: u32,
    ) -> Result<(), Fault> {
        let old_path = path_at(memory, old_path, old_len)?;
        let new_path = path_at(memory, new_path, new_len)?;
        let old = self.changeable(old_fd, Rights::PATH_RENAME_SOURCE)?;
        let new = self.changeable(new_fd, Rights::PATH_RENAME_TARGET)?;
        self.may_move(old.place.mount, new.place.mount)?;
        // cap-std ignores a slash at the end of the new name; only a directory may have one.
        if has_slash(&new_path) && !old.dir.symlink_metadata(&old_path)?.is_dir() {
            return Err(Errno::Notdir.into());
        }
        old.dir.rename(&old_path, &new.dir, &new_path)?;
        let (old, new) = (old.at(&old_path), new.at(&new_path));
        self.moved(&old, &new);
        Ok(())
    }

    /// Creates a symbolic link.
    ///
    /// # Errors
    /// `badf`, `notdir`, `notcapable`, `exist`, `noent`, `perm` if the path leads out or the
    /// target is absolute, `rofs`.
    pub fn path_symlink(
        &mut self,
        memory: &mut [u8],
        target: u32,
        target_len: u32,
        fd: u32,
        path: u32,
        len: u32,
    ) -> Result<(), Fault> {
        let target = path_at(memory, target, target_len)?;
        let path = path_at(memory, path, len)?;
        self.changeable(fd, Rights::PATH_SYMLINK)?;
        self.may_create()?;
        let directory = self.changeable(fd, Rights::PATH_SYMLINK)?;
        Dir::symlink(&directory.dir, target, &path)?;
        self.created_at(fd, &path)
    }

    /// Removes a file or symbolic link.
    ///
    /// # Errors
    /// `badf`, `notdir`, `isdir` for a directory, `notcapable`, `noent`, `perm` if the path
    /// leads out, `rofs`.
    pub fn path_unlink_file(
        &mut self,
        memory: &mut [u8],
        fd: u32,
        path: u32,
        len: u32,
    ) -> Result<(), Fault> {
        let path = path_at(memory, path, len)?;
        let directory = self.changeable(fd, Rights::PATH_UNLINK_FILE)?;
        Ok(directory.dir.remove_file(path)?)
    }

    /// Notes that something was created at `path` of the directory `fd`.
    fn created_at(&mut self, fd: u32, path: &Path) -> Result<(), Fault> {
        let mount = self.table.directory(fd, Rights::NONE)?.place.mount;
        self.account_created(mount);
        if self.is_deterministic() {
            let directory = self.table.directory(fd, Rights::NONE)?;
            let metadata = directory.dir.symlink_metadata(without_slash(path))?;
            let place = directory.at(path);
            self.created(FileId::of(&metadata), &place);
        }
        Ok(())
    }

    /// The directory, if it has all of `rights` and its content may be changed.
    fn changeable(&self, fd: u32, rights: Rights) -> Result<&OpenDirectory, Errno> {
        let directory = self.table.directory(fd, rights)?;
        self.writable_mount(directory.place.mount)?;
        Ok(directory)
    }

    /// The times as fine as the job may see them.
    pub(crate) fn coarse_times(&self, filestat: Filestat) -> Filestat {
        Filestat {
            atim: self.coarse(filestat.atim),
            mtim: self.coarse(filestat.mtim),
            ctim: self.coarse(filestat.ctim),
            ..filestat
        }
    }

    /// Follows what the job moved, so that open files are found where they are now.
    fn moved(&mut self, from: &Place, to: &Place) {
        for place in self.table.places_mut() {
            if place.mount != from.mount {
                continue;
            }
            if let Ok(rest) = place.path.strip_prefix(&from.path) {
                place.path = join(&to.path, rest);
                place.mount = to.mount;
            }
        }
    }
}

impl OpenDirectory {
    /// The place of `path` in this directory.
    pub(crate) fn at(&self, path: &Path) -> Place {
        Place {
            mount: self.place.mount,
            path: join(&self.place.path, path),
        }
    }
}

/// The path at `address`: UTF-8 (`ilseq`) without NUL (`inval`), not empty (`noent`).
pub(crate) fn path_at(memory: &[u8], address: u32, len: u32) -> Result<PathBuf, Errno> {
    let bytes = memory.bytes(address, len)?;
    if len == 0 {
        return Err(Errno::Noent);
    }
    if len > MAX_PATH {
        return Err(Errno::Nametoolong);
    }
    let path = std::str::from_utf8(bytes).map_err(|_| Errno::Ilseq)?;
    if path.contains('\0') {
        return Err(Errno::Inval);
    }
    Ok(PathBuf::from(path))
}

/// What the host knows about a file. With a slash at its end, which cap-std ignores, a path
/// leads to a directory or nowhere.
fn metadata(dir: &Dir, path: &Path, follow: bool) -> Result<Metadata, Fault> {
    if has_slash(path) {
        let metadata = dir.metadata(path)?;
        return if metadata.is_dir() {
            Ok(metadata)
        } else {
            Err(Errno::Notdir.into())
        };
    }
    Ok(if follow {
        dir.metadata(path)?
    } else {
        dir.symlink_metadata(path)?
    })
}

fn has_slash(path: &Path) -> bool {
    path.as_os_str().as_bytes().ends_with(b"/")
}

/// `path` without slashes at its end, unless it is nothing else.
fn without_slash(path: &Path) -> &OsStr {
    let mut bytes = path.as_os_str().as_bytes();
    while let [rest @ .., b'/'] = bytes
        && !rest.is_empty()
    {
        bytes = rest;
    }
    OsStr::from_bytes(bytes)
}

fn spec(time: NewTime) -> Option<SystemTimeSpec> {
    match time {
        NewTime::Keep => None,
        NewTime::Now => Some(SystemTimeSpec::SymbolicNow),
        NewTime::At(time) => Some(absolute(time)),
    }
}

/// Nanoseconds since 1970, as cap-std takes them.
pub(crate) fn absolute(time: u64) -> SystemTimeSpec {
    let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(time);
    SystemTimeSpec::Absolute(cap_std::time::SystemTime::from_std(time))
}
