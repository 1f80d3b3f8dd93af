//! Encrypting the parts of one file, and opening them again.
//!
//! Every file has a key of its own, derived from the user's key and a random salt. Under it,
//! each part has a nonce of its own: the kind of its section, and for a chunk its number. So
//! no nonce is ever used twice, and a part opens only in its file and at its place.

use std::io;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

use crate::layout::Kind;
use crate::{Error, Key, KeyId};

/// What a sealed part is longer than its content: the tag.
pub(crate) const OVERHEAD: usize = 16;

/// HKDF-SHA256 and AES-256-GCM.
const ALGORITHM: u32 = 1;

/// The section *encryption*: how the file is encrypted, for whoever has the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Encryption {
    algorithm: u32,
    pub(crate) key: KeyId,
    salt: [u8; 32],
}

impl Encryption {
    /// For a new file.
    pub(crate) fn new(key: &Key) -> io::Result<Self> {
        let mut salt = [0; 32];
        SystemRandom::new()
            .fill(&mut salt)
            .map_err(|_| io::Error::other("the system has no random numbers"))?;
        Ok(Encryption {
            algorithm: ALGORITHM,
            key: key.id(),
            salt,
        })
    }

    /// What opens the parts of the file.
    pub(crate) fn seal(&self, key: Option<&Key>) -> Result<Seal, Error> {
        if self.algorithm != ALGORITHM {
            return Err(Error::UnknownEncryption {
                algorithm: self.algorithm,
            });
        }
        let expected = self.key;
        let key = key.ok_or(Error::KeyNeeded { key: expected })?;
        if key.id() != expected {
            let found = key.id();
            return Err(Error::WrongKey { found, expected });
        }
        let purpose = [&b"wherry checkpoint 1"[..], &self.algorithm.to_le_bytes()];
        let derived = key.extract(&self.salt);
        let derived = derived.expand(&purpose, &AES_256_GCM);
        // It fails for more than 8 KiB only.
        let derived = derived.map_err(|_| io::Error::other("no key can be derived"))?;
        Ok(Seal(LessSafeKey::new(UnboundKey::from(derived))))
    }
}

/// The key of one file.
pub(crate) struct Seal(LessSafeKey);

impl Seal {
    /// Encrypts `content`, and appends the tag. For each part of a file only once: the same
    /// nonce with other content would give both away.
    pub(crate) fn close(&self, kind: Kind, number: u64, content: &mut Vec<u8>) -> io::Result<()> {
        self.0
            .seal_in_place_append_tag(nonce(kind, number), Aad::empty(), content)
            .map_err(|_| io::Error::other("a part is too long to be encrypted"))
    }

    /// Decrypts a part in its place, and returns the content.
    pub(crate) fn open<'a>(
        &self,
        kind: Kind,
        number: u64,
        sealed: &'a mut [u8],
    ) -> Result<&'a mut [u8], Error> {
        self.0
            .open_in_place(nonce(kind, number), Aad::empty(), sealed)
            .map_err(|_| Error::NotAuthentic { part: kind.name() })
    }
}

fn nonce(kind: Kind, number: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[..4].copy_from_slice(&kind.number().to_le_bytes());
    nonce[4..].copy_from_slice(&number.to_le_bytes());
    Nonce::assume_unique_for_key(nonce)
}
