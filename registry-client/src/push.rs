//! From the store to a registry: first the blobs, then the manifests that name them.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use wherry_packager::{ArtifactError, Descriptor, Digest, Reference, Store, StoreError, Stored};

use crate::error::RegistryError;
use crate::progress::Progress;
use crate::session::Session;

/// Blobs that are transferred side by side.
pub(crate) const PARALLEL: usize = 4;
/// An index names manifests; an index of indexes is already unusual.
const MAX_DEPTH: usize = 4;
/// Repositories that a token is asked for, besides the one that is written to.
const MAX_SOURCES: usize = 8;

/// What makes up an artifact.
pub(crate) struct Parts {
    blobs: Vec<Descriptor>,
    /// Each after those that it names.
    manifests: Vec<Stored>,
    /// Other repositories of the registry that may have a blob.
    sources: BTreeMap<Digest, String>,
}

impl Parts {
    /// What makes up the artifact `digest`, for sending it to `to`.
    pub(crate) fn of(store: &Store, digest: &Digest, to: &Reference) -> Result<Self, StoreError> {
        let mut parts = Parts {
            blobs: Vec::new(),
            manifests: Vec::new(),
            sources: BTreeMap::new(),
        };
        parts.collect(store, digest, MAX_DEPTH)?;
        parts.find_sources(store, to)?;
        Ok(parts)
    }

    fn collect(&mut self, store: &Store, digest: &Digest, depth: usize) -> Result<(), StoreError> {
        let refused = |source| StoreError::Artifact {
            digest: *digest,
            source,
        };
        if depth == 0 {
            let reason = format!("indexes are nested more than {MAX_DEPTH} deep");
            return Err(refused(ArtifactError::Malformed { reason }));
        }
        let stored = store.stored(digest)?;
        let mut known: BTreeSet<_> = self.blobs.iter().map(|blob| blob.digest).collect();
        for child in stored.document.children().map_err(refused)? {
            if child.is_document() {
                self.collect(store, &child.digest, depth - 1)?;
            } else if known.insert(child.digest) {
                self.blobs.push(child);
            }
        }
        self.manifests.push(stored);
        Ok(())
    }

    /// Images that were pulled from the same registry, or pushed to it, say which of its
    /// repositories have a blob already.
    fn find_sources(&mut self, store: &Store, to: &Reference) -> Result<(), StoreError> {
        let wanted: BTreeSet<_> = self.blobs.iter().map(|blob| blob.digest).collect();
        let mut repositories = BTreeSet::new();
        for image in store.images()? {
            let name = image.reference.as_deref().map(str::parse::<Reference>);
            let Some(Ok(name)) = name else { continue };
            let is_other = name.registry() == to.registry() && name.name() != to.name();
            if !is_other || repositories.len() == MAX_SOURCES {
                continue;
            }
            let stored = store.stored(&image.digest).ok();
            let children = stored.and_then(|stored| stored.document.children().ok());
            for child in children.into_iter().flatten() {
                if wanted.contains(&child.digest) {
                    repositories.insert(name.name().to_owned());
                    self.sources.insert(child.digest, name.name().to_owned());
                }
            }
        }
        Ok(())
    }

    /// The other repositories that are to be read.
    pub(crate) fn sources(&self) -> Vec<String> {
        let sources: BTreeSet<_> = self.sources.values().cloned().collect();
        sources.into_iter().collect()
    }
}

/// Sends the artifact and puts it under `tag_or_digest`.
pub(crate) async fn push(
    session: &Session,
    store: &Store,
    parts: &Parts,
    tag_or_digest: &str,
    progress: &dyn Progress,
) -> Result<(), RegistryError> {
    progress.planned(parts.blobs.iter().map(|blob| blob.size).sum());
    let source = |blob: &Descriptor| parts.sources.get(&blob.digest).map(String::as_str);
    stream::iter(
        parts
            .blobs
            .iter()
            .map(|blob| session.push_blob(store, blob, source(blob), progress)),
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

/// Stores a manifest, and sees to it that whoever looks at its subject finds it.
async fn put(
    session: &Session,
    manifest: &Stored,
    tag_or_digest: &str,
) -> Result<(), RegistryError> {
    let Descriptor { media_type, .. } = &manifest.descriptor;
    let is_listed = session
        .put_manifest(tag_or_digest, media_type, &manifest.bytes)
        .await?;
    match manifest.document.subject() {
        Some(subject) if !is_listed => session.add_referrer(&subject.digest, manifest).await,
        _ => Ok(()),
    }
}
