//! Data that a workload brings along, lent to its jobs. It is part of the workload, and nothing of
//! the node: no policy decides on it, and a job finds it wherever its manifest is.

use wherry_node::{MountRecord, Record};
use wherry_packager::{DataLayer, Digest, LentData, StoreError};

use crate::exit;
use crate::failure::Refusal;
use crate::home::Home;

/// The data of the workload with this manifest; none if that is not in the store.
pub(crate) fn of_manifest(home: &Home, manifest: &Digest) -> anyhow::Result<Vec<DataLayer>> {
    let Some(store) = home.existing_store()? else {
        return Ok(Vec::new());
    };
    match store.stored(manifest) {
        Ok(stored) => Ok(stored.document.runnable().map(|found| found.data)?),
        Err(StoreError::MissingBlob { .. }) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// Lends a job the data of its workload, whose places nothing else may have.
pub(crate) fn lend(
    home: &Home,
    layers: &[DataLayer],
    record: &Record,
) -> anyhow::Result<Vec<LentData>> {
    if layers.is_empty() {
        return Ok(Vec::new());
    }
    let mounts = record.mounts.iter().map(|mount| &mount.guest);
    for guest in mounts.chain(&record.scratch) {
        if layers.iter().any(|layer| layer.guest == *guest) {
            let message = format!("the workload brings its own data for {guest:?}");
            let hint = "give the directory another name for the program";
            return Err(Refusal::new(exit::USAGE, message).hint(hint).into());
        }
    }
    let store = home.store()?;
    let lent = layers.iter().map(|layer| store.lend(layer));
    Ok(lent.collect::<Result<_, _>>()?)
}

/// As a job's directories.
pub(crate) fn records(lent: &[LentData]) -> impl Iterator<Item = MountRecord> {
    lent.iter().map(|data| MountRecord {
        host: data.directory.clone(),
        guest: data.guest.clone(),
        read_only: true,
    })
}
