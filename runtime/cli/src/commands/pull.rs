//! `wherry pull`

use clap::Args;
use serde_json::json;
use wherry_packager::Reference;

use super::Context;
use crate::transfer::{Meter, RegistryArgs};

/// Fetch an artifact from a registry into the local store
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wherry pull ghcr.io/team/nbody:1.0.0
  wherry run ghcr.io/team/nbody:1.0.0")]
pub(crate) struct Pull {
    /// What to fetch: REGISTRY/NAME[:TAG][@DIGEST]
    reference: Reference,
    #[command(flatten)]
    registry: RegistryArgs,
}

impl Pull {
    pub(crate) fn execute(self, context: &Context) -> anyhow::Result<()> {
        let store = context.home.store()?;
        let client = self.registry.client_for(&self.reference)?;
        let digest = client.pull(&store, &self.reference, &Meter::new(context.output.json))?;
        let (reference, digest) = (self.reference.to_string(), digest.to_string());
        let value = json!({ "reference": reference, "digest": digest });
        context.output.remark(format!("pulled {reference}"));
        context.output.result(&value, digest)
    }
}
