//! From the store to a registry: first the blobs, then the manifests that name them.

use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use reqwest::Body;
use tokio::sync::mpsc;
use wherry_packager::{ArtifactError, BlobReader, Descriptor, Digest, Store, StoreError, Stored};

use crate::error::RegistryError;
use crate::progress::Progress;
use crate::session::Session;

/// Blobs that are transferred side by side.
pub(crate) const PARALLEL: usize = 4;
/// An index names manifests; an index of indexes is already unusual.
const MAX_DEPTH: usize = 4;

/// What makes up an artifact.
struct Parts {
    blobs: Vec<Descriptor>,
    /// Each after those that it names.
    manifests: Vec<Stored>,
}

/// Sends the artifact `digest` and puts it under `tag_or_digest`.
pub(crate) async fn push(
    session: &Session,
    store: &Store,
    digest: &Digest,
    tag_or_digest: &str,
    progress: &dyn Progress,
) -> Result<(), RegistryError> {
    let mut parts = Parts {
        blobs: Vec::new(),
        manifests: Vec::new(),
    };
    collect(store, digest, MAX_DEPTH, &mut parts)?;
    stream::iter(
        parts
            .blobs
            .iter()
            .map(|blob| push_blob(session, store, blob, progress)),
    )
    .buffer_unordered(PARALLEL)
    .try_collect::<()>()
    .await?;
    let Some((root, children)) = parts.manifests.split_last() else {
        return Ok(());
    };
    for child in children {
        put(session, child, &child.descriptor.digest.to_string()).await?;
    }
    put(session, root, tag_or_digest).await
}

async fn put(
    session: &Session,
    manifest: &Stored,
    tag_or_digest: &str,
) -> Result<(), RegistryError> {
    session
        .put_manifest(
            tag_or_digest,
            &manifest.descriptor.media_type,
            &manifest.bytes,
        )
        .await
}

fn collect(
    store: &Store,
    digest: &Digest,
    depth: usize,
    parts: &mut Parts,
) -> Result<(), StoreError> {
    let refused = |source| StoreError::Artifact {
        digest: *digest,
        source,
    };
    if depth == 0 {
        let reason = format!("indexes are nested more than {MAX_DEPTH} deep");
        return Err(refused(ArtifactError::Malformed { reason }));
    }
    let stored = store.stored(digest)?;
    for child in stored.document.children().map_err(refused)? {
        if child.is_document() {
            collect(store, &child.digest, depth - 1, parts)?;
        } else if parts.blobs.iter().all(|blob| blob.digest != child.digest) {
            parts.blobs.push(child);
        }
    }
    parts.manifests.push(stored);
    Ok(())
}

async fn push_blob(
    session: &Session,
    store: &Store,
    blob: &Descriptor,
    progress: &dyn Progress,
) -> Result<(), RegistryError> {
    if session.has_blob(&blob.digest).await? {
        progress.skipped(&blob.digest, blob.size);
        return Ok(());
    }
    progress.started(&blob.digest, blob.size);
    let reader = store.open_blob(blob)?;
    let damage = Arc::new(Mutex::new(None));
    let (sent, mut counts) = mpsc::unbounded_channel();
    let mut upload = pin!(session.upload(blob, body(reader, Arc::clone(&damage), sent)));
    let result = loop {
        tokio::select! {
            biased;
            Some(count) = counts.recv() => progress.advanced(&blob.digest, count),
            result = &mut upload => break result,
        }
    };
    // What is wrong here says more than what the network makes of it.
    let damage = damage.lock().ok().and_then(|mut damage| damage.take());
    if let Some(damage) = damage {
        return Err(damage.into());
    }
    result?;
    while let Ok(count) = counts.try_recv() {
        progress.advanced(&blob.digest, count);
    }
    progress.finished(&blob.digest);
    Ok(())
}

/// A body that reads as it is sent. The error that ends it is left in `damage`.
fn body(
    reader: BlobReader,
    damage: Arc<Mutex<Option<StoreError>>>,
    sent: mpsc::UnboundedSender<u64>,
) -> Body {
    Body::wrap_stream(stream::try_unfold(
        (reader, damage, sent),
        async |(mut reader, damage, sent)| {
            match reader.next_chunk() {
                Ok(Some(chunk)) => {
                    // Nobody listens any more once the upload has ended.
                    let _ = sent.send(chunk.len() as u64);
                    Ok(Some((chunk, (reader, damage, sent))))
                }
                Ok(None) => Ok(None),
                Err(error) => {
                    let failed = io::Error::other(error.to_string());
                    if let Ok(mut damage) = damage.lock() {
                        *damage = Some(error);
                    }
                    Err(failed)
                }
            }
        },
    ))
}
