//! Pushes and pulls OCI artifacts between the local store and a registry.
//!
//! It speaks the OCI distribution protocol over `reqwest`, as much of it as artifacts need.
//! Everything that a registry sends is hostile until proven otherwise: documents have a
//! size limit before they are read, blobs are checked by size and digest while they arrive
//! and are visible in the store only afterwards, and credentials go to the registry's own
//! host and to nowhere else.

mod auth;
mod credentials;
mod error;
mod progress;
mod pull;
mod push;
mod registry;
mod session;
mod transport;

pub use error::RegistryError;
pub use progress::{Progress, Quiet};
pub use registry::{Options, Registry};
