//! `--events FD`: what happens to a job, as lines of JSON for a program that started it.

use std::fs::File;
use std::io::Write;
use std::os::fd::{BorrowedFd, RawFd};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::exit;
use crate::failure::{self, Refusal};

/// How many lines wait for a reader. A job does not wait for who does not read: what is more
/// is left out.
const WAITING: usize = 1024;

/// How long the end of the process waits for the reader.
const PATIENCE: Duration = Duration::from_secs(1);

/// Takes events; clones share one descriptor. Without a descriptor they go nowhere.
#[derive(Clone, Default)]
pub(crate) struct Events(Option<Arc<Mutex<Writer>>>);

struct Writer {
    lines: Option<SyncSender<String>>,
    ended: Receiver<()>,
}

impl Events {
    /// Events go to the descriptor `fd`, if one is given.
    pub(crate) fn open(fd: Option<RawFd>) -> anyhow::Result<Self> {
        let Some(fd) = fd else {
            return Ok(Events(None));
        };
        let file = inherited(fd)?;
        let (lines, waiting) = sync_channel::<String>(WAITING);
        let (tell, ended) = channel();
        let write = move || {
            let mut file = file;
            for line in waiting {
                if file.write_all(line.as_bytes()).is_err() {
                    break;
                }
            }
            let _ = tell.send(());
        };
        let builder = thread::Builder::new().name("events".to_owned());
        builder
            .spawn(write)
            .context("there is no thread for --events")?;
        let lines = Some(lines);
        Ok(Events(Some(Arc::new(Mutex::new(Writer { lines, ended })))))
    }

    /// Says that something happened.
    pub(crate) fn emit(&self, event: &str, mut fields: Value) {
        let Some(writer) = &self.0 else {
            return;
        };
        fields["event"] = event.into();
        fields["at"] = now().into();
        let writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lines) = &writer.lines {
            let _ = lines.try_send(format!("{fields}\n"));
        }
    }

    /// Says that there is no job, or none any more, because of `error`.
    pub(crate) fn failed(&self, error: &anyhow::Error) {
        let code = failure::exit_code(error);
        let message = failure::message(error);
        self.emit("failed", json!({ "exit": code, "message": message }));
    }

    /// Lets the reader have what was said.
    pub(crate) fn close(&self) {
        let Some(writer) = &self.0 else {
            return;
        };
        let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
        if writer.lines.take().is_some() {
            let _ = writer.ended.recv_timeout(PATIENCE);
        }
    }
}

/// A descriptor that whoever started this process left open for it.
#[expect(unsafe_code, reason = "the number of a descriptor comes from outside")]
fn inherited(fd: RawFd) -> anyhow::Result<File> {
    let refused = |why: &str| {
        let message = format!("--events {fd}: {why}");
        let hint = "open it for the command, e.g. `wherry run --events 3 … 3>events.jsonl`";
        Refusal::new(exit::USAGE, message).hint(hint)
    };
    if fd < 0 {
        return Err(refused("is no descriptor").into());
    }
    // SAFETY: the descriptor is used for this call only. If it is not open, the call says so;
    // if it is, it was before this process opened anything, or this process has just opened it
    // and does not close it meanwhile: this is called before there are other threads that do.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    let flags = rustix::fs::fcntl_getfl(borrowed).map_err(|_| refused("it is not open"))?;
    if flags & rustix::fs::OFlags::RWMODE == rustix::fs::OFlags::RDONLY {
        return Err(refused("it is open for reading only").into());
    }
    let own = borrowed.try_clone_to_owned();
    Ok(File::from(
        own.context("no descriptor is left for --events")?,
    ))
}

/// Milliseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
