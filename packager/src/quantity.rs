//! Amounts of memory and of time as people write them: `256 MiB`, `10m`.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

/// Longest time that can be asked for: a century, well inside every clock's range.
pub(crate) const MAX_DURATION: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// More than any machine has.
pub(crate) const MAX_BYTES: u64 = 1 << 50;

const UNITS: [(&str, u64); 10] = [
    ("", 1),
    ("B", 1),
    ("kB", 1000),
    ("MB", 1000 * 1000),
    ("GB", 1000 * 1000 * 1000),
    ("TB", 1000 * 1000 * 1000 * 1000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// Bytes, from an integer and a unit: `1048576`, `256 MiB`, `4GB`.
///
/// # Errors
/// What is wrong with the text, which it names.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start();
    let refused = |why: &str| {
        format!(
            "`{}` is not an amount of memory such as `256 MiB`: {why}",
            crate::digest::excerpt(text)
        )
    };
    let scale = UNITS
        .iter()
        .find_map(|(name, scale)| (*name == unit).then_some(*scale))
        .ok_or_else(|| refused("the units are B, kB, MB, GB, TB, KiB, MiB, GiB and TiB"))?;
    if number.is_empty() {
        return Err(refused("it does not start with a whole number"));
    }
    // Digits that are no number are too many.
    let bytes = number
        .parse()
        .ok()
        .and_then(|number: u64| number.checked_mul(scale));
    match bytes {
        Some(0) => Err(refused("zero is not useful")),
        Some(bytes) if bytes <= MAX_BYTES => Ok(bytes),
        _ => Err(refused("it is more than any machine has")),
    }
}

/// A time, as `humantime` reads it: `90s`, `10m`, `1h 30m`, `2 days`. Milliseconds count.
///
/// # Errors
/// What is wrong with the text, which it names.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let refused = |why: &str| {
        format!(
            "`{}` is not a time such as `10m`: {why}",
            crate::digest::excerpt(text)
        )
    };
    let time = humantime::parse_duration(text).map_err(|error| refused(&error.to_string()))?;
    if time < Duration::from_millis(1) {
        Err(refused("it is less than a millisecond"))
    } else if time > MAX_DURATION {
        Err(refused("it is more than a century"))
    } else {
        Ok(Duration::from_millis(
            u64::try_from(time.as_millis()).map_err(|_| refused("it is too long"))?,
        ))
    }
}

/// For serde: an optional amount of memory.
pub(crate) fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_bytes(&text)
        .map(Some)
        .map_err(serde::de::Error::custom)
}

/// For serde: an optional time.
pub(crate) fn duration<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_duration(&text)
        .map(Some)
        .map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn as_people_write_them() {
        assert_eq!(parse_bytes("256 MiB"), Ok(256 << 20));
        assert_eq!(parse_bytes("4GB"), Ok(4_000_000_000));
        assert_eq!(parse_bytes(" 1 "), Ok(1));
        assert_eq!(parse_duration("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(parse_duration("1h 30m"), Ok(Duration::from_secs(5400)));
    }

    #[test]
    fn refused() {
        for text in [
            "",
            "MiB",
            "1 mib",
            "1.5 GiB",
            "-1",
            "0",
            "0 GiB",
            "18446744073709551615 KiB",
            "99999999999999999999",
            "9223372036854775808",
            "1025 TiB",
        ] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
        for text in [
            "",
            "10",
            "0s",
            "1ns",
            "101y",
            "m",
            "-1s",
            "99999999999999999999s",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}") {
            let _ = (parse_bytes(&text), parse_duration(&text));
        }
    }
}
