//! Manifests: the two forms that Wherry writes, and the ones that it reads.

mod data;
mod read;
mod write;

use oci_spec::image as oci;
use serde_json::Value;

use crate::config::ConfigError;
use crate::digest::{Digest, DigestError};

pub use data::{DataForm, DataLayer};
pub(crate) use data::{MAX_DATA_LAYERS, checked_file_name};
pub use read::{CheckpointParts, Document, Layer, Runnable};
pub(crate) use write::{Annotations, Written, bare_module, full_workload, referrer};

/// The largest manifest, index or config that is read, in bytes. Registries refuse larger ones.
pub const MAX_DOCUMENT_SIZE: u64 = 4 << 20;

/// Media types of artifacts.
pub mod media_type {
    /// Artifact type of a full workload.
    pub const WORKLOAD: &str = "application/vnd.wherry.workload.v1+json";
    /// Config of a full workload.
    pub const WORKLOAD_CONFIG: &str = "application/vnd.wherry.workload.config.v1+json";
    /// Artifact type of a checkpoint.
    pub const CHECKPOINT: &str = "application/vnd.wherry.checkpoint.v1+json";
    /// Config of a checkpoint.
    pub const CHECKPOINT_CONFIG: &str = "application/vnd.wherry.checkpoint.config.v1+json";
    /// A checkpoint file without its chunks, and where those lie.
    pub const CHECKPOINT_FILE: &str = "application/vnd.wherry.checkpoint.file.v1";
    /// Stored chunks of checkpoint files.
    pub const CHECKPOINT_PACK: &str = "application/vnd.wherry.checkpoint.pack.v1";
    /// What nodes stated of the checkpoints that a checkpoint comes from: a list of bundles.
    pub const CHECKPOINT_LINEAGE: &str = "application/vnd.wherry.checkpoint.lineage.v1+json";
    /// Config of the CNCF wasm artifact.
    pub const WASM_CONFIG: &str = "application/vnd.wasm.config.v0+json";
    /// Config of an artifact that has none: `{}`.
    pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";
    /// A module, as the CNCF wasm artifact has it.
    pub const WASM: &str = "application/wasm";
    /// A file that a workload brings along, as it is.
    pub const DATA_FILE: &str = "application/octet-stream";
    /// A directory that a workload brings along.
    pub const DATA_DIRECTORY: &str = "application/vnd.oci.image.layer.v1.tar";
    /// OCI image manifest.
    pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// OCI image index.
    pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// Docker's manifest, of the same shape as OCI's.
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// Docker's manifest list, of the same shape as OCI's index.
    pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
}

/// What a blob is, by type, digest and size.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Descriptor {
    /// Its media type.
    pub media_type: String,
    /// The digest of its bytes.
    pub digest: Digest,
    /// How many bytes it has.
    pub size: u64,
}

impl Descriptor {
    /// The descriptor of `bytes`.
    #[must_use]
    pub fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
        }
    }

    /// Whether it describes a manifest or an index, which lead to other blobs.
    #[must_use]
    pub fn is_document(&self) -> bool {
        use media_type::{DOCKER_INDEX, DOCKER_MANIFEST, INDEX, MANIFEST};
        [MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_INDEX].contains(&self.media_type.as_str())
    }

    /// As the OCI specification's type.
    pub(crate) fn to_oci(&self) -> Result<oci::Descriptor, ArtifactError> {
        let digest: oci::Digest =
            self.digest
                .to_string()
                .parse()
                .map_err(|error| ArtifactError::Malformed {
                    reason: format!("{error}"),
                })?;
        Ok(oci::Descriptor::new(
            self.media_type.as_str().into(),
            self.size,
            digest,
        ))
    }
}

impl TryFrom<&oci::Descriptor> for Descriptor {
    type Error = ArtifactError;

    fn try_from(descriptor: &oci::Descriptor) -> Result<Self, ArtifactError> {
        Ok(Self {
            media_type: descriptor.media_type().to_string(),
            digest: descriptor.digest().as_ref().parse()?,
            size: descriptor.size(),
        })
    }
}

/// Why an artifact is refused.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// It is not a manifest or index.
    #[error("not an OCI manifest: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: String,
    },
    /// It names a blob by something other than a SHA-256 digest.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// No layer is a module.
    #[error("it holds no WebAssembly module, but {}", if .0.is_empty() { "no layers" } else { .0.as_str() })]
    NoModule(String),
    /// Several layers are modules, and nothing says which one is to be run.
    #[error("it holds {0} WebAssembly modules, and nothing says which one to run")]
    SeveralModules(usize),
    /// A layer after the module's is not data that can be lent to a job.
    #[error("its data layer {digest} cannot be used: {reason}")]
    Data {
        /// The layer.
        digest: Digest,
        /// Why.
        reason: String,
    },
    /// More data layers than a workload may have.
    #[error("it has {0} data layers, at most {MAX_DATA_LAYERS} are accepted")]
    TooMuchData(usize),
    /// A checkpoint whose parts are not those of one.
    #[error("it is not a checkpoint that can be used: {0}")]
    Checkpoint(String),
    /// An index without an entry for WebAssembly.
    #[error("it has nothing for WASI preview 1, only for {0}")]
    NoPlatform(String),
    /// Its config is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A document is larger than any real one.
    #[error("the {what} {digest} has {size} bytes, more than the {limit} that are accepted")]
    TooLarge {
        /// What it is.
        what: &'static str,
        /// The blob.
        digest: Digest,
        /// Its size.
        size: u64,
        /// The limit.
        limit: u64,
    },
}

/// The bytes of a JSON document that go into a digest: keys sorted, no space. Sorting is
/// done here because the order must not hang on which features some dependency enables.
pub(crate) fn canonical(mut document: Value) -> Result<Vec<u8>, serde_json::Error> {
    document.sort_all_objects();
    serde_json::to_vec(&document)
}
