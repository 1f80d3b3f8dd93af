//! Why a registry operation failed.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::StatusCode;
use wherry_packager::{ArtifactError, Digest, ReferenceError, StoreError};

use crate::patience;

/// Why a registry operation failed. No message contains a credential, a token or a URL
/// (which may be signed).
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The reference names no registry.
    #[error("`{0}` names no registry (write REGISTRY/NAME:TAG)")]
    NoRegistry(String),
    /// The registry's name is not one.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// The registry has no such artifact or blob.
    #[error("{what} is not in the registry {registry}")]
    NotFound {
        /// The registry.
        registry: String,
        /// What was asked for.
        what: String,
    },
    /// The registry asks for credentials, or refuses those it got.
    #[error("the registry {registry} refuses access: {reason}")]
    Unauthorized {
        /// The registry.
        registry: String,
        /// Why, and what to do about it.
        reason: String,
    },
    /// No connection, or it broke.
    #[error("cannot reach the registry {registry}: {reason}")]
    Unreachable {
        /// The registry.
        registry: String,
        /// Why.
        reason: String,
    },
    /// The registry's certificate is not trusted, or TLS fails otherwise.
    #[error("no secure connection to the registry {registry}: {reason}")]
    Tls {
        /// The registry.
        registry: String,
        /// Why.
        reason: String,
    },
    /// What answers does not follow the distribution protocol.
    #[error("{registry} does not answer as a registry does: {reason}")]
    Protocol {
        /// The host.
        registry: String,
        /// What it did.
        reason: String,
    },
    /// The registry refuses, with an HTTP status.
    #[error("the registry {registry} refuses to {action}: HTTP {status}{message}")]
    Refused {
        /// The registry.
        registry: String,
        /// What was asked of it.
        action: &'static str,
        /// The HTTP status.
        status: u16,
        /// What it says, if it says something: `: …`.
        message: String,
        /// How long it wants us to wait before we try again.
        retry_after: Option<Duration>,
    },
    /// What arrived has another digest than it should have.
    #[error("the registry {registry} sent {actual} instead of {expected}")]
    WrongDigest {
        /// The registry.
        registry: String,
        /// What was asked for.
        expected: Digest,
        /// What arrived.
        actual: Digest,
    },
    /// What arrived is longer or shorter than it should be.
    #[error("the registry {registry} sent {actual} bytes of {blob}, which has {expected}")]
    WrongLength {
        /// The registry.
        registry: String,
        /// The blob.
        blob: Digest,
        /// Its size.
        expected: u64,
        /// How many bytes it sent, or announced.
        actual: u64,
    },
    /// The connection broke in the middle of a blob, and again whenever it was resumed.
    #[error(
        "the transfer of {blob} with {registry} broke off after {done} of {size} bytes: {reason}"
    )]
    Interrupted {
        /// The registry.
        registry: String,
        /// The blob.
        blob: Digest,
        /// How many bytes had arrived.
        done: u64,
        /// Its size.
        size: u64,
        /// Why.
        reason: String,
    },
    /// The artifact is not one that Wherry can use.
    #[error("{reference}: {source}")]
    Artifact {
        /// What was asked for.
        reference: String,
        /// Why.
        source: ArtifactError,
    },
    /// The local store refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file with credentials cannot be used.
    #[error("the credentials in {}: {reason}", path.display())]
    Credentials {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// There is no place to look for credentials.
    #[error("neither DOCKER_CONFIG nor HOME is set: there is no place for credentials")]
    NoCredentialsFile,
    /// The file with certificates cannot be used.
    #[error("the CA file {}: {reason}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The configuration says that nothing is to be pulled from there.
    #[error("`{0}` is blocked by the configuration of registries")]
    Blocked(String),
    /// The configuration of registries cannot be used.
    #[error("the configuration of registries {}: {reason}", path.display())]
    Registries {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The client itself could not be set up.
    #[error("cannot set up the network client: {0}")]
    Setup(String),
}

impl RegistryError {
    /// Whether the same may well succeed a moment later.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Interrupted { .. } => true,
            // 416: the registry has another part of an upload than we thought.
            Self::Refused { status, .. } => {
                *status == 416 || StatusCode::from_u16(*status).is_ok_and(patience::is_passing)
            }
            _ => false,
        }
    }

    /// Whether the registry says that what it was sent has another digest.
    pub(crate) fn doubts_the_digest(&self) -> bool {
        matches!(self, Self::Refused { status: 400, message, .. } if message.contains("DIGEST_INVALID"))
    }

    /// How long the registry wants us to wait before we try again.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// A request that got no answer.
    pub(crate) fn transport(registry: &str, error: reqwest::Error) -> Self {
        let registry = registry.to_owned();
        let error = error.without_url();
        match tls_reason(&error) {
            Some(reason) => Self::Tls { registry, reason },
            None => Self::Unreachable {
                registry,
                reason: innermost(&error),
            },
        }
    }
}

/// What TLS says about a failed request, if it failed there.
fn tls_reason(error: &(dyn Error + 'static)) -> Option<String> {
    causes(error).find_map(|cause| cause.downcast_ref::<rustls::Error>()).map(|error| match error {
        rustls::Error::InvalidCertificate(reason) => {
            format!("its certificate is not accepted ({reason}); a private CA can be trusted with WHERRY_CA_FILE")
        }
        other => other.to_string(),
    })
}

/// The last of a chain of causes, which says what really happened.
pub(crate) fn innermost(error: &(dyn Error + 'static)) -> String {
    causes(error)
        .last()
        .map_or_else(|| error.to_string(), ToString::to_string)
}

/// An error and its causes. `io::Error` hides the error that it wraps from `source`.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        let error: &'a (dyn Error + 'static) = *error;
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        match wrapped {
            Some(wrapped) => Some(wrapped as &(dyn Error + 'static)),
            None => error.source(),
        }
    })
}
