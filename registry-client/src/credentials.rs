//! Credentials, kept where the user's other tools keep them: Docker's configuration file
//! and the helpers that it names.

use std::env;
use std::fmt;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential_from_reader};
use serde_json::{Map, Value, json};

use crate::error::RegistryError;

const MAX_FILE: u64 = 4 << 20;

/// A text that is not shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text, for sending it to where it belongs.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// What proves to a registry who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Credential {
    Password {
        user: String,
        password: Secret,
    },
    /// An OAuth2 refresh token.
    IdentityToken(Secret),
}

/// A file of credentials.
#[derive(Clone, Debug)]
pub(crate) struct CredentialFile(PathBuf);

impl CredentialFile {
    /// The file that `chosen` or the environment names, whether it exists or not.
    pub(crate) fn locate(chosen: Option<&Path>) -> Result<Self, RegistryError> {
        let named = chosen
            .map(Path::to_owned)
            .or_else(|| variable("REGISTRY_AUTH_FILE"));
        let docker = || {
            let directory =
                variable("DOCKER_CONFIG").or_else(|| Some(variable("HOME")?.join(".docker")));
            Some(directory?.join("config.json"))
        };
        named
            .or_else(docker)
            .map(Self)
            .ok_or(RegistryError::NoCredentialsFile)
    }

    /// The file that skopeo and podman write when none is named.
    fn of_podman() -> Option<Self> {
        Some(Self(
            variable("XDG_RUNTIME_DIR")?.join("containers/auth.json"),
        ))
    }

    /// The credential for `registry`, if there is one.
    pub(crate) fn find(
        chosen: Option<&Path>,
        registry: &str,
    ) -> Result<Option<Credential>, RegistryError> {
        let file = match Self::locate(chosen) {
            Ok(file) => file,
            Err(RegistryError::NoCredentialsFile) => return Ok(None),
            Err(error) => return Err(error),
        };
        match (file.credential(registry)?, chosen) {
            (None, None) => Self::of_podman().map_or(Ok(None), |file| file.credential(registry)),
            (credential, _) => Ok(credential),
        }
    }

    fn credential(&self, registry: &str) -> Result<Option<Credential>, RegistryError> {
        let Some(bytes) = self.read()? else {
            return Ok(None);
        };
        // The errors of the crate can hold what a helper printed: they are not shown.
        match get_credential_from_reader(bytes.as_slice(), registry) {
            Ok(DockerCredential::UsernamePassword(user, password)) => {
                Ok(Some(Credential::Password {
                    user,
                    password: Secret(password),
                }))
            }
            Ok(DockerCredential::IdentityToken(token)) => {
                Ok(Some(Credential::IdentityToken(Secret(token))))
            }
            Err(CredentialRetrievalError::NoCredentialConfigured) => Ok(None),
            Err(CredentialRetrievalError::HelperFailure { stdout, .. })
                if stdout.contains("not found") =>
            {
                Ok(None)
            }
            Err(CredentialRetrievalError::HelperFailure { helper, .. }) => {
                Err(self.unusable(format!("the helper `{helper}` failed")))
            }
            Err(CredentialRetrievalError::HelperCommunicationError) => {
                Err(self.unusable("the credential helper that it names cannot be run".to_owned()))
            }
            Err(CredentialRetrievalError::CredentialDecodingError) => {
                Err(self.unusable(format!("the entry for {registry} cannot be decoded")))
            }
            Err(_) => Err(self.unusable("it is not a Docker configuration file".to_owned())),
        }
    }

    /// Keeps a password and returns the file that says where it is.
    pub(crate) fn store(
        &self,
        registry: &str,
        user: &str,
        password: &str,
    ) -> Result<&Path, RegistryError> {
        let mut document = self.document()?;
        if let Some(helper) = helper(&document, registry) {
            let request = json!({ "ServerURL": registry, "Username": user, "Secret": password });
            self.ask_helper(&helper, "store", &request.to_string())?;
            return Ok(&self.0);
        }
        let entry = json!({ "auth": STANDARD.encode(format!("{user}:{password}")) });
        self.auths(&mut document)?
            .insert(registry.to_owned(), entry);
        self.write(document)?;
        Ok(&self.0)
    }

    /// Forgets what is kept for `registry`. Says whether there was something.
    pub(crate) fn erase(&self, registry: &str) -> Result<bool, RegistryError> {
        let mut document = self.document()?;
        if let Some(helper) = helper(&document, registry) {
            let was_there = self.credential(registry)?.is_some();
            if was_there {
                self.ask_helper(&helper, "erase", registry)?;
            }
            return Ok(was_there);
        }
        let was_there = self.auths(&mut document)?.remove(registry).is_some();
        if was_there {
            self.write(document)?;
        }
        Ok(was_there)
    }

    fn document(&self) -> Result<Map<String, Value>, RegistryError> {
        match self.read()? {
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                self.unusable(format!(
                    "it is not a JSON object ({:?} error at line {})",
                    error.classify(),
                    error.line()
                ))
            }),
            None => Ok(Map::new()),
        }
    }

    fn auths<'a>(
        &self,
        document: &'a mut Map<String, Value>,
    ) -> Result<&'a mut Map<String, Value>, RegistryError> {
        document
            .entry("auths")
            .or_insert_with(|| json!({}))
            .as_object_mut()
            .ok_or_else(|| self.unusable("its `auths` is not an object".to_owned()))
    }

    fn read(&self) -> Result<Option<Vec<u8>>, RegistryError> {
        let file = match File::open(&self.0) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.unusable(error.to_string())),
        };
        let mut bytes = Vec::new();
        file.take(MAX_FILE)
            .read_to_end(&mut bytes)
            .map_err(|error| self.unusable(error.to_string()))?;
        Ok(Some(bytes))
    }

    /// Replaces the file, all of it or nothing, readable by its owner only.
    fn write(&self, document: Map<String, Value>) -> Result<(), RegistryError> {
        // A link stays a link: what it points to is replaced.
        let path = fs::canonicalize(&self.0).unwrap_or_else(|_| self.0.clone());
        let text = serde_json::to_string_pretty(&document)
            .map_err(|error| self.unusable(error.to_string()))?;
        let write = || {
            let directory = path.parent().unwrap_or(Path::new("."));
            fs::create_dir_all(directory)?;
            // Created with mode 0600, which the rename keeps.
            let mut file = tempfile::NamedTempFile::new_in(directory)?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(&path)?;
            Ok(())
        };
        write().map_err(|error: std::io::Error| self.unusable(error.to_string()))
    }

    fn ask_helper(&self, helper: &str, verb: &str, input: &str) -> Result<(), RegistryError> {
        let program = format!("docker-credential-{helper}");
        let failed = || self.unusable(format!("the helper `{program}` failed to {verb}"));
        let mut process = Command::new(&program)
            .arg(verb)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| self.unusable(format!("the helper `{program}`: {error}")))?;
        // A helper that does not read says so by its exit status.
        let written = process
            .stdin
            .take()
            .map(|mut stdin| stdin.write_all(input.as_bytes()));
        let status = process.wait().map_err(|_| failed())?;
        if status.success() && matches!(written, Some(Ok(()))) {
            Ok(())
        } else {
            Err(failed())
        }
    }

    fn unusable(&self, reason: String) -> RegistryError {
        RegistryError::Credentials {
            path: self.0.clone(),
            reason,
        }
    }
}

/// The helper in charge of `registry`, by Docker's rules.
fn helper(document: &Map<String, Value>, registry: &str) -> Option<String> {
    let own = document
        .get("credHelpers")
        .and_then(|helpers| helpers.get(registry));
    let any = document.get("credsStore");
    own.or(any)
        .and_then(Value::as_str)
        .filter(|name| !name.is_empty())
        .map(ToOwned::to_owned)
}

fn variable(name: &str) -> Option<PathBuf> {
    env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, CredentialFile) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        fs::write(&path, text).unwrap();
        (directory, CredentialFile(path))
    }

    #[test]
    fn kept_found_and_forgotten() {
        let (_directory, file) = file(r#"{"auths":{"other:1":{"auth":"YTpi"}},"proxies":{}}"#);
        assert_eq!(file.credential("r.example").unwrap(), None);
        file.store("r.example", "alice", "s:cr et").unwrap();
        let alice = Credential::Password {
            user: "alice".into(),
            password: Secret::new("s:cr et"),
        };
        assert_eq!(file.credential("r.example").unwrap(), Some(alice));
        assert_eq!(
            fs::metadata(&file.0).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert!(fs::read_to_string(&file.0).unwrap().contains("proxies"));
        assert!(file.erase("r.example").unwrap());
        assert!(!file.erase("r.example").unwrap());
        assert!(file.credential("other:1").unwrap().is_some());
    }

    #[test]
    fn a_damaged_file_is_refused_and_left_alone() {
        for text in ["", "[]", "{\"auths\":", r#"{"auths":[]}"#] {
            let (_directory, file) = file(text);
            assert!(
                file.store("r.example", "alice", "hidden").is_err(),
                "{text}"
            );
            assert_eq!(fs::read_to_string(&file.0).unwrap(), text);
        }
    }

    #[test]
    fn what_a_helper_prints_is_not_shown() {
        let (_directory, file) = file(r#"{"credsStore":"there-is-no-such-helper"}"#);
        let error = file
            .store("r.example", "alice", "hidden")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("docker-credential-there-is-no-such-helper")
                && !error.contains("hidden"),
            "{error}"
        );
        assert!(!format!("{:?}", Secret::new("hidden")).contains("hidden"));
    }
}
