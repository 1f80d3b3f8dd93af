//! A policy as a file that says everything.

use std::fmt::{self, Write};
use std::path::Path;
use std::time::Duration;

use crate::amount::written;
use crate::policy::SignalSource;
use crate::{Item, Policy, signatures};

pub(crate) fn policy(policy: &Policy) -> String {
    let mut out = String::new();
    // Writing to a text does not fail.
    let _ = write(&mut out, policy);
    out
}

fn write(out: &mut String, policy: &Policy) -> fmt::Result {
    let who = &policy.who;
    writeln!(out, "format = 1\n\n[who]")?;
    let repositories: Vec<&str> = who.repositories.iter().map(|one| one.as_str()).collect();
    writeln!(out, "repositories = {}", list(&repositories))?;
    writeln!(out, "files = {}", who.files)?;
    signatures::write(out, &policy.signatures)?;
    write_limits(out, policy, "limits")?;
    writeln!(
        out,
        "\n[gpu]\nadapter = {}",
        quoted(policy.adapter.as_str())
    )?;
    for item in Item::ALL.into_iter().filter(|item| item.table() == "gpu") {
        writeln!(
            out,
            "{} = {}",
            item.key(),
            written(item, policy.limit(item))
        )?;
    }
    writeln!(out, "\n[network]\nallow = []")?;
    for mount in &policy.mounts {
        writeln!(out, "\n[[mounts]]\nhost = {}", path(&mount.host))?;
        if let Some(guest) = &mount.guest {
            writeln!(out, "guest = {}", quoted(guest))?;
        }
        writeln!(out, "read_only = {}", mount.read_only)?;
    }
    writeln!(out, "\n[clock]\nresolution = {}", time(policy.clock))?;
    write_when(out, policy)?;
    write_checkpoints(out, policy)?;
    write_isolation(out, policy)
}

fn write_limits(out: &mut String, policy: &Policy, table: &str) -> fmt::Result {
    writeln!(out, "\n[{table}]")?;
    for item in Item::ALL.into_iter().filter(|item| item.table() == table) {
        writeln!(
            out,
            "{} = {}",
            item.key(),
            written(item, policy.limit(item))
        )?;
    }
    Ok(())
}

fn write_when(out: &mut String, policy: &Policy) -> fmt::Result {
    let when = &policy.when;
    writeln!(
        out,
        "\n[when]\nidle = {}\nmains = {}",
        when.idle, when.mains
    )?;
    if let Some(degrees) = when.below_celsius {
        writeln!(out, "below_celsius = {degrees}")?;
    }
    if !when.hours.is_empty() {
        let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        let hours = when.hours.iter();
        let hours: Vec<String> = hours
            .map(|hours| format!("{}-{}", clock(hours.from), clock(hours.to)))
            .collect();
        writeln!(out, "hours = {}", list(&hours))?;
    }
    if let Some(signal) = &when.signal {
        writeln!(out, "\n[when.signal]")?;
        match &signal.source {
            SignalSource::File(file) => writeln!(out, "file = {}", path(file))?,
            SignalSource::Command(command) => writeln!(out, "command = {}", list(command))?,
        }
        writeln!(out, "at_most = {:?}", signal.at_most)?;
    }
    Ok(())
}

fn write_checkpoints(out: &mut String, policy: &Policy) -> fmt::Result {
    let checkpoints = &policy.checkpoints;
    writeln!(out, "\n[checkpoints]")?;
    if let Some(directory) = &checkpoints.directory {
        writeln!(out, "directory = {}", path(directory))?;
    }
    if let Some(every) = checkpoints.every {
        writeln!(out, "every = {}", time(every))?;
    }
    if let Some(keep) = checkpoints.keep {
        writeln!(out, "keep = {keep}")?;
    }
    if let Some(grace) = checkpoints.grace {
        writeln!(out, "grace = {}", time(grace))?;
    }
    writeln!(out, "encrypted = {}", checkpoints.encrypted)
}

fn write_isolation(out: &mut String, policy: &Policy) -> fmt::Result {
    let isolation = &policy.isolation;
    let names: Vec<_> = isolation.require.iter().map(|one| one.name()).collect();
    writeln!(out, "\n[isolation]\nrequire = {}", list(&names))?;
    if let Some(compile_time) = isolation.compile_time {
        writeln!(out, "compile_time = {}", time(compile_time))?;
    }
    if let Some(bytes) = isolation.compile_memory {
        writeln!(out, "compile_memory = {}", quoted(&format!("{bytes} B")))?;
    }
    Ok(())
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

pub(crate) fn list<T: AsRef<str>>(texts: &[T]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| quoted(text.as_ref())).collect();
    format!("[{}]", texts.join(", "))
}

/// Paths of a policy come from text.
fn path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

fn time(time: Duration) -> String {
    quoted(&humantime::format_duration(time).to_string())
}
