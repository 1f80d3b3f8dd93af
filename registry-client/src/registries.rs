//! How registries are reached: plain or by TLS, with which certificates, through which mirrors.
//!
//! What podman and skopeo are told in `registries.conf` and `certs.d` holds here, too, but for
//! one thing: `insecure` allows plain HTTP, and never a certificate that is not trusted.

use std::env;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use reqwest::Certificate;
use serde::Deserialize;
use wherry_packager::Reference;

use crate::error::{RegistryError, innermost};
use crate::transport;

/// Much more than any real file has.
const MAX_FILE: u64 = 1 << 20;

/// Whether a registry speaks TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speech {
    Tls,
    /// It is asked, without credentials.
    PlainIfItAnswers,
    Plain,
}

/// A place to find a repository at.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    /// Host and port.
    pub(crate) registry: String,
    /// Empty for the registry itself.
    pub(crate) repository: String,
    pub(crate) speech: Speech,
    /// To trust besides the system's.
    pub(crate) certificates: Vec<Certificate>,
}

/// What the configuration says about registries.
#[derive(Debug, Default)]
pub(crate) struct Registries {
    entries: Vec<Entry>,
    /// Registries that the caller wants plain HTTP with.
    pub(crate) plain: Vec<String>,
    /// Certificates that the caller trusts for every registry.
    pub(crate) trusted: Vec<Certificate>,
    /// Directories with a directory of certificates per registry.
    certificates: Vec<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
struct File {
    #[serde(default)]
    registry: Vec<Entry>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Entry {
    /// `host`, `host/path` or `*.host`; the location if there is none.
    prefix: Option<String>,
    location: Option<String>,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    blocked: bool,
    #[serde(default)]
    mirror: Vec<Mirror>,
    #[serde(default)]
    mirror_by_digest_only: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Mirror {
    location: String,
    #[serde(default)]
    insecure: bool,
    /// `all`, `digest-only` or `tag-only`.
    pull_from_mirror: Option<String>,
}

impl Registries {
    /// What `chosen` says, or else the file that the environment names, or else the user's, or
    /// else the system's.
    pub(crate) fn load(chosen: Option<&Path>) -> Result<Self, RegistryError> {
        let config = variable("XDG_CONFIG_HOME")
            .or_else(|| Some(variable("HOME")?.join(".config")))
            .map(|config| config.join("containers"));
        let named = chosen
            .map(Path::to_owned)
            .or_else(|| variable("CONTAINERS_REGISTRIES_CONF"));
        let candidates = match named {
            Some(file) => vec![file],
            None => config
                .iter()
                .map(|config| config.join("registries.conf"))
                .chain([PathBuf::from("/etc/containers/registries.conf")])
                .collect(),
        };
        let certificates = config
            .into_iter()
            .chain(["/etc/containers", "/etc/docker"].map(PathBuf::from));
        let mut registries = Registries {
            certificates: certificates.map(|above| above.join("certs.d")).collect(),
            ..Registries::default()
        };
        for file in candidates {
            if let Some(entries) = read(&file)? {
                registries.entries = entries;
                break;
            }
        }
        Ok(registries)
    }

    /// Where a reference can be pulled from: first the mirrors, last the registry itself.
    pub(crate) fn sources(&self, reference: &Reference) -> Result<Vec<Endpoint>, RegistryError> {
        let own = self.endpoint(reference)?;
        let name = reference.repository();
        let Some((entry, prefix)) = self.entry(&name) else {
            return Ok(vec![own]);
        };
        let by_digest = reference.digest().is_some();
        let serves = |mirror: &&Mirror| match mirror.pull_from_mirror.as_deref() {
            Some("digest-only") => by_digest,
            Some("tag-only") => !by_digest,
            _ => by_digest || !entry.mirror_by_digest_only,
        };
        let mut sources = Vec::new();
        for mirror in entry.mirror.iter().filter(serves) {
            let place = format!("{}{}", mirror.location, &name[prefix..]);
            sources.push(self.at(&place, mirror.insecure)?);
        }
        sources.push(own);
        Ok(sources)
    }

    /// Where a reference is.
    pub(crate) fn endpoint(&self, reference: &Reference) -> Result<Endpoint, RegistryError> {
        if reference.registry().is_none() {
            return Err(RegistryError::NoRegistry(reference.to_string()));
        }
        let name = reference.repository();
        match self.entry(&name) {
            Some((entry, _)) if entry.blocked => Err(RegistryError::Blocked(name)),
            Some((entry, prefix)) => {
                let place = match &entry.location {
                    Some(location) => format!("{location}{}", &name[prefix..]),
                    None => name,
                };
                self.at(&place, entry.insecure)
            }
            None => self.at(&name, false),
        }
    }

    /// A registry as such.
    pub(crate) fn registry(&self, registry: &str) -> Result<Endpoint, RegistryError> {
        let insecure = self
            .entry(registry)
            .is_some_and(|(entry, _)| entry.insecure);
        Ok(Endpoint {
            registry: registry.to_owned(),
            repository: String::new(),
            speech: self.speech(registry, insecure),
            certificates: self.certificates_for(registry)?,
        })
    }

    fn at(&self, place: &str, insecure: bool) -> Result<Endpoint, RegistryError> {
        let reference: Reference = place.parse()?;
        let registry = reference
            .registry()
            .ok_or_else(|| RegistryError::NoRegistry(place.to_owned()))?;
        Ok(Endpoint {
            registry: registry.to_owned(),
            repository: reference.name().to_owned(),
            speech: self.speech(registry, insecure),
            certificates: self.certificates_for(registry)?,
        })
    }

    fn speech(&self, registry: &str, insecure: bool) -> Speech {
        if self.plain.iter().any(|plain| plain == registry) {
            Speech::Plain
        } else if insecure || transport::is_loopback(registry) {
            Speech::PlainIfItAnswers
        } else {
            Speech::Tls
        }
    }

    /// The entry with the longest prefix that fits, and the prefix's length in `name`.
    fn entry(&self, name: &str) -> Option<(&Entry, usize)> {
        let fitting = self.entries.iter().filter_map(|entry| {
            let prefix = entry.prefix.as_ref().or(entry.location.as_ref())?;
            Some((entry, length_of(prefix, name)?))
        });
        fitting.max_by_key(|(_, length)| *length)
    }

    fn certificates_for(&self, registry: &str) -> Result<Vec<Certificate>, RegistryError> {
        let mut certificates = self.trusted.clone();
        for directory in &self.certificates {
            let Ok(entries) = fs::read_dir(directory.join(registry)) else {
                continue;
            };
            for entry in entries.flatten() {
                if entry
                    .path()
                    .extension()
                    .is_some_and(|ending| ending == "crt")
                {
                    certificates.extend(read_certificates(&entry.path())?);
                }
            }
        }
        Ok(certificates)
    }
}

/// How much of `name` a prefix stands for, if it fits.
fn length_of(prefix: &str, name: &str) -> Option<usize> {
    if let Some(domain) = prefix.strip_prefix('*') {
        let registry = name.split('/').next().unwrap_or(name);
        let host = registry.split(':').next().unwrap_or(registry);
        return (domain.starts_with('.') && host.ends_with(domain)).then_some(registry.len());
    }
    let rest = name.strip_prefix(prefix)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(prefix.len())
}

fn read(path: &Path) -> Result<Option<Vec<Entry>>, RegistryError> {
    let refused = |reason: String| RegistryError::Registries {
        path: path.to_owned(),
        reason,
    };
    let size = fs::metadata(path).map(|metadata| metadata.len());
    if size.is_ok_and(|size| size > MAX_FILE) {
        return Err(refused(format!("it has more than {MAX_FILE} bytes")));
    }
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refused(error.to_string())),
    };
    let file: File = toml::from_str(&text).map_err(|error| refused(error.to_string()))?;
    Ok(Some(file.registry))
}

/// The certificates in a PEM file.
pub(crate) fn read_certificates(path: &Path) -> Result<Vec<Certificate>, RegistryError> {
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

fn variable(name: &str) -> Option<PathBuf> {
    env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"
        unqualified-search-registries = ["docker.io"]
        [[registry]]
        location = "hub.example"
        [[registry.mirror]]
        location = "mirror.example:5000/cache"
        insecure = true
        [[registry.mirror]]
        location = "pinned.example"
        pull-from-mirror = "digest-only"
        [[registry]]
        prefix = "hub.example/team"
        location = "team.example/moved"
        [[registry]]
        prefix = "*.bad.example"
        blocked = true
    "#;

    fn registries(text: &str) -> Result<Registries, RegistryError> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("registries.conf");
        fs::write(&file, text).unwrap();
        Registries::load(Some(&file))
    }

    fn places(endpoints: &[Endpoint]) -> Vec<String> {
        let place =
            |one: &Endpoint| format!("{}/{} {:?}", one.registry, one.repository, one.speech);
        endpoints.iter().map(place).collect()
    }

    #[test]
    fn mirrors_come_first_and_the_longest_prefix_counts() {
        let registries = registries(CONFIG).unwrap();
        let sources = |text: &str| places(&registries.sources(&text.parse().unwrap()).unwrap());
        assert_eq!(
            sources("hub.example/a/b:1"),
            [
                "mirror.example:5000/cache/a/b PlainIfItAnswers",
                "hub.example/a/b Tls"
            ]
        );
        let digest = wherry_packager::Digest::of(b"x");
        assert_eq!(sources(&format!("hub.example/a@{digest}")).len(), 3);
        assert_eq!(
            sources("hub.example/team/x:1"),
            ["team.example/moved/x Tls"]
        );
        assert_eq!(sources("hub.example.org/x:1"), ["hub.example.org/x Tls"]);
        assert_eq!(sources("localhost:1/x"), ["localhost:1/x PlainIfItAnswers"]);
        let blocked = registries.endpoint(&"a.bad.example:5/x".parse().unwrap());
        assert!(
            matches!(blocked, Err(RegistryError::Blocked(name)) if name == "a.bad.example:5/x")
        );
    }

    #[test]
    fn what_is_no_configuration_is_refused() {
        for text in ["registry = 1", "[[registry]]\nlocation = 3", "{"] {
            assert!(matches!(
                registries(text),
                Err(RegistryError::Registries { .. })
            ));
        }
        assert!(registries("").is_ok());
    }
}
