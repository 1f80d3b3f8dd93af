//! Finds out what confines the processes of jobs on this machine: one confines itself, and tells.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use wherry_sandbox::{
    Cgroup, CgroupLimits, Confinement, Devices, Limits, Report, Requirement, Role,
};

use super::channel::{receive, send};
use super::{ITSELF, THREADS};
use crate::Error;

/// What the process is called.
pub(super) const NAME: &str = "wherry-probe";

/// Memory for the control group that is tried out.
const MEMORY: u64 = 1 << 30;

/// What confines the process of a job here that has a limit of memory, and what does not.
///
/// # Errors
/// No process can be started.
pub fn probe_isolation() -> Result<Report, Error> {
    let failed = |source| Error::Process { name: NAME, source };
    let limits = CgroupLimits {
        memory_bytes: Some(MEMORY),
        threads: THREADS,
        cores: Some(1),
    };
    let (group, findings) = Cgroup::create("probe", &limits);
    let mut report = confine_another().map_err(failed)?;
    report.extend(findings);
    drop(group);
    Ok(report)
}

fn confine_another() -> io::Result<Report> {
    let mut child = Command::new(ITSELF)
        .arg0(NAME)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let said = child.stdout.take().map(|out| receive::<Report>(out, 0));
    child.wait()?;
    let said = said.unwrap_or(Ok(None))?;
    let (report, _) = said.ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok(report)
}

/// The process that confines itself.
pub(super) fn serve() -> io::Result<()> {
    let confinement = Confinement {
        role: Role::Job,
        grants: Vec::new(),
        limits: Limits {
            descriptors: 64,
            memory_bytes: Some(MEMORY),
            cpu_time: None,
            file_bytes: None,
        },
        devices: Devices::None,
        requirement: Requirement::Auto,
        supervisor: None,
    };
    let report = confinement.apply().map_err(io::Error::other)?;
    send(io::stdout().lock(), &report, &[])
}
