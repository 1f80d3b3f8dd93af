//! `poll_oneoff`.

use std::io::{self, Write};
use std::thread;

use wherry_wasi::{Errno, Fault, Input, Interrupt, Wasi};

use crate::guest::{CREAT, Captured, Guest, Host, Outcome, ROOT, failed, right};

const READ: u8 = 1;
const WRITE: u8 = 2;
const SUBSCRIPTIONS: u32 = 4096;
const EVENTS: u32 = 8192;

#[derive(Debug, PartialEq, Eq)]
struct Event {
    userdata: u64,
    error: u16,
    kind: u8,
    nbytes: u64,
    hangup: bool,
}

fn clock(userdata: u64, id: u32, timeout: u64, absolute: bool) -> [u8; 48] {
    let mut record = [0; 48];
    record[..8].copy_from_slice(&userdata.to_le_bytes());
    record[16..20].copy_from_slice(&id.to_le_bytes());
    record[24..32].copy_from_slice(&timeout.to_le_bytes());
    record[40] = u8::from(absolute);
    record
}

fn stream(userdata: u64, kind: u8, fd: u32) -> [u8; 48] {
    let mut record = [0; 48];
    record[..8].copy_from_slice(&userdata.to_le_bytes());
    record[8] = kind;
    record[16..20].copy_from_slice(&fd.to_le_bytes());
    record
}

fn poll(guest: &mut Guest, subscriptions: &[[u8; 48]]) -> Outcome<Vec<Event>> {
    let start = SUBSCRIPTIONS as usize;
    guest.memory[start..start + subscriptions.len() * 48]
        .copy_from_slice(subscriptions.as_flattened());
    let count = u32::try_from(subscriptions.len()).unwrap();
    let memory = &mut guest.memory;
    guest
        .wasi
        .poll_oneoff(memory, SUBSCRIPTIONS, EVENTS, count, 0)?;
    Ok((0..guest.u32_at(0))
        .map(|index| {
            let at = EVENTS + index * 32;
            let bytes = &guest.memory[at as usize..];
            Event {
                userdata: guest.u64_at(at),
                error: u16::from_le_bytes([bytes[8], bytes[9]]),
                kind: bytes[10],
                nbytes: guest.u64_at(at + 16),
                hangup: bytes[24] == 1,
            }
        })
        .collect())
}

fn now(guest: &mut Guest) -> u64 {
    guest
        .wasi
        .clock_time_get(&mut guest.memory, 1, 0, 0)
        .unwrap();
    guest.u64_at(0)
}

fn done(userdata: u64) -> Event {
    Event {
        userdata,
        error: 0,
        kind: 0,
        nbytes: 0,
        hangup: false,
    }
}

#[test]
fn timers_last_at_least_as_long_as_asked() {
    let mut guest = Guest::new();
    for id in [0, 1] {
        let before = now(&mut guest);
        let events = poll(&mut guest, &[clock(7, id, 2_000_000, false)]).unwrap();
        assert_eq!(events, [done(7)]);
        assert!(now(&mut guest) - before >= 2_000_000);
    }
}

#[test]
fn absolute_timers_in_the_past_are_over() {
    let mut guest = Guest::new();
    let past = now(&mut guest);
    for record in [clock(1, 1, past, true), clock(1, 0, 1, true)] {
        assert_eq!(poll(&mut guest, &[record]), Ok(vec![done(1)]));
    }
}

#[test]
fn the_first_of_several_timers_ends_the_wait() {
    let mut guest = Guest::new();
    let hour = 3_600_000_000_000;
    let wanted = [clock(1, 1, hour, false), clock(2, 1, 1, false)];
    assert_eq!(poll(&mut guest, &wanted), Ok(vec![done(2)]));
}

#[test]
fn clocks_that_cannot_be_waited_for_are_failed_events() {
    let mut guest = Guest::new();
    let wanted = [clock(1, 2, 1, false), clock(2, 9, 1, false)];
    let events = poll(&mut guest, &wanted).unwrap();
    let errors: Vec<_> = events.iter().map(|event| event.error).collect();
    assert_eq!(errors, [Errno::Notsup.raw(), Errno::Inval.raw()]);
}

#[test]
fn files_are_always_ready() {
    let mut guest = Guest::new();
    let file = guest.open(ROOT, "f", CREAT).unwrap();
    guest.write(file, b"0123456789").unwrap();
    guest.seek(file, 4, 0).unwrap();
    let wanted = [stream(1, READ, file), stream(2, WRITE, file)];
    let events = poll(&mut guest, &wanted).unwrap();
    assert_eq!(events.len(), 2);
    assert_eq!((events[0].kind, events[0].nbytes), (READ, 6));
    assert_eq!((events[1].kind, events[1].error), (WRITE, 0));
}

#[test]
fn descriptors_that_cannot_be_used_are_failed_events() {
    let mut guest = Guest::new();
    let write_only = guest
        .path_open(ROOT, 0, "f", CREAT, right::WRITE, 0, 0)
        .unwrap();
    let wanted = [
        stream(1, READ, 99),
        stream(2, READ, write_only),
        stream(3, READ, ROOT),
    ];
    let events = poll(&mut guest, &wanted).unwrap();
    let errors: Vec<_> = events.iter().map(|event| event.error).collect();
    let expected = [Errno::Badf, Errno::Notcapable, Errno::Notcapable];
    assert_eq!(errors, expected.map(Errno::raw));
}

#[test]
fn a_pipe_is_ready_when_it_has_data_or_has_ended() {
    let (reader, mut writer) = io::pipe().unwrap();
    let (mut guest, _) = Guest::with_stdio(Input::Fd(reader.into()), Captured::default().output());
    let wanted = [stream(1, READ, 0), clock(2, 1, 0, false)];
    assert_eq!(poll(&mut guest, &wanted), Ok(vec![done(2)]));
    thread::scope(|scope| {
        scope.spawn(|| writer.write_all(b"abc").unwrap());
        let events = poll(&mut guest, &[stream(1, READ, 0)]).unwrap();
        assert_eq!((events[0].nbytes, events[0].hangup), (3, false));
    });
    guest.read(0, 3).unwrap();
    drop(writer);
    let events = poll(&mut guest, &[stream(1, READ, 0)]).unwrap();
    assert_eq!((events[0].nbytes, events[0].hangup), (0, true));
}

#[test]
fn malformed_calls_are_refused() {
    let mut guest = Guest::new();
    assert_eq!(poll(&mut guest, &[]), failed(Errno::Inval));
    let mut unknown = clock(1, 1, 0, false);
    unknown[8] = 3;
    assert_eq!(poll(&mut guest, &[unknown]), failed(Errno::Inval));
    let end = u32::try_from(guest.memory.len()).unwrap();
    let (wasi, memory) = (&mut guest.wasi, &mut guest.memory);
    for (subscriptions, events, count, result) in [
        (end - 47, 0, 1, 0),
        (0, end - 31, 1, 0),
        (0, 0, 1, end - 3),
        (0, 0, u32::MAX, 0),
    ] {
        assert!(
            wasi.poll_oneoff(memory, subscriptions, events, count, result)
                .is_err()
        );
    }
}

/// A wait of an hour is interrupted after some time; made again, here or after a restore, it
/// lasts only for what is left.
#[test]
fn an_interrupted_wait_is_not_started_anew() {
    let mut guest = Guest::new();
    let interrupt = Interrupt::new().unwrap();
    let host = Host::new();
    let mut config = host.config();
    config.interrupt = interrupt.clone();
    guest.wasi = Wasi::new(config).unwrap();
    let hour = 3_600_000_000_000;
    let wanted = [clock(1, 1, hour, false)];
    interrupt.raise();
    assert_eq!(poll(&mut guest, &wanted), Err(Fault::Interrupted));
    // And again, as the interrupt is still raised: the wait keeps its beginning.
    assert_eq!(poll(&mut guest, &wanted), Err(Fault::Interrupted));
    let (mut state, blobs) = guest.save();
    assert!(state.pending_poll.is_some());
    // The job is saved 59 minutes and 59.999 seconds later.
    state.clocks.monotonic += hour - 1_000_000;
    let restored = Host::new();
    guest.wasi = Wasi::restore(&state, restored.config(), &blobs).unwrap();
    assert_eq!(poll(&mut guest, &wanted), Ok(vec![done(1)]));
    // Another wait is not affected.
    guest.wasi = Wasi::restore(&state, Host::new().config(), &blobs).unwrap();
    let other = [clock(2, 1, 1000, false)];
    let before = now(&mut guest);
    assert_eq!(poll(&mut guest, &other), Ok(vec![done(2)]));
    assert!(now(&mut guest) - before >= 1000);
    assert_eq!(guest.save().0.pending_poll, None);
}
