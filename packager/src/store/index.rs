//! `index.json`: which manifests the store has, and by which names.

use std::collections::HashMap;

use oci_spec::image as oci;
use serde_json::Value;

use super::error::StoreError;
use super::{Store, Stored, attachments, files};
use crate::artifact::{Descriptor, canonical};
use crate::digest::{Digest, excerpt};
use crate::reference::Reference;

const FILE: &str = "index.json";
const LOCK: &str = "index.lock";
/// As short as a digest may be abbreviated.
const MIN_PREFIX: usize = 4;

/// The index in memory.
pub(super) struct Index {
    document: oci::ImageIndex,
}

/// A manifest and its name, if it has one.
pub(super) struct Entry {
    pub(super) name: Option<String>,
    pub(super) manifest: Descriptor,
}

impl Store {
    /// The index as it is now.
    pub(super) fn read_index(&self) -> Result<Index, StoreError> {
        let path = self.directory.join(FILE);
        let damaged = |reason: String| StoreError::Layout {
            path: path.clone(),
            reason: format!("is damaged: {reason}"),
        };
        match files::read_small(&path)? {
            Some(bytes) => Index::parse(&bytes).map_err(damaged),
            None => {
                let document = empty().map_err(|error| damaged(error.to_string()))?;
                Ok(Index { document })
            }
        }
    }

    /// Changes the index: no other process does so at the same time, and a reader sees it
    /// as it was before or as it is after.
    pub(super) fn update_index<T>(
        &self,
        change: impl FnOnce(&mut Index) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let lock = files::lock_file(&self.directory, LOCK)?;
        lock.lock()
            .map_err(StoreError::io("lock", &self.directory.join(LOCK)))?;
        let mut index = self.read_index()?;
        let result = change(&mut index)?;
        let path = self.directory.join(FILE);
        let bytes = serde_json::to_value(&index.document)
            .and_then(canonical)
            .map_err(|error| StoreError::Layout {
                path: path.clone(),
                reason: error.to_string(),
            })?;
        files::replace(&path, &bytes)?;
        Ok(result)
    }
}

fn empty() -> Result<oci::ImageIndex, oci_spec::OciSpecError> {
    oci::ImageIndexBuilder::default()
        .schema_version(oci::SCHEMA_VERSION)
        .media_type(oci::MediaType::ImageIndex)
        .manifests(Vec::new())
        .build()
}

impl Index {
    /// Reads an index. Returns what is wrong with it if it is none.
    pub(super) fn parse(json: &[u8]) -> Result<Self, String> {
        let document = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        Ok(Self { document })
    }

    /// Leaves out the entries that can be read and are not wanted.
    pub(super) fn keep(&mut self, is_wanted: impl Fn(&Entry) -> bool) {
        let mut manifests = self.document.manifests().clone();
        manifests.retain(|descriptor| entry_of(descriptor).map_or(true, |entry| is_wanted(&entry)));
        self.document.set_manifests(manifests);
    }

    /// The name of the entry that `name` means; none if that is a digest.
    pub(super) fn name_of(&self, name: &str) -> Option<String> {
        self.entry_name(name)
    }

    /// The entries, each with what is wrong with it if it is not usable.
    pub(super) fn entries(&self) -> impl Iterator<Item = Result<Entry, StoreError>> {
        self.document.manifests().iter().map(entry_of)
    }

    /// See [`Store::resolve`].
    pub(super) fn resolve(&self, name: &str) -> Result<Digest, StoreError> {
        // An entry that cannot be used does not stand in the way of the others.
        let entries: Vec<Entry> = self.entries().flatten().collect();
        if let Some(digest) = by_name(&entries, name) {
            return Ok(digest);
        }
        let mut digests = by_digest(&entries, name);
        digests.sort_unstable();
        digests.dedup();
        match digests.as_slice() {
            [digest] => Ok(*digest),
            [] => Err(StoreError::NotFound {
                name: excerpt(name),
                similar: similar(&entries, name),
            }),
            several => Err(StoreError::Ambiguous {
                prefix: excerpt(name),
                count: several.len(),
            }),
        }
    }

    /// Adds `manifest` under `name`, or without a name if it has no entry yet. A referrer has its
    /// artifact type beside it.
    pub(super) fn insert(
        &mut self,
        manifest: &Descriptor,
        artifact_type: Option<&str>,
        name: Option<&str>,
    ) -> Result<(), StoreError> {
        let mut entry = manifest.to_oci().map_err(|source| StoreError::Artifact {
            digest: manifest.digest,
            source,
        })?;
        entry.set_artifact_type(artifact_type.map(Into::into));
        let mut manifests = self.document.manifests().clone();
        if let Some(name) = name {
            entry.set_annotations(Some(HashMap::from([(
                oci::ANNOTATION_REF_NAME.to_owned(),
                name.to_owned(),
            )])));
            // What had the name stays without one: a checkpoint may need it, by its digest.
            for other in manifests
                .iter_mut()
                .filter(|other| name_of(other) == Some(name))
            {
                other.set_annotations(None);
            }
        }
        manifests.push(entry);
        self.document.set_manifests(without_idle_entries(manifests));
        Ok(())
    }

    /// Removes the entry called `name`, or all entries of the digest that `name` means.
    /// Returns the digest and the names that went.
    pub(super) fn remove(&mut self, name: &str) -> Result<(Digest, Vec<String>), StoreError> {
        let digest = self.resolve(name)?;
        let text = digest.to_string();
        let entry_name = self.entry_name(name);
        let (gone, kept): (Vec<_>, Vec<_>) =
            self.document
                .manifests()
                .iter()
                .cloned()
                .partition(|entry| match &entry_name {
                    Some(entry_name) => name_of(entry) == Some(entry_name),
                    None => entry.digest().as_ref() == text,
                });
        self.document.set_manifests(kept);
        Ok((
            digest,
            gone.iter()
                .filter_map(name_of)
                .map(ToOwned::to_owned)
                .collect(),
        ))
    }

    /// The name of the entry that `name` means, if it is a name and not a digest.
    fn entry_name(&self, name: &str) -> Option<String> {
        let names: Vec<&str> = self
            .document
            .manifests()
            .iter()
            .filter_map(name_of)
            .collect();
        candidates(name)
            .into_iter()
            .find(|candidate| names.contains(&candidate.as_str()))
    }
}

fn entry_of(descriptor: &oci::Descriptor) -> Result<Entry, StoreError> {
    let manifest = descriptor.try_into().map_err(|error| StoreError::Layout {
        path: FILE.into(),
        reason: format!("has an entry that is refused: {error}"),
    })?;
    Ok(Entry {
        name: name_of(descriptor).map(ToOwned::to_owned),
        manifest,
    })
}

/// The entry of a manifest in an index that goes elsewhere.
pub(super) fn entry(stored: &Stored, name: Option<&str>) -> Result<Value, StoreError> {
    let mut index = Index {
        document: empty().map_err(|error| StoreError::Archive(error.to_string()))?,
    };
    let artifact_type = attachments::type_of(stored);
    index.insert(&stored.descriptor, artifact_type.as_deref(), name)?;
    serde_json::to_value(&index.document.manifests()[0])
        .map_err(|error| StoreError::Archive(error.to_string()))
}

/// Leaves out the nameless entries of manifests that have another entry.
fn without_idle_entries(manifests: Vec<oci::Descriptor>) -> Vec<oci::Descriptor> {
    let mut kept: Vec<oci::Descriptor> = Vec::with_capacity(manifests.len());
    let (named, nameless): (Vec<_>, Vec<_>) = manifests
        .into_iter()
        .partition(|entry| name_of(entry).is_some());
    for entry in named.into_iter().chain(nameless) {
        if name_of(&entry).is_some() || kept.iter().all(|other| other.digest() != entry.digest()) {
            kept.push(entry);
        }
    }
    kept
}

fn name_of(entry: &oci::Descriptor) -> Option<&str> {
    entry
        .annotations()
        .as_ref()?
        .get(oci::ANNOTATION_REF_NAME)
        .map(String::as_str)
}

/// The names an entry may have to be meant by `name`: as written (other tools keep any text
/// there), and as a reference with its tag spelled out.
fn candidates(name: &str) -> Vec<String> {
    let reference = name
        .parse::<Reference>()
        .ok()
        .filter(|reference| reference.digest().is_none());
    let spelled_out = reference.and_then(|reference| reference.store_name());
    std::iter::once(name.to_owned())
        .chain(spelled_out)
        .collect()
}

fn by_name(entries: &[Entry], name: &str) -> Option<Digest> {
    candidates(name).iter().find_map(|candidate| {
        let named = entries
            .iter()
            .find(|entry| entry.name.as_ref() == Some(candidate));
        named.map(|entry| entry.manifest.digest)
    })
}

/// The manifests whose digest is, or begins with, what `name` says.
fn by_digest(entries: &[Entry], name: &str) -> Vec<Digest> {
    let pinned = name
        .parse::<Reference>()
        .ok()
        .and_then(|reference| reference.digest());
    let hex = match &pinned {
        Some(digest) => digest.hex(),
        None => name.strip_prefix("sha256:").unwrap_or(name).to_owned(),
    };
    if hex.len() < MIN_PREFIX {
        return Vec::new();
    }
    let digests = entries.iter().map(|entry| entry.manifest.digest);
    digests
        .filter(|digest| digest.hex().starts_with(&hex))
        .collect()
}

/// Names that have the same repository but another tag.
fn similar(entries: &[Entry], name: &str) -> Vec<String> {
    const MOST: usize = 5;
    let Ok(wanted) = name.parse::<Reference>() else {
        return Vec::new();
    };
    let names = entries.iter().filter_map(|entry| entry.name.as_deref());
    let is_similar = |name: &&str| {
        name.parse::<Reference>()
            .is_ok_and(|reference| reference.repository() == wanted.repository())
    };
    names
        .filter(is_similar)
        .map(ToOwned::to_owned)
        .take(MOST)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::media_type;

    #[test]
    fn an_empty_index_is_an_oci_index() {
        let index = serde_json::to_value(empty().unwrap()).unwrap();
        assert_eq!(index["mediaType"], media_type::INDEX);
        assert_eq!(index["manifests"], serde_json::json!([]));
    }

    #[test]
    fn a_name_moves_and_leaves_a_nameless_entry() {
        let mut index = Index {
            document: empty().unwrap(),
        };
        let [old, new] =
            ["old", "new"].map(|text| Descriptor::of(media_type::MANIFEST, text.as_bytes()));
        index.insert(&old, None, Some("a:1")).unwrap();
        index.insert(&new, None, Some("a:1")).unwrap();
        assert_eq!(index.resolve("a:1").unwrap(), new.digest);
        assert_eq!(index.resolve(&old.digest.to_string()).unwrap(), old.digest);
        assert_eq!(index.entries().count(), 2);
        index.insert(&old, None, Some("a:2")).unwrap();
        index.insert(&old, None, None).unwrap();
        assert_eq!(index.entries().count(), 2);
        assert_eq!(
            index.remove("a:2").unwrap(),
            (old.digest, vec!["a:2".to_owned()])
        );
        assert!(index.resolve(&old.digest.short()).is_err());
    }
}
