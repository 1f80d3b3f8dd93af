//! `wherry kill`

use clap::Args;
use serde_json::json;
use wherry_node::{Question, ask};

use super::Context;

/// End a running job at once, without a checkpoint
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  wherry kill 3f9c2a11")]
pub(crate) struct Kill {
    /// The job's id, or the beginning of it
    job: String,
}

impl Kill {
    pub(crate) fn execute(self, context: &Context) -> anyhow::Result<()> {
        let job = context.home.jobs().find(&self.job)?;
        ask(&job, &Question::Kill)?;
        let id = &job.record.id;
        context.output.result(&json!({ "killed": id }), id)
    }
}
