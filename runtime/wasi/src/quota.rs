//! What a job may write over its whole life, and what it has written. What does not fit is
//! refused with `dquot`, as by a file system with quotas: nothing is dropped without the job
//! hearing of it.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::PathBuf;

use cap_std::fs::{Dir, Metadata, MetadataExt};
use wherry_snapshot::{Quota, Usage};

use crate::host::{FileId, filetype};
use crate::table::{Object, OutputStream};
use crate::types::{FdFlags, Filetype};
use crate::{Errno, Fault, Wasi};

/// Something of which a job may have no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Exhausted {
    /// Bytes in its scratch directory.
    Scratch,
    /// Files.
    Files,
    /// Bytes of output.
    Output,
    /// Bytes to standard error.
    Log,
}

/// Is told when something is exhausted, once of each thing.
#[derive(Default)]
pub struct QuotaObserver(Option<Box<dyn Fn(Exhausted) + Send>>);

impl QuotaObserver {
    /// Calls `tell`.
    pub fn new(tell: impl Fn(Exhausted) + Send + 'static) -> Self {
        Self(Some(Box::new(tell)))
    }
}

impl fmt::Debug for QuotaObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("QuotaObserver")
    }
}

/// What the job has written, and who wants to know when that is all it may.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    pub(crate) usage: Usage,
    /// What the scratch directory holds at most: what is deleted is not counted at once.
    scratch: Option<Held>,
    observer: QuotaObserver,
    told: BTreeSet<Exhausted>,
}

/// What a directory holds.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    bytes: u64,
    files: u64,
}

/// Whose limit a write counts towards.
enum Purse {
    Output,
    Log,
    /// The file has this length, and the write begins there.
    Scratch {
        length: u64,
        start: u64,
    },
}

impl Accounts {
    pub(crate) fn new(usage: Usage, observer: QuotaObserver) -> Self {
        Self {
            usage,
            observer,
            ..Self::default()
        }
    }

    fn quota(&self) -> Quota {
        self.usage.quota
    }

    fn refuse(&mut self, what: Exhausted) -> Errno {
        if self.told.insert(what)
            && let Some(tell) = &self.observer.0
        {
            tell(what);
        }
        Errno::Dquot
    }

    fn output_left(&self) -> u64 {
        let used = self
            .usage
            .stdout_bytes
            .saturating_add(self.usage.lent_bytes);
        left(self.quota().output_bytes, used)
    }
}

fn left(limit: Option<u64>, used: u64) -> u64 {
    limit.map_or(u64::MAX, |limit| limit.saturating_sub(used))
}

impl Wasi {
    /// What the job has written and read.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.accounts.usage
    }

    pub(crate) fn account_read(&mut self, bytes: u32) {
        let read = &mut self.accounts.usage.read_bytes;
        *read = read.saturating_add(bytes.into());
    }

    /// How many of `wanted` bytes may be written to `fd`, at `offset` or else its position.
    /// What is written then is noted with [`Wasi::account_write`].
    pub(crate) fn may_write(
        &mut self,
        fd: u32,
        offset: Option<u64>,
        wanted: u64,
    ) -> Result<u64, Fault> {
        let (room, what) = match self.purse(fd, offset)? {
            Purse::Output => (self.accounts.output_left(), Exhausted::Output),
            Purse::Log => {
                let used = self.accounts.usage.stderr_bytes;
                (left(self.accounts.quota().log_bytes, used), Exhausted::Log)
            }
            Purse::Scratch { length, start } => {
                let growth = start.saturating_add(wanted).saturating_sub(length);
                let granted = self.grow_scratch(growth);
                if granted == growth {
                    return Ok(wanted);
                }
                // Up to where the file may grow.
                let end = length.saturating_add(granted);
                (end.saturating_sub(start), Exhausted::Scratch)
            }
        };
        match room.min(wanted) {
            0 if wanted > 0 => Err(self.accounts.refuse(what).into()),
            room => Ok(room),
        }
    }

    /// Whether a file may get the length `new`.
    pub(crate) fn may_resize(&mut self, fd: u32, new: u64) -> Result<(), Fault> {
        let Object::File(file) = &self.table.get(fd)?.object else {
            return Ok(());
        };
        let (mount, length) = (file.place.mount, Metadata::from_file(&file.file)?.len());
        let growth = new.saturating_sub(length);
        if !self.is_scratch(mount) {
            if growth > self.accounts.output_left() {
                return Err(self.accounts.refuse(Exhausted::Output).into());
            }
            let lent = &mut self.accounts.usage.lent_bytes;
            *lent = lent.saturating_add(growth);
        } else if self.grow_scratch(growth) < growth {
            return Err(self.accounts.refuse(Exhausted::Scratch).into());
        }
        Ok(())
    }

    /// Notes what was written to `fd`.
    pub(crate) fn account_write(&mut self, fd: u32, bytes: u32) {
        let bytes = u64::from(bytes);
        let Ok(descriptor) = self.table.get(fd) else {
            return;
        };
        let lent = match &descriptor.object {
            Object::File(file) => !self.is_scratch(file.place.mount),
            _ => false,
        };
        let usage = &mut self.accounts.usage;
        let counter = match &descriptor.object {
            Object::Output(_, OutputStream::Stdout) => &mut usage.stdout_bytes,
            Object::Output(_, OutputStream::Stderr) => &mut usage.stderr_bytes,
            _ if lent => &mut usage.lent_bytes,
            _ => &mut 0,
        };
        *counter = counter.saturating_add(bytes);
        usage.written_bytes = usage.written_bytes.saturating_add(bytes);
    }

    /// Whether the job may create something.
    pub(crate) fn may_create(&mut self) -> Result<(), Fault> {
        let Some(limit) = self.accounts.quota().files else {
            return Ok(());
        };
        let full = |wasi: &Self, held: Held| {
            held.files.saturating_add(wasi.accounts.usage.lent_files) >= limit
        };
        let held = self.held();
        if full(self, held) {
            let held = self.measure();
            if full(self, held) {
                return Err(self.accounts.refuse(Exhausted::Files).into());
            }
        }
        Ok(())
    }

    /// Notes that the job created something in `mount`.
    pub(crate) fn account_created(&mut self, mount: usize) {
        if !self.is_scratch(mount) {
            let lent = &mut self.accounts.usage.lent_files;
            *lent = lent.saturating_add(1);
        } else if let Some(held) = &mut self.accounts.scratch {
            held.files = held.files.saturating_add(1);
        }
    }

    /// `xdev` if something is to get from one directory into another: what is counted here
    /// would be counted there. Without limits it does not matter.
    pub(crate) fn may_move(&self, from: usize, to: usize) -> Result<(), Errno> {
        if from != to && self.accounts.quota().limits_files() {
            return Err(Errno::Xdev);
        }
        Ok(())
    }

    fn is_scratch(&self, mount: usize) -> bool {
        self.mounts.get(mount).is_some_and(|mount| mount.scratch)
    }

    fn purse(&self, fd: u32, offset: Option<u64>) -> Result<Purse, Fault> {
        let descriptor = self.table.get(fd)?;
        let file = match &descriptor.object {
            Object::Output(_, OutputStream::Stderr) => return Ok(Purse::Log),
            Object::File(file) if self.is_scratch(file.place.mount) => file,
            _ => return Ok(Purse::Output),
        };
        if self.accounts.quota().scratch_bytes.is_none()
            || descriptor.filetype != Filetype::RegularFile
        {
            let (length, start) = (u64::MAX, 0);
            return Ok(Purse::Scratch { length, start });
        }
        let length = Metadata::from_file(&file.file)?.len();
        let start = match offset {
            _ if descriptor.flags.contains(FdFlags::APPEND) => length,
            Some(offset) => offset,
            None => rustix::fs::tell(&file.file)?,
        };
        Ok(Purse::Scratch { length, start })
    }

    /// By how much of `growth` files of the scratch directory may grow; all of it is noted.
    fn grow_scratch(&mut self, growth: u64) -> u64 {
        let Some(limit) = self.accounts.quota().scratch_bytes.filter(|_| growth > 0) else {
            return growth;
        };
        let mut held = self.held();
        if held.bytes.saturating_add(growth) > limit {
            held = self.measure();
        }
        let granted = growth.min(limit.saturating_sub(held.bytes));
        held.bytes = held.bytes.saturating_add(granted);
        self.accounts.scratch = Some(held);
        granted
    }

    /// What the scratch directory holds at most.
    fn held(&mut self) -> Held {
        match self.accounts.scratch {
            Some(held) => held,
            None => self.measure(),
        }
    }

    /// What the scratch directory holds, with files that are open and have no name. What
    /// cannot be looked at counts as full.
    fn measure(&mut self) -> Held {
        let scratch = self.mounts.iter().position(|mount| mount.scratch);
        let held = match scratch.and_then(|index| Some((index, self.mounts.get(index)?))) {
            Some((index, root)) => self.measure_tree(index, &root.dir).unwrap_or(Held {
                bytes: u64::MAX,
                files: u64::MAX,
            }),
            None => Held::default(),
        };
        self.accounts.scratch = Some(held);
        held
    }

    fn measure_tree(&self, index: usize, root: &Dir) -> io::Result<Held> {
        let mut held = Held::default();
        let mut seen = BTreeSet::new();
        let mut count = |metadata: &Metadata| {
            // A file with several names has its bytes once.
            if filetype(metadata) == Filetype::RegularFile && seen.insert(FileId::of(metadata)) {
                held.bytes = held.bytes.saturating_add(metadata.len());
            }
        };
        let mut directories = vec![PathBuf::new()];
        let mut names: u64 = 0;
        while let Some(directory) = directories.pop() {
            let opened = match directory.as_os_str().is_empty() {
                true => root.try_clone()?,
                false => root.open_dir(&directory)?,
            };
            for entry in opened.entries()? {
                let entry = entry?;
                let metadata = entry.metadata()?;
                names = names.saturating_add(1);
                if metadata.is_dir() {
                    directories.push(directory.join(entry.file_name()));
                }
                count(&metadata);
            }
        }
        for (_, descriptor) in self.table.iter() {
            if let Object::File(file) = &descriptor.object
                && file.place.mount == index
            {
                let metadata = Metadata::from_file(&file.file)?;
                if metadata.nlink() == 0 {
                    count(&metadata);
                }
            }
        }
        held.files = names;
        Ok(held)
    }
}
