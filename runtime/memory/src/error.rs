//! What can go wrong with a memory.

use std::io;

/// Why a memory could not be made, grown, frozen or restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no room in the address space, or the system grants no more memory.
    #[error("{bytes} bytes of memory cannot be had: {source}")]
    OutOfMemory {
        /// How many were asked for.
        bytes: usize,
        /// What the system said.
        source: io::Error,
    },
    /// The file that holds the frozen content cannot be made or written.
    #[error("the content of the memory cannot be set aside: {0}")]
    Content(io::Error),
    /// Which pages were written cannot be found out.
    #[error("the pages that were written cannot be found: {0}")]
    Tracking(io::Error),
    /// The last image still exists, and what it shows may not change.
    #[error("the image of the last freeze is still in use")]
    ImageInUse,
    /// The process may not have files as large as the memory, not even in memory.
    #[error("{needed} bytes are more than the limit of {limit} for files (ulimit -f)")]
    FileSizeLimit {
        /// Bytes that the frozen content takes.
        needed: u64,
        /// Bytes that a file of this process may have.
        limit: u64,
    },
    /// This process was forked from the one that made the memory; they share its content.
    #[error("the memory belongs to another process")]
    OtherProcess,
}
