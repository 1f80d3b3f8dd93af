//! The part of a checkpoint that is the host's: open files, directories, clocks.

use std::fmt::Write as _;

use serde::Serialize;
use wherry_snapshot::Error;
use wherry_wasi::{Content, DescriptorState, Location, ObjectState, WasiState};

use crate::output::size;

/// What is shown of it.
#[derive(Debug, Serialize)]
pub(super) struct Host {
    directories: Vec<Directory>,
    descriptors: Vec<Descriptor>,
    scratch: Vec<ScratchEntry>,
    clocks: Clocks,
    waits: bool,
}

#[derive(Debug, Serialize)]
struct Directory {
    guest: String,
    read_only: bool,
    scratch: bool,
}

#[derive(Debug, Serialize)]
struct Descriptor {
    fd: u32,
    kind: &'static str,
    path: Option<String>,
    offset: Option<u64>,
    size: Option<u64>,
    read: bool,
    write: bool,
}

#[derive(Debug, Serialize)]
struct ScratchEntry {
    path: String,
    kind: &'static str,
    size: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Clocks {
    monotonic_ns: u64,
    cpu_ns: u64,
}

/// Reads the section.
pub(super) fn describe(section: &[u8]) -> Result<Host, Error> {
    let state: WasiState = postcard::from_bytes(section).map_err(|error| Error::Damaged {
        part: "section wasi",
        reason: error.to_string(),
    })?;
    let directories = state.mounts.iter().map(|mount| Directory {
        guest: mount.guest.clone(),
        read_only: mount.read_only,
        scratch: mount.scratch,
    });
    let descriptors = state.descriptors.iter();
    let scratch = state.scratch.iter().map(|(path, node)| {
        let (kind, size) = match &node.content {
            Content::Directory => ("directory", None),
            Content::File(blob) => ("file", Some(blob.len)),
            Content::Link(_) => ("hard link", None),
            Content::Symlink(_) => ("symbolic link", None),
        };
        let path = format!("/{}", String::from_utf8_lossy(path));
        ScratchEntry { path, kind, size }
    });
    Ok(Host {
        directories: directories.collect(),
        descriptors: descriptors
            .map(|(fd, descriptor)| Descriptor::of(*fd, descriptor, &state))
            .collect(),
        scratch: scratch.collect(),
        clocks: Clocks {
            monotonic_ns: state.clocks.monotonic,
            cpu_ns: state.clocks.cpu,
        },
        waits: state.pending_poll.is_some(),
    })
}

impl Descriptor {
    fn of(fd: u32, descriptor: &DescriptorState, state: &WasiState) -> Self {
        let standard = |kind, offset, read| Descriptor {
            fd,
            kind,
            path: None,
            offset,
            size: None,
            read,
            write: !read,
        };
        match &descriptor.object {
            ObjectState::Stdin { position } => standard("stdin", *position, true),
            ObjectState::Stdout => standard("stdout", None, false),
            ObjectState::Stderr => standard("stderr", None, false),
            ObjectState::File(file) => Descriptor {
                fd,
                kind: "file",
                path: Some(path(&file.location, state)),
                offset: file.position.map(|(offset, _)| offset),
                size: file.position.map(|(_, size)| size),
                read: file.read,
                write: file.write,
            },
            ObjectState::Directory(directory) => Descriptor {
                fd,
                kind: "directory",
                path: Some(path(&directory.location, state)),
                offset: None,
                size: None,
                read: true,
                write: false,
            },
        }
    }
}

/// Where the job knows a file.
fn path(location: &Location, state: &WasiState) -> String {
    let guest = |mount: u32| {
        let mount = usize::try_from(mount).ok();
        let mount = mount.and_then(|mount| state.mounts.get(mount));
        mount.map_or("?", |mount| mount.guest.trim_end_matches('/'))
    };
    let joined = |mount, path: &[u8]| {
        let path = String::from_utf8_lossy(path);
        match (guest(mount), path.is_empty()) {
            ("", true) => "/".to_owned(),
            (guest, true) => guest.to_owned(),
            (guest, false) => format!("{guest}/{path}"),
        }
    };
    match location {
        Location::Path { mount, path } => joined(*mount, path),
        Location::Orphan(index) => {
            let index = usize::try_from(*index).ok();
            let orphan = index.and_then(|index| state.orphans.get(index));
            orphan.map_or("?".to_owned(), |orphan| {
                format!("{} (deleted)", joined(orphan.mount, &orphan.path))
            })
        }
    }
}

impl Host {
    pub(super) fn write(&self, out: &mut String) -> std::fmt::Result {
        if !self.directories.is_empty() {
            writeln!(out, "\ndirectories")?;
        }
        for directory in &self.directories {
            let kind = match (directory.scratch, directory.read_only) {
                (true, _) => "scratch, travels with the job",
                (false, true) => "to be lent, read-only",
                (false, false) => "to be lent",
            };
            writeln!(out, "  {:?} {kind}", directory.guest)?;
        }
        writeln!(out, "\nopen files")?;
        for open in &self.descriptors {
            writeln!(out, "  {:<3} {}{}", open.fd, open.kind, open.details())?;
        }
        if self.scratch.len() > 1 {
            writeln!(out, "\nin the scratch directory")?;
            for entry in self.scratch.iter().skip(1) {
                let bytes = entry
                    .size
                    .map_or(String::new(), |bytes| format!(", {}", size(bytes)));
                writeln!(out, "  {:?} {}{bytes}", entry.path, entry.kind)?;
            }
        }
        let time = std::time::Duration::from_nanos;
        let (monotonic, cpu) = (time(self.clocks.monotonic_ns), time(self.clocks.cpu_ns));
        writeln!(
            out,
            "\nclocks      monotonic {monotonic:.3?}, CPU {cpu:.3?}"
        )?;
        if self.waits {
            writeln!(out, "            it waits in poll_oneoff")?;
        }
        Ok(())
    }
}

impl Descriptor {
    fn details(&self) -> String {
        let mut details = String::new();
        if let Some(path) = &self.path {
            details += &format!(" {path:?}");
        }
        match (self.offset, self.size) {
            (Some(offset), Some(size)) => details += &format!(" at byte {offset} of {size}"),
            (Some(offset), None) => details += &format!(" at byte {offset}"),
            _ => {}
        }
        if self.kind == "file" {
            let access = match (self.read, self.write) {
                (true, true) => ", read and write",
                (true, false) => ", read",
                (false, true) => ", write",
                (false, false) => "",
            };
            details += access;
        }
        details
    }
}
