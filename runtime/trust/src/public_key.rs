//! Public keys: who may be believed.

use std::fmt;

use ring::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey, VerificationAlgorithm};

use crate::encoding;
use crate::key::{Algorithm, KeyError, block_of};

const PEM_TAG: &str = "PUBLIC KEY";

/// What comes before the point in a SubjectPublicKeyInfo (RFC 5280, RFC 5480) of a key on P-256.
const P256_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
const P256_POINT: usize = 65;

/// The same for Ed25519 (RFC 8410).
const ED25519_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
const ED25519_POINT: usize = 32;

/// The name of a key: the SHA-256 of its DER encoding. It is written in base64, as cosign
/// writes it into the hint of a bundle.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 32]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encoding::base64(&self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// A public key.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PublicKey {
    algorithm: Algorithm,
    /// Its SubjectPublicKeyInfo in DER. There is one encoding of each key: no other is accepted.
    der: Vec<u8>,
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({:?} {})", self.algorithm, self.id())
    }
}

impl PublicKey {
    /// Reads the PEM of a SubjectPublicKeyInfo, as cosign and openssl write it.
    ///
    /// # Errors
    /// It is something else, or of an algorithm that is not known.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let block = block_of(pem)?;
        match block.tag() {
            PEM_TAG => Self::from_der(block.contents()),
            tag if tag.contains("PRIVATE KEY") => Err(KeyError::Private),
            tag => Err(KeyError::Kind(encoding::excerpt(tag))),
        }
    }

    /// Reads a SubjectPublicKeyInfo in DER.
    ///
    /// # Errors
    /// It is something else, or of an algorithm that is not known.
    pub fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        let fits = |prefix: &[u8], point: usize| {
            der.len() == prefix.len() + point && der.starts_with(prefix)
        };
        let algorithm = if fits(&P256_PREFIX, P256_POINT) {
            Algorithm::EcdsaP256
        } else if fits(&ED25519_PREFIX, ED25519_POINT) {
            Algorithm::Ed25519
        } else {
            return Err(KeyError::Algorithm);
        };
        Ok(Self {
            algorithm,
            der: der.to_owned(),
        })
    }

    pub(crate) fn of_point(algorithm: Algorithm, point: &[u8]) -> Self {
        let prefix: &[u8] = match algorithm {
            Algorithm::EcdsaP256 => &P256_PREFIX,
            Algorithm::Ed25519 => &ED25519_PREFIX,
        };
        Self {
            algorithm,
            der: [prefix, point].concat(),
        }
    }

    /// What kind of key it is.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> KeyId {
        let digest = ring::digest::digest(&ring::digest::SHA256, &self.der);
        let mut id = [0; 32];
        id.copy_from_slice(digest.as_ref());
        KeyId(id)
    }

    /// As PEM.
    #[must_use]
    pub fn to_pem(&self) -> String {
        crate::key::to_pem(PEM_TAG, &self.der)
    }

    /// Its SubjectPublicKeyInfo in DER.
    #[must_use]
    pub fn to_der(&self) -> &[u8] {
        &self.der
    }

    /// Whether `signature` is one of `message` by the owner of this key. ECDSA signatures are
    /// ASN.1 (`SEQUENCE { r, s }`) over SHA-256, Ed25519 ones are of the message itself.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let (algorithm, length): (&dyn VerificationAlgorithm, _) = match self.algorithm {
            Algorithm::EcdsaP256 => (&ECDSA_P256_SHA256_ASN1, P256_POINT),
            Algorithm::Ed25519 => (&ED25519, ED25519_POINT),
        };
        let point = &self.der[self.der.len() - length..];
        UnparsedPublicKey::new(algorithm, point)
            .verify(message, signature)
            .is_ok()
    }
}
