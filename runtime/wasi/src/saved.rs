//! What is known of files from the last time that they were saved or restored, so that those
//! that have not changed are not read again.

use std::collections::BTreeMap;
use std::io;

use cap_std::fs::{Metadata, MetadataExt};
use wherry_snapshot::{Blob, BlobSink};

use crate::host::FileId;

/// The content of files that nothing was written to since. All that the job writes goes
/// through its descriptors, which remember it.
#[derive(Debug, Default)]
pub(crate) struct Saved(BTreeMap<FileId, Content>);

#[derive(Debug)]
struct Content {
    blob: Blob,
    /// When the host says that the file was last changed: by whoever else did.
    changed: (i64, i64),
}

impl Saved {
    /// Notes the content of a file.
    pub(crate) fn insert(&mut self, metadata: &Metadata, blob: Blob) {
        let changed = changed(metadata);
        self.0
            .insert(FileId::of(metadata), Content { blob, changed });
    }

    /// The job wrote to the file.
    pub(crate) fn forget(&mut self, metadata: &Metadata) {
        self.0.remove(&FileId::of(metadata));
    }

    /// The content of a file, in a checkpoint: as it was saved before, if the checkpoint can
    /// do with that, or else what `read` makes of it. Either is noted in `now`.
    pub(crate) fn content(
        &self,
        now: &mut Saved,
        metadata: &Metadata,
        blobs: &mut dyn BlobSink,
        read: impl FnOnce(&mut dyn BlobSink) -> io::Result<Blob>,
    ) -> io::Result<Blob> {
        let known = self.0.get(&FileId::of(metadata));
        let known = known.filter(|content| content.changed == changed(metadata));
        let blob = match known {
            Some(content) if blobs.keep(&content.blob) => content.blob.clone(),
            _ => read(blobs)?,
        };
        now.insert(metadata, blob.clone());
        Ok(blob)
    }
}

fn changed(metadata: &Metadata) -> (i64, i64) {
    (metadata.ctime(), metadata.ctime_nsec())
}
