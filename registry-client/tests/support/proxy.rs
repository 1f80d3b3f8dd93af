//! A proxy before a registry that cuts connections, holds bytes back, or changes them.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// What happens to a connection: counted are the bytes in one direction.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fate {
    /// Cut when so many bytes came from the client.
    pub(crate) cut_up: Option<u64>,
    /// Cut when so many bytes came from the registry.
    pub(crate) cut_down: Option<u64>,
    /// One bit of the byte at this place of what the registry sends is changed.
    pub(crate) flip_down: Option<u64>,
    /// After so many bytes from the registry nothing comes any more, but the connection stays.
    pub(crate) stall_down: Option<u64>,
}

/// A running proxy. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    counts: Arc<Counts>,
    thread: Option<JoinHandle<()>>,
}

/// Bytes that went through.
#[derive(Debug, Default)]
struct Counts {
    up: AtomicU64,
    down: AtomicU64,
    connections: AtomicU64,
    open: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// Starts one before `registry` (`localhost:port`); `fate` decides about each connection, by
    /// its number from 0.
    pub(crate) fn start(registry: &str, fate: impl Fn(u64) -> Fate + Send + 'static) -> Self {
        let target = registry.replace("localhost", "127.0.0.1");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let stop = Arc::new(AtomicBool::new(false));
        let counts = Arc::new(Counts::default());
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&counts));
        let thread = thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                let number = counted.connections.fetch_add(1, Ordering::SeqCst);
                let Ok(server) = TcpStream::connect(&target) else {
                    continue;
                };
                connect(client, server, fate(number), &counted);
            }
            for open in counted.open.lock().expect("unpoisoned").drain(..) {
                let _ = open.shutdown(Shutdown::Both);
            }
        });
        Self {
            address,
            stop,
            counts,
            thread: Some(thread),
        }
    }

    /// `host:port/name`
    pub(crate) fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    /// How many bytes came from the client so far.
    pub(crate) fn up(&self) -> u64 {
        self.counts.up.load(Ordering::SeqCst)
    }

    /// How many bytes came from the registry so far.
    pub(crate) fn down(&self) -> u64 {
        self.counts.down.load(Ordering::SeqCst)
    }

    pub(crate) fn connections(&self) -> u64 {
        self.counts.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn connect(client: TcpStream, server: TcpStream, fate: Fate, counts: &Arc<Counts>) {
    let mut open = counts.open.lock().expect("unpoisoned");
    open.extend([&client, &server].map(|stream| stream.try_clone().expect("a handle")));
    drop(open);
    let pair = || {
        (
            client.try_clone().expect("a handle"),
            server.try_clone().expect("a handle"),
        )
    };
    let ((up_from, up_to), (down_to, down_from)) = (pair(), pair());
    let (up, down) = (Arc::clone(counts), Arc::clone(counts));
    thread::spawn(move || {
        let fate = Fate {
            cut_down: fate.cut_up,
            flip_down: None,
            stall_down: None,
            ..fate
        };
        copy(up_from, up_to, fate, &up.up);
    });
    thread::spawn(move || copy(down_from, down_to, fate, &down.down));
}

/// Copies one direction; both end when it does.
fn copy(mut from: TcpStream, mut to: TcpStream, fate: Fate, count: &AtomicU64) {
    let mut buffer = vec![0; 64 << 10];
    let mut copied = 0;
    let end = fate.cut_down.or(fate.stall_down).unwrap_or(u64::MAX);
    while copied < end {
        let wanted = usize::try_from((end - copied).min(buffer.len() as u64)).expect("small");
        let Ok(read @ 1..) = from.read(&mut buffer[..wanted]) else {
            break;
        };
        if let Some(place) = fate.flip_down
            && (copied..copied + read as u64).contains(&place)
        {
            buffer[usize::try_from(place - copied).expect("small")] ^= 1;
        }
        copied += read as u64;
        count.fetch_add(read as u64, Ordering::SeqCst);
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    if copied < end || fate.stall_down.is_none() {
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}
