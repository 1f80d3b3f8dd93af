//! One job, from its start or a checkpoint to its end or the next checkpoint.
use std::io::{Read, Seek, Write};

use wherry_snapshot::{Accounting, Digest, Reader, Summary};

use crate::{Command, Control, Engine, Error, Module, Outcome, Settings};

/// One execution of a workload.
pub struct Job {}

impl Job {
    /// Prepares a program to be run from its beginning.
    ///
    /// # Errors
    /// If the module is refused or does not fit the limits, or a directory cannot be opened.
    pub fn start(
        engine: &Engine,
        module: &Module,
        command: Command,
        settings: Settings,
        control: &Control,
    ) -> Result<Self, Error> {
        unimplemented!()
    }

    /// Prepares a program to go on where a checkpoint was made.
    ///
    /// # Errors
    /// As [`Job::start`], and if the checkpoint is of another module, is damaged, or needs
    /// what `settings` do not have.
    pub fn resume<R: Read + Seek>(
        engine: &Engine,
        module: &Module,
        checkpoint: &Reader<R>,
        settings: Settings,
        control: &Control,
    ) -> Result<Self, Error> {
        unimplemented!()
    }

    /// Runs until the program ends or is stopped. After [`Outcome::Stopped`] it may be run
    /// on: it goes on where it was, in this process.
    ///
    /// # Errors
    /// [`Error::NotStopped`] if the program has ended; otherwise if the system refuses.
    pub fn run(&mut self) -> Result<Outcome, Error> {
        unimplemented!()
    }

    /// Stops the next [`Job::run`] at the nth safepoint from here, as
    /// [`Settings::countdown`] did the first one.
    pub fn set_countdown(&mut self, countdown: Option<u64>) {
        unimplemented!()
    }

    /// Writes the state of the stopped program. May be done more than once, and does not
    /// change the program.
    ///
    /// # Errors
    /// If the job is not stopped, has something that cannot be captured, or `out` fails.
    pub fn checkpoint<W: Write + Seek>(&mut self, out: W) -> Result<Summary, Error> {
        unimplemented!()
    }

    /// What the job has used over its whole life.
    #[must_use]
    pub fn accounting(&self) -> Accounting {
        unimplemented!()
    }

    /// SHA-256 over the memories and mutable globals of a program that has ended: equal for
    /// two runs that ended alike.
    #[must_use]
    pub fn final_digest(&mut self) -> Digest {
        unimplemented!()
    }
}
