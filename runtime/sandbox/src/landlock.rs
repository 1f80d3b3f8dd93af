//! The files that a process can open: Landlock.

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus,
    PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
};

use crate::confinement::{Access, Error, Grant};
use crate::report::{Facility, Finding, State};

/// All that is known here; an older kernel has less of it.
const NEWEST: ABI = ABI::V7;

/// From here on a file cannot be cut short behind Landlock's back.
const COMPLETE_FOR_FILES: ABI = ABI::V3;

/// The rights that could be granted, prepared while every path can still be opened.
pub(crate) fn restrict(grants: &[Grant]) -> Result<Finding, Error> {
    let refused = |error: landlock::RulesetError| error.to_string();
    let mut rules = Vec::new();
    for grant in grants {
        let path = PathFd::new(&grant.path).map_err(|source| Error::Grant {
            path: grant.path.clone(),
            reason: source.to_string(),
        })?;
        rules.push((path, rights(grant)));
    }
    let restricted = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))
        .and_then(|ruleset| ruleset.handle_access(AccessNet::from_all(NEWEST)))
        .and_then(|ruleset| ruleset.scope(Scope::from_all(NEWEST)))
        .and_then(Ruleset::create)
        .and_then(|ruleset| {
            let rules = rules.into_iter();
            let rules = rules.map(|(path, rights)| Ok(PathBeneath::new(path, rights)));
            ruleset.add_rules(rules)
        })
        .and_then(|ruleset| ruleset.restrict_self())
        .map_err(refused);
    Ok(match restricted {
        Ok(status) => finding(status.ruleset, status.landlock),
        Err(error) => Finding::missing(Facility::Landlock, error),
    })
}

fn rights(grant: &Grant) -> BitFlags<AccessFs> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let rights = match grant.access {
        Access::Read => read,
        // No devices, sockets or pipes are made, and nothing is executed.
        Access::ReadWrite => {
            read | AccessFs::WriteFile
                | AccessFs::Truncate
                | AccessFs::RemoveDir
                | AccessFs::RemoveFile
                | AccessFs::MakeDir
                | AccessFs::MakeReg
                | AccessFs::MakeSym
                | AccessFs::Refer
        }
        Access::Device => read | AccessFs::WriteFile | AccessFs::IoctlDev,
    };
    if grant.path.is_dir() {
        rights
    } else {
        rights & AccessFs::from_file(NEWEST)
    }
}

fn finding(ruleset: RulesetStatus, landlock: LandlockStatus) -> Finding {
    let LandlockStatus::Available { effective_abi, .. } = landlock else {
        let why = match landlock {
            LandlockStatus::NotEnabled => "the kernel was started without it",
            _ => "the kernel has none (Linux 5.13 and later can)",
        };
        return Finding::missing(Facility::Landlock, why);
    };
    let version = effective_abi as u32;
    let (state, detail) = match ruleset {
        RulesetStatus::FullyEnforced => (State::Active, format!("ABI {version}")),
        RulesetStatus::PartiallyEnforced if effective_abi >= COMPLETE_FOR_FILES => (
            State::Active,
            format!("ABI {version}: files; signals, sockets and devices are left to seccomp"),
        ),
        RulesetStatus::PartiallyEnforced => (
            State::Partial,
            format!("ABI {version}: files outside can still be cut short"),
        ),
        RulesetStatus::NotEnforced => (State::Missing, format!("ABI {version}: not enforced")),
    };
    Finding::new(Facility::Landlock, state, detail)
}
