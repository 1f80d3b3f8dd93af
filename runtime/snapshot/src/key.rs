//! Keys that checkpoints are encrypted with.

use std::fmt;
use std::sync::Arc;

use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use zeroize::{Zeroize, Zeroizing};

use crate::Digest;

/// Bytes of a key.
const LENGTH: usize = 32;

/// A secret that checkpoints are encrypted with: 256 bits, as random as they can be. Its memory
/// is cleared when the last clone goes.
#[derive(Clone)]
pub struct Key(Arc<Zeroizing<[u8; LENGTH]>>);

/// Tells keys apart, and says nothing about them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct KeyId(pub(crate) [u8; 16]);

/// Why bytes are no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// They are too many or too few.
    #[error("a key has 32 bytes, or 64 hexadecimal digits, and not {0} bytes")]
    Length(usize),
    /// They are as many as the digits of a key, but others are among them.
    #[error("a key of 64 characters is made of hexadecimal digits")]
    NotHexadecimal,
    /// They are digits, but only half of a key.
    #[error("32 hexadecimal digits are half a key: write 64")]
    HalfAKey,
}

impl Key {
    /// A key of these bytes.
    #[must_use]
    pub fn new(bytes: [u8; LENGTH]) -> Self {
        Key(Arc::new(Zeroizing::new(bytes)))
    }

    /// Its bytes, for another process that [parses](Self::parse) them.
    #[must_use]
    pub fn secret(&self) -> Zeroizing<[u8; LENGTH]> {
        self.0.as_ref().clone()
    }

    /// Reads a key as it stands in a file: 32 bytes, or 64 hexadecimal digits and the end of
    /// a line.
    ///
    /// # Errors
    /// It is neither.
    pub fn parse(text: &[u8]) -> Result<Self, KeyError> {
        if let Ok(bytes) = <[u8; LENGTH]>::try_from(text) {
            if text.iter().all(u8::is_ascii_hexdigit) {
                return Err(KeyError::HalfAKey);
            }
            return Ok(Self::new(bytes));
        }
        let digits = text.trim_ascii_end();
        let (pairs, rest) = digits.as_chunks::<2>();
        if pairs.len() != LENGTH || !rest.is_empty() {
            return Err(KeyError::Length(text.len()));
        }
        let mut bytes = [0; LENGTH];
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => *byte = high << 4 | low,
                _ => {
                    bytes.zeroize();
                    return Err(KeyError::NotHexadecimal);
                }
            }
        }
        Ok(Self::new(bytes))
    }

    /// What it is called in the files that are encrypted with it.
    #[must_use]
    pub fn id(&self) -> KeyId {
        KeyId(self.derived(b"wherry key id 1"))
    }

    /// Another name for a digest: equal for equal ones, and without the key nobody can tell
    /// whether it is that of something that he knows.
    #[must_use]
    pub fn name(&self, digest: &Digest) -> Digest {
        let secret = Zeroizing::new(self.derived::<32>(b"wherry state name 1"));
        let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &*secret);
        let mut name = [0; 32];
        name.copy_from_slice(ring::hmac::sign(&secret, digest).as_ref());
        name
    }

    /// The source of what is derived from this key and `salt`.
    pub(crate) fn extract(&self, salt: &[u8]) -> Prk {
        Salt::new(HKDF_SHA256, salt).extract(&**self.0)
    }

    fn derived<const N: usize>(&self, purpose: &[u8]) -> [u8; N] {
        let mut bytes = [0; N];
        let purpose = [purpose];
        let source = self.extract(&[]);
        let derived = source.expand(&purpose, Bytes(N));
        // It fails for more than 8 KiB only.
        let filled = derived.and_then(|derived| derived.fill(&mut bytes));
        debug_assert!(filled.is_ok());
        bytes
    }
}

/// Two keys are the same if they have the same name.
impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for Key {}

struct Bytes(usize);

impl KeyType for Bytes {
    fn len(&self) -> usize {
        self.0
    }
}

fn digit(character: u8) -> Option<u8> {
    let value = char::from(character).to_digit(16)?;
    u8::try_from(value).ok()
}

/// Without what it is.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id())
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_digits_are_the_same_key() {
        let bytes: [u8; 32] = std::array::from_fn(|index| 0xa0 | u8::try_from(index).unwrap());
        let digits: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        let key = Key::parse(&bytes).unwrap();
        for text in [
            digits.clone(),
            format!("{digits}\n"),
            format!("{digits}\r\n"),
        ] {
            assert_eq!(Key::parse(text.as_bytes()).unwrap(), key);
        }
        assert_eq!(**key.0, bytes);
        assert_ne!(Key::new([1; 32]), key);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for length in [0, 1, 31, 33, 63, 65, 1000] {
            let refused = Key::parse(&vec![b'a'; length]).unwrap_err();
            assert_eq!(refused, KeyError::Length(length));
        }
        assert_eq!(Key::parse(&[b'a'; 32]), Err(KeyError::HalfAKey));
        assert_eq!(Key::parse(&[b'g'; 64]), Err(KeyError::NotHexadecimal));
    }

    #[test]
    fn a_key_is_not_shown() {
        let key = Key::new([0x5a; 32]);
        assert_eq!(format!("{key:?}"), format!("Key({})", key.id()));
        assert!(!format!("{key:?}").contains("5a5a"));
    }

    #[test]
    fn names_depend_on_key_and_digest() {
        let (one, other) = (Key::new([1; 32]), Key::new([2; 32]));
        assert_eq!(one.name(&[3; 32]), one.name(&[3; 32]));
        assert_ne!(one.name(&[3; 32]), one.name(&[4; 32]));
        assert_ne!(one.name(&[3; 32]), other.name(&[3; 32]));
    }
}
