//! A guest without a program: it owns a memory and calls the functions.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use wherry_snapshot::{Blob, BlobSink, BlobSource, Usage};
use wherry_wasi::{
    Errno, Fault, Input, Interrupt, Mount, Output, QuotaObserver, RestoreError, Scratch, Stdio,
    Wasi, WasiConfig, WasiState,
};

/// The preopened mount `/data`.
pub(crate) const DATA: u32 = 3;
/// The preopened mount `/fixed`, which is read-only.
pub(crate) const FIXED: u32 = 4;
/// The preopened scratch directory, `/`.
pub(crate) const ROOT: u32 = 5;

/// Rights by their bits in the specification.
pub(crate) mod right {
    pub(crate) const READ: u64 = 1 << 1;
    pub(crate) const SEEK: u64 = 1 << 2;
    pub(crate) const TELL: u64 = 1 << 5;
    pub(crate) const WRITE: u64 = 1 << 6;
    pub(crate) const CREATE_FILE: u64 = 1 << 10;
    pub(crate) const OPEN: u64 = 1 << 13;
    pub(crate) const FILESTAT_SET_SIZE: u64 = 1 << 22;
    pub(crate) const PATH_FILESTAT_SET_SIZE: u64 = 1 << 19;
    pub(crate) const POLL: u64 = 1 << 27;
    /// All that a file can have.
    pub(crate) const FILE: u64 = 0x8e0_01ff;
    /// All that there are.
    pub(crate) const ALL: u64 = (1 << 30) - 1;
}

pub(crate) const CREAT: u32 = 1;
pub(crate) const DIRECTORY: u32 = 2;
pub(crate) const EXCL: u32 = 4;
pub(crate) const TRUNC: u32 = 8;

pub(crate) const APPEND: u32 = 1;
pub(crate) const NONBLOCK: u32 = 4;

pub(crate) const FOLLOW: u32 = 1;

/// Where results go, and where strings and buffers start.
const RESULT: u32 = 16;
const STRING: u32 = 1024;
const SECOND_STRING: u32 = 8192;
const BUFFER: u32 = 16384;
pub(crate) const MEMORY: usize = 1 << 18;

pub(crate) type Outcome<T> = Result<T, Fault>;

/// What a failed call must be.
pub(crate) fn failed<T>(errno: Errno) -> Outcome<T> {
    Err(Fault::Errno(errno))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) dev: u64,
    pub(crate) ino: u64,
    pub(crate) filetype: u8,
    pub(crate) nlink: u64,
    pub(crate) size: u64,
    pub(crate) atim: u64,
    pub(crate) mtim: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) next: u64,
    pub(crate) ino: u64,
    pub(crate) filetype: u8,
    pub(crate) name: String,
}

/// The host's directories of a job.
pub(crate) struct Host {
    pub(crate) data: TempDir,
    pub(crate) fixed: TempDir,
    pub(crate) scratch: TempDir,
}

impl Host {
    pub(crate) fn new() -> Self {
        let directory = || tempfile::tempdir().unwrap();
        Self {
            data: directory(),
            fixed: directory(),
            scratch: directory(),
        }
    }

    pub(crate) fn config(&self) -> WasiConfig {
        let mount = |directory: &TempDir, guest: &str, read_only| Mount {
            host: directory.path().to_owned(),
            guest: guest.to_owned(),
            read_only,
        };
        WasiConfig {
            args: vec![b"program".to_vec(), b"an argument".to_vec(), Vec::new()],
            env: vec![(b"NAME".to_vec(), b"value".to_vec())],
            mounts: vec![
                mount(&self.data, "/data", false),
                mount(&self.fixed, "/fixed", true),
            ],
            scratch: Some(Scratch {
                host: self.scratch.path().to_owned(),
                guest: "/".to_owned(),
            }),
            stdio: Stdio::null(),
            interrupt: Interrupt::new().unwrap(),
            deterministic: None,
            seed: [7; 32],
            usage: Usage::default(),
            quota_observer: QuotaObserver::default(),
            clock_resolution: 1,
        }
    }
}

pub(crate) struct Guest {
    pub(crate) wasi: Wasi,
    pub(crate) memory: Vec<u8>,
    pub(crate) host: Host,
}

impl Guest {
    pub(crate) fn new() -> Self {
        let host = Host::new();
        let config = host.config();
        Self::with(host, config)
    }

    pub(crate) fn with(host: Host, config: WasiConfig) -> Self {
        let wasi = Wasi::new(config).unwrap();
        let memory = vec![0; MEMORY];
        Self { wasi, memory, host }
    }

    /// A guest whose standard output is `output` and whose input is `input`.
    pub(crate) fn with_stdio(input: Input, output: Output) -> (Self, Interrupt) {
        let host = Host::new();
        let mut config = host.config();
        config.stdio.stdin = input;
        config.stdio.stdout = output;
        let interrupt = config.interrupt.clone();
        (Self::with(host, config), interrupt)
    }

    pub(crate) fn scratch(&self) -> &Path {
        self.host.scratch.path()
    }

    fn string(&mut self, at: u32, string: &[u8]) -> (u32, u32) {
        let start = at as usize;
        self.memory[start..start + string.len()].copy_from_slice(string);
        (at, u32::try_from(string.len()).unwrap())
    }

    /// One iovec for `len` bytes at [`BUFFER`].
    fn iovec(&mut self, len: usize) -> u32 {
        let len = u32::try_from(len).unwrap();
        self.memory[64..68].copy_from_slice(&BUFFER.to_le_bytes());
        self.memory[68..72].copy_from_slice(&len.to_le_bytes());
        64
    }

    pub(crate) fn u32_at(&self, at: u32) -> u32 {
        let at = at as usize;
        u32::from_le_bytes(self.memory[at..at + 4].try_into().unwrap())
    }

    pub(crate) fn u64_at(&self, at: u32) -> u64 {
        let at = at as usize;
        u64::from_le_bytes(self.memory[at..at + 8].try_into().unwrap())
    }

    fn buffer(&self, len: u32) -> Vec<u8> {
        let start = BUFFER as usize;
        self.memory[start..start + len as usize].to_vec()
    }

    fn stat(&self) -> Stat {
        Stat {
            dev: self.u64_at(RESULT),
            ino: self.u64_at(RESULT + 8),
            filetype: self.memory[RESULT as usize + 16],
            nlink: self.u64_at(RESULT + 24),
            size: self.u64_at(RESULT + 32),
            atim: self.u64_at(RESULT + 40),
            mtim: self.u64_at(RESULT + 48),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "as the specification has it")]
    pub(crate) fn path_open(
        &mut self,
        fd: u32,
        lookup: u32,
        path: &str,
        oflags: u32,
        base: u64,
        inheriting: u64,
        flags: u32,
    ) -> Outcome<u32> {
        let (path, len) = self.string(STRING, path.as_bytes());
        self.wasi.path_open(
            &mut self.memory,
            fd,
            lookup,
            path,
            len,
            oflags,
            base,
            inheriting,
            flags,
            RESULT,
        )?;
        Ok(self.u32_at(RESULT))
    }

    /// Opens a file with all rights that a file can have.
    pub(crate) fn open(&mut self, fd: u32, path: &str, oflags: u32) -> Outcome<u32> {
        self.path_open(fd, FOLLOW, path, oflags, right::FILE, 0, 0)
    }

    pub(crate) fn open_dir(&mut self, fd: u32, path: &str) -> Outcome<u32> {
        let rights = right::ALL & !right::WRITE;
        self.path_open(fd, FOLLOW, path, DIRECTORY, rights, right::ALL, 0)
    }

    /// Creates a file with a content.
    pub(crate) fn create(&mut self, fd: u32, path: &str, content: &[u8]) {
        let file = self.open(fd, path, CREAT | TRUNC).unwrap();
        assert_eq!(self.write(file, content), Ok(content.len()));
        self.close(file).unwrap();
    }

    pub(crate) fn close(&mut self, fd: u32) -> Outcome<()> {
        self.wasi.fd_close(&mut self.memory, fd)
    }

    pub(crate) fn write(&mut self, fd: u32, content: &[u8]) -> Outcome<usize> {
        self.string(BUFFER, content);
        let iovec = self.iovec(content.len());
        self.wasi.fd_write(&mut self.memory, fd, iovec, 1, RESULT)?;
        Ok(self.u32_at(RESULT) as usize)
    }

    pub(crate) fn read(&mut self, fd: u32, len: usize) -> Outcome<Vec<u8>> {
        let iovec = self.iovec(len);
        self.wasi.fd_read(&mut self.memory, fd, iovec, 1, RESULT)?;
        Ok(self.buffer(self.u32_at(RESULT)))
    }

    pub(crate) fn pwrite(&mut self, fd: u32, content: &[u8], offset: u64) -> Outcome<usize> {
        self.string(BUFFER, content);
        let iovec = self.iovec(content.len());
        self.wasi
            .fd_pwrite(&mut self.memory, fd, iovec, 1, offset, RESULT)?;
        Ok(self.u32_at(RESULT) as usize)
    }

    pub(crate) fn pread(&mut self, fd: u32, len: usize, offset: u64) -> Outcome<Vec<u8>> {
        let iovec = self.iovec(len);
        self.wasi
            .fd_pread(&mut self.memory, fd, iovec, 1, offset, RESULT)?;
        Ok(self.buffer(self.u32_at(RESULT)))
    }

    pub(crate) fn seek(&mut self, fd: u32, offset: i64, whence: u32) -> Outcome<u64> {
        self.wasi
            .fd_seek(&mut self.memory, fd, offset, whence, RESULT)?;
        Ok(self.u64_at(RESULT))
    }

    pub(crate) fn tell(&mut self, fd: u32) -> Outcome<u64> {
        self.wasi.fd_tell(&mut self.memory, fd, RESULT)?;
        Ok(self.u64_at(RESULT))
    }

    pub(crate) fn filestat(&mut self, fd: u32) -> Outcome<Stat> {
        self.wasi.fd_filestat_get(&mut self.memory, fd, RESULT)?;
        Ok(self.stat())
    }

    pub(crate) fn path_filestat(&mut self, fd: u32, lookup: u32, path: &str) -> Outcome<Stat> {
        let (path, len) = self.string(STRING, path.as_bytes());
        self.wasi
            .path_filestat_get(&mut self.memory, fd, lookup, path, len, RESULT)?;
        Ok(self.stat())
    }

    pub(crate) fn path_set_times(
        &mut self,
        fd: u32,
        lookup: u32,
        path: &str,
        (atim, mtim): (u64, u64),
        flags: u32,
    ) -> Outcome<()> {
        let (path, len) = self.string(STRING, path.as_bytes());
        self.wasi.path_filestat_set_times(
            &mut self.memory,
            fd,
            lookup,
            path,
            len,
            atim,
            mtim,
            flags,
        )
    }

    /// Type, flags, rights and inheriting rights.
    pub(crate) fn fdstat(&mut self, fd: u32) -> Outcome<(u8, u16, u64, u64)> {
        self.wasi.fd_fdstat_get(&mut self.memory, fd, RESULT)?;
        let at = RESULT as usize;
        let flags = u16::from_le_bytes([self.memory[at + 2], self.memory[at + 3]]);
        let rights = (self.u64_at(RESULT + 8), self.u64_at(RESULT + 16));
        Ok((self.memory[at], flags, rights.0, rights.1))
    }

    pub(crate) fn mkdir(&mut self, fd: u32, path: &str) -> Outcome<()> {
        let (path, len) = self.string(STRING, path.as_bytes());
        self.wasi
            .path_create_directory(&mut self.memory, fd, path, len)
    }

    pub(crate) fn rmdir(&mut self, fd: u32, path: &str) -> Outcome<()> {
        let (path, len) = self.string(STRING, path.as_bytes());
        self.wasi
            .path_remove_directory(&mut self.memory, fd, path, len)
    }

    pub(crate) fn unlink(&mut self, fd: u32, path: &str) -> Outcome<()> {
        let (path, len) = self.string(STRING, path.as_bytes());
        self.wasi.path_unlink_file(&mut self.memory, fd, path, len)
    }

    pub(crate) fn symlink(&mut self, target: &str, fd: u32, path: &str) -> Outcome<()> {
        let (target, target_len) = self.string(SECOND_STRING, target.as_bytes());
        let (path, len) = self.string(STRING, path.as_bytes());
        self.wasi
            .path_symlink(&mut self.memory, target, target_len, fd, path, len)
    }

    pub(crate) fn readlink(&mut self, fd: u32, path: &str, room: u32) -> Outcome<Vec<u8>> {
        let (path, len) = self.string(STRING, path.as_bytes());
        self.wasi
            .path_readlink(&mut self.memory, fd, path, len, BUFFER, room, RESULT)?;
        Ok(self.buffer(self.u32_at(RESULT)))
    }

    pub(crate) fn link(&mut self, fd: u32, old: &str, new_fd: u32, new: &str) -> Outcome<()> {
        self.link_with(fd, 0, old, new_fd, new)
    }

    pub(crate) fn link_with(
        &mut self,
        fd: u32,
        lookup: u32,
        old: &str,
        new_fd: u32,
        new: &str,
    ) -> Outcome<()> {
        let (old, old_len) = self.string(STRING, old.as_bytes());
        let (new, new_len) = self.string(SECOND_STRING, new.as_bytes());
        self.wasi.path_link(
            &mut self.memory,
            fd,
            lookup,
            old,
            old_len,
            new_fd,
            new,
            new_len,
        )
    }

    pub(crate) fn rename(&mut self, fd: u32, old: &str, new_fd: u32, new: &str) -> Outcome<()> {
        let (old, old_len) = self.string(STRING, old.as_bytes());
        let (new, new_len) = self.string(SECOND_STRING, new.as_bytes());
        self.wasi
            .path_rename(&mut self.memory, fd, old, old_len, new_fd, new, new_len)
    }

    /// The entries that fit in `room` bytes whole, and whether there are more.
    pub(crate) fn readdir(
        &mut self,
        fd: u32,
        room: u32,
        cookie: u64,
    ) -> Outcome<(Vec<Entry>, bool)> {
        self.wasi
            .fd_readdir(&mut self.memory, fd, BUFFER, room, cookie, RESULT)?;
        let used = self.u32_at(RESULT);
        let bytes = self.buffer(used);
        let mut rest = bytes.as_slice();
        let mut entries = Vec::new();
        while let Some((header, after)) = rest.split_first_chunk::<24>() {
            let len = u32::from_le_bytes(header[16..20].try_into().unwrap()) as usize;
            let Some((name, after)) = after.split_at_checked(len) else {
                break;
            };
            entries.push(Entry {
                next: u64::from_le_bytes(header[..8].try_into().unwrap()),
                ino: u64::from_le_bytes(header[8..16].try_into().unwrap()),
                filetype: header[20],
                name: String::from_utf8(name.to_vec()).unwrap(),
            });
            rest = after;
        }
        Ok((entries, used == room))
    }

    /// The names in a directory.
    pub(crate) fn names(&mut self, fd: u32) -> Vec<String> {
        let (entries, more) = self.readdir(fd, 65536, 0).unwrap();
        assert!(!more);
        entries.into_iter().map(|entry| entry.name).collect()
    }

    /// The content of a file, through a new descriptor.
    pub(crate) fn content(&mut self, fd: u32, path: &str) -> Vec<u8> {
        let file = self
            .path_open(fd, FOLLOW, path, 0, right::READ, 0, 0)
            .unwrap();
        let content = self.read(file, 65536).unwrap();
        self.close(file).unwrap();
        content
    }

    /// Saves this guest, and lets it go on with another scratch directory.
    pub(crate) fn move_away(self) -> Self {
        self.move_with(&mut Blobs::default())
    }

    /// As [`Guest::move_away`], by way of `blobs`.
    pub(crate) fn move_with(mut self, blobs: &mut Blobs) -> Self {
        let state = self.wasi.save(blobs).unwrap();
        self.host.scratch = tempfile::tempdir().unwrap();
        let config = self.host.config();
        self.wasi = Wasi::restore(&state, config, blobs).unwrap();
        self
    }

    /// Saves this guest.
    pub(crate) fn save(&mut self) -> (WasiState, Blobs) {
        let mut blobs = Blobs::default();
        let state = self.wasi.save(&mut blobs).unwrap();
        (state, blobs)
    }

    /// Saves this guest on top of what `blobs` has, and says how many files were read.
    pub(crate) fn save_again(&mut self, blobs: &mut Blobs) -> usize {
        let before = blobs.0.len();
        self.wasi.save(blobs).unwrap();
        blobs.0.len() - before
    }

    /// Tries to restore `state` with a fresh scratch directory.
    pub(crate) fn restore_error(&mut self, state: &WasiState, blobs: &Blobs) -> RestoreError {
        self.host.scratch = tempfile::tempdir().unwrap();
        Wasi::restore(state, self.host.config(), blobs).unwrap_err()
    }
}

/// Blobs in memory, in place of a checkpoint.
#[derive(Default)]
pub(crate) struct Blobs(BTreeMap<[u8; 32], Vec<u8>>);

impl BlobSink for Blobs {
    fn put(&mut self, content: &mut (dyn Read + Send)) -> io::Result<Blob> {
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes)?;
        let mut key = [0; 32];
        key[..8].copy_from_slice(&self.0.len().to_le_bytes());
        let blob = Blob {
            len: bytes.len() as u64,
            digests: vec![key],
        };
        self.0.insert(key, bytes);
        Ok(blob)
    }

    fn keep(&mut self, blob: &Blob) -> bool {
        blob.digests.iter().all(|key| self.0.contains_key(key))
    }
}

impl BlobSource for Blobs {
    fn read(&self, blob: &Blob, out: &mut dyn Write) -> io::Result<()> {
        let bytes = blob.digests.first().and_then(|key| self.0.get(key));
        out.write_all(bytes.ok_or(io::ErrorKind::InvalidData)?)
    }
}

/// An output that a test can look at.
#[derive(Clone, Default)]
pub(crate) struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    pub(crate) fn output(&self) -> Output {
        Output::Writer(Box::new(self.clone()))
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Puts a file in a directory of the host.
pub(crate) fn put(directory: &TempDir, name: &str, content: &[u8]) {
    fs::write(directory.path().join(name), content).unwrap();
}
