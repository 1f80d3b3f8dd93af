//! How the parts lie in the file: the fixed header, the section table, the kinds.

use sha2::{Digest as _, Sha256};

use crate::seal::OVERHEAD;
use crate::{Digest, Error};

/// The version of the format that is written, and the only one that is read.
pub const FORMAT_VERSION: u32 = 1;

pub(crate) const MAGIC: &[u8; 8] = b"WHERRYCP";
pub(crate) const HEADER_LENGTH: usize = 64;
pub(crate) const ENTRY_LENGTH: usize = 56;
/// More sections than any version will have: bounds the table before it is read.
const MAX_SECTIONS: u64 = 64;

/// A reader that does not know the section must refuse the file.
pub(crate) const MANDATORY: u32 = 1;
/// The section belongs to the state that the state digest identifies.
pub(crate) const IDENTITY: u32 = 2;

/// The sections of this version. The numbers are the kinds in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Workload = 1,
    Execution = 2,
    Memories = 3,
    Wasi = 4,
    Settings = 5,
    Accounting = 6,
    Lineage = 7,
    ChunkIndex = 8,
    Chunks = 9,
    Bases = 10,
    Profile = 11,
    Encryption = 12,
    Gpu = 13,
    Usage = 14,
    GpuUse = 15,
}

const MIB: u64 = 1 << 20;

impl Kind {
    pub(crate) const ALL: [Kind; 15] = [
        Kind::Workload,
        Kind::Execution,
        Kind::Memories,
        Kind::Wasi,
        Kind::Settings,
        Kind::Accounting,
        Kind::Lineage,
        Kind::ChunkIndex,
        Kind::Chunks,
        Kind::Bases,
        Kind::Profile,
        Kind::Encryption,
        Kind::Gpu,
        Kind::Usage,
        Kind::GpuUse,
    ];

    pub(crate) fn number(self) -> u32 {
        self as u32
    }

    fn from_number(number: u32) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.number() == number)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Workload => "section workload",
            Kind::Execution => "section execution",
            Kind::Memories => "section memories",
            Kind::Wasi => "section wasi",
            Kind::Settings => "section settings",
            Kind::Accounting => "section accounting",
            Kind::Lineage => "section lineage",
            Kind::ChunkIndex => "section chunk index",
            Kind::Chunks => "section chunks",
            Kind::Bases => "section bases",
            Kind::Profile => "section profile",
            Kind::Encryption => "section encryption",
            Kind::Usage => "section usage",
            Kind::Gpu => "section gpu",
            Kind::GpuUse => "section gpu use",
        }
    }

    /// Chunks are identified through the digests in the sections that name them.
    pub(crate) fn flags(self) -> u32 {
        match self {
            Kind::Workload
            | Kind::Execution
            | Kind::Memories
            | Kind::Wasi
            | Kind::Profile
            | Kind::Gpu => MANDATORY | IDENTITY,
            // A version that does not know it can go on with the job.
            Kind::Usage => 0,
            _ => MANDATORY,
        }
    }

    /// Whether every checkpoint has the section.
    fn always_there(self) -> bool {
        !matches!(
            self,
            Kind::Bases | Kind::Encryption | Kind::Profile | Kind::Usage | Kind::Gpu | Kind::GpuUse
        )
    }

    /// Whether the section is encrypted if the file is. What leads to the key and to other
    /// files can be read without it.
    pub(crate) fn is_sealed(self) -> bool {
        !matches!(self, Kind::Bases | Kind::Encryption)
    }

    /// The largest section that is read, in bytes. Only chunks are never read as a whole.
    pub(crate) fn limit(self) -> u64 {
        match self {
            Kind::Execution | Kind::ChunkIndex | Kind::Gpu => 256 * MIB,
            Kind::Memories | Kind::Wasi => 64 * MIB,
            Kind::Settings => 16 * MIB,
            Kind::Workload
            | Kind::Accounting
            | Kind::Lineage
            | Kind::Bases
            | Kind::Profile
            | Kind::Encryption
            | Kind::Usage
            | Kind::GpuUse => 4096,
            Kind::Chunks => u64::MAX,
        }
    }
}

/// An entry of the section table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) kind: u32,
    pub(crate) flags: u32,
    pub(crate) offset: u64,
    pub(crate) length: u64,
    /// SHA-256 of the section; zero for the chunks, which the chunk index vouches for.
    pub(crate) digest: Digest,
}

impl Entry {
    pub(crate) fn known(&self) -> Option<Kind> {
        Kind::from_number(self.kind)
    }

    fn encode(&self) -> [u8; ENTRY_LENGTH] {
        let mut bytes = [0; ENTRY_LENGTH];
        bytes[0..4].copy_from_slice(&self.kind.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.flags.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.offset.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.length.to_le_bytes());
        bytes[24..56].copy_from_slice(&self.digest);
        bytes
    }

    fn decode(bytes: &[u8; ENTRY_LENGTH]) -> Entry {
        let mut fields = Fields(bytes);
        Entry {
            kind: fields.u32(),
            flags: fields.u32(),
            offset: fields.u64(),
            length: fields.u64(),
            digest: fields.digest(),
        }
    }
}

/// What the header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) table_offset: u64,
    pub(crate) table_length: u64,
    pub(crate) table_digest: Digest,
}

impl Header {
    pub(crate) fn encode(&self) -> [u8; HEADER_LENGTH] {
        let mut bytes = [0; HEADER_LENGTH];
        bytes[0..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.table_offset.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.table_length.to_le_bytes());
        bytes[32..64].copy_from_slice(&self.table_digest);
        bytes
    }

    /// `file_length` is the length of the whole file, which every part must lie in.
    pub(crate) fn decode(bytes: &[u8; HEADER_LENGTH], file_length: u64) -> Result<Header, Error> {
        let mut fields = Fields(bytes);
        if fields.take::<8>() != *MAGIC {
            return Err(Error::NotACheckpoint);
        }
        let found = fields.u32();
        if found != FORMAT_VERSION {
            return Err(Error::FormatVersion { found });
        }
        let reserved = fields.u32();
        let header = Header {
            table_offset: fields.u64(),
            table_length: fields.u64(),
            table_digest: fields.digest(),
        };
        header.check(reserved, file_length)?;
        Ok(header)
    }

    fn check(&self, reserved: u32, file_length: u64) -> Result<(), Error> {
        let damaged = |reason: &str| Error::Damaged {
            part: "header",
            reason: reason.to_owned(),
        };
        if reserved != 0 {
            return Err(damaged("reserved bytes are not zero"));
        }
        if self.table_offset < HEADER_LENGTH as u64 {
            return Err(damaged("the section table overlaps the header"));
        }
        let limit = MAX_SECTIONS * ENTRY_LENGTH as u64;
        if self.table_length > limit {
            let length = self.table_length;
            return Err(Error::TooLarge {
                part: "section table",
                length,
                limit,
            });
        }
        if !self.table_length.is_multiple_of(ENTRY_LENGTH as u64) {
            return Err(damaged("the section table is no whole number of entries"));
        }
        let end = self.table_offset.checked_add(self.table_length);
        let end = end.ok_or_else(|| damaged("the section table lies beyond 2^64 bytes"))?;
        match end.cmp(&file_length) {
            std::cmp::Ordering::Greater => Err(Error::Truncated {
                length: file_length,
                what: "section table",
                needed: end,
            }),
            std::cmp::Ordering::Less => Err(damaged("bytes follow the section table")),
            std::cmp::Ordering::Equal => Ok(()),
        }
    }
}

pub(crate) fn encode_table(entries: &[Entry]) -> Vec<u8> {
    entries.iter().flat_map(Entry::encode).collect()
}

/// Decodes the table and checks that its sections tile the file from the header to the table.
pub(crate) fn decode_table(header: &Header, bytes: &[u8]) -> Result<Vec<Entry>, Error> {
    let found = sha256(bytes);
    if found != header.table_digest {
        let expected = header.table_digest;
        return Err(Error::WrongDigest {
            part: "section table",
            found,
            expected,
        });
    }
    let (entries, _) = bytes.as_chunks::<ENTRY_LENGTH>();
    let entries: Vec<Entry> = entries.iter().map(Entry::decode).collect();
    check_kinds(&entries)?;
    check_places(header, &entries)?;
    Ok(entries)
}

fn check_kinds(entries: &[Entry]) -> Result<(), Error> {
    if !entries.is_sorted_by(|a, b| a.kind < b.kind) {
        return Err(table_damaged("kinds are not in ascending order"));
    }
    let sealed = entries
        .iter()
        .any(|entry| entry.known() == Some(Kind::Encryption));
    let overhead = if sealed { OVERHEAD as u64 } else { 0 };
    for entry in entries {
        match entry.known() {
            None if entry.flags != 0 => return Err(Error::UnknownSection { kind: entry.kind }),
            Some(kind) if entry.flags != kind.flags() => {
                let reason = format!("flags {:#x} instead of {:#x}", entry.flags, kind.flags());
                return Err(Error::Damaged {
                    part: kind.name(),
                    reason,
                });
            }
            Some(kind) if entry.length > kind.limit().saturating_add(overhead) => {
                let (part, length, limit) = (kind.name(), entry.length, kind.limit());
                return Err(Error::TooLarge {
                    part,
                    length,
                    limit,
                });
            }
            _ => {}
        }
    }
    for kind in Kind::ALL.into_iter().filter(|kind| kind.always_there()) {
        if !entries.iter().any(|entry| entry.kind == kind.number()) {
            return Err(Error::Damaged {
                part: kind.name(),
                reason: "is missing".to_owned(),
            });
        }
    }
    Ok(())
}

fn check_places(header: &Header, entries: &[Entry]) -> Result<(), Error> {
    let mut order: Vec<&Entry> = entries.iter().collect();
    order.sort_by_key(|entry| (entry.offset, entry.length));
    let mut end = HEADER_LENGTH as u64;
    for entry in order {
        if entry.offset != end {
            return Err(table_damaged("sections overlap or leave a gap"));
        }
        end = end
            .checked_add(entry.length)
            .ok_or_else(|| table_damaged("a section is too long"))?;
    }
    if end == header.table_offset {
        Ok(())
    } else {
        Err(table_damaged("sections do not reach it"))
    }
}

fn table_damaged(reason: &str) -> Error {
    Error::Damaged {
        part: "section table",
        reason: reason.to_owned(),
    }
}

/// The digest that identifies a state: it covers the identity sections, in order of kind, as
/// they are when they are not encrypted.
pub(crate) fn state_digest(entries: &[Entry]) -> Digest {
    let mut hash = Sha256::new_with_prefix(b"wherry state 1\0");
    for entry in entries.iter().filter(|entry| entry.flags & IDENTITY != 0) {
        hash.update(entry.kind.to_le_bytes());
        hash.update(entry.length.to_le_bytes());
        hash.update(entry.digest);
    }
    hash.finalize().into()
}

pub(crate) fn sha256(bytes: &[u8]) -> Digest {
    Sha256::digest(bytes).into()
}

/// Takes little-endian fields off a fixed-size record whose size the caller knows.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl Fields<'_> {
    /// The next `N` bytes; zeros past the end, which fixed sizes rule out.
    pub(crate) fn take<const N: usize>(&mut self) -> [u8; N] {
        let Some((head, rest)) = self.0.split_first_chunk::<N>() else {
            return [0; N];
        };
        self.0 = rest;
        *head
    }

    pub(crate) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    pub(crate) fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }

    pub(crate) fn digest(&mut self) -> Digest {
        self.take()
    }
}
