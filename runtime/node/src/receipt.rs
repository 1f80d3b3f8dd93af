//! Receipts: what a run of a job used, and how it ended, signed by the node.
//!
//! A receipt is a Sigstore bundle with an in-toto statement about the module (and the manifest
//! that it came from), of the predicate type [`PREDICATE`]. `docs/receipts.md` describes it.

use serde::{Deserialize, Serialize};
use wherry_trust::{Bundle, BundleError, KeyError, SigningKey, Statement, Subject, TrustedKeys};
use wherry_trust::{KeyId, VerifyError};

use crate::{Record, Used};

/// What kind of statement a receipt is.
pub const PREDICATE: &str = "https://wherry-grid.github.io/receipt/v1";

/// The version of the predicate that is written, and the only one that is read.
const FORMAT: u32 = 1;

/// What a run of a job used, and how it ended. Times are in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// Version of this format: 1.
    pub format: u32,
    /// The version of Wherry that ran it.
    pub runtime: String,
    /// The job's name on the node.
    pub job: String,
    /// What was run, as whoever started it named it.
    pub workload: String,
    /// Digest of the module, `sha256:…`.
    pub module: String,
    /// Digest of the manifest, `sha256:…`, if the module came from an artifact.
    pub manifest: Option<String>,
    /// Digest of the policy that it ran under, `sha256:…`.
    pub policy: String,
    /// Where it stands among the job's checkpoints.
    pub lineage: Lineage,
    /// When the job was made on the node.
    pub created: u64,
    /// When this run ended.
    pub ended: u64,
    /// How it ended: `exited`, `trapped`, `checkpointed`, `time-limit`, `killed`, `failed`, `died`.
    pub outcome: String,
    /// The program's exit code, if it exited.
    pub code: Option<u32>,
    /// The exit code of the command.
    pub exit: u8,
    /// What the job has used over its whole life.
    pub used: Used,
}

/// Where a run stands among the checkpoints of its job. Each checkpoint names the one before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lineage {
    /// The checkpoint that the run went on from, if it went on from one.
    pub resumed_from: Option<Point>,
    /// The last checkpoint that was made, if one was.
    pub last: Option<Point>,
}

/// A checkpoint in a lineage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// Its number among those of the job.
    pub sequence: u64,
    /// The digest of its state.
    pub state: String,
}

/// How a run ended.
#[derive(Clone, Copy, Debug)]
pub struct RunEnd<'a> {
    /// In a word.
    pub outcome: &'a str,
    /// The program's exit code.
    pub code: Option<u32>,
    /// The exit code of the command.
    pub exit: u8,
    /// When.
    pub at: u64,
}

/// Why a receipt is refused.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    /// It is no bundle.
    #[error("it is no receipt: {0}")]
    Bundle(#[from] BundleError),
    /// It is not written as receipts are: something was changed, though nothing that is signed.
    #[error("it was changed: it is not written as receipts are")]
    NotCanonical,
    /// Its signature is not believed.
    #[error(transparent)]
    Signature(#[from] VerifyError),
    /// It is signed, and is about something else, or of another version.
    #[error("it is no receipt of a known version: {0}")]
    Content(String),
    /// A digest in a job's record is none.
    #[error("`{0}` is no digest")]
    Digest(String),
    /// It cannot be signed.
    #[error("it cannot be signed: {0}")]
    Key(#[from] KeyError),
}

impl Receipt {
    /// The receipt of a run of the job that `record` describes.
    #[must_use]
    pub fn of(record: &Record, policy: &str, end: RunEnd<'_>) -> Self {
        let point = |point: &Option<(u64, String)>| {
            let (sequence, state) = point.clone()?;
            Some(Point { sequence, state })
        };
        Receipt {
            format: FORMAT,
            runtime: env!("CARGO_PKG_VERSION").to_owned(),
            job: record.id.clone(),
            workload: record.workload.clone(),
            module: record.module.clone(),
            manifest: record.manifest.clone(),
            policy: policy.to_owned(),
            lineage: Lineage {
                resumed_from: point(&record.resumed_from),
                last: point(&record.last_state),
            },
            created: record.created,
            ended: end.at,
            outcome: end.outcome.to_owned(),
            code: end.code,
            exit: end.exit,
            used: record.used.unwrap_or_default(),
        }
    }

    /// Signs it. Returns the bytes of the bundle.
    ///
    /// # Errors
    /// A digest is none, or the system has no random numbers.
    pub fn sign(&self, key: &SigningKey) -> Result<Vec<u8>, ReceiptError> {
        let predicate = serde_json::to_value(self);
        let predicate = predicate.map_err(|error| ReceiptError::Content(error.to_string()))?;
        let mut statement = Statement::about(digest(&self.module)?, PREDICATE, predicate);
        if let Some(manifest) = &self.manifest {
            let digest = digest(manifest)?;
            statement.subjects.push(Subject { name: None, digest });
        }
        Ok(Bundle::sign(key, &statement)?.to_json())
    }

    /// Reads a receipt without believing it.
    ///
    /// # Errors
    /// It is none.
    pub fn unverified(bytes: &[u8]) -> Result<Self, ReceiptError> {
        let statement = Bundle::parse(bytes)?.unverified_statement();
        let statement =
            statement.ok_or_else(|| ReceiptError::Content("nothing is stated in it".to_owned()))?;
        Self::from_statement(&statement)
    }

    /// Reads a receipt that one of `keys` signed, of which no byte was changed. Returns who
    /// signed it.
    ///
    /// # Errors
    /// It is none, or was changed, or is signed by somebody else.
    pub fn verified(bytes: &[u8], keys: &TrustedKeys) -> Result<(Self, KeyId), ReceiptError> {
        let bundle = Bundle::parse(bytes)?;
        if bundle.to_json() != bytes {
            return Err(ReceiptError::NotCanonical);
        }
        let stated = bundle.unverified_statement();
        let subject = stated.and_then(|stated| Some(stated.subjects.first()?.digest));
        let subject = subject.unwrap_or_default();
        let verified = keys.verify_attestation(&bundle, &subject, PREDICATE)?;
        let receipt = Self::from_statement(&verified.statement)?;
        Ok((receipt, verified.key.key.id()))
    }

    fn from_statement(statement: &Statement) -> Result<Self, ReceiptError> {
        let content = |why: String| ReceiptError::Content(why);
        if statement.predicate_type != PREDICATE {
            return Err(content("it states something else".to_owned()));
        }
        let receipt: Self = serde_json::from_value(statement.predicate.clone())
            .map_err(|error| content(error.to_string()))?;
        if receipt.format != FORMAT {
            return Err(content(format!("its format is {}", receipt.format)));
        }
        let module = digest(&receipt.module)?;
        if !statement.is_about(&module) {
            return Err(content(
                "it is about another module than it names".to_owned(),
            ));
        }
        Ok(receipt)
    }
}

fn digest(text: &str) -> Result<[u8; 32], ReceiptError> {
    let refused = || ReceiptError::Digest(text.to_owned());
    let hex = text.strip_prefix("sha256:").ok_or_else(refused)?;
    if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(refused());
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks(2)) {
        let pair = std::str::from_utf8(pair).map_err(|_| refused())?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| refused())?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wherry_trust::{Algorithm, PublicKey, TrustedKey};

    fn receipt() -> Receipt {
        let mut record = Record::new(
            "registry.example/team/sum:1.0".into(),
            format!("sha256:{}", "01".repeat(32)),
            Vec::new(),
        );
        record.manifest = Some(format!("sha256:{}", "02".repeat(32)));
        record.id = "3f9c2a11".into();
        record.created = 1_790_000_000_000;
        record.resumed_from = Some((3, format!("sha256:{}", "03".repeat(32))));
        record.last_state = Some((4, format!("sha256:{}", "04".repeat(32))));
        record.used = Some(Used {
            wall_ms: 61_000,
            cpu_ms: 60_000,
            memory_bytes: 1 << 20,
            peak_resident_bytes: 40 << 20,
            read_bytes: 5,
            written_bytes: 7,
            stdout_bytes: 6,
            stderr_bytes: 1,
            gpu_ms: 0,
            gpu_bytes: 0,
        });
        let end = RunEnd {
            outcome: "exited",
            code: Some(0),
            exit: 0,
            at: 1_790_000_061_000,
        };
        Receipt::of(&record, &format!("sha256:{}", "05".repeat(32)), end)
    }

    fn trusted(key: PublicKey) -> TrustedKeys {
        let name = "node".to_owned();
        TrustedKeys::new(vec![TrustedKey { name, key }])
    }

    #[test]
    fn what_is_signed_is_read_again() {
        let key = SigningKey::generate(Algorithm::EcdsaP256).unwrap();
        let bytes = receipt().sign(&key).unwrap();
        let (read, by) = Receipt::verified(&bytes, &trusted(key.public())).unwrap();
        assert_eq!((read, by), (receipt(), key.public().id()));
        let other = SigningKey::generate(Algorithm::EcdsaP256).unwrap();
        let refused = Receipt::verified(&bytes, &trusted(other.public())).unwrap_err();
        assert!(matches!(refused, ReceiptError::Signature(_)), "{refused}");
        assert_eq!(Receipt::unverified(&bytes).unwrap(), receipt());
    }

    /// Signed once and for all.
    #[test]
    fn the_golden_receipt_is_read_and_each_changed_byte_found() {
        let golden = |name: &str| {
            let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
            std::fs::read(directory.join(name)).unwrap()
        };
        let bytes = golden("receipt-1.json");
        let keys = trusted(PublicKey::from_pem(&golden("node.pub")).unwrap());
        let (read, _) = Receipt::verified(&bytes, &keys).unwrap();
        let expected: serde_json::Value =
            serde_json::from_slice(&golden("receipt-1.expected")).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), expected);
        for place in 0..bytes.len() {
            for bit in [0, 4, 7] {
                let mut changed = bytes.clone();
                changed[place] ^= 1 << bit;
                assert!(
                    Receipt::verified(&changed, &keys).is_err(),
                    "byte {place}, bit {bit}"
                );
            }
        }
        for cut in 0..bytes.len() {
            assert!(Receipt::verified(&bytes[..cut], &keys).is_err());
        }
    }
}
