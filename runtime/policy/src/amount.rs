//! Amounts as people and programs read them.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::{Item, Limit, Unit};

/// What was asked for, allowed or granted of one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Amount {
    /// So many bytes, milliseconds or things.
    Number(u64, Unit),
    /// As much as there is.
    Unlimited,
    /// Nothing was said.
    Nothing,
    /// Something that is no number.
    Text(String),
}

impl Amount {
    pub(crate) fn of(item: Item, limit: Limit) -> Self {
        match limit {
            Limit::AtMost(number) => Amount::Number(number, item.unit()),
            Limit::Unlimited => Amount::Unlimited,
        }
    }

    pub(crate) fn asked(item: Item, asked: Option<u64>) -> Self {
        asked.map_or(Amount::Nothing, |number| {
            Amount::Number(number, item.unit())
        })
    }

    pub(crate) fn text(text: impl Into<String>) -> Self {
        Amount::Text(text.into())
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Amount::Number(number, unit) => write_number(f, *number, *unit),
            Amount::Unlimited => f.write_str("unlimited"),
            Amount::Nothing => f.write_str("-"),
            Amount::Text(text) => f.write_str(text),
        }
    }
}

/// Numbers are bytes, milliseconds or things, whatever people read.
impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Amount::Number(number, _) => serializer.serialize_u64(*number),
            Amount::Unlimited => serializer.serialize_str("unlimited"),
            Amount::Nothing => serializer.serialize_none(),
            Amount::Text(text) => serializer.serialize_str(text),
        }
    }
}

fn write_number(f: &mut impl fmt::Write, number: u64, unit: Unit) -> fmt::Result {
    match unit {
        Unit::Bytes => write_bytes(f, number),
        Unit::Milliseconds => {
            let time = humantime::format_duration(Duration::from_millis(number));
            write!(f, "{time}")
        }
        Unit::Count => write!(f, "{number}"),
    }
}

/// In the largest unit that leaves a whole number: it is read again as the same number.
fn write_bytes(f: &mut impl fmt::Write, bytes: u64) -> fmt::Result {
    const UNITS: [(u32, &str); 4] = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let fits = |shift: u32| bytes != 0 && bytes.trailing_zeros() >= shift;
    match UNITS.into_iter().find(|(shift, _)| fits(*shift)) {
        Some((shift, unit)) => write!(f, "{} {unit}", bytes >> shift),
        None => write!(f, "{bytes} B"),
    }
}

/// A number as a policy file has it.
pub(crate) fn written(item: Item, limit: Limit) -> String {
    match limit {
        Limit::Unlimited => "\"unlimited\"".to_owned(),
        Limit::AtMost(0) if item.unit() != Unit::Count => "\"0\"".to_owned(),
        Limit::AtMost(number) => {
            let mut text = String::new();
            // Writing to a text does not fail.
            let _ = write_number(&mut text, number, item.unit());
            match item.unit() {
                Unit::Count => text,
                Unit::Bytes | Unit::Milliseconds => format!("\"{text}\""),
            }
        }
    }
}
