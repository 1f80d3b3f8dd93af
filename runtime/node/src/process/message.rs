//! What is said between the process that answers for a job and the one that runs it.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use wherry_engine::{CodeRequest, Form};
use wherry_sandbox::{Confinement, Report};

use super::assignment::{Assignment, Descriptors};
use super::failure::Failure;
use crate::{Answer, Checkpointed, Ending, Event, Question, Used};

/// The first message to the process of a job. The key of its checkpoints goes with it, and then
/// the module.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct First {
    pub(super) confinement: Confinement,
    pub(super) directory: PathBuf,
    pub(super) assignment: Assignment,
    pub(super) descriptors: Descriptors,
}

/// To the process of a job.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Order {
    /// The module, as bytes that go with it.
    Module,
    /// The compiled form that was asked for goes with it.
    Code,
    /// Run the job, of which this was noted.
    Run(Option<Used>),
    /// Somebody asks something of the job.
    Ask(u64, Question),
    /// A checkpoint is noted, or not.
    Noted(Result<(), SystemError>),
}

/// From the process of a job.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Word {
    /// It is confined so far.
    Confined(Report),
    /// It needs the module compiled like this.
    NeedCode(CodeRequest),
    /// The job can run.
    Ready {
        /// Why there is no GPU for a program that can do without.
        without_gpu: Option<String>,
    },
    /// It cannot go on.
    Failed(Failure),
    /// Something happened.
    Event(Event),
    /// The job's answer to a question.
    Answer(u64, Answer),
    /// A checkpoint is on the disk, and to be noted.
    Written(Checkpointed),
    /// The job has ended, or is suspended.
    Ended(Ended),
}

/// What came of a run, as the process tells it that ran the job.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ended {
    pub(super) ending: Result<Ending, Failure>,
    /// Why the job can go on from a checkpoint although the run failed.
    pub(super) suspended: Option<String>,
    pub(super) used: Used,
}

/// What the system said to another process.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SystemError {
    errno: Option<i32>,
    message: String,
}

impl From<io::Error> for SystemError {
    fn from(error: io::Error) -> Self {
        SystemError {
            errno: error.raw_os_error(),
            message: error.to_string(),
        }
    }
}

impl From<SystemError> for io::Error {
    fn from(error: SystemError) -> Self {
        match error.errno {
            Some(errno) => io::Error::from_raw_os_error(errno),
            None => io::Error::other(error.message),
        }
    }
}

/// To the compiler's process. The module goes with it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Compile {
    pub(super) confinement: Confinement,
    pub(super) target: wherry_engine::Target,
    pub(super) form: Form,
    /// The functions to rewind into, if those are not all.
    pub(super) way_back: Option<BTreeSet<u32>>,
}

/// From the compiler's process.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Compiled {
    /// The code goes with it.
    Code,
    /// The module is refused.
    Failed(Failure),
}
