//! Encoding and checked decoding of words, text, lists, and of the records and values made of them.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Has an encoding as whole words.
pub trait Wire: Sized {
    /// Appends the encoding.
    fn encode(&self, to: &mut Writer);

    /// Takes the value from the front of what is left to read.
    ///
    /// # Errors
    ///
    /// What is there is no encoding of such a value.
    fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError>;
}

/// Why bytes are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// They end before the value does.
    Short,
    /// They go on after the value has ended.
    Long,
    /// They are more than the interface allows.
    Size,
    /// The version of the descriptor is not known.
    Version(u16),
    /// The descriptor is of another kind than the call, or of none.
    Kind(u16),
    /// A command that does not exist.
    Opcode(u16),
    /// The number stands for nothing, for values of this name.
    Value(&'static str, u32),
    /// A text is not UTF-8.
    Text,
    /// The bytes that fill a text up to a whole word are not zero.
    Padding,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => f.write_str("it ends too early"),
            Self::Long => f.write_str("it goes on after its end"),
            Self::Size => f.write_str("it is longer than allowed"),
            Self::Version(version) => write!(f, "version {version} of it is not known"),
            Self::Kind(kind) => write!(f, "kind {kind} is not what was expected"),
            Self::Opcode(opcode) => write!(f, "there is no command {opcode}"),
            Self::Value(of, value) => write!(f, "{value} is no {of}"),
            Self::Text => f.write_str("a text is not UTF-8"),
            Self::Padding => f.write_str("a text is not padded with zeros"),
        }
    }
}

impl core::error::Error for DecodeError {}

/// Bytes being written.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// With nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes on after these bytes.
    #[must_use]
    pub fn after(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    /// Appends a word.
    #[inline]
    pub fn word(&mut self, word: u32) {
        self.bytes.extend_from_slice(&word.to_le_bytes());
    }

    /// Writes over the word at byte `at`.
    pub(crate) fn patch(&mut self, at: usize, word: u32) {
        self.bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
    }

    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The bytes.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// A length, which a guest's memory of 4 GiB cannot exceed.
    pub(crate) fn length(&mut self, length: usize) {
        self.word(u32::try_from(length).unwrap_or(u32::MAX));
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.length(text.len());
        self.bytes.extend_from_slice(text.as_bytes());
        let padding = text.len().next_multiple_of(4) - text.len();
        self.bytes.extend_from_slice(&[0; 3][..padding]);
    }
}

/// Bytes being read.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// At the front of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What is not yet read.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Takes `count` bytes.
    ///
    /// # Errors
    ///
    /// Fewer are left.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(DecodeError::Short)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Takes a word.
    ///
    /// # Errors
    ///
    /// Less than a word is left.
    #[inline]
    pub fn word(&mut self) -> Result<u32, DecodeError> {
        let (word, rest) = self.rest.split_first_chunk().ok_or(DecodeError::Short)?;
        self.rest = rest;
        Ok(u32::from_le_bytes(*word))
    }

    /// Checks that nothing is left.
    ///
    /// # Errors
    ///
    /// Something is.
    pub fn end(&self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::Long)
        }
    }

    /// How many elements of a list follow. Each has at least a word, which bounds the number.
    pub(crate) fn count(&mut self) -> Result<usize, DecodeError> {
        let count = self.word()? as usize;
        if count > self.rest.len() / 4 {
            return Err(DecodeError::Short);
        }
        Ok(count)
    }
}

impl Wire for u32 {
    #[inline]
    fn encode(&self, to: &mut Writer) {
        to.word(*self);
    }

    #[inline]
    fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.word()
    }
}

impl Wire for i32 {
    fn encode(&self, to: &mut Writer) {
        to.word(self.cast_unsigned());
    }

    fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(from.word()?.cast_signed())
    }
}

impl Wire for u64 {
    fn encode(&self, to: &mut Writer) {
        to.bytes.extend_from_slice(&self.to_le_bytes());
    }

    fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let low = u64::from(from.word()?);
        let high = u64::from(from.word()?);
        Ok(low | high << 32)
    }
}

impl Wire for f32 {
    fn encode(&self, to: &mut Writer) {
        to.word(self.to_bits());
    }

    fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.word().map(Self::from_bits)
    }
}

impl Wire for f64 {
    fn encode(&self, to: &mut Writer) {
        self.to_bits().encode(to);
    }

    fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        u64::decode(from).map(Self::from_bits)
    }
}

impl Wire for bool {
    fn encode(&self, to: &mut Writer) {
        to.word(u32::from(*self));
    }

    fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match from.word()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(DecodeError::Value("boolean", other)),
        }
    }
}

impl Wire for String {
    fn encode(&self, to: &mut Writer) {
        to.text(self);
    }

    fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let length = from.word()? as usize;
        let text = from.bytes(length)?;
        let padding = from.bytes(length.next_multiple_of(4) - length)?;
        if padding.iter().any(|byte| *byte != 0) {
            return Err(DecodeError::Padding);
        }
        core::str::from_utf8(text)
            .map(String::from)
            .map_err(|_| DecodeError::Text)
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn encode(&self, to: &mut Writer) {
        to.length(self.len());
        for element in self {
            element.encode(to);
        }
    }

    fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = from.count()?;
        (0..count).map(|_| T::decode(from)).collect()
    }
}

/// A struct that is encoded as its fields, in order. One that may be absent has the word 0, or the
/// word 1 and the struct.
macro_rules! record {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }

        impl $crate::wire::Wire for $name {
            fn encode(&self, to: &mut $crate::wire::Writer) {
                $(self.$field.encode(to);)*
            }

            fn decode(
                from: &mut $crate::wire::Reader<'_>,
            ) -> Result<Self, $crate::wire::DecodeError> {
                Ok(Self { $($field: <$type as $crate::wire::Wire>::decode(from)?,)* })
            }
        }

        impl $crate::wire::Wire for Option<$name> {
            fn encode(&self, to: &mut $crate::wire::Writer) {
                to.word(u32::from(self.is_some()));
                if let Some(value) = self {
                    value.encode(to);
                }
            }

            fn decode(
                from: &mut $crate::wire::Reader<'_>,
            ) -> Result<Self, $crate::wire::DecodeError> {
                <bool as $crate::wire::Wire>::decode(from)?
                    .then(|| $crate::wire::Wire::decode(from))
                    .transpose()
            }
        }
    };
}
pub(crate) use record;

/// One of several values, each a word that is not zero. One that may be absent has the word 0.
macro_rules! values {
    ($(#[$doc:meta])* $name:ident $text:literal { $($(#[$value_doc:meta])* $value:ident = $number:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u32)]
        pub enum $name { $($(#[$value_doc])* $value = $number,)* }

        impl $name {
            /// Every value, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$value,)*];

            /// The value with this number.
            #[must_use]
            pub const fn from_number(number: u32) -> Option<Self> {
                match number {
                    $($number => Some(Self::$value),)*
                    _ => None,
                }
            }
        }

        impl $crate::wire::Wire for $name {
            fn encode(&self, to: &mut $crate::wire::Writer) {
                to.word(*self as u32);
            }

            fn decode(
                from: &mut $crate::wire::Reader<'_>,
            ) -> Result<Self, $crate::wire::DecodeError> {
                let number = from.word()?;
                Self::from_number(number).ok_or($crate::wire::DecodeError::Value($text, number))
            }
        }

        impl $crate::wire::Wire for Option<$name> {
            fn encode(&self, to: &mut $crate::wire::Writer) {
                to.word(self.map_or(0, |value| value as u32));
            }

            fn decode(
                from: &mut $crate::wire::Reader<'_>,
            ) -> Result<Self, $crate::wire::DecodeError> {
                match from.word()? {
                    0 => Ok(None),
                    number => $name::from_number(number)
                        .map(Some)
                        .ok_or($crate::wire::DecodeError::Value($text, number)),
                }
            }
        }
    };
}
pub(crate) use values;

/// Any of several bits of a word; the other bits are zero.
macro_rules! flags {
    ($(#[$doc:meta])* $name:ident $text:literal { $($(#[$bit_doc:meta])* $bit:ident = $number:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub struct $name(u32);

        impl $name {
            $($(#[$bit_doc])* pub const $bit: Self = Self($number);)*

            /// No bit.
            pub const NONE: Self = Self(0);

            /// Every bit.
            pub const ALL: Self = Self(0 $(| $number)*);

            /// As a word.
            #[must_use]
            pub const fn bits(self) -> u32 {
                self.0
            }

            /// From a word, if only bits that are known are set in it.
            #[must_use]
            pub const fn from_bits(bits: u32) -> Option<Self> {
                if bits & !Self::ALL.0 == 0 { Some(Self(bits)) } else { None }
            }

            /// Whether all bits of `other` are set.
            #[must_use]
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// Whether a bit of `other` is set.
            #[must_use]
            pub const fn intersects(self, other: Self) -> bool {
                self.0 & other.0 != 0
            }
        }

        impl core::ops::BitOr for $name {
            type Output = Self;

            fn bitor(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }

        impl core::ops::BitOrAssign for $name {
            fn bitor_assign(&mut self, other: Self) {
                self.0 |= other.0;
            }
        }

        impl $crate::wire::Wire for $name {
            fn encode(&self, to: &mut $crate::wire::Writer) {
                to.word(self.0);
            }

            fn decode(
                from: &mut $crate::wire::Reader<'_>,
            ) -> Result<Self, $crate::wire::DecodeError> {
                let bits = from.word()?;
                Self::from_bits(bits).ok_or($crate::wire::DecodeError::Value($text, bits))
            }
        }
    };
}
pub(crate) use flags;
