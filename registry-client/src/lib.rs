//! Pushes and pulls OCI artifacts between the local store and a registry.

use std::path::PathBuf;

use wherry_packager::{Digest, Reference, Store};

/// Told about every blob that is transferred. Calls come from one thread.
pub trait Progress {
    /// The transfer of a blob starts; `total` is its size in bytes.
    fn started(&self, blob: &Digest, total: u64);
    /// That many more bytes of it were transferred.
    fn advanced(&self, blob: &Digest, bytes: u64);
    /// It is complete and checked.
    fn finished(&self, blob: &Digest);
    /// It needs no transfer: the other side has it already.
    fn skipped(&self, blob: &Digest, total: u64);
}

/// A [`Progress`] that shows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet;

impl Progress for Quiet {
    fn started(&self, _blob: &Digest, _total: u64) {}
    fn advanced(&self, _blob: &Digest, _bytes: u64) {}
    fn finished(&self, _blob: &Digest) {}
    fn skipped(&self, _blob: &Digest, _total: u64) {}
}

/// How to reach registries.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// PEM file with certificates to trust in addition to the system's.
    pub ca_file: Option<PathBuf>,
    /// Registries (`host:port`) to speak plain HTTP with. Loopback needs no mention.
    pub plain_http: Vec<String>,
    /// The file with credentials, instead of the one that the environment names.
    pub auth_file: Option<PathBuf>,
}

impl Options {
    /// What the environment says: `WHERRY_CA_FILE`.
    #[must_use]
    pub fn from_env() -> Self {
        todo!()
    }
}

/// A client of registries, for use from ordinary (not async) code.
pub struct Registry {}

/// Why a registry operation failed.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The registry has no such artifact.
    #[error("{0} is not in the registry")]
    NotFound(String),
}

impl Registry {
    /// A client.
    ///
    /// # Errors
    /// The CA file cannot be used.
    pub fn new(_options: Options) -> Result<Self, RegistryError> {
        todo!()
    }

    /// Sends the artifact `digest` of the store to `to`, which must name a registry.
    /// Blobs that the registry has already are not sent again.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub fn push(
        &self,
        _store: &Store,
        _digest: &Digest,
        _to: &Reference,
        _progress: &dyn Progress,
    ) -> Result<(), RegistryError> {
        todo!()
    }

    /// Fetches the artifact `from` into the store, under that name, and returns its digest.
    ///
    /// # Errors
    /// See [`RegistryError`]. The store is as it was.
    pub fn pull(
        &self,
        _store: &Store,
        _from: &Reference,
        _progress: &dyn Progress,
    ) -> Result<Digest, RegistryError> {
        todo!()
    }

    /// Checks the credentials with the registry and keeps them where other tools look for
    /// them. Returns the file that was written.
    ///
    /// # Errors
    /// The registry refuses them, or the file cannot be written.
    pub fn login(
        &self,
        _registry: &str,
        _user: &str,
        _password: &str,
    ) -> Result<PathBuf, RegistryError> {
        todo!()
    }

    /// Forgets the credentials for a registry. Says whether there were any.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn logout(&self, _registry: &str) -> Result<bool, RegistryError> {
        todo!()
    }
}
