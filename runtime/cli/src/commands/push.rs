//! `wherry push`

use clap::Args;
use serde_json::json;
use wherry_packager::Reference;

use super::Context;
use crate::carried::Luggage;
use crate::exit;
use crate::failure::Refusal;
use crate::key::KeyArgs;
use crate::output::size;
use crate::transfer::{Meter, RegistryArgs};

/// Send an artifact of the local store, or a checkpoint, to a registry, with what signs it
///
/// CHECKPOINT is a file, or a job of this machine, whose last checkpoint is meant. It becomes an
/// artifact in the local store first; only what the checkpoints before did not have is new in it.
/// Its workload is sent along, and leads to it: `wherry history`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wherry push nbody:1.0.0 ghcr.io/team/nbody:1.0.0
  wherry push nbody:1.0.0 localhost:5000
  wherry push localhost:5000/team/nbody:1.0.0
  wherry push 3f9c2a11                         a job's last checkpoint, beside its workload
  wherry push job.ckpt ghcr.io/team/nbody:half")]
pub(crate) struct Push {
    /// The artifact's name or digest in the store, a job, or a checkpoint's file
    #[arg(value_name = "IMAGE|CHECKPOINT")]
    image: String,
    /// Its name in the registry, or only the registry [default: the name in the store; for a
    /// checkpoint, one beside its workload]
    to: Option<String>,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

impl Push {
    pub(crate) fn execute(self, context: &Context) -> anyhow::Result<()> {
        if let Some(luggage) = Luggage::find(context, &self.image, self.key.load()?.as_ref())? {
            return self.checkpoint(context, &luggage);
        }
        let store = context.home.store_with(&self.image)?;
        let to = self.destination()?;
        let digest = store.resolve(&self.image)?;
        let client = self.registry.client_for(&to)?;
        client.push(&store, &digest, &to, &Meter::new(context.output.json))?;
        let attached = client.push_attachments(&store, &digest, &to)?;
        let (to, digest) = (to.to_string(), digest.to_string());
        let value = json!({ "reference": to, "digest": digest, "attachments": attached });
        context.output.remark(match attached {
            0 => format!("pushed {to}"),
            attached => format!("pushed {to}, with {attached} signatures and attestations"),
        });
        context.output.result(&value, digest)
    }

    fn checkpoint(&self, context: &Context, luggage: &Luggage) -> anyhow::Result<()> {
        let to = match &self.to {
            None => luggage.destination(context, None)?,
            Some(to) if !to.contains('/') => luggage.destination(context, Some(to))?,
            Some(to) => to.parse()?,
        };
        let client = self.registry.client_for(&to)?;
        let store = context.home.store()?;
        let carried = luggage.carry(&context.home, &store, &to)?;
        let json = context.output.json;
        match &luggage.subject {
            Some(workload) => {
                let digest = &workload.digest;
                client.push(&store, digest, &to.at_digest(digest), &Meter::new(json))?;
            }
            None => context
                .output
                .remark("its workload is not in the store, and is not pushed"),
        }
        client.push(&store, &carried.digest, &to, &Meter::new(json))?;
        let workload = luggage.subject.iter().map(|workload| workload.digest);
        for digest in workload.chain([carried.digest]) {
            client.push_attachments(&store, &digest, &to)?;
        }
        let (to, digest) = (to.to_string(), carried.digest.to_string());
        let value = json!({
            "reference": to, "digest": digest, "fresh": carried.fresh,
            "state": luggage.note.state, "sequence": luggage.note.sequence,
            "signed": carried.is_signed,
        });
        let fresh = size(carried.fresh);
        let by = match carried.is_signed {
            true => "signed",
            false => "not signed: no node says that it made it",
        };
        context.output.remark(format!(
            "pushed {to} ({fresh} that no checkpoint before had), {by}"
        ));
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
