//! `wherry jobs`

use clap::{Args, Subcommand};
use serde_json::json;
use wherry_node::State;

use super::Context;

/// Tidy up the records of jobs
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  wherry jobs rm 3f9c2a11\n  wherry jobs rm --ended")]
pub(crate) struct Jobs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Forget jobs that do not run, with their checkpoints and scratch directories
    #[command(after_help = "Examples:\n  wherry jobs rm 3f9c2a11\n  wherry jobs rm --ended")]
    Rm {
        /// Their ids
        #[arg(required_unless_present = "ended")]
        job: Vec<String>,
        /// All that have ended
        #[arg(long)]
        ended: bool,
    },
}

impl Jobs {
    pub(crate) fn execute(self, context: &Context) -> anyhow::Result<()> {
        let Action::Rm { job: names, ended } = self.action;
        let store = context.home.jobs();
        let mut jobs = Vec::new();
        if ended {
            let ended = store.list()?.into_iter().flatten();
            jobs.extend(ended.filter(|job| job.state == State::Ended));
        }
        for name in &names {
            jobs.push(store.find(name)?);
        }
        let mut removed = Vec::new();
        for job in jobs {
            let id = job.record.id.clone();
            store.remove(job)?;
            removed.push(id);
        }
        context
            .output
            .result(&json!({ "removed": removed }), removed.join("\n"))
    }
}
