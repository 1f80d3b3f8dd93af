//! `wherry sign`

use std::path::Path;

use clap::Args;
use serde_json::json;
use wherry_packager::Digest;
use wherry_trust::{Sha256, Statement};

use super::Context;
use crate::exit;
use crate::failure::Refusal;
use crate::signatures::attach;
use crate::signing::SignKeyArgs;
use crate::workload::from_oci;

/// Sign an artifact of the local store
///
/// The signature is a Sigstore bundle, as cosign 3 makes it with a key pair and no network: it is
/// attached to the artifact in the store, goes with it when it is pushed or exported, and `cosign
/// verify --key team.pub --insecure-ignore-tlog` verifies it in a registry.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wherry key pair team
  wherry sign --sign-key team.key nbody:1.0.0
  wherry push nbody:1.0.0 registry.example/team/nbody:1.0.0")]
pub(crate) struct Sign {
    #[command(flatten)]
    key: SignKeyArgs,
    /// The artifact's name or digest in the store
    #[arg(value_name = "REF", help_heading = "Arguments")]
    image: String,
}

impl Sign {
    pub(crate) fn execute(self, context: &Context) -> anyhow::Result<()> {
        if Path::new(&self.image).is_file() {
            let message = format!("{} is a file, not an artifact of the store", self.image);
            let hint = "`wherry pack` makes an artifact; checkpoints are signed by the node that made them, when `wherry push` sends them";
            return Err(Refusal::new(exit::USAGE, message).hint(hint).into());
        }
        let key = self.key.require()?;
        let store = context.home.store_with(&self.image)?;
        let digest = store.resolve(&self.image)?;
        let statement = Statement::signature(sha256(&digest)?);
        let manifest = attach(&store, &digest, &key, &statement)?;
        let id = key.public().id().to_string();
        let value = json!({
            "digest": digest.to_string(),
            "signature": manifest.to_string(),
            "key": id,
        });
        context
            .output
            .remark(format!("signed {} with the key {id}", self.image));
        context.output.result(&value, manifest)
    }
}

pub(super) fn sha256(digest: &Digest) -> anyhow::Result<Sha256> {
    let bytes = from_oci(digest);
    let refused = || Refusal::new(exit::INTERNAL, format!("{digest} is no digest"));
    Ok(bytes.ok_or_else(refused)?)
}
