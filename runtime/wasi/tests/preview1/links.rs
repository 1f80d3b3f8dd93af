//! Symbolic and hard links.

use wherry_wasi::Errno;

use crate::guest::{CREAT, DIRECTORY, FOLLOW, Guest, ROOT, failed};

#[test]
fn symbolic_links_are_read_as_far_as_there_is_room() {
    let mut guest = Guest::new();
    guest.symlink("target", ROOT, "link").unwrap();
    assert_eq!(guest.readlink(ROOT, "link", 10), Ok(b"target".to_vec()));
    assert_eq!(guest.readlink(ROOT, "link", 4), Ok(b"targ".to_vec()));
    assert_eq!(guest.readlink(ROOT, "link", 0), Ok(Vec::new()));
    guest.create(ROOT, "f", b"");
    assert_eq!(guest.readlink(ROOT, "f", 4), failed(Errno::Inval));
    assert_eq!(guest.readlink(ROOT, "none", 4), failed(Errno::Noent));
    guest.mkdir(ROOT, "d").unwrap();
    guest.symlink("d", ROOT, "to-dir").unwrap();
    assert_eq!(guest.readlink(ROOT, "to-dir/", 4), failed(Errno::Inval));
}

#[test]
fn symbolic_links_are_followed_on_request() {
    let mut guest = Guest::new();
    guest.create(ROOT, "f", b"content");
    guest.mkdir(ROOT, "d").unwrap();
    guest.symlink("f", ROOT, "to-file").unwrap();
    guest.symlink("d", ROOT, "to-dir").unwrap();
    assert_eq!(guest.path_filestat(ROOT, 0, "to-file").unwrap().filetype, 7);
    let stat = guest.path_filestat(ROOT, FOLLOW, "to-file").unwrap();
    assert_eq!((stat.filetype, stat.size), (4, 7));
    assert_eq!(guest.content(ROOT, "to-file"), b"content");
    let no_follow = guest.path_open(ROOT, 0, "to-file", 0, 0, 0, 0);
    assert_eq!(no_follow, failed(Errno::Loop));
    let no_follow = guest.path_open(ROOT, 0, "to-dir", 0, 0, 0, 0);
    assert_eq!(no_follow, failed(Errno::Loop));
    let no_follow = guest.path_open(ROOT, 0, "to-dir", DIRECTORY, 0, 0, 0);
    assert!(no_follow == failed(Errno::Notdir) || no_follow == failed(Errno::Loop));
    assert!(guest.open_dir(ROOT, "to-dir").is_ok());
    assert_eq!(guest.open_dir(ROOT, "to-file"), failed(Errno::Notdir));
    // The ones on the way always are.
    guest.create(ROOT, "d/g", b"inner");
    assert!(guest.path_open(ROOT, 0, "to-dir/g", 0, 0, 0, 0).is_ok());
}

#[test]
fn dangling_and_circular_links() {
    let mut guest = Guest::new();
    guest.symlink("none", ROOT, "dangling").unwrap();
    assert_eq!(guest.open(ROOT, "dangling", 0), failed(Errno::Noent));
    let result = guest.path_open(ROOT, 0, "dangling", CREAT, 0, 0, 0);
    assert_eq!(result, failed(Errno::Loop));
    guest.symlink("circle", ROOT, "circle").unwrap();
    assert_eq!(guest.open(ROOT, "circle", 0), failed(Errno::Loop));
    assert_eq!(
        guest.path_filestat(ROOT, FOLLOW, "circle"),
        failed(Errno::Loop)
    );
    let result = guest.path_open(ROOT, 0, "circle", 0, 0, 0, 0);
    assert_eq!(result, failed(Errno::Loop));
    guest.unlink(ROOT, "circle").unwrap();
    // Creating through a link creates its target.
    let file = guest.open(ROOT, "dangling", CREAT).unwrap();
    guest.write(file, b"x").unwrap();
    assert_eq!(guest.content(ROOT, "none"), b"x");
}

#[test]
fn a_symbolic_link_needs_a_free_name() {
    let mut guest = Guest::new();
    assert_eq!(guest.symlink("t", ROOT, "link/"), failed(Errno::Noent));
    guest.mkdir(ROOT, "d").unwrap();
    guest.create(ROOT, "f", b"");
    for name in ["d", "d/", "f"] {
        assert_eq!(guest.symlink("t", ROOT, name), failed(Errno::Exist));
    }
    assert_eq!(guest.symlink("t", ROOT, "f/"), failed(Errno::Notdir));
    assert_eq!(guest.symlink("", ROOT, "e"), failed(Errno::Noent));
}

#[test]
fn hard_links_are_the_same_file() {
    let mut guest = Guest::new();
    guest.create(ROOT, "f", b"content");
    guest.mkdir(ROOT, "d").unwrap();
    let directory = guest.open_dir(ROOT, "d").unwrap();
    guest.link(ROOT, "f", directory, "link").unwrap();
    let stat = guest.path_filestat(ROOT, 0, "d/link").unwrap();
    assert_eq!(Ok(stat), guest.path_filestat(ROOT, 0, "f"));
    assert_eq!(stat.nlink, 2);
    for name in ["f", "d"] {
        assert_eq!(guest.link(ROOT, "f", ROOT, name), failed(Errno::Exist));
    }
    assert_eq!(guest.link(ROOT, "f", ROOT, "x/"), failed(Errno::Noent));
    assert_eq!(guest.link(ROOT, "d", ROOT, "x"), failed(Errno::Perm));
    assert_eq!(guest.link(ROOT, "f/", ROOT, "x"), failed(Errno::Notdir));
    assert_eq!(guest.link(ROOT, "none", ROOT, "x"), failed(Errno::Noent));
}

#[test]
fn hard_links_do_not_follow_symbolic_ones() {
    let mut guest = Guest::new();
    guest.symlink("none", ROOT, "dangling").unwrap();
    guest.link(ROOT, "dangling", ROOT, "link").unwrap();
    assert_eq!(guest.path_filestat(ROOT, 0, "link").unwrap().filetype, 7);
    let result = guest.link_with(ROOT, FOLLOW, "dangling", ROOT, "other");
    assert_eq!(result, failed(Errno::Inval));
}
