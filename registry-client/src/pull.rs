//! From a registry to the store: first the manifest, then the blobs that it names. Nothing
//! counts until all of it is there and checked.

use futures_util::stream::{self, StreamExt, TryStreamExt};
use wherry_packager::{Digest, Document, Reference, Store};

use crate::documents::Fetched;
use crate::error::RegistryError;
use crate::progress::Progress;
use crate::push::PARALLEL;
use crate::session::Session;

/// Fetches what `from` means into the store and returns the manifest's digest. Of an index,
/// only the part for WebAssembly is fetched: that is the artifact.
pub(crate) async fn pull(
    session: &Session,
    store: &Store,
    from: &Reference,
    progress: &dyn Progress,
) -> Result<Digest, RegistryError> {
    let refused = |source| RegistryError::Artifact {
        reference: from.to_string(),
        source,
    };
    let mut manifest = session.referenced(from).await?;
    if let Some(entry) = manifest.document.entry_for_wasm().map_err(refused)? {
        let digest = entry.digest;
        manifest = session.document(&digest.to_string(), Some(digest)).await?;
    }
    if manifest.document.checkpoint().map_err(refused)?.is_none() {
        manifest.document.runnable().map_err(refused)?;
    }
    fetch_all(session, store, from, &manifest, progress).await
}

/// Fetches what `from` means into the store, whatever kind of manifest it is.
pub(crate) async fn fetch(
    session: &Session,
    store: &Store,
    from: &Reference,
    progress: &dyn Progress,
) -> Result<Digest, RegistryError> {
    let manifest = session.referenced(from).await?;
    if !is_manifest(&manifest.document) {
        return Err(session.protocol(format!("{from} is an index, not a manifest")));
    }
    fetch_all(session, store, from, &manifest, progress).await
}

fn is_manifest(document: &Document) -> bool {
    document.config().is_some()
}

/// Fetches the blobs of a manifest, and enters it into the store.
pub(crate) async fn fetch_all(
    session: &Session,
    store: &Store,
    from: &Reference,
    manifest: &Fetched,
    progress: &dyn Progress,
) -> Result<Digest, RegistryError> {
    let ingest = store.ingest()?;
    let blobs = manifest.document.children();
    let mut blobs = blobs.map_err(|source| RegistryError::Artifact {
        reference: from.to_string(),
        source,
    })?;
    blobs.sort_unstable();
    blobs.dedup_by_key(|blob| blob.digest);
    progress.planned(
        blobs
            .iter()
            .map(|blob| blob.size)
            .fold(0, u64::saturating_add),
    );
    stream::iter(
        blobs
            .iter()
            .map(|blob| session.fetch_blob(&ingest, blob, progress)),
    )
    .buffer_unordered(PARALLEL)
    .try_collect::<()>()
    .await?;
    ingest.put(&manifest.descriptor, &manifest.bytes)?;
    ingest.commit(&manifest.descriptor, Some(from))?;
    Ok(manifest.descriptor.digest)
}
