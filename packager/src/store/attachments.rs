//! What is said about an artifact: signatures and attestations. They lie in the index without a
//! name (as other tools look for them), and live as long as the artifact does.

use std::collections::BTreeMap;

use super::error::StoreError;
use super::index::Entry;
use super::{Store, Stored};
use crate::artifact::{self, Descriptor, MAX_DOCUMENT_SIZE, media_type};
use crate::digest::Digest;

/// More than anybody attaches to one artifact.
const MOST: usize = 256;

/// The end of the tag under which cosign before version 3 keeps signatures.
const OLD_SUFFIX: &str = ".sig";

/// Something that is said about an artifact.
#[derive(Clone, Debug)]
pub struct Attachment {
    /// Its manifest.
    pub manifest: Stored,
    /// Its name in the store: only what cosign before version 3 wrote has one.
    pub reference: Option<String>,
    /// Its artifact type.
    pub artifact_type: Option<String>,
}

impl Store {
    /// What is attached to the artifact `subject`, in the order of the index. What cannot be read is
    /// left out: it says nothing.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn attachments(&self, subject: &Digest) -> Result<Vec<Attachment>, StoreError> {
        let index = self.read_index()?;
        let read = |entry: Entry| {
            let manifest = self.stored(&entry.manifest.digest).ok()?;
            let about = subject_of(&entry, Some(&manifest))?;
            (about == *subject).then(|| Attachment {
                artifact_type: manifest.document.artifact_type(),
                manifest,
                reference: entry.name.clone(),
            })
        };
        Ok(index
            .entries()
            .flatten()
            .filter_map(read)
            .take(MOST)
            .collect())
    }

    /// Attaches `content` to the artifact `subject`, which is in the store, as a blob of the type
    /// `artifact_type`. Returns the digest of the manifest that says so.
    ///
    /// # Errors
    /// The subject is not there, or the store cannot be written.
    pub fn attach(
        &self,
        subject: &Digest,
        artifact_type: &str,
        content: &[u8],
        annotations: &BTreeMap<String, String>,
    ) -> Result<Digest, StoreError> {
        let ingest = self.ingest()?;
        let subject = self.stored(subject)?.descriptor;
        let layer = Descriptor::of(artifact_type, content);
        let artifact::Written { manifest, config } =
            artifact::referrer(&subject, artifact_type, &layer, annotations).map_err(|source| {
                StoreError::Artifact {
                    digest: subject.digest,
                    source,
                }
            })?;
        ingest.put(&layer, content)?;
        ingest.put(&config.0, &config.1)?;
        ingest.put(&manifest.0, &manifest.1)?;
        ingest.commit(&manifest.0, None)?;
        Ok(manifest.0.digest)
    }

    /// Reads a small blob whole: a bundle, a payload.
    ///
    /// # Errors
    /// It is not there, damaged, or larger than a document may be.
    pub fn read_small(&self, blob: &Descriptor) -> Result<Vec<u8>, StoreError> {
        if blob.size > MAX_DOCUMENT_SIZE {
            let source = artifact::ArtifactError::TooLarge {
                what: "blob",
                digest: blob.digest,
                size: blob.size,
                limit: MAX_DOCUMENT_SIZE,
            };
            return Err(StoreError::Artifact {
                digest: blob.digest,
                source,
            });
        }
        self.read(blob)
    }
}

/// What an entry of the index is attached to, if it is of no use by itself: a nameless referrer
/// without a config, or the tag in which older versions of cosign keep signatures.
pub(super) fn subject_of(entry: &Entry, stored: Option<&Stored>) -> Option<Digest> {
    if let Some(name) = &entry.name {
        return signed_by_tag(name);
    }
    let document = &stored?.document;
    if !document.is_attachment() {
        return None;
    }
    document.subject().map(|subject| subject.digest)
}

/// The digest in a name like `registry/name:sha256-0123….sig`.
fn signed_by_tag(name: &str) -> Option<Digest> {
    let (_, tag) = name.rsplit_once(':')?;
    let hex = tag.strip_prefix("sha256-")?.strip_suffix(OLD_SUFFIX)?;
    Digest::from_hex(hex)
}

/// The type that an entry of the index has beside its digest, for tools that look for referrers.
pub(super) fn type_of(stored: &Stored) -> Option<String> {
    let is_manifest = stored.descriptor.media_type == media_type::MANIFEST;
    let document = &stored.document;
    (is_manifest && document.subject().is_some())
        .then(|| document.artifact_type())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_old_signatures() {
        let digest = Digest::of(b"artifact");
        let hex = digest.hex();
        let name = format!("localhost:5000/a:sha256-{hex}.sig");
        assert_eq!(signed_by_tag(&name), Some(digest));
        for name in [format!("a:sha256-{hex}"), "a:1.sig".into(), ".sig".into()] {
            assert_eq!(signed_by_tag(&name), None, "{name}");
        }
    }
}
