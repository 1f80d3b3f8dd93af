//! The two forms of an artifact. Both have the same bytes for the same inputs: no times.

use std::collections::{BTreeMap, HashMap};

use oci_spec::image as oci;
use serde_json::json;

use super::{ArtifactError, DataLayer, Descriptor, canonical, media_type};
use crate::config::WorkloadConfig;

/// The content of [`media_type::EMPTY`].
const EMPTY_CONFIG: &[u8] = b"{}";

/// A manifest and its config, as bytes with their descriptors.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) manifest: (Descriptor, Vec<u8>),
    pub(crate) config: (Descriptor, Vec<u8>),
}

/// What a full workload says about itself to people.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Annotations<'a> {
    pub(crate) title: &'a str,
    pub(crate) version: &'a str,
    pub(crate) description: Option<&'a str>,
    pub(crate) licenses: Option<&'a str>,
    pub(crate) source: Option<&'a str>,
}

impl Annotations<'_> {
    fn to_map(self) -> HashMap<String, String> {
        [
            (oci::ANNOTATION_TITLE, Some(self.title)),
            (oci::ANNOTATION_VERSION, Some(self.version)),
            (oci::ANNOTATION_DESCRIPTION, self.description),
            (oci::ANNOTATION_LICENSES, self.licenses),
            (oci::ANNOTATION_SOURCE, self.source),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned())))
        .collect()
    }
}

/// The CNCF wasm artifact, which every wasm runtime can pull.
pub(crate) fn bare_module(module: &Descriptor) -> Result<Written, ArtifactError> {
    let config = json!({
        "architecture": "wasm",
        "os": "wasip1",
        "layerDigests": [module.digest.to_string()],
    });
    let config = canonical(config).map_err(malformed)?;
    let config = (Descriptor::of(media_type::WASM_CONFIG, &config), config);
    let manifest = manifest(&config.0, vec![module.to_oci()?])?;
    Ok(Written {
        manifest: encode(&manifest)?,
        config,
    })
}

/// A workload with a config of its own, and the data that it brings along.
pub(crate) fn full_workload(
    module: &Descriptor,
    data: &[DataLayer],
    config: &WorkloadConfig,
    annotations: Annotations<'_>,
) -> Result<Written, ArtifactError> {
    let config = config.to_json()?;
    let config = (Descriptor::of(media_type::WORKLOAD_CONFIG, &config), config);
    let data = data.iter().map(DataLayer::to_oci);
    let layers: Result<_, _> = std::iter::once(module.to_oci()).chain(data).collect();
    let mut manifest = manifest(&config.0, layers?)?;
    manifest.set_artifact_type(Some(media_type::WORKLOAD.into()));
    manifest.set_annotations(Some(annotations.to_map()));
    Ok(Written {
        manifest: encode(&manifest)?,
        config,
    })
}

/// A referrer: `content`, a blob of the type `artifact_type`, said about `subject`.
pub(crate) fn referrer(
    subject: &Descriptor,
    artifact_type: &str,
    content: &Descriptor,
    annotations: &BTreeMap<String, String>,
) -> Result<Written, ArtifactError> {
    let config = (
        Descriptor::of(media_type::EMPTY, EMPTY_CONFIG),
        EMPTY_CONFIG.to_vec(),
    );
    let mut manifest = manifest(&config.0, vec![content.to_oci()?])?;
    manifest.set_artifact_type(Some(artifact_type.into()));
    manifest.set_subject(Some(subject.to_oci()?));
    if !annotations.is_empty() {
        manifest.set_annotations(Some(annotations.clone().into_iter().collect()));
    }
    Ok(Written {
        manifest: encode(&manifest)?,
        config,
    })
}

fn manifest(
    config: &Descriptor,
    layers: Vec<oci::Descriptor>,
) -> Result<oci::ImageManifest, ArtifactError> {
    oci::ImageManifestBuilder::default()
        .schema_version(oci::SCHEMA_VERSION)
        .media_type(oci::MediaType::ImageManifest)
        .config(config.to_oci()?)
        .layers(layers)
        .build()
        .map_err(|error| ArtifactError::Malformed {
            reason: error.to_string(),
        })
}

fn encode(manifest: &oci::ImageManifest) -> Result<(Descriptor, Vec<u8>), ArtifactError> {
    let bytes = serde_json::to_value(manifest)
        .and_then(canonical)
        .map_err(malformed)?;
    Ok((Descriptor::of(media_type::MANIFEST, &bytes), bytes))
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn malformed(error: serde_json::Error) -> ArtifactError {
    ArtifactError::Malformed {
        reason: error.to_string(),
    }
}
