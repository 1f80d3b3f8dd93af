//! Reading manifests and indexes, those of other tools included.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use oci_spec::image as oci;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{ArtifactError, DataLayer, Descriptor, MAX_DATA_LAYERS, MAX_DOCUMENT_SIZE, media_type};
use crate::digest::{Digest, excerpt};
use crate::module::MAX_MODULE_SIZE;

/// Media types by which tools mark a layer that is a module: the CNCF layout, Spin, krustlet.
const MODULE_TYPES: [&str; 3] = [
    media_type::WASM,
    "application/vnd.wasm.content.layer.v1+wasm",
    "application/vnd.module.wasm.content.layer.v1+wasm",
];

/// More than all sections of a checkpoint but its chunks may have together.
const MAX_CHECKPOINT_FILE: u64 = 1 << 30;
/// Twice what we write.
const MAX_PACK: u64 = 32 << 20;

/// More blobs than any real artifact has.
const MAX_BLOBS: usize = 4096;

/// A manifest or an index of OCI or Docker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Manifest(Box<oci::ImageManifest>),
    Index(Box<oci::ImageIndex>),
}

/// What there is to run in a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runnable {
    /// The module.
    pub module: Descriptor,
    /// The config of a full workload; none for other artifacts.
    pub config: Option<Descriptor>,
    /// The data that a full workload brings along.
    pub data: Vec<DataLayer>,
}

/// A layer of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Its bytes.
    pub blob: Descriptor,
    /// What the manifest says about it.
    pub annotations: HashMap<String, String>,
}

/// What makes up a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointParts {
    /// What it says about itself.
    pub config: Descriptor,
    /// Its files without their chunks: first the checkpoint itself, then those that it builds on.
    pub files: Vec<Descriptor>,
    /// Their chunks.
    pub packs: Vec<Descriptor>,
}

/// What tells a manifest from an index. The two must not be confused: a document that can
/// be read as both has two meanings for one digest (CVE-2021-41190).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    schema_version: u32,
    media_type: Option<String>,
    config: Option<IgnoredAny>,
    layers: Option<IgnoredAny>,
    manifests: Option<IgnoredAny>,
}

impl Document {
    /// Reads a manifest or an index.
    ///
    /// # Errors
    /// It is too large, not the JSON of one, or could be taken for both.
    pub fn parse(json: &[u8]) -> Result<Self, ArtifactError> {
        check_size(
            "manifest",
            &Digest::of(json),
            json.len() as u64,
            MAX_DOCUMENT_SIZE,
        )?;
        let shape: Shape = parse(json)?;
        if shape.schema_version != oci::SCHEMA_VERSION {
            return Err(malformed(format!(
                "its schema version is {}, not 2",
                shape.schema_version
            )));
        }
        let is_manifest = shape.config.is_some() || shape.layers.is_some();
        let kind = match (is_manifest, shape.manifests.is_some()) {
            (true, false) => Kind::Manifest(parse(json)?),
            (false, true) => Kind::Index(parse(json)?),
            (true, true) => return Err(malformed("it is a manifest and an index at once".into())),
            (false, false) => return Err(malformed("it has neither layers nor manifests".into())),
        };
        let document = Self(kind);
        document.check_media_type(shape.media_type.as_deref())?;
        document.check_descriptors()?;
        Ok(document)
    }

    fn check_media_type(&self, declared: Option<&str>) -> Result<(), ArtifactError> {
        let expected = match self.0 {
            Kind::Manifest(_) => [media_type::MANIFEST, media_type::DOCKER_MANIFEST],
            Kind::Index(_) => [media_type::INDEX, media_type::DOCKER_INDEX],
        };
        match declared {
            Some(declared) if !expected.contains(&declared) => Err(malformed(format!(
                "its media type is `{}`, not `{}`",
                excerpt(declared),
                expected[0]
            ))),
            _ => Ok(()),
        }
    }

    fn check_descriptors(&self) -> Result<(), ArtifactError> {
        let children = self.children()?;
        if children.len() > MAX_BLOBS {
            return Err(malformed(format!(
                "it names {} blobs, at most {MAX_BLOBS} are accepted",
                children.len()
            )));
        }
        self.declared_subject()
            .map_or(Ok(()), |subject| Descriptor::try_from(subject).map(drop))
    }

    /// Its media type: the one that it states, or that of an OCI document of its kind.
    #[must_use]
    pub fn media_type(&self) -> String {
        match &self.0 {
            Kind::Manifest(manifest) => manifest
                .media_type()
                .as_ref()
                .map_or(media_type::MANIFEST.to_owned(), ToString::to_string),
            Kind::Index(index) => index
                .media_type()
                .as_ref()
                .map_or(media_type::INDEX.to_owned(), ToString::to_string),
        }
    }

    /// The artifact type, or else the media type of the config. An index may have neither.
    #[must_use]
    pub fn artifact_type(&self) -> Option<String> {
        match &self.0 {
            Kind::Manifest(manifest) => {
                let declared = manifest.artifact_type().as_ref();
                Some(
                    declared
                        .unwrap_or(manifest.config().media_type())
                        .to_string(),
                )
            }
            Kind::Index(index) => index.artifact_type().as_ref().map(ToString::to_string),
        }
    }

    /// Every blob that it names: config and layers, or the manifests of an index.
    ///
    /// # Errors
    /// A digest is not SHA-256.
    pub fn children(&self) -> Result<Vec<Descriptor>, ArtifactError> {
        match &self.0 {
            Kind::Manifest(manifest) => std::iter::once(manifest.config())
                .chain(manifest.layers())
                .map(TryInto::try_into)
                .collect(),
            Kind::Index(index) => index.manifests().iter().map(TryInto::try_into).collect(),
        }
    }

    /// The layers of a manifest, each with its annotations.
    ///
    /// # Errors
    /// A digest is not SHA-256.
    pub fn layers(&self) -> Result<Vec<Layer>, ArtifactError> {
        let Kind::Manifest(manifest) = &self.0 else {
            return Ok(Vec::new());
        };
        let layer = |layer: &oci::Descriptor| {
            Ok(Layer {
                blob: layer.try_into()?,
                annotations: layer.annotations().clone().unwrap_or_default(),
            })
        };
        manifest.layers().iter().map(layer).collect()
    }

    /// Whether it only says something about its subject and has no config of its own: a signature
    /// or an attestation, which is of no use without the subject.
    #[must_use]
    pub fn is_attachment(&self) -> bool {
        let has_config = |config: Descriptor| config.media_type != media_type::EMPTY;
        self.subject().is_some() && !self.config().is_some_and(has_config)
    }

    /// The config of a manifest.
    #[must_use]
    pub fn config(&self) -> Option<Descriptor> {
        match &self.0 {
            Kind::Manifest(manifest) => manifest.config().try_into().ok(),
            Kind::Index(_) => None,
        }
    }

    /// What it is about, if it is a referrer: a signature, a checkpoint, an SBOM.
    #[must_use]
    pub fn subject(&self) -> Option<Descriptor> {
        self.declared_subject()?.try_into().ok()
    }

    fn declared_subject(&self) -> Option<&oci::Descriptor> {
        match &self.0 {
            Kind::Manifest(manifest) => manifest.subject().as_ref(),
            Kind::Index(index) => index.subject().as_ref(),
        }
    }

    /// Its annotations.
    #[must_use]
    pub fn annotations(&self) -> BTreeMap<String, String> {
        let annotations = match &self.0 {
            Kind::Manifest(manifest) => manifest.annotations(),
            Kind::Index(index) => index.annotations(),
        };
        annotations.iter().flatten().map(pair).collect()
    }

    /// For an index, its entry for WASI preview 1; `None` for a manifest. The platform of
    /// the host is never asked: what runs is WebAssembly.
    ///
    /// # Errors
    /// The index has no such entry, or several.
    pub fn entry_for_wasm(&self) -> Result<Option<Descriptor>, ArtifactError> {
        let Kind::Index(index) = &self.0 else {
            return Ok(None);
        };
        let entries = index.manifests();
        for os in ["wasip1", "wasi"] {
            let mut fitting = entries.iter().filter(|entry| is_wasm_for(os, entry));
            match (fitting.next(), fitting.next()) {
                (Some(entry), None) => return Ok(Some(entry.try_into()?)),
                (Some(_), Some(_)) => {
                    return Err(ArtifactError::SeveralModules(2 + fitting.count()));
                }
                (None, _) => {}
            }
        }
        match entries.as_slice() {
            [only] if only.platform().is_none() => Ok(Some(only.try_into()?)),
            _ => Err(ArtifactError::NoPlatform(platforms(entries))),
        }
    }

    /// What makes up the checkpoint that the manifest is of, if it is of one.
    ///
    /// # Errors
    /// It has other parts than a checkpoint, or larger ones.
    pub fn checkpoint(&self) -> Result<Option<CheckpointParts>, ArtifactError> {
        match &self.0 {
            Kind::Manifest(manifest)
                if self.artifact_type().as_deref() == Some(media_type::CHECKPOINT) =>
            {
                checkpoint(manifest).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// What there is to run in a manifest.
    ///
    /// # Errors
    /// There is nothing, or it cannot be told what, or its data cannot be lent to a job.
    pub fn runnable(&self) -> Result<Runnable, ArtifactError> {
        let Kind::Manifest(manifest) = &self.0 else {
            return Err(malformed("it is an index inside an index".into()));
        };
        let runnable = if manifest.config().media_type().as_ref() == media_type::WORKLOAD_CONFIG {
            workload(manifest)?
        } else {
            foreign(manifest)?
        };
        let Descriptor { digest, size, .. } = &runnable.module;
        check_size("module", digest, *size, MAX_MODULE_SIZE)?;
        if let Some(Descriptor { digest, size, .. }) = &runnable.config {
            check_size("config", digest, *size, MAX_DOCUMENT_SIZE)?;
        }
        Ok(runnable)
    }
}

fn pair((key, value): (&String, &String)) -> (String, String) {
    (key.clone(), value.clone())
}

/// What makes up a checkpoint: nothing but that, and nothing larger than we write it.
fn checkpoint(manifest: &oci::ImageManifest) -> Result<CheckpointParts, ArtifactError> {
    let refused = |reason: String| Err(ArtifactError::Checkpoint(reason));
    let config: Descriptor = manifest.config().try_into()?;
    if config.media_type != media_type::CHECKPOINT_CONFIG {
        let found = excerpt(&config.media_type);
        return refused(format!("its config is of type `{found}`"));
    }
    check_size("config", &config.digest, config.size, MAX_DOCUMENT_SIZE)?;
    let (mut files, mut packs) = (Vec::new(), Vec::new());
    for layer in manifest.layers() {
        let layer = Descriptor::try_from(layer)?;
        let Descriptor { digest, size, .. } = layer;
        match layer.media_type.as_str() {
            media_type::CHECKPOINT_FILE => {
                check_size("file", &digest, size, MAX_CHECKPOINT_FILE)?;
                files.push(layer);
            }
            media_type::CHECKPOINT_PACK => {
                check_size("pack", &digest, size, MAX_PACK)?;
                packs.push(layer);
            }
            other => return refused(format!("it has a layer of type `{}`", excerpt(other))),
        }
    }
    if files.is_empty() || files.len() > 1 + wherry_snapshot::MAX_BASES {
        return refused(format!("it has {} files", files.len()));
    }
    Ok(CheckpointParts {
        config,
        files,
        packs,
    })
}

/// A workload as Wherry writes it: the first layer is the module, others are data.
fn workload(manifest: &oci::ImageManifest) -> Result<Runnable, ArtifactError> {
    match manifest.layers().as_slice() {
        [module, data @ ..] if is_module(module) => {
            if data.len() > MAX_DATA_LAYERS {
                return Err(ArtifactError::TooMuchData(data.len()));
            }
            let data: Result<_, _> = data.iter().map(DataLayer::try_from).collect();
            Ok(Runnable {
                module: module.try_into()?,
                config: Some(manifest.config().try_into()?),
                data: data?,
            })
        }
        layers => Err(ArtifactError::NoModule(layer_types(layers))),
    }
}

/// An artifact of another tool: its one module. Its config is not ours to interpret.
fn foreign(manifest: &oci::ImageManifest) -> Result<Runnable, ArtifactError> {
    let modules: Vec<_> = manifest
        .layers()
        .iter()
        .filter(|layer| is_module(layer))
        .collect();
    match modules.as_slice() {
        [module] => Ok(Runnable {
            module: (*module).try_into()?,
            config: None,
            data: Vec::new(),
        }),
        [] => Err(ArtifactError::NoModule(layer_types(manifest.layers()))),
        several => Err(ArtifactError::SeveralModules(several.len())),
    }
}

fn is_module(layer: &oci::Descriptor) -> bool {
    MODULE_TYPES.contains(&layer.media_type().as_ref())
}

fn is_wasm_for(os: &str, entry: &oci::Descriptor) -> bool {
    entry.platform().as_ref().is_some_and(|platform| {
        matches!(
            platform.architecture().to_string().as_str(),
            "wasm" | "wasm32"
        ) && platform.os().to_string() == os
    })
}

fn platforms(entries: &[oci::Descriptor]) -> String {
    let names = entries.iter().map(|entry| match entry.platform() {
        Some(platform) => excerpt(&format!("{}/{}", platform.os(), platform.architecture())),
        None => "an unnamed platform".to_owned(),
    });
    listed(names)
}

fn layer_types(layers: &[oci::Descriptor]) -> String {
    listed(
        layers
            .iter()
            .map(|layer| excerpt(layer.media_type().as_ref())),
    )
}

/// Different names, a few of them, for an error message.
fn listed(names: impl Iterator<Item = String>) -> String {
    const MOST: usize = 5;
    let names: BTreeSet<_> = names.collect();
    let mut list: Vec<_> = names.iter().take(MOST).cloned().collect();
    if names.len() > MOST {
        list.push("…".to_owned());
    }
    list.join(", ")
}

fn check_size(
    what: &'static str,
    digest: &Digest,
    size: u64,
    limit: u64,
) -> Result<(), ArtifactError> {
    if size > limit {
        return Err(ArtifactError::TooLarge {
            what,
            digest: *digest,
            size,
            limit,
        });
    }
    Ok(())
}

fn parse<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, ArtifactError> {
    serde_json::from_slice(json).map_err(|error| malformed(excerpt(&error.to_string())))
}

fn malformed(reason: String) -> ArtifactError {
    ArtifactError::Malformed { reason }
}
