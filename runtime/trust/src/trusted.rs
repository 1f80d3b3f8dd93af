//! The keys that are believed, and what they have signed.

use std::fmt;

use crate::bundle::{Bundle, Content};
use crate::encoding::{excerpt, hex};
use crate::names;
use crate::public_key::PublicKey;
use crate::simple::SimpleSignature;
use crate::statement::{Sha256, Statement, StatementError};

/// A key that is believed, and what its owner is called here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedKey {
    /// For people: a file name, or a name from a policy.
    pub name: String,
    /// The key.
    pub key: PublicKey,
}

impl fmt::Display for TrustedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.key.id())
    }
}

/// Keys that are believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedKeys(Vec<TrustedKey>);

/// A statement, and who signed it.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified<'a> {
    /// The key that signed it.
    pub key: &'a TrustedKey,
    /// What was signed. It is about the artifact that was asked for.
    pub statement: Statement,
}

/// Why a signature is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// No key is trusted here.
    #[error("no key is trusted to sign this")]
    NoKeys,
    /// None of the trusted keys made it.
    #[error("it was not made by a trusted key, but says it is by {0}")]
    UnknownSigner(String),
    /// It names a trusted key, which did not make it.
    #[error("it is not a signature by {0}, whose name it has: it was changed, or forged")]
    Forged(String),
    /// It is by a trusted key, and about something else.
    #[error("{key} signed something else: sha256:{stated}")]
    OtherSubject {
        /// Who signed.
        key: String,
        /// What: the first digest that is signed, in hexadecimal.
        stated: String,
    },
    /// It is by a trusted key, and says something else about the artifact.
    #[error("{key} did not sign `{wanted}` of it, but `{stated}`")]
    OtherPredicate {
        /// Who signed.
        key: String,
        /// The predicate type that was signed.
        stated: String,
        /// The one that was wanted.
        wanted: String,
    },
    /// It is by a trusted key, but what was signed is not a statement.
    #[error("{key} signed it, but {source}")]
    Statement {
        /// Who signed.
        key: String,
        /// What is wrong with it.
        source: StatementError,
    },
    /// It is a signature of bytes, where a statement was wanted, or the other way round, or the
    /// payload is of another type.
    #[error("it is a signature of another kind: of {0}")]
    OtherKind(String),
}

impl TrustedKeys {
    /// Those keys.
    #[must_use]
    pub fn new(keys: Vec<TrustedKey>) -> Self {
        Self(keys)
    }

    /// The keys.
    pub fn iter(&self) -> impl Iterator<Item = &TrustedKey> {
        self.0.iter()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a key.
    pub fn add(&mut self, key: TrustedKey) {
        self.0.push(key);
    }

    /// Whether a trusted key signed the artifact with the digest `subject`, as `cosign sign` does.
    /// An attestation is no such signature: whoever states what an artifact consists of does not
    /// say that it may run.
    ///
    /// # Errors
    /// The bundle is not such a signature.
    pub fn verify_signature(
        &self,
        bundle: &Bundle,
        subject: &Sha256,
    ) -> Result<Verified<'_>, VerifyError> {
        self.verify_attestation(bundle, subject, names::SIGNATURE_PREDICATE)
    }

    /// Whether a trusted key stated something of the type `predicate_type` about the artifact
    /// with the digest `subject`.
    ///
    /// # Errors
    /// The bundle is not such a statement.
    pub fn verify_attestation(
        &self,
        bundle: &Bundle,
        subject: &Sha256,
        predicate_type: &str,
    ) -> Result<Verified<'_>, VerifyError> {
        let verified = self.verify_statement(bundle, subject)?;
        if verified.statement.predicate_type != predicate_type {
            return Err(VerifyError::OtherPredicate {
                key: verified.key.to_string(),
                stated: excerpt(&verified.statement.predicate_type),
                wanted: predicate_type.to_owned(),
            });
        }
        Ok(verified)
    }

    /// The same for statements of any type.
    ///
    /// # Errors
    /// The bundle is not a statement about it by a trusted key.
    pub fn verify_statement(
        &self,
        bundle: &Bundle,
        subject: &Sha256,
    ) -> Result<Verified<'_>, VerifyError> {
        let Content::Envelope(envelope) = bundle.content() else {
            return Err(VerifyError::OtherKind("bytes".to_owned()));
        };
        let hints = [bundle.hint(), envelope.key_hint()];
        let key = self.signer(hints, |key| envelope.is_signed_by(key))?;
        if envelope.payload_type() != names::STATEMENT {
            return Err(VerifyError::OtherKind(excerpt(envelope.payload_type())));
        }
        let failed = |source| VerifyError::Statement {
            key: key.to_string(),
            source,
        };
        let statement = Statement::parse(envelope.payload()).map_err(failed)?;
        if !statement.is_about(subject) {
            return Err(VerifyError::OtherSubject {
                key: key.to_string(),
                stated: statement
                    .subjects
                    .first()
                    .map(|subject| hex(&subject.digest))
                    .unwrap_or_default(),
            });
        }
        Ok(Verified { key, statement })
    }

    /// Whether a trusted key signed these bytes, as `cosign sign-blob` does.
    ///
    /// # Errors
    /// The bundle is not such a signature.
    pub fn verify_message(
        &self,
        bundle: &Bundle,
        message: &[u8],
    ) -> Result<&TrustedKey, VerifyError> {
        let Content::Message(signed) = bundle.content() else {
            return Err(VerifyError::OtherKind("a statement".to_owned()));
        };
        self.signer([bundle.hint(), ""], |key| {
            key.verifies(message, &signed.signature)
        })
    }

    /// Whether a trusted key signed the manifest with the digest `subject`, as cosign before
    /// version 3 did.
    ///
    /// # Errors
    /// It is not such a signature.
    pub fn verify_simple(
        &self,
        signature: &SimpleSignature,
        subject: &Sha256,
    ) -> Result<&TrustedKey, VerifyError> {
        let key = self.signer(["", ""], |key| signature.is_signed_by(key))?;
        match signature.unverified_subject() {
            Some(stated) if stated == *subject => Ok(key),
            Some(stated) => Err(VerifyError::OtherSubject {
                key: key.to_string(),
                stated: hex(&stated),
            }),
            None => Err(VerifyError::OtherKind(
                "something else than an image".to_owned(),
            )),
        }
    }

    /// The key for which `is_signed_by` holds: the one that the signature names, or else any. A
    /// name that is not known proves nothing: other tools name keys in other ways.
    fn signer(
        &self,
        hints: [&str; 2],
        is_signed_by: impl Fn(&PublicKey) -> bool,
    ) -> Result<&TrustedKey, VerifyError> {
        if self.is_empty() {
            return Err(VerifyError::NoKeys);
        }
        let is_named =
            |trusted: &TrustedKey| hints.contains(&trusted.key.id().to_string().as_str());
        if let Some(named) = self.iter().find(|trusted| is_named(trusted)) {
            return match is_signed_by(&named.key) {
                true => Ok(named),
                false => Err(VerifyError::Forged(named.to_string())),
            };
        }
        let signer = self.iter().find(|trusted| is_signed_by(&trusted.key));
        signer.ok_or_else(|| {
            let hint = hints.into_iter().find(|hint| !hint.is_empty());
            VerifyError::UnknownSigner(hint.map_or("nobody".to_owned(), excerpt))
        })
    }
}
