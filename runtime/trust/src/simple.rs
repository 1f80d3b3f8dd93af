//! Signatures of cosign before version 3: a layer with a payload in the format of "simple
//! signing", and its signature in an annotation of the layer.
//!
//! <https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>

use serde::Deserialize;

use crate::encoding::{digest_from_hex, from_base64};
use crate::public_key::PublicKey;
use crate::statement::Sha256;

/// More than any payload has, in bytes.
const MAX_PAYLOAD: usize = 64 << 10;
const KIND: &str = "cosign container image signature";

/// A signature of that form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimpleSignature {
    payload: Vec<u8>,
    signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Payload {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Image {
    docker_manifest_digest: String,
}

impl SimpleSignature {
    /// Takes the bytes of the layer and the text of its annotation
    /// [`crate::names::SIMPLE_SIGNATURE`]. `None` if they are too large, or the text is not base64.
    #[must_use]
    pub fn new(payload: Vec<u8>, annotation: &str) -> Option<Self> {
        if payload.len() > MAX_PAYLOAD || annotation.len() > MAX_PAYLOAD {
            return None;
        }
        Some(Self {
            payload,
            signature: from_base64(annotation)?,
        })
    }

    pub(crate) fn is_signed_by(&self, key: &PublicKey) -> bool {
        key.verifies(&self.payload, &self.signature)
    }

    /// The digest of the manifest that is signed, as the payload has it; none if it is not a
    /// payload of cosign.
    #[must_use]
    pub fn unverified_subject(&self) -> Option<Sha256> {
        let payload: Payload = serde_json::from_slice(&self.payload).ok()?;
        let Critical { image, kind } = payload.critical;
        let hex = image.docker_manifest_digest.strip_prefix("sha256:")?;
        digest_from_hex(hex).filter(|_| kind == KIND)
    }
}
