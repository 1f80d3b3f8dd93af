//! `wherry ps`

use clap::Args;
use serde_json::{Value, json};
use wherry_node::{JobInfo, State, Status};

use super::Context;
use crate::failure::warn;
use crate::output::{size, table, time};

/// List jobs
///
/// Jobs that run, that are suspended as a checkpoint, and that are lost: their process was
/// killed. A lost job goes on from its last checkpoint, if it has one.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  wherry ps\n  wherry ps -a --json")]
pub(crate) struct Ps {
    /// List jobs that have ended, too
    #[arg(short, long)]
    all: bool,
}

impl Ps {
    pub(crate) fn execute(self, context: &Context) -> anyhow::Result<()> {
        let mut jobs = Vec::new();
        for job in context.home.jobs().list()? {
            match job {
                Ok(job) => jobs.push(job),
                // One damaged record does not hide the others.
                Err(error) => warn(error),
            }
        }
        jobs.retain(|job| self.all || job.state != State::Ended);
        if context.output.json {
            return context
                .output
                .text(Value::from_iter(jobs.iter().map(value)));
        }
        let header = ["JOB", "STATE", "STARTED", "CHECKPOINT", "WORKLOAD"];
        context
            .output
            .text(table(&header, jobs.iter().map(row).collect()))
    }
}

/// A job for programs.
pub(crate) fn value(job: &JobInfo) -> Value {
    let mut value = json!(job.record);
    value["state"] = json!(job.state);
    value["checkpoint_file"] = json!(job.last_checkpoint().map(|last| last.path));
    value
}

fn row(job: &JobInfo) -> Vec<String> {
    let record = &job.record;
    let state = match (&record.status, job.state) {
        (Status::Ended { end, .. }, State::Ended) => end.to_string(),
        (_, state) => state.to_string(),
    };
    let checkpoint = job.last_checkpoint().map_or("-".to_owned(), |last| {
        let at = last.at.map_or("-".to_owned(), time);
        format!("{at} {}", last.bytes.map_or("missing".to_owned(), size))
    });
    vec![
        record.id.clone(),
        state,
        time(record.created),
        checkpoint,
        record.workload.clone(),
    ]
}
