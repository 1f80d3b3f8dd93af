//! Checkpoints as artifacts: their files, divided into what changes from one to the next and what
//! stays, so that only what is new has to travel.
//!
//! ```text
//! files ─ pieces ─ known from earlier ones, or new ─▶ packs     ╮
//!       ╰ everything but the chunks ─────────────────▶ recipes  ┴▶ manifest ─▶ files again
//! ```
//!
//! `docs/artifact-format.md` has the format.

mod assemble;
mod known;
mod pieces;
mod recipe;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wherry_snapshot::Anatomy;

use crate::artifact::{ArtifactError, Descriptor, Document, canonical, media_type};
use crate::digest::Digest;
use crate::reference::Reference;
use crate::store::{Store, StoreError};

pub use assemble::assemble_checkpoint;

const STATE: &str = "io.wherry.checkpoint.state";
const PARENT: &str = "io.wherry.checkpoint.parent";
const SEQUENCE: &str = "io.wherry.checkpoint.sequence";
const MODULE: &str = "io.wherry.checkpoint.module";

/// What a checkpoint's manifest says about it in its annotations. The checkpoint itself decides:
/// this is for finding it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckpointNote {
    /// The name of its state.
    pub state: Option<String>,
    /// The name of the state of the one before.
    pub parent: Option<String>,
    /// Its place among the checkpoints of its job, from 1.
    pub sequence: Option<u64>,
    /// The digest of its module.
    pub module: Option<String>,
}

impl CheckpointNote {
    /// What annotations say.
    #[must_use]
    pub fn of(annotations: &BTreeMap<String, String>) -> Self {
        let text = |name: &str| annotations.get(name).cloned();
        Self {
            state: text(STATE),
            parent: text(PARENT),
            sequence: text(SEQUENCE).and_then(|text| text.parse().ok()),
            module: text(MODULE),
        }
    }

    fn annotations(&self) -> Value {
        let sequence = self.sequence.map(|sequence| sequence.to_string());
        let noted = [
            (STATE, &self.state),
            (PARENT, &self.parent),
            (SEQUENCE, &sequence),
            (MODULE, &self.module),
        ];
        let noted = noted.into_iter();
        noted
            .filter_map(|(name, text)| Some((name.to_owned(), Value::from(text.clone()?))))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
}

/// The config: which files the artifact is of.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Config {
    format: u64,
    files: Vec<FileEntry>,
}

/// A checkpoint file.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct FileEntry {
    /// Its file digest, as the format has it.
    digest: String,
    /// How many bytes it has.
    length: u64,
}

const FORMAT: u64 = 1;

/// A checkpoint in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedCheckpoint {
    /// Digest of the manifest.
    pub digest: Digest,
    /// The file digest of the checkpoint.
    pub file: Digest,
    /// Bytes of all that it consists of.
    pub size: u64,
    /// Bytes of what the store did not have from checkpoints before.
    pub fresh: u64,
}

/// Why a checkpoint does not become an artifact, or an artifact a checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file is not a checkpoint.
    #[error(transparent)]
    Snapshot(#[from] wherry_snapshot::Error),
    /// The artifact is not one.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The store refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file changed while it was read, or is damaged.
    #[error(
        "the checkpoint is damaged: a chunk in it has the digest {actual} instead of {expected}"
    )]
    Damaged {
        /// What its index says.
        expected: Digest,
        /// What it has.
        actual: Digest,
    },
}

/// Puts a checkpoint into the store: `files` are the checkpoint itself and those that it builds
/// on. Chunks that checkpoints of the store have already are taken from them. The same files give
/// the same artifact wherever the same earlier ones are.
///
/// # Errors
/// A file is not a checkpoint or damaged, or the store cannot be written.
pub fn pack_checkpoint(
    store: &Store,
    files: &mut [File],
    note: &CheckpointNote,
    subject: Option<&Descriptor>,
    reference: Option<&Reference>,
) -> Result<PackedCheckpoint, CheckpointError> {
    let anatomies: Vec<Anatomy> = files
        .iter_mut()
        .map(Anatomy::read)
        .collect::<Result<_, _>>()?;
    let ingest = store.ingest()?;
    let known = known::Known::of(store, note)?;
    let packed = pieces::pack(&ingest, files, &anatomies, known)?;
    let mut config = Config {
        format: FORMAT,
        files: Vec::new(),
    };
    let mut layers = Vec::new();
    let mut fresh = packed.fresh;
    for (index, extents) in packed.files.iter().enumerate() {
        let (file, anatomy) = (&mut files[index], &anatomies[index]);
        let recipe = recipe::write(file, anatomy, extents).map_err(pieces::unreadable)?;
        let layer = Descriptor::of(media_type::CHECKPOINT_FILE, &recipe);
        if !ingest.has(&layer)? {
            fresh += layer.size;
            ingest.put(&layer, &recipe)?;
        }
        layers.push(layer);
        let length = file.metadata().map_err(pieces::unreadable)?.len();
        config.files.push(FileEntry {
            digest: Digest::from_bytes(anatomy.file).to_string(),
            length,
        });
    }
    layers.extend(packed.packs);
    let config = serde_json::to_value(config).and_then(canonical);
    let config = config.map_err(malformed)?;
    let blob = Descriptor::of(media_type::CHECKPOINT_CONFIG, &config);
    ingest.put(&blob, &config)?;
    let manifest = manifest(&blob, &layers, note, subject)?;
    let descriptor = Descriptor::of(media_type::MANIFEST, &manifest);
    // What we would refuse to read is not written: too many packs, for example.
    Document::parse(&manifest)?.checkpoint()?;
    ingest.put(&descriptor, &manifest)?;
    ingest.commit(&descriptor, reference)?;
    let size = layers.iter().map(|layer| layer.size).sum::<u64>();
    Ok(PackedCheckpoint {
        digest: descriptor.digest,
        file: Digest::from_bytes(anatomies[0].file),
        size: size + blob.size + descriptor.size,
        fresh: fresh + descriptor.size,
    })
}

fn manifest(
    config: &Descriptor,
    layers: &[Descriptor],
    note: &CheckpointNote,
    subject: Option<&Descriptor>,
) -> Result<Vec<u8>, ArtifactError> {
    let described = |blob: &Descriptor| {
        json!({
            "mediaType": blob.media_type, "digest": blob.digest.to_string(), "size": blob.size,
        })
    };
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type::MANIFEST,
        "artifactType": media_type::CHECKPOINT,
        "config": described(config),
        "layers": layers.iter().map(described).collect::<Vec<_>>(),
        "annotations": note.annotations(),
    });
    if let Some(subject) = subject {
        manifest["subject"] = described(subject);
    }
    canonical(manifest).map_err(malformed)
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn malformed(error: serde_json::Error) -> ArtifactError {
    ArtifactError::Checkpoint(error.to_string())
}

fn refused(reason: impl Into<String>) -> CheckpointError {
    ArtifactError::Checkpoint(reason.into()).into()
}
