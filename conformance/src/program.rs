//! A real program, run by the engine in legs: stopped at a safepoint, written as a
//! checkpoint, and resumed from that in a new store, with a scratch directory of its own.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Cursor, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tempfile::TempDir;
use wasmtime::{Result, bail};
use wherry_engine::{
    Command, Control, Engine, Input, Job, Limits, Module, Mount, Outcome, Output, Scratch,
    Settings, Stdio,
};
use wherry_snapshot::{Execution, Memory, Reader};

/// A program and what it is started with.
pub struct Program {
    /// For each engine; the program goes on in one after the other.
    modules: Vec<Module>,
    args: Vec<String>,
    /// A directory of the host that it may read, as `/input`.
    input: Option<PathBuf>,
    /// Where scratch directories are made.
    place: PathBuf,
}

/// What a program did.
#[derive(Debug, PartialEq, Eq)]
pub struct Effect {
    /// Its exit code.
    pub code: u32,
    /// What it wrote to its standard output.
    pub stdout: Vec<u8>,
    /// The files that it left in its scratch directory.
    pub files: BTreeMap<PathBuf, Vec<u8>>,
}

/// The state of a program that was resumed and has not run.
#[derive(Debug, PartialEq, Eq)]
pub struct Resumed {
    /// Frames, globals, tables, dropped segments.
    pub execution: Execution,
    /// The memories, by the digests of their pages.
    pub memories: Vec<Memory>,
    /// The files in its scratch directory.
    pub files: BTreeMap<PathBuf, Vec<u8>>,
}

/// More safepoints than any program passes.
const NEVER: u64 = u64::MAX >> 1;

impl Program {
    /// The program in a file. It begins on the first of the engines, and goes on, when it was
    /// stopped, on the next one.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn new(engines: &[Engine], path: &Path, args: &[&str]) -> Result<Self> {
        Ok(Self::of(engines, &fs::read(path)?, args))
    }

    /// The same of a module's bytes.
    #[must_use]
    pub fn of(engines: &[Engine], wasm: &[u8], args: &[&str]) -> Self {
        let args = ["program"].iter().chain(args);
        let modules = engines.iter().map(|engine| engine.load(wasm.to_owned()));
        Self {
            modules: modules.collect(),
            args: args.map(|&arg| arg.to_owned()).collect(),
            input: None,
            place: std::env::temp_dir(),
        }
    }

    /// Has its scratch directories in this one.
    #[must_use]
    pub fn in_directory(self, place: &Path) -> Self {
        let place = place.to_owned();
        Self { place, ..self }
    }

    /// Gives it a directory of the host to read, as `/input`.
    #[must_use]
    pub fn with_input(self, host: &Path) -> Self {
        let input = Some(host.to_owned());
        Self { input, ..self }
    }

    /// Runs it from its beginning to its end.
    ///
    /// # Errors
    /// If it traps.
    pub fn uninterrupted(&self) -> Result<Effect> {
        Ok(self.in_legs(std::iter::empty())?.0)
    }

    /// Runs it with a stop after each of those numbers of safepoints, and then to its end;
    /// says what it did, and how often it was stopped.
    ///
    /// # Errors
    /// If it traps, or cannot be captured or resumed.
    pub fn in_legs(&self, mut legs: impl Iterator<Item = u64>) -> Result<(Effect, u64)> {
        let stdout = Captured::default();
        let control = Control::new()?;
        let mut scratch = TempDir::new_in(&self.place)?;
        let settings = self.settings(&stdout, &scratch, legs.next());
        let mut job = Job::start(&self.modules[0], self.command(), settings, &control)?;
        let mut modules = self.modules.iter().cycle().skip(1);
        let mut stops = 0;
        loop {
            match job.run()? {
                Outcome::Stopped(_) => stops += 1,
                Outcome::Exited(code) => {
                    let effect = Effect {
                        code,
                        stdout: stdout.take(),
                        files: files(scratch.path())?,
                    };
                    return Ok((effect, stops));
                }
                Outcome::Trapped(trap) => bail!("after {stops} stops: {trap}"),
            }
            let mut checkpoint = Cursor::new(Vec::new());
            job.checkpoint(&mut checkpoint)?;
            drop(job);
            scratch = TempDir::new_in(&self.place)?;
            let settings = self.settings(&stdout, &scratch, legs.next());
            let reader = Reader::open(checkpoint)?;
            let module = modules.next().unwrap_or(&self.modules[0]);
            job = Job::resume(module, &reader, settings, &control)?;
        }
    }

    /// Prepares it to go on from the bytes of a checkpoint, without running it, and says in
    /// which state it is then: but for the clocks, that which was captured.
    ///
    /// # Errors
    /// If the checkpoint is refused.
    pub fn resumed(&self, checkpoint: &[u8]) -> Result<Resumed> {
        let scratch = TempDir::new_in(&self.place)?;
        let mut job = self.resume(checkpoint, &scratch, None)?;
        let mut again = Cursor::new(Vec::new());
        job.checkpoint(&mut again)?;
        let again = Reader::open(again)?;
        Ok(Resumed {
            execution: again.contents().execution.clone(),
            memories: again.contents().memories.clone(),
            files: files(scratch.path())?,
        })
    }

    /// Its checkpoint after so many safepoints, if it gets there.
    ///
    /// # Errors
    /// If it cannot be captured.
    pub fn checkpoint_after(&self, safepoints: u64) -> Result<Option<Vec<u8>>> {
        let scratch = TempDir::new_in(&self.place)?;
        let settings = self.settings(&Captured::default(), &scratch, Some(safepoints));
        let control = Control::new()?;
        let mut job = Job::start(&self.modules[0], self.command(), settings, &control)?;
        if !matches!(job.run()?, Outcome::Stopped(_)) {
            return Ok(None);
        }
        let mut checkpoint = Cursor::new(Vec::new());
        job.checkpoint(&mut checkpoint)?;
        Ok(Some(checkpoint.into_inner()))
    }

    /// Goes on from the bytes of a checkpoint, for at most so many safepoints and a second.
    ///
    /// # Errors
    /// If the checkpoint is refused.
    pub fn goes_on(&self, checkpoint: &[u8], safepoints: u64) -> Result<Outcome> {
        let scratch = TempDir::new_in(&self.place)?;
        Ok(self.resume(checkpoint, &scratch, Some(safepoints))?.run()?)
    }

    /// With limits: whoever made the checkpoint may have written others into it.
    fn resume(&self, checkpoint: &[u8], scratch: &TempDir, leg: Option<u64>) -> Result<Job> {
        let reader = Reader::open(Cursor::new(checkpoint))?;
        let settings = Settings {
            limits: Limits {
                memory_bytes: Some(256 << 20),
                wall: Some(Duration::from_secs(1)),
                ..Limits::default()
            },
            ..self.settings(&Captured::default(), scratch, leg)
        };
        Ok(Job::resume(
            &self.modules[0],
            &reader,
            settings,
            &Control::new()?,
        )?)
    }

    fn command(&self) -> Command {
        Command {
            args: self.args.clone(),
            seed: Some([7; 32]),
            ..Command::default()
        }
    }

    /// All legs count safepoints, the last one too: they share the compiled code.
    fn settings(&self, stdout: &Captured, scratch: &TempDir, leg: Option<u64>) -> Settings {
        let stdio = Stdio {
            stdin: Input::Reader(Box::new(io::empty())),
            stdout: Output::Writer(Box::new(stdout.clone())),
            stderr: Output::Writer(Box::new(io::sink())),
        };
        let mount = |host: &PathBuf| Mount {
            host: host.clone(),
            guest: "/input".to_owned(),
            read_only: true,
        };
        Settings {
            mounts: self.input.iter().map(mount).collect(),
            scratch: Some(Scratch {
                host: scratch.path().to_owned(),
                guest: "/".to_owned(),
            }),
            countdown: Some(leg.unwrap_or(NEVER)),
            ..Settings::new(stdio)
        }
    }
}

/// What the legs of a program write to their standard output.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn files(root: &Path) -> io::Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                let content = fs::read(entry.path())?;
                let path = entry.path();
                let name = path.strip_prefix(root).unwrap_or(&path);
                files.insert(name.to_owned(), content);
            }
        }
    }
    Ok(files)
}
