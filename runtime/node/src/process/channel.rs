//! Messages between the process that answers for a job and those that work for it.
//!
//! A message is the length of its JSON (4 bytes, little-endian), the length of the bytes that go
//! with it (8 bytes), the JSON, and the bytes. Both lengths are limited before anything is read:
//! the other side may be in a stranger's hands.

use std::io::{self, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// More than any message: a record with all its arguments is the largest.
const MAX_MESSAGE: u32 = 32 << 20;

/// Sends a message, and bytes that go with it.
pub(crate) fn send(mut to: impl Write, message: &impl Serialize, bytes: &[u8]) -> io::Result<()> {
    let text = serde_json::to_vec(message)?;
    let length = u32::try_from(text.len()).ok();
    let length = length.filter(|length| *length <= MAX_MESSAGE);
    let length = length.ok_or_else(|| damaged("a message is too long"))?;
    let mut head = Vec::with_capacity(text.len() + 12);
    head.extend_from_slice(&length.to_le_bytes());
    head.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    head.extend_from_slice(&text);
    to.write_all(&head)?;
    to.write_all(bytes)
}

/// Receives a message with at most so many bytes. None if the other side has gone.
pub(crate) fn receive<T: DeserializeOwned>(
    from: impl Read,
    most: u64,
) -> io::Result<Option<(T, Vec<u8>)>> {
    receive_short(from, MAX_MESSAGE, most)
}

/// As [`receive`], of a message that is no longer than that.
pub(crate) fn receive_short<T: DeserializeOwned>(
    mut from: impl Read,
    longest: u32,
    most: u64,
) -> io::Result<Option<(T, Vec<u8>)>> {
    let mut length = [0; 4];
    if from.read(&mut length[..1])? == 0 {
        return Ok(None);
    }
    from.read_exact(&mut length[1..])?;
    let length = u32::from_le_bytes(length);
    let mut count = [0; 8];
    from.read_exact(&mut count)?;
    let count = u64::from_le_bytes(count);
    if length > longest || count > most {
        return Err(damaged("a message is too long"));
    }
    let text = exactly(&mut from, u64::from(length))?;
    // Text that ends too early is damaged, too: nobody has gone.
    let message = serde_json::from_slice(&text).map_err(|error| damaged(&error.to_string()))?;
    Ok(Some((message, exactly(&mut from, count)?)))
}

/// Memory is taken as the bytes arrive, not because somebody says that they will.
fn exactly(from: &mut impl Read, count: u64) -> io::Result<Vec<u8>> {
    const AT_ONCE: u64 = 16 << 20;
    let mut bytes = Vec::with_capacity(usize::try_from(count.min(AT_ONCE)).unwrap_or(0));
    from.take(count).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == count {
        Ok(bytes)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

fn damaged(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_arrives_and_then_nothing() {
        let mut wire = Vec::new();
        send(&mut wire, &"one", b"with bytes").unwrap();
        send(&mut wire, &2, b"").unwrap();
        let mut wire = wire.as_slice();
        let one: (String, _) = receive(&mut wire, 10).unwrap().unwrap();
        assert_eq!(one, ("one".to_owned(), b"with bytes".to_vec()));
        let two: (u8, _) = receive(&mut wire, 0).unwrap().unwrap();
        assert_eq!(two, (2, Vec::new()));
        assert!(receive::<u8>(&mut wire, 0).unwrap().is_none());
    }

    #[test]
    fn what_is_longer_than_it_may_be_is_refused_unread() {
        let mut wire = Vec::new();
        send(&mut wire, &1, b"11 letters.").unwrap();
        assert!(receive::<u8>(wire.as_slice(), 10).is_err());
        let endless = [0xff; 12];
        assert!(receive::<u8>(endless.as_slice(), u64::MAX).is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_a_message_or_refused(bytes: Vec<u8>, cut: usize, flip: usize, bit in 0..8u8) {
            let _ = receive::<serde_json::Value>(bytes.as_slice(), 64);
            let mut wire = Vec::new();
            send(&mut wire, &"message", b"bytes").unwrap();
            proptest::prop_assert!(receive::<String>(&wire[..1 + cut % (wire.len() - 1)], 64).is_err());
            let place = flip % wire.len();
            wire[place] ^= 1 << bit;
            let _ = receive::<String>(wire.as_slice(), 64);
        }
    }
}
