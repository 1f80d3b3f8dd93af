//! From a registry to the store: first the manifest, then the blobs that it names. Nothing
//! counts until all of it is there and checked.

use futures_util::stream::{self, StreamExt, TryStreamExt};
use wherry_packager::{Descriptor, Digest, Document, Ingest, Reference, Store, StoreError};

use crate::error::{RegistryError, innermost};
use crate::progress::Progress;
use crate::push::PARALLEL;
use crate::session::Session;

/// A manifest as it arrived.
struct Fetched {
    descriptor: Descriptor,
    bytes: Vec<u8>,
    document: Document,
}

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
    let wanted = match (from.digest(), from.tag()) {
        (Some(digest), _) => digest.to_string(),
        (None, tag) => tag.unwrap_or_default().to_owned(),
    };
    let mut manifest = fetch_manifest(session, from, &wanted, from.digest()).await?;
    if let Some(entry) = manifest.document.entry_for_wasm().map_err(refused)? {
        manifest =
            fetch_manifest(session, from, &entry.digest.to_string(), Some(entry.digest)).await?;
    }
    manifest.document.runnable().map_err(refused)?;

    let ingest = store.ingest()?;
    let mut blobs = manifest.document.children().map_err(refused)?;
    blobs.sort_unstable();
    blobs.dedup_by_key(|blob| blob.digest);
    stream::iter(
        blobs
            .iter()
            .map(|blob| fetch_blob(session, &ingest, blob, progress)),
    )
    .buffer_unordered(PARALLEL)
    .try_collect::<()>()
    .await?;
    ingest.put(&manifest.descriptor, &manifest.bytes)?;
    ingest.commit(&manifest.descriptor, Some(from))?;
    Ok(manifest.descriptor.digest)
}

async fn fetch_manifest(
    session: &Session,
    from: &Reference,
    tag_or_digest: &str,
    expected: Option<Digest>,
) -> Result<Fetched, RegistryError> {
    let bytes = session.manifest(tag_or_digest).await?;
    let digest = Digest::of(&bytes);
    if let Some(expected) = expected.filter(|expected| *expected != digest) {
        return Err(RegistryError::WrongDigest {
            registry: session.registry().to_owned(),
            expected,
            actual: digest,
        });
    }
    let document = Document::parse(&bytes).map_err(|source| RegistryError::Artifact {
        reference: from.to_string(),
        source,
    })?;
    let descriptor = Descriptor::of(&document.media_type(), &bytes);
    Ok(Fetched {
        descriptor,
        bytes,
        document,
    })
}

async fn fetch_blob(
    session: &Session,
    ingest: &Ingest,
    blob: &Descriptor,
    progress: &dyn Progress,
) -> Result<(), RegistryError> {
    if ingest.has(blob)? {
        progress.skipped(&blob.digest, blob.size);
        return Ok(());
    }
    progress.started(&blob.digest, blob.size);
    let mut response = session.blob(blob).await?;
    let mut writer = ingest.writer(blob)?;
    let mut received = 0;
    loop {
        let chunk = response
            .chunk()
            .await
            .map_err(|error| RegistryError::Interrupted {
                registry: session.registry().to_owned(),
                blob: blob.digest,
                received,
                expected: blob.size,
                reason: innermost(&error.without_url()),
            })?;
        let Some(chunk) = chunk else { break };
        writer
            .write(&chunk)
            .map_err(|error| blame(session, error))?;
        received += chunk.len() as u64;
        progress.advanced(&blob.digest, chunk.len() as u64);
    }
    writer.commit().map_err(|error| blame(session, error))?;
    progress.finished(&blob.digest);
    Ok(())
}

/// Bytes that are not what they should be are the registry's doing, not the store's.
fn blame(session: &Session, error: StoreError) -> RegistryError {
    let registry = session.registry().to_owned();
    match error {
        StoreError::WrongDigest { expected, actual } => RegistryError::WrongDigest {
            registry,
            expected,
            actual,
        },
        StoreError::WrongSize {
            digest: blob,
            expected,
            actual,
        } => RegistryError::WrongLength {
            registry,
            blob,
            expected,
            actual,
        },
        other => other.into(),
    }
}
