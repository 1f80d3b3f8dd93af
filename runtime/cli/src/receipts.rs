//! Receipts of this node: written when a run ends, found again by the name of a job.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use wherry_node::{JobStore, Receipt, RunEnd, node_key};

/// The file in a job's directory.
pub(crate) const FILE: &str = "receipt.json";

/// What receipts of a run need.
#[derive(Debug)]
pub(crate) struct Receipts {
    home: PathBuf,
    /// Digest of the policy that holds.
    pub(crate) policy: String,
    /// Where another copy goes.
    copy: Option<PathBuf>,
}

impl Receipts {
    pub(crate) fn new(home: &Path, copy: Option<PathBuf>) -> Self {
        Receipts {
            home: home.to_owned(),
            policy: String::new(),
            copy,
        }
    }

    /// Writes the receipt of a run of the job in `directory`. Returns where it is.
    pub(crate) fn write(
        &self,
        directory: &Path,
        outcome: &str,
        code: Option<u32>,
        exit: u8,
    ) -> anyhow::Result<PathBuf> {
        let id = directory.file_name().unwrap_or_default().to_string_lossy();
        let store = JobStore::new(directory.parent().unwrap_or(directory).to_owned());
        let record = store.find(&id)?.record;
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let at = since.map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        });
        let end = RunEnd {
            outcome,
            code,
            exit,
            at,
        };
        let receipt = Receipt::of(&record, &self.policy, end);
        let bytes = receipt.sign(&node_key(&self.home)?)?;
        let path = directory.join(FILE);
        replace(&path, &bytes)?;
        if let Some(copy) = &self.copy {
            replace(copy, &bytes)?;
        }
        Ok(path)
    }
}

/// Writes a file beside its place, then renames it.
fn replace(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let failed = || format!("the receipt {} cannot be written", path.display());
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let mut file =
        tempfile::NamedTempFile::new_in(parent.unwrap_or(Path::new("."))).with_context(failed)?;
    file.write_all(bytes).with_context(failed)?;
    file.persist(path)
        .map_err(|error| error.error)
        .with_context(failed)?;
    Ok(())
}

/// The receipt that `name` means: a file, a state directory, or a job of this machine.
pub(crate) fn find(jobs: &JobStore, name: &str) -> anyhow::Result<PathBuf> {
    let path = Path::new(name);
    if path.is_file() {
        return Ok(path.to_owned());
    }
    let job = if path.is_dir() {
        let store = JobStore::new(path.to_owned());
        let mut jobs = store.list()?.into_iter().flatten();
        jobs.next()
            .with_context(|| format!("there is no job in {name}"))?
    } else {
        let found = jobs.find(name);
        found.with_context(|| format!("`{name}` is neither a file, a state directory nor a job"))?
    };
    let receipt = job.directory().join(FILE);
    fs::metadata(&receipt).with_context(|| {
        let id = &job.record.id;
        format!("the job {id} has no receipt: none of its runs has ended")
    })?;
    Ok(receipt)
}
