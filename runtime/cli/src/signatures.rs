//! What is said about an artifact of the store, and whether somebody who is believed says it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use wherry_node::ORIGIN_PREDICATE;
use wherry_packager::{Attachment, Digest, Layer, Reference, Store, StoreError};
use wherry_trust::{
    Bundle, Policy, Sha256, SigningKey, SimpleSignature, Statement, TrustedKey, TrustedKeys,
    Unsigned, VerifyError, names,
};

use crate::exit;
use crate::failure::Refusal;
use crate::home::Home;
use crate::workload::from_oci;

/// Something that is said about an artifact: a signature or an attestation.
pub(crate) struct Finding {
    /// The manifest that it lies in.
    pub(crate) manifest: Digest,
    /// How it is written.
    form: Form,
    /// What it says, if that can be read. Only [`Finding::verdict`] tells who says it.
    statement: Option<Statement>,
    /// The name of the key that it has.
    hint: String,
    /// Who says it, or why that is not known.
    verdict: Result<TrustedKey, String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Bundle,
    Simple,
}

impl Finding {
    /// Who says that the artifact is theirs to run, if that is what is said and they are believed.
    pub(crate) fn signer(&self) -> Option<&TrustedKey> {
        self.verdict.as_ref().ok().filter(|_| self.is_signature())
    }

    fn is_signature(&self) -> bool {
        self.form == Form::Simple || self.predicate_type() == Some(names::SIGNATURE_PREDICATE)
    }

    fn predicate_type(&self) -> Option<&str> {
        Some(self.statement.as_ref()?.predicate_type.as_str())
    }

    /// Why it is not believed.
    pub(crate) fn refusal(&self) -> Option<&str> {
        self.verdict.as_ref().err().map(String::as_str)
    }

    /// What it is, in a word.
    fn kind(&self) -> &str {
        match (self.form, self.predicate_type()) {
            (Form::Simple, _) | (_, Some(names::SIGNATURE_PREDICATE)) => "signature",
            (_, Some(names::CYCLONEDX_PREDICATE)) => "sbom",
            (_, Some(names::PROVENANCE_PREDICATE)) => "provenance",
            (_, Some(ORIGIN_PREDICATE)) => "origin",
            (_, Some(other)) => other,
            (_, None) => "unreadable",
        }
    }

    pub(crate) fn value(&self) -> Value {
        let key = self.verdict.as_ref().ok();
        json!({
            "manifest": self.manifest.to_string(),
            "kind": self.kind(),
            "form": match self.form { Form::Bundle => "sigstore-bundle", Form::Simple => "cosign-tag" },
            "predicate_type": self.predicate_type(),
            "predicate": self.statement.as_ref().map(|statement| &statement.predicate),
            "key_hint": self.hint,
            "verified": key.is_some(),
            "signer": key.map(|key| &key.name),
            "key": key.map(|key| key.key.id().to_string()),
            "reason": self.refusal(),
        })
    }

    /// A line for people.
    pub(crate) fn line(&self) -> String {
        let form = match self.form {
            Form::Bundle => "",
            Form::Simple => " (before cosign 3)",
        };
        let said = match &self.verdict {
            Ok(key) => format!("by {key}, verified"),
            Err(reason) => format!("NOT VERIFIED: {reason}"),
        };
        format!("{}{form} {said}{}", self.kind(), self.summary())
    }

    /// A line for people who have not said whom they believe.
    pub(crate) fn claim(&self) -> String {
        let by = match (self.form, self.hint.as_str()) {
            (Form::Simple, _) => "of cosign before 3, which names no key".to_owned(),
            (Form::Bundle, "") => "that names no key".to_owned(),
            (Form::Bundle, hint) => {
                let hint: String = hint.escape_debug().take(80).collect();
                format!("by the key {hint}")
            }
        };
        let unread = match (&self.statement, self.form) {
            (None, Form::Bundle) => self.refusal().map(|why| format!(": {why}")),
            _ => None,
        };
        let unread = unread.unwrap_or_default();
        format!(
            "{} {by}, not verified{}{unread}",
            self.kind(),
            self.summary()
        )
    }

    /// What an attestation has to say, in a few words.
    fn summary(&self) -> String {
        let Some(predicate) = self
            .statement
            .as_ref()
            .map(|statement| &statement.predicate)
        else {
            return String::new();
        };
        match self.kind() {
            "sbom" => {
                let components = predicate["components"].as_array().map_or(0, Vec::len);
                format!(", {components} components")
            }
            "provenance" => {
                let builder = predicate["runDetails"]["builder"]["id"].as_str();
                let builder: String = builder.unwrap_or("?").escape_debug().take(80).collect();
                format!(", built by {builder}")
            }
            "origin" => {
                let sequence = predicate["checkpoint"]["sequence"].as_u64();
                let from = match &predicate["arrived"]["sequence"] {
                    Value::Number(arrived) => format!("from checkpoint {arrived}"),
                    _ => "from its beginning".to_owned(),
                };
                format!(
                    ", checkpoint {} of a job there {from}",
                    sequence.unwrap_or(0)
                )
            }
            _ => String::new(),
        }
    }
}

/// Signs a statement about an artifact of the store, and attaches it. Returns the manifest that
/// it lies in.
pub(crate) fn attach(
    store: &Store,
    digest: &Digest,
    key: &SigningKey,
    statement: &Statement,
) -> anyhow::Result<Digest> {
    let bundle = Bundle::sign(key, statement)?.to_json();
    let annotations = BTreeMap::from([
        (
            names::CONTENT_ANNOTATION.to_owned(),
            names::ENVELOPE_CONTENT.to_owned(),
        ),
        (
            names::PREDICATE_ANNOTATION.to_owned(),
            statement.predicate_type.clone(),
        ),
    ]);
    Ok(store.attach(digest, names::BUNDLE, &bundle, &annotations)?)
}

/// Reads all that is said about `digest`, and finds out which of `keys` says it.
pub(crate) fn examine(
    store: &Store,
    digest: &Digest,
    keys: &TrustedKeys,
) -> Result<Vec<Finding>, StoreError> {
    let Some(subject) = from_oci(digest) else {
        return Ok(Vec::new());
    };
    let mut findings = Vec::new();
    for attachment in store.attachments(digest)? {
        let manifest = attachment.manifest.descriptor.digest;
        for layer in layers_of(&attachment) {
            let content = store.read_small(&layer.blob);
            let finding = match (layer.blob.media_type.as_str(), content) {
                (names::BUNDLE, Ok(content)) => bundle(manifest, &content, &subject, keys),
                (names::SIMPLE_SIGNING, Ok(content)) => {
                    simple(manifest, content, &layer, &subject, keys)
                }
                (names::BUNDLE, Err(error)) => {
                    unreadable(manifest, Form::Bundle, error.to_string())
                }
                (names::SIMPLE_SIGNING, Err(error)) => {
                    unreadable(manifest, Form::Simple, error.to_string())
                }
                // An attachment of a kind that says nothing about trust.
                _ => continue,
            };
            findings.push(finding);
        }
    }
    Ok(findings)
}

fn layers_of(attachment: &Attachment) -> Vec<Layer> {
    attachment.manifest.document.layers().unwrap_or_default()
}

fn bundle(manifest: Digest, json: &[u8], subject: &Sha256, keys: &TrustedKeys) -> Finding {
    let bundle = match Bundle::parse(json) {
        Ok(bundle) => bundle,
        Err(error) => return unreadable(manifest, Form::Bundle, error.to_string()),
    };
    let verdict = match keys.verify_statement(&bundle, subject) {
        Ok(verified) => Ok(verified.key.clone()),
        Err(error) => Err(error.to_string()),
    };
    Finding {
        manifest,
        form: Form::Bundle,
        statement: bundle.unverified_statement(),
        hint: bundle.hint().to_owned(),
        verdict,
    }
}

fn simple(
    manifest: Digest,
    payload: Vec<u8>,
    layer: &Layer,
    subject: &Sha256,
    keys: &TrustedKeys,
) -> Finding {
    let annotation = layer.annotations.get(names::SIMPLE_SIGNATURE);
    let signature = annotation.and_then(|text| SimpleSignature::new(payload, text));
    let Some(signature) = signature else {
        let reason = "it has no signature in its annotations".to_owned();
        return unreadable(manifest, Form::Simple, reason);
    };
    let verdict = keys.verify_simple(&signature, subject);
    Finding {
        manifest,
        form: Form::Simple,
        statement: None,
        hint: String::new(),
        verdict: verdict
            .cloned()
            .map_err(|error: VerifyError| error.to_string()),
    }
}

fn unreadable(manifest: Digest, form: Form, reason: String) -> Finding {
    Finding {
        manifest,
        form,
        statement: None,
        hint: String::new(),
        verdict: Err(reason),
    }
}

/// Why none of what is said about an artifact makes it trusted, in one line.
pub(crate) fn why_unsigned(findings: &[Finding]) -> String {
    let signatures: Vec<_> = findings.iter().filter(|one| one.is_signature()).collect();
    let reasons: Vec<_> = signatures.iter().filter_map(|one| one.refusal()).collect();
    match reasons.as_slice() {
        [] => "it has no signature".to_owned(),
        [reason] => format!("it has a signature, but {reason}"),
        several => format!(
            "none of its {} signatures counts: {}",
            several.len(),
            several.join("; ")
        ),
    }
}

/// Whether an artifact may run, as far as signatures decide that.
pub(crate) struct Judgement {
    /// Who has signed it, of those who may.
    pub(crate) signer: Option<TrustedKey>,
    /// What is done if nobody has.
    pub(crate) unsigned: Unsigned,
    /// Why nobody has.
    reason: String,
}

/// Finds out who has signed an artifact of the store that is to run, and came from `repository` if
/// its name does not say so. `manifest` is none for a module in a file: there is nothing that a
/// signature could be attached to.
pub(crate) fn judge(
    home: &Home,
    manifest: Option<&Digest>,
    repository: Option<&str>,
    policy: &Policy,
) -> anyhow::Result<Judgement> {
    let store = home.existing_store()?;
    let Some((manifest, store)) = manifest.zip(store) else {
        return Ok(Judgement {
            signer: None,
            unsigned: policy.workload(&[]).unsigned,
            reason: "it is a module in a file, which has no signature".to_owned(),
        });
    };
    let mut known = repositories(&store, manifest)?;
    known.extend(repository.map(str::to_owned));
    let trust = policy.workload(&known);
    let findings = examine(&store, manifest, &trust.keys)?;
    Ok(Judgement {
        signer: findings.iter().find_map(Finding::signer).cloned(),
        unsigned: trust.unsigned,
        reason: why_unsigned(&findings),
    })
}

/// Refuses what none of `keys` has signed.
pub(crate) fn require(
    home: &Home,
    name: &str,
    manifest: Option<&Digest>,
    keys: &TrustedKeys,
) -> anyhow::Result<()> {
    let judgement = judge(home, manifest, None, &Policy::only(keys))?;
    if judgement.signer.is_some() {
        return Ok(());
    }
    let message = format!("`{name}` may not run here: {}", judgement.reason);
    let hint = match manifest {
        None => "`wherry pack` makes an artifact, `wherry sign` signs it",
        Some(_) => "`wherry pull` fetches signatures too; `wherry inspect` shows which there are",
    };
    Err(Refusal::new(exit::NO_PERMISSION, message).hint(hint).into())
}

/// The repositories under whose names an artifact lies in the store, as policies name them.
pub(crate) fn repositories(store: &Store, digest: &Digest) -> Result<Vec<String>, StoreError> {
    let names = store.names_of(digest)?.into_iter();
    let references = names.filter_map(|name| name.parse().ok());
    Ok(references.map(|name| repository(&name)).collect())
}

/// A repository as policies name it: what was packed here is under `local/`.
pub(crate) fn repository(reference: &Reference) -> String {
    match reference.registry() {
        Some(_) => reference.repository(),
        None => format!("local/{}", reference.name()),
    }
}
