//! Making the files of a checkpoint out of its artifact.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use wherry_snapshot::Anatomy;

use super::recipe::Header;
use super::{CheckpointError, Config, FORMAT, FileEntry, refused};
use crate::artifact::Descriptor;
use crate::digest::Digest;
use crate::store::Store;

/// A part of a file that is in a pack.
struct Part {
    offset: u64,
    length: u64,
    /// Where in the file it goes.
    to: u64,
}

/// Writes the checkpoint `digest` of the store to the file `to`, and those that it builds on
/// beside it, each byte for byte as it was packed. Returns all of them. Nothing half-written
/// stays.
///
/// # Errors
/// It is not a checkpoint, damaged, or the files cannot be written.
pub fn assemble_checkpoint(
    store: &Store,
    digest: &Digest,
    to: &Path,
) -> Result<Vec<PathBuf>, CheckpointError> {
    let parts = store.stored(digest)?.document.checkpoint()?;
    let parts = parts.ok_or_else(|| refused(format!("{digest} is something else")))?;
    let config: Config = serde_json::from_slice(&store.read(&parts.config)?)
        .map_err(|error| refused(format!("its config: {error}")))?;
    if config.format != FORMAT {
        let format = config.format;
        return Err(refused(format!(
            "it has format {format}, only {FORMAT} is known"
        )));
    }
    if config.files.len() != parts.files.len() {
        return Err(refused("its config is of other files"));
    }
    let packs: HashMap<Digest, &Descriptor> =
        parts.packs.iter().map(|pack| (pack.digest, pack)).collect();
    let mut written = Vec::new();
    for (entry, layer) in config.files.iter().zip(&parts.files) {
        written.push(assemble_file(store, entry, layer, &packs, to)?);
    }
    let mut paths = Vec::new();
    for (number, file) in written.into_iter().enumerate() {
        let path = match number {
            0 => to.to_owned(),
            _ => {
                let mut name = to.file_name().unwrap_or_default().to_owned();
                name.push(format!(".base-{number}"));
                to.with_file_name(name)
            }
        };
        let failed = |source| CheckpointError::Io {
            path: path.clone(),
            source,
        };
        file.as_file().sync_all().map_err(failed)?;
        file.persist(&path).map_err(|error| failed(error.error))?;
        paths.push(path);
    }
    Ok(paths)
}

fn assemble_file(
    store: &Store,
    entry: &FileEntry,
    layer: &Descriptor,
    packs: &HashMap<Digest, &Descriptor>,
    to: &Path,
) -> Result<NamedTempFile, CheckpointError> {
    let failed = |source| CheckpointError::Io {
        path: to.to_owned(),
        source,
    };
    let directory = to.parent().filter(|parent| !parent.as_os_str().is_empty());
    let mut file = NamedTempFile::new_in(directory.unwrap_or(Path::new("."))).map_err(failed)?;
    let available = packs.values().map(|pack| pack.size).sum();
    let header = write_rest(store, entry, layer, available, file.as_file_mut(), to)?;
    for (pack, parts) in parts_by_pack(&header)? {
        let pack = packs
            .get(&pack)
            .ok_or_else(|| refused("a file has parts of a pack that is not there"))?;
        // At most 32 MiB, and verified before any of it is used.
        let bytes = store.read(pack)?;
        for part in parts {
            let range = usize::try_from(part.offset).ok().and_then(|start| {
                let end = start.checked_add(usize::try_from(part.length).ok()?)?;
                Some(start..end)
            });
            let bytes = range.and_then(|range| bytes.get(range));
            let bytes =
                bytes.ok_or_else(|| refused("a file has parts beyond the end of a pack"))?;
            file.as_file()
                .write_all_at(bytes, part.to)
                .map_err(failed)?;
        }
    }
    let found = Digest::from_bytes(Anatomy::read(file.as_file_mut())?.file);
    if found.to_string() != entry.digest {
        return Err(refused(format!(
            "a file has the digest {found}, its config says another"
        )));
    }
    Ok(file)
}

/// Writes what is not chunks, and returns what the file is made of. Its chunks have no more than
/// `available` bytes: none is in a file twice.
fn write_rest(
    store: &Store,
    entry: &FileEntry,
    layer: &Descriptor,
    available: u64,
    file: &mut File,
    to: &Path,
) -> Result<Header, CheckpointError> {
    let failed = |source: io::Error| CheckpointError::Io {
        path: to.to_owned(),
        source,
    };
    let mut reader = store.open_blob(layer)?;
    let mut start = Vec::new();
    let (header, taken) = loop {
        if let Some(taken) = Header::take(&start)? {
            break taken;
        }
        match reader.next_chunk()? {
            Some(chunk) => start.extend_from_slice(&chunk),
            None => return Err(refused("a file is incomplete")),
        }
    };
    let rest = layer.size - taken as u64;
    let missing = header
        .length
        .checked_sub(rest)
        .filter(|_| header.chunks <= rest);
    let missing = missing.ok_or_else(|| refused("a file is longer than it says"))?;
    if header.length != entry.length {
        return Err(refused("a file is not as long as its config says"));
    }
    let parts: Vec<_> = header.extents().collect::<Result<_, _>>()?;
    let lengths = parts.iter().map(|part| part.length);
    if missing > available || lengths.fold(0, u64::saturating_add) != missing {
        return Err(refused("the parts of a file are not all that it lacks"));
    }
    file.set_len(header.length).map_err(failed)?;
    let mut position = 0;
    let mut put = |bytes: &[u8]| {
        // Up to the chunks, and then from behind them on.
        let before = header.chunks.saturating_sub(position);
        let split = usize::try_from(before)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let (before, behind) = bytes.split_at(split);
        file.write_all_at(before, position)?;
        position += before.len() as u64;
        file.write_all_at(behind, position + missing)?;
        position += behind.len() as u64;
        Ok(())
    };
    put(&start[taken..]).map_err(failed)?;
    while let Some(chunk) = reader.next_chunk()? {
        put(&chunk).map_err(failed)?;
    }
    file.flush().map_err(failed)?;
    Ok(header)
}

/// The parts of a file's section *chunks*, by the packs that they lie in.
fn parts_by_pack(header: &Header) -> Result<Vec<(Digest, Vec<Part>)>, CheckpointError> {
    let mut parts: Vec<(Digest, Vec<Part>)> = Vec::new();
    let mut places = HashMap::new();
    let mut to = header.chunks;
    for extent in header.extents() {
        let extent = extent?;
        let place = *places.entry(extent.pack).or_insert_with(|| {
            parts.push((extent.pack, Vec::new()));
            parts.len() - 1
        });
        parts[place].1.push(Part {
            offset: extent.offset,
            length: extent.length,
            to,
        });
        let end = to
            .checked_add(extent.length)
            .filter(|end| *end <= header.length);
        to = end.ok_or_else(|| refused("a file has more parts than room"))?;
    }
    Ok(parts)
}
