//! Functions on descriptors: the table itself, flags, rights, times, sizes.

use std::os::fd::BorrowedFd;

use cap_std::fs::Metadata;
use rustix::fs::{Advice, FallocateFlags, OFlags, SeekFrom, Timespec, Timestamps};
use rustix::fs::{UTIME_NOW, UTIME_OMIT};

use crate::host::FileId;
use crate::memory::GuestMemory;
use crate::saved::Saved;
use crate::table::{Descriptor, Object};
use crate::types::{FdFlags, Fdstat, Filestat, Filetype, NewTime, Rights};
use crate::{Errno, Fault, Wasi};

/// The descriptor table.
impl Wasi {
    /// Closes a descriptor.
    ///
    /// # Errors
    /// `badf`.
    pub fn fd_close(&mut self, _memory: &mut [u8], fd: u32) -> Result<(), Fault> {
        let closed = self.table.remove(fd)?;
        self.note_changes(&closed);
        Ok(())
    }

    /// Moves a descriptor to another open number, which is closed first.
    ///
    /// # Errors
    /// `badf` if either is not open.
    pub fn fd_renumber(&mut self, _memory: &mut [u8], from: u32, to: u32) -> Result<(), Fault> {
        self.table.get(from)?;
        self.table.get(to)?;
        let descriptor = self.table.remove(from)?;
        if from != to {
            let closed = self.table.remove(to)?;
            self.note_changes(&closed);
        }
        self.table.place(to, descriptor);
        Ok(())
    }

    /// What was changed through a descriptor that is closed is not known any more.
    fn note_changes(&mut self, closed: &Descriptor) {
        if let Object::File(file) = &closed.object
            && file.changed
        {
            match Metadata::from_file(&file.file) {
                Ok(metadata) => self.saved.forget(&metadata),
                // Then nothing is known of any file.
                Err(_) => self.saved = Saved::default(),
            }
        }
    }

    /// Type, flags and rights of a descriptor.
    ///
    /// # Errors
    /// `badf`, `fault`.
    pub fn fd_fdstat_get(&mut self, memory: &mut [u8], fd: u32, result: u32) -> Result<(), Fault> {
        let descriptor = self.table.get(fd)?;
        let fdstat = Fdstat {
            filetype: descriptor.filetype,
            flags: descriptor.flags,
            rights: descriptor.rights,
            inheriting: descriptor.inheriting,
        };
        memory.range(result, Fdstat::SIZE)?;
        Ok(memory.put(result, &fdstat.encode())?)
    }

    /// Changes `append` and `nonblock`. The others are fixed when a file is opened.
    ///
    /// # Errors
    /// `badf`, `inval`, `isdir`, `notcapable`, `notsup`.
    pub fn fd_fdstat_set_flags(
        &mut self,
        _memory: &mut [u8],
        fd: u32,
        flags: u32,
    ) -> Result<(), Fault> {
        let flags = FdFlags::from_raw(flags)?;
        let descriptor = self.table.get_mut(fd)?;
        descriptor.not_a_directory()?;
        descriptor.rights.require(Rights::FD_FDSTAT_SET_FLAGS)?;
        if flags.and(FdFlags::SYNCHRONIZED) != descriptor.flags.and(FdFlags::SYNCHRONIZED) {
            return Err(Errno::Notsup.into());
        }
        if let Object::File(file) = &descriptor.object {
            let mut host = rustix::fs::fcntl_getfl(&file.file)?;
            host.set(OFlags::APPEND, flags.contains(FdFlags::APPEND));
            rustix::fs::fcntl_setfl(&file.file, host)?;
        }
        descriptor.flags = flags;
        Ok(())
    }

    /// Gives up rights.
    ///
    /// # Errors
    /// `badf`; `notcapable` for a right that the descriptor has not.
    pub fn fd_fdstat_set_rights(
        &mut self,
        _memory: &mut [u8],
        fd: u32,
        base: u64,
        inheriting: u64,
    ) -> Result<(), Fault> {
        let descriptor = self.table.get_mut(fd)?;
        let base = Rights::from_bits(base);
        let inheriting = Rights::from_bits(inheriting);
        descriptor.rights.require(base)?;
        descriptor.inheriting.require(inheriting)?;
        descriptor.rights = base;
        descriptor.inheriting = inheriting;
        Ok(())
    }

    /// That a descriptor is a directory the job was given, and the length of its name.
    ///
    /// # Errors
    /// `badf` for any other descriptor, `fault`.
    pub fn fd_prestat_get(&mut self, memory: &mut [u8], fd: u32, result: u32) -> Result<(), Fault> {
        let len = u32::try_from(self.preopen_name(fd)?.len()).map_err(|_| Errno::Overflow)?;
        let mut prestat = [0; 8];
        prestat[4..8].copy_from_slice(&len.to_le_bytes());
        Ok(memory.put(result, &prestat)?)
    }

    /// The name of a directory the job was given.
    ///
    /// # Errors
    /// `badf` for any other descriptor; `nametoolong` if the buffer is too short; `fault`.
    pub fn fd_prestat_dir_name(
        &mut self,
        memory: &mut [u8],
        fd: u32,
        path: u32,
        len: u32,
    ) -> Result<(), Fault> {
        let name = self.preopen_name(fd)?;
        let buffer = memory.bytes_mut(path, len)?;
        let start = buffer.get_mut(..name.len()).ok_or(Errno::Nametoolong)?;
        start.copy_from_slice(name.as_bytes());
        Ok(())
    }

    fn preopen_name(&self, fd: u32) -> Result<&str, Errno> {
        match &self.table.get(fd)?.object {
            Object::Directory(directory) if directory.preopened => {
                let mount = self.mounts.get(directory.place.mount).ok_or(Errno::Badf)?;
                Ok(&mount.guest)
            }
            _ => Err(Errno::Badf),
        }
    }
}

/// Attributes of open files.
impl Wasi {
    /// Attributes of an open file.
    ///
    /// # Errors
    /// `badf`, `notcapable`, `fault`.
    pub fn fd_filestat_get(
        &mut self,
        memory: &mut [u8],
        fd: u32,
        result: u32,
    ) -> Result<(), Fault> {
        memory.range(result, Filestat::SIZE)?;
        let descriptor = self.table.with(fd, Rights::FD_FILESTAT_GET)?;
        let filestat = match metadata(descriptor)? {
            Some(metadata) => self.attributes.filestat(&metadata, descriptor.place()),
            None => unnamed(descriptor.filetype),
        };
        let filestat = self.coarse_times(filestat);
        Ok(memory.put(result, &filestat.encode())?)
    }

    /// Truncates or extends an open file.
    ///
    /// # Errors
    /// `badf`, `notcapable`, `isdir`, `inval`, `rofs`, `dquot`.
    pub fn fd_filestat_set_size(
        &mut self,
        _memory: &mut [u8],
        fd: u32,
        size: u64,
    ) -> Result<(), Fault> {
        let descriptor = self.content(fd, Rights::FD_FILESTAT_SET_SIZE)?;
        self.writable(descriptor)?;
        descriptor.host().ok_or(Errno::Inval)?;
        self.may_resize(fd, size)?;
        let file = self.table.get(fd)?.host().ok_or(Errno::Inval)?;
        let resized = rustix::fs::ftruncate(file, size);
        self.table.get_mut(fd)?.changes();
        resized?;
        self.content_changed(fd);
        Ok(())
    }

    /// Changes the times of an open file.
    ///
    /// # Errors
    /// `badf`, `notcapable`, `inval`, `rofs`.
    pub fn fd_filestat_set_times(
        &mut self,
        _memory: &mut [u8],
        fd: u32,
        atim: u64,
        mtim: u64,
        flags: u32,
    ) -> Result<(), Fault> {
        let (atim, mtim) = NewTime::decode(atim, mtim, flags)?;
        let descriptor = self.table.with(fd, Rights::FD_FILESTAT_SET_TIMES)?;
        self.writable(descriptor)?;
        let file = descriptor.host().ok_or(Errno::Inval)?;
        if let Some(own) = self.attributes.own() {
            let id = FileId::of(&stat(file)?);
            own.set_times(id, descriptor.place(), (atim, mtim), self.clocks.tick());
            return Ok(());
        }
        let times = Timestamps {
            last_access: timespec(atim),
            last_modification: timespec(mtim),
        };
        Ok(rustix::fs::futimens(file, &times)?)
    }

    /// Advises the host how a file will be used.
    ///
    /// # Errors
    /// `badf`, `notcapable`, `inval`; `spipe` for what has no position.
    pub fn fd_advise(
        &mut self,
        _memory: &mut [u8],
        fd: u32,
        offset: u64,
        len: u64,
        advice: u32,
    ) -> Result<(), Fault> {
        let advice = match advice {
            0 => Advice::Normal,
            1 => Advice::Sequential,
            2 => Advice::Random,
            3 => Advice::WillNeed,
            4 => Advice::DontNeed,
            5 => Advice::NoReuse,
            _ => return Err(Errno::Inval.into()),
        };
        let descriptor = self.content(fd, Rights::FD_ADVISE)?;
        let end = offset.checked_add(len).ok_or(Errno::Inval)?;
        i64::try_from(end).map_err(|_| Errno::Inval)?;
        let file = descriptor.host().ok_or(Errno::Spipe)?;
        // For the host, a length of zero is "to the end", as for the specification.
        let len = std::num::NonZeroU64::new(len);
        Ok(rustix::fs::fadvise(file, offset, len, advice)?)
    }

    /// Makes sure that a part of a file has its space on the disk.
    ///
    /// # Errors
    /// `badf`, `notcapable`, `isdir`, `inval`, `nospc`, `dquot`, `rofs`; `spipe` for what has no
    /// position.
    pub fn fd_allocate(
        &mut self,
        _memory: &mut [u8],
        fd: u32,
        offset: u64,
        len: u64,
    ) -> Result<(), Fault> {
        let descriptor = self.content(fd, Rights::FD_ALLOCATE)?;
        self.writable(descriptor)?;
        descriptor.host().ok_or(Errno::Spipe)?;
        self.may_resize(fd, offset.saturating_add(len))?;
        let file = self.table.get(fd)?.host().ok_or(Errno::Spipe)?;
        if !self.is_deterministic() {
            let flags = FallocateFlags::empty();
            let allocated = rustix::fs::fallocate(file, flags, offset, len);
            self.table.get_mut(fd)?.changes();
            return Ok(allocated?);
        }
        // Not every file system can, and the job is not to see which one it has.
        let end = offset.checked_add(len).filter(|_| len > 0);
        let end = end.ok_or(Errno::Inval)?;
        if end > stat(file)?.len() {
            let resized = rustix::fs::ftruncate(file, end);
            self.table.get_mut(fd)?.changes();
            resized?;
            self.content_changed(fd);
        }
        Ok(())
    }

    /// Writes a file's content to the disk.
    ///
    /// # Errors
    /// `badf`, `notcapable`, `inval`, `io`.
    pub fn fd_datasync(&mut self, _memory: &mut [u8], fd: u32) -> Result<(), Fault> {
        let descriptor = self.table.with(fd, Rights::FD_DATASYNC)?;
        let file = descriptor.host().ok_or(Errno::Inval)?;
        Ok(rustix::fs::fdatasync(file)?)
    }

    /// Writes a file's content and attributes to the disk.
    ///
    /// # Errors
    /// `badf`, `notcapable`, `inval`, `io`.
    pub fn fd_sync(&mut self, _memory: &mut [u8], fd: u32) -> Result<(), Fault> {
        let descriptor = self.table.with(fd, Rights::FD_SYNC)?;
        let file = descriptor.host().ok_or(Errno::Inval)?;
        Ok(rustix::fs::fsync(file)?)
    }

    /// Moves the position of an open file.
    ///
    /// # Errors
    /// `badf`, `notcapable`, `isdir`, `inval`; `spipe` for what has no position.
    pub fn fd_seek(
        &mut self,
        memory: &mut [u8],
        fd: u32,
        offset: i64,
        whence: u32,
        result: u32,
    ) -> Result<(), Fault> {
        let position = match whence {
            0 => SeekFrom::Start(u64::try_from(offset).map_err(|_| Errno::Inval)?),
            1 => SeekFrom::Current(offset),
            2 => SeekFrom::End(offset),
            _ => return Err(Errno::Inval.into()),
        };
        let needed = if position == SeekFrom::Current(0) {
            Rights::FD_TELL
        } else {
            Rights::FD_SEEK
        };
        self.seek(memory, fd, position, needed, result)
    }

    /// The position of an open file.
    ///
    /// # Errors
    /// `badf`, `notcapable`, `isdir`; `spipe` for what has no position.
    pub fn fd_tell(&mut self, memory: &mut [u8], fd: u32, result: u32) -> Result<(), Fault> {
        self.seek(memory, fd, SeekFrom::Current(0), Rights::FD_TELL, result)
    }

    fn seek(
        &mut self,
        memory: &mut [u8],
        fd: u32,
        position: SeekFrom,
        needed: Rights,
        result: u32,
    ) -> Result<(), Fault> {
        memory.range(result, 8)?;
        let descriptor = self.table.get(fd)?;
        descriptor.not_a_directory()?;
        if descriptor.filetype == Filetype::Unknown {
            return Err(Errno::Spipe.into());
        }
        // The right to seek includes the right to tell.
        if !(needed == Rights::FD_TELL && descriptor.rights.contains(Rights::FD_SEEK)) {
            descriptor.rights.require(needed)?;
        }
        let file = descriptor.host().ok_or(Errno::Spipe)?;
        let position = rustix::fs::seek(file, position)?;
        Ok(memory.put_u64(result, position)?)
    }

    /// The descriptor of something with content, if it has all of `rights`. One that is not
    /// open for reading or writing is `badf`, as POSIX has it and programs expect.
    pub(crate) fn content(&self, fd: u32, rights: Rights) -> Result<&Descriptor, Errno> {
        let descriptor = self.table.get(fd)?;
        descriptor.not_a_directory()?;
        if !descriptor.rights.contains(rights.and(Rights::ACCESS)) {
            return Err(Errno::Badf);
        }
        descriptor.rights.require(rights)?;
        Ok(descriptor)
    }

    /// Notes that the content of an open file has changed.
    pub(crate) fn content_changed(&mut self, fd: u32) {
        if let Ok(descriptor) = self.table.get(fd)
            && let Object::File(file) = &descriptor.object
        {
            let (id, place) = (file.id, file.place.clone());
            self.written(id, &place);
        }
    }

    /// `rofs` if the file is in a directory that was given read-only.
    fn writable(&self, descriptor: &Descriptor) -> Result<(), Errno> {
        let place = match &descriptor.object {
            Object::File(file) => &file.place,
            Object::Directory(directory) => &directory.place,
            Object::Input(_) | Object::Output(..) => return Ok(()),
        };
        self.writable_mount(place.mount)
    }

    /// `rofs` if the mount was given read-only.
    pub(crate) fn writable_mount(&self, mount: usize) -> Result<(), Errno> {
        match self.mounts.get(mount) {
            Some(mount) if !mount.read_only => Ok(()),
            _ => Err(Errno::Rofs),
        }
    }
}

/// What the host knows about the file. Of the standard streams only regular files are
/// files to the job: the rest belongs to whoever started it, and changes with a restore.
fn metadata(descriptor: &Descriptor) -> std::io::Result<Option<Metadata>> {
    match &descriptor.object {
        Object::File(file) => Metadata::from_file(&file.file).map(Some),
        Object::Directory(directory) => directory.dir.dir_metadata().map(Some),
        Object::Input(_) | Object::Output(..) => match descriptor.host() {
            Some(fd) if descriptor.filetype == Filetype::RegularFile => stat(fd).map(Some),
            _ => Ok(None),
        },
    }
}

fn stat(file: BorrowedFd<'_>) -> std::io::Result<Metadata> {
    Metadata::from_file(&std::fs::File::from(file.try_clone_to_owned()?))
}

/// The attributes of something without a name.
fn unnamed(filetype: Filetype) -> Filestat {
    Filestat {
        dev: 0,
        ino: 0,
        filetype,
        nlink: 0,
        size: 0,
        atim: 0,
        mtim: 0,
        ctim: 0,
    }
}

/// As `futimens` takes it.
pub(crate) fn timespec(time: NewTime) -> Timespec {
    let (tv_sec, tv_nsec) = match time {
        NewTime::Keep => (0, UTIME_OMIT),
        NewTime::Now => (0, UTIME_NOW),
        NewTime::At(time) => split(time),
    };
    Timespec { tv_sec, tv_nsec }
}

/// Seconds and nanoseconds.
fn split(time: u64) -> (i64, i64) {
    // Both fit, whatever `time` is.
    let signed = |part: u64| i64::try_from(part).unwrap_or(i64::MAX);
    (signed(time / 1_000_000_000), signed(time % 1_000_000_000))
}
