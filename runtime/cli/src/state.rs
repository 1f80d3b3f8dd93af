//! `--state DIR`: the same command goes on with the job that it started before.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde_json::json;
use wherry_node::{End, JobInfo, Record, StateDirectory, Status};
use wherry_packager::Digest;

use crate::commands::Context;
use crate::events::Events;
use crate::failure::Refusal;
use crate::policy::NodePolicy;
use crate::{exit, output};

/// Where the state of a job is kept for the same command.
#[derive(Debug, Args)]
#[command(next_help_heading = "For schedulers")]
pub(crate) struct StateArgs {
    /// Keep the job in DIR, and go on with the one that is there if the same command made it.
    /// Checkpoints are made every 10 minutes, or as --checkpoint-after says
    #[arg(long, value_name = "DIR", conflicts_with_all = ["checkpoint_to", "checkpoint_every"])]
    state: Option<PathBuf>,
}

/// What is in a state directory.
pub(crate) enum Found {
    /// Nothing to go on with.
    Nothing,
    /// A job that has ended.
    Ended(End),
    /// A job that can go on.
    Unfinished(Box<JobInfo>),
}

impl StateArgs {
    /// Takes the directory that was chosen, or the one that the policy has for such a command.
    pub(crate) fn open(
        &self,
        node: &NodePolicy,
        identity: &str,
    ) -> anyhow::Result<Option<StateDirectory>> {
        let name = |directory: &PathBuf| {
            let (_, hex) = identity.split_once(':').unwrap_or(("", identity));
            directory.join(hex.get(..16).unwrap_or(hex))
        };
        let usual = node.policy.checkpoints.directory.as_ref().map(name);
        let Some(directory) = self.state.clone().or(usual) else {
            return Ok(None);
        };
        let directory = std::path::absolute(&directory)
            .with_context(|| format!("there is no {}", directory.display()))?;
        Ok(Some(StateDirectory::take(&directory)?))
    }
}

/// What makes a command the same as another: the module, what the program is given, and how it
/// sees its files. Where directories and limits come from may change.
pub(crate) fn identity(
    record: &Record,
    env: &[(String, String)],
    deterministic: Option<u64>,
    seed: Option<[u8; 32]>,
) -> String {
    let mounts = record.mounts.iter();
    let mounts: Vec<_> = mounts
        .map(|mount| (&mount.guest, mount.read_only))
        .collect();
    let value = json!({
        "module": record.module,
        "args": record.args,
        "env": env,
        "mounts": mounts,
        "scratch": record.scratch,
        "deterministic": deterministic,
        "seed": seed,
    });
    Digest::of(value.to_string().as_bytes()).to_string()
}

/// What the directory holds of the job that `wanted` describes.
pub(crate) fn find(state: &StateDirectory, wanted: &Record) -> anyhow::Result<Found> {
    let Some(job) = state.job()? else {
        return Ok(Found::Nothing);
    };
    refuse_other(state.directory(), &job.record, wanted)?;
    match &job.record.status {
        // What the runtime could not do once, it may now.
        Status::Ended { end, .. } if !matches!(end, End::Failed(_)) => {
            return Ok(Found::Ended(end.clone()));
        }
        _ => {}
    }
    if job.last_checkpoint().is_some() {
        return Ok(Found::Unfinished(Box::new(job)));
    }
    // It was killed before its first checkpoint.
    state.store().remove(job)?;
    Ok(Found::Nothing)
}

fn refuse_other(directory: &Path, there: &Record, wanted: &Record) -> anyhow::Result<()> {
    if there.command == wanted.command {
        return Ok(());
    }
    let what = if there.module != wanted.module {
        format!(
            "it is of {} ({}), not {}",
            there.workload, there.module, wanted.module
        )
    } else if there.args != wanted.args {
        format!(
            "it was started with {:?}, not {:?}",
            there.args, wanted.args
        )
    } else {
        "it was started with another environment, directory or seed".to_owned()
    };
    let message = format!(
        "{} is the state of another job, {}: {what}",
        directory.display(),
        there.id
    );
    let hint = "choose another --state DIR, or remove this one if that job is of no use";
    Err(Refusal::new(exit::USAGE, message).hint(hint).into())
}

/// Says again how a job ended, and returns the exit code that it had.
pub(crate) fn report(context: &Context, events: &Events, end: &End) -> u8 {
    let (outcome, code, exit) = match end {
        End::Exited(code) => ("exited", Some(*code), exit::of_program(*code)),
        End::Trapped(_) => ("trapped", None, exit::TRAPPED),
        End::Killed | End::Failed(_) => ("killed", None, exit::KILLED),
    };
    let value = json!({ "outcome": outcome, "code": code, "again": true });
    if context.output.json {
        output::note(&value);
    } else if !matches!(end, End::Exited(_)) {
        output::note(format!("wherry: the job has ended before: {end}"));
    }
    let mut value = value;
    value["exit"] = exit.into();
    events.emit("finished", value);
    events.close();
    exit
}
