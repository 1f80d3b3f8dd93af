//! Namespaces that a process can move itself into.

use std::fs;
use std::io;

use rustix::process::{getegid, geteuid};
use rustix::thread::UnshareFlags;

use crate::report::{Facility, Finding, State};

/// Moves the process, which must have one thread, into namespaces of its own. A user namespace
/// gives a plain user the right to make the others.
pub(crate) fn enter() -> Vec<Finding> {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    let rest = UnshareFlags::NEWNET | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS;
    let user = match unshare(UnshareFlags::NEWUSER | rest) {
        Ok(()) => return done(map_self(uid, gid)),
        Err(error) => Finding::missing(Facility::UserNamespace, error),
    };
    let others = [Facility::NetworkNamespace, Facility::IpcNamespace];
    let mut findings = match unshare(rest) {
        Ok(()) => others.map(own).to_vec(),
        Err(error) => others
            .map(|facility| Finding::missing(facility, error))
            .to_vec(),
    };
    findings.push(user);
    findings
}

fn done(mapped: io::Result<()>) -> Vec<Finding> {
    let user = match mapped {
        Ok(()) => own(Facility::UserNamespace),
        Err(error) => Finding::new(
            Facility::UserNamespace,
            State::Partial,
            format!("its own, but the user is not mapped: {error}"),
        ),
    };
    let others = [Facility::NetworkNamespace, Facility::IpcNamespace].map(own);
    others.into_iter().chain([user]).collect()
}

fn own(facility: Facility) -> Finding {
    Finding::new(facility, State::Active, "its own")
}

/// Inside, the process is who it is outside, and nobody else exists.
fn map_self(uid: u32, gid: u32) -> io::Result<()> {
    fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))
}

fn unshare(flags: UnshareFlags) -> rustix::io::Result<()> {
    #[expect(unsafe_code, reason = "there is no safe way")]
    // SAFETY: what is unsafe is to stop sharing descriptors, the working directory or memory
    // that other code relies on. These flags do nothing of that.
    unsafe {
        rustix::thread::unshare_unsafe(flags)
    }
}
