//! A job goes on elsewhere as if nothing had happened.

use std::fs;

use wherry_wasi::{ObjectState, RestoreError, SaveError, Wasi};

use crate::guest::{
    APPEND, Blobs, CREAT, DATA, FIXED, FOLLOW, Guest, NONBLOCK, ROOT, TRUNC, put, right,
};

#[test]
fn descriptors_keep_number_position_flags_and_rights() {
    let mut guest = Guest::new();
    let a = guest
        .path_open(ROOT, FOLLOW, "a", CREAT, right::FILE, 0, APPEND | NONBLOCK)
        .unwrap();
    guest.write(a, b"0123456789").unwrap();
    guest.seek(a, 3, 0).unwrap();
    let b = guest
        .path_open(ROOT, 0, "a", 0, right::READ | right::TELL, 0, 0)
        .unwrap();
    guest.read(b, 7).unwrap();
    guest.wasi.fd_renumber(&mut guest.memory, b, DATA).unwrap();
    let before = [a, DATA, ROOT, 0, 1].map(|fd| guest.fdstat(fd));
    let mut guest = guest.move_away();
    assert_eq!([a, DATA, ROOT, 0, 1].map(|fd| guest.fdstat(fd)), before);
    assert_eq!((guest.tell(a), guest.tell(DATA)), (Ok(3), Ok(7)));
    assert!(guest.fdstat(b).is_err());
    assert_eq!(guest.write(a, b"end"), Ok(3));
    assert_eq!(guest.read(DATA, 100), Ok(b"789end".to_vec()));
    assert!(guest.write(DATA, b"x").is_err());
}

#[test]
fn the_scratch_directory_travels() {
    let mut guest = Guest::new();
    guest.mkdir(ROOT, "d").unwrap();
    guest.mkdir(ROOT, "d/e").unwrap();
    guest.create(ROOT, "d/e/file", &vec![7; 100_000][..60_000]);
    guest.create(ROOT, "empty", b"");
    guest.create(ROOT, "d-", b"sorts between d and d/e");
    guest.symlink("d/e/file", ROOT, "link").unwrap();
    guest.symlink("../../gone", ROOT, "dangling").unwrap();
    let names = ["d", "d/e", "d/e/file", "empty", "d-", "link", "dangling"];
    for (index, name) in (1..).zip(names) {
        let times = (index * 1_000_000_001, index * 2_000_000_003);
        guest.path_set_times(ROOT, 0, name, times, 1 | 4).unwrap();
    }
    let look = |guest: &mut Guest| names.map(|name| guest.path_filestat(ROOT, 0, name).unwrap());
    let before = look(&mut guest);
    let old = guest.scratch().to_owned();
    let mut guest = guest.move_away();
    assert!(
        !old.exists(),
        "the old directory is gone, so nothing can come from it"
    );
    assert_eq!(look(&mut guest), before);
    assert_eq!(guest.content(ROOT, "link"), vec![7; 60_000]);
    assert_eq!(
        guest.readlink(ROOT, "dangling", 99),
        Ok(b"../../gone".to_vec())
    );
    assert_eq!(guest.content(ROOT, "d-"), b"sorts between d and d/e");
}

#[test]
fn hard_links_stay_one_file() {
    let mut guest = Guest::new();
    guest.mkdir(ROOT, "a").unwrap();
    guest.create(ROOT, "z", b"content");
    guest.link(ROOT, "z", ROOT, "a/link").unwrap();
    let file = guest.open(ROOT, "a/link", 0).unwrap();
    let mut guest = guest.move_away();
    let stat = guest.path_filestat(ROOT, 0, "z").unwrap();
    assert_eq!(stat.nlink, 2);
    assert_eq!(guest.path_filestat(ROOT, 0, "a/link"), Ok(stat));
    guest.write(file, b"CON").unwrap();
    assert_eq!(guest.content(ROOT, "z"), b"CONtent");
}

#[test]
fn unlinked_files_stay_open_and_shared() {
    let mut guest = Guest::new();
    let write = guest
        .path_open(ROOT, 0, "f", CREAT, right::WRITE, 0, 0)
        .unwrap();
    let both = guest.open(ROOT, "f", 0).unwrap();
    guest.write(write, b"0123456789").unwrap();
    guest.read(both, 4).unwrap();
    guest.unlink(ROOT, "f").unwrap();
    guest.create(ROOT, "f", b"another file");
    let id = guest.filestat(both).unwrap().ino;
    // Twice, as what was restored must be restorable.
    let guest = guest.move_away();
    let mut guest = guest.move_away();
    let stat = guest.filestat(both).unwrap();
    assert_eq!((stat.nlink, stat.size, stat.ino), (0, 10, id));
    assert_eq!(guest.write(write, b"ab"), Ok(2));
    assert_eq!(guest.read(both, 100), Ok(b"456789ab".to_vec()));
    assert_eq!(guest.content(ROOT, "f"), b"another file");
    assert_eq!(guest.names(ROOT), [".", "..", "f"]);
}

#[test]
fn an_unlinked_file_that_can_only_be_written_travels() {
    let mut guest = Guest::new();
    let file = guest
        .path_open(ROOT, 0, "f", CREAT, right::WRITE, 0, 0)
        .unwrap();
    guest.close(file).unwrap();
    let file = guest
        .path_open(ROOT, 0, "f", 0, right::WRITE | right::SEEK, 0, 0)
        .unwrap();
    guest.write(file, b"content").unwrap();
    guest.unlink(ROOT, "f").unwrap();
    let (state, _) = guest.save();
    assert_eq!(state.orphans.len(), 1);
    assert_eq!(state.orphans[0].content.as_ref().unwrap().len, 7);
    let mut guest = guest.move_away();
    assert_eq!(guest.seek(file, 0, 2), Ok(7));
}

#[test]
fn removed_directories_stay_open() {
    let mut guest = Guest::new();
    guest.mkdir(ROOT, "d").unwrap();
    let directory = guest.open_dir(ROOT, "d").unwrap();
    guest.rmdir(ROOT, "d").unwrap();
    let mut guest = guest.move_away();
    assert_eq!(guest.fdstat(directory).unwrap().0, 3);
    assert!(guest.open(directory, "f", CREAT).is_err());
    assert_eq!(guest.names(ROOT), [".", ".."]);
}

#[test]
fn moved_and_replaced_files_are_found() {
    let mut guest = Guest::new();
    guest.mkdir(ROOT, "d").unwrap();
    guest.create(ROOT, "d/f", b"first");
    let file = guest.open(ROOT, "d/f", 0).unwrap();
    let directory = guest.open_dir(ROOT, "d").unwrap();
    guest.rename(ROOT, "d", ROOT, "e").unwrap();
    guest.rename(ROOT, "e/f", ROOT, "g").unwrap();
    guest.mkdir(ROOT, "d").unwrap();
    guest.create(ROOT, "d/f", b"second");
    // Renamed behind the job's back.
    let path = guest.scratch();
    fs::rename(path.join("g"), path.join("h")).unwrap();
    let mut guest = guest.move_away();
    assert_eq!(guest.pread(file, 9, 0), Ok(b"first".to_vec()));
    guest.pwrite(file, b"FIRST", 0).unwrap();
    assert_eq!(guest.content(ROOT, "h"), b"FIRST");
    guest.create(directory, "new", b"");
    assert_eq!(guest.path_filestat(ROOT, 0, "e/new").unwrap().size, 0);
}

#[test]
fn a_listing_goes_on_where_it_was() {
    let mut guest = Guest::new();
    for number in 0..20 {
        guest.create(ROOT, &format!("f{number:02}"), b"");
    }
    let (entries, _) = guest.readdir(ROOT, 200, 0).unwrap();
    let last = entries.last().unwrap().clone();
    guest.create(ROOT, "f00a", b"");
    guest.unlink(ROOT, "f19").unwrap();
    let (expected, _) = guest.readdir(ROOT, 4096, last.next).unwrap();
    let mut guest = guest.move_away();
    let (rest, more) = guest.readdir(ROOT, 4096, last.next).unwrap();
    assert!(!more);
    let names = |entries: &[crate::guest::Entry]| {
        let names = entries.iter().map(|entry| entry.name.clone());
        names.collect::<Vec<_>>()
    };
    assert_eq!(names(&rest), names(&expected));
    // All but the one that is gone are the files they were.
    assert_eq!(rest[..rest.len() - 1], expected[..rest.len() - 1]);
}

#[test]
fn identities_survive_and_do_not_collide() {
    let mut guest = Guest::new();
    guest.create(ROOT, "a", b"");
    guest.create(ROOT, "b", b"");
    let before = ["a", "b", "."].map(|name| guest.path_filestat(ROOT, 0, name).unwrap());
    let guest = guest.move_away();
    let mut guest = guest.move_away();
    let after = ["a", "b", "."].map(|name| guest.path_filestat(ROOT, 0, name).unwrap());
    let ids = |stats: [crate::guest::Stat; 3]| stats.map(|stat| (stat.dev, stat.ino));
    assert_eq!(ids(after), ids(before));
    for number in 0..50 {
        guest.create(ROOT, &format!("new{number}"), b"");
        let stat = guest
            .path_filestat(ROOT, 0, &format!("new{number}"))
            .unwrap();
        assert_eq!(stat.dev, before[0].dev);
        assert!(!ids(before).contains(&(stat.dev, stat.ino)));
    }
}

#[test]
fn random_numbers_go_on() {
    let mut guest = Guest::new();
    guest.wasi.random_get(&mut guest.memory, 0, 13).unwrap();
    let (state, blobs) = guest.save();
    guest.wasi.random_get(&mut guest.memory, 0, 32).unwrap();
    let expected = guest.memory[..32].to_vec();
    let host = crate::guest::Host::new();
    let mut config = host.config();
    config.seed = [0; 32];
    guest.wasi = Wasi::restore(&state, config, &blobs).unwrap();
    guest.wasi.random_get(&mut guest.memory, 0, 32).unwrap();
    assert_eq!(guest.memory[..32], expected);
}

#[test]
fn saving_changes_nothing_and_says_the_same_twice() {
    let mut guest = Guest::new();
    let file = guest.open(ROOT, "f", CREAT).unwrap();
    guest.write(file, b"0123456789").unwrap();
    guest.seek(file, 5, 0).unwrap();
    let gone = guest.open(ROOT, "gone", CREAT).unwrap();
    guest.write(gone, b"abc").unwrap();
    guest.unlink(ROOT, "gone").unwrap();
    let (mut first, _) = guest.save();
    let (second, _) = guest.save();
    first.clocks = second.clocks;
    assert_eq!(first, second);
    assert_eq!(guest.read(file, 10), Ok(b"56789".to_vec()));
    assert_eq!(guest.tell(gone), Ok(3));
}

#[test]
fn files_of_the_host_are_opened_again() {
    let mut guest = Guest::new();
    put(&guest.host.data, "log", b"before ");
    put(&guest.host.fixed, "input", b"0123456789");
    let log = guest
        .path_open(DATA, 0, "log", 0, right::FILE, 0, APPEND)
        .unwrap();
    let input = guest
        .path_open(FIXED, 0, "input", 0, right::READ, 0, 0)
        .unwrap();
    guest.write(log, b"saved ").unwrap();
    guest.read(input, 4).unwrap();
    let (state, blobs) = guest.save();
    assert_eq!(state.scratch.len(), 1, "nothing of the mounts travels");
    guest.write(log, b"lost").unwrap();
    guest.host.scratch = tempfile::tempdir().unwrap();
    guest.wasi = Wasi::restore(&state, guest.host.config(), &blobs).unwrap();
    assert_eq!(guest.content(DATA, "log"), b"before saved ");
    guest.write(log, b"again").unwrap();
    assert_eq!(guest.content(DATA, "log"), b"before saved again");
    assert_eq!(guest.read(input, 100), Ok(b"456789".to_vec()));
}

#[test]
fn a_deleted_file_of_the_host_travels() {
    let mut guest = Guest::new();
    put(&guest.host.fixed, "f", b"0123456789");
    let file = guest
        .path_open(FIXED, 0, "f", 0, right::READ, 0, 0)
        .unwrap();
    guest.read(file, 5).unwrap();
    fs::remove_file(guest.host.fixed.path().join("f")).unwrap();
    let mut guest = guest.move_away();
    assert_eq!(guest.read(file, 100), Ok(b"56789".to_vec()));
    assert_eq!(guest.names(ROOT), [".", ".."]);
}

#[test]
fn without_a_place_for_a_deleted_file_saving_is_refused() {
    let host = crate::guest::Host::new();
    put(&host.fixed, "f", b"");
    let mut config = host.config();
    config.scratch = None;
    let mut guest = Guest::with(host, config);
    guest
        .path_open(FIXED, 0, "f", 0, right::READ, 0, 0)
        .unwrap();
    fs::remove_file(guest.host.fixed.path().join("f")).unwrap();
    let result = guest.wasi.save(&mut Blobs::default());
    assert!(matches!(result, Err(SaveError::Homeless { path }) if path == "/fixed/f"));
}

#[test]
fn what_cannot_move_is_named() {
    let mut guest = Guest::new();
    let socket = guest.scratch().join("socket");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let result = guest.wasi.save(&mut Blobs::default());
    assert!(matches!(result, Err(SaveError::Special { path }) if path == "socket"));
    fs::remove_file(socket).unwrap();
    drop(listener);
    let mut directory = ROOT;
    let name = "x".repeat(200);
    for _ in 0..25 {
        guest.mkdir(directory, &name).unwrap();
        directory = guest.open_dir(directory, &name).unwrap();
    }
    let result = guest.wasi.save(&mut Blobs::default());
    assert!(matches!(result, Err(SaveError::TooDeep { .. })));
}

#[test]
fn a_pipe_of_the_host_is_opened_again() {
    let mut guest = Guest::new();
    let path = guest.host.data.path().join("fifo");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, mode).unwrap();
    let fifo = guest
        .path_open(DATA, 0, "fifo", 0, right::READ, 0, 0)
        .unwrap();
    let mut guest = guest.move_away();
    let mut writer = fs::OpenOptions::new().write(true).open(&path).unwrap();
    std::io::Write::write_all(&mut writer, b"x").unwrap();
    assert_eq!(guest.read(fifo, 9), Ok(b"x".to_vec()));
    // Without a name it is nowhere to be found again.
    fs::remove_file(path).unwrap();
    let result = guest.wasi.save(&mut Blobs::default());
    assert!(matches!(result, Err(SaveError::Special { path }) if path == "/data/fifo"));
}

#[test]
fn what_is_missing_or_smaller_is_named() {
    let mut guest = Guest::new();
    put(&guest.host.data, "f", b"0123456789");
    put(&guest.host.fixed, "g", b"0123456789");
    guest.open(DATA, "f", 0).unwrap();
    guest
        .path_open(FIXED, 0, "g", 0, right::READ, 0, 0)
        .unwrap();
    let (state, blobs) = guest.save();
    put(&guest.host.data, "f", b"longer than it was");
    put(&guest.host.fixed, "g", b"short");
    let error = guest.restore_error(&state, &blobs);
    let message = "\"/fixed/g\", which the job has open, had 10 bytes and has 5 here";
    assert_eq!(error.to_string(), message);
    // And the other one was not cut back.
    let kept = fs::read(guest.host.data.path().join("f")).unwrap();
    assert_eq!(kept, b"longer than it was");
    fs::remove_file(guest.host.fixed.path().join("g")).unwrap();
    let error = guest.restore_error(&state, &blobs);
    assert!(matches!(error, RestoreError::MissingFile { path, .. } if path == "/fixed/g"));
    fs::create_dir(guest.host.fixed.path().join("g")).unwrap();
    let error = guest.restore_error(&state, &blobs);
    assert!(matches!(error, RestoreError::ReplacedFile { path } if path == "/fixed/g"));
}

#[test]
fn directories_must_be_given_as_before() {
    let mut guest = Guest::new();
    let (state, blobs) = guest.save();
    let restore = |change: &dyn Fn(&mut wherry_wasi::WasiConfig)| {
        let host = crate::guest::Host::new();
        let mut config = host.config();
        change(&mut config);
        Wasi::restore(&state, config, &blobs).map(|_| ())
    };
    assert!(restore(&|_| {}).is_ok());
    let error = restore(&|config| drop(config.mounts.remove(0))).unwrap_err();
    assert!(matches!(error, RestoreError::MissingMount { guest } if guest == "/data"));
    let error = restore(&|config| config.mounts[0].read_only = true).unwrap_err();
    assert!(matches!(error, RestoreError::ReadOnlyMount { guest } if guest == "/data"));
    let error = restore(&|config| config.scratch = None).unwrap_err();
    assert!(matches!(error, RestoreError::MissingMount { guest } if guest == "/"));
    let error = restore(&|config| {
        let mut extra = config.mounts[0].clone();
        extra.guest = "/extra".to_owned();
        config.mounts.push(extra);
    });
    assert!(matches!(error, Err(RestoreError::UnknownMount { guest }) if guest == "/extra"));
    // More than before is given as it was.
    assert!(restore(&|config| config.mounts[1].read_only = false).is_ok());
    let error = restore(&|config| {
        let scratch = &config.scratch.as_ref().unwrap().host;
        fs::write(scratch.join("x"), b"").unwrap();
    });
    assert!(matches!(error, Err(RestoreError::ScratchNotEmpty)));
}

#[test]
fn a_forged_state_gains_nothing() {
    let mut guest = Guest::new();
    put(&guest.host.fixed, "f", b"fixed");
    let file = guest
        .path_open(FIXED, 0, "f", 0, right::READ, 0, 0)
        .unwrap();
    guest.create(ROOT, "a", b"");
    let (state, blobs) = guest.save();
    let mut forged = state.clone();
    let object = &mut forged.descriptors.get_mut(&file).unwrap().object;
    let ObjectState::File(saved) = object else {
        panic!("a file was saved as something else");
    };
    saved.write = true;
    let error = guest.restore_error(&forged, &blobs);
    assert!(matches!(error, RestoreError::Invalid { .. }));
    let mut forged = state.clone();
    let object = &mut forged.descriptors.get_mut(&file).unwrap().object;
    if let ObjectState::File(saved) = object {
        let path = b"../../../../etc/passwd".to_vec();
        saved.location = wherry_wasi::Location::Path { mount: 1, path };
    }
    let error = guest.restore_error(&forged, &blobs);
    assert!(matches!(error, RestoreError::MissingFile { .. }));
    for path in ["../a", "/a", "a/", "a//b", ".", "..", "b/../c"] {
        let mut forged = state.clone();
        let node = forged.scratch.get(b"a".as_slice()).unwrap().clone();
        forged.scratch.insert(path.into(), node);
        assert!(matches!(
            guest.restore_error(&forged, &blobs),
            RestoreError::Invalid { .. } | RestoreError::Scratch { .. }
        ));
    }
}

#[test]
fn input_from_a_file_goes_on_where_it_was() {
    let host = crate::guest::Host::new();
    put(&host.data, "input", b"0123456789");
    let open = |host: &crate::guest::Host| {
        let file = fs::File::open(host.data.path().join("input")).unwrap();
        let mut config = host.config();
        config.stdio.stdin = wherry_wasi::Input::Fd(file.into());
        config
    };
    let config = open(&host);
    let mut guest = Guest::with(host, config);
    guest.read(0, 4).unwrap();
    let (state, blobs) = guest.save();
    guest.host.scratch = tempfile::tempdir().unwrap();
    guest.wasi = Wasi::restore(&state, open(&guest.host), &blobs).unwrap();
    assert_eq!(guest.read(0, 100), Ok(b"456789".to_vec()));
}

#[test]
fn files_that_did_not_change_are_read_once() {
    let mut guest = Guest::new();
    let mut blobs = Blobs::default();
    guest.create(ROOT, "a", b"first");
    guest.create(ROOT, "b", b"second");
    let open = guest
        .path_open(ROOT, FOLLOW, "c", CREAT, right::FILE, 0, 0)
        .unwrap();
    guest.write(open, b"third").unwrap();
    let orphan = guest
        .path_open(ROOT, FOLLOW, "d", CREAT, right::FILE, 0, 0)
        .unwrap();
    guest.write(orphan, b"fourth").unwrap();
    guest.unlink(ROOT, "d").unwrap();
    assert_eq!(guest.save_again(&mut blobs), 4);
    assert_eq!(guest.save_again(&mut blobs), 0);

    // Whatever way a file is changed, and whether or not it is open still.
    guest.write(open, b"!").unwrap();
    assert_eq!(guest.save_again(&mut blobs), 1);
    guest.pwrite(orphan, b"F", 0).unwrap();
    assert_eq!(guest.save_again(&mut blobs), 1);
    let size = |guest: &mut Guest, size| {
        let memory = &mut guest.memory;
        guest.wasi.fd_filestat_set_size(memory, open, size).unwrap();
    };
    size(&mut guest, 2);
    assert_eq!(guest.save_again(&mut blobs), 1);
    guest
        .wasi
        .fd_allocate(&mut guest.memory, open, 0, 9)
        .unwrap();
    assert_eq!(guest.save_again(&mut blobs), 1);
    size(&mut guest, 3);
    guest.close(open).unwrap();
    assert_eq!(guest.save_again(&mut blobs), 1);
    let truncated = guest
        .path_open(ROOT, FOLLOW, "a", TRUNC, right::FILE, 0, 0)
        .unwrap();
    guest.close(truncated).unwrap();
    assert_eq!(guest.save_again(&mut blobs), 1);
    // Another file of the same name, and perhaps of the same number.
    guest.unlink(ROOT, "b").unwrap();
    guest.create(ROOT, "b", b"SECOND");
    assert_eq!(guest.save_again(&mut blobs), 1);
    fs::write(guest.scratch().join("b"), "by someone else").unwrap();
    assert_eq!(guest.save_again(&mut blobs), 1);

    // What was restored is known, unless it is open for writing.
    let mut guest = guest.move_with(&mut blobs);
    assert_eq!(guest.save_again(&mut blobs), 1);
    assert_eq!(guest.save_again(&mut blobs), 0);
    assert_eq!(guest.content(ROOT, "b"), b"by someone else");
}
