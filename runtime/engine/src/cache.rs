//! Compiled modules on disk, so that a module is instrumented and compiled once.
//!
//! An entry is native code, which no check of its content can make safe to run. So the
//! directory must belong to this user alone; the digest in an entry is against disks, and
//! against files that were cut short, not against people.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use wherry_instrument::{Map, Options};
use wherry_snapshot::{Digest, hex};

use crate::module::Variant;
use crate::{Error, write_atomically};

const MAGIC: &[u8; 8] = b"WHERRYCC";

/// A directory of compiled modules.
pub(crate) struct Cache {
    directory: PathBuf,
}

impl Cache {
    pub(crate) fn open(directory: PathBuf) -> Result<Self, Error> {
        let failed = |source| Error::File {
            path: directory.clone(),
            source,
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .map_err(failed)?;
        check_owner(&directory).map_err(failed)?;
        Ok(Cache { directory })
    }

    /// The entry for a module in one of its forms, if there is a valid one.
    pub(crate) fn load(
        &self,
        engine: &wasmtime::Engine,
        module: &Digest,
        options: Options,
    ) -> Option<Variant> {
        let bytes = fs::read(self.path(engine, module, options)).ok()?;
        let (map, artifact) = decode(&bytes)?;
        Some(Variant {
            compiled: deserialize(engine, artifact)?,
            map,
            options,
        })
    }

    /// Keeps `variant`. The cache is a convenience: that it cannot be written is no error.
    pub(crate) fn store(&self, engine: &wasmtime::Engine, module: &Digest, variant: &Variant) {
        let Some(entry) = encode(variant) else { return };
        let path = self.path(engine, module, variant.options);
        let _ = write_atomically(&path, |file| Ok(file.write_all(&entry)?));
    }

    fn path(&self, engine: &wasmtime::Engine, module: &Digest, options: Options) -> PathBuf {
        let mut compiler = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut compiler);
        let mut key = Sha256::new_with_prefix(module);
        key.update(wherry_instrument::BUILD);
        key.update([u8::from(options.resumable), u8::from(options.countdown)]);
        key.update(compiler.finish().to_le_bytes());
        self.directory.join(hex(&key.finalize().into()))
    }
}

/// Refuses a directory into which somebody else could put code that we would run.
fn check_owner(directory: &Path) -> io::Result<()> {
    let metadata = fs::metadata(directory)?;
    let ours = metadata.uid() == rustix::process::geteuid().as_raw();
    if !ours || metadata.mode() & 0o022 != 0 {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "a cache of compiled code must be writable by its owner only, and that must be you",
        ));
    }
    Ok(())
}

/// Magic, SHA-256 of all that follows, length of the map, map, compiled module.
fn encode(variant: &Variant) -> Option<Vec<u8>> {
    let artifact = variant.compiled.serialize().ok()?;
    let map = postcard::to_stdvec(&variant.map).ok()?;
    let mut body = (map.len() as u64).to_le_bytes().to_vec();
    body.extend_from_slice(&map);
    body.extend_from_slice(&artifact);
    let mut entry = MAGIC.to_vec();
    entry.extend_from_slice(&Sha256::digest(&body));
    entry.extend_from_slice(&body);
    Some(entry)
}

fn decode(entry: &[u8]) -> Option<(Map, &[u8])> {
    let rest = entry.strip_prefix(MAGIC)?;
    let (digest, body) = rest.split_first_chunk::<32>()?;
    if Sha256::digest(body)[..] != *digest {
        return None;
    }
    let (length, body) = body.split_first_chunk::<8>()?;
    let (map, artifact) =
        body.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    Some((postcard::from_bytes(map).ok()?, artifact))
}

#[expect(unsafe_code, reason = "wasmtime cannot verify native code")]
fn deserialize(engine: &wasmtime::Engine, artifact: &[u8]) -> Option<wasmtime::Module> {
    // SAFETY: the bytes are what `Module::serialize` returned: their digest, which stands
    // beside them, was verified, and only this user can write to the directory. That they
    // are of this version of wasmtime and for this CPU is checked by wasmtime.
    unsafe { wasmtime::Module::deserialize(engine, artifact) }.ok()
}
