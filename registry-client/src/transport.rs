//! The HTTP client underneath: time limits, proxies, and whether a registry is spoken to by
//! TLS or in plain HTTP.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::{Client, StatusCode, Url};

use crate::error::{RegistryError, innermost};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// What is no HTTP may be TLS, or a connection that broke.
const PROBES: u32 = 3;

/// The settings that every client of ours has.
pub(crate) fn client(registry: &str, idle: Duration) -> reqwest::ClientBuilder {
    let builder = Client::builder()
        .user_agent(concat!("wherry/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(idle);
    // A proxy cannot reach this machine's loopback.
    if is_loopback(registry) {
        builder.no_proxy()
    } else {
        builder
    }
}

/// Whether a registry on loopback speaks plain HTTP. A TLS server answers 400 to it. Nothing
/// secret is sent.
pub(crate) async fn answers_in_plain(registry: &str) -> Result<bool, RegistryError> {
    let http = client(registry, CONNECT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| RegistryError::Setup(innermost(&error)))?;
    for _ in 0..PROBES {
        match http.get(format!("http://{registry}/v2/")).send().await {
            Ok(response) => return Ok(response.status() != StatusCode::BAD_REQUEST),
            Err(error) if error.is_connect() => {
                return Err(RegistryError::transport(registry, error));
            }
            Err(_) => {}
        }
    }
    Ok(false)
}

/// Whether a registry is on this machine, so that its bytes cross no network.
pub(crate) fn is_loopback(registry: &str) -> bool {
    let Ok(url) = Url::parse(&format!("http://{registry}/")) else {
        return false;
    };
    let host = url.host_str().unwrap_or_default();
    let address: Option<IpAddr> = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse()
        .ok();
    host == "localhost"
        || host.ends_with(".localhost")
        || address.is_some_and(|address| address.is_loopback())
}

/// The host that serves a registry's API: Docker Hub has another one than its name says.
pub(crate) fn host_of(registry: &str) -> &str {
    if registry == "docker.io" {
        "registry-1.docker.io"
    } else {
        registry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback() {
        for registry in [
            "localhost",
            "localhost:5000",
            "127.0.0.1:1",
            "127.9.9.9",
            "[::1]:5000",
            "a.localhost:1",
        ] {
            assert!(is_loopback(registry), "{registry}");
        }
        for registry in [
            "localhost.example.org",
            "10.0.0.1:5000",
            "127.0.0.1.example.org",
            "[::2]",
            "ghcr.io",
        ] {
            assert!(!is_loopback(registry), "{registry}");
        }
    }
}
