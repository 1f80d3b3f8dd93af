//! Stopping a running program from another thread.

/// Stops a job from another thread. Clones control the same job.
#[derive(Clone, Debug)]
pub struct Control {
}

impl Control {
    /// A control for one job.
    ///
    /// # Errors
    /// If the process has no descriptors left.
    pub fn new() -> std::io::Result<Self> {
        unimplemented!()
    }

    /// Stops the job at its next safepoint, with [`Reason::Checkpoint`](crate::Reason).
    /// Does nothing if it is being stopped already.
    pub fn request_checkpoint(&self) {
        unimplemented!()
    }

    /// Stops the job at its next safepoint, with [`Reason::Killed`](crate::Reason).
    pub fn kill(&self) {
        unimplemented!()
    }
}
