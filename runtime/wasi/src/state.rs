//! What of a job's view of the system goes into a checkpoint.

use serde::{Deserialize, Serialize};

/// Everything that [`Wasi`](crate::Wasi) holds for a job, as plain data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WasiState {}

/// Why the state cannot be saved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaveError {}

/// Why a state cannot be restored here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {}
