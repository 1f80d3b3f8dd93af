//! A token server for a registry that wants Bearer tokens: alice gets what she asks for.

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{CertificateParams, DnType, KeyPair};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::{Value, json};

use super::fake::{FakeRegistry, Request, ok, response};
use super::real::{Kind, RealRegistry};

/// A registry with a token server beside it.
pub(crate) struct WithTokens {
    pub(crate) registry: RealRegistry,
    /// The scopes of every token that was given.
    pub(crate) asked: Arc<Mutex<Vec<Vec<String>>>>,
    _server: FakeRegistry,
    _directory: tempfile::TempDir,
}

impl WithTokens {
    /// Starts both. `grant` says what the token of this number allows when it was asked for this.
    pub(crate) fn start(grant: impl Fn(usize, &str) -> String + Send + 'static) -> Option<Self> {
        let directory = tempfile::tempdir().expect("a directory");
        let key = KeyPair::generate().expect("a key");
        let mut certificate = CertificateParams::new(Vec::new()).expect("no names");
        certificate
            .distinguished_name
            .push(DnType::CommonName, "test tokens");
        let certificate = certificate.self_signed(&key).expect("signed");
        let bundle = directory.path().join("tokens.pem");
        fs::write(&bundle, certificate.pem()).expect("written");
        let signer = Signer {
            certificate: STANDARD.encode(certificate.der()),
            key: key.serialize_der(),
        };
        let asked = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&asked);
        let server = FakeRegistry::start(move |request| {
            let alice = format!("Basic {}", STANDARD.encode("alice:s3cret"));
            if request.authorization.as_ref() != Some(&alice) {
                return response("401 Unauthorized", "", b"");
            }
            let scopes = scopes(request);
            let mut record = record.lock().expect("unpoisoned");
            let number = record.len();
            let granted = scopes.iter().map(|scope| grant(number, scope));
            let token = signer.token(granted);
            record.push(scopes.clone());
            ok(json!({ "token": token, "expires_in": 300 })
                .to_string()
                .as_bytes())
        });
        let more = format!(
            "auth:\n  token: {{realm: 'http://{}', service: test, issuer: tester, rootcertbundle: {}}}\n",
            server.name("token"),
            bundle.display()
        );
        let registry = RealRegistry::start_with(Kind::default(), &more)?;
        Some(Self {
            registry,
            asked,
            _server: server,
            _directory: directory,
        })
    }
}

fn scopes(request: &Request) -> Vec<String> {
    let query = request.line.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .filter(|(name, _)| *name == "scope")
        .map(|(_, value)| {
            value
                .replace("%3A", ":")
                .replace("%2F", "/")
                .replace("%2C", ",")
        })
        .collect()
}

struct Signer {
    /// In base64.
    certificate: String,
    key: Vec<u8>,
}

impl Signer {
    fn token(&self, scopes: impl Iterator<Item = String>) -> String {
        let access: Vec<Value> = scopes
            .filter_map(|scope| {
                let mut parts = scope.split(':');
                let (kind, name, actions) = (parts.next()?, parts.next()?, parts.next()?);
                let actions: Vec<_> = actions.split(',').collect();
                Some(json!({ "type": kind, "name": name, "actions": actions }))
            })
            .collect();
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or(Duration::ZERO).as_secs();
        let header = json!({ "typ": "JWT", "alg": "ES256", "x5c": [self.certificate] });
        let claims = json!({
            "iss": "tester", "sub": "alice", "aud": "test", "jti": "1",
            "iat": now, "nbf": now - 10, "exp": now + 300, "access": access,
        });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(&header), part(&claims));
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &self.key, &random);
        let signature = key.expect("a key").sign(&random, text.as_bytes());
        let signature = URL_SAFE_NO_PAD.encode(signature.expect("signed"));
        format!("{text}.{signature}")
    }
}
