//! A deterministic job sees the same, and gets into the same state, whatever the host is.

use std::fmt::Debug;
use std::fs::File;

use wherry_wasi::{Input, Output, Wasi, WasiConfig, WasiState};

use crate::guest::{
    Blobs, CREAT, Captured, DATA, FIXED, FOLLOW, Guest, Host, ROOT, TRUNC, put, right,
};

/// 2001-09-09, in nanoseconds since 1970.
const START: u64 = 1_000_000_000_000_000_000;

fn config(host: &Host) -> WasiConfig {
    WasiConfig {
        deterministic: Some(START),
        ..host.config()
    }
}

fn guest(host: Host) -> Guest {
    put(&host.fixed, "lent", b"the same everywhere");
    let config = config(&host);
    Guest::with(host, config)
}

/// A host whose files have had other numbers and times, with streams of other kinds.
fn another() -> Guest {
    let host = Host::new();
    for name in ["a", "b", "c"] {
        put(&host.fixed, name, b"to be deleted");
        std::fs::remove_file(host.fixed.path().join(name)).unwrap();
    }
    put(&host.fixed, "lent", b"the same everywhere");
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1);
    let lent = File::options()
        .write(true)
        .open(host.fixed.path().join("lent"));
    lent.unwrap().set_modified(long_ago).unwrap();
    put(&host.data, "input", b"typed by somebody");
    let mut config = config(&host);
    let file = |name| File::create(host.data.path().join(name)).unwrap();
    let input = File::open(host.data.path().join("input")).unwrap();
    config.stdio.stdin = Input::Fd(input.into());
    config.stdio.stdout = Output::Fd(file("output").into());
    let (reader, writer) = std::io::pipe().unwrap();
    // Somebody reads it for as long as the test runs.
    std::mem::forget(reader);
    config.stdio.stderr = Output::Fd(writer.into());
    Guest::with(host, config)
}

/// What a job was told.
#[derive(Default)]
struct Log(Vec<String>);

impl Log {
    fn note(&mut self, what: impl Debug) {
        self.0.push(format!("{what:?}"));
    }

    fn time(&mut self, guest: &mut Guest) {
        for clock in 0..4 {
            let memory = &mut guest.memory;
            let looked = guest.wasi.clock_time_get(memory, clock, 0, 0);
            let resolution = guest.wasi.clock_res_get(memory, clock, 8);
            self.note((looked, resolution, guest.u64_at(0), guest.u64_at(8)));
        }
    }

    fn stats(&mut self, guest: &mut Guest) {
        for path in [
            ".",
            "file",
            "link",
            "directory",
            "directory/moved",
            "symlink",
            "gone",
        ] {
            self.note((path, guest.path_filestat(ROOT, 0, path)));
        }
        self.note(guest.path_filestat(FIXED, FOLLOW, "lent"));
        self.note(guest.path_filestat(FIXED, FOLLOW, "."));
        for fd in [0, 1, 2, FIXED, ROOT] {
            self.note((guest.fdstat(fd), guest.filestat(fd)));
        }
        for directory in [ROOT, FIXED] {
            self.note(guest.readdir(directory, 65536, 0));
        }
    }
}

/// Goes through all that depends on the host for other jobs. Leaves a file open.
fn first(guest: &mut Guest, log: &mut Log) {
    log.time(guest);
    log.note(guest.read(0, 100));
    log.note(guest.write(1, &[b'x'; 10_000]));
    log.note(guest.write(2, b"text"));
    log.note(guest.wasi.fd_sync(&mut guest.memory, 1));
    log.note(guest.seek(1, 0, 1));
    guest.create(ROOT, "file", b"content");
    guest.mkdir(ROOT, "directory").unwrap();
    guest.create(ROOT, "directory/before", b"moved");
    guest
        .rename(ROOT, "directory/before", ROOT, "directory/moved")
        .unwrap();
    guest.link(ROOT, "file", ROOT, "link").unwrap();
    guest.symlink("file", ROOT, "symlink").unwrap();
    guest
        .path_set_times(ROOT, 0, "symlink", (5, 0), 1 | 8)
        .unwrap();
    guest.create(ROOT, "gone", b"first");
    guest.unlink(ROOT, "gone").unwrap();
    // May get the inode of the first one.
    guest.create(ROOT, "gone", b"second");
    let gone = guest.open(ROOT, "gone", 0).unwrap();
    guest.unlink(ROOT, "gone").unwrap();
    log.note((gone, guest.filestat(gone)));
    log.stats(guest);
}

fn second(guest: &mut Guest, log: &mut Log) {
    log.stats(guest);
    let gone = ROOT + 1;
    log.note((guest.filestat(gone), guest.write(gone, b"SECOND")));
    guest
        .wasi
        .fd_allocate(&mut guest.memory, gone, 0, 5000)
        .unwrap();
    log.note((guest.filestat(gone), guest.read(gone, 10)));
    let file = guest.open(ROOT, "file", TRUNC).unwrap();
    log.note((file, guest.filestat(file), guest.pwrite(file, b"other", 3)));
    log.note((guest.filestat(file), guest.read(file, 100)));
    let new = guest.open(ROOT, "directory/new", CREAT).unwrap();
    log.note((new, guest.filestat(new)));
    guest.memory[..8].fill(0);
    guest.wasi.random_get(&mut guest.memory, 0, 8).unwrap();
    log.note(guest.u64_at(0));
    log.stats(guest);
    log.time(guest);
}

fn same_elsewhere(guest: Guest) -> Guest {
    let mut guest = guest;
    let (state, blobs) = guest.save();
    let mut host = Host::new();
    std::mem::swap(&mut host.fixed, &mut guest.host.fixed);
    restored(host, &state, &blobs)
}

fn restored(host: Host, state: &WasiState, blobs: &Blobs) -> Guest {
    let wasi = Wasi::restore(state, config(&host), blobs).unwrap();
    let memory = vec![0; crate::guest::MEMORY];
    Guest { wasi, memory, host }
}

fn both(mut guest: Guest, change: impl Fn(Guest) -> Guest) -> (Vec<String>, WasiState) {
    let mut log = Log::default();
    first(&mut guest, &mut log);
    let mut guest = change(guest);
    second(&mut guest, &mut log);
    (log.0, guest.save().0)
}

#[test]
fn what_a_job_sees_does_not_depend_on_the_host() {
    let (log, state) = both(guest(Host::new()), |guest| guest);
    let (other_log, other_state) = both(another(), |guest| guest);
    for (one, other) in log.iter().zip(&other_log) {
        assert_eq!(one, other);
    }
    assert_eq!(state, other_state);
}

#[test]
fn a_job_does_not_see_that_it_was_moved() {
    let (log, state) = both(guest(Host::new()), |guest| guest);
    let (moved_log, moved_state) = both(guest(Host::new()), same_elsewhere);
    for (one, other) in log.iter().zip(&moved_log) {
        assert_eq!(one, other);
    }
    assert_eq!(state, moved_state);
}

/// To be saved changes nothing, however often it happens.
#[test]
fn a_job_does_not_see_that_it_was_saved() {
    let (_, state) = both(guest(Host::new()), |guest| guest);
    let (_, saved) = both(guest(Host::new()), |mut guest| {
        assert_eq!(guest.save().0, guest.save().0);
        guest
    });
    assert_eq!(state, saved);
}

#[test]
fn without_the_profile_hosts_are_told_apart() {
    let plain = |host: Host| {
        put(&host.fixed, "lent", b"the same everywhere");
        let config = host.config();
        Guest::with(host, config)
    };
    let (_, state) = both(plain(Host::new()), |guest| guest);
    let (_, other) = both(plain(Host::new()), |guest| guest);
    assert_ne!(state, other);
}

#[test]
fn outputs_take_everything_that_they_say_they_took() {
    let (output, host) = (Captured::default(), Host::new());
    let mut config = config(&host);
    config.stdio.stdout = output.output();
    let mut guest = Guest::with(host, config);
    let (mut sent, content) = (0, [b'x'; 10_000]);
    while sent < content.len() {
        sent += guest.write(1, &content[sent..]).unwrap();
    }
    assert_eq!(output.bytes(), content);
}

#[test]
fn time_passes_when_a_job_looks_or_waits() {
    let mut guest = guest(Host::new());
    let now = |guest: &mut Guest, clock| {
        guest
            .wasi
            .clock_time_get(&mut guest.memory, clock, 0, 0)
            .unwrap();
        guest.u64_at(0)
    };
    let (start, first) = (now(&mut guest, 0), now(&mut guest, 1));
    assert_eq!(start, START + 1_000);
    assert_eq!(now(&mut guest, 1), first + 1_000);
    // A year, which no test has.
    let year = 31_536_000_000_000_000_u64;
    guest.memory[100..148].fill(0);
    guest.memory[116] = 1;
    guest.memory[124..132].copy_from_slice(&year.to_le_bytes());
    guest
        .wasi
        .poll_oneoff(&mut guest.memory, 100, 200, 1, 0)
        .unwrap();
    assert_eq!(guest.u32_at(0), 1);
    let waited = now(&mut guest, 1);
    assert!(
        (year..year + 10_000).contains(&(waited - first)),
        "{waited}"
    );
    assert!(now(&mut guest, 2) < 1_000_000, "waiting takes no CPU time");
    assert!(now(&mut guest, 0) - start >= year);
}

/// Only the scratch directory is the job's own.
#[test]
fn files_that_were_lent_are_as_old_as_the_job() {
    let mut guest = another();
    let stat = guest.path_filestat(FIXED, 0, "lent").unwrap();
    assert_eq!((stat.atim, stat.mtim), (START, START));
    let data = guest
        .path_open(DATA, 0, "input", 0, right::READ, 0, 0)
        .unwrap();
    let (at, by) = (guest.path_filestat(DATA, 0, "input"), guest.filestat(data));
    assert_eq!(at, by);
    assert_ne!(at.unwrap().ino, stat.ino);
}
