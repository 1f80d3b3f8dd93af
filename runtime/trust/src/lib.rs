//! Keys and signatures, as cosign 3 makes and checks them with key pairs and no network.
//!
//! ```text
//! SigningKey ─ Statement ─▶ Envelope (DSSE) ─▶ Bundle (JSON) ─ TrustedKeys::… ─▶ Verified
//! ```
//!
//! Bytes in, bytes out: no file, no registry, no clock. What is read is hostile: it is limited
//! before it is parsed, and nothing in it says which key is trusted. `docs/trust.md` tells how
//! the parts are used, and where the formats are specified.

mod bundle;
mod encoding;
mod encrypted;
mod envelope;
mod key;
mod policy;
mod public_key;
mod simple;
mod statement;
mod trusted;

pub use bundle::{Bundle, BundleError, MAX_BUNDLE_SIZE};
pub use envelope::Envelope;
pub use key::{Algorithm, KeyError, MAX_KEY_SIZE, SigningKey};
pub use policy::{CheckpointTable, Policy, PolicyError, PolicyTable, RuleTable, Trust, Unsigned};
pub use public_key::{KeyId, PublicKey};
pub use simple::SimpleSignature;
pub use statement::{Sha256, Statement, StatementError, Subject};
pub use trusted::{TrustedKey, TrustedKeys, Verified, VerifyError};

/// Media types and other names that the formats fix.
pub mod names {
    /// A Sigstore bundle: the artifact type of a signature, and the type of its one layer.
    pub const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
    /// The payload of a DSSE envelope with an in-toto statement.
    pub const STATEMENT: &str = "application/vnd.in-toto+json";
    /// What cosign 3 states of an artifact that it signs.
    pub const SIGNATURE_PREDICATE: &str = "https://sigstore.dev/cosign/sign/v1";
    /// SLSA provenance: what built the subject.
    pub const PROVENANCE_PREDICATE: &str = "https://slsa.dev/provenance/v1";
    /// A CycloneDX document: what the subject consists of.
    pub const CYCLONEDX_PREDICATE: &str = "https://cyclonedx.org/bom";
    /// The annotation of a referrer that says what its bundle states.
    pub const PREDICATE_ANNOTATION: &str = "dev.sigstore.bundle.predicateType";
    /// The annotation of a referrer that says what its bundle holds.
    pub const CONTENT_ANNOTATION: &str = "dev.sigstore.bundle.content";
    /// The value of [`CONTENT_ANNOTATION`] for an envelope.
    pub const ENVELOPE_CONTENT: &str = "dsse-envelope";
    /// A signature of cosign before version 3: the type of a layer.
    pub const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
    /// The annotation of such a layer that has the signature of its bytes.
    pub const SIMPLE_SIGNATURE: &str = "dev.cosignproject.cosign/signature";
}
