//! The file that is written: large things in few writes and without being copied.

use std::borrow::Cow;
use std::io::{self, BufWriter, IoSlice, Seek, SeekFrom, Write};

use crate::layout::{self, Entry, HEADER_LENGTH, Header, Kind};
use crate::seal::{Encryption, Seal};
use crate::{Digest, Error, Key};

/// Stored bytes that are written together.
const BATCH: usize = 1 << 20;

/// The file, and how much of it is written.
pub(crate) struct Output<W: Write + Seek> {
    inner: BufWriter<W>,
    pub(crate) position: u64,
    encryption: Option<(Encryption, Seal)>,
}

/// A section that was written.
pub(crate) struct Section {
    /// Its entry in the table.
    pub(crate) entry: Entry,
    /// What the entry would be if the file were not encrypted.
    pub(crate) plain: Entry,
}

impl<W: Write + Seek> Output<W> {
    /// Leaves room for the header.
    pub(crate) fn new(out: W, key: Option<&Key>) -> io::Result<Self> {
        // What is as large as a batch goes past the buffer.
        let mut inner = BufWriter::with_capacity(BATCH, out);
        inner.seek(SeekFrom::Start(0))?;
        inner.write_all(&[0; HEADER_LENGTH])?;
        let position = HEADER_LENGTH as u64;
        let encryption = key.map(Encryption::new).transpose()?;
        let encryption = encryption.map(|encryption| {
            let seal = encryption.seal(key)?;
            io::Result::Ok((encryption, seal))
        });
        Ok(Output {
            inner,
            position,
            encryption: encryption.transpose()?,
        })
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.inner.write_all(bytes)?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    /// A stored chunk as it is written. Each number is used once.
    pub(crate) fn chunk<'a>(
        &self,
        number: usize,
        stored: Cow<'a, [u8]>,
    ) -> io::Result<Cow<'a, [u8]>> {
        let Some((_, seal)) = &self.encryption else {
            return Ok(stored);
        };
        let mut stored = stored.into_owned();
        seal.close(Kind::Chunks, number as u64, &mut stored)?;
        Ok(Cow::Owned(stored))
    }

    /// The section that says how the file is encrypted, if it is.
    pub(crate) fn encryption(&mut self) -> Result<Option<Section>, Error> {
        let Some((encryption, _)) = &self.encryption else {
            return Ok(None);
        };
        let bytes = postcard::to_stdvec(encryption).map_err(io::Error::other)?;
        self.section(Kind::Encryption, &bytes).map(Some)
    }

    /// Writes a section. Each kind is written once.
    pub(crate) fn section(&mut self, kind: Kind, bytes: &[u8]) -> Result<Section, Error> {
        let (length, limit) = (bytes.len() as u64, kind.limit());
        if length > limit {
            return Err(Error::TooLarge {
                part: kind.name(),
                length,
                limit,
            });
        }
        let plain = Entry {
            kind: kind.number(),
            flags: kind.flags(),
            offset: self.position,
            length,
            digest: layout::sha256(bytes),
        };
        let seal = self.encryption.as_ref().filter(|_| kind.is_sealed());
        let Some((_, seal)) = seal else {
            self.append(bytes)?;
            return Ok(Section {
                entry: plain,
                plain,
            });
        };
        let mut sealed = bytes.to_vec();
        seal.close(kind, 0, &mut sealed)?;
        self.append(&sealed)?;
        let entry = Entry {
            length: sealed.len() as u64,
            digest: layout::sha256(&sealed),
            ..plain
        };
        Ok(Section { entry, plain })
    }

    /// Writes table and header, and returns the digest of the file.
    pub(crate) fn complete(&mut self, table: &[Entry]) -> io::Result<Digest> {
        let table_offset = self.position;
        let table = layout::encode_table(table);
        self.append(&table)?;
        let (table_length, table_digest) = (table.len() as u64, layout::sha256(&table));
        let header = Header {
            table_offset,
            table_length,
            table_digest,
        };
        self.inner.seek(SeekFrom::Start(0))?;
        self.inner.write_all(&header.encode())?;
        self.inner.flush()?;
        Ok(table_digest)
    }
}

/// Stored chunks that are about to be written.
#[derive(Default)]
pub(crate) struct Batch<'a> {
    parts: Vec<Cow<'a, [u8]>>,
    bytes: usize,
}

impl<'a> Batch<'a> {
    pub(crate) fn add<W: Write + Seek>(
        &mut self,
        part: Cow<'a, [u8]>,
        out: &mut Output<W>,
    ) -> io::Result<()> {
        self.bytes += part.len();
        self.parts.push(part);
        if self.bytes < BATCH {
            return Ok(());
        }
        std::mem::take(self).write(out)
    }

    pub(crate) fn write<W: Write + Seek>(self, out: &mut Output<W>) -> io::Result<()> {
        let mut slices: Vec<IoSlice<'_>> =
            self.parts.iter().map(|part| IoSlice::new(part)).collect();
        let mut slices = &mut slices[..];
        while !slices.is_empty() {
            match out.inner.write_vectored(slices) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut slices, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        out.position += self.bytes as u64;
        Ok(())
    }
}
