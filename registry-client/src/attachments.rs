//! Signatures and attestations: they come with the artifact that they are about, and go with it.

use wherry_packager::{Descriptor, Digest, Document, Reference, Store, media_type};

use crate::documents::Fetched;
use crate::error::RegistryError;
use crate::progress::Quiet;
use crate::pull::fetch_all;
use crate::session::Session;

/// The artifact types of what is attached: a signature, which is a Sigstore bundle, and the
/// signatures of the checkpoints before.
const KINDS: [&str; 2] = [
    "application/vnd.dev.sigstore.bundle.v0.3+json",
    media_type::CHECKPOINT_LINEAGE,
];
/// The layers of a signature of cosign before version 3.
const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

/// More than anybody attaches to one artifact.
const MOST: usize = 64;
/// More than the blobs of a signature have together, in bytes.
const LARGEST: u64 = 8 << 20;

/// What became of the attachments of an artifact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attachments {
    /// Those that are in the store now.
    pub fetched: Vec<Digest>,
    /// Why others are not: each with its digest or tag.
    pub refused: Vec<(String, String)>,
}

/// Fetches what is attached to `subject` in the repository that `from` names. One that is refused
/// stands in nobody's way: whoever may write to the repository could have put it there.
pub(crate) async fn pull(
    session: &Session,
    store: &Store,
    from: &Reference,
    subject: &Digest,
) -> Result<Attachments, RegistryError> {
    let mut attachments = Attachments::default();
    let mut referrers = session.referrers(subject, None).await?;
    referrers.retain(|referrer| {
        let kind = referrer.artifact_type.as_deref();
        kind.is_none_or(|kind| KINDS.contains(&kind))
    });
    if let Some(left) = referrers.len().checked_sub(MOST).filter(|left| *left > 0) {
        let reason = format!("only {MOST} are fetched");
        attachments.refused.push((format!("{left} more"), reason));
    }
    for referrer in referrers.iter().take(MOST) {
        let digest = referrer.descriptor.digest;
        match fetch_bundle(session, store, from, subject, digest).await {
            Ok(true) => attachments.fetched.push(digest),
            // It is about something else after all, or of another kind.
            Ok(false) => {}
            Err(error @ RegistryError::Store(_)) => return Err(error),
            Err(error) => attachments
                .refused
                .push((digest.to_string(), error.to_string())),
        }
    }
    let tag = old_tag(subject);
    match fetch_old(session, store, from, &tag).await {
        Ok(Some(digest)) => attachments.fetched.push(digest),
        Ok(None) => {}
        Err(error @ RegistryError::Store(_)) => return Err(error),
        Err(error) => attachments.refused.push((tag, error.to_string())),
    }
    Ok(attachments)
}

async fn fetch_bundle(
    session: &Session,
    store: &Store,
    from: &Reference,
    subject: &Digest,
    digest: Digest,
) -> Result<bool, RegistryError> {
    let manifest = session.document(&digest.to_string(), Some(digest)).await?;
    let document = &manifest.document;
    let is_about = document
        .subject()
        .is_some_and(|about| about.digest == *subject);
    if !is_about
        || !document.is_attachment()
        || !KINDS.iter().any(|kind| has_layers_of(document, kind))
    {
        return Ok(false);
    }
    check_size(session, &manifest)?;
    fetch_all(session, store, &from.at_digest(&digest), &manifest, &Quiet).await?;
    Ok(true)
}

/// The signatures that cosign before version 3 keeps under a tag of their own.
async fn fetch_old(
    session: &Session,
    store: &Store,
    from: &Reference,
    tag: &str,
) -> Result<Option<Digest>, RegistryError> {
    let name = format!("{}:{tag}", from.repository());
    let name: Reference = name.parse()?;
    let manifest = match session.referenced(&name).await {
        Ok(manifest) => manifest,
        Err(RegistryError::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    if !has_layers_of(&manifest.document, SIMPLE_SIGNING) {
        return Ok(None);
    }
    check_size(session, &manifest)?;
    fetch_all(session, store, &name, &manifest, &Quiet)
        .await
        .map(Some)
}

/// The tag under which cosign before version 3 keeps the signatures of a manifest.
pub(crate) fn old_tag(subject: &Digest) -> String {
    format!("sha256-{}.sig", subject.hex())
}

fn has_layers_of(document: &Document, kind: &str) -> bool {
    let layers = document.layers().unwrap_or_default();
    !layers.is_empty() && layers.iter().all(|layer| layer.blob.media_type == kind)
}

/// A signature is small: what is not would fill the store in its name.
fn check_size(session: &Session, manifest: &Fetched) -> Result<(), RegistryError> {
    let blobs = manifest.document.children().unwrap_or_default();
    let size = blobs.iter().map(|blob: &Descriptor| blob.size);
    let size = size.fold(0, u64::saturating_add);
    let is_manifest = manifest.descriptor.media_type == media_type::MANIFEST;
    if size > LARGEST || !is_manifest {
        let digest = manifest.descriptor.digest;
        let reason = format!("{digest} has {size} bytes, too many for a signature");
        return Err(session.protocol(reason));
    }
    Ok(())
}
