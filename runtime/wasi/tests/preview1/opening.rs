//! `path_open`.

use wherry_wasi::Errno;

use crate::guest::{CREAT, DIRECTORY, EXCL, FOLLOW, Guest, NONBLOCK, ROOT, TRUNC, failed, right};

#[test]
fn files_are_created_exclusively_or_not() {
    let mut guest = Guest::new();
    assert_eq!(guest.open(ROOT, "f", 0), failed(Errno::Noent));
    guest.open(ROOT, "f", CREAT | EXCL).unwrap();
    assert_eq!(guest.open(ROOT, "f", CREAT | EXCL), failed(Errno::Exist));
    let file = guest.open(ROOT, "f", CREAT).unwrap();
    guest.write(file, b"content").unwrap();
    // Without any right, and only to read.
    for rights in [0, right::READ] {
        guest.path_open(ROOT, 0, "f", CREAT, rights, 0, 0).unwrap();
        guest
            .path_open(ROOT, 0, &format!("new{rights}"), CREAT, rights, 0, 0)
            .unwrap();
    }
    assert_eq!(guest.content(ROOT, "f"), b"content");
    guest.path_open(ROOT, 0, "f", TRUNC, 0, 0, 0).unwrap();
    assert_eq!(guest.content(ROOT, "f"), b"");
}

#[test]
fn a_truncated_file_can_be_read() {
    let mut guest = Guest::new();
    guest.create(ROOT, "f", b"content");
    let file = guest.open(ROOT, "f", CREAT | TRUNC).unwrap();
    assert_eq!(guest.read(file, 10), Ok(Vec::new()));
    assert_eq!(guest.write(file, b"x"), Ok(1));
}

#[test]
fn a_file_is_no_directory() {
    let mut guest = Guest::new();
    guest.create(ROOT, "f", b"");
    assert_eq!(guest.open_dir(ROOT, "f"), failed(Errno::Notdir));
    for path in ["f/", "f///", "f/."] {
        assert_eq!(guest.open(ROOT, path, 0), failed(Errno::Notdir));
    }
    assert_eq!(guest.open(ROOT, "f/g", CREAT), failed(Errno::Notdir));
    let file = guest.open(ROOT, "f", 0).unwrap();
    assert_eq!(guest.open(file, "g", CREAT), failed(Errno::Notdir));
    assert_eq!(guest.mkdir(file, "g"), failed(Errno::Notdir));
    assert_eq!(guest.open(1, "g", CREAT), failed(Errno::Notdir));
}

#[test]
fn a_directory_is_opened_to_be_read() {
    let mut guest = Guest::new();
    guest.mkdir(ROOT, "d").unwrap();
    for path in ["d", "d/", "d///", ".", "d/.."] {
        let directory = guest.path_open(ROOT, 0, path, 0, 0, 0, 0).unwrap();
        assert_eq!(guest.fdstat(directory).unwrap().0, 3);
    }
    let open = |guest: &mut Guest, oflags, rights| {
        guest.path_open(ROOT, FOLLOW, "d", oflags, rights, 0, NONBLOCK)
    };
    assert!(open(&mut guest, DIRECTORY, right::READ).is_ok());
    for oflags in [0, DIRECTORY] {
        let result = open(&mut guest, oflags, right::READ | right::WRITE);
        assert_eq!(result, failed(Errno::Isdir));
    }
    for oflags in [CREAT, EXCL, TRUNC] {
        let result = open(&mut guest, DIRECTORY | oflags, 0);
        assert_eq!(result, failed(Errno::Inval));
    }
    assert_eq!(open(&mut guest, CREAT | EXCL, 0), failed(Errno::Exist));
    assert_eq!(open(&mut guest, CREAT, 0), failed(Errno::Isdir));
    assert_eq!(open(&mut guest, TRUNC, 0), failed(Errno::Isdir));
}

#[test]
fn flags_without_meaning_are_refused() {
    let mut guest = Guest::new();
    let open = |guest: &mut Guest, lookup, oflags, flags| {
        guest.path_open(ROOT, lookup, "f", oflags, 0, 0, flags)
    };
    assert_eq!(open(&mut guest, 2, CREAT, 0), failed(Errno::Inval));
    assert_eq!(open(&mut guest, 0, 16 | CREAT, 0), failed(Errno::Inval));
    assert_eq!(open(&mut guest, 0, CREAT, 32), failed(Errno::Inval));
    assert_eq!(guest.names(ROOT), [".", ".."]);
    // Synchronised writing, of both kinds and for reading.
    for flags in [2, 8, 16] {
        assert!(open(&mut guest, 0, CREAT, flags).is_ok());
    }
}

#[test]
fn paths_are_resolved_by_component() {
    let mut guest = Guest::new();
    guest.mkdir(ROOT, "dir").unwrap();
    guest.mkdir(ROOT, "dir/nested").unwrap();
    guest.create(ROOT, "dir/nested/file", b"");
    let path = "dir/.//nested/../../dir/nested/../nested///./file";
    assert!(guest.open(ROOT, path, 0).is_ok());
    assert_eq!(guest.open(ROOT, "", 0), failed(Errno::Noent));
    assert_eq!(guest.open(ROOT, "dir\0", 0), failed(Errno::Inval));
    assert_eq!(guest.open(ROOT, "dir/x/../nested", 0), failed(Errno::Noent));
    let long = "x".repeat(256);
    assert_eq!(guest.open(ROOT, &long, CREAT), failed(Errno::Nametoolong));
    let long = "x/".repeat(3000);
    assert_eq!(guest.open(ROOT, &long, CREAT), failed(Errno::Nametoolong));
}

#[test]
fn paths_are_utf8() {
    let mut guest = Guest::new();
    guest.memory[0..3].copy_from_slice(b"a\xff\xfe");
    let (wasi, memory) = (&mut guest.wasi, &mut guest.memory);
    assert_eq!(
        wasi.path_create_directory(memory, ROOT, 0, 3),
        failed(Errno::Ilseq)
    );
    guest.create(ROOT, "grüße 日本", b"x");
    assert_eq!(guest.content(ROOT, "grüße 日本"), b"x");
}
