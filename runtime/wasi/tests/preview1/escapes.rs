//! No path leads out of the directories that a job was given.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use wherry_wasi::Errno;

use crate::guest::{CREAT, DATA, FOLLOW, Guest, ROOT, failed, right};

/// A guest with a secret beside its scratch directory, and paths that would lead to it.
fn guest_with_secret() -> (Guest, String) {
    let guest = Guest::new();
    let outside = tempfile::tempdir().unwrap().keep();
    fs::write(outside.join("secret"), b"secret").unwrap();
    let outside = outside.to_str().unwrap().to_owned();
    (guest, outside)
}

#[test]
fn every_function_on_paths_stays_inside() {
    let (mut guest, outside) = guest_with_secret();
    let climb = "../".repeat(40);
    guest.mkdir(ROOT, "d").unwrap();
    guest.create(ROOT, "f", b"");
    // Put there from outside: the guest cannot create them itself.
    symlink(&outside, guest.scratch().join("absolute")).unwrap();
    symlink(
        format!("{climb}{}", &outside[1..]),
        guest.scratch().join("relative"),
    )
    .unwrap();
    symlink("..", guest.scratch().join("d/parent")).unwrap();
    let paths = [
        format!("{outside}/secret"),
        format!("{climb}{outside}/secret"),
        "absolute/secret".to_owned(),
        "relative/secret".to_owned(),
        "d/parent/parent/../../x".to_owned(),
        "d/parent/../x".to_owned(),
        "..".to_owned(),
        "/".to_owned(),
        "d/../../x".to_owned(),
    ];
    for path in &paths {
        let perm = |errno| errno == failed(Errno::Perm);
        let unit = |outcome: crate::guest::Outcome<()>| outcome == failed(Errno::Perm);
        // The one that stays inside until a component that does not exist.
        if path.starts_with("d/parent/parent") {
            assert!(guest.open(ROOT, path, CREAT).is_err());
            continue;
        }
        assert!(perm(guest.open(ROOT, path, 0)), "open {path}");
        assert!(perm(guest.open(ROOT, path, CREAT)), "create {path}");
        assert!(guest.path_filestat(ROOT, FOLLOW, path) == failed(Errno::Perm));
        assert!(guest.path_filestat(ROOT, 0, path) == failed(Errno::Perm));
        assert!(unit(guest.mkdir(ROOT, path)), "mkdir {path}");
        assert!(guest.rmdir(ROOT, path).is_err(), "rmdir {path}");
        assert!(guest.unlink(ROOT, path).is_err(), "unlink {path}");
        assert!(unit(guest.symlink("t", ROOT, path)), "symlink {path}");
        assert!(guest.readlink(ROOT, path, 9) == failed(Errno::Perm));
        assert!(guest.link(ROOT, path, ROOT, "l").is_err(), "link {path}");
        assert!(guest.link(ROOT, "f", ROOT, path).is_err(), "link to {path}");
        assert!(guest.rename(ROOT, path, ROOT, "r").is_err());
        assert!(guest.rename(ROOT, "f", ROOT, path).is_err());
        assert!(unit(guest.path_set_times(ROOT, FOLLOW, path, (0, 0), 4)));
    }
    let outside = std::path::Path::new(&outside);
    assert_eq!(fs::read(outside.join("secret")).unwrap(), b"secret");
    assert_eq!(fs::read_dir(outside).unwrap().count(), 1);
    assert_eq!(
        guest.names(ROOT),
        [".", "..", "absolute", "d", "f", "relative"]
    );
    fs::remove_dir_all(outside).unwrap();
}

#[test]
fn links_out_of_the_directory_are_not_followed_or_read() {
    let (mut guest, outside) = guest_with_secret();
    symlink(format!("{outside}/secret"), guest.scratch().join("link")).unwrap();
    assert_eq!(guest.open(ROOT, "link", 0), failed(Errno::Perm));
    assert_eq!(
        guest.path_filestat(ROOT, FOLLOW, "link"),
        failed(Errno::Perm)
    );
    assert_eq!(guest.readlink(ROOT, "link", 99), failed(Errno::Perm));
    assert_eq!(guest.symlink(&outside, ROOT, "new"), failed(Errno::Perm));
    // A relative one may be created: it is the following that is refused.
    guest.symlink("../x", ROOT, "up").unwrap();
    assert_eq!(guest.open(ROOT, "up", CREAT), failed(Errno::Perm));
    fs::remove_dir_all(outside).unwrap();
}

#[test]
fn a_subdirectory_is_a_root_of_its_own() {
    let mut guest = Guest::new();
    guest.mkdir(ROOT, "d").unwrap();
    guest.create(ROOT, "f", b"");
    let directory = guest.open_dir(ROOT, "d").unwrap();
    assert_eq!(guest.open(directory, "../f", 0), failed(Errno::Perm));
    guest.symlink("../f", ROOT, "d/link").unwrap();
    assert_eq!(guest.open(directory, "link", 0), failed(Errno::Perm));
    assert!(guest.open(ROOT, "d/link", 0).is_ok());
}

#[test]
fn mounts_do_not_reach_each_other() {
    let mut guest = Guest::new();
    crate::guest::put(&guest.host.data, "f", b"data");
    let name = guest.host.data.path().file_name().unwrap();
    let path = format!("../{}/f", name.to_str().unwrap());
    assert_eq!(guest.open(ROOT, &path, 0), failed(Errno::Perm));
    assert!(guest.open(DATA, "f", 0).is_ok());
}

/// While a thread exchanges a directory with a link that leads out, the guest must see its
/// own file or an error.
#[test]
fn a_race_with_a_link_does_not_lead_out() {
    let (mut guest, outside) = guest_with_secret();
    let scratch = guest.scratch().to_owned();
    fs::create_dir(scratch.join("real")).unwrap();
    fs::write(scratch.join("real/secret"), b"harmless").unwrap();
    symlink(&outside, scratch.join("bad")).unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for (from, to) in [("real", "d"), ("d", "real"), ("bad", "d"), ("d", "bad")] {
                    fs::rename(scratch.join(from), scratch.join(to)).unwrap();
                }
            }
        });
        for _ in 0..2000 {
            let opened = guest.path_open(ROOT, FOLLOW, "d/secret", 0, right::READ, 0, 0);
            if let Ok(file) = opened {
                assert_eq!(guest.read(file, 20), Ok(b"harmless".to_vec()));
                guest.close(file).unwrap();
            }
            let _ = guest.unlink(ROOT, "d/secret-that-is-not-there");
            let _ = guest.mkdir(ROOT, "d/created");
            let _ = guest.rmdir(ROOT, "d/created");
        }
        stop.store(true, Ordering::Relaxed);
    });
    let outside = std::path::Path::new(&outside);
    assert_eq!(fs::read_dir(outside).unwrap().count(), 1);
    fs::remove_dir_all(outside).unwrap();
}
