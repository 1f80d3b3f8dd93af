//! Pushes and pulls OCI artifacts between the local store and a registry.
//!
//! It speaks the OCI distribution protocol over `reqwest`, as much of it as artifacts need.
//! Everything that a registry sends is hostile until proven otherwise: documents have a
//! size limit before they are read, blobs are checked by size and digest while they arrive
//! and are visible in the store only afterwards, and credentials go to the registry's own
//! host and to nowhere else.

//!
//! ```text
//! Registry ─ push, pull ─ upload, download, documents, referrers ─ Session ─ auth ─▶ HTTP
//! ```

mod attachments;
mod auth;
mod credentials;
mod documents;
mod download;
mod error;
mod patience;
mod progress;
mod pull;
mod push;
mod referrers;
mod registries;
mod registry;
mod session;
mod transport;
mod upload;

pub use attachments::Attachments;
pub use error::RegistryError;
pub use patience::Patience;
pub use progress::{Progress, Quiet};
pub use referrers::Referrer;
pub use registry::{Options, Registry};
