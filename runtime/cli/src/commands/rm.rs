//! `wherry rm`

use clap::Args;
use serde_json::{Value, json};
use wherry_node::State;
use wherry_packager::{Store, Sweep};

use super::Context;
use crate::exit;
use crate::failure::Refusal;
use crate::output::size;

/// Remove artifacts from the local store
///
/// By name, or by digest with all names. What nothing else needs is deleted, but not the module
/// of a job that can go on. Jobs are removed with `wherry jobs rm`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  wherry rm nbody:1.0.0\n  wherry rm 3b1f")]
pub(crate) struct Rm {
    /// Remove it even if jobs need it, which cannot go on then
    #[arg(long)]
    force: bool,
    /// What to remove
    #[arg(required = true)]
    image: Vec<String>,
}

impl Rm {
    pub(crate) fn execute(self, context: &Context) -> anyhow::Result<()> {
        let mut removed = Vec::new();
        for image in &self.image {
            let store = context.home.store_with(image)?;
            if !self.force {
                refuse_needed(context, &store, image)?;
            }
            let done = store.remove(image)?;
            let digest = done.digest.to_string();
            removed.push(json!({ "digest": digest, "references": done.references }));
            if !context.output.json {
                context.output.text(digest)?;
            }
            context.output.remark(freed(&done.sweep));
        }
        if context.output.json {
            context.output.text(Value::from(removed))?;
        }
        Ok(())
    }
}

/// Refuses to remove the module of a job that can go on.
fn refuse_needed(context: &Context, store: &Store, image: &str) -> anyhow::Result<()> {
    let mut jobs: Vec<_> = context.home.jobs().list()?.into_iter().flatten().collect();
    jobs.retain(|job| match job.state {
        State::Running | State::Suspended => true,
        State::Lost => job.last_checkpoint().is_some(),
        State::Ended => false,
    });
    if jobs.is_empty() {
        return Ok(());
    }
    let blobs = store.needed_only_by(image)?;
    let is_needed = |module: &str| blobs.iter().any(|blob| blob.to_string() == module);
    jobs.retain(|job| is_needed(&job.record.module));
    if jobs.is_empty() {
        return Ok(());
    }
    let names = jobs
        .iter()
        .map(|job| format!("{} ({})", job.record.id, job.state));
    let names = names.collect::<Vec<_>>().join(", ");
    let message = format!("{image} has the module of jobs that can go on: {names}");
    let refusal = Refusal::new(exit::UNAVAILABLE, message);
    let hint = "end them (`wherry resume`) or forget them (`wherry jobs rm`) first, or use --force";
    Err(refusal.hint(hint).into())
}

fn freed(sweep: &Sweep) -> String {
    match sweep {
        Sweep::Done { blobs, bytes } => format!("{blobs} blobs deleted, {}", size(*bytes)),
        Sweep::Busy => "nothing deleted yet: something is being packed or pulled".to_owned(),
        Sweep::Unsure(reason) => format!("nothing deleted: {reason}"),
    }
}
