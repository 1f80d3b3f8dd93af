//! The key that checkpoints are encrypted with: from a file, or from a command that prints it.

use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;
use clap::Args;
use wherry_snapshot::Key;
use zeroize::Zeroizing;

use crate::exit;
use crate::failure::Refusal;

/// Where the name of a file with the key may be.
pub(crate) const VARIABLE: &str = "WHERRY_KEY_FILE";

/// More than any way to write a key.
const MOST: usize = 256;

/// Which key checkpoints are encrypted with.
#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    /// Encrypt checkpoints with the key in this file (`wherry key new` makes one), and read what is
    /// encrypted with it [default: the file that WHERRY_KEY_FILE names, if any]
    #[arg(long, value_name = "FILE", conflicts_with = "key_command")]
    key: Option<PathBuf>,
    /// The same with the key that this command prints: it is split at spaces, and run without a
    /// shell
    #[arg(long, value_name = "COMMAND")]
    key_command: Option<String>,
}

impl KeyArgs {
    /// The key that was chosen, if one was.
    pub(crate) fn load(&self) -> anyhow::Result<Option<Key>> {
        if let Some(command) = &self.key_command {
            return ask(command).map(Some);
        }
        let variable = || std::env::var_os(VARIABLE).filter(|name| !name.is_empty());
        let file = self.key.clone().or_else(|| variable().map(PathBuf::from));
        file.map(|file| read(&file)).transpose()
    }
}

fn read(path: &Path) -> anyhow::Result<Key> {
    let failed = || format!("cannot read the key in {}", path.display());
    let file = File::open(path).with_context(failed)?;
    refuse_shared(path, &file.metadata().with_context(failed)?)?;
    parse(file, &format!("{} has no key", path.display()))
}

/// A key that others can read is none.
pub(crate) fn refuse_shared(path: &Path, metadata: &Metadata) -> anyhow::Result<()> {
    if metadata.mode() & 0o077 == 0 {
        return Ok(());
    }
    let path = path.display();
    let message = format!("others than you can read or change the key in {path}");
    let refusal = Refusal::new(exit::NO_PERMISSION, message);
    Err(refusal.hint(format!("chmod 600 {path}")).into())
}

fn ask(command: &str) -> anyhow::Result<Key> {
    let failed = || format!("the command `{command}` gives no key");
    let mut words = command.split_whitespace();
    let Some(program) = words.next() else {
        return Err(Refusal::new(exit::USAGE, "the command that prints the key is empty").into());
    };
    // It may ask the user something: only its answer is for us.
    let mut child = Command::new(program)
        .args(words)
        .stdout(Stdio::piped())
        .spawn()
        .with_context(failed)?;
    let stdout = child.stdout.take().context("a pipe")?;
    let key = parse(stdout, &failed());
    // Whatever it printed, if it failed that is what went wrong.
    let status = child.wait().with_context(failed)?;
    if !status.success() {
        let message = format!("{}: it ended with {status}", failed());
        return Err(Refusal::new(exit::CONFIG, message).into());
    }
    key
}

fn parse(mut from: impl Read, otherwise: &str) -> anyhow::Result<Key> {
    // No larger buffer ever has a part of the key.
    let mut text = Zeroizing::new([0; MOST]);
    let mut length = 0;
    while length < MOST {
        match from.read(&mut text[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context(otherwise.to_owned()),
        }
    }
    Key::parse(&text[..length]).map_err(|error| {
        let message = format!("{otherwise}: {error}");
        Refusal::new(exit::BAD_DATA, message).into()
    })
}
