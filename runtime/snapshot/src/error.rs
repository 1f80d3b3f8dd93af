//! Why a checkpoint cannot be read or written.

use std::io;

use crate::{Digest, KeyId};

/// Why a checkpoint is refused. Every message names the part and the reason.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file does not start with the magic of a checkpoint.
    #[error("not a checkpoint: the file starts with other bytes than `WHERRYCP`")]
    NotACheckpoint,
    /// The file is of a format that this version does not read.
    #[error(
        "checkpoint format {found} is not supported, only {}",
        crate::FORMAT_VERSION
    )]
    FormatVersion {
        /// The version that the header names.
        found: u32,
    },
    /// The file ends too early.
    #[error("the checkpoint is truncated: it ends at byte {length}, and {what} needs {needed}")]
    Truncated {
        /// Length of the file.
        length: u64,
        /// What is missing.
        what: &'static str,
        /// The length that the file would have.
        needed: u64,
    },
    /// A part does not say what the format demands.
    #[error("the checkpoint is damaged: {part}: {reason}")]
    Damaged {
        /// The section or other part.
        part: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The bytes of a part are not those that were written.
    #[error("the checkpoint is damaged: {part}: wrong digest, {found} instead of {expected}",
        found = hex(.found), expected = hex(.expected))]
    WrongDigest {
        /// The section or other part.
        part: &'static str,
        /// Digest of the bytes in the file.
        found: Digest,
        /// Digest that the file declares.
        expected: Digest,
    },
    /// A section that must be understood, and is not.
    #[error("section {kind} of the checkpoint is mandatory and unknown to this version")]
    UnknownSection {
        /// Its kind.
        kind: u32,
    },
    /// A section is larger than any real one.
    #[error("{part} of {length} bytes is larger than the limit of {limit}")]
    TooLarge {
        /// The section.
        part: &'static str,
        /// Its length.
        length: u64,
        /// The limit.
        limit: u64,
    },
    /// A chunk is referenced that the checkpoint does not have.
    #[error("the checkpoint lacks chunk {}", hex(.0))]
    MissingChunk(Digest),
    /// The checkpoint builds on a file that is not there.
    #[error("the checkpoint builds on the file {}, which is not there", hex(.0))]
    MissingBase(Digest),
    /// What should be a file that the checkpoint builds on is another one.
    #[error("the checkpoint builds on the file {expected}, and finds {found} in its place",
        found = hex(.found), expected = hex(.expected))]
    WrongBase {
        /// The file that was found.
        found: Digest,
        /// The file that is needed.
        expected: Digest,
    },
    /// The checkpoint is encrypted, and no key was given.
    #[error("the checkpoint is encrypted with the key {key}, and none was given")]
    KeyNeeded {
        /// The key that it is encrypted with.
        key: KeyId,
    },
    /// The checkpoint is encrypted with another key.
    #[error("the checkpoint is encrypted with the key {expected}, and not with {found}")]
    WrongKey {
        /// The key that was given.
        found: KeyId,
        /// The key that it is encrypted with.
        expected: KeyId,
    },
    /// A part is not what was encrypted with the key: it is damaged, forged, or from another
    /// file or place.
    #[error("the checkpoint is damaged or forged: {part} is not what was encrypted")]
    NotAuthentic {
        /// The section or other part.
        part: &'static str,
    },
    /// The checkpoint is encrypted in a way that this version does not know.
    #[error("the checkpoint is encrypted with algorithm {algorithm}, which is not known here")]
    UnknownEncryption {
        /// The number of the algorithm.
        algorithm: u32,
    },
    /// Reading or writing the file failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Io(error) => error,
            other => io::Error::new(io::ErrorKind::InvalidData, other),
        }
    }
}

/// The digest in lower-case hexadecimal.
#[must_use]
pub fn hex(digest: &Digest) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
