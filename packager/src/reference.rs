//! Names of artifacts: `[registry/]name[:tag][@digest]`, as in the OCI distribution specification.

use std::fmt;
use std::str::FromStr;

use crate::digest::{Digest, DigestError, excerpt};

/// The tag that is meant when a reference has neither a tag nor a digest.
const DEFAULT_TAG: &str = "latest";
const MAX_REGISTRY: usize = 253 + 6; // a DNS name, and `:65535`
const MAX_NAME: usize = 255;
const MAX_TAG: usize = 128;

/// A parsed reference. Without a registry it names an artifact of the local store only.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    registry: Option<String>,
    name: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Why a text is not a reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// The part before the first slash looks like a host but is none.
    #[error("`{0}` is not a registry (a host name or address, and optionally :PORT)")]
    Registry(String),
    /// The repository name does not follow the grammar.
    #[error(
        "`{0}` is not a repository name (lower-case letters, digits, and single `.`, `_`, `__` or \
         `-` between them; parts separated by `/`; at most {MAX_NAME} characters)"
    )]
    Name(String),
    /// The tag does not follow the grammar.
    #[error(
        "`{0}` is not a tag (letters, digits, `_`, `.` and `-`, not starting with `.` or `-`, at \
         most {MAX_TAG} characters)"
    )]
    Tag(String),
    /// What follows the `@` is not a digest.
    #[error(transparent)]
    Digest(#[from] DigestError),
}

impl Reference {
    /// A reference of the local store, `name:tag`.
    ///
    /// # Errors
    /// `name` or `tag` does not follow the grammar.
    pub fn local(name: &str, tag: &str) -> Result<Self, ReferenceError> {
        Ok(Self {
            registry: None,
            name: checked_name(name)?,
            tag: Some(checked_tag(tag)?),
            digest: None,
        })
    }

    /// The registry's host and port, e.g. `localhost:5000`.
    #[must_use]
    pub fn registry(&self) -> Option<&str> {
        self.registry.as_deref()
    }

    /// The repository, e.g. `team/nbody`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The tag: the one written, `latest` if there is neither tag nor digest, and none for a
    /// reference by digest alone.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        match (&self.tag, &self.digest) {
            (None, None) => Some(DEFAULT_TAG),
            (tag, _) => tag.as_deref(),
        }
    }

    /// The digest, if the reference pins one.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// The name under which a store keeps the artifact: all but the digest, with the tag
    /// written out. A reference by digest alone has none.
    #[must_use]
    pub fn store_name(&self) -> Option<String> {
        Some(format!("{}:{}", self.repository(), self.tag()?))
    }

    /// Registry and name, e.g. `localhost:5000/team/nbody`.
    #[must_use]
    pub fn repository(&self) -> String {
        match &self.registry {
            Some(registry) => format!("{registry}/{}", self.name),
            None => self.name.clone(),
        }
    }

    /// What has this digest in the same repository.
    #[must_use]
    pub fn at_digest(&self, digest: &Digest) -> Self {
        Self {
            tag: None,
            digest: Some(*digest),
            ..self.clone()
        }
    }

    /// The same artifact's name in a registry, or another one: `registry/name:tag`.
    ///
    /// # Errors
    /// `registry` is not a host with an optional port.
    pub fn at_registry(&self, registry: &str) -> Result<Self, ReferenceError> {
        let registry = Some(checked_registry(registry)?);
        Ok(Self {
            registry,
            ..self.clone()
        })
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse()?)),
            None => (text, None),
        };
        let (registry, rest) = split_registry(rest)?;
        let (name, tag) = match rest.split_once(':') {
            Some((name, tag)) => (name, Some(checked_tag(tag)?)),
            None => (rest, None),
        };
        Ok(Self {
            registry,
            name: checked_name(name)?,
            tag,
            digest,
        })
    }
}

/// The first part is a registry if it has a dot or a port or is `localhost`: the rule of
/// every container tool, without which `team/nbody` would be a host called `team`.
fn split_registry(text: &str) -> Result<(Option<String>, &str), ReferenceError> {
    match text.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':', '[']) || first == "localhost" => {
            Ok((Some(checked_registry(first)?), rest))
        }
        _ => Ok((None, text)),
    }
}

fn checked_registry(text: &str) -> Result<String, ReferenceError> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let port_is_valid = port.is_none_or(|port| {
        port.bytes().all(|byte| byte.is_ascii_digit())
            && port.parse::<u16>().is_ok_and(|port| port != 0)
    });
    if text.len() <= MAX_REGISTRY && port_is_valid && (is_ipv6(host) || is_host_name(host)) {
        Ok(text.to_owned())
    } else {
        Err(ReferenceError::Registry(excerpt(text)))
    }
}

fn is_ipv6(host: &str) -> bool {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok())
}

fn is_host_name(host: &str) -> bool {
    host.split('.').all(|label| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    })
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*`
pub(crate) fn checked_name(text: &str) -> Result<String, ReferenceError> {
    if text.len() <= MAX_NAME && text.split('/').all(is_name_component) {
        Ok(text.to_owned())
    } else {
        Err(ReferenceError::Name(excerpt(text)))
    }
}

fn is_name_component(text: &str) -> bool {
    let is_alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends_well = text.bytes().next().is_some_and(is_alphanumeric)
        && text.bytes().next_back().is_some_and(is_alphanumeric);
    ends_well
        && text
            .split(|c: char| u8::try_from(c).is_ok_and(is_alphanumeric))
            .all(|gap| matches!(gap, "" | "." | "_" | "__") || gap.bytes().all(|byte| byte == b'-'))
}

/// `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`
pub(crate) fn checked_tag(text: &str) -> Result<String, ReferenceError> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let valid = text.len() <= MAX_TAG
        && text.bytes().next().is_some_and(is_word)
        && text
            .bytes()
            .all(|byte| is_word(byte) || byte == b'.' || byte == b'-');
    if valid {
        Ok(text.to_owned())
    } else {
        Err(ReferenceError::Tag(excerpt(text)))
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repository())?;
        if let Some(tag) = self.tag() {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &str) -> Reference {
        text.parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn parts() {
        let reference = parsed("localhost:5000/team/nbody:1.0");
        assert_eq!(reference.registry(), Some("localhost:5000"));
        assert_eq!(reference.name(), "team/nbody");
        assert_eq!(reference.tag(), Some("1.0"));
        assert_eq!(parsed("team/nbody").registry(), None);
        assert_eq!(parsed("nbody").tag(), Some("latest"));
        assert_eq!(parsed("[::1]:5000/a").registry(), Some("[::1]:5000"));
        assert_eq!(parsed("[::1]/a").registry(), Some("[::1]"));
        assert_eq!(
            parsed("ghcr.io/a/b").store_name().as_deref(),
            Some("ghcr.io/a/b:latest")
        );
    }

    #[test]
    fn a_digest_alone_has_no_tag() {
        let digest = Digest::of(b"x");
        let reference = parsed(&format!("nbody@{digest}"));
        assert_eq!((reference.tag(), reference.digest()), (None, Some(digest)));
        assert_eq!(reference.store_name(), None);
        assert_eq!(parsed(&format!("nbody:1@{digest}")).tag(), Some("1"));
    }

    #[test]
    fn refused() {
        for text in [
            "",
            "/",
            "a/",
            "/a",
            "A",
            "a..b",
            "a_-b",
            "a___b",
            "-a",
            "a-",
            "a:",
            "a:.b",
            "a:b:c",
            "a b",
            "a@",
            "a@sha256:0",
            "localhost:0/a",
            "localhost:65536/a",
            "localhost:+1/a",
            "-x.y/a",
            "[::zz]/a",
            "a/../b",
            "é",
            "a:é",
            "host.example/",
            "x.y:80:90/a",
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
        assert!("a".repeat(256).parse::<Reference>().is_err());
        assert!(
            format!("a:{}", "b".repeat(129))
                .parse::<Reference>()
                .is_err()
        );
    }

    proptest! {
        #[test]
        fn written_and_read_again(
            registry in r"((localhost|[a-z]{1,9}\.[a-z]{2,3})(:[1-9][0-9]{0,3})?/)?",
            name in r"[a-z0-9]{1,9}((_|__|-{1,3})[a-z0-9]{1,9}){0,3}(/[a-z0-9]{1,9}(\.[a-z]{1,5}){0,2}){0,2}",
            tag in r"(:[A-Za-z0-9_][A-Za-z0-9._-]{0,20})?",
        ) {
            let reference = parsed(&format!("{registry}{name}{tag}"));
            prop_assert_eq!(parsed(&reference.to_string()).to_string(), reference.to_string());
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,300}") {
            if let Ok(reference) = text.parse::<Reference>() {
                prop_assert!(reference.to_string().starts_with(text.split('@').next().unwrap_or_default()));
            }
        }
    }
}
