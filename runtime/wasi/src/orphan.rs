//! Restoring open files and directories that have no name: each gets one for as long as it
//! takes to open it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;

use cap_std::fs::{Dir, OpenOptions};
use wherry_snapshot::{Blob, BlobSource};

use crate::host::MountRoot;
use crate::open::{HowToOpen, open_existing};
use crate::restore::{RestoreError, how_to_open, index, invalid, mount_at};
use crate::scratch::{as_path, set_times};
use crate::state::{DescriptorState, Location, ObjectState, Orphan, WasiState};
use crate::table::Place;

/// Open files without a name, and where they had one, by the descriptor to be.
pub(crate) type OpenOrphans = BTreeMap<u32, (File, Place)>;

/// Opens the state's orphans, once for each descriptor.
pub(crate) fn restore(
    state: &WasiState,
    mounts: &[MountRoot],
    blobs: &dyn BlobSource,
) -> Result<OpenOrphans, RestoreError> {
    let mut open = OpenOrphans::new();
    for (number, orphan) in (0_u32..).zip(&state.orphans) {
        let place = Place {
            mount: index(orphan.mount),
            path: as_path(&orphan.path).to_owned(),
        };
        let home = home(mounts, orphan.mount)?;
        let failed = |error| RestoreError::scratch(&orphan.path, error);
        let name = create(home, orphan, blobs).map_err(failed)?;
        let opened = open_all(state, number, home, Path::new(&name));
        remove(home, orphan, &name).map_err(failed)?;
        for (fd, file) in opened? {
            open.insert(fd, (file, place.clone()));
        }
    }
    Ok(open)
}

/// Where a file can be created: the scratch directory, or where it was.
fn home(mounts: &[MountRoot], mount: u32) -> Result<&Dir, RestoreError> {
    if let Some(scratch) = mounts.iter().find(|mount| mount.scratch) {
        return Ok(&scratch.dir);
    }
    let root = mount_at(mounts, mount)?;
    if root.read_only {
        return Err(invalid("a file without a name has no place"));
    }
    Ok(&root.dir)
}

/// Creates the orphan under a name that is free.
fn create(home: &Dir, orphan: &Orphan, blobs: &dyn BlobSource) -> io::Result<String> {
    for number in 0..u32::MAX {
        let name = format!(".wherry-unnamed-{number}");
        let created = match &orphan.content {
            None => home.create_dir(&name),
            Some(blob) => match create_file(home, &name, orphan, blob, blobs) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    // Nobody is to find half a file; the first error says why it is one.
                    let _ = home.remove_file(&name);
                    Err(error)
                }
                other => other,
            },
        };
        match created {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => return other.map(|()| name),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

fn create_file(
    home: &Dir,
    name: &str,
    orphan: &Orphan,
    blob: &Blob,
    blobs: &dyn BlobSource,
) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    let mut file = home.open_with(name, &options)?.into_std();
    blobs.read(blob, &mut file)?;
    set_times(&file, orphan.atime, orphan.mtime)
}

fn remove(home: &Dir, orphan: &Orphan, name: &str) -> io::Result<()> {
    match orphan.content {
        Some(_) => home.remove_file(name),
        None => home.remove_dir(name),
    }
}

/// Opens the file `name` for every descriptor that has orphan `number` open.
fn open_all(
    state: &WasiState,
    number: u32,
    home: &Dir,
    name: &Path,
) -> Result<Vec<(u32, File)>, RestoreError> {
    let mut files = Vec::new();
    for (&fd, descriptor) in &state.descriptors {
        let Some(how) = how(descriptor, number)? else {
            continue;
        };
        let file = open_existing(home, name, &how, how.access);
        let name = name.display().to_string();
        files.push((fd, file.map_err(|error| RestoreError::file(&name, error))?));
    }
    Ok(files)
}

/// How the descriptor has orphan `number` open, if it has.
fn how(descriptor: &DescriptorState, number: u32) -> Result<Option<HowToOpen>, RestoreError> {
    let location = Location::Orphan(number);
    match &descriptor.object {
        ObjectState::File(file) if file.location == location => {
            how_to_open(file, descriptor.flags).map(Some)
        }
        ObjectState::Directory(directory) if directory.location == location => {
            Ok(Some(HowToOpen::DIRECTORY))
        }
        _ => Ok(None),
    }
}
