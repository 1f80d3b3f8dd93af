//! Artifacts in a tar file, for machines that reach no registry: an OCI image layout, as `skopeo`
//! (`oci-archive:`), `oras` and `docker load` read it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};

use serde_json::json;
use tar::{Builder, EntryType, Header};

use super::error::StoreError;
use super::ingest::Ingest;
use super::{Store, files, index};
use crate::artifact::{Descriptor, MAX_DOCUMENT_SIZE, canonical};
use crate::digest::{Digest, excerpt};
use crate::reference::Reference;

const CHUNK: usize = 128 << 10;
const INDEX: &str = "index.json";
const BLOBS: &str = "blobs/sha256/";
/// More entries of an index than anybody imports at once.
const MOST: usize = 4096;

/// An artifact that was imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Digest of its manifest.
    pub digest: Digest,
    /// Its name, if it has one that can be used here.
    pub reference: Option<String>,
    /// Whether it is only attached to another one.
    pub is_attachment: bool,
}

impl Store {
    /// Writes the artifacts that `names` mean, and what is attached to them, as a tar file. The same
    /// artifacts give the same bytes. Returns how many blobs it has.
    ///
    /// # Errors
    /// An artifact is not there or damaged, or `to` cannot be written.
    pub fn export(&self, names: &[String], to: impl Write) -> Result<u64, StoreError> {
        // While this lives, nothing is deleted.
        let _ingest = self.ingest()?;
        let mut entries = Vec::new();
        let mut blobs = BTreeMap::new();
        for name in names {
            let manifest = self.stored(&self.resolve(name)?)?;
            self.closure(&manifest.descriptor, &mut blobs)?;
            let attachments = self.attachments(&manifest.descriptor.digest)?;
            let reference = self.read_index()?.name_of(name);
            entries.push(index::entry(&manifest, reference.as_deref())?);
            for attachment in attachments {
                self.closure(&attachment.manifest.descriptor, &mut blobs)?;
                let reference = attachment.reference.as_deref();
                entries.push(index::entry(&attachment.manifest, reference)?);
            }
        }
        let index = json!({
            "schemaVersion": 2,
            "mediaType": crate::artifact::media_type::INDEX,
            "manifests": entries,
        });
        let index = canonical(index).map_err(|error| StoreError::Archive(error.to_string()))?;
        let mut tar = Builder::new(to);
        append(&mut tar, files::MARKER, files::MARKER_TEXT.as_bytes())?;
        append(&mut tar, INDEX, &index)?;
        for blob in blobs.values() {
            let path = format!("{BLOBS}{}", blob.digest.hex());
            let reader = self.open_blob(blob)?;
            tar.append_data(&mut header(blob.size), path, reader)
                .map_err(unwrapped)?;
        }
        tar.into_inner()
            .and_then(|mut to| to.flush())
            .map_err(|error| StoreError::Archive(error.to_string()))?;
        Ok(blobs.len() as u64)
    }

    fn closure(
        &self,
        manifest: &Descriptor,
        blobs: &mut BTreeMap<Digest, Descriptor>,
    ) -> Result<(), StoreError> {
        let mut to_visit = vec![manifest.clone()];
        while let Some(blob) = to_visit.pop() {
            if blob.is_document() && !blobs.contains_key(&blob.digest) {
                to_visit.extend(self.children_of(&blob)?);
            }
            // Parts of an index may not be here.
            if self.open_blob(&blob).is_ok() || !blob.is_document() {
                blobs.insert(blob.digest, blob);
            }
        }
        Ok(())
    }

    /// Adds the artifacts of a tar file. What it has besides a layout is left out; an artifact is
    /// added when all of it has arrived and is what its digests say, under the name that it has there.
    ///
    /// # Errors
    /// It is not such a file, or not whole, or the store cannot be written. Artifacts that were
    /// added are whole.
    pub fn import(&self, from: impl Read) -> Result<Vec<Imported>, StoreError> {
        let refused = |reason: &str| StoreError::Archive(reason.to_owned());
        let ingest = self.ingest()?;
        let mut index = None;
        let mut tar = tar::Archive::new(from);
        let read = |error: std::io::Error| StoreError::Archive(error.to_string());
        for entry in tar.entries().map_err(read)? {
            let mut entry = entry.map_err(read)?;
            let path = entry.path_bytes().into_owned();
            let path = String::from_utf8(path).unwrap_or_default();
            let path = path.strip_prefix("./").unwrap_or(&path).to_owned();
            let is_file = entry.header().entry_type() == EntryType::Regular;
            if path == INDEX && is_file {
                let mut bytes = Vec::new();
                let mut limited = (&mut entry).take(MAX_DOCUMENT_SIZE + 1);
                limited.read_to_end(&mut bytes).map_err(read)?;
                if bytes.len() as u64 > MAX_DOCUMENT_SIZE {
                    return Err(refused("its index is too large"));
                }
                index = Some(bytes);
            } else if let Some(digest) = path.strip_prefix(BLOBS).and_then(Digest::from_hex) {
                if !is_file {
                    return Err(StoreError::Archive(format!("{path} is not a file")));
                }
                let size = entry.size();
                take_blob(&ingest, digest, size, &mut entry)?;
            }
        }
        let index =
            index.ok_or_else(|| refused("it has no index.json: it is not an OCI layout"))?;
        self.enter(&index)
    }

    /// Makes the artifacts of an imported index count.
    fn enter(&self, index: &[u8]) -> Result<Vec<Imported>, StoreError> {
        let index = index::Index::parse(index).map_err(StoreError::Archive)?;
        let entries: Vec<_> = index.entries().collect::<Result<_, _>>()?;
        if entries.is_empty() || entries.len() > MOST {
            let count = entries.len();
            return Err(StoreError::Archive(format!(
                "its index has {count} entries"
            )));
        }
        let mut imported = Vec::with_capacity(entries.len());
        for entry in entries {
            let manifest = self.stored(&entry.manifest.digest)?;
            self.check_whole(&manifest.descriptor)?;
            let is_attachment = super::attachments::subject_of(&entry, Some(&manifest)).is_some();
            let reference = entry.name.as_deref().and_then(usable);
            let name = reference.as_ref().and_then(Reference::store_name);
            self.ingest()?
                .commit(&manifest.descriptor, reference.as_ref())?;
            imported.push(Imported {
                digest: manifest.descriptor.digest,
                reference: name,
                is_attachment,
            });
        }
        Ok(imported)
    }

    /// That all of a manifest is here. Of an index, one part must be.
    fn check_whole(&self, manifest: &Descriptor) -> Result<(), StoreError> {
        let (mut seen, mut to_visit) = (BTreeSet::new(), vec![manifest.clone()]);
        while let Some(blob) = to_visit.pop() {
            if !seen.insert(blob.digest) {
                continue;
            }
            self.open_blob(&blob)?;
            if blob.is_document() {
                let children = self.children_of(&blob)?;
                let is_index = self.stored(&blob.digest)?.document.config().is_none();
                let is_here = |child: &Descriptor| self.open_blob(child).is_ok();
                if is_index && !children.iter().any(is_here) {
                    return Err(StoreError::MissingBlob {
                        digest: blob.digest,
                    });
                }
                to_visit.extend(
                    children
                        .into_iter()
                        .filter(|child| !is_index || is_here(child)),
                );
            }
        }
        Ok(())
    }
}

/// Takes a blob whose name and size the archive says.
fn take_blob(
    ingest: &Ingest,
    digest: Digest,
    size: u64,
    from: &mut impl Read,
) -> Result<(), StoreError> {
    let blob = Descriptor {
        media_type: String::new(),
        digest,
        size,
    };
    if ingest.has(&blob)? {
        return Ok(());
    }
    let mut writer = ingest.writer(&blob)?;
    // What a transfer left of it is here as well.
    writer.restart()?;
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = from
            .read(&mut chunk)
            .map_err(|error| StoreError::Archive(error.to_string()))?;
        if read == 0 {
            break;
        }
        writer.write(&chunk[..read])?;
    }
    writer.commit()
}

/// A name of another tool that is one here. Others keep any text there: a tag alone, for example.
fn usable(name: &str) -> Option<Reference> {
    let reference: Reference = name.parse().ok()?;
    let spelled = reference.store_name()?;
    (spelled == name).then_some(reference)
}

fn append(tar: &mut Builder<impl Write>, path: &str, bytes: &[u8]) -> Result<(), StoreError> {
    tar.append_data(&mut header(bytes.len() as u64), path, bytes)
        .map_err(unwrapped)
}

/// Nothing but the size differs: not who exported it, nor when.
fn header(size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(size);
    header
}

/// What went wrong while a blob was read, or else while the file was written.
fn unwrapped(error: std::io::Error) -> StoreError {
    match error.downcast::<StoreError>() {
        Ok(error) => error,
        Err(error) => StoreError::Archive(excerpt(&error.to_string())),
    }
}
