//! A real registry (Debian's `docker-registry`) on a free port of loopback.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// The user of a registry with passwords: `alice`, `s3cret`.
const HTPASSWD: &str = "alice:$2y$04$yDHcyrLdvWTLtJqfzP7LV.VN46voc1PcPY4qElUs.4G87sgbaT43e\n";

/// How a registry is reached.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Kind {
    pub(crate) tls: bool,
    pub(crate) password: bool,
}

/// A running registry. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct RealRegistry {
    process: Child,
    directory: tempfile::TempDir,
    /// Host and port.
    pub(crate) host: String,
}

impl RealRegistry {
    /// Starts one, or says loudly why the test is skipped.
    pub(crate) fn start(kind: Kind) -> Option<Self> {
        Self::start_with(kind, "")
    }

    /// As [`RealRegistry::start`], with more in its configuration.
    pub(crate) fn start_with(kind: Kind, more: &str) -> Option<Self> {
        let directory = tempfile::tempdir().expect("a directory");
        let config = directory.path().join("config.yml");
        let text = configuration(directory.path(), kind) + more;
        fs::write(&config, text).expect("written");
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let mut process = match process {
            Ok(process) => process,
            Err(_) => {
                super::skipped("docker-registry is not installed");
                return None;
            }
        };
        let host = wait_until_it_listens(&mut process);
        Some(Self {
            process,
            directory,
            host: host.replace("127.0.0.1", "localhost"),
        })
    }

    /// `host/name`
    pub(crate) fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.host)
    }

    /// The file in which the registry keeps a blob.
    pub(crate) fn blob(&self, digest: &wherry_packager::Digest) -> PathBuf {
        let hex = digest.hex();
        let blobs = "data/docker/registry/v2/blobs/sha256";
        self.directory
            .path()
            .join(blobs)
            .join(&hex[..2])
            .join(hex)
            .join("data")
    }

    /// The certificate of the authority that signed a TLS registry's.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }
}

impl Drop for RealRegistry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The port is the system's choice; the registry logs it once connections are accepted.
fn wait_until_it_listens(process: &mut Child) -> String {
    let mut log = BufReader::new(process.stderr.take().expect("piped"));
    let mut seen = String::new();
    loop {
        let mut line = String::new();
        let read = log.read_line(&mut line).expect("readable");
        assert!(
            read > 0,
            "docker-registry ended before it listened:\n{seen}"
        );
        if let Some((_, rest)) = line.split_once("listening on ") {
            let end = rest.find([',', '"']).expect("the end of the address");
            let host = rest[..end].to_owned();
            // A full pipe would stop the registry.
            thread::spawn(move || log.read_to_end(&mut Vec::new()));
            return host;
        }
        seen.push_str(&line);
    }
}

fn configuration(directory: &Path, kind: Kind) -> String {
    let root = directory.display();
    let mut text = format!(
        "version: 0.1\nlog: {{level: info}}\nstorage:\n  filesystem: {{rootdirectory: {root}/data}}\nhttp:\n  addr: 127.0.0.1:0\n"
    );
    if kind.tls {
        certificates(directory);
        let _ = writeln!(
            text,
            "  tls: {{certificate: {root}/server.pem, key: {root}/server.key}}"
        );
    }
    if kind.password {
        fs::write(directory.join("htpasswd"), HTPASSWD).expect("written");
        let _ = writeln!(
            text,
            "auth:\n  htpasswd: {{realm: test, path: {root}/htpasswd}}"
        );
    }
    text
}

/// An authority of its own and a certificate for `localhost`.
fn certificates(directory: &Path) {
    let mut authority = CertificateParams::new(Vec::new()).expect("no names");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority
        .distinguished_name
        .push(DnType::CommonName, "test authority");
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().expect("a key"))
        .expect("signed");
    let key = KeyPair::generate().expect("a key");
    let server = CertificateParams::new(vec!["localhost".to_owned()])
        .expect("a name")
        .signed_by(&key, &authority)
        .expect("signed");
    for (name, text) in [
        ("ca.pem", authority.pem()),
        ("server.pem", server.pem()),
        ("server.key", key.serialize_pem()),
    ] {
        fs::write(directory.join(name), text).expect("written");
    }
}

/// Runs skopeo, or says loudly why the test is skipped.
pub(crate) fn skopeo(arguments: &[&str]) -> Option<Output> {
    match Command::new("skopeo")
        .args(["--insecure-policy"])
        .args(arguments)
        .output()
    {
        Ok(output) => {
            assert!(
                output.status.success(),
                "skopeo {arguments:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            Some(output)
        }
        Err(_) => {
            super::skipped("skopeo is not installed");
            None
        }
    }
}
