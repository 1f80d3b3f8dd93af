//! Rights: narrowed, passed on, enforced.

use wherry_wasi::Errno;

use crate::guest::{CREAT, DIRECTORY, Guest, ROOT, TRUNC, failed, right};

fn set(guest: &mut Guest, fd: u32, base: u64, inheriting: u64) -> crate::guest::Outcome<()> {
    let memory = &mut guest.memory;
    guest
        .wasi
        .fd_fdstat_set_rights(memory, fd, base, inheriting)
}

#[test]
fn rights_only_shrink() {
    let mut guest = Guest::new();
    let rights = right::READ | right::WRITE | right::SEEK | right::TELL;
    let file = guest.path_open(ROOT, 0, "f", CREAT, rights, 0, 0).unwrap();
    guest.write(file, b"abc").unwrap();
    set(&mut guest, file, right::SEEK | right::TELL, 0).unwrap();
    assert_eq!(guest.fdstat(file).unwrap().2, right::SEEK | right::TELL);
    assert_eq!(guest.read(file, 1), failed(Errno::Badf));
    assert_eq!(guest.write(file, b"x"), failed(Errno::Badf));
    assert_eq!(guest.seek(file, 0, 0), Ok(0));
    assert_eq!(set(&mut guest, file, rights, 0), failed(Errno::Notcapable));
    let result = set(&mut guest, file, 0, right::READ);
    assert_eq!(result, failed(Errno::Notcapable));
    assert_eq!(set(&mut guest, 99, 0, 0), failed(Errno::Badf));
}

#[test]
fn a_descriptor_has_the_rights_that_were_asked_for() {
    let mut guest = Guest::new();
    let read = guest
        .path_open(ROOT, 0, "f", CREAT, right::READ | right::POLL, 0, 0)
        .unwrap();
    let write = guest
        .path_open(ROOT, 0, "f", 0, right::WRITE | right::POLL, 0, 0)
        .unwrap();
    assert_eq!(guest.write(read, b"x"), failed(Errno::Badf));
    assert_eq!(guest.write(write, b"x"), Ok(1));
    assert_eq!(guest.read(write, 1), failed(Errno::Badf));
    assert_eq!(guest.read(read, 2), Ok(b"x".to_vec()));
    assert_eq!(guest.pread(read, 1, 0), failed(Errno::Notcapable));
    for fd in [read, write] {
        let denied = failed(Errno::Notcapable);
        assert_eq!(guest.seek(fd, 0, 0), denied);
        assert_eq!(guest.tell(fd), failed(Errno::Notcapable));
        assert_eq!(guest.filestat(fd), failed(Errno::Notcapable));
        let (wasi, memory) = (&mut guest.wasi, &mut guest.memory);
        let results = [
            wasi.fd_advise(memory, fd, 0, 0, 0),
            wasi.fd_allocate(memory, fd, 0, 1),
            wasi.fd_sync(memory, fd),
            wasi.fd_datasync(memory, fd),
            wasi.fd_fdstat_set_flags(memory, fd, 0),
            wasi.fd_filestat_set_size(memory, fd, 0),
            wasi.fd_filestat_set_times(memory, fd, 0, 0, 0),
        ];
        assert_eq!(results, [failed(Errno::Notcapable); 7]);
    }
}

/// As other runtimes, whose callers name only what they look at.
#[test]
fn who_names_only_reading_or_writing_means_the_other_rights_too() {
    let mut guest = Guest::new();
    guest.mkdir(ROOT, "d").unwrap();
    let directory = guest.path_open(ROOT, 0, "d", DIRECTORY, 0, 0, 0).unwrap();
    guest.mkdir(directory, "e").unwrap();
    let read = right::READ;
    let file = guest.path_open(directory, 0, "f", CREAT, read, 0, 0);
    let file = file.unwrap();
    assert_eq!(guest.fdstat(file).unwrap().2, right::FILE & !right::WRITE);
    assert_eq!(guest.seek(file, 3, 0), Ok(3));
    assert_eq!(guest.write(file, b"x"), failed(Errno::Badf));
    // Never more than the directory passes on.
    set(&mut guest, directory, right::OPEN, read).unwrap();
    let file = guest.path_open(directory, 0, "f", 0, read, 0, 0).unwrap();
    assert_eq!(guest.fdstat(file).unwrap().2, read);
}

#[test]
fn seeking_includes_telling() {
    let mut guest = Guest::new();
    let tell = guest
        .path_open(ROOT, 0, "f", CREAT, right::TELL, 0, 0)
        .unwrap();
    assert_eq!(guest.tell(tell), Ok(0));
    assert_eq!(guest.seek(tell, 0, 1), Ok(0));
    assert_eq!(guest.seek(tell, 0, 0), failed(Errno::Notcapable));
    let seek = guest
        .path_open(ROOT, 0, "f", CREAT, right::SEEK, 0, 0)
        .unwrap();
    assert_eq!(guest.tell(seek), Ok(0));
    assert_eq!(guest.seek(seek, 3, 0), Ok(3));
}

#[test]
fn a_directory_passes_on_what_it_has() {
    let mut guest = Guest::new();
    guest.mkdir(ROOT, "d").unwrap();
    let base = right::OPEN | right::CREATE_FILE;
    let directory = guest
        .path_open(ROOT, 0, "d", DIRECTORY, base, right::READ, 0)
        .unwrap();
    assert_eq!(guest.fdstat(directory), Ok((3, 0, base, right::READ)));
    let open = |guest: &mut Guest, base, inheriting| {
        guest.path_open(directory, 0, "f", CREAT, base, inheriting, 0)
    };
    assert!(open(&mut guest, right::READ, right::READ).is_ok());
    let denied = failed(Errno::Notcapable);
    assert_eq!(open(&mut guest, right::READ | right::WRITE, 0), denied);
    assert_eq!(open(&mut guest, 0, right::WRITE), denied);
    assert_eq!(guest.mkdir(directory, "e"), failed(Errno::Notcapable));
    assert_eq!(guest.readdir(directory, 99, 0), failed(Errno::Notcapable));
    let result = guest.path_open(directory, 0, "f", TRUNC, 0, 0, 0);
    assert_eq!(result, denied);
    set(&mut guest, directory, right::OPEN, 0).unwrap();
    let result = guest.path_open(directory, 0, "g", CREAT, 0, 0, 0);
    assert_eq!(result, denied);
    set(&mut guest, directory, 0, 0).unwrap();
    assert_eq!(guest.path_open(directory, 0, "f", 0, 0, 0, 0), denied);
}

#[test]
fn rights_that_make_no_sense_are_dropped() {
    let mut guest = Guest::new();
    guest.mkdir(ROOT, "d").unwrap();
    let directory = guest
        .path_open(ROOT, 0, "d", DIRECTORY, right::SEEK, 0, 0)
        .unwrap();
    assert_eq!(guest.fdstat(directory).unwrap().2, 0);
    let file = guest
        .path_open(ROOT, 0, "f", CREAT, right::ALL, 0, 0)
        .unwrap();
    assert_eq!(guest.fdstat(file).unwrap().2, right::FILE);
}

#[test]
fn truncating_needs_the_right_to_set_the_size_of_paths() {
    let mut guest = Guest::new();
    guest.create(ROOT, "f", b"abc");
    let directory = guest.open_dir(ROOT, ".").unwrap();
    let (_, _, base, inheriting) = guest.fdstat(directory).unwrap();
    assert_ne!(base & right::PATH_FILESTAT_SET_SIZE, 0);
    let inheriting = inheriting & !right::FILESTAT_SET_SIZE;
    set(&mut guest, directory, base, inheriting).unwrap();
    guest.path_open(directory, 0, "f", TRUNC, 0, 0, 0).unwrap();
    let base = base & !right::PATH_FILESTAT_SET_SIZE;
    set(&mut guest, directory, base, inheriting).unwrap();
    let result = guest.path_open(directory, 0, "f", TRUNC, 0, 0, 0);
    assert_eq!(result, failed(Errno::Notcapable));
}
