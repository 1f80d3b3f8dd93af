//! `wherry pack`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use wherry_packager::pack;

use super::Context;
use crate::output::size;

/// Pack a project into the local store
///
/// Reads DIR/workload.toml, validates the module, and stores the artifact as NAME:VERSION.
/// The same files always make the same digest.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  wherry pack\n  wherry pack workloads/nbody")]
pub(crate) struct Pack {
    /// The project
    #[arg(default_value = ".")]
    directory: PathBuf,
}

impl Pack {
    pub(crate) fn execute(self, context: &Context) -> anyhow::Result<()> {
        let packed = context
            .home
            .add_to_store(|store| pack(&self.directory, store))?;
        let reference = packed.reference.as_ref().map(ToString::to_string);
        let value = json!({
            "reference": reference,
            "digest": packed.digest.to_string(),
            "size": packed.size,
            "module": { "size": packed.module.size, "functions": packed.module.functions },
        });
        let name = reference.unwrap_or_default();
        context
            .output
            .remark(format!("packed {name}, {}", size(packed.size)));
        let text = format!("{name}@{}", packed.digest);
        context.output.result(&value, text)
    }
}
