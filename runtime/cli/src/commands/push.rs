//! `wherry push`

use clap::Args;
use serde_json::json;
use wherry_packager::Reference;

use super::Context;
use crate::exit;
use crate::failure::Refusal;
use crate::transfer::{Meter, RegistryArgs};

/// Send an artifact of the local store to a registry
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wherry push nbody:1.0.0 ghcr.io/team/nbody:1.0.0
  wherry push nbody:1.0.0 localhost:5000
  wherry push localhost:5000/team/nbody:1.0.0")]
pub(crate) struct Push {
    /// The artifact's name or digest in the store
    image: String,
    /// Its name in the registry, or only the registry [default: the name in the store]
    to: Option<String>,
    #[command(flatten)]
    registry: RegistryArgs,
}

impl Push {
    pub(crate) fn execute(self, context: &Context) -> anyhow::Result<()> {
        let store = context.home.store_with(&self.image)?;
        let to = self.destination()?;
        let digest = store.resolve(&self.image)?;
        let client = self.registry.client_for(&to)?;
        client.push(&store, &digest, &to, &Meter::new(context.output.json))?;
        let (to, digest) = (to.to_string(), digest.to_string());
        let value = json!({ "reference": to, "digest": digest });
        context.output.remark(format!("pushed {to}"));
        context.output.result(&value, digest)
    }

    fn destination(&self) -> anyhow::Result<Reference> {
        let image = || self.image.parse::<Reference>();
        let to = match &self.to {
            None => image()?,
            // `localhost:5000` alone could be a name with a tag, but there a registry is wanted.
            Some(to) if !to.contains('/') => image()?.at_registry(to)?,
            Some(to) => to.parse()?,
        };
        if to.registry().is_none() {
            let message = format!("`{to}` names no registry");
            let hint = format!("wherry push {} REGISTRY/{to}", self.image);
            return Err(Refusal::new(exit::USAGE, message).hint(hint).into());
        }
        Ok(to)
    }
}
