//! DSSE envelopes: a payload, its type, and a signature of both.
//!
//! <https://github.com/secure-systems-lab/dsse/blob/v1.0.2/protocol.md>

use serde::{Deserialize, Serialize};

use crate::encoding::{as_base64, null_is_empty};
use crate::key::{KeyError, SigningKey};
use crate::public_key::PublicKey;

/// An envelope with one signature, which is what a bundle may have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    #[serde(with = "as_base64")]
    payload: Vec<u8>,
    payload_type: String,
    signatures: [Signature; 1],
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Signature {
    #[serde(with = "as_base64")]
    sig: Vec<u8>,
    #[serde(
        default,
        deserialize_with = "null_is_empty",
        skip_serializing_if = "String::is_empty"
    )]
    keyid: String,
}

impl Envelope {
    /// Signs `payload`, which is of `payload_type`.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn sign(key: &SigningKey, payload_type: &str, payload: Vec<u8>) -> Result<Self, KeyError> {
        let sig = key.sign(&authenticated(payload_type, &payload))?;
        Ok(Self {
            payload,
            payload_type: payload_type.to_owned(),
            // The bundle names the key. Here cosign 3 names none either, and takes another name
            // than the one that it would compute for that of another key.
            signatures: [Signature {
                sig,
                keyid: String::new(),
            }],
        })
    }

    /// Whether the owner of `key` signed it.
    #[must_use]
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        let [Signature { sig, .. }] = &self.signatures;
        key.verifies(&authenticated(&self.payload_type, &self.payload), sig)
    }

    /// The type that it gives its payload.
    #[must_use]
    pub fn payload_type(&self) -> &str {
        &self.payload_type
    }

    /// What is signed. Before a trusted key was found to have signed it, anybody may have
    /// written it.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The name of the key, as the envelope has it; empty if it has none.
    pub(crate) fn key_hint(&self) -> &str {
        &self.signatures[0].keyid
    }
}

/// The bytes that a signature is of: type and payload, each with its length before it, so that no
/// two pairs give the same bytes.
fn authenticated(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let (type_length, length) = (payload_type.len(), payload.len());
    let mut bytes = format!("DSSEv1 {type_length} {payload_type} {length} ").into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_example_of_the_specification() {
        let bytes = super::authenticated("http://example.com/HelloWorld", b"hello world");
        let expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world";
        assert_eq!(bytes, expected);
    }
}
