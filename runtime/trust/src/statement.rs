//! In-toto statements: what is said (the predicate) of which artifacts (the subjects).
//!
//! <https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md>

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::encoding::{digest_from_hex, excerpt, hex, null_is_empty};
use crate::names;

/// A SHA-256 digest.
pub type Sha256 = [u8; 32];

const TYPE: &str = "https://in-toto.io/Statement/v1";
/// Of the version before, with the same fields.
const OLD_TYPE: &str = "https://in-toto.io/Statement/v0.1";
const SHA256: &str = "sha256";
/// More subjects than any real statement has.
const MAX_SUBJECTS: usize = 1024;

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// What it is about.
    pub subjects: Vec<Subject>,
    /// What kind of thing it says, as a URI.
    pub predicate_type: String,
    /// What it says.
    pub predicate: Value,
}

/// An artifact that a statement is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// What its author calls it. Nobody checks that.
    pub name: Option<String>,
    /// The digest of its bytes.
    pub digest: Sha256,
}

/// Why a statement is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// It is not the JSON of a statement.
    #[error("it is not an in-toto statement: {0}")]
    Malformed(String),
    /// It is a statement of another version.
    #[error("it is a statement of type `{0}`, which is not known")]
    Version(String),
    /// No subject has a SHA-256 digest.
    #[error("it names no subject by a SHA-256 digest")]
    NoSubject,
    /// It has more subjects than are read.
    #[error("it has more than {MAX_SUBJECTS} subjects")]
    TooMany,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Json {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<JsonSubject>,
    predicate_type: String,
    #[serde(default)]
    predicate: Value,
}

#[derive(Serialize, Deserialize)]
struct JsonSubject {
    #[serde(
        default,
        deserialize_with = "null_is_empty",
        skip_serializing_if = "String::is_empty"
    )]
    name: String,
    digest: BTreeMap<String, String>,
}

impl Statement {
    /// What cosign states when it signs: that whoever has the key signed the artifact.
    #[must_use]
    pub fn signature(digest: Sha256) -> Self {
        Self::about(
            digest,
            names::SIGNATURE_PREDICATE,
            Value::Object(serde_json::Map::new()),
        )
    }

    /// A statement about one artifact.
    #[must_use]
    pub fn about(digest: Sha256, predicate_type: &str, predicate: Value) -> Self {
        Self {
            subjects: vec![Subject { name: None, digest }],
            predicate_type: predicate_type.to_owned(),
            predicate,
        }
    }

    /// Whether the artifact with that digest is one of the subjects.
    #[must_use]
    pub fn is_about(&self, digest: &Sha256) -> bool {
        self.subjects
            .iter()
            .any(|subject| subject.digest == *digest)
    }

    /// Reads a statement. Subjects without a SHA-256 digest are left out: nothing here could
    /// tell whether something is what they name.
    ///
    /// # Errors
    /// It is not one, or names nothing by SHA-256.
    pub fn parse(json: &[u8]) -> Result<Self, StatementError> {
        let malformed = |error: serde_json::Error| StatementError::Malformed(error.to_string());
        let json: Json = serde_json::from_slice(json).map_err(malformed)?;
        if json.kind != TYPE && json.kind != OLD_TYPE {
            return Err(StatementError::Version(excerpt(&json.kind)));
        }
        if json.subject.len() > MAX_SUBJECTS {
            return Err(StatementError::TooMany);
        }
        let subjects: Vec<Subject> = json.subject.into_iter().filter_map(subject).collect();
        if subjects.is_empty() {
            return Err(StatementError::NoSubject);
        }
        Ok(Self {
            subjects,
            predicate_type: json.predicate_type,
            predicate: json.predicate,
        })
    }

    /// As JSON, with the keys of the predicate sorted: the same statement gives the same bytes.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut predicate = self.predicate.clone();
        predicate.sort_all_objects();
        let json = Json {
            kind: TYPE.to_owned(),
            subject: self.subjects.iter().map(to_json).collect(),
            predicate_type: self.predicate_type.clone(),
            predicate,
        };
        // Strings and values as keys and fields: there is nothing in it that JSON cannot have.
        serde_json::to_vec(&json).unwrap_or_default()
    }
}

fn subject(json: JsonSubject) -> Option<Subject> {
    Some(Subject {
        digest: digest_from_hex(json.digest.get(SHA256)?)?,
        name: Some(json.name).filter(|name| !name.is_empty()),
    })
}

fn to_json(subject: &Subject) -> JsonSubject {
    JsonSubject {
        name: subject.name.clone().unwrap_or_default(),
        digest: BTreeMap::from([(SHA256.to_owned(), hex(&subject.digest))]),
    }
}
