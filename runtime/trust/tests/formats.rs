//! What other tools made is read, and what is made here is what it always was.

use serde_json::json;
use wherry_trust::{
    Algorithm, Bundle, KeyError, PublicKey, Sha256, SigningKey, SimpleSignature, Statement,
    TrustedKey, TrustedKeys, names,
};
use zeroize::Zeroizing;

const SUBJECT: &str = "5730775324f5ae1f598b6a713ae3187ab0bc05779964ee68731a935e575775f5";

fn golden(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn subject() -> Sha256 {
    let mut digest = [0; 32];
    for (byte, at) in digest.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(&SUBJECT[at..at + 2], 16).unwrap();
    }
    digest
}

fn trusting(file: &str) -> TrustedKeys {
    let key = PublicKey::from_pem(&golden(file)).unwrap();
    let name = file.to_owned();
    TrustedKeys::new(vec![TrustedKey { name, key }])
}

fn password(text: &'static str) -> impl FnOnce() -> Result<Zeroizing<Vec<u8>>, KeyError> {
    move || Ok(Zeroizing::new(text.as_bytes().to_vec()))
}

fn no_password() -> Result<Zeroizing<Vec<u8>>, KeyError> {
    panic!("the key is not encrypted")
}

#[test]
fn signatures_of_cosign_3() {
    let keys = trusting("cosign.pub");
    let bundle = Bundle::parse(&golden("cosign-sign.json")).unwrap();
    assert_eq!(
        bundle.hint(),
        keys.iter().next().unwrap().key.id().to_string()
    );
    let verified = keys.verify_signature(&bundle, &subject()).unwrap();
    assert_eq!(verified.key.name, "cosign.pub");
    assert_eq!(verified.statement, Statement::signature(subject()));
}

#[test]
fn attestations_of_cosign_3() {
    let keys = trusting("cosign.pub");
    let bundle = Bundle::parse(&golden("cosign-attest.json")).unwrap();
    let verified = keys
        .verify_attestation(&bundle, &subject(), names::CYCLONEDX_PREDICATE)
        .unwrap();
    assert_eq!(verified.statement.predicate, json!({}));
    let error = keys.verify_signature(&bundle, &subject()).unwrap_err();
    let expected =
        "did not sign `https://sigstore.dev/cosign/sign/v1` of it, but `https://cyclonedx.org/bom`";
    assert!(error.to_string().ends_with(expected), "{error}");
}

#[test]
fn signatures_of_bytes() {
    let keys = trusting("cosign.pub");
    let bundle = Bundle::parse(&golden("cosign-blob.json")).unwrap();
    assert_eq!(
        keys.verify_message(&bundle, b"hello").unwrap().name,
        "cosign.pub"
    );
    assert!(keys.verify_message(&bundle, b"hullo").is_err());
    assert!(keys.verify_signature(&bundle, &subject()).is_err());
    // Made here, it is the same but for the random part of the signature.
    let key = SigningKey::from_pem(&golden("cosign.key"), password("pw")).unwrap();
    let own = Bundle::sign_message(&key, b"hello").unwrap();
    let shape = |json: Vec<u8>| {
        let mut value: serde_json::Value = serde_json::from_slice(&json).unwrap();
        value["messageSignature"]["signature"].take();
        value
    };
    assert_eq!(shape(own.to_json()), shape(golden("cosign-blob.json")));
    keys.verify_message(&own, b"hello").unwrap();
}

#[test]
fn signatures_before_cosign_3() {
    let manifest: serde_json::Value =
        serde_json::from_slice(&golden("cosign-simple.manifest.json")).unwrap();
    let annotation = manifest["layers"][0]["annotations"][names::SIMPLE_SIGNATURE]
        .as_str()
        .unwrap();
    let signature = SimpleSignature::new(golden("cosign-simple.payload.json"), annotation).unwrap();
    let keys = trusting("cosign.pub");
    keys.verify_simple(&signature, &subject()).unwrap();
    let error = keys.verify_simple(&signature, &[7; 32]).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("signed something else: sha256:5730"),
        "{error}"
    );
    let error = trusting("openssl-p256.pub")
        .verify_simple(&signature, &subject())
        .unwrap_err();
    assert!(
        error.to_string().contains("not made by a trusted key"),
        "{error}"
    );
}

#[test]
fn signatures_of_sigstore_js() {
    for (bundle, key) in [
        ("sigstore-js.json", "openssl-p256.pub"),
        ("sigstore-js-ed25519.json", "openssl-ed25519.pub"),
    ] {
        let bundle = Bundle::parse(&golden(bundle)).unwrap();
        trusting(key).verify_signature(&bundle, &subject()).unwrap();
    }
}

#[test]
fn a_bundle_made_here_has_the_same_bytes_every_time() {
    let key = SigningKey::from_pem(&golden("openssl-ed25519.pem"), no_password).unwrap();
    let bundle = Bundle::sign(&key, &Statement::signature(subject())).unwrap();
    let text = String::from_utf8(bundle.to_json()).unwrap();
    assert_eq!(
        text,
        String::from_utf8(golden("wherry.json")).unwrap().trim_end()
    );
    assert_eq!(Bundle::parse(text.as_bytes()).unwrap(), bundle);
    trusting("openssl-ed25519.pub")
        .verify_signature(&bundle, &subject())
        .unwrap();
}

#[test]
fn keys_of_openssl() {
    for (name, algorithm) in [
        ("openssl-p256", Algorithm::EcdsaP256),
        ("openssl-ed25519", Algorithm::Ed25519),
    ] {
        let key = SigningKey::from_pem(&golden(&format!("{name}.pem")), no_password).unwrap();
        let public = PublicKey::from_pem(&golden(&format!("{name}.pub"))).unwrap();
        assert_eq!(key.public(), public);
        assert_eq!(public.algorithm(), algorithm);
        assert_eq!(public.to_pem().as_bytes(), golden(&format!("{name}.pub")));
        assert_eq!(key.to_pem().as_bytes(), golden(&format!("{name}.pem")));
        assert!(public.verifies(b"message", &key.sign(b"message").unwrap()));
        assert!(!public.verifies(b"massage", &key.sign(b"message").unwrap()));
    }
}

#[test]
fn encrypted_keys() {
    let public = PublicKey::from_pem(&golden("cosign.pub")).unwrap();
    let key = SigningKey::from_pem(&golden("cosign.key"), password("pw")).unwrap();
    assert_eq!(key.public(), public);
    let wrong = SigningKey::from_pem(&golden("cosign.key"), password("PW"));
    assert_eq!(wrong.unwrap_err(), KeyError::Password);
    for algorithm in [Algorithm::EcdsaP256, Algorithm::Ed25519] {
        let key = SigningKey::generate(algorithm).unwrap();
        let pem = key.to_encrypted_pem(b"").unwrap();
        let read = SigningKey::from_pem(pem.as_bytes(), password("")).unwrap();
        assert_eq!(read.public(), key.public());
    }
}

#[test]
fn statements_are_the_same_bytes_whatever_the_order() {
    let predicate = json!({ "b": { "z": 1, "a": [] }, "a": 2 });
    let statement = Statement::about([1; 32], "https://example.org/v1", predicate);
    let digest = "01".repeat(32);
    let expected = format!(
        r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"digest":{{"sha256":"{digest}"}}}}],"predicateType":"https://example.org/v1","predicate":{{"a":2,"b":{{"a":[],"z":1}}}}}}"#
    );
    assert_eq!(String::from_utf8(statement.to_json()).unwrap(), expected);
    assert_eq!(Statement::parse(expected.as_bytes()).unwrap(), statement);
}
