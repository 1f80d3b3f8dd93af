//! A proxy before a registry that cuts connections, holds bytes back, lets them trickle, or changes them.
//! Nothing here waits for a time: what is held goes on when the test says so.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
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
    /// After so many bytes from the registry nothing comes until [`Proxy::release`].
    pub(crate) hold_down: Option<u64>,
    /// So many bytes, in both directions, go one at a time.
    pub(crate) trickle: u64,
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
    gate: Mutex<Gate>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Gate {
    /// When so many bytes came from the client, on all connections together, no more of them go on.
    limit: Option<u64>,
    is_held: bool,
    is_released: bool,
    /// Directions of connections that have not ended.
    open: usize,
}

/// One direction of a connection.
#[derive(Clone, Copy, Debug, Default)]
struct Lane {
    cut: Option<u64>,
    flip: Option<u64>,
    stall: Option<u64>,
    hold: Option<u64>,
    is_up: bool,
    trickle: u64,
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

    /// Lets go on what is held, now and later.
    pub(crate) fn release(&self) {
        let mut gate = self.counts.gate.lock().expect("unpoisoned");
        (gate.limit, gate.is_released) = (None, true);
        self.counts.changed.notify_all();
    }

    /// Holds all that the client sends once it has sent so many bytes more, on all connections together.
    pub(crate) fn hold_up_after(&self, more: u64) {
        let mut gate = self.counts.gate.lock().expect("unpoisoned");
        (gate.limit, gate.is_held, gate.is_released) = (Some(self.up() + more), false, false);
    }

    /// Waits until all connections have ended, and what was on its way with them.
    pub(crate) fn wait_until_empty(&self) {
        let gate = self.counts.gate.lock().expect("unpoisoned");
        let empty = self.counts.changed.wait_while(gate, |gate| gate.open > 0);
        drop(empty.expect("unpoisoned"));
    }

    /// Waits until something is held.
    pub(crate) fn wait_until_held(&self) {
        let gate = self.counts.gate.lock().expect("unpoisoned");
        let held = self.counts.changed.wait_while(gate, |gate| !gate.is_held);
        drop(held.expect("unpoisoned"));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.release();
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Counts {
    fn ended(&self) {
        self.gate.lock().expect("unpoisoned").open -= 1;
        self.changed.notify_all();
    }

    /// Holds the caller, if that is how it is, until all are released.
    fn pass(&self, lane: Lane, copied: u64, all: u64) {
        let mut gate = self.gate.lock().expect("unpoisoned");
        let is_over = lane.is_up && gate.limit.is_some_and(|limit| all >= limit);
        if !is_over && lane.hold.is_none_or(|hold| copied < hold) {
            return;
        }
        gate.is_held = true;
        self.changed.notify_all();
        let released = self.changed.wait_while(gate, |gate| !gate.is_released);
        drop(released.expect("unpoisoned"));
    }
}

fn connect(client: TcpStream, server: TcpStream, fate: Fate, counts: &Arc<Counts>) {
    let mut open = counts.open.lock().expect("unpoisoned");
    open.extend([&client, &server].map(|stream| stream.try_clone().expect("a handle")));
    drop(open);
    for stream in [&client, &server] {
        stream.set_nodelay(true).expect("a connection");
    }
    let pair = || {
        (
            client.try_clone().expect("a handle"),
            server.try_clone().expect("a handle"),
        )
    };
    let ((up_from, up_to), (down_to, down_from)) = (pair(), pair());
    let up = Lane {
        cut: fate.cut_up,
        is_up: true,
        trickle: fate.trickle,
        ..Lane::default()
    };
    let down = Lane {
        cut: fate.cut_down,
        flip: fate.flip_down,
        stall: fate.stall_down,
        hold: fate.hold_down,
        trickle: fate.trickle,
        ..Lane::default()
    };
    counts.gate.lock().expect("unpoisoned").open += 2;
    let (above, below) = (Arc::clone(counts), Arc::clone(counts));
    thread::spawn(move || {
        copy(up_from, up_to, up, &above, &above.up);
        above.ended();
    });
    thread::spawn(move || {
        copy(down_from, down_to, down, &below, &below.down);
        below.ended();
    });
}

/// Copies one direction; both end when it does.
fn copy(mut from: TcpStream, mut to: TcpStream, lane: Lane, counts: &Counts, count: &AtomicU64) {
    let mut buffer = vec![0; 64 << 10];
    let mut copied = 0;
    let end = lane.cut.or(lane.stall).unwrap_or(u64::MAX);
    while copied < end {
        let at_once = match copied < lane.trickle {
            true => 1,
            false => buffer.len() as u64,
        };
        let wanted = usize::try_from((end - copied).min(at_once)).expect("small");
        let Ok(read @ 1..) = from.read(&mut buffer[..wanted]) else {
            break;
        };
        if let Some(place) = lane.flip
            && (copied..copied + read as u64).contains(&place)
        {
            buffer[usize::try_from(place - copied).expect("small")] ^= 1;
        }
        copied += read as u64;
        let all = count.fetch_add(read as u64, Ordering::SeqCst) + read as u64;
        counts.pass(lane, copied, all);
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    if copied < end || lane.stall.is_none() {
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}
