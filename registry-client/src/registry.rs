//! The client as ordinary (not async) code uses it.

use std::env;
use std::path::PathBuf;

use tokio::runtime::{Builder, Runtime};
use wherry_packager::{Descriptor, Digest, Document, Reference, Store};

use crate::attachments::{self, Attachments, old_tag};
use crate::credentials::{Credential, CredentialFile, Secret};
use crate::error::RegistryError;
use crate::patience::Patience;
use crate::progress::{Progress, Quiet};
use crate::pull;
use crate::push::{self, Parts};
use crate::referrers::Referrer;
use crate::registries::{Endpoint, Registries, read_certificates};
use crate::session::Session;

/// How to reach registries.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// PEM file with certificates to trust in addition to the system's.
    pub ca_file: Option<PathBuf>,
    /// Registries (`host:port`) to speak plain HTTP with. Loopback needs no mention.
    pub plain_http: Vec<String>,
    /// The file with credentials, instead of the one that the environment names.
    pub auth_file: Option<PathBuf>,
    /// The file with mirrors and the like (`registries.conf`), instead of the one that the
    /// environment names.
    pub registries_file: Option<PathBuf>,
    /// How long to go on when something fails in passing.
    pub patience: Patience,
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
    registries: Registries,
    runtime: Runtime,
}

impl Registry {
    /// A client.
    ///
    /// # Errors
    /// The CA file or the configuration of registries cannot be used.
    pub fn new(options: Options) -> Result<Self, RegistryError> {
        // Whoever has installed a provider for the process already keeps it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut registries = Registries::load(options.registries_file.as_deref())?;
        registries.plain.clone_from(&options.plain_http);
        if let Some(path) = &options.ca_file {
            registries.trusted = read_certificates(path)?;
        }
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| RegistryError::Setup(error.to_string()))?;
        Ok(Self {
            options,
            registries,
            runtime,
        })
    }

    /// Sends the artifact `digest` of the store to `to`, which must name a registry. Blobs that
    /// the registry has already are not sent again, and those that it has in another repository
    /// that the store knows are mounted from there. A manifest that is about another one becomes
    /// a referrer of it.
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
        let parts = Parts::of(store, digest, to)?;
        self.at_registry(to, "pull,push", &parts.sources(), async |session| {
            push::push(session, store, &parts, &tag_or_digest, progress).await
        })
    }

    /// Fetches the workload or checkpoint `from` into the store, under that name, and returns its digest.
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
        self.at_first_source(from, async |session| {
            pull::pull(session, store, from, progress).await
        })
    }

    /// As [`Registry::pull`], for any manifest: a signature, for instance.
    ///
    /// # Errors
    /// See [`RegistryError`]. The store's index is as it was.
    pub fn fetch(
        &self,
        store: &Store,
        from: &Reference,
        progress: &dyn Progress,
    ) -> Result<Digest, RegistryError> {
        self.at_first_source(from, async |session| {
            pull::fetch(session, store, from, progress).await
        })
    }

    /// Fetches the signatures and attestations of `subject`, an artifact that was pulled as `from`.
    ///
    /// # Errors
    /// See [`RegistryError`]: of the registry, not of a single signature.
    pub fn pull_attachments(
        &self,
        store: &Store,
        from: &Reference,
        subject: &Digest,
    ) -> Result<Attachments, RegistryError> {
        self.at_first_source(from, async |session| {
            attachments::pull(session, store, from, subject).await
        })
    }

    /// Sends what is attached to `subject` in the store to the repository of `to`. Returns how
    /// many there are.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub fn push_attachments(
        &self,
        store: &Store,
        subject: &Digest,
        to: &Reference,
    ) -> Result<usize, RegistryError> {
        let attachments = store.attachments(subject)?;
        for attachment in &attachments {
            let digest = attachment.manifest.descriptor.digest;
            let to = match attachment.manifest.document.subject() {
                Some(_) => to.at_digest(&digest),
                None => format!("{}:{}", to.repository(), old_tag(subject)).parse()?,
            };
            self.push(store, &digest, &to, &Quiet)?;
        }
        Ok(attachments.len())
    }

    /// The digest of what `from` means.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub fn resolve(&self, from: &Reference) -> Result<Digest, RegistryError> {
        Ok(self.describe(from)?.0.digest)
    }

    /// The manifest or index that `from` means.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub fn describe(&self, from: &Reference) -> Result<(Descriptor, Document), RegistryError> {
        self.at_first_source(from, async |session| {
            let fetched = session.referenced(from).await?;
            Ok((fetched.descriptor, fetched.document))
        })
    }

    /// What refers to `subject` in the repository that `repository` names: manifests of one
    /// artifact type, or of any. Those of which only the manifest tells what they are, are there
    /// in any case.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub fn referrers(
        &self,
        repository: &Reference,
        subject: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Referrer>, RegistryError> {
        self.at_registry(repository, "pull", &[], async |session| {
            session.referrers(subject, artifact_type).await
        })
    }

    /// Does something with the registry itself.
    fn at_registry<T>(
        &self,
        to: &Reference,
        actions: &str,
        others: &[String],
        work: impl AsyncFn(&Session) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        let endpoint = self.registries.endpoint(to)?;
        self.runtime
            .block_on(async { work(&self.session(&endpoint, actions, others).await?).await })
    }

    /// Does something with the first source of a reference that can: a mirror, or else the
    /// registry itself, whose error counts.
    fn at_first_source<T>(
        &self,
        from: &Reference,
        work: impl AsyncFn(&Session) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        let mut sources = self.registries.sources(from)?;
        let Some(own) = sources.pop() else {
            return Err(RegistryError::NoRegistry(from.to_string()));
        };
        self.runtime.block_on(async {
            for mirror in &sources {
                let Ok(session) = self.session(mirror, "pull", &[]).await else {
                    continue;
                };
                match work(&session).await {
                    Ok(done) => return Ok(done),
                    // A full disk is not the mirror's fault.
                    Err(error @ RegistryError::Store(_)) => return Err(error),
                    Err(_) => {}
                }
            }
            work(&self.session(&own, "pull", &[]).await?).await
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
        let endpoint = self.registries.registry(&registry)?;
        let patience = self.options.patience;
        self.runtime.block_on(async {
            let session = Session::open(&endpoint, "", &[], Some(credential), patience).await?;
            session.check_access().await
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
        endpoint: &Endpoint,
        actions: &str,
        others: &[String],
    ) -> Result<Session, RegistryError> {
        let account = account(&endpoint.registry);
        let credential = CredentialFile::find(self.options.auth_file.as_deref(), account)?;
        Session::open(endpoint, actions, others, credential, self.options.patience).await
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
