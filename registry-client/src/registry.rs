//! The client as ordinary (not async) code uses it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use reqwest::Certificate;
use tokio::runtime::{Builder, Runtime};
use wherry_packager::{Digest, Reference, Store};

use crate::credentials::{Credential, CredentialFile, Secret};
use crate::error::{RegistryError, innermost};
use crate::progress::Progress;
use crate::session::{Session, Target};
use crate::{pull, push};

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
        let ca_file = env::var_os("WHERRY_CA_FILE").filter(|value| !value.is_empty());
        Self {
            ca_file: ca_file.map(PathBuf::from),
            ..Self::default()
        }
    }
}

/// A client of registries.
#[derive(Debug)]
pub struct Registry {
    options: Options,
    certificates: Vec<Certificate>,
    runtime: Runtime,
}

impl Registry {
    /// A client.
    ///
    /// # Errors
    /// The CA file cannot be used.
    pub fn new(options: Options) -> Result<Self, RegistryError> {
        // Whoever has installed a provider for the process already keeps it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let certificates = match &options.ca_file {
            Some(path) => read_certificates(path)?,
            None => Vec::new(),
        };
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| RegistryError::Setup(error.to_string()))?;
        Ok(Self {
            options,
            certificates,
            runtime,
        })
    }

    /// Sends the artifact `digest` of the store to `to`, which must name a registry.
    /// Blobs that the registry has already are not sent again.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub fn push(
        &self,
        store: &Store,
        digest: &Digest,
        to: &Reference,
        progress: &dyn Progress,
    ) -> Result<(), RegistryError> {
        let expected = to.digest().filter(|expected| expected != digest);
        if let Some(expected) = expected {
            let registry = to.registry().unwrap_or_default().to_owned();
            return Err(RegistryError::WrongDigest {
                registry,
                expected,
                actual: *digest,
            });
        }
        let tag_or_digest = to
            .tag()
            .map_or_else(|| digest.to_string(), ToOwned::to_owned);
        self.runtime.block_on(async {
            let session = self.session(to, "pull,push").await?;
            push::push(&session, store, digest, &tag_or_digest, progress).await
        })
    }

    /// Fetches the artifact `from` into the store, under that name, and returns its digest.
    /// Blobs that the store has already, undamaged, are not fetched again.
    ///
    /// # Errors
    /// See [`RegistryError`]. The store's index is as it was.
    pub fn pull(
        &self,
        store: &Store,
        from: &Reference,
        progress: &dyn Progress,
    ) -> Result<Digest, RegistryError> {
        self.runtime.block_on(async {
            let session = self.session(from, "pull").await?;
            pull::pull(&session, store, from, progress).await
        })
    }

    /// Checks the credentials with the registry and keeps them where other tools look for
    /// them. Returns the file that was written, or that names the helper that has them. A
    /// registry that asks nobody for credentials accepts any.
    ///
    /// # Errors
    /// The registry refuses them, or the file cannot be written.
    pub fn login(
        &self,
        registry: &str,
        user: &str,
        password: &str,
    ) -> Result<PathBuf, RegistryError> {
        let registry = checked(registry)?;
        let credential = Credential::Password {
            user: user.to_owned(),
            password: Secret::new(password),
        };
        self.runtime.block_on(async {
            let target = self.target(&registry, "", "", Some(credential));
            Session::open(target).await?.check_access().await
        })?;
        let file = CredentialFile::locate(self.options.auth_file.as_deref())?;
        Ok(file.store(account(&registry), user, password)?.to_owned())
    }

    /// Forgets the credentials for a registry. Says whether there were any.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn logout(&self, registry: &str) -> Result<bool, RegistryError> {
        let registry = checked(registry)?;
        CredentialFile::locate(self.options.auth_file.as_deref())?.erase(account(&registry))
    }

    async fn session(
        &self,
        reference: &Reference,
        actions: &str,
    ) -> Result<Session, RegistryError> {
        let registry = reference
            .registry()
            .ok_or_else(|| RegistryError::NoRegistry(reference.to_string()))?;
        let credential =
            CredentialFile::find(self.options.auth_file.as_deref(), account(registry))?;
        Session::open(self.target(registry, reference.name(), actions, credential)).await
    }

    fn target<'a>(
        &'a self,
        registry: &'a str,
        repository: &'a str,
        actions: &'a str,
        credential: Option<Credential>,
    ) -> Target<'a> {
        let plain = self
            .options
            .plain_http
            .iter()
            .any(|plain| plain == registry);
        Target {
            registry,
            repository,
            actions,
            credential,
            plain,
            certificates: &self.certificates,
        }
    }
}

/// A registry's name, checked by the rules for references.
fn checked(registry: &str) -> Result<String, RegistryError> {
    let reference = Reference::local("any", "any")?.at_registry(registry)?;
    Ok(reference.registry().unwrap_or_default().to_owned())
}

/// The name under which tools keep a registry's credentials: Docker Hub has an old one.
fn account(registry: &str) -> &str {
    if registry == "docker.io" {
        "https://index.docker.io/v1/"
    } else {
        registry
    }
}

fn read_certificates(path: &Path) -> Result<Vec<Certificate>, RegistryError> {
    let refused = |reason: String| RegistryError::CaFile {
        path: path.to_owned(),
        reason,
    };
    let pem = fs::read(path).map_err(|error| refused(error.to_string()))?;
    let certificates =
        Certificate::from_pem_bundle(&pem).map_err(|error| refused(innermost(&error)))?;
    if certificates.is_empty() {
        Err(refused("holds no certificate in PEM form".to_owned()))
    } else {
        Ok(certificates)
    }
}
