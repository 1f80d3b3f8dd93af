//! Creating, removing and renaming.

use wherry_wasi::Errno;

use crate::guest::{CREAT, DATA, Guest, ROOT, failed};

#[test]
fn directories_are_created_and_removed() {
    let mut guest = Guest::new();
    guest.mkdir(ROOT, "d").unwrap();
    guest.mkdir(ROOT, "d/e/").unwrap();
    assert_eq!(guest.mkdir(ROOT, "d"), failed(Errno::Exist));
    assert_eq!(guest.mkdir(ROOT, "x/y"), failed(Errno::Noent));
    assert_eq!(guest.rmdir(ROOT, "d"), failed(Errno::Notempty));
    guest.rmdir(ROOT, "d/e/").unwrap();
    guest.rmdir(ROOT, "d").unwrap();
    assert_eq!(guest.rmdir(ROOT, "d"), failed(Errno::Noent));
    guest.create(ROOT, "f", b"");
    assert_eq!(guest.rmdir(ROOT, "f"), failed(Errno::Notdir));
    assert_eq!(guest.rmdir(ROOT, "f/"), failed(Errno::Notdir));
    assert_eq!(guest.mkdir(ROOT, "f/d"), failed(Errno::Notdir));
    assert_eq!(guest.mkdir(ROOT, "f"), failed(Errno::Exist));
}

#[test]
fn files_are_unlinked_and_directories_are_not() {
    let mut guest = Guest::new();
    guest.create(ROOT, "f", b"");
    guest.mkdir(ROOT, "d").unwrap();
    assert_eq!(guest.unlink(ROOT, "d"), failed(Errno::Isdir));
    assert_eq!(guest.unlink(ROOT, "d/"), failed(Errno::Isdir));
    assert_eq!(guest.unlink(ROOT, "f/"), failed(Errno::Notdir));
    guest.unlink(ROOT, "f").unwrap();
    assert_eq!(guest.unlink(ROOT, "f"), failed(Errno::Noent));
}

#[test]
fn an_unlinked_file_stays_open() {
    let mut guest = Guest::new();
    let file = guest.open(ROOT, "f", CREAT).unwrap();
    guest.write(file, b"still here").unwrap();
    guest.unlink(ROOT, "f").unwrap();
    guest.create(ROOT, "f", b"another");
    assert_eq!(guest.pread(file, 20, 0), Ok(b"still here".to_vec()));
    assert_eq!(guest.filestat(file).unwrap().nlink, 0);
}

#[test]
fn directories_are_renamed() {
    let mut guest = Guest::new();
    guest.mkdir(ROOT, "a").unwrap();
    guest.rename(ROOT, "a/", ROOT, "b").unwrap();
    guest.rename(ROOT, "b", ROOT, "c/").unwrap();
    guest.rename(ROOT, "c/", ROOT, "a/").unwrap();
    assert_eq!(guest.names(ROOT), [".", "..", "a"]);
    guest.mkdir(ROOT, "empty").unwrap();
    guest.rename(ROOT, "a", ROOT, "empty").unwrap();
    guest.mkdir(ROOT, "a").unwrap();
    guest.create(ROOT, "empty/f", b"");
    let result = guest.rename(ROOT, "a", ROOT, "empty");
    assert_eq!(result, failed(Errno::Notempty));
    let result = guest.rename(ROOT, "a", ROOT, "empty/f");
    assert_eq!(result, failed(Errno::Notdir));
    let result = guest.rename(ROOT, "empty", ROOT, "empty/inside");
    assert_eq!(result, failed(Errno::Inval));
    assert_eq!(guest.rename(ROOT, "x", ROOT, "y"), failed(Errno::Noent));
}

#[test]
fn files_are_renamed_over_files_only() {
    let mut guest = Guest::new();
    guest.create(ROOT, "a", b"a");
    guest.create(ROOT, "b", b"b");
    guest.rename(ROOT, "a", ROOT, "b").unwrap();
    assert_eq!(guest.content(ROOT, "b"), b"a");
    guest.mkdir(ROOT, "d").unwrap();
    assert_eq!(guest.rename(ROOT, "b", ROOT, "d"), failed(Errno::Isdir));
    assert_eq!(guest.rename(ROOT, "b/", ROOT, "c"), failed(Errno::Notdir));
    assert_eq!(guest.rename(ROOT, "b", ROOT, "c/"), failed(Errno::Notdir));
    let directory = guest.open_dir(ROOT, "d").unwrap();
    guest.rename(ROOT, "b", directory, "b").unwrap();
    guest.rename(directory, "b", DATA, "elsewhere").unwrap();
    assert_eq!(guest.content(DATA, "elsewhere"), b"a");
}
