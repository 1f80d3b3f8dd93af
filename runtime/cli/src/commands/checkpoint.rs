//! `wherry checkpoint`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use wherry_node::{Answer, Form, Question, ask};

use super::Context;
use crate::exit;
use crate::failure::Refusal;
use crate::launch::destination;
use crate::output::{microseconds, size};

/// Write a checkpoint of a running job, and suspend it
///
/// Answers when the file is on the disk. The program needs not know.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wherry checkpoint 3f9c2a11
  wherry checkpoint 3f9c --to job.ckpt --continue")]
pub(crate) struct Checkpoint {
    /// The job's id, or the beginning of it
    job: String,
    /// The file to write [default: where the job's checkpoints go]
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// Let the job go on
    #[arg(long = "continue")]
    go_on: bool,
}

impl Checkpoint {
    pub(crate) fn execute(self, context: &Context) -> anyhow::Result<()> {
        let job = context.home.jobs().find(&self.job)?;
        let to = self.to.as_deref().map(destination).transpose()?;
        let go_on = self.go_on;
        let Answer::Checkpointed(done) = ask(&job, &Question::Checkpoint { to, go_on })? else {
            return Err(Refusal::new(exit::UNAVAILABLE, "the job was killed").into());
        };
        let text = format!(
            "checkpoint  {}\nstate       {}\nsize        {} ({} of memory and files{})\npause       {}",
            done.path.display(),
            done.state_digest,
            size(done.bytes),
            size(done.raw_bytes),
            match done.form {
                Form::Full => "",
                Form::Delta => ", builds on those before it",
            },
            microseconds(done.pause_us),
        );
        let value = json!({ "job": job.record.id, "continues": go_on, "checkpoint": done });
        context.output.result(&value, text)
    }
}
