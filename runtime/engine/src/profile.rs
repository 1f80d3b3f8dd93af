//! The deterministic profile: what a job of it must not have, and how far it is.

use wherry_snapshot::{Contents, Profile};

use crate::{Command, Error, Mount, Settings};

/// The version of the profile's rules that is kept here, and the only one: a job must go on
/// by the rules that it was started with.
const VERSION: u32 = 1;

/// The profile of a job that is started now.
pub(crate) fn of_new(command: &Command, settings: &Settings) -> Result<Option<Profile>, Error> {
    let Some(start_time) = command.deterministic else {
        return Ok(None);
    };
    check_mounts(&settings.mounts)?;
    Ok(Some(Profile {
        version: VERSION,
        position: 0,
        start_time,
        memory_bytes: settings.limits.memory_bytes,
    }))
}

/// The profile of a job that goes on, with no other limit of memory than it had.
pub(crate) fn of_resumed(
    contents: &Contents,
    settings: &Settings,
) -> Result<Option<Profile>, Error> {
    let Some(profile) = contents.profile else {
        return Ok(None);
    };
    if profile.version != VERSION {
        return Err(Error::ProfileVersion(profile.version));
    }
    check_mounts(&settings.mounts)?;
    let limit = settings.limits.memory_bytes;
    if limit.is_some() && limit != profile.memory_bytes {
        return Err(refused("another limit of memory than it was started with"));
    }
    Ok(Some(profile))
}

/// What a job reads in a directory of the host, it finds as it left it; what it writes there
/// would not be undone when it is run again.
fn check_mounts(mounts: &[Mount]) -> Result<(), Error> {
    match mounts.iter().find(|mount| !mount.read_only) {
        Some(mount) => Err(refused(&format!(
            "the directory {:?} to write in",
            mount.guest
        ))),
        None => Ok(()),
    }
}

fn refused(what: &str) -> Error {
    Error::NotDeterministic {
        what: what.to_owned(),
    }
}
