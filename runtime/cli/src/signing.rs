//! The keys of signatures on the command line: the private one that signs, the public ones that
//! are believed.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use wherry_trust::{KeyError, MAX_KEY_SIZE, PublicKey, SigningKey, TrustedKey, TrustedKeys};
use zeroize::Zeroizing;

use crate::exit;
use crate::failure::Refusal;
use crate::key::refuse_shared;

/// Where a password may be, besides a file: ours, and the one that cosign reads.
const PASSWORDS: [&str; 2] = ["WHERRY_KEY_PASSWORD", "COSIGN_PASSWORD"];

/// Who signs.
#[derive(Debug, Args)]
pub(crate) struct SignKeyArgs {
    /// Sign with the private key in this file (`wherry key pair` makes one)
    #[arg(
        long,
        value_name = "FILE",
        env = "WHERRY_SIGN_KEY",
        hide_env_values = true
    )]
    sign_key: Option<PathBuf>,
    #[command(flatten)]
    password: PasswordArgs,
}

/// The password of a private key.
#[derive(Debug, Args)]
pub(crate) struct PasswordArgs {
    /// The password of the private key is the first line of this file [default: WHERRY_KEY_PASSWORD,
    /// COSIGN_PASSWORD, or else no password]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// Who is believed.
#[derive(Debug, Args)]
pub(crate) struct SignedByArgs {
    /// Accept nothing but what the owner of the public key in this file has signed; several are
    /// possible
    #[arg(long, value_name = "FILE")]
    signed_by: Vec<PathBuf>,
}

impl SignKeyArgs {
    /// The key that was chosen, if one was.
    pub(crate) fn load(&self) -> anyhow::Result<Option<SigningKey>> {
        let file = self.sign_key.as_deref();
        let file = file.filter(|file| !file.as_os_str().is_empty());
        file.map(|file| read_private(file, &self.password))
            .transpose()
    }

    /// The key that was chosen.
    pub(crate) fn require(&self) -> anyhow::Result<SigningKey> {
        let missing = || {
            Refusal::new(exit::USAGE, "there is no key to sign with").hint(
                "choose one with --sign-key FILE or WHERRY_SIGN_KEY; `wherry key pair` makes one",
            )
        };
        Ok(self.load()?.ok_or_else(missing)?)
    }
}

impl PasswordArgs {
    /// The password; empty if none was given.
    pub(crate) fn load(&self) -> anyhow::Result<Zeroizing<Vec<u8>>> {
        let Some(file) = &self.password_file else {
            let given = PASSWORDS.iter().find_map(std::env::var_os);
            return Ok(Zeroizing::new(
                given.unwrap_or_default().into_encoded_bytes(),
            ));
        };
        let mut text = read_key_file(file, "the password")?;
        let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
        let end = text.iter().position(is_end).unwrap_or(text.len());
        text.truncate(end);
        Ok(text)
    }
}

impl SignedByArgs {
    /// The keys that were named.
    pub(crate) fn load(&self) -> anyhow::Result<TrustedKeys> {
        let key = |path: &PathBuf| {
            let name = path.display().to_string();
            Ok(TrustedKey {
                name,
                key: read_public(path)?,
            })
        };
        let keys: anyhow::Result<_> = self.signed_by.iter().map(key).collect();
        Ok(TrustedKeys::new(keys?))
    }
}

/// Reads a private key, which nobody else may be able to read.
pub(crate) fn read_private(path: &Path, password: &PasswordArgs) -> anyhow::Result<SigningKey> {
    let pem = read_key_file(path, "the key")?;
    let metadata = fs::metadata(path).with_context(|| cannot_read(path, "the key"))?;
    refuse_shared(path, &metadata)?;
    SigningKey::from_pem(&pem, || password.load()).map_err(|error: anyhow::Error| {
        match error.downcast::<KeyError>() {
            Ok(refused) => refuse(path, &refused),
            Err(error) => error,
        }
    })
}

/// Reads a public key.
pub(crate) fn read_public(path: &Path) -> anyhow::Result<PublicKey> {
    let pem = read_key_file(path, "the key")?;
    PublicKey::from_pem(&pem).map_err(|error| refuse(path, &error))
}

/// The file, no more of it than a key may have.
fn read_key_file(path: &Path, what: &str) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_KEY_SIZE + 1));
    File::open(path)
        .and_then(|file| {
            let most = MAX_KEY_SIZE as u64 + 1;
            file.take(most).read_to_end(&mut bytes)
        })
        .with_context(|| cannot_read(path, what))?;
    Ok(bytes)
}

fn cannot_read(path: &Path, what: &str) -> String {
    format!("cannot read {what} in {}", path.display())
}

fn refuse(path: &Path, error: &KeyError) -> anyhow::Error {
    let message = format!("cannot use the key in {}: {error}", path.display());
    let refusal = match error {
        KeyError::Password => Refusal::new(exit::NO_PERMISSION, message)
            .hint("give its password with --password-file FILE or WHERRY_KEY_PASSWORD"),
        KeyError::Kind(kind) if kind.ends_with("PRIVATE KEY") => {
            Refusal::new(exit::BAD_DATA, message)
                .hint("`openssl pkcs8 -topk8 -nocrypt -in FILE` makes PKCS #8 of it")
        }
        KeyError::Private => Refusal::new(exit::BAD_DATA, message)
            .hint("`wherry key show FILE` prints its public half"),
        _ => Refusal::new(exit::BAD_DATA, message),
    };
    refusal.into()
}
