//! The descriptor table: close, renumber, prestat, fdstat.

use wherry_wasi::Errno;

use crate::guest::{APPEND, CREAT, DATA, FIXED, FOLLOW, Guest, NONBLOCK, ROOT, failed, right};

#[test]
fn preopened_directories_tell_their_names() {
    let mut guest = Guest::new();
    for (fd, name) in [(DATA, "/data"), (FIXED, "/fixed"), (ROOT, "/")] {
        guest.wasi.fd_prestat_get(&mut guest.memory, fd, 0).unwrap();
        let len = u32::try_from(name.len()).unwrap();
        assert_eq!((guest.memory[0], guest.u32_at(4)), (0, len));
        guest.memory[100..110].fill(b'x');
        // A buffer may be longer than the name.
        guest
            .wasi
            .fd_prestat_dir_name(&mut guest.memory, fd, 100, len + 1)
            .unwrap();
        assert_eq!(&guest.memory[100..100 + name.len()], name.as_bytes());
        assert_eq!(guest.memory[100 + name.len()], b'x');
        let short = guest
            .wasi
            .fd_prestat_dir_name(&mut guest.memory, fd, 100, len - 1);
        assert_eq!(short, failed(Errno::Nametoolong));
    }
}

#[test]
fn nothing_else_is_preopened() {
    let mut guest = Guest::new();
    let directory = guest.open_dir(ROOT, ".").unwrap();
    for fd in [0, 1, 2, directory, 99] {
        let result = guest.wasi.fd_prestat_get(&mut guest.memory, fd, 0);
        assert_eq!(result, failed(Errno::Badf));
        let result = guest
            .wasi
            .fd_prestat_dir_name(&mut guest.memory, fd, 0, 100);
        assert_eq!(result, failed(Errno::Badf));
    }
}

#[test]
fn the_lowest_free_number_is_opened() {
    let mut guest = Guest::new();
    assert_eq!(guest.open(ROOT, "a", CREAT), Ok(6));
    assert_eq!(guest.open(ROOT, "b", CREAT), Ok(7));
    guest.close(6).unwrap();
    assert_eq!(guest.open(ROOT, "c", CREAT), Ok(6));
    guest.close(0).unwrap();
    assert_eq!(guest.open(ROOT, "d", CREAT), Ok(0));
    assert_eq!(guest.open(ROOT, "e", CREAT), Ok(8));
}

#[test]
fn a_closed_number_is_no_descriptor() {
    let mut guest = Guest::new();
    guest.close(DATA).unwrap();
    assert_eq!(guest.close(DATA), failed(Errno::Badf));
    assert_eq!(guest.fdstat(DATA), failed(Errno::Badf));
    assert_eq!(guest.open(DATA, "x", CREAT), failed(Errno::Badf));
    assert_eq!(guest.read(DATA, 1), failed(Errno::Badf));
    assert_eq!(guest.write(DATA, b"x"), failed(Errno::Badf));
    assert_eq!(guest.seek(DATA, 0, 0), failed(Errno::Badf));
    assert_eq!(guest.close(u32::MAX), failed(Errno::Badf));
}

#[test]
fn renumbering_moves_onto_an_open_number() {
    let mut guest = Guest::new();
    let a = guest.open(ROOT, "a", CREAT).unwrap();
    let b = guest.open(ROOT, "b", CREAT).unwrap();
    guest.write(a, b"from a").unwrap();
    let before = guest.fdstat(a).unwrap();
    guest.wasi.fd_renumber(&mut guest.memory, a, b).unwrap();
    assert_eq!(guest.close(a), failed(Errno::Badf));
    assert_eq!(guest.fdstat(b), Ok(before));
    assert_eq!(guest.tell(b), Ok(6));
    let renumber = |guest: &mut Guest, from, to| {
        let memory = &mut guest.memory;
        guest.wasi.fd_renumber(memory, from, to)
    };
    assert_eq!(renumber(&mut guest, b, a), failed(Errno::Badf));
    assert_eq!(renumber(&mut guest, a, b), failed(Errno::Badf));
    assert_eq!(renumber(&mut guest, b, b), Ok(()));
    assert_eq!(guest.tell(b), Ok(6));
    // A preopened directory is a descriptor like any other.
    let stat = guest.filestat(b).unwrap();
    assert_eq!(renumber(&mut guest, b, DATA), Ok(()));
    assert_eq!(guest.filestat(DATA), Ok(stat));
}

#[test]
fn fdstat_tells_type_flags_and_rights() {
    let mut guest = Guest::new();
    let directory = guest.fdstat(ROOT).unwrap();
    assert_eq!((directory.0, directory.1), (3, 0));
    assert_eq!(directory.2 & (right::READ | right::WRITE | right::SEEK), 0);
    assert_eq!(directory.3, right::ALL);
    let rights = right::READ | right::SEEK;
    let file = guest
        .path_open(ROOT, 0, "f", CREAT, rights, 0, APPEND | NONBLOCK)
        .unwrap();
    assert_eq!(guest.fdstat(file), Ok((4, 5, rights, 0)));
}

#[test]
fn flags_can_be_changed_that_do_not_depend_on_the_open() {
    let mut guest = Guest::new();
    let file = guest
        .path_open(ROOT, FOLLOW, "f", CREAT, right::FILE, 0, APPEND)
        .unwrap();
    guest.write(file, b"one").unwrap();
    guest.seek(file, 0, 0).unwrap();
    guest.write(file, b"two").unwrap();
    assert_eq!(guest.content(ROOT, "f"), b"onetwo");
    let set = |guest: &mut Guest, fd, flags| {
        let memory = &mut guest.memory;
        guest.wasi.fd_fdstat_set_flags(memory, fd, flags)
    };
    set(&mut guest, file, 0).unwrap();
    assert_eq!(guest.fdstat(file).unwrap().1, 0);
    guest.seek(file, 0, 0).unwrap();
    guest.write(file, b"ONE").unwrap();
    assert_eq!(guest.content(ROOT, "f"), b"ONEtwo");
    set(&mut guest, file, APPEND | NONBLOCK).unwrap();
    guest.write(file, b"end").unwrap();
    assert_eq!(guest.content(ROOT, "f"), b"ONEtwoend");
    assert_eq!(set(&mut guest, file, 2), failed(Errno::Notsup));
    assert_eq!(set(&mut guest, file, 32), failed(Errno::Inval));
    assert_eq!(set(&mut guest, ROOT, NONBLOCK), failed(Errno::Isdir));
}
