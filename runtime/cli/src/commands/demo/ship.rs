//! How the demo gets an artifact from one store into another.

use std::fmt;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::ensure;
use wherry_packager::{Packed, Reference, Store};
use wherry_registry_client::Registry;

use crate::transfer::Meter;
use crate::workload::read_blob;

/// Where a registry for experiments usually listens.
const USUAL: &str = "localhost:5000";
const USUAL_ADDRESS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 5000);

/// A registry on this machine that has not answered by then does not.
const PATIENCE: Duration = Duration::from_millis(300);

/// How an artifact is shipped.
pub(super) enum Way {
    /// Pushed to a registry, and pulled from there.
    Registry(String),
    /// Copied from one store into the other.
    Copy,
}

impl Way {
    /// Through the registry that was chosen, or the one that answers here, or none.
    pub(super) fn choose(chosen: Option<&str>) -> Self {
        match chosen {
            Some(registry) => Way::Registry(registry.to_owned()),
            None if answers_as_registry() => Way::Registry(USUAL.to_owned()),
            None => Way::Copy,
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Way::Registry(registry) => write!(f, "through the registry {registry}"),
            Way::Copy => f.write_str("store to store: no registry answers here"),
        }
    }
}

/// Whether whoever listens there speaks the distribution protocol, and lets everyone in.
fn answers_as_registry() -> bool {
    let ask = || {
        let mut stream = TcpStream::connect_timeout(&USUAL_ADDRESS, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        write!(stream, "GET /v2/ HTTP/1.0\r\nHost: {USUAL}\r\n\r\n")?;
        let mut answer = Vec::new();
        // A part of the answer will do.
        let _ = stream.take(4096).read_to_end(&mut answer);
        std::io::Result::Ok(String::from_utf8_lossy(&answer).to_lowercase())
    };
    ask().is_ok_and(|answer| {
        answer.starts_with("http/1.")
            && answer.contains(" 200 ")
            && answer.contains("docker-distribution-api-version: registry/2.0")
    })
}

/// Pushes from the first store, pulls into the second one.
pub(super) fn through_registry(
    client: &Registry,
    packed: &Packed,
    name: &Reference,
    (from, to): (&Store, &Store),
) -> anyhow::Result<()> {
    client.push(from, &packed.digest, name, &Meter::new(false))?;
    let pulled = client.pull(to, name, &Meter::new(false))?;
    ensure!(
        pulled == packed.digest,
        "{pulled} came back for {}",
        packed.digest
    );
    Ok(())
}

/// Copies blobs, each of which is verified on its way out and in.
pub(super) fn copy(
    packed: &Packed,
    name: &Reference,
    (from, to): (&Store, &Store),
) -> anyhow::Result<()> {
    let manifest = from.stored(&packed.digest)?;
    let ingest = to.ingest()?;
    for blob in manifest.document.children()? {
        ingest.put(&blob, &read_blob(from, &blob)?)?;
    }
    ingest.put(&manifest.descriptor, &manifest.bytes)?;
    ingest.commit(&manifest.descriptor, Some(name))?;
    Ok(())
}
