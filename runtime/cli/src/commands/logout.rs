//! `wherry logout`

use clap::Args;
use serde_json::json;

use super::Context;
use crate::transfer::RegistryArgs;

/// Forget the credentials for a registry
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  wherry logout ghcr.io")]
pub(crate) struct Logout {
    /// HOST[:PORT]
    registry: String,
    #[command(flatten)]
    options: RegistryArgs,
}

impl Logout {
    pub(crate) fn execute(self, context: &Context) -> anyhow::Result<()> {
        let had = self
            .options
            .client(&self.registry)?
            .logout(&self.registry)?;
        let registry = &self.registry;
        let text = if had {
            format!("logged out of {registry}")
        } else {
            format!("there were no credentials for {registry}")
        };
        let value = json!({ "registry": registry, "removed": had });
        context.output.result(&value, text)
    }
}
