//! Content, size, times and position of files.

use std::time::{SystemTime, UNIX_EPOCH};

use wherry_wasi::Errno;

use crate::guest::{APPEND, CREAT, DATA, FIXED, FOLLOW, Guest, ROOT, failed, put, right};

#[test]
fn reads_and_writes_move_the_position() {
    let mut guest = Guest::new();
    let file = guest.open(ROOT, "f", CREAT).unwrap();
    assert_eq!(guest.write(file, b"0123456789"), Ok(10));
    assert_eq!(guest.tell(file), Ok(10));
    assert_eq!(guest.read(file, 5), Ok(Vec::new()));
    assert_eq!(guest.seek(file, -8, 1), Ok(2));
    assert_eq!(guest.read(file, 3), Ok(b"234".to_vec()));
    assert_eq!(guest.tell(file), Ok(5));
    assert_eq!(guest.seek(file, 1, 0), Ok(1));
    assert_eq!(guest.seek(file, -1, 2), Ok(9));
    assert_eq!(guest.seek(file, 100, 1), Ok(109));
    assert_eq!(guest.seek(file, -200, 1), failed(Errno::Inval));
    assert_eq!(guest.seek(file, -1, 0), failed(Errno::Inval));
    assert_eq!(guest.seek(file, i64::MIN, 2), failed(Errno::Inval));
    assert_eq!(guest.seek(file, 0, 3), failed(Errno::Inval));
    assert_eq!(guest.tell(file), Ok(109));
    assert_eq!(guest.write(file, b"end"), Ok(3));
    assert_eq!(guest.filestat(file).unwrap().size, 112);
}

#[test]
fn positioned_reads_and_writes_leave_the_position() {
    let mut guest = Guest::new();
    let file = guest.open(ROOT, "f", CREAT).unwrap();
    guest.write(file, b"abc").unwrap();
    assert_eq!(guest.pwrite(file, b"XY", 5), Ok(2));
    assert_eq!(guest.pread(file, 10, 1), Ok(b"bc\0\0XY".to_vec()));
    assert_eq!(guest.pread(file, 10, 7), Ok(Vec::new()));
    assert_eq!(guest.tell(file), Ok(3));
    assert_eq!(guest.pread(file, 1, u64::MAX), failed(Errno::Inval));
    assert_eq!(guest.pwrite(file, b"x", u64::MAX), failed(Errno::Inval));
}

#[test]
fn scattered_buffers_are_used_in_order() {
    let mut guest = Guest::new();
    let file = guest.open(ROOT, "f", CREAT).unwrap();
    guest.memory[1000..1006].copy_from_slice(b"abcdef");
    // Four bytes, none, and two that overlap them.
    for (at, value) in [
        (0, 1000),
        (4, 4),
        (8, 5000),
        (12, 0),
        (16, 1003),
        (20, 2_u32),
    ] {
        guest.memory[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
    let memory = &mut guest.memory;
    guest.wasi.fd_write(memory, file, 0, 3, 64).unwrap();
    assert_eq!(guest.u32_at(64), 6);
    assert_eq!(guest.content(ROOT, "f"), b"abcdde");
    let memory = &mut guest.memory;
    // The guest's helper has used these addresses since.
    for (at, value) in [
        (0_usize, 2000_u32),
        (4, 1),
        (8, 2001),
        (12, 0),
        (16, 2001),
        (20, 100),
    ] {
        memory[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
    guest.wasi.fd_pread(memory, file, 0, 3, 2, 64).unwrap();
    assert_eq!(guest.u32_at(64), 4);
    assert_eq!(&guest.memory[2000..2005], b"cdde\0");
}

#[test]
fn a_failed_call_has_no_effect() {
    let mut guest = Guest::new();
    let file = guest.open(ROOT, "f", CREAT).unwrap();
    guest.write(file, b"abc").unwrap();
    guest.seek(file, 0, 0).unwrap();
    let end = u32::try_from(guest.memory.len()).unwrap();
    // One good buffer, one that leaves memory; then a result that does.
    for (at, value) in [(0, 1000), (4, 1), (8, end - 1), (12, 2_u32)] {
        guest.memory[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
    let (wasi, memory) = (&mut guest.wasi, &mut guest.memory);
    assert_eq!(wasi.fd_read(memory, file, 0, 2, 64), failed(Errno::Fault));
    assert_eq!(wasi.fd_read(memory, file, 0, 1, end), failed(Errno::Fault));
    assert_eq!(wasi.fd_write(memory, file, 0, 2, 64), failed(Errno::Fault));
    assert_eq!(wasi.fd_write(memory, file, 0, 1, end), failed(Errno::Fault));
    assert_eq!(wasi.fd_seek(memory, file, 1, 0, end), failed(Errno::Fault));
    assert_eq!(
        wasi.fd_read(memory, file, 0, 1025, 64),
        failed(Errno::Inval)
    );
    assert_eq!(guest.tell(file), Ok(0));
    assert_eq!(guest.content(ROOT, "f"), b"abc");
}

#[test]
fn appending_goes_to_the_end() {
    let mut guest = Guest::new();
    guest.create(ROOT, "f", b"abc");
    let file = guest
        .path_open(ROOT, FOLLOW, "f", 0, right::FILE, 0, APPEND)
        .unwrap();
    guest.write(file, b"de").unwrap();
    assert_eq!(guest.tell(file), Ok(5));
    // As on Linux: the offset of a positioned write counts for nothing.
    assert_eq!(guest.pwrite(file, b"f", 0), Ok(1));
    assert_eq!(guest.tell(file), Ok(5));
    assert_eq!(guest.pread(file, 10, 0), Ok(b"abcdef".to_vec()));
}

#[test]
fn size_can_be_set_and_space_allocated() {
    let mut guest = Guest::new();
    let file = guest.open(ROOT, "f", CREAT).unwrap();
    let (wasi, memory) = (&mut guest.wasi, &mut guest.memory);
    wasi.fd_filestat_set_size(memory, file, 100).unwrap();
    wasi.fd_allocate(memory, file, 10, 10).unwrap();
    assert_eq!(guest.filestat(file).unwrap().size, 100);
    let (wasi, memory) = (&mut guest.wasi, &mut guest.memory);
    wasi.fd_allocate(memory, file, 90, 20).unwrap();
    assert_eq!(guest.filestat(file).unwrap().size, 110);
    let (wasi, memory) = (&mut guest.wasi, &mut guest.memory);
    wasi.fd_filestat_set_size(memory, file, 1).unwrap();
    assert_eq!(wasi.fd_allocate(memory, file, 0, 0), failed(Errno::Inval));
    assert!(wasi.fd_allocate(memory, file, u64::MAX, 1).is_err());
    assert_eq!(
        wasi.fd_filestat_set_size(memory, file, u64::MAX),
        failed(Errno::Inval)
    );
    assert_eq!(guest.filestat(file).unwrap().size, 1);
}

#[test]
fn advice_is_checked() {
    let mut guest = Guest::new();
    let file = guest.open(ROOT, "f", CREAT).unwrap();
    let (wasi, memory) = (&mut guest.wasi, &mut guest.memory);
    for advice in 0..6 {
        wasi.fd_advise(memory, file, 10, 50, advice).unwrap();
    }
    assert_eq!(wasi.fd_advise(memory, file, 0, 0, 6), failed(Errno::Inval));
    assert_eq!(
        wasi.fd_advise(memory, file, u64::MAX, 1, 0),
        failed(Errno::Inval)
    );
    assert_eq!(wasi.fd_advise(memory, ROOT, 0, 0, 0), failed(Errno::Isdir));
    assert_eq!(guest.filestat(file).unwrap().size, 0);
}

#[test]
fn content_can_be_forced_to_disk() {
    let mut guest = Guest::new();
    let file = guest.open(ROOT, "f", CREAT).unwrap();
    let directory = guest.open_dir(ROOT, ".").unwrap();
    for fd in [file, directory] {
        let (wasi, memory) = (&mut guest.wasi, &mut guest.memory);
        wasi.fd_sync(memory, fd).unwrap();
        wasi.fd_datasync(memory, fd).unwrap();
    }
}

#[test]
fn times_are_set_one_by_one() {
    let mut guest = Guest::new();
    let file = guest.open(ROOT, "f", CREAT).unwrap();
    let set = |guest: &mut Guest, fd, atim, mtim, flags| {
        let memory = &mut guest.memory;
        guest
            .wasi
            .fd_filestat_set_times(memory, fd, atim, mtim, flags)
    };
    set(&mut guest, file, 1_000_000_007, 2_000_000_009, 1 | 4).unwrap();
    let stat = guest.filestat(file).unwrap();
    assert_eq!((stat.atim, stat.mtim), (1_000_000_007, 2_000_000_009));
    set(&mut guest, file, 5, 5, 4).unwrap();
    let stat = guest.filestat(file).unwrap();
    assert_eq!((stat.atim, stat.mtim), (1_000_000_007, 5));
    let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    set(&mut guest, file, 0, 0, 8).unwrap();
    let stat = guest.filestat(file).unwrap();
    assert_eq!(stat.atim, 1_000_000_007);
    // The host's clock for files ticks a few milliseconds late.
    assert!(u128::from(stat.mtim) + 1_000_000_000 > before.as_nanos());
    for flags in [1 | 2, 4 | 8, 16] {
        let result = set(&mut guest, file, 0, 0, flags);
        assert_eq!(result, failed(Errno::Inval));
    }
    assert_eq!(guest.filestat(file).unwrap().atim, 1_000_000_007);
}

#[test]
fn times_are_set_through_a_path_or_on_a_link() {
    let mut guest = Guest::new();
    guest.create(ROOT, "f", b"");
    guest.symlink("f", ROOT, "link").unwrap();
    let before = guest.path_filestat(ROOT, 0, "f").unwrap();
    guest.path_set_times(ROOT, 0, "link", (0, 1234), 4).unwrap();
    assert_eq!(guest.path_filestat(ROOT, 0, "link").unwrap().mtim, 1234);
    assert_eq!(guest.path_filestat(ROOT, 0, "f").unwrap().mtim, before.mtim);
    guest
        .path_set_times(ROOT, FOLLOW, "link", (77, 99), 1 | 4)
        .unwrap();
    let stat = guest.path_filestat(ROOT, FOLLOW, "link").unwrap();
    assert_eq!((stat.atim, stat.mtim), (77, 99));
    assert_eq!(
        guest.path_set_times(ROOT, 2, "f", (0, 0), 4),
        failed(Errno::Inval)
    );
    assert_eq!(
        guest.path_set_times(ROOT, 0, "f", (0, 0), 12),
        failed(Errno::Inval)
    );
    assert_eq!(
        guest.path_set_times(ROOT, 0, "none", (0, 0), 4),
        failed(Errno::Noent)
    );
}

#[test]
fn attributes_are_the_same_through_path_and_descriptor() {
    let mut guest = Guest::new();
    guest.create(ROOT, "f", b"12345");
    let file = guest.open(ROOT, "f", 0).unwrap();
    let stat = guest.filestat(file).unwrap();
    assert_eq!(guest.path_filestat(ROOT, 0, "f"), Ok(stat));
    assert_eq!((stat.filetype, stat.size, stat.nlink), (4, 5, 1));
    guest.create(ROOT, "g", b"");
    let other = guest.path_filestat(ROOT, 0, "g").unwrap();
    assert_eq!(other.dev, stat.dev);
    assert_ne!(other.ino, stat.ino);
    assert_eq!(guest.path_filestat(ROOT, 0, ".").unwrap().filetype, 3);
    assert_eq!(guest.path_filestat(ROOT, 0, "h"), failed(Errno::Noent));
    assert_eq!(guest.path_filestat(ROOT, 0, "f/"), failed(Errno::Notdir));
    let set_times = guest.path_set_times(ROOT, FOLLOW, "f/", (0, 0), 4);
    assert_eq!(set_times, failed(Errno::Notdir));
    guest.mkdir(ROOT, "d").unwrap();
    guest.symlink("d", ROOT, "link").unwrap();
    let directory = guest.path_filestat(ROOT, 0, "d").unwrap();
    assert_eq!(guest.path_filestat(ROOT, 0, "link/"), Ok(directory));
    assert_eq!(guest.path_filestat(ROOT, 4, "f"), failed(Errno::Inval));
}

#[test]
fn directories_have_no_content() {
    let mut guest = Guest::new();
    for fd in [DATA, ROOT] {
        assert_eq!(guest.read(fd, 1), failed(Errno::Isdir));
        assert_eq!(guest.write(fd, b"x"), failed(Errno::Isdir));
        assert_eq!(guest.pread(fd, 1, 0), failed(Errno::Isdir));
        assert_eq!(guest.pwrite(fd, b"x", 0), failed(Errno::Isdir));
        assert_eq!(guest.seek(fd, 0, 1), failed(Errno::Isdir));
        assert_eq!(guest.tell(fd), failed(Errno::Isdir));
        let (wasi, memory) = (&mut guest.wasi, &mut guest.memory);
        assert_eq!(wasi.fd_allocate(memory, fd, 0, 1), failed(Errno::Isdir));
        assert_eq!(
            wasi.fd_filestat_set_size(memory, fd, 0),
            failed(Errno::Isdir)
        );
    }
}

#[test]
fn read_only_mounts_cannot_be_changed() {
    let mut guest = Guest::new();
    put(&guest.host.fixed, "f", b"content");
    // What a program asks for that only reads, whatever the mount.
    let rights = right::FILE & !right::WRITE;
    let file = guest
        .path_open(FIXED, FOLLOW, "f", 0, rights, 0, 0)
        .unwrap();
    assert_eq!(guest.read(file, 10), Ok(b"content".to_vec()));
    assert_eq!(guest.open(FIXED, "f", CREAT), failed(Errno::Rofs));
    for (oflags, errno) in [(8, Errno::Rofs), (1 | 4, Errno::Exist)] {
        let result = guest.path_open(FIXED, 0, "f", oflags, right::READ, 0, 0);
        assert_eq!(result, failed(errno));
    }
    assert!(
        guest
            .path_open(FIXED, 0, "f", CREAT, right::READ, 0, 0)
            .is_ok()
    );
    let result = guest.path_open(FIXED, 0, "new", CREAT, right::READ, 0, 0);
    assert_eq!(result, failed(Errno::Rofs));
    let (wasi, memory) = (&mut guest.wasi, &mut guest.memory);
    let set_size = wasi.fd_filestat_set_size(memory, file, 0);
    assert_eq!(set_size, failed(Errno::Rofs));
    let set_times = wasi.fd_filestat_set_times(memory, file, 0, 0, 4);
    assert_eq!(set_times, failed(Errno::Rofs));
    let allocate = wasi.fd_allocate(memory, file, 0, 100);
    assert_eq!(allocate, failed(Errno::Rofs));
    let rofs = failed(Errno::Rofs);
    assert_eq!(guest.write(file, b"x"), failed(Errno::Badf));
    assert_eq!(guest.mkdir(FIXED, "d"), rofs);
    assert_eq!(guest.unlink(FIXED, "f"), rofs);
    assert_eq!(guest.rmdir(FIXED, "d"), rofs);
    assert_eq!(guest.symlink("f", FIXED, "l"), rofs);
    assert_eq!(guest.rename(FIXED, "f", DATA, "f"), rofs);
    assert_eq!(guest.rename(DATA, "f", FIXED, "f"), rofs);
    // A link elsewhere would make the file writable.
    assert_eq!(guest.link(FIXED, "f", DATA, "f"), rofs);
    assert_eq!(guest.path_set_times(FIXED, 0, "f", (0, 0), 4), rofs);
    assert_eq!(guest.names(FIXED), [".", "..", "f"]);
    assert_eq!(guest.content(FIXED, "f"), b"content");
}
