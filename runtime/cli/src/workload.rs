//! What there is to run: a module in a file, a project directory, or an artifact of the store.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use wherry_packager::{
    DataLayer, Descriptor, Digest, MAX_MODULE_SIZE, Reference, Store, StoreError, WorkloadConfig,
    WorkloadFile, media_type, pack, pack_module,
};

use wherry_policy::Origin;

use crate::exit;
use crate::failure::Refusal;
use crate::home::Home;
use crate::signatures;

/// Something to run.
pub(crate) struct Runnable {
    /// What the program is called: its argument 0.
    pub(crate) program: String,
    /// The module.
    pub(crate) wasm: Vec<u8>,
    /// The manifest that it comes from, if it comes from one.
    pub(crate) manifest: Option<Digest>,
    /// What it is given and asks for.
    pub(crate) config: WorkloadConfig,
    /// The data that it brings along.
    pub(crate) data: Vec<DataLayer>,
    /// Where it comes from, for the policy.
    pub(crate) origin: Origin,
}

/// Where something to run is.
#[derive(Debug, PartialEq, Eq)]
enum Source {
    Module(PathBuf),
    Project(PathBuf),
    Stored,
}

/// Reads what `name` means. A module or a project gets into the store on the way, so that
/// whoever resumes the job finds it there.
pub(crate) fn load(home: &Home, name: &str) -> anyhow::Result<Runnable> {
    match locate(name)? {
        Source::Module(path) => module(home, &path),
        Source::Project(directory) => {
            let packed = home.add_to_store(|store| pack(&directory, store))?;
            let stored = stored(home, &packed.digest.to_string())?;
            Ok(Runnable {
                origin: Origin::File,
                ..stored
            })
        }
        Source::Stored => stored(home, name),
    }
}

/// A file or a project directory comes before an artifact of the same name.
fn locate(name: &str) -> anyhow::Result<Source> {
    let path = Path::new(name);
    let metadata = fs::metadata(path);
    let looks_like_a_path = name.starts_with(['.', '/']) || name.ends_with(".wasm");
    match metadata {
        Ok(metadata) if metadata.is_dir() => {
            if looks_like_a_path || name.ends_with('/') || path.join(WorkloadFile::NAME).exists() {
                return Ok(Source::Project(path.to_owned()));
            }
            Ok(Source::Stored)
        }
        Ok(_) => Ok(Source::Module(path.to_owned())),
        Err(error) if looks_like_a_path => {
            Err(error).with_context(|| format!("cannot read {name}"))
        }
        Err(_) => Ok(Source::Stored),
    }
}

fn module(home: &Home, path: &Path) -> anyhow::Result<Runnable> {
    let wasm = read_module(path)?;
    keep(home, &wasm).with_context(|| format!("cannot run {}", path.display()))?;
    let program = path.file_name().unwrap_or(path.as_os_str());
    Ok(Runnable {
        program: program.to_string_lossy().into_owned(),
        wasm,
        manifest: None,
        config: WorkloadConfig::default(),
        data: Vec::new(),
        origin: Origin::File,
    })
}

/// Reads a file that is no larger than a module may be.
pub(crate) fn read_module(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut wasm = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_MODULE_SIZE + 1).read_to_end(&mut wasm))
        .with_context(|| format!("cannot read {}", path.display()))?;
    if wasm.len() as u64 > MAX_MODULE_SIZE {
        let path = path.display();
        let message = format!("{path} has more than the {MAX_MODULE_SIZE} bytes of a module");
        return Err(Refusal::new(exit::BAD_DATA, message).into());
    }
    Ok(wasm)
}

/// Keeps a module by its digest. What is there already was checked when it came.
pub(crate) fn keep(home: &Home, wasm: &[u8]) -> anyhow::Result<()> {
    let blob = Descriptor::of(media_type::WASM, wasm);
    let store = home.existing_store()?;
    if store.is_none_or(|store| store.open_blob(&blob).is_err()) {
        home.add_to_store(|store| pack_module(wasm, None, store))?;
    }
    Ok(())
}

fn stored(home: &Home, name: &str) -> anyhow::Result<Runnable> {
    let store = home.store_with(name)?;
    let workload = store.workload(name)?;
    let known = signatures::repositories(&store, &workload.digest)?;
    let origin = match origin(name) {
        // The beginning of a digest could be a name as well.
        Origin::Repository(named) if !known.contains(&named) => Origin::Digest,
        origin => origin,
    };
    Ok(Runnable {
        program: workload
            .config
            .name
            .clone()
            .unwrap_or_else(|| name.to_owned()),
        wasm: workload.module,
        manifest: Some(workload.digest),
        config: workload.config,
        data: workload.data,
        origin,
    })
}

/// Where an artifact of the store comes from, as far as its name says.
pub(crate) fn origin(name: &str) -> Origin {
    match name.parse::<Reference>() {
        Ok(reference) if name.parse::<Digest>().is_err() => {
            Origin::Repository(signatures::repository(&reference))
        }
        _ => Origin::Digest,
    }
}

/// The module of a checkpoint: the one that is given, or the one of the store.
pub(crate) fn module_of_checkpoint(
    home: &Home,
    given: Option<&Path>,
    digest: &wherry_snapshot::Digest,
) -> anyhow::Result<Vec<u8>> {
    if let Some(path) = given {
        return read_module(path);
    }
    let digest = to_oci(digest)?;
    let store = home.existing_store()?;
    let wasm = store.map(|store| module_by_digest(&store, digest));
    if let Some(wasm) = wasm.transpose()?.flatten() {
        return Ok(wasm);
    }
    let message = format!("the module {digest} of the checkpoint is not in the store");
    let hint = "pull the workload, or give its module with --module MODULE.wasm";
    Err(Refusal::new(exit::NO_INPUT, message).hint(hint).into())
}

/// A module of the store, verified, if it is there.
fn module_by_digest(store: &Store, digest: Digest) -> anyhow::Result<Option<Vec<u8>>> {
    let path = store.directory().join("blobs/sha256").join(digest.hex());
    let Ok(metadata) = fs::metadata(path) else {
        return Ok(None);
    };
    let blob = Descriptor {
        media_type: media_type::WASM.to_owned(),
        digest,
        size: metadata.len(),
    };
    if blob.size > MAX_MODULE_SIZE {
        return Ok(None);
    }
    Ok(Some(read_blob(store, &blob)?))
}

/// Reads a blob whole, which verifies it.
pub(crate) fn read_blob(store: &Store, blob: &Descriptor) -> Result<Vec<u8>, StoreError> {
    let (mut reader, mut bytes) = (store.open_blob(blob)?, Vec::new());
    while let Some(chunk) = reader.next_chunk()? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// A digest of a checkpoint as a store writes it.
pub(crate) fn to_oci(digest: &wherry_snapshot::Digest) -> anyhow::Result<Digest> {
    Ok(text_of(digest).parse()?)
}

/// A digest of a checkpoint as people read it.
pub(crate) fn text_of(digest: &wherry_snapshot::Digest) -> String {
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// A digest of a store as a checkpoint has it.
pub(crate) fn from_oci(digest: &Digest) -> Option<wherry_snapshot::Digest> {
    let hex = digest.hex();
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_both_ways() {
        let digest = Digest::of(b"module");
        let bytes = from_oci(&digest).unwrap();
        assert_eq!(to_oci(&bytes).unwrap(), digest);
        assert_eq!(text_of(&bytes), digest.to_string());
    }

    #[test]
    fn files_and_projects_come_before_artifacts() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        fs::write(at("m.wasm"), "").unwrap();
        assert_eq!(
            locate(&at("m.wasm")).unwrap(),
            Source::Module(at("m.wasm").into())
        );
        assert_eq!(locate(&at("")).unwrap(), Source::Project(at("").into()));
        assert_eq!(locate("no-such/thing:1").unwrap(), Source::Stored);
        assert!(locate("./no-such-thing").is_err());
        assert!(locate("no-such-thing.wasm").is_err());
    }
}
