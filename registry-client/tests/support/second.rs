//! A second registry, by others: ferro-oci-server. It has the referrers API and keeps an upload when a
//! request is cut, but does not mount and does not know ranges: all that docker-registry does not do, and
//! the other way round.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::{env, thread};

/// The version that `.ci/run` installs.
const VERSION: &str = "1.0.0";

/// A running registry. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct SecondRegistry {
    process: Child,
    /// Host and port.
    pub(crate) host: String,
}

impl SecondRegistry {
    /// Starts the one that `WHERRY_FERRO` names, or that is in the PATH or in the cache of `.ci/run`;
    /// or says loudly that there is none.
    pub(crate) fn start() -> Option<Self> {
        let Some(program) = program() else {
            let reason =
                "ferro-oci-server is not installed: .ci/run does it, or WHERRY_FERRO names it";
            let _ = writeln!(std::io::stderr(), "SKIPPED: {reason}");
            return None;
        };
        // It does not tell a port of the system's choice, and another process may take this one first.
        (0..10).find_map(|_| Self::start_at(&program, free_port()))
    }

    fn start_at(program: &PathBuf, port: u16) -> Option<Self> {
        let host = format!("127.0.0.1:{port}");
        let mut process = Command::new(program)
            .env("FERRO_OCI_LISTEN", &host)
            .env_remove("FERRO_OCI_STORAGE_DIR")
            .env("RUST_LOG", "info")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let mut log = BufReader::new(process.stdout.take().expect("piped"));
        let mut line = String::new();
        while !line.contains("listening") {
            line.clear();
            if log.read_line(&mut line).expect("readable") == 0 {
                let _ = process.wait();
                return None;
            }
        }
        // A full pipe would stop the registry.
        thread::spawn(move || log.read_to_end(&mut Vec::new()));
        Some(Self { process, host })
    }

    /// `host/name`
    pub(crate) fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.host)
    }
}

impl Drop for SecondRegistry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

fn program() -> Option<PathBuf> {
    let named = env::var_os("WHERRY_FERRO").map(PathBuf::from);
    let home = env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let caches = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or(home);
    let cache = env::var_os("WHERRY_CACHE").map(PathBuf::from);
    let cache = cache.or(caches.map(|caches| caches.join("wherry")));
    let cached = cache.map(|cache| cache.join(format!("ferro-{VERSION}/bin")));
    let path = env::var_os("PATH").unwrap_or_default();
    let installed = env::split_paths(&path).chain(cached);
    let mut installed = installed.map(|directory| directory.join("ferro-oci-server"));
    named.or_else(|| installed.find(|program| program.is_file()))
}
