//! Telling the caller how far a transfer is.

use wherry_packager::Digest;

/// Told about every blob that is transferred. Calls come from the calling thread; blobs are
/// transferred side by side, so those of different blobs are mixed.
pub trait Progress {
    /// All blobs together have so many bytes, those that need no transfer included.
    fn planned(&self, total: u64);
    /// The transfer of a blob starts; `total` is its size in bytes.
    fn started(&self, blob: &Digest, total: u64);
    /// That many more bytes of it were transferred.
    fn advanced(&self, blob: &Digest, bytes: u64);
    /// The connection broke, and no more than `done` bytes of it have got to the other side.
    fn rewound(&self, blob: &Digest, done: u64);
    /// It is complete and checked.
    fn finished(&self, blob: &Digest);
    /// It needs no transfer: the other side has it already.
    fn skipped(&self, blob: &Digest, total: u64);
}

/// A [`Progress`] that shows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet;

impl Progress for Quiet {
    fn planned(&self, _total: u64) {}
    fn started(&self, _blob: &Digest, _total: u64) {}
    fn advanced(&self, _blob: &Digest, _bytes: u64) {}
    fn rewound(&self, _blob: &Digest, _done: u64) {}
    fn finished(&self, _blob: &Digest) {}
    fn skipped(&self, _blob: &Digest, _total: u64) {}
}
