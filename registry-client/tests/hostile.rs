//! Registries that break the protocol, lie, or break off. None of it may reach the store, and
//! none of it may make us panic.

mod support;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use support::fake::{FakeRegistry, Request, not_found, ok, response};
use support::{assert_untouched, client, module, options, packed, reference, store};
use wherry_packager::{Digest, Store};
use wherry_registry_client::{Options, Quiet, Registry, RegistryError};

/// The blobs of an artifact, served by path.
struct Served {
    _directory: tempfile::TempDir,
    store: Store,
    digest: Digest,
}

impl Served {
    fn new() -> Self {
        let (directory, store) = store();
        let digest = packed(&store, 5000, "a:1").digest;
        Self {
            _directory: directory,
            store,
            digest,
        }
    }

    fn layer() -> Digest {
        Digest::of(&module(5000))
    }

    fn answer(&self, request: &Request) -> Vec<u8> {
        let target = request.line.trim_start_matches("GET ");
        match target {
            "/v2/" => ok(b"{}"),
            "/v2/a/manifests/1" => ok(&self.store.stored(&self.digest).expect("stored").bytes),
            _ => match target.strip_prefix("/v2/a/blobs/sha256:") {
                Some(hex) => ok(&std::fs::read(
                    self.store.directory().join("blobs/sha256").join(hex),
                )
                .expect("a blob")),
                None => not_found(),
            },
        }
    }
}

fn pull(
    registry: &FakeRegistry,
    name: &str,
) -> (tempfile::TempDir, Store, Result<Digest, RegistryError>) {
    let (directory, store) = store();
    let result = client(directory.path()).pull(&store, &reference(&registry.name(name)), &Quiet);
    (directory, store, result)
}

/// Pulls `a:1` from a registry that serves it rightly but for what `twist` gives.
#[track_caller]
fn twisted(twist: impl Fn(&Request) -> Option<Vec<u8>> + Send + 'static) -> RegistryError {
    let served = Served::new();
    let registry = FakeRegistry::start(move |request| {
        twist(request).unwrap_or_else(|| served.answer(request))
    });
    let (_directory, store, result) = pull(&registry, "a:1");
    let error = result.expect_err("refused");
    assert_eq!(store.images().expect("readable"), [], "{error}");
    error
}

fn when(part: String, answer: Vec<u8>) -> impl Fn(&Request) -> Option<Vec<u8>> + Send + 'static {
    move |request| request.line.contains(&part).then(|| answer.clone())
}

#[test]
fn an_honest_fake_is_pulled_from() {
    let served = Served::new();
    let digest = served.digest;
    let registry = FakeRegistry::start(move |request| served.answer(request));
    let (_directory, store, result) = pull(&registry, "a:1");
    assert_eq!(result.unwrap(), digest);
    assert_eq!(store.workload(&digest.hex()).unwrap().module, module(5000));
}

#[test]
fn a_download_that_breaks_off() {
    let mut half = ok(&module(5000));
    half.truncate(half.len() - 1000);
    let error = twisted(when(Served::layer().hex(), half));
    let RegistryError::Interrupted {
        blob, done, size, ..
    } = error
    else {
        panic!("{error}")
    };
    assert_eq!(blob, Served::layer());
    assert_eq!(
        (done, size),
        (module(5000).len() as u64 - 1000, module(5000).len() as u64)
    );
}

#[test]
fn a_blob_that_is_longer_shorter_or_another() {
    let length = module(5000).len();
    let error = twisted(when(Served::layer().hex(), ok(&module(4999))));
    assert!(
        matches!(error, RegistryError::WrongLength { .. }),
        "{error}"
    );
    let endless = [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".as_slice(),
        &vec![b'x'; 1 << 20],
    ]
    .concat();
    let error = twisted(when(Served::layer().hex(), endless));
    assert!(
        matches!(error, RegistryError::WrongLength { .. }),
        "{error}"
    );
    let error = twisted(when(Served::layer().hex(), ok(&vec![b'x'; length])));
    assert!(
        matches!(error, RegistryError::WrongDigest { expected, .. } if expected == Served::layer()),
        "{error}"
    );
}

#[test]
fn a_web_page_is_no_registry() {
    let page = response(
        "200 OK",
        "Content-Type: text/html; charset=utf-8\r\n",
        b"<!DOCTYPE html><p>Log in",
    );
    for answer in [
        page,
        ok(b"\n <html>"),
        response("404 Not Found", "Content-Type: text/html\r\n", b"<html>"),
    ] {
        let error = twisted(when("/manifests/".to_owned(), answer));
        assert!(
            matches!(error, RegistryError::Protocol { .. }) && error.to_string().contains("HTML"),
            "{error}"
        );
    }
}

#[test]
fn a_manifest_that_is_none() {
    for body in [
        b"".to_vec(),
        b"{}".to_vec(),
        b"[[[".to_vec(),
        b"\xff\xfe".to_vec(),
        b"[".repeat(1 << 20),
    ] {
        let error = twisted(when("/manifests/".to_owned(), ok(&body)));
        assert!(matches!(error, RegistryError::Artifact { .. }), "{error}");
    }
    let error = twisted(when("/manifests/".to_owned(), ok(&vec![b' '; 5 << 20])));
    assert!(
        error.to_string().contains("more than 4194304 bytes"),
        "{error}"
    );
}

#[test]
fn a_manifest_with_another_digest_than_was_asked_for() {
    let served = Served::new();
    let registry = FakeRegistry::start(move |request| {
        if request.line.contains("/manifests/") {
            return ok(&served.store.stored(&served.digest).expect("stored").bytes);
        }
        served.answer(request)
    });
    let asked = Digest::of(b"something else");
    let (_directory, store, result) = pull(&registry, &format!("a@{asked}"));
    let error = result.unwrap_err();
    assert!(
        matches!(error, RegistryError::WrongDigest { expected, .. } if expected == asked),
        "{error}"
    );
    assert_untouched(&store);
}

#[test]
fn a_refusal_is_quoted() {
    let body = br#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}"#;
    let error = twisted(when(
        "/manifests/".to_owned(),
        response("429 Too Many Requests", "", body),
    ));
    assert!(
        matches!(error, RegistryError::Refused { status: 429, .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("TOOMANYREQUESTS slow down"),
        "{error}"
    );
    let error = twisted(when(
        "/manifests/".to_owned(),
        b"not HTTP at all\r\n\r\n".to_vec(),
    ));
    assert!(
        matches!(error, RegistryError::Unreachable { .. }),
        "{error}"
    );
}

/// A registry with a token server beside it, which gives `token` to alice.
fn with_tokens(token: &'static str) -> FakeRegistry {
    let served = Served::new();
    let alice = format!("Basic {}", STANDARD.encode("alice:s3cret"));
    FakeRegistry::start(move |request| {
        if let Some(query) = request.line.strip_prefix("GET /token?") {
            let rightly_asked =
                query.contains("service=fake") && request.authorization.as_ref() == Some(&alice);
            let answer = serde_json::json!({ "token": token }).to_string();
            return if rightly_asked {
                ok(answer.as_bytes())
            } else {
                response("401 Unauthorized", "", b"")
            };
        }
        if request.authorization.as_deref() == Some(&format!("Bearer {token}")) {
            return served.answer(request);
        }
        // The realm is on the host that is asked, whatever its port is.
        let host = request.host.as_deref().unwrap_or_default();
        let challenge =
            format!("WWW-Authenticate: Bearer realm=\"http://{host}/token\",service=\"fake\"\r\n");
        response("401 Unauthorized", &challenge, b"")
    })
}

fn host(registry: &FakeRegistry) -> String {
    registry.name("").trim_end_matches('/').to_owned()
}

#[test]
fn tokens() {
    let registry = with_tokens("t0ken");
    let (directory, store) = store();
    let client = client(directory.path());
    let name = reference(&registry.name("a:1"));
    assert!(matches!(
        client.pull(&store, &name, &Quiet),
        Err(RegistryError::Unauthorized { .. })
    ));
    let error = client
        .login(&host(&registry), "alice", "wr0ng")
        .unwrap_err();
    assert!(
        matches!(error, RegistryError::Unauthorized { .. }),
        "{error}"
    );
    client.login(&host(&registry), "alice", "s3cret").unwrap();
    client.pull(&store, &name, &Quiet).unwrap();
}

#[test]
fn a_token_that_cannot_be_a_header_is_refused_and_not_shown() {
    let registry = with_tokens("t0ken\r\nX-Evil: 1");
    let (directory, _store) = store();
    let error = client(directory.path())
        .login(&host(&registry), "alice", "s3cret")
        .unwrap_err();
    assert!(matches!(error, RegistryError::Protocol { .. }), "{error}");
    let shown = format!("{error} {error:?}");
    assert!(
        !shown.contains("t0ken") && !shown.contains("s3cret"),
        "{shown}"
    );
}

#[test]
fn challenges_that_make_no_sense() {
    for challenge in [
        "",
        "WWW-Authenticate: Digest x=y\r\n",
        "WWW-Authenticate: Bearer\r\n",
        "WWW-Authenticate: Bearer realm=\"\\\r\n",
        "WWW-Authenticate: ,,,=\r\n",
    ] {
        let answer = response("401 Unauthorized", challenge, b"");
        let error = twisted(when("/manifests/".to_owned(), answer));
        assert!(
            matches!(error, RegistryError::Protocol { .. }),
            "{challenge}: {error}"
        );
    }
}

#[test]
fn an_upload_to_nowhere() {
    let registry = FakeRegistry::start(|request| match request.line.split(' ').next() {
        Some("POST") => response("202 Accepted", "", b""),
        Some("HEAD") => b"HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n".to_vec(),
        _ => ok(b"{}"),
    });
    let (directory, store) = store();
    let digest = packed(&store, 1, "a:1").digest;
    let error = client(directory.path())
        .push(&store, &digest, &reference(&registry.name("a:1")), &Quiet)
        .unwrap_err();
    assert!(error.to_string().contains("where to upload"), "{error}");
}

#[test]
fn credentials_do_not_follow_to_another_host() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (served, record) = (Served::new(), Arc::clone(&seen));
    let elsewhere = FakeRegistry::start(move |request| {
        record.lock().expect("unpoisoned").push(request.clone());
        match request.line.split(' ').next() {
            Some("PATCH") => response("202 Accepted", "Location: /upload?c=d\r\n", b""),
            Some("PUT") => response("201 Created", "", b""),
            _ => served.answer(request),
        }
    });
    let (served, other) = (Served::new(), host(&elsewhere));
    let digest = served.digest;
    let registry = FakeRegistry::start(move |request| {
        if request.authorization.is_none() {
            return response(
                "401 Unauthorized",
                "WWW-Authenticate: Basic realm=\"x\"\r\n",
                b"",
            );
        }
        let (method, target) = request.line.split_once(' ').expect("a request line");
        match method {
            "HEAD" => b"HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n".to_vec(),
            "POST" => response(
                "202 Accepted",
                &format!("Location: http://{other}/upload?a=b\r\n"),
                b"",
            ),
            "PUT" => response("201 Created", "", b""),
            _ if target.contains("/blobs/") => response(
                "307 Temporary Redirect",
                &format!("Location: http://{other}{target}\r\n"),
                b"",
            ),
            _ => served.answer(request),
        }
    });
    let (directory, store) = store();
    let client = client(directory.path());
    client.login(&host(&registry), "alice", "s3cret").unwrap();
    let name = reference(&registry.name("a:1"));
    assert_eq!(client.pull(&store, &name, &Quiet).unwrap(), digest);
    client.push(&store, &digest, &name, &Quiet).unwrap();
    let seen = seen.lock().unwrap();
    let methods: BTreeSet<_> = seen
        .iter()
        .filter_map(|request| request.line.split(' ').next())
        .collect();
    assert_eq!(methods, BTreeSet::from(["GET", "PATCH", "PUT"]));
    assert!(
        seen.iter().all(|request| request.authorization.is_none()),
        "{seen:?}"
    );
}

#[test]
fn a_reference_without_a_registry_and_a_bad_ca_file() {
    let (directory, store) = store();
    let client = client(directory.path());
    assert!(matches!(
        client.pull(&store, &reference("a:1"), &Quiet),
        Err(RegistryError::NoRegistry(_))
    ));
    assert!(matches!(
        client.login("not a host", "a", "b"),
        Err(RegistryError::Reference(_))
    ));
    let file = directory.path().join("ca.pem");
    for text in [
        "",
        "no PEM",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        std::fs::write(&file, text).unwrap();
        let opened = Registry::new(Options {
            ca_file: Some(file.clone()),
            ..options(directory.path())
        });
        let refused = match opened {
            Err(error) => matches!(error, RegistryError::CaFile { .. }),
            // A certificate that does not parse is found when the client is built.
            Ok(client) => client
                .pull(&store, &reference("localhost:9/a:1"), &Quiet)
                .is_err(),
        };
        assert!(refused, "{text:?}");
    }
}
