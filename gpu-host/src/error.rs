//! Why a job cannot have a GPU, or cannot be moved with what it has there.

use std::io;

use crate::Defect;

/// Why a job cannot have a GPU, or cannot be moved with what it has there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is nothing that can be used.
    #[error("this machine has no GPU that jobs can use")]
    NoAdapter,
    /// There are adapters, but none is as asked for.
    #[error("no GPU of this machine is {wanted}; there is: {}", .found.join(", "))]
    NoSuchAdapter {
        /// What was asked for.
        wanted: String,
        /// The names of those that there are.
        found: Vec<String>,
    },
    /// The adapter gives wrong results.
    #[error("{adapter} cannot be trusted: {defect}")]
    Defective {
        /// Its name.
        adapter: String,
        /// What is wrong with it.
        defect: Defect,
    },
    /// The adapter lacks a feature that the job needs.
    #[error("{adapter} lacks the feature {feature}, which the job needs")]
    LacksFeature {
        /// Its name.
        adapter: String,
        /// The feature.
        feature: &'static str,
    },
    /// The adapter, or what the job was granted, has less of something than the job needs.
    #[error("{adapter} has a {limit} of {has}, and the job needs {needed}")]
    LacksLimit {
        /// Its name.
        adapter: String,
        /// The limit.
        limit: &'static str,
        /// What it has.
        has: u64,
        /// What is needed.
        needed: u64,
    },
    /// There is no feature or limit of this name.
    #[error("there is no GPU {0}")]
    Unknown(String),
    /// The device cannot be opened.
    #[error("the GPU cannot be opened: {0}")]
    Open(String),
    /// An object has something that cannot be saved.
    #[error("{object} cannot be moved: {why}")]
    NotSaveable {
        /// What it is, with its handle and label.
        object: String,
        /// Why.
        why: &'static str,
    },
    /// What was submitted does not end, or what is needed to move the job fails.
    #[error("the GPU did not do what moving the job takes: {0}")]
    Failed(String),
    /// What was saved is damaged, or was not made by this host.
    #[error("the saved GPU state is damaged: {0}")]
    Damaged(String),
    /// What was saved takes more than the job may have here.
    #[error("the job has {what}, more than it may have here")]
    Quota {
        /// What it has.
        what: String,
    },
    /// The checkpoint cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
}
