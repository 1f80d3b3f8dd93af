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
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};
use wherry_snapshot::{Digest, hex};

use crate::code::{is_whole, reach};
use crate::file::TEMPORARY;
use crate::module::Reach;
use crate::{Error, Form, write_atomically};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What a cache of compiled modules may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheLimits {
    /// Bytes of all entries together. Those that were not used for longest go first.
    pub bytes: u64,
    /// How long an entry stays that nothing uses.
    pub age: Duration,
}

impl Default for CacheLimits {
    /// Two gibibytes, thirty days.
    fn default() -> Self {
        CacheLimits {
            bytes: 2 << 30,
            age: 30 * DAY,
        }
    }
}

/// What was found in a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evicted {
    /// Entries that are beyond the limits.
    pub entries: u64,
    /// Their bytes, and those of entries that were never finished.
    pub bytes: u64,
    /// Entries that are kept.
    pub kept: u64,
    /// Their bytes.
    pub kept_bytes: u64,
}

/// Deletes the entries of a cache that are beyond `limits`, unless this is a `dry_run`. Whoever
/// looks for one of them compiles the module again.
///
/// # Errors
/// The directory cannot be read, or something not deleted.
pub fn evict_cache(directory: &Path, limits: CacheLimits, dry_run: bool) -> io::Result<Evicted> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Evicted::default()),
        entries => entries?.flatten(),
    };
    let now = SystemTime::now();
    let mut found = Vec::new();
    for entry in entries {
        // Another process may evict, too.
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        let age = now.duration_since(metadata.modified()?).unwrap_or_default();
        let name = entry.file_name().to_string_lossy().into_owned();
        if metadata.is_file() {
            found.push((age, metadata.len(), name));
        }
    }
    found.sort();
    let mut evicted = Evicted::default();
    for (age, bytes, name) in found {
        let is_entry = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_unfinished = name.starts_with(TEMPORARY) && age > DAY;
        let fits = age <= limits.age && evicted.kept_bytes.saturating_add(bytes) <= limits.bytes;
        if is_entry && fits {
            evicted.kept += 1;
            evicted.kept_bytes += bytes;
        } else if is_entry || is_unfinished {
            evicted.entries += u64::from(is_entry);
            evicted.bytes += bytes;
            if !dry_run {
                remove(&directory.join(name))?;
            }
        }
    }
    Ok(evicted)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

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

    /// The entry for a module in one of its forms, if there is one that is whole.
    pub(crate) fn load(
        &self,
        engine: &wasmtime::Engine,
        module: &Digest,
        form: Form,
        reach: Reach,
    ) -> Option<Vec<u8>> {
        let path = self.path(engine, module, form, reach);
        let entry = fs::read(&path).ok()?;
        is_whole(&entry).then(|| mark_used(&path))?;
        Some(entry)
    }

    /// Keeps an entry. The cache is a convenience: that it cannot be written is no error.
    pub(crate) fn store(
        &self,
        engine: &wasmtime::Engine,
        module: &Digest,
        form: Form,
        entry: &[u8],
    ) {
        let Some(reach) = reach(entry) else { return };
        let path = self.path(engine, module, form, reach);
        let _ = write_atomically(&path, |file| Ok(file.write_all(entry)?));
        let _ = evict_cache(&self.directory, CacheLimits::default(), false);
    }

    fn path(
        &self,
        engine: &wasmtime::Engine,
        module: &Digest,
        form: Form,
        reach: Reach,
    ) -> PathBuf {
        let mut compiler = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut compiler);
        let mut key = Sha256::new_with_prefix(module);
        key.update(wherry_instrument::BUILD);
        let options = form.options;
        let in_part = reach == Reach::Part;
        let flags = [
            options.resumable,
            options.countdown,
            form.deterministic,
            in_part,
        ];
        key.update(flags.map(u8::from));
        key.update(compiler.finish().to_le_bytes());
        self.directory.join(hex(&key.finalize().into()))
    }
}

/// Makes the entry one that was used last. An hour more or less does not matter.
fn mark_used(path: &Path) {
    let age = fs::metadata(path).and_then(|metadata| metadata.modified());
    let age = age.map(|used| used.elapsed().unwrap_or_default());
    if age.is_ok_and(|age| age > DAY / 24) {
        let file = fs::OpenOptions::new().append(true).open(path);
        let _ = file.and_then(|file| file.set_modified(SystemTime::now()));
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries of 100 bytes, by how long ago they were used, in days.
    fn cache(ages: &[u32]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for age in ages {
            put(directory.path(), &format!("{age:064}"), *age);
        }
        directory
    }

    fn put(directory: &Path, name: &str, days: u32) {
        let path = directory.join(name);
        fs::write(&path, [0; 100]).unwrap();
        let file = fs::OpenOptions::new().append(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - days * DAY).unwrap();
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap().flatten();
        let mut names: Vec<_> = entries
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_was_used_last_stays() {
        let cache = cache(&[40, 3, 2, 1, 0]);
        for other in ["README", ".wherry-new"] {
            put(cache.path(), other, 0);
        }
        put(cache.path(), ".wherry-old", 2);
        let limits = CacheLimits {
            bytes: 350,
            ..CacheLimits::default()
        };
        let expected = Evicted {
            entries: 2,
            bytes: 300,
            kept: 3,
            kept_bytes: 300,
        };
        let before = names(cache.path());
        assert_eq!(evict_cache(cache.path(), limits, true).unwrap(), expected);
        assert_eq!(names(cache.path()), before);
        assert_eq!(evict_cache(cache.path(), limits, false).unwrap(), expected);
        let entry = |age: u32| format!("{age:064}");
        let left = [
            ".wherry-new".to_owned(),
            entry(0),
            entry(1),
            entry(2),
            "README".to_owned(),
        ];
        assert_eq!(names(cache.path()), left);
    }

    #[test]
    fn what_is_used_counts_as_new() {
        let cache = cache(&[40]);
        mark_used(&cache.path().join(format!("{:064}", 40)));
        let evicted = evict_cache(cache.path(), CacheLimits::default(), false).unwrap();
        assert_eq!((evicted.entries, evicted.kept), (0, 1));
    }

    #[test]
    fn no_cache_is_an_empty_one() {
        let nowhere = Path::new("/nonexistent/cache");
        let evicted = evict_cache(nowhere, CacheLimits::default(), false).unwrap();
        assert_eq!(evicted, Evicted::default());
    }
}
