//! Forged, replayed, malformed and oversized input: each is refused by name, nothing panics.

use proptest::prelude::*;
use serde_json::{Value, json};
use wherry_trust::{
    Algorithm, Bundle, BundleError, KeyError, MAX_BUNDLE_SIZE, MAX_KEY_SIZE, PublicKey, SigningKey,
    SimpleSignature, Statement, StatementError, TrustedKey, TrustedKeys, VerifyError, names,
};
use zeroize::Zeroizing;

const ARTIFACT: [u8; 32] = [1; 32];
const OTHER: [u8; 32] = [2; 32];

fn key() -> SigningKey {
    SigningKey::generate(Algorithm::Ed25519).unwrap()
}

fn trusting(keys: &[&SigningKey]) -> TrustedKeys {
    let trusted = |key: &&SigningKey| TrustedKey {
        name: "team".to_owned(),
        key: key.public(),
    };
    TrustedKeys::new(keys.iter().map(trusted).collect())
}

fn signed(key: &SigningKey, digest: [u8; 32]) -> Bundle {
    Bundle::sign(key, &Statement::signature(digest)).unwrap()
}

fn read_key(pem: &[u8]) -> Result<SigningKey, KeyError> {
    SigningKey::from_pem(pem, || Ok::<_, KeyError>(Zeroizing::new(Vec::new())))
}

/// The bundle with one thing in its JSON changed.
fn changed(bundle: &Bundle, change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut json = serde_json::from_slice(&bundle.to_json()).unwrap();
    change(&mut json);
    serde_json::to_vec(&json).unwrap()
}

#[test]
fn a_signature_by_the_wrong_key() {
    let (key, stranger) = (key(), key());
    let error = trusting(&[&key])
        .verify_signature(&signed(&stranger, ARTIFACT), &ARTIFACT)
        .unwrap_err();
    let hint = stranger.public().id().to_string();
    assert_eq!(error, VerifyError::UnknownSigner(hint));
}

#[test]
fn no_key_is_trusted() {
    let bundle = signed(&key(), ARTIFACT);
    let error = trusting(&[])
        .verify_signature(&bundle, &ARTIFACT)
        .unwrap_err();
    assert_eq!(error, VerifyError::NoKeys);
}

#[test]
fn a_signature_of_another_artifact() {
    let key = key();
    let error = trusting(&[&key])
        .verify_signature(&signed(&key, OTHER), &ARTIFACT)
        .unwrap_err();
    let expected = format!(
        "team ({}) signed something else: sha256:{}",
        key.public().id(),
        "02".repeat(32)
    );
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_signature_under_somebody_elses_name() {
    let (key, stranger) = (key(), key());
    let hint = key.public().id().to_string();
    let bundle = changed(&signed(&stranger, ARTIFACT), |json| {
        json["verificationMaterial"]["publicKey"]["hint"] = hint.clone().into();
        json["dsseEnvelope"]["signatures"][0]["keyid"] = hint.into();
    });
    let bundle = Bundle::parse(&bundle).unwrap();
    let error = trusting(&[&key])
        .verify_signature(&bundle, &ARTIFACT)
        .unwrap_err();
    assert!(matches!(error, VerifyError::Forged(_)), "{error}");
}

#[test]
fn a_payload_that_was_exchanged() {
    let key = key();
    let other = changed(&signed(&key, OTHER), |_| {});
    let other: Value = serde_json::from_slice(&other).unwrap();
    let bundle = changed(&signed(&key, ARTIFACT), |json| {
        json["dsseEnvelope"]["payload"] = other["dsseEnvelope"]["payload"].clone();
    });
    let bundle = Bundle::parse(&bundle).unwrap();
    let error = trusting(&[&key])
        .verify_signature(&bundle, &OTHER)
        .unwrap_err();
    assert!(matches!(error, VerifyError::Forged(_)), "{error}");
}

/// An attestation that is taken for a signature, and the other way round.
#[test]
fn a_statement_of_another_kind() {
    let key = key();
    let keys = trusting(&[&key]);
    let statement = Statement::about(ARTIFACT, names::PROVENANCE_PREDICATE, Value::Null);
    let bundle = Bundle::sign(&key, &statement).unwrap();
    let error = keys.verify_signature(&bundle, &ARTIFACT).unwrap_err();
    assert!(
        matches!(error, VerifyError::OtherPredicate { .. }),
        "{error}"
    );
    let error = keys.verify_message(&bundle, b"bytes").unwrap_err();
    assert_eq!(error, VerifyError::OtherKind("a statement".into()));
    let error = keys.verify_attestation(
        &signed(&key, ARTIFACT),
        &ARTIFACT,
        names::PROVENANCE_PREDICATE,
    );
    assert!(matches!(
        error.unwrap_err(),
        VerifyError::OtherPredicate { .. }
    ));
}

/// A signature is of type and payload: neither can be given another meaning.
#[test]
fn a_payload_type_that_was_exchanged() {
    let key = key();
    let bundle = changed(&signed(&key, ARTIFACT), |json| {
        json["dsseEnvelope"]["payloadType"] = "application/json".into();
    });
    let bundle = Bundle::parse(&bundle).unwrap();
    let error = trusting(&[&key])
        .verify_signature(&bundle, &ARTIFACT)
        .unwrap_err();
    assert!(matches!(error, VerifyError::Forged(_)), "{error}");
}

#[test]
fn malformed_bundles() {
    let refused = |expected: &str, change: &dyn Fn(&mut Value)| {
        let error = Bundle::parse(&changed(&signed(&key(), ARTIFACT), change)).unwrap_err();
        let message = error.to_string();
        assert!(message.contains(expected), "{message} / {expected}");
    };
    refused("of type `application/json`", &|json| {
        json["mediaType"] = "application/json".into();
    });
    refused("invalid length 0", &|json| {
        json["dsseEnvelope"]["signatures"] = json!([]);
    });
    refused("trailing characters", &|json| {
        let signature = json["dsseEnvelope"]["signatures"][0].clone();
        json["dsseEnvelope"]["signatures"] = json!([signature, signature]);
    });
    refused("not base64", &|json| {
        json["dsseEnvelope"]["payload"] = "%%%".into();
    });
    refused("not exactly one content", &|json| {
        json["dsseEnvelope"].take();
    });
    refused("does not say what verifies it", &|json| {
        json["verificationMaterial"]["publicKey"].take();
    });
    refused("signed with a certificate", &|json| {
        json["verificationMaterial"] = json!({ "certificate": { "rawBytes": "" } });
    });
    refused("a key and a certificate", &|json| {
        json["verificationMaterial"]["certificate"] = json!({});
    });
    refused(
        "one key in its envelope and another one beside it",
        &|json| {
            json["dsseEnvelope"]["signatures"][0]["keyid"] = "another".into();
        },
    );
}

#[test]
fn oversized_input() {
    let large = vec![b' '; MAX_BUNDLE_SIZE + 1];
    assert_eq!(Bundle::parse(&large).unwrap_err(), BundleError::TooLarge);
    let large = vec![b'A'; MAX_KEY_SIZE + 1];
    assert_eq!(PublicKey::from_pem(&large).unwrap_err(), KeyError::TooLarge);
    assert_eq!(read_key(&large).unwrap_err(), KeyError::TooLarge);
    assert_eq!(SimpleSignature::new(vec![0; 65 << 10], ""), None);
    let subjects = vec![r#"{"digest":{}}"#; 1025].join(",");
    let json = format!(
        r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{subjects}],"predicateType":""}}"#
    );
    assert_eq!(
        Statement::parse(json.as_bytes()).unwrap_err(),
        StatementError::TooMany
    );
}

/// A file must not choose how much memory or time its password costs.
#[test]
fn an_expensive_key() {
    let json = r#"{"kdf":{"name":"scrypt","params":{"N":1073741824,"r":8,"p":1},"salt":""},"cipher":{"name":"nacl/secretbox","nonce":""},"ciphertext":""}"#;
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, json);
    let pem = format!(
        "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n{encoded}\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n"
    );
    let error = read_key(pem.as_bytes()).unwrap_err().to_string();
    assert!(
        error.contains("scrypt parameters are not ones of cosign"),
        "{error}"
    );
}

#[test]
fn keys_of_the_wrong_kind() {
    let pair = key();
    let (public, private) = (pair.public().to_pem(), pair.to_pem());
    assert_eq!(
        PublicKey::from_pem(private.as_bytes()).unwrap_err(),
        KeyError::Private
    );
    assert_eq!(read_key(public.as_bytes()).unwrap_err(), KeyError::Public);
    let twice = format!("{public}{public}");
    assert_eq!(
        PublicKey::from_pem(twice.as_bytes()).unwrap_err(),
        KeyError::NotPem
    );
    let certificate = public.replace("PUBLIC KEY", "CERTIFICATE");
    let error = PublicKey::from_pem(certificate.as_bytes()).unwrap_err();
    assert_eq!(error, KeyError::Kind("CERTIFICATE".into()));
    assert_eq!(
        PublicKey::from_der(&[0x30; 91]).unwrap_err(),
        KeyError::Algorithm
    );
    assert_eq!(SigningKey::from_der(b"").unwrap_err(), KeyError::Invalid);
}

/// Whatever it is, it is no key of that name: nothing of it can be shown to be one.
#[test]
fn a_point_that_is_not_on_the_curve() {
    let mut der = SigningKey::generate(Algorithm::EcdsaP256)
        .unwrap()
        .public()
        .to_der()
        .to_vec();
    *der.last_mut().unwrap() ^= 1;
    let key = PublicKey::from_der(&der).unwrap();
    assert!(!key.verifies(b"message", &[0; 70]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// No bytes make a parser panic.
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _ = Bundle::parse(&bytes);
        let _ = Statement::parse(&bytes);
        let _ = PublicKey::from_pem(&bytes);
        let _ = PublicKey::from_der(&bytes);
        let _ = SigningKey::from_der(&bytes);
        let _ = read_key(&bytes);
        if let Some(signature) = SimpleSignature::new(bytes, "AAAA") {
            prop_assert!(signature.unverified_subject().is_none());
        }
    }

    /// A bundle in which any byte was changed is not a signature by the key, unless it still says
    /// exactly the same.
    #[test]
    fn any_changed_byte(at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let key = key();
        let good = signed(&key, ARTIFACT);
        let mut json = good.to_json();
        let at = at.index(json.len());
        json[at] = to;
        let Ok(bundle) = Bundle::parse(&json) else { return Ok(()) };
        let keys = trusting(&[&key]);
        if let Ok(verified) = keys.verify_signature(&bundle, &ARTIFACT) {
            prop_assert_eq!(verified.statement, Statement::signature(ARTIFACT));
            prop_assert!(keys.verify_signature(&bundle, &OTHER).is_err());
        }
    }

    /// A bundle that ends early is none.
    #[test]
    fn any_beginning(length in any::<prop::sample::Index>()) {
        let json = signed(&key(), ARTIFACT).to_json();
        prop_assert!(Bundle::parse(&json[..length.index(json.len())]).is_err());
    }

    /// What is stated comes back.
    #[test]
    fn statements_round_trip(name in ".*", kind in ".*", digest: [u8; 32], text in ".*", number: i64) {
        let predicate = json!({ "text": text, "list": [number, null] });
        let mut statement = Statement::about(digest, &kind, predicate);
        statement.subjects[0].name = Some(name).filter(|name| !name.is_empty());
        prop_assert_eq!(Statement::parse(&statement.to_json()).unwrap(), statement);
    }
}
