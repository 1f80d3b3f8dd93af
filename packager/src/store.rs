//! The local content store: an OCI image layout.

use std::io;
use std::path::{Path, PathBuf};

use crate::artifact::ArtifactError;
use crate::config::WorkloadConfig;
use crate::digest::Digest;
use crate::reference::Reference;

/// A content store in a directory. Cheap to clone; safe to use from several processes.
#[derive(Clone, Debug)]
pub struct Store {
    directory: PathBuf,
}

/// An entry of the store's index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its name in the store, e.g. `nbody:1.0`; none if it was untagged or pulled by digest.
    pub reference: Option<String>,
    /// Digest of its manifest.
    pub digest: Digest,
    /// Bytes of manifest, config and layers together; none if the manifest cannot be read.
    pub size: Option<u64>,
    /// Its artifact type, or else the media type of its config.
    pub artifact_type: Option<String>,
}

/// A workload that is ready to run: its digests were checked.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Digest of the manifest: the workload's identity.
    pub digest: Digest,
    /// What it is given and asks for. A bare or foreign module has the defaults.
    pub config: WorkloadConfig,
    /// Digest of the module.
    pub module_digest: Digest,
    /// The module's bytes.
    pub module: Vec<u8>,
}

/// What `inspect` shows.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// Digest of the manifest (of the index that was resolved, if it is one).
    pub digest: Digest,
    /// The manifest as it is stored.
    pub manifest: serde_json::Value,
    /// The config as it is stored, if it is JSON.
    pub config: Option<serde_json::Value>,
}

/// What a removal did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// The digest that the removed name, or names, had.
    pub digest: Digest,
    /// The names that were removed.
    pub references: Vec<String>,
    /// What happened to the blobs that nothing names any more.
    pub sweep: Sweep,
}

/// What happened to the blobs that no name leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sweep {
    /// They were deleted.
    Done {
        /// How many.
        blobs: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// Something is being packed or pulled; the next removal deletes them.
    Busy,
    /// What is still in use cannot be told, so nothing was deleted.
    Unsure(String),
}

/// Why the store refused. It is as it was.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or directory could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was being done: `read`, `write`, …
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no such name or digest.
    #[error("`{name}` is not in the store{}", hint(.similar))]
    NotFound {
        /// What was asked for.
        name: String,
        /// Names that might have been meant.
        similar: Vec<String>,
    },
    /// A digest's beginning that fits several.
    #[error("`{prefix}` is the beginning of {count} digests, write more of it")]
    Ambiguous {
        /// What was asked for.
        prefix: String,
        /// How many it fits.
        count: usize,
    },
    /// A file of the layout is not what the specification asks for.
    #[error("{} is damaged: {reason}", path.display())]
    Layout {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A blob that should be in the store is not.
    #[error("the blob {digest} is missing from the store")]
    MissingBlob {
        /// Its digest.
        digest: Digest,
    },
    /// The bytes of a blob have another digest than its name says.
    #[error("the blob {expected} is damaged: its content has the digest {actual}")]
    WrongDigest {
        /// What it should be.
        expected: Digest,
        /// What it is.
        actual: Digest,
    },
    /// A blob has more or fewer bytes than its descriptor says.
    #[error("the blob {digest} has {actual} bytes, its descriptor says {expected}")]
    WrongSize {
        /// The blob.
        digest: Digest,
        /// What it should be.
        expected: u64,
        /// What it is (at least, if it was refused while it arrived).
        actual: u64,
    },
    /// A document is larger than any real one.
    #[error("the {what} {digest} has {size} bytes, more than the {limit} that are accepted")]
    TooLarge {
        /// What it is.
        what: &'static str,
        /// The blob.
        digest: Digest,
        /// Its size.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// The artifact is not one that Wherry can run.
    #[error("{digest}: {source}")]
    Artifact {
        /// The manifest.
        digest: Digest,
        /// Why.
        source: ArtifactError,
    },
}

fn hint(similar: &[String]) -> String {
    match similar {
        [] => String::new(),
        names => format!(" (there is {})", names.join(", ")),
    }
}

impl Store {
    /// Opens the store in `directory`, creating an empty one if there is none.
    ///
    /// # Errors
    /// The directory cannot be used, or its `oci-layout` has another version.
    pub fn open(_directory: impl Into<PathBuf>) -> Result<Self, StoreError> {
        todo!()
    }

    /// The directory of the store.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The entries of the index, sorted by name.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn images(&self) -> Result<Vec<Image>, StoreError> {
        todo!()
    }

    /// The manifest that `name` means: a reference, a digest, or a digest's beginning (four
    /// hexadecimal digits or more, with or without `sha256:`).
    ///
    /// # Errors
    /// There is none, or there are several.
    pub fn resolve(&self, _name: &str) -> Result<Digest, StoreError> {
        todo!()
    }

    /// Gives the manifest `digest` the name `reference`, taking it from another that has it.
    ///
    /// # Errors
    /// The manifest is not in the store, or the index cannot be written.
    pub fn tag(&self, _digest: &Digest, _reference: &Reference) -> Result<(), StoreError> {
        todo!()
    }

    /// Removes a name, or all names of a digest, and deletes the blobs that nothing needs now.
    ///
    /// # Errors
    /// There is no such name, or the index cannot be written.
    pub fn remove(&self, _name: &str) -> Result<Removed, StoreError> {
        todo!()
    }

    /// Reads the workload that `name` means (see [`Store::resolve`]), checking every digest.
    ///
    /// # Errors
    /// It is not there, damaged, or not something that Wherry can run.
    pub fn workload(&self, _name: &str) -> Result<Workload, StoreError> {
        todo!()
    }

    /// The manifest and the config that `name` means, for people to read.
    ///
    /// # Errors
    /// It is not there or damaged.
    pub fn inspect(&self, _name: &str) -> Result<Inspection, StoreError> {
        todo!()
    }

    /// Starts to add blobs. While the value lives, no blob of the store is deleted.
    ///
    /// # Errors
    /// The store cannot be locked.
    pub fn ingest(&self) -> Result<Ingest, StoreError> {
        todo!()
    }
}

/// Blobs being added to a store.
#[derive(Debug)]
pub struct Ingest {}

/// A blob that is being written; it appears in the store when it is complete and right.
#[derive(Debug)]
pub struct BlobWriter {}
