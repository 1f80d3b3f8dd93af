//! Why the store refused.

use std::io;
use std::path::{Path, PathBuf};

use crate::artifact::ArtifactError;
use crate::data::LayerError;
use crate::digest::Digest;

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
    /// A directory or file is not what the layout's specification asks for.
    #[error("{} {reason}", path.display())]
    Layout {
        /// The directory or file.
        path: PathBuf,
        /// Why, continuing the sentence.
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
    /// There is no place for something.
    #[error(
        "the store may have {limit} bytes: it has {used}, and there is no place for {more} more"
    )]
    Quota {
        /// Bytes that it may have.
        limit: u64,
        /// Bytes that it has.
        used: u64,
        /// Bytes that were to be added.
        more: u64,
    },
    /// Another process uses the store.
    #[error("the store is in use: something is being packed, pulled or imported")]
    InUse,
    /// A tar file is not an archive of artifacts, or could not be written.
    #[error("the archive: {0}")]
    Archive(String),
    /// A layer with data is not what a job can be lent.
    #[error("the data layer {digest}: {source}")]
    Layer {
        /// The layer.
        digest: Digest,
        /// Why.
        source: LayerError,
    },
    /// The artifact is not one that Wherry can use.
    #[error("{digest}: {source}")]
    Artifact {
        /// The manifest.
        digest: Digest,
        /// Why.
        source: ArtifactError,
    },
}

impl StoreError {
    /// For `map_err`: an operation on `path` failed.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}

fn hint(similar: &[String]) -> String {
    match similar {
        [] => String::new(),
        names => format!(" (there is {})", names.join(", ")),
    }
}
