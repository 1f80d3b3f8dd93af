//! `poll_oneoff`.

use rustix::event::{PollFd, PollFlags, Timespec};
use serde::{Deserialize, Serialize};

use crate::memory::GuestMemory;
use crate::stream::poll_until;
use crate::table::{Descriptor, Object};
use crate::types::{Filetype, Rights};
use crate::{Errno, Fault, Wasi};

const SUBSCRIPTION_SIZE: u32 = 48;
const EVENT_SIZE: u32 = 32;

/// More subscriptions in one call are refused: each costs the host some memory.
const MAX_SUBSCRIPTIONS: u32 = 1 << 16;

/// A wait that was interrupted. The same call, made again, goes on with it, so that a
/// relative timeout does not start anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingPoll {
    /// The subscriptions, byte for byte.
    subscriptions: Vec<u8>,
    /// When the wait began, in nanoseconds of the job's monotonic clock.
    started: u64,
}

/// What a subscription waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trigger {
    /// A time in nanoseconds of the job's monotonic clock.
    Monotonic(u64),
    /// Nanoseconds since 1970.
    Realtime(u64),
    /// A descriptor that can be used without blocking.
    Ready(u32, Direction),
    /// A clock that cannot be waited for.
    Never(Errno),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Read,
    Write,
}

impl Direction {
    fn flags(self) -> PollFlags {
        match self {
            Self::Read => PollFlags::IN,
            Self::Write => PollFlags::OUT,
        }
    }

    fn rights(self) -> Rights {
        match self {
            Self::Read => Rights::FD_READ.or(Rights::POLL_FD_READWRITE),
            Self::Write => Rights::FD_WRITE.or(Rights::POLL_FD_READWRITE),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Subscription {
    userdata: u64,
    trigger: Trigger,
}

/// The `event` record.
#[derive(Clone, Copy, Debug)]
struct Event {
    userdata: u64,
    error: Option<Errno>,
    kind: u8,
    nbytes: u64,
    hangup: bool,
}

/// Waiting.
impl Wasi {
    /// Waits until one of several things happens, and says which did.
    ///
    /// # Errors
    /// `inval` without subscriptions, with too many, or with one of unknown type; `fault`.
    pub fn poll_oneoff(
        &mut self,
        memory: &mut [u8],
        subscriptions: u32,
        events: u32,
        count: u32,
        result: u32,
    ) -> Result<(), Fault> {
        let pending = self.pending_poll.take();
        self.clocks.tick();
        if count == 0 || count > MAX_SUBSCRIPTIONS {
            return Err(Errno::Inval.into());
        }
        let bytes = memory.bytes(subscriptions, count * SUBSCRIPTION_SIZE)?;
        memory.range(events, count * EVENT_SIZE)?;
        memory.range(result, 4)?;
        let started = match pending {
            Some(pending) if pending.subscriptions == bytes => pending.started,
            _ => self.clocks.monotonic(),
        };
        let wanted = decode(bytes, started)?;
        self.pass_time(&wanted);
        let happened = match self.wait_for(&wanted) {
            Err(Fault::Interrupted) => {
                let subscriptions = bytes.to_owned();
                self.pending_poll = Some(PendingPoll {
                    subscriptions,
                    started,
                });
                return Err(Fault::Interrupted);
            }
            other => other?,
        };
        let mut address = events;
        for event in &happened {
            memory.put(address, &event.encode())?;
            address = address.saturating_add(EVENT_SIZE);
        }
        let happened = u32::try_from(happened.len()).map_err(|_| Errno::Overflow)?;
        Ok(memory.put_u32(result, happened)?)
    }

    /// The clocks of a deterministic job move to the first timer, unless something else comes
    /// first.
    fn pass_time(&mut self, wanted: &[Subscription]) {
        let ready = |wanted: &Subscription| matches!(self.classify(wanted), Class::Now(_));
        if !wanted.iter().any(ready) {
            let left = self.time_left(wanted).unwrap_or(0);
            self.clocks.pass(left);
        }
    }

    fn wait_for(&self, wanted: &[Subscription]) -> Result<Vec<Event>, Fault> {
        let mut streams: Vec<(usize, PollFd<'_>)> = Vec::new();
        let mut ready: Vec<(usize, Event)> = Vec::new();
        for (index, subscription) in wanted.iter().enumerate() {
            match self.classify(subscription) {
                Class::Now(event) => ready.push((index, event)),
                Class::Stream(fd) => streams.push((index, fd)),
                Class::Timer => {}
            }
        }
        let interrupt = PollFd::from_borrowed_fd(self.interrupt.descriptor(), PollFlags::IN);
        let mut fds: Vec<PollFd<'_>> = streams.iter().map(|(_, fd)| fd.clone()).collect();
        fds.push(interrupt);
        loop {
            let timeout = if ready.is_empty() {
                self.time_left(wanted)
            } else {
                Some(0)
            };
            poll_until(&mut fds, timeout.map(timespec).as_ref())?;
            for ((index, _), fd) in streams.iter().zip(&fds) {
                ready.extend(self.stream_event(wanted, *index, fd.revents()));
            }
            ready.extend(self.timers(wanted));
            if !ready.is_empty() {
                ready.sort_by_key(|(index, _)| *index);
                return Ok(ready.into_iter().map(|(_, event)| event).collect());
            }
            if fds.last().is_some_and(|fd| !fd.revents().is_empty()) {
                return Err(Fault::Interrupted);
            }
        }
    }

    fn classify(&self, subscription: &Subscription) -> Class<'_> {
        let now = |event| Class::Now(event);
        let (fd, direction) = match subscription.trigger {
            Trigger::Monotonic(_) | Trigger::Realtime(_) => return Class::Timer,
            Trigger::Never(errno) => return now(subscription.failed(errno)),
            Trigger::Ready(fd, direction) => (fd, direction),
        };
        let descriptor = match self.table.with(fd, direction.rights()) {
            Ok(descriptor) => descriptor,
            Err(errno) => return now(subscription.failed(errno)),
        };
        match descriptor.stream() {
            Some(stream) => Class::Stream(PollFd::from_borrowed_fd(stream, direction.flags())),
            None if descriptor.filetype == Filetype::Directory => {
                now(subscription.failed(Errno::Badf))
            }
            None => now(subscription.event(available(descriptor, direction), false)),
        }
    }

    fn stream_event(
        &self,
        wanted: &[Subscription],
        index: usize,
        happened: PollFlags,
    ) -> Option<(usize, Event)> {
        let subscription = wanted.get(index)?;
        let Trigger::Ready(fd, direction) = subscription.trigger else {
            return None;
        };
        if happened.is_empty() {
            return None;
        }
        let descriptor = self.table.get(fd).ok()?;
        let hangup = happened.intersects(PollFlags::HUP | PollFlags::ERR);
        let event = subscription.event(available(descriptor, direction), hangup);
        Some((index, event))
    }

    /// The timers that have run out.
    fn timers(&self, wanted: &[Subscription]) -> Vec<(usize, Event)> {
        let (monotonic, realtime) = (self.clocks.monotonic(), self.clocks.realtime());
        wanted
            .iter()
            .enumerate()
            .filter(|(_, subscription)| match subscription.trigger {
                Trigger::Monotonic(deadline) => deadline <= monotonic,
                Trigger::Realtime(deadline) => deadline <= realtime,
                Trigger::Ready(..) | Trigger::Never(_) => false,
            })
            .map(|(index, subscription)| (index, subscription.event(0, false)))
            .collect()
    }

    /// Nanoseconds to the first timer.
    fn time_left(&self, wanted: &[Subscription]) -> Option<u64> {
        let (monotonic, realtime) = (self.clocks.monotonic(), self.clocks.realtime());
        wanted
            .iter()
            .filter_map(|subscription| match subscription.trigger {
                Trigger::Monotonic(deadline) => Some(deadline.saturating_sub(monotonic)),
                Trigger::Realtime(deadline) => Some(deadline.saturating_sub(realtime)),
                Trigger::Ready(..) | Trigger::Never(_) => None,
            })
            .min()
    }
}

/// How a subscription is waited for.
enum Class<'a> {
    Now(Event),
    Stream(PollFd<'a>),
    Timer,
}

/// The subscriptions of a wait that began at `started`.
fn decode(bytes: &[u8], started: u64) -> Result<Vec<Subscription>, Errno> {
    let (records, _) = bytes.as_chunks::<48>();
    records
        .iter()
        .map(|record| {
            Ok(Subscription {
                userdata: u64_at(record, 0),
                trigger: trigger(record, started)?,
            })
        })
        .collect()
}

fn trigger(record: &[u8; 48], started: u64) -> Result<Trigger, Errno> {
    match record[8] {
        0 => Ok(timer(record, started)),
        1 => Ok(Trigger::Ready(u32_at(record, 16), Direction::Read)),
        2 => Ok(Trigger::Ready(u32_at(record, 16), Direction::Write)),
        _ => Err(Errno::Inval),
    }
}

/// A relative timeout counts on the monotonic clock, whichever clock it names: as with
/// `clock_nanosleep`, setting the time of day does not change how long it is.
fn timer(record: &[u8; 48], started: u64) -> Trigger {
    let (id, timeout) = (u32_at(record, 16), u64_at(record, 24));
    let absolute = u16::from_le_bytes([record[40], record[41]]);
    match (id, absolute) {
        (0 | 1, 0) => Trigger::Monotonic(started.saturating_add(timeout)),
        (0, 1) => Trigger::Realtime(timeout),
        (1, 1) => Trigger::Monotonic(timeout),
        (2 | 3, 0 | 1) => Trigger::Never(Errno::Notsup),
        _ => Trigger::Never(Errno::Inval),
    }
}

/// How many bytes can be read; unknown for writing.
fn available(descriptor: &Descriptor, direction: Direction) -> u64 {
    let Some(fd) = descriptor.host() else {
        return 1;
    };
    match (direction, &descriptor.object) {
        (Direction::Write, _) | (_, Object::Directory(_)) => 1,
        (Direction::Read, _) if descriptor.filetype == Filetype::RegularFile => {
            let size = rustix::fs::fstat(fd).map_or(0, |stat| stat.st_size);
            let size = u64::try_from(size).unwrap_or(0);
            size.saturating_sub(rustix::fs::tell(fd).unwrap_or(0))
        }
        (Direction::Read, _) => rustix::io::ioctl_fionread(fd).unwrap_or(0),
    }
}

impl Subscription {
    fn event(&self, nbytes: u64, hangup: bool) -> Event {
        Event {
            userdata: self.userdata,
            error: None,
            kind: self.kind(),
            nbytes,
            hangup,
        }
    }

    fn failed(&self, errno: Errno) -> Event {
        Event {
            error: Some(errno),
            ..self.event(0, false)
        }
    }

    fn kind(&self) -> u8 {
        match self.trigger {
            Trigger::Monotonic(_) | Trigger::Realtime(_) | Trigger::Never(_) => 0,
            Trigger::Ready(_, Direction::Read) => 1,
            Trigger::Ready(_, Direction::Write) => 2,
        }
    }
}

impl Event {
    fn encode(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[0..8].copy_from_slice(&self.userdata.to_le_bytes());
        let error = self.error.map_or(0, Errno::raw);
        bytes[8..10].copy_from_slice(&error.to_le_bytes());
        bytes[10] = self.kind;
        bytes[16..24].copy_from_slice(&self.nbytes.to_le_bytes());
        bytes[24] = u8::from(self.hangup);
        bytes
    }
}

fn timespec(nanoseconds: u64) -> Timespec {
    let signed = |part: u64| i64::try_from(part).unwrap_or(i64::MAX);
    Timespec {
        tv_sec: signed(nanoseconds / 1_000_000_000),
        tv_nsec: signed(nanoseconds % 1_000_000_000),
    }
}

fn u32_at(record: &[u8; 48], at: usize) -> u32 {
    record
        .get(at..at + 4)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u32::from_le_bytes)
}

fn u64_at(record: &[u8; 48], at: usize) -> u64 {
    u64::from(u32_at(record, at)) | u64::from(u32_at(record, at + 4)) << 32
}
