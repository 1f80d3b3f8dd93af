//! Sigstore bundles: a signature and which key made it, in one JSON document.
//!
//! <https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_bundle.proto>, in the
//! JSON form of protobuf.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::encoding::{as_base64, excerpt, null_is_empty};
use crate::envelope::Envelope;
use crate::key::{KeyError, SigningKey};
use crate::names;
use crate::statement::Statement;

/// The largest bundle that is read, in bytes: as large as a manifest may be.
pub const MAX_BUNDLE_SIZE: usize = 4 << 20;

/// Media types of the versions that are read. They differ in what a certificate needs; to a key
/// pair they are one.
const KNOWN: [&str; 4] = [
    names::BUNDLE,
    "application/vnd.dev.sigstore.bundle+json;version=0.3",
    "application/vnd.dev.sigstore.bundle+json;version=0.2",
    "application/vnd.dev.sigstore.bundle+json;version=0.1",
];

const SHA2_256: &str = "SHA2_256";

/// A bundle that was made with a key pair.
#[derive(Clone, Debug, PartialEq)]
pub struct Bundle {
    hint: String,
    content: Content,
    logged: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Content {
    /// A statement about artifacts.
    Envelope(Envelope),
    /// A signature of the artifact's bytes.
    Message(MessageSignature),
}

/// Why a bundle is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// It has more bytes than are read.
    #[error("it has more than the {MAX_BUNDLE_SIZE} bytes of a bundle")]
    TooLarge,
    /// It is not the JSON of a bundle.
    #[error("it is not a Sigstore bundle: {0}")]
    Malformed(String),
    /// It is a bundle of another version.
    #[error("it is a bundle of type `{0}`, which is not known")]
    Version(String),
    /// It was signed with a certificate, not with a key pair.
    #[error("it was signed with a certificate; only signatures of key pairs are verified")]
    Certificate,
    /// It names two different keys.
    #[error("it names one key in its envelope and another one beside it")]
    TwoKeys,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Json {
    media_type: String,
    verification_material: Material,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dsse_envelope: Option<Envelope>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message_signature: Option<MessageSignature>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    public_key: Option<KeyHint>,
    #[serde(default, skip_serializing)]
    certificate: Option<Value>,
    #[serde(default, skip_serializing)]
    x509_certificate_chain: Option<Value>,
    #[serde(default, skip_serializing, deserialize_with = "null_is_empty")]
    tlog_entries: Vec<Value>,
}

#[derive(Serialize, Deserialize)]
struct KeyHint {
    #[serde(default, deserialize_with = "null_is_empty")]
    hint: String,
}

/// A signature of the bytes of an artifact, as `cosign sign-blob` makes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MessageSignature {
    message_digest: MessageDigest,
    #[serde(with = "as_base64")]
    pub(crate) signature: Vec<u8>,
}

/// Only a help to find the artifact: it is the signature that counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct MessageDigest {
    algorithm: String,
    #[serde(with = "as_base64")]
    digest: Vec<u8>,
}

impl Bundle {
    /// Signs a statement.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn sign(key: &SigningKey, statement: &Statement) -> Result<Self, KeyError> {
        let envelope = Envelope::sign(key, names::STATEMENT, statement.to_json())?;
        Ok(Self {
            hint: key.public().id().to_string(),
            content: Content::Envelope(envelope),
            logged: false,
        })
    }

    /// Signs bytes, as `cosign sign-blob` does.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn sign_message(key: &SigningKey, message: &[u8]) -> Result<Self, KeyError> {
        let digest = ring::digest::digest(&ring::digest::SHA256, message);
        let content = Content::Message(MessageSignature {
            message_digest: MessageDigest {
                algorithm: SHA2_256.to_owned(),
                digest: digest.as_ref().to_owned(),
            },
            signature: key.sign(message)?,
        });
        Ok(Self {
            hint: key.public().id().to_string(),
            content,
            logged: false,
        })
    }

    /// Reads a bundle. Nothing in it is verified by that.
    ///
    /// # Errors
    /// It is not one that was made with a key pair.
    pub fn parse(json: &[u8]) -> Result<Self, BundleError> {
        if json.len() > MAX_BUNDLE_SIZE {
            return Err(BundleError::TooLarge);
        }
        let malformed = |error: serde_json::Error| BundleError::Malformed(error.to_string());
        let json: Json = serde_json::from_slice(json).map_err(malformed)?;
        if !KNOWN.contains(&json.media_type.as_str()) {
            return Err(BundleError::Version(excerpt(&json.media_type)));
        }
        let material = json.verification_material;
        let has_certificate =
            material.certificate.is_some() || material.x509_certificate_chain.is_some();
        let hint = match material.public_key {
            Some(_) if has_certificate => {
                return malformed_because("it has a key and a certificate");
            }
            Some(key) => key.hint,
            None if has_certificate => return Err(BundleError::Certificate),
            None => return malformed_because("it does not say what verifies it"),
        };
        let content = match (json.dsse_envelope, json.message_signature) {
            (Some(envelope), None) => Content::Envelope(envelope),
            (None, Some(signature)) => Content::Message(signature),
            _ => return malformed_because("it has not exactly one content"),
        };
        if let Content::Envelope(envelope) = &content {
            let named = envelope.key_hint();
            if !named.is_empty() && !hint.is_empty() && named != hint {
                return Err(BundleError::TwoKeys);
            }
        }
        Ok(Self {
            hint,
            content,
            logged: !material.tlog_entries.is_empty(),
        })
    }

    /// As JSON, the same bytes for the same bundle. Entries of a transparency log that it had when
    /// it was read are left out.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        // Strings in structures: there is nothing in it that JSON cannot have.
        serde_json::to_vec(&self.json()).unwrap_or_default()
    }

    /// The same as a part of other JSON.
    #[must_use]
    pub fn to_value(&self) -> Value {
        serde_json::to_value(self.json()).unwrap_or_default()
    }

    fn json(&self) -> Json {
        let (dsse_envelope, message_signature) = match self.content.clone() {
            Content::Envelope(envelope) => (Some(envelope), None),
            Content::Message(signature) => (None, Some(signature)),
        };
        Json {
            media_type: names::BUNDLE.to_owned(),
            verification_material: Material {
                public_key: Some(KeyHint {
                    hint: self.hint.clone(),
                }),
                certificate: None,
                x509_certificate_chain: None,
                tlog_entries: Vec::new(),
            },
            dsse_envelope,
            message_signature,
        }
    }

    /// The name of the key that made it, as the bundle has it: to find the key, not to believe it.
    #[must_use]
    pub fn hint(&self) -> &str {
        &self.hint
    }

    /// Whether it has entries of a transparency log. They are not verified, and add no trust.
    #[must_use]
    pub fn is_logged(&self) -> bool {
        self.logged
    }

    /// The statement that it claims to be signed, for people to look at; none if it is a signature
    /// of bytes. To believe it, see [`crate::TrustedKeys`].
    #[must_use]
    pub fn unverified_statement(&self) -> Option<Statement> {
        match &self.content {
            Content::Envelope(envelope) if envelope.payload_type() == names::STATEMENT => {
                Statement::parse(envelope.payload()).ok()
            }
            _ => None,
        }
    }

    pub(crate) fn content(&self) -> &Content {
        &self.content
    }
}

fn malformed_because(reason: &str) -> Result<Bundle, BundleError> {
    Err(BundleError::Malformed(reason.to_owned()))
}
