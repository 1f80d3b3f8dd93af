//! A server on loopback that answers whatever a test wants: what no real registry does.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// A request, as far as tests look at it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Method and target, e.g. `GET /v2/`.
    pub(crate) line: String,
    /// The `Authorization` header.
    pub(crate) authorization: Option<String>,
    /// The `Host` header.
    pub(crate) host: Option<String>,
}

/// A running server. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct FakeRegistry {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FakeRegistry {
    /// Starts a server that answers every request with what `answer` gives: a whole response,
    /// byte for byte. The connection is closed after it.
    pub(crate) fn start(answer: impl Fn(&Request) -> Vec<u8> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                // The client may have gone: that is its right.
                let _ = serve(connection, &answer);
            }
        });
        Self {
            address,
            stop,
            thread: Some(thread),
        }
    }

    /// `host:port/name`
    pub(crate) fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }
}

impl Drop for FakeRegistry {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(connection: TcpStream, answer: &impl Fn(&Request) -> Vec<u8>) -> std::io::Result<()> {
    let mut reader = BufReader::new(connection);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let header = |name: &str| {
        lines
            .iter()
            .filter_map(|line| line.split_once(':'))
            .find_map(|(key, value)| {
                key.eq_ignore_ascii_case(name)
                    .then(|| value.trim().to_owned())
            })
    };
    let length = header("content-length")
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    std::io::copy(&mut (&mut reader).take(length), &mut std::io::sink())?;
    let line = lines
        .first()
        .map_or("", |line| line.trim_end_matches(" HTTP/1.1"))
        .to_owned();
    let request = Request {
        line,
        authorization: header("authorization"),
        host: header("host"),
    };
    reader.into_inner().write_all(&answer(&request))
}

/// A response with `Connection: close` and the right length.
pub(crate) fn response(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut response = format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    )
    .into_bytes();
    response.extend_from_slice(body);
    response
}

/// `200 OK` with a body.
pub(crate) fn ok(body: &[u8]) -> Vec<u8> {
    response("200 OK", "", body)
}

/// `404 Not Found` as a registry says it.
pub(crate) fn not_found() -> Vec<u8> {
    response(
        "404 Not Found",
        "Content-Type: application/json\r\n",
        br#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#,
    )
}
