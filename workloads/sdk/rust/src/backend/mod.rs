//! The backend for wgpu's `custom` feature.
//!
//! Long-lived objects are made on the host, under handles that the guest chooses; command encoders,
//! passes, bundles, error scopes, callbacks and mapped ranges live here, in the guest's memory, and so
//! move with it.

mod buffer;
mod bundle;
mod compute_pass;
mod context;
mod convert;
mod device;
mod encoder;
mod errors;
mod formats;
mod handles;
mod host;
mod instance;
mod objects;
mod progress;
mod queue;
mod render_commands;
mod render_pass;
mod shaders;
mod unsupported;

#[cfg(test)]
mod tests;

pub(crate) use instance::instance;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, whatever happened to another thread: no lock here is held over a call of the program's.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
