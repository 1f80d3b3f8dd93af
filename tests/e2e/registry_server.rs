//! A real registry (Debian's `docker-registry`) on a free port of loopback.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use wherry_tests::say_skipped;

/// The user `alice` and her password, as `htpasswd -B` writes it.
const HTPASSWD: &str = "alice:$2y$04$yDHcyrLdvWTLtJqfzP7LV.VN46voc1PcPY4qElUs.4G87sgbaT43e\n";
pub(crate) const USER: &str = "alice";
pub(crate) const PASSWORD: &str = "s3cret";

/// A running registry. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct RegistryServer {
    process: Child,
    directory: tempfile::TempDir,
    /// Host and port.
    pub(crate) host: String,
}

impl RegistryServer {
    /// One that everybody may use; or says loudly that there is none.
    pub(crate) fn plain() -> Option<Self> {
        let directory = tempfile::tempdir().expect("a directory");
        Self::start(directory, "", "")
    }

    /// One behind TLS that asks for a password; or says loudly that there is none.
    pub(crate) fn guarded() -> Option<Self> {
        let directory = tempfile::tempdir().expect("a directory");
        let root = directory.path().display().to_string();
        certificates(directory.path());
        fs::write(directory.path().join("htpasswd"), HTPASSWD).expect("written");
        let tls = format!("  tls: {{certificate: {root}/server.pem, key: {root}/server.key}}\n");
        let auth = format!("auth: {{htpasswd: {{realm: test, path: {root}/htpasswd}}}}\n");
        Self::start(directory, &tls, &auth)
    }

    fn start(directory: tempfile::TempDir, tls: &str, auth: &str) -> Option<Self> {
        let config = directory.path().join("config.yml");
        let data = directory.path().join("data");
        let text = format!(
            "version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n\
             http:\n  addr: 127.0.0.1:0\n{tls}{auth}",
            data.display()
        );
        fs::write(&config, text).expect("written");
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&config);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let Ok(mut process) = command.stderr(Stdio::piped()).spawn() else {
            say_skipped("docker-registry is not installed");
            return None;
        };
        let port = wait_until_it_listens(&mut process);
        Some(Self {
            process,
            directory,
            host: format!("localhost:{port}"),
        })
    }

    /// The certificate of the authority that signed a guarded registry's.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }
}

impl Drop for RegistryServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The port is the system's choice; the registry logs it once it accepts connections.
fn wait_until_it_listens(process: &mut Child) -> String {
    let mut log = BufReader::new(process.stderr.take().expect("piped"));
    let mut seen = String::new();
    loop {
        let start = seen.len();
        let read = log.read_line(&mut seen).expect("readable");
        assert!(read > 0, "docker-registry ended:\n{seen}");
        let Some((_, rest)) = seen[start..].split_once("listening on 127.0.0.1:") else {
            continue;
        };
        let port = rest.split(|c: char| !c.is_ascii_digit()).next();
        let port = port.unwrap_or_default().to_owned();
        // A full pipe would stop the registry.
        std::thread::spawn(move || log.read_to_end(&mut Vec::new()));
        return port;
    }
}

/// An authority of its own and a certificate for `localhost`.
fn certificates(directory: &Path) {
    let mut authority = CertificateParams::new(Vec::new()).expect("no names");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let authority = CertifiedIssuer::self_signed(authority, key).expect("signed");
    let key = KeyPair::generate().expect("a key");
    let server = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let server = server.signed_by(&key, &authority).expect("signed");
    for (name, text) in [
        ("ca.pem", authority.pem()),
        ("server.pem", server.pem()),
        ("server.key", key.serialize_pem()),
    ] {
        fs::write(directory.join(name), text).expect("written");
    }
}
