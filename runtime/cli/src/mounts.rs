//! Directories that a job is lent: `--dir HOST::GUEST[::ro]`.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context as _;
use wherry_node::MountRecord;
use wherry_packager::WorkloadConfig;

use crate::exit;
use crate::failure::Refusal;

/// A directory as it is written on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DirArg {
    pub(crate) host: PathBuf,
    pub(crate) guest: String,
    pub(crate) read_only: bool,
}

impl FromStr for DirArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split("::");
        let host = parts.next().unwrap_or_default();
        let guest = parts.next().unwrap_or(host);
        let read_only = match (parts.next(), parts.next()) {
            (None, _) => false,
            (Some("ro"), None) => true,
            _ => return Err("write HOST, HOST::GUEST or HOST::GUEST::ro".to_owned()),
        };
        if host.is_empty() || guest.is_empty() {
            return Err("a directory has a name on the host and one for the guest".to_owned());
        }
        Ok(DirArg {
            host: host.into(),
            guest: guest.to_owned(),
            read_only,
        })
    }
}

/// What is lent for `--dir` options: absolute, so that the job can be resumed from elsewhere.
pub(crate) fn records(dirs: &[DirArg]) -> anyhow::Result<Vec<MountRecord>> {
    dirs.iter().map(record).collect()
}

fn record(dir: &DirArg) -> anyhow::Result<MountRecord> {
    let host = dir
        .host
        .canonicalize()
        .with_context(|| format!("the directory {} cannot be lent", dir.host.display()))?;
    Ok(MountRecord {
        host,
        guest: dir.guest.clone(),
        read_only: dir.read_only,
    })
}

/// Compares what is lent with what the workload asks for: what it only wants to read, it may
/// only read, and what it cannot do without must be there.
pub(crate) fn meet(mounts: &mut [MountRecord], config: &WorkloadConfig) -> anyhow::Result<()> {
    for wanted in &config.mounts {
        let lent = mounts.iter_mut().find(|lent| lent.guest == wanted.guest);
        match lent {
            Some(lent) => lent.read_only |= wanted.read_only,
            None if wanted.required => {
                let message = format!("the workload needs a directory {:?}", wanted.guest);
                let suffix = if wanted.read_only { "::ro" } else { "" };
                let hint = format!("give it one with --dir HOST::{}{suffix}", wanted.guest);
                return Err(Refusal::new(exit::CONFIG, message).hint(hint).into());
            }
            None => {}
        }
    }
    Ok(())
}

/// The name of the scratch directory for the guest: what was chosen, or what the workload
/// asks for unless a directory that was lent takes its place.
pub(crate) fn scratch(
    chosen: Option<String>,
    without: bool,
    wanted: &str,
    mounts: &[MountRecord],
) -> Option<String> {
    let same = |a: &str, b: &str| a == b || (is_root(a) && is_root(b));
    match chosen {
        Some(chosen) => Some(chosen),
        None if without => None,
        None if mounts.iter().any(|lent| same(&lent.guest, wanted)) => None,
        None => Some(wanted.to_owned()),
    }
}

/// Programs resolve relative paths against both.
fn is_root(guest: &str) -> bool {
    matches!(guest, "/" | "." | "./")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir(text: &str) -> DirArg {
        text.parse().unwrap()
    }

    #[test]
    fn as_people_write_them() {
        let expected = |host: &str, guest: &str, read_only| DirArg {
            host: host.into(),
            guest: guest.into(),
            read_only,
        };
        assert_eq!(dir("data"), expected("data", "data", false));
        assert_eq!(dir("a b::/in"), expected("a b", "/in", false));
        assert_eq!(dir("x::/in::ro"), expected("x", "/in", true));
        assert_eq!(dir("x::ro"), expected("x", "ro", false));
        for refused in ["", "::", "a::", "::b", "a::b::rw", "a::b::ro::c"] {
            assert!(refused.parse::<DirArg>().is_err(), "{refused}");
        }
    }

    fn lent(guest: &str) -> MountRecord {
        MountRecord {
            host: "/h".into(),
            guest: guest.into(),
            read_only: false,
        }
    }

    #[test]
    fn a_directory_takes_the_place_of_scratch() {
        let scratch = |chosen: Option<&str>, without, mounts: &[MountRecord]| {
            super::scratch(chosen.map(ToOwned::to_owned), without, "/", mounts)
        };
        assert_eq!(scratch(None, false, &[lent("/in")]).as_deref(), Some("/"));
        assert_eq!(scratch(None, false, &[lent("/")]), None);
        assert_eq!(scratch(None, false, &[lent(".")]), None);
        assert_eq!(scratch(None, true, &[]), None);
        let chosen = scratch(Some("/tmp"), false, &[lent("/")]);
        assert_eq!(chosen.as_deref(), Some("/tmp"));
    }

    #[test]
    fn the_smaller_of_what_is_asked_and_lent_wins() {
        let wanted = wherry_packager::Mount {
            guest: "/in".into(),
            read_only: true,
            required: true,
        };
        let config = WorkloadConfig {
            mounts: vec![wanted],
            ..WorkloadConfig::default()
        };
        let mut mounts = [lent("/in"), lent("/out")];
        meet(&mut mounts, &config).unwrap();
        assert_eq!(mounts.map(|lent| lent.read_only), [true, false]);
        assert!(meet(&mut [lent("/out")], &config).is_err());
    }
}
