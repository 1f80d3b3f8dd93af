//! `wherry pull`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use wherry_packager::Reference;

use super::Context;
use crate::carried;
use crate::origins;
use crate::transfer::RegistryArgs;

/// Fetch an artifact from a registry into the local store, with its signatures and attestations
///
/// With a checkpoint comes the workload that it is a state of. `wherry resume` goes on with it;
/// --output writes it to a file.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wherry pull ghcr.io/team/nbody:1.0.0
  wherry run ghcr.io/team/nbody:1.0.0
  wherry pull --output job.ckpt ghcr.io/team/nbody:half")]
pub(crate) struct Pull {
    /// What to fetch: REGISTRY/NAME[:TAG][@DIGEST]
    reference: Reference,
    /// Write the checkpoint to this file, and those that it builds on beside it
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    registry: RegistryArgs,
}

impl Pull {
    pub(crate) fn execute(self, context: &Context) -> anyhow::Result<()> {
        let store = context.home.store()?;
        let client = self.registry.client_for(&self.reference)?;
        let fetched = carried::fetch(context, &client, &store, &self.reference)?;
        let (digest, attached) = (fetched.digest, fetched.attachments);
        let files = match &self.output {
            Some(output) => {
                let files = carried::unpack(&store, &digest, output)?;
                origins::unpack(&store, &digest, output)?;
                files
            }
            None => Vec::new(),
        };
        let (reference, digest) = (self.reference.to_string(), digest.to_string());
        let value = json!({
            "reference": reference,
            "digest": digest,
            "files": files,
            "attachments": attached,
        });
        context.output.remark(match attached {
            0 => format!("pulled {reference}"),
            attached => format!("pulled {reference}, with {attached} signatures and attestations"),
        });
        context.output.result(&value, digest)
    }
}
