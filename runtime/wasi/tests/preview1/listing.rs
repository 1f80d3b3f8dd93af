//! `fd_readdir`.

use wherry_wasi::Errno;

use crate::guest::{Guest, ROOT, failed};

fn many(guest: &mut Guest, count: usize) -> Vec<String> {
    let names: Vec<_> = (0..count)
        .map(|number| format!("file.{number:03}"))
        .collect();
    for name in &names {
        guest.create(ROOT, name, b"");
    }
    names
}

#[test]
fn dots_come_first_and_inodes_are_those_of_stat() {
    let mut guest = Guest::new();
    guest.create(ROOT, "f", b"");
    guest.mkdir(ROOT, "d").unwrap();
    guest.symlink("f", ROOT, "s").unwrap();
    let (entries, more) = guest.readdir(ROOT, 4096, 0).unwrap();
    assert!(!more);
    let names: Vec<_> = entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, [".", "..", "d", "f", "s"]);
    let types: Vec<_> = entries.iter().map(|entry| entry.filetype).collect();
    assert_eq!(types, [3, 3, 3, 4, 7]);
    for entry in entries.iter().filter(|entry| entry.name != "..") {
        let stat = guest.path_filestat(ROOT, 0, &entry.name).unwrap();
        assert_eq!(entry.ino, stat.ino);
    }
}

#[test]
fn a_small_buffer_is_filled_and_the_cookie_goes_on() {
    let mut guest = Guest::new();
    let names = many(&mut guest, 50);
    let mut found = Vec::new();
    let mut cookie = 0;
    loop {
        let (entries, more) = guest.readdir(ROOT, 100, cookie).unwrap();
        found.extend(entries.iter().map(|entry| entry.name.clone()));
        let Some(last) = entries.last().filter(|_| more) else {
            break;
        };
        cookie = last.next;
    }
    assert_eq!(&found[..2], [".", ".."]);
    assert_eq!(&found[2..], names);
}

#[test]
fn a_buffer_may_be_shorter_than_an_entry() {
    let mut guest = Guest::new();
    for room in [0, 1, 23, 24] {
        let (entries, full) = guest.readdir(ROOT, room, 0).unwrap();
        assert!(full && entries.is_empty());
    }
    let (entries, full) = guest.readdir(ROOT, 25, 0).unwrap();
    assert!(full && entries.len() == 1);
    assert_eq!(guest.readdir(ROOT, 100, 2), Ok((Vec::new(), false)));
    assert_eq!(guest.readdir(ROOT, 100, u64::MAX), Ok((Vec::new(), false)));
}

#[test]
fn cookies_stay_valid_while_entries_are_removed() {
    let mut guest = Guest::new();
    let names = many(&mut guest, 50);
    let mut cookie = 0;
    let mut removed = 0;
    loop {
        let (entries, more) = guest.readdir(ROOT, 200, cookie).unwrap();
        for entry in entries.iter().filter(|entry| !entry.name.starts_with("..")) {
            if entry.name != "." {
                guest.unlink(ROOT, &entry.name).unwrap();
                removed += 1;
            }
            cookie = entry.next;
        }
        if let Some(last) = entries.last() {
            cookie = last.next;
        }
        if !more {
            break;
        }
    }
    assert_eq!(removed, names.len());
    assert_eq!(guest.names(ROOT), [".", ".."]);
}

#[test]
fn the_beginning_shows_what_is_new() {
    let mut guest = Guest::new();
    assert_eq!(guest.names(ROOT), [".", ".."]);
    guest.create(ROOT, "f", b"");
    assert_eq!(guest.names(ROOT), [".", "..", "f"]);
}

#[test]
fn only_directories_are_listed() {
    let mut guest = Guest::new();
    let file = guest.open(ROOT, "f", 1).unwrap();
    assert_eq!(guest.readdir(file, 100, 0), failed(Errno::Notdir));
    assert_eq!(guest.readdir(1, 100, 0), failed(Errno::Notdir));
    assert_eq!(guest.readdir(99, 100, 0), failed(Errno::Badf));
}
