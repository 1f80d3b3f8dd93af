//! `wherry checkpoints`

use clap::Args;
use serde_json::{Value, json};
use wherry_node::{Checkpoint, Standing, Why};

use super::Context;
use crate::output::{microseconds, size, table, time};

/// List the checkpoints of a job, and why each is kept
///
/// A job keeps its last checkpoints, as many as --keep says, and those of --keep-every. One that
/// went to a file of yours is yours. One that was damaged, or that the job went back behind, was
/// set aside; `wherry gc` removes it when the job is as far again.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  wherry checkpoints 3f9c2a11\n  wherry checkpoints --json 3f9c"
)]
pub(crate) struct Checkpoints {
    /// The job's id, or the beginning of it
    job: String,
}

impl Checkpoints {
    pub(crate) fn execute(self, context: &Context) -> anyhow::Result<()> {
        let job = context.home.jobs().find(&self.job)?;
        let checkpoints = job.checkpoints()?;
        let reasons = job.record.retention.sort(&checkpoints);
        let listed = || checkpoints.iter().zip(&reasons);
        if context.output.json {
            let listed = listed().map(|(one, why)| value(one, why.as_ref()));
            return context.output.text(Value::from_iter(listed));
        }
        let header = ["SEQUENCE", "MADE", "SIZE", "STATE", "PAUSE", "KEPT", "FILE"];
        let rows = listed().map(|(one, why)| row(one, why.as_ref()));
        context.output.text(table(&header, rows.collect()))
    }
}

fn value(one: &Checkpoint, why: Option<&Why>) -> Value {
    json!({
        "sequence": one.sequence,
        "path": one.path,
        "standing": one.standing,
        "kept": why.is_some(),
        "why": reason(one, why),
        "at": one.at,
        "bytes": one.bytes,
        "noted": one.noted,
    })
}

fn row(one: &Checkpoint, why: Option<&Why>) -> Vec<String> {
    let unknown = || "-".to_owned();
    let sequence = Some(one.sequence).filter(|sequence| *sequence > 0);
    let noted = one.noted.as_ref();
    // As much of the digest as tells states apart.
    let state = noted.map(|noted| noted.state_digest.chars().take(19).collect());
    vec![
        sequence.map_or_else(unknown, |sequence| sequence.to_string()),
        one.at.map_or_else(unknown, time),
        one.bytes.map_or_else(unknown, size),
        state.unwrap_or_else(unknown),
        noted.map_or_else(unknown, |noted| microseconds(noted.pause_us)),
        reason(one, why),
        one.path.display().to_string(),
    ]
}

fn reason(one: &Checkpoint, why: Option<&Why>) -> String {
    match (&one.standing, why) {
        _ if one.bytes.is_none() => "the file is gone".to_owned(),
        (Standing::Aside(reason), Some(why)) => format!("{reason}; {why}"),
        (Standing::Aside(reason), None) => format!("{reason}; until `wherry gc`"),
        (_, Some(why)) => why.to_string(),
        (_, None) => "until the next one, or `wherry gc`".to_owned(),
    }
}
