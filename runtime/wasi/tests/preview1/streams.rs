//! Standard streams and pipes, and what happens when they block.

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::thread;

use wherry_wasi::{Errno, Fault, Input, Output};

use crate::guest::{Captured, Guest, NONBLOCK, ROOT, failed, put, right};

fn set_nonblocking(guest: &mut Guest, fd: u32) {
    let memory = &mut guest.memory;
    guest
        .wasi
        .fd_fdstat_set_flags(memory, fd, NONBLOCK)
        .unwrap();
}

#[test]
fn output_goes_where_it_should() {
    let host = crate::guest::Host::new();
    let (stdout, stderr) = (Captured::default(), Captured::default());
    let mut config = host.config();
    config.stdio.stdin = Input::Reader(Box::new(b"some input".as_slice()));
    config.stdio.stdout = stdout.output();
    config.stdio.stderr = stderr.output();
    let mut guest = Guest::with(host, config);
    assert_eq!(guest.write(1, b"out"), Ok(3));
    assert_eq!(guest.write(2, b"err"), Ok(3));
    assert_eq!(guest.read(0, 4), Ok(b"some".to_vec()));
    assert_eq!(guest.read(0, 100), Ok(b" input".to_vec()));
    assert_eq!(guest.read(0, 100), Ok(Vec::new()));
    assert_eq!(
        (stdout.bytes(), stderr.bytes()),
        (b"out".to_vec(), b"err".to_vec())
    );
}

#[test]
fn streams_have_one_direction_and_no_position() {
    let mut guest = Guest::new();
    assert_eq!(guest.read(1, 1), failed(Errno::Badf));
    assert_eq!(guest.write(0, b"x"), failed(Errno::Badf));
    for fd in 0..3 {
        assert_eq!(guest.seek(fd, 0, 0), failed(Errno::Spipe));
        assert_eq!(guest.tell(fd), failed(Errno::Spipe));
    }
    assert_eq!(guest.pread(0, 1, 0), failed(Errno::Spipe));
    assert_eq!(guest.pwrite(1, b"x", 0), failed(Errno::Spipe));
}

#[test]
fn streams_have_no_attributes_of_the_host() {
    let (reader, _writer) = io::pipe().unwrap();
    let (mut guest, _) = Guest::with_stdio(
        Input::Fd(OwnedFd::from(reader)),
        Output::Fd(OwnedFd::from(std::fs::File::create("/dev/null").unwrap())),
    );
    for (fd, filetype) in [(0, 0), (1, 2), (2, 0)] {
        let stat = guest.filestat(fd).unwrap();
        assert_eq!((stat.filetype, stat.size), (filetype, 0));
        assert_eq!((stat.ino, stat.atim, stat.mtim), (0, 0, 0));
    }
    // Only a terminal is without the right to seek, by which wasi-libc tells one.
    assert_ne!(guest.fdstat(1).unwrap().2 & right::SEEK, 0);
}

#[test]
fn input_from_a_file_is_a_file() {
    let host = crate::guest::Host::new();
    put(&host.data, "input", b"0123456789");
    let file = std::fs::File::open(host.data.path().join("input")).unwrap();
    let mut config = host.config();
    config.stdio.stdin = Input::Fd(file.into());
    let mut guest = Guest::with(host, config);
    assert_eq!(guest.filestat(0).unwrap().size, 10);
    assert_eq!(guest.seek(0, 5, 0), Ok(5));
    assert_eq!(guest.read(0, 2), Ok(b"56".to_vec()));
    assert_eq!(guest.pread(0, 2, 1), Ok(b"12".to_vec()));
}

#[test]
fn a_blocked_read_is_interrupted_and_made_again() {
    let (reader, mut writer) = io::pipe().unwrap();
    let (mut guest, interrupt) =
        Guest::with_stdio(Input::Fd(reader.into()), Captured::default().output());
    interrupt.raise();
    assert!(interrupt.is_raised());
    assert_eq!(guest.read(0, 5), Err(Fault::Interrupted));
    assert_eq!(guest.read(0, 5), Err(Fault::Interrupted));
    // Data that is there is read all the same.
    writer.write_all(b"data").unwrap();
    assert_eq!(guest.read(0, 5), Ok(b"data".to_vec()));
    interrupt.raise();
    interrupt.clear();
    assert!(!interrupt.is_raised());
    // Blocks until the other thread writes: nothing is left over from the interrupt.
    thread::scope(|scope| {
        scope.spawn(|| writer.write_all(b"more").unwrap());
        assert_eq!(guest.read(0, 5), Ok(b"more".to_vec()));
    });
    drop(writer);
    assert_eq!(guest.read(0, 5), Ok(Vec::new()));
}

#[test]
fn an_interrupt_from_another_thread_ends_a_read() {
    let (reader, _writer) = io::pipe().unwrap();
    let (mut guest, interrupt) =
        Guest::with_stdio(Input::Fd(reader.into()), Captured::default().output());
    thread::scope(|scope| {
        scope.spawn(|| interrupt.raise());
        assert_eq!(guest.read(0, 5), Err(Fault::Interrupted));
    });
}

#[test]
fn a_full_pipe_interrupts_a_write_without_losing_a_byte() {
    let (mut reader, writer) = io::pipe().unwrap();
    let (mut guest, interrupt) = Guest::with_stdio(
        Input::Reader(Box::new(io::empty())),
        Output::Fd(writer.into()),
    );
    interrupt.raise();
    let mut written = 0;
    let chunk = [b'x'; 10_000];
    loop {
        match guest.write(1, &chunk) {
            Ok(count) => written += count,
            Err(fault) => {
                assert_eq!(fault, Fault::Interrupted);
                assert_eq!(guest.write(1, b""), Ok(0));
                break;
            }
        }
    }
    interrupt.clear();
    let total = thread::scope(|scope| {
        let reading = scope.spawn(move || {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).unwrap();
            all.len()
        });
        let mut left = chunk.as_slice();
        while !left.is_empty() {
            let count = guest.write(1, left).unwrap();
            written += count;
            left = &left[count..];
        }
        guest.close(1).unwrap();
        reading.join().unwrap()
    });
    assert_eq!(total, written);
}

#[test]
fn a_stream_that_must_not_block_says_so() {
    let (reader, mut writer) = io::pipe().unwrap();
    let (mut guest, _) = Guest::with_stdio(Input::Fd(reader.into()), Captured::default().output());
    set_nonblocking(&mut guest, 0);
    assert_eq!(guest.fdstat(0).unwrap().1, 4);
    assert_eq!(guest.read(0, 5), failed(Errno::Again));
    writer.write_all(b"now").unwrap();
    assert_eq!(guest.read(0, 5), Ok(b"now".to_vec()));
}

#[test]
fn writing_to_nobody_is_an_error() {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let (mut guest, _) = Guest::with_stdio(
        Input::Reader(Box::new(io::empty())),
        Output::Fd(writer.into()),
    );
    assert_eq!(guest.write(1, b"x"), failed(Errno::Pipe));
}

#[test]
fn a_pipe_in_a_directory_is_waited_for_where_it_can_be_interrupted() {
    let host = crate::guest::Host::new();
    let config = host.config();
    let interrupt = config.interrupt.clone();
    let path = host.data.path().join("fifo");
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        &path,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
    )
    .unwrap();
    let mut guest = Guest::with(host, config);
    let rights = right::READ;
    // Opening does not wait for a writer.
    let fifo = guest
        .path_open(crate::guest::DATA, 0, "fifo", 0, rights, 0, 0)
        .unwrap();
    interrupt.raise();
    assert_eq!(guest.read(fifo, 1), Err(Fault::Interrupted));
    interrupt.clear();
    let mut writer = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    writer.write_all(b"x").unwrap();
    assert_eq!(guest.read(fifo, 9), Ok(b"x".to_vec()));
    assert_eq!(guest.open(ROOT, "none", 0), failed(Errno::Noent));
}
