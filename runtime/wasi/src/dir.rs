//! `fd_readdir`. A listing is taken when a program starts at the beginning, and kept: the
//! cookies are positions in it, so they stay valid whatever happens to the directory, and
//! across a restore.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;

use cap_std::fs::{Dir, MetadataExt};

use crate::host::{FileId, entries, filetype};
use crate::memory::GuestMemory;
use crate::table::{Object, Place};
use crate::types::{Filetype, Rights, dirent};
use crate::{Errno, Fault, Wasi};

/// Length of an entry without its name.
const HEADER: usize = 24;

/// The entries of a directory at one moment, sorted by name after `.` and `..`.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    /// Device of the directory on the host.
    dev: u64,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    name: Vec<u8>,
    /// Inode on the host.
    ino: u64,
    filetype: Filetype,
}

impl Listing {
    /// What is in `dir` now.
    fn read(dir: &Dir) -> io::Result<Self> {
        let mut found = Vec::new();
        for entry in entries(dir)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            found.push(match entry.file_type() {
                // Not every file system tells the type along with the name.
                rustix::fs::FileType::Unknown => Entry::look_up(dir, name),
                known => Entry {
                    name: name.to_owned(),
                    ino: entry.ino(),
                    filetype: known.into(),
                },
            });
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Self::with(dir, found)
    }

    /// The names of a saved listing, in the directory as it is now. What is gone is still
    /// listed: its place counts.
    pub(crate) fn restore(dir: &Dir, names: &[Vec<u8>]) -> io::Result<Self> {
        let entries = names.iter().map(|name| Entry::look_up(dir, name)).collect();
        Self::with(dir, entries)
    }

    /// The names, to be saved.
    pub(crate) fn names(&self) -> Vec<Vec<u8>> {
        let entries = self.entries.iter().skip(2);
        entries.map(|entry| entry.name.clone()).collect()
    }

    fn with(dir: &Dir, entries: Vec<Entry>) -> io::Result<Self> {
        let metadata = dir.dir_metadata()?;
        // What is above the directory is none of the job's business.
        let dots = [b".".as_slice(), b".."].map(|name| Entry {
            name: name.to_owned(),
            ino: metadata.ino(),
            filetype: Filetype::Directory,
        });
        Ok(Self {
            dev: metadata.dev(),
            entries: dots.into_iter().chain(entries).collect(),
        })
    }
}

impl Entry {
    fn look_up(dir: &Dir, name: &[u8]) -> Self {
        let metadata = match name {
            b"." | b".." => dir.dir_metadata(),
            name => dir.symlink_metadata(OsStr::from_bytes(name)),
        };
        let (ino, filetype) = match metadata {
            Ok(metadata) => (metadata.ino(), filetype(&metadata)),
            Err(_) => (0, Filetype::Unknown),
        };
        Self {
            name: name.to_owned(),
            ino,
            filetype,
        }
    }
}

/// Directories.
impl Wasi {
    /// Reads entries of a directory from `cookie` on (0: the first), as many as fit; the
    /// last one is cut off at the end of the buffer, which is then full.
    ///
    /// # Errors
    /// `badf`, `notdir`, `notcapable`, `fault`.
    pub fn fd_readdir(
        &mut self,
        memory: &mut [u8],
        fd: u32,
        buffer: u32,
        len: u32,
        cookie: u64,
        result: u32,
    ) -> Result<(), Fault> {
        memory.range(result, 4)?;
        let out = memory.bytes_mut(buffer, len)?;
        let descriptor = self.table.get_mut(fd)?;
        let Object::Directory(directory) = &mut descriptor.object else {
            return Err(Errno::Notdir.into());
        };
        descriptor.rights.require(Rights::FD_READDIR)?;
        let listing = match &mut directory.listing {
            Some(listing) if cookie != 0 => listing,
            listing => listing.insert(Listing::read(&directory.dir)?),
        };
        let start = usize::try_from(cookie).unwrap_or(usize::MAX);
        let mut used = 0;
        for (index, entry) in listing.entries.iter().enumerate().skip(start) {
            // What is gone by now was not looked up before a restore either.
            let fresh = self.attributes.own().is_some();
            let fresh = fresh.then(|| Entry::look_up(&directory.dir, &entry.name));
            let entry = fresh.as_ref().unwrap_or(entry);
            let id = FileId {
                dev: listing.dev,
                ino: entry.ino,
            };
            let place = place_of(&directory.place, &entry.name);
            let ino = match entry.filetype {
                Filetype::Unknown if entry.ino == 0 => 0,
                _ => self.attributes.id(id, &place).ino,
            };
            used += entry.write(index, ino, out.get_mut(used..).unwrap_or_default());
            if used == out.len() {
                break;
            }
        }
        let used = u32::try_from(used).map_err(|_| Errno::Overflow)?;
        Ok(memory.put_u32(result, used)?)
    }
}

/// The place of an entry of the directory at `place`.
fn place_of(place: &Place, name: &[u8]) -> Place {
    let path = match name {
        b"." | b".." => place.path.clone(),
        name => place.path.join(OsStr::from_bytes(name)),
    };
    let mount = place.mount;
    Place { mount, path }
}

impl Entry {
    /// Writes the entry at `index` of its listing, as much as fits, and says how much.
    fn write(&self, index: usize, ino: u64, out: &mut [u8]) -> usize {
        let next = u64::try_from(index).unwrap_or(u64::MAX).saturating_add(1);
        // The host's names are much shorter than that.
        let name_len = u32::try_from(self.name.len()).unwrap_or(u32::MAX);
        let header = dirent(next, ino, name_len, self.filetype);
        let bytes = header.iter().chain(&self.name);
        for (out, byte) in out.iter_mut().zip(bytes) {
            *out = *byte;
        }
        out.len().min(HEADER + self.name.len())
    }
}
