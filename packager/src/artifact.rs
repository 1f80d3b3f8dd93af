//! Manifests: the two forms that Wherry writes, and the ones that it reads.

/// The largest manifest, index or config that is read, in bytes. Registries refuse larger ones.
pub const MAX_DOCUMENT_SIZE: u64 = 4 << 20;

/// Why an artifact cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {}
