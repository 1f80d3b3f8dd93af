//! `wherry rm`

use clap::Args;
use serde_json::{Value, json};
use wherry_packager::Sweep;

use super::Context;
use crate::output::size;

/// Remove artifacts from the local store
///
/// By name, or by digest with all names. What nothing else needs is deleted. Jobs are
/// removed with `wherry jobs rm`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  wherry rm nbody:1.0.0\n  wherry rm 3b1f")]
pub(crate) struct Rm {
    /// What to remove
    #[arg(required = true)]
    image: Vec<String>,
}

impl Rm {
    pub(crate) fn execute(self, context: &Context) -> anyhow::Result<()> {
        let mut removed = Vec::new();
        for image in &self.image {
            let done = context.home.store_with(image)?.remove(image)?;
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

fn freed(sweep: &Sweep) -> String {
    match sweep {
        Sweep::Done { blobs, bytes } => format!("{blobs} blobs deleted, {}", size(*bytes)),
        Sweep::Busy => "nothing deleted yet: something is being packed or pulled".to_owned(),
        Sweep::Unsure(reason) => format!("nothing deleted: {reason}"),
    }
}
