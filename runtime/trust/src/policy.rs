//! Which keys may sign what: the `[signatures]` table of a node's policy file.
//!
//! ```toml
//! [signatures]
//! unsigned = "deny"
//!
//! [[signatures.trust]]
//! repositories = ["registry.example/team/*"]
//! keys = ["team.pub"]
//!
//! [signatures.checkpoints]
//! keys = ["node-a.pub"]
//! ```

use std::path::PathBuf;

use serde::Deserialize;

use crate::encoding::excerpt;
use crate::key::KeyError;
use crate::public_key::PublicKey;
use crate::trusted::{TrustedKey, TrustedKeys};

/// What is done with what nobody trusted has signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unsigned {
    /// It is refused.
    #[default]
    Deny,
    /// It runs.
    Allow,
}

/// The table as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyTable {
    /// For workloads to which no rule applies that says otherwise.
    #[serde(default)]
    pub unsigned: Unsigned,
    /// Whose signature makes a workload trusted.
    #[serde(default)]
    pub trust: Vec<RuleTable>,
    /// Whose signature makes a checkpoint trusted.
    #[serde(default)]
    pub checkpoints: CheckpointTable,
}

/// A rule as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleTable {
    /// Repositories that it is for: `registry/name`, or the beginning of such names and `*`.
    pub repositories: Vec<String>,
    /// Files with public keys, relative to the policy file.
    #[serde(default)]
    pub keys: Vec<PathBuf>,
    /// What is done with what none of the keys has signed.
    pub unsigned: Option<Unsigned>,
}

/// Whose checkpoints are resumed, as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointTable {
    /// Files with the public keys of nodes, relative to the policy file.
    #[serde(default)]
    pub keys: Vec<PathBuf>,
    /// What is done with those that none of the keys has signed.
    #[serde(default)]
    pub unsigned: Unsigned,
}

/// Why a policy is refused.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError<E: std::error::Error + 'static> {
    /// A file with a key cannot be read.
    #[error("cannot read the key {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: E,
    },
    /// A file holds no public key.
    #[error("{}: {source}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        source: KeyError,
    },
    /// A pattern has a `*` in another place than its end.
    #[error("the pattern `{0}` may have a `*` at its end only")]
    Pattern(String),
}

/// A policy, with its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    unsigned: Unsigned,
    rules: Vec<Rule>,
    checkpoints: Trust,
}

/// What applies to something: who may sign it, and whether that is needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Whose signature counts.
    pub keys: TrustedKeys,
    /// What is done without one.
    pub unsigned: Unsigned,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    patterns: Vec<String>,
    keys: TrustedKeys,
    unsigned: Option<Unsigned>,
}

impl PolicyTable {
    /// Reads the keys with `read`, which is given the paths as they are written.
    ///
    /// # Errors
    /// A file cannot be read or is no key, or a pattern means nothing.
    pub fn load<E: std::error::Error>(
        self,
        mut read: impl FnMut(&std::path::Path) -> Result<Vec<u8>, E>,
    ) -> Result<Policy, PolicyError<E>> {
        let mut keys = |paths: Vec<PathBuf>| {
            let key = |path: PathBuf| -> Result<TrustedKey, PolicyError<E>> {
                let pem = match read(&path) {
                    Ok(pem) => pem,
                    Err(source) => return Err(PolicyError::Read { path, source }),
                };
                let name = path.display().to_string();
                match PublicKey::from_pem(&pem) {
                    Ok(key) => Ok(TrustedKey { name, key }),
                    Err(source) => Err(PolicyError::Key { path, source }),
                }
            };
            let keys: Result<_, PolicyError<E>> = paths.into_iter().map(key).collect();
            keys.map(TrustedKeys::new)
        };
        let checkpoints = Trust {
            keys: keys(self.checkpoints.keys)?,
            unsigned: self.checkpoints.unsigned,
        };
        let mut rules = Vec::with_capacity(self.trust.len());
        for rule in self.trust {
            for pattern in &rule.repositories {
                if pattern.strip_suffix('*').unwrap_or(pattern).contains('*') {
                    return Err(PolicyError::Pattern(excerpt(pattern)));
                }
            }
            rules.push(Rule {
                patterns: rule.repositories,
                keys: keys(rule.keys)?,
                unsigned: rule.unsigned,
            });
        }
        Ok(Policy {
            unsigned: self.unsigned,
            rules,
            checkpoints,
        })
    }
}

impl Policy {
    /// Only what one of `keys` has signed, wherever it comes from.
    #[must_use]
    pub fn only(keys: &TrustedKeys) -> Self {
        let rule = Rule {
            patterns: vec!["*".to_owned()],
            keys: keys.clone(),
            unsigned: None,
        };
        Self {
            unsigned: Unsigned::Deny,
            rules: vec![rule],
            checkpoints: Trust {
                keys: keys.clone(),
                unsigned: Unsigned::Deny,
            },
        }
    }

    /// What applies to a workload that lies under the names `repositories`: `registry/name`, or
    /// `local/name` if it was packed here; none if it is not an artifact. The digest is the same
    /// under each name, so that a signature that counts for one of them counts for it.
    #[must_use]
    pub fn workload(&self, repositories: &[String]) -> Trust {
        let mut trust = Trust {
            keys: TrustedKeys::default(),
            unsigned: self.unsigned,
        };
        for rule in self.rules.iter().filter(|rule| rule.is_for(repositories)) {
            for key in rule.keys.iter() {
                trust.keys.add(key.clone());
            }
            if let Some(unsigned) = rule.unsigned {
                trust.unsigned = unsigned;
            }
        }
        trust
    }

    /// What applies to checkpoints.
    #[must_use]
    pub fn checkpoints(&self) -> &Trust {
        &self.checkpoints
    }
}

impl Rule {
    fn is_for(&self, repositories: &[String]) -> bool {
        let fits = |pattern: &String| match pattern.strip_suffix('*') {
            Some("") => true,
            Some(beginning) => repositories
                .iter()
                .any(|repository| repository.starts_with(beginning)),
            None => repositories.contains(pattern),
        };
        self.patterns.iter().any(fits)
    }
}
