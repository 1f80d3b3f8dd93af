//! `wherry key`

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::json;
use wherry_snapshot::Key as Secret;
use zeroize::Zeroizing;

use super::Context;
use crate::exit;
use crate::failure::Refusal;
use crate::key::KeyArgs;

/// Make a key that checkpoints are encrypted with
///
/// Who has the key can read all that a job has in memory; without it nobody can, and nobody can
/// resume the job: keep a copy where it is safe.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wherry key new ~/.wherry.key
  wherry run --key ~/.wherry.key prog.wasm
  wherry key id --key ~/.wherry.key         its name, which checkpoints show")]
pub(crate) struct Key {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Write a new key to a file that only you can read
    #[command(after_help = "Examples:\n  wherry key new ~/.wherry.key")]
    New {
        /// The file, which must not be there yet
        file: PathBuf,
    },
    /// Print the name of a key, which says nothing about it
    #[command(after_help = "Examples:\n  wherry key id --key ~/.wherry.key")]
    Id {
        #[command(flatten)]
        key: KeyArgs,
    },
}

impl Key {
    pub(crate) fn execute(self, context: &Context) -> anyhow::Result<()> {
        let key = match self.action {
            Action::New { file } => make(&file)?,
            Action::Id { key } => key.load()?.ok_or_else(|| {
                Refusal::new(exit::USAGE, "which key?").hint("choose one with --key FILE")
            })?,
        };
        let id = key.id().to_string();
        context.output.result(&json!({ "key": id }), &id)
    }
}

/// Writes a random key as hexadecimal digits, so that it survives being copied by hand.
fn make(path: &Path) -> anyhow::Result<Secret> {
    let failed = || format!("cannot write a key to {}", path.display());
    let mut bytes = Zeroizing::new([0; 32]);
    std::fs::File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut *bytes))
        .context("the system has no random numbers")?;
    let mut text = Zeroizing::new([b'\n'; 65]);
    for (byte, pair) in bytes.iter().zip(text.chunks_exact_mut(2)) {
        let digit = |value: u8| b"0123456789abcdef"[usize::from(value)];
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| {
        file.write_all(&*text)?;
        file.sync_all()
    });
    if let Err(error) = written {
        let message = format!("{}: {error}", failed());
        return Err(Refusal::new(exit::CANNOT_CREATE, message).into());
    }
    Ok(Secret::new(*bytes))
}
