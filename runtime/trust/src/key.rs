//! Private keys: made, read and written as cosign does.

use std::fmt;

use pem::{EncodeConfig, LineEnding, Pem};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use zeroize::Zeroizing;

use crate::encoding::excerpt;
use crate::encrypted;
use crate::public_key::PublicKey;

/// More than any key file has, in bytes.
pub const MAX_KEY_SIZE: usize = 16 << 10;

const PLAIN_TAG: &str = "PRIVATE KEY";
const ENCRYPTED_TAG: &str = "ENCRYPTED SIGSTORE PRIVATE KEY";
/// What cosign called it in its first versions.
const OLD_ENCRYPTED_TAG: &str = "ENCRYPTED COSIGN PRIVATE KEY";

/// What a key computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256: what cosign makes, and every Sigstore client verifies.
    EcdsaP256,
    /// Ed25519 of the message. cosign 3 verifies that, but signs with Ed25519ph, which is something
    /// else and is not verified here.
    Ed25519,
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EcdsaP256 => "ECDSA P-256",
            Self::Ed25519 => "Ed25519",
        })
    }
}

/// Why a key is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It has more bytes than any key.
    #[error("it has more than the {MAX_KEY_SIZE} bytes of a key")]
    TooLarge,
    /// It is not one PEM block.
    #[error("it is not a key in PEM form")]
    NotPem,
    /// A PEM block of something else.
    #[error("it is a PEM block of type `{0}`, which is not known")]
    Kind(String),
    /// A private key where a public one was wanted.
    #[error("it is a private key, where a public one is wanted")]
    Private,
    /// A public key where a private one was wanted.
    #[error("it is a public key, where a private one is wanted")]
    Public,
    /// Neither ECDSA on P-256 nor Ed25519.
    #[error("it is neither an ECDSA P-256 nor an Ed25519 key")]
    Algorithm,
    /// The private key is malformed, or its two halves do not belong together.
    #[error("it is not a valid PKCS #8 private key")]
    Invalid,
    /// The encrypted form is malformed or of parameters that are not known.
    #[error("it is not a key that cosign encrypted: {0}")]
    Encryption(String),
    /// The password is not the one that it was encrypted with, or the file is damaged.
    #[error("the password is wrong, or the key is damaged")]
    Password,
    /// The system has no random numbers.
    #[error("the system has no random numbers")]
    Random,
}

/// A private key, which signs.
pub struct SigningKey {
    pair: Pair,
    /// PKCS #8, for writing it.
    der: Zeroizing<Vec<u8>>,
}

enum Pair {
    EcdsaP256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// Shows which key it is, and nothing of it.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public().id())
    }
}

impl SigningKey {
    /// A new key.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        let random = SystemRandom::new();
        let document = match algorithm {
            Algorithm::EcdsaP256 => {
                EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random)
            }
            Algorithm::Ed25519 => Ed25519KeyPair::generate_pkcs8(&random),
        };
        Self::from_der(document.map_err(|_| KeyError::Random)?.as_ref())
    }

    /// Reads a key in PEM form: PKCS #8 as openssl writes it, or the encrypted form of cosign,
    /// for which `password` is asked.
    ///
    /// # Errors
    /// It is something else, or the password is wrong. `E` is the error of `password`.
    pub fn from_pem<E: From<KeyError>>(
        pem: &[u8],
        password: impl FnOnce() -> Result<Zeroizing<Vec<u8>>, E>,
    ) -> Result<Self, E> {
        let block = block_of(pem)?;
        let der = match block.tag() {
            PLAIN_TAG => Zeroizing::new(block.into_contents()),
            ENCRYPTED_TAG | OLD_ENCRYPTED_TAG => {
                let sealed = encrypted::parse(block.contents())?;
                sealed.open(&password()?)?
            }
            "PUBLIC KEY" => return Err(KeyError::Public.into()),
            tag => return Err(KeyError::Kind(excerpt(tag)).into()),
        };
        Ok(Self::from_der(&der)?)
    }

    /// Reads a PKCS #8 private key in DER.
    ///
    /// # Errors
    /// It is something else, or its algorithm is not known.
    pub fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        let random = SystemRandom::new();
        let p256 = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der, &random);
        let pair = match p256 {
            Ok(pair) => Pair::EcdsaP256(pair),
            // OpenSSL leaves the public half out of Ed25519 keys; it is computed then.
            Err(_) => Ed25519KeyPair::from_pkcs8_maybe_unchecked(der)
                .map(Pair::Ed25519)
                .map_err(|_| KeyError::Invalid)?,
        };
        Ok(Self {
            pair,
            der: Zeroizing::new(der.to_owned()),
        })
    }

    /// As a PEM block of PKCS #8, unprotected.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(to_pem(PLAIN_TAG, &self.der))
    }

    /// As cosign writes it, encrypted with `password` (which may be empty, and then protects
    /// nothing).
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn to_encrypted_pem(&self, password: &[u8]) -> Result<Zeroizing<String>, KeyError> {
        let sealed = encrypted::seal(&self.der, password)?;
        Ok(Zeroizing::new(to_pem(ENCRYPTED_TAG, &sealed)))
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        match &self.pair {
            Pair::EcdsaP256(pair) => {
                PublicKey::of_point(Algorithm::EcdsaP256, pair.public_key().as_ref())
            }
            Pair::Ed25519(pair) => {
                PublicKey::of_point(Algorithm::Ed25519, pair.public_key().as_ref())
            }
        }
    }

    /// A signature of `message`, in the form that [`PublicKey::verifies`] takes.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let signature = match &self.pair {
            Pair::EcdsaP256(pair) => pair
                .sign(&SystemRandom::new(), message)
                .map_err(|_| KeyError::Random)?,
            Pair::Ed25519(pair) => pair.sign(message),
        };
        Ok(signature.as_ref().to_owned())
    }
}

/// The one PEM block of a key file.
pub(crate) fn block_of(pem: &[u8]) -> Result<Pem, KeyError> {
    if pem.len() > MAX_KEY_SIZE {
        return Err(KeyError::TooLarge);
    }
    let mut blocks = pem::parse_many(pem).map_err(|_| KeyError::NotPem)?;
    match (blocks.pop(), blocks.is_empty()) {
        (Some(block), true) => Ok(block),
        _ => Err(KeyError::NotPem),
    }
}

pub(crate) fn to_pem(tag: &str, contents: &[u8]) -> String {
    let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
    pem::encode_config(&Pem::new(tag, contents), config)
}
