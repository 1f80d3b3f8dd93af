//! `wherry login`

use std::io::Read;

use anyhow::Context as _;
use clap::Args;
use serde_json::json;

use super::Context;
use crate::exit;
use crate::failure::Refusal;
use crate::transfer::RegistryArgs;

/// More than any password or token has.
const MAX_PASSWORD: u64 = 64 << 10;

/// Keep credentials for a registry, where Docker and others keep theirs
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  wherry login ghcr.io --username me --password-stdin < token")]
pub(crate) struct Login {
    /// HOST[:PORT]
    registry: String,
    /// The user
    #[arg(short, long)]
    username: String,
    /// Read the password from standard input: on a command line, others could see it
    #[arg(long, required = true)]
    password_stdin: bool,
    #[command(flatten)]
    options: RegistryArgs,
}

impl Login {
    pub(crate) fn execute(self, context: &Context) -> anyhow::Result<()> {
        let password = read_password()?;
        let client = self.options.client(&self.registry)?;
        let file = client.login(&self.registry, &self.username, &password)?;
        let text = format!("logged in to {}, kept in {}", self.registry, file.display());
        let value = json!({ "registry": self.registry, "file": file });
        context.output.result(&value, text)
    }
}

fn read_password() -> anyhow::Result<String> {
    let mut password = String::new();
    std::io::stdin()
        .take(MAX_PASSWORD)
        .read_to_string(&mut password)
        .context("cannot read the password from standard input")?;
    let password = password.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(Refusal::new(exit::USAGE, "standard input has no password").into());
    }
    Ok(password.to_owned())
}
