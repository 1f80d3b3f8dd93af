//! What a job may write, and what it sees when that is all.

use std::sync::{Arc, Mutex};

use wherry_snapshot::{Quota, Usage};
use wherry_wasi::{Errno, Exhausted, QuotaObserver};

use crate::guest::{CREAT, Captured, DATA, Guest, Host, ROOT, failed};

fn quota() -> Quota {
    Quota {
        scratch_bytes: Some(100),
        files: Some(4),
        output_bytes: Some(20),
        log_bytes: Some(10),
    }
}

/// A guest with a quota, and what its observer is told.
fn guest(quota: Quota) -> (Guest, Arc<Mutex<Vec<Exhausted>>>) {
    let host = Host::new();
    let mut config = host.config();
    config.stdio.stdout = Captured::default().output();
    config.stdio.stderr = Captured::default().output();
    config.usage = Usage {
        quota,
        ..Usage::default()
    };
    let told = Arc::<Mutex<Vec<_>>>::default();
    let note = Arc::clone(&told);
    config.quota_observer = QuotaObserver::new(move |what| note.lock().unwrap().push(what));
    (Guest::with(host, config), told)
}

#[test]
fn scratch_is_full_like_a_disk_and_has_room_again() {
    let (mut guest, told) = guest(quota());
    let file = guest.open(ROOT, "a", CREAT).unwrap();
    assert_eq!(guest.write(file, &[1; 90]), Ok(90));
    // What fits is written; then nothing is.
    assert_eq!(guest.write(file, &[2; 90]), Ok(10));
    assert_eq!(guest.write(file, &[3; 1]), failed(Errno::Dquot));
    // Within the file it may write.
    assert_eq!(guest.pwrite(file, &[4; 100], 0), Ok(100));
    assert_eq!(guest.pwrite(file, &[4; 10], 95), Ok(5));
    assert_eq!(
        guest.pwrite(file, &[4; 10], u64::MAX - 5),
        failed(Errno::Dquot)
    );
    // A file without a name keeps its bytes until it is closed.
    guest.unlink(ROOT, "a").unwrap();
    let other = guest.open(ROOT, "b", CREAT).unwrap();
    assert_eq!(guest.write(other, &[5; 1]), failed(Errno::Dquot));
    guest.close(file).unwrap();
    assert_eq!(guest.write(other, &[5; 60]), Ok(60));
    assert_eq!(
        guest
            .wasi
            .fd_filestat_set_size(&mut guest.memory, other, 101),
        failed(Errno::Dquot)
    );
    assert_eq!(
        guest
            .wasi
            .fd_allocate(&mut guest.memory, other, 50, u64::MAX),
        failed(Errno::Dquot)
    );
    assert_eq!(
        guest
            .wasi
            .fd_filestat_set_size(&mut guest.memory, other, 100),
        Ok(())
    );
    assert_eq!(*told.lock().unwrap(), [Exhausted::Scratch]);
}

#[test]
fn files_are_counted_wherever_they_are() {
    let (mut guest, told) = guest(quota());
    guest.mkdir(ROOT, "d").unwrap();
    guest.symlink("d", ROOT, "s").unwrap();
    guest.create(DATA, "lent", b"x");
    guest.create(ROOT, "f", b"x");
    for refused in [
        guest.mkdir(ROOT, "e"),
        guest.symlink("d", ROOT, "t"),
        guest.link(ROOT, "f", ROOT, "g"),
        guest.open(ROOT, "g", CREAT).map(|_| ()),
        guest.open(DATA, "g", CREAT).map(|_| ()),
    ] {
        assert_eq!(refused, failed(Errno::Dquot));
    }
    // What is there can be opened.
    let there = guest.open(ROOT, "f", CREAT).unwrap();
    guest.close(there).unwrap();
    guest.unlink(ROOT, "s").unwrap();
    guest.mkdir(ROOT, "e").unwrap();
    assert_eq!(guest.mkdir(ROOT, "g"), failed(Errno::Dquot));
    assert_eq!(guest.wasi.usage().lent_files, 1);
    assert_eq!(*told.lock().unwrap(), [Exhausted::Files]);
}

#[test]
fn output_and_lent_directories_share_a_limit_and_the_log_has_its_own() {
    let (mut guest, told) = guest(quota());
    assert_eq!(guest.write(1, b"0123456789"), Ok(10));
    let lent = guest.open(DATA, "f", CREAT).unwrap();
    assert_eq!(guest.write(lent, b"01234"), Ok(5));
    assert_eq!(
        guest.wasi.fd_filestat_set_size(&mut guest.memory, lent, 11),
        failed(Errno::Dquot)
    );
    assert_eq!(guest.write(1, b"0123456789"), Ok(5));
    assert_eq!(guest.write(lent, b"0"), failed(Errno::Dquot));
    assert_eq!(guest.write(1, b"0"), failed(Errno::Dquot));
    assert_eq!(guest.write(1, b""), Ok(0));
    assert_eq!(guest.write(2, b"0123456789abcdef"), Ok(10));
    assert_eq!(guest.write(2, b"0"), failed(Errno::Dquot));
    let usage = guest.wasi.usage();
    assert_eq!(
        (usage.stdout_bytes, usage.stderr_bytes, usage.lent_bytes),
        (15, 10, 5)
    );
    assert_eq!(usage.written_bytes, 30);
    assert_eq!(*told.lock().unwrap(), [Exhausted::Output, Exhausted::Log]);
}

/// What is limited in one directory is not carried into another.
#[test]
fn nothing_is_moved_between_directories() {
    let (mut guest, _) = guest(quota());
    guest.create(ROOT, "f", b"x");
    assert_eq!(guest.rename(ROOT, "f", DATA, "f"), failed(Errno::Xdev));
    assert_eq!(guest.link(ROOT, "f", DATA, "f"), failed(Errno::Xdev));
    assert_eq!(guest.rename(ROOT, "f", ROOT, "g"), Ok(()));
    let mut free = Guest::new();
    free.create(ROOT, "f", b"x");
    assert_ne!(free.rename(ROOT, "f", DATA, "f"), failed(Errno::Dquot));
}

#[test]
fn a_coarse_clock_shows_no_more_in_times_of_files() {
    let host = Host::new();
    let mut config = host.config();
    config.clock_resolution = 1_000_000_000;
    let mut guest = Guest::with(host, config);
    guest.create(ROOT, "f", b"x");
    let mut time = |id| {
        guest
            .wasi
            .clock_time_get(&mut guest.memory, id, 0, 0)
            .unwrap();
        guest.u64_at(0)
    };
    for id in 0..4 {
        assert_eq!(time(id) % 1_000_000_000, 0);
    }
    guest.wasi.clock_res_get(&mut guest.memory, 1, 0).unwrap();
    assert_eq!(guest.u64_at(0), 1_000_000_000);
    let stat = guest.path_filestat(ROOT, 0, "f").unwrap();
    assert_eq!(stat.mtim % 1_000_000_000, 0);
}
