//! How a call fails: for the guest, or for the job.

use std::time::Duration;

use wherry_gpu_abi::{CompilationInfo, DecodeError, Failure};

/// Why a call does not return to the guest.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The guest broke a rule that its library keeps.
    #[error("the GPU interface was misused: {0}")]
    Misuse(String),
    /// The work that was submitted does not end.
    #[error(
        "work that was submitted to the GPU did not end within {} s: the limit is for each submission",
        .0.as_secs()
    )]
    Hung(Duration),
    /// The job has used all the GPU time that it may have. Nothing was done: if it gets more, the
    /// call is to be made again.
    #[error("the limit of GPU time was reached")]
    GpuTime,
    /// The program is to leave. Nothing was done: the call is to be made again.
    #[error("the call was interrupted")]
    Interrupted,
}

/// How a call fails within the host.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The guest is told.
    Error(Failure, String),
    /// The guest is told; the compiler has said more.
    Shader(Failure, String, CompilationInfo),
    /// The call does not return.
    Fault(Fault),
}

impl Failed {
    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::Error(Failure::Validation, message.into())
    }

    pub(crate) fn out_of_memory(message: impl Into<String>) -> Self {
        Self::Error(Failure::OutOfMemory, message.into())
    }

    pub(crate) fn lost(message: impl Into<String>) -> Self {
        Self::Error(Failure::DeviceLost, message.into())
    }

    pub(crate) fn misuse(message: impl Into<String>) -> Self {
        Self::Fault(Fault::Misuse(message.into()))
    }

    pub(crate) fn decode(what: &str, error: DecodeError) -> Self {
        Self::misuse(format!("{what} is malformed: {error}"))
    }
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}
