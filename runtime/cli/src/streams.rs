//! `--output FILE` and `--log FILE`: files with what a job wrote, and nothing else.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use wherry_engine::Usage;
use wherry_node::{JobFiles, Streams};

use crate::exit;
use crate::failure::Refusal;

/// Where the output of a job goes.
#[derive(Debug, Args)]
#[command(next_help_heading = "For schedulers")]
pub(crate) struct StreamArgs {
    /// Write standard output to FILE: whatever happens, each byte is in it once. When the job goes
    /// on from a checkpoint, the file is cut back to what had been written then
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The same for standard error
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
}

impl StreamArgs {
    /// What the job's record has of it: absolute, so that the job can be resumed from elsewhere.
    pub(crate) fn record(&self) -> anyhow::Result<Streams> {
        let absolute = |path: &PathBuf| {
            std::path::absolute(path).with_context(|| format!("there is no {}", path.display()))
        };
        let streams = Streams {
            output: self.output.as_ref().map(absolute).transpose()?,
            log: self.log.as_ref().map(absolute).transpose()?,
        };
        if streams.output.is_some() && streams.output == streams.log {
            let message = "--output and --log are one file: its length says nothing of either";
            return Err(Refusal::new(exit::USAGE, message).into());
        }
        Ok(streams)
    }
}

/// Opens the files, with as much in them as the job has written so far.
pub(crate) fn open(streams: &Streams, usage: Usage) -> anyhow::Result<JobFiles> {
    let open = |path: &Option<PathBuf>, length| {
        let path = path.as_ref();
        path.map(|path| cut(path, length)).transpose()
    };
    Ok(JobFiles {
        output: open(&streams.output, usage.stdout_bytes)?,
        log: open(&streams.log, usage.stderr_bytes)?,
        checkpoint: Vec::new(),
    })
}

/// A file with the first `length` bytes of what it has.
fn cut(path: &Path, length: u64) -> anyhow::Result<File> {
    let failed = || format!("output cannot go to {}", path.display());
    let refused = |code, why: String| Refusal::new(code, format!("{}: {why}", failed()));
    if path.exists() && !path.is_file() {
        return Err(refused(exit::CANNOT_CREATE, "it is not a regular file".to_owned()).into());
    }
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o644);
    let mut file = options.open(path).map_err(|error| {
        let code = if error.kind() == std::io::ErrorKind::PermissionDenied {
            exit::NO_PERMISSION
        } else {
            exit::CANNOT_CREATE
        };
        refused(code, error.to_string())
    })?;
    let has = file.metadata().with_context(failed)?.len();
    if has < length {
        let why = format!(
            "it has {has} bytes, and the job had written {length} when its checkpoint was made"
        );
        let hint = "bring the file back as it was, or start the job anew";
        return Err(refused(exit::BAD_DATA, why).hint(hint).into());
    }
    file.set_len(length).with_context(failed)?;
    file.seek(SeekFrom::Start(length)).with_context(failed)?;
    // The name outlives a power failure as the content does.
    let parent = path.parent().unwrap_or(Path::new("/"));
    let synced = File::open(parent).and_then(|parent| parent.sync_all());
    synced.with_context(failed)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_file_is_cut_back_never_filled_up() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out");
        drop(cut(&path, 0).unwrap());
        std::fs::write(&path, "0123456789").unwrap();
        cut(&path, 4).unwrap().write_all(b"ab").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "0123ab");
        let refused = cut(&path, 7).unwrap_err().to_string();
        assert!(
            refused.contains("6 bytes") && refused.contains('7'),
            "{refused}"
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "0123ab");
        assert!(cut(directory.path(), 0).is_err());
        assert!(cut(Path::new("/dev/null"), 0).is_err());
        assert!(cut(&directory.path().join("no/out"), 0).is_err());
    }
}
