//! `wherry pull`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use wherry_packager::{Digest, Reference, Store};
use wherry_registry_client::Registry;

use super::Context;
use crate::carried;
use crate::failure::warn;
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
        let digest = carried::fetch(context, &client, &store, &self.reference)?;
        let files = match &self.output {
            Some(output) => carried::unpack(&store, &digest, output)?,
            None => Vec::new(),
        };
        let attached = self.attachments(&client, &store, &digest);
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

    /// Fetches what is said about the artifact, and about the workload if it is a checkpoint. Returns
    /// how many there are; without them, it is not signed.
    fn attachments(&self, client: &Registry, store: &Store, digest: &Digest) -> usize {
        let stored = store.stored(digest).ok();
        let subject = stored.and_then(|stored| stored.document.subject());
        let about = std::iter::once(*digest).chain(subject.map(|subject| subject.digest));
        let mut fetched = 0;
        for digest in about {
            match client.pull_attachments(store, &self.reference, &digest) {
                Ok(attachments) => {
                    fetched += attachments.fetched.len();
                    for (which, why) in attachments.refused {
                        warn(format!("the signature {which} was not fetched: {why}"));
                    }
                }
                Err(error) => warn(format!("signatures were not fetched: {error}")),
            }
        }
        fetched
    }
}
