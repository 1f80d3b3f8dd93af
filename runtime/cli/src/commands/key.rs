//! `wherry key`

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::json;
use wherry_snapshot::Key as Secret;
use wherry_trust::{Algorithm, PublicKey, SigningKey};
use zeroize::Zeroizing;

use super::Context;
use crate::exit;
use crate::failure::Refusal;
use crate::key::KeyArgs;
use crate::signing::{PasswordArgs, read_private, read_public};

/// Make and show keys: to encrypt checkpoints with, and to sign with
///
/// `new` makes a secret key that checkpoints are encrypted with: who has it can read all that a job
/// has in memory, and without it nobody can resume the job. `pair` makes a private key that signs
/// artifacts and checkpoints, and the public key that others verify them with; both are files of
/// cosign's, and either tool uses keys of the other.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wherry key new ~/.wherry.key
  wherry run --key ~/.wherry.key prog.wasm
  wherry key id --key ~/.wherry.key         its name, which checkpoints show
  wherry key pair team                      team.key and team.pub
  wherry sign --sign-key team.key nbody:1.0.0
  wherry verify --signed-by team.pub nbody:1.0.0")]
pub(crate) struct Key {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Write a new key to encrypt with to a file that only you can read
    #[command(after_help = "Examples:\n  wherry key new ~/.wherry.key")]
    New {
        /// The file, which must not be there yet
        file: PathBuf,
    },
    /// Print the name of a key to encrypt with, which says nothing about it
    #[command(after_help = "Examples:\n  wherry key id --key ~/.wherry.key")]
    Id {
        #[command(flatten)]
        key: KeyArgs,
    },
    /// Make a key pair to sign with: NAME.key, which only you can read, and NAME.pub
    ///
    /// The private key is in the form in which cosign encrypts it. Without a password the
    /// permissions of the file are all that protects it.
    #[command(after_help = "\
Examples:
  wherry key pair team
  WHERRY_KEY_PASSWORD=... wherry key pair team")]
    Pair {
        /// Ed25519 instead of ECDSA P-256. cosign verifies what is signed with it here, but what
        /// it signs with such a key itself (Ed25519ph) nobody does
        #[arg(long)]
        ed25519: bool,
        #[command(flatten)]
        password: PasswordArgs,
        /// What the files are called, without `.key` and `.pub`
        name: PathBuf,
    },
    /// Print the public key of a private or public key file, and its name on standard error
    #[command(after_help = "Examples:\n  wherry key show team.key > team.pub")]
    Show {
        #[command(flatten)]
        password: PasswordArgs,
        /// The file
        file: PathBuf,
    },
    /// Take over a private key of another tool (PKCS #8, as openssl writes it): NAME.key, NAME.pub
    ///
    /// The new file is encrypted with the password. A key that is encrypted already has the same
    /// password afterwards.
    #[command(after_help = "\
Examples:
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem
  wherry key import key.pem team")]
    Import {
        #[command(flatten)]
        password: PasswordArgs,
        /// The private key
        file: PathBuf,
        /// What the files are called, without `.key` and `.pub`
        name: PathBuf,
    },
}

impl Key {
    pub(crate) fn execute(self, context: &Context) -> anyhow::Result<()> {
        match self.action {
            Action::New { file } => show_secret(context, &make(&file)?),
            Action::Id { key } => {
                let missing =
                    || Refusal::new(exit::USAGE, "which key?").hint("choose one with --key FILE");
                show_secret(context, &key.load()?.ok_or_else(missing)?)
            }
            Action::Pair {
                ed25519,
                password,
                name,
            } => {
                let algorithm = match ed25519 {
                    true => Algorithm::Ed25519,
                    false => Algorithm::EcdsaP256,
                };
                let key = SigningKey::generate(algorithm)?;
                write_pair(context, &key, &password.load()?, &name)
            }
            Action::Show { password, file } => {
                let public = match read_public(&file) {
                    Ok(public) => public,
                    // If it is no private key either, that is what is wrong with it.
                    Err(_) => read_private(&file, &password)?.public(),
                };
                let value = public_value(&public);
                context.output.remark(public.id());
                context.output.result(&value, public.to_pem().trim_end())
            }
            Action::Import {
                password,
                file,
                name,
            } => {
                let key = read_private(&file, &password)?;
                write_pair(context, &key, &password.load()?, &name)
            }
        }
    }
}

fn show_secret(context: &Context, key: &Secret) -> anyhow::Result<()> {
    let id = key.id().to_string();
    context.output.result(&json!({ "key": id }), &id)
}

fn public_value(key: &PublicKey) -> serde_json::Value {
    json!({
        "key": key.id().to_string(),
        "algorithm": key.algorithm().to_string(),
        "public": key.to_pem(),
    })
}

fn write_pair(
    context: &Context,
    key: &SigningKey,
    password: &[u8],
    name: &Path,
) -> anyhow::Result<()> {
    let with = |suffix: &str| {
        let mut name = name.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let (private, public) = (with(".key"), with(".pub"));
    let pem = key.to_encrypted_pem(password)?;
    write_new(&private, pem.as_bytes(), 0o600)?;
    write_new(&public, key.public().to_pem().as_bytes(), 0o644)?;
    if password.is_empty() {
        let hint = "the private key has no password: keep the file where nobody else can read it";
        context.output.remark(hint);
    }
    let mut value = public_value(&key.public());
    value["private_file"] = json!(private);
    value["public_file"] = json!(public);
    let text = format!("{}  {}", key.public().id(), public.display());
    context.output.result(&value, text)
}

/// Writes a random key as hexadecimal digits, so that it survives being copied by hand.
fn make(path: &Path) -> anyhow::Result<Secret> {
    let mut bytes = Zeroizing::new([0; 32]);
    std::fs::File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut *bytes))
        .context("the system has no random numbers")?;
    let mut text = Zeroizing::new([b'\n'; 65]);
    for (byte, pair) in bytes.iter().zip(text.chunks_exact_mut(2)) {
        let digit = |value: u8| b"0123456789abcdef"[usize::from(value)];
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    write_new(path, &*text, 0o600)?;
    Ok(Secret::new(*bytes))
}

/// Writes a file that is not there yet: no key is ever replaced.
fn write_new(path: &Path, content: &[u8], mode: u32) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(mode).open(path);
    let written = file.and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    written.map_err(|error| {
        let message = format!("cannot write a key to {}: {error}", path.display());
        Refusal::new(exit::CANNOT_CREATE, message).into()
    })
}
