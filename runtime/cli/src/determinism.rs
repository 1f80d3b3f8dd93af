//! Deterministic jobs: `--deterministic` and what such a job starts with.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use clap::Args;
use wherry_packager::{Digest, WorkloadConfig};

use crate::exit;
use crate::failure::Refusal;
use crate::workload::from_oci;

/// What a deterministic job starts with.
#[derive(Debug, Args)]
#[command(next_help_heading = "Determinism")]
pub(crate) struct DeterminismArgs {
    /// Depend on nothing but the workload and these options: anyone can run the job again and
    /// `wherry verify` its checkpoints. Clocks and random numbers are made up, there is no
    /// standard input, directories are lent read-only
    #[arg(long)]
    deterministic: bool,
    /// Seed of a deterministic job's random numbers [default: the empty text]
    #[arg(long, value_name = "TEXT")]
    seed: Option<String>,
    /// What a deterministic job's clock shows when it starts [default: 2000-01-01T00:00:00Z]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_rfc3339_weak)]
    start_time: Option<SystemTime>,
}

/// 2000-01-01T00:00:00Z, in seconds since 1970.
const DEFAULT_START: Duration = Duration::from_secs(946_684_800);

impl DeterminismArgs {
    /// When the clock of the job starts, in nanoseconds since 1970, if the job is to be
    /// deterministic.
    pub(crate) fn start(&self, config: &WorkloadConfig) -> anyhow::Result<Option<u64>> {
        if !self.deterministic && !config.deterministic {
            if self.seed.is_some() || self.start_time.is_some() {
                let message = "--seed and --start-time are for deterministic jobs";
                let hint = "add --deterministic";
                return Err(Refusal::new(exit::USAGE, message).hint(hint).into());
            }
            return Ok(None);
        }
        refuse_input()?;
        let start = match self.start_time {
            Some(time) => time.duration_since(SystemTime::UNIX_EPOCH).ok(),
            None => Some(DEFAULT_START),
        };
        let start = start.and_then(|start| u64::try_from(start.as_nanos()).ok());
        let message = "--start-time must lie between 1970 and 2554";
        let start = start.ok_or_else(|| Refusal::new(exit::USAGE, message))?;
        Ok(Some(start))
    }

    /// The seed of a deterministic job; any other job gets one from the system.
    pub(crate) fn seed(&self, deterministic: Option<u64>) -> Option<[u8; 32]> {
        deterministic?;
        from_oci(&Digest::of(self.seed.as_deref().unwrap_or("").as_bytes()))
    }
}

/// A deterministic job has no input: a file with some was meant to be read.
fn refuse_input() -> anyhow::Result<()> {
    let Ok(stdin) = io::stdin().as_fd().try_clone_to_owned() else {
        return Ok(());
    };
    let metadata = std::fs::File::from(stdin).metadata();
    let metadata = metadata.context("standard input cannot be looked at")?;
    if metadata.is_file() && metadata.len() > 0 {
        let message = "a deterministic job has no standard input, and is given some";
        let hint = "lend it the directory of the file: --dir HOST::GUEST::ro";
        return Err(Refusal::new(exit::USAGE, message).hint(hint).into());
    }
    Ok(())
}
