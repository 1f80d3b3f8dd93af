//! `wherry verify`

mod rerun;

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use wherry_packager::Digest;

use self::rerun::RerunArgs;
use super::Context;
use crate::exit;
use crate::failure::Refusal;
use crate::signatures::{self, Finding};
use crate::signing::SignedByArgs;

/// Check who signed an artifact, or that a checkpoint is what its job does
///
/// With one REF and --signed-by: whether the owner of one of the keys has signed the artifact of
/// the store. Signatures are Sigstore bundles as `wherry sign` and cosign 3 attach them, and those
/// of older versions of cosign; what else somebody has attested is shown. Exits with 0 if a key
/// has signed it, and with 1 if none has.
///
/// With two checkpoints of a deterministic job: goes on from EARLIER, in a scratch directory of its
/// own and with its output thrown away, to the safepoint at which LATER was made, and compares the
/// two states bit for bit. Whoever made the checkpoints need not be trusted for LATER to be right,
/// if EARLIER is. Exits with 0 if the states are the same and with 1 if they are not, and then
/// shows what differs first. Directories that the job was lent must be lent again, and are the one
/// thing that cannot be checked: they must have the same content.
#[derive(Debug, Args)]
#[command(
    override_usage = "wherry verify --signed-by <FILE>... <REF>\n       wherry verify [OPTIONS] <EARLIER> <LATER>",
    after_help = "\
Examples:
  wherry verify --signed-by team.pub nbody:1.0.0

  wherry run --deterministic --checkpoint-at 1000000 --checkpoint-to 1.ckpt prog.wasm
  wherry resume --checkpoint-at 1000000 --checkpoint-to 2.ckpt 1.ckpt
  wherry verify 1.ckpt 2.ckpt"
)]
pub(crate) struct Verify {
    #[command(flatten)]
    signed_by: SignedByArgs,
    #[command(flatten)]
    rerun: RerunArgs,
    /// The artifact whose signatures are checked, or the checkpoint to start from
    #[arg(value_name = "REF|EARLIER", help_heading = "Arguments")]
    what: String,
    /// The checkpoint to check
    #[arg(
        value_name = "LATER",
        help_heading = "Arguments",
        conflicts_with = "signed_by"
    )]
    later: Option<PathBuf>,
}

impl Verify {
    pub(crate) fn execute(self, context: &Context) -> anyhow::Result<u8> {
        match &self.later {
            Some(later) => self.rerun.verify(context, Path::new(&self.what), later),
            None => self.signatures(context),
        }
    }

    fn signatures(&self, context: &Context) -> anyhow::Result<u8> {
        let keys = self.signed_by.load()?;
        if keys.is_empty() {
            let message = "whose signature should it have?";
            let hint = "name a public key with --signed-by FILE, or give a second checkpoint";
            return Err(Refusal::new(exit::USAGE, message).hint(hint).into());
        }
        let store = context.home.store_with(&self.what)?;
        let digest = store.resolve(&self.what)?;
        let findings = signatures::examine(&store, &digest, &keys)?;
        let is_signed = findings.iter().any(|one| one.signer().is_some());
        context
            .output
            .result(&value(&digest, &findings), text(&digest, &findings))?;
        Ok(if is_signed { 0 } else { exit::DIFFERENT })
    }
}

fn value(digest: &Digest, findings: &[Finding]) -> Value {
    let signer = findings.iter().find_map(Finding::signer);
    json!({
        "digest": digest.to_string(),
        "signed": signer.is_some(),
        "signer": signer.map(|key| &key.name),
        "found": findings.iter().map(Finding::value).collect::<Vec<_>>(),
    })
}

fn text(digest: &Digest, findings: &[Finding]) -> String {
    let mut text = match findings.iter().find_map(Finding::signer) {
        Some(key) => format!("signed    by {key}\ndigest    {digest}"),
        None => {
            let why = signatures::why_unsigned(findings);
            format!("NOT SIGNED by any of the keys: {why}\ndigest    {digest}")
        }
    };
    for finding in findings {
        text += &format!("\nattached  {}", finding.line());
    }
    text
}
