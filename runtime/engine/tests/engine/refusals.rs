//! What is refused, and that the message names it.

use std::fs;
use std::io::Cursor;
use std::os::unix::fs::PermissionsExt;

use crate::common::{Captured, checkpoint, command, module, reader, start};
use wherry_engine::{Control, Engine, EngineConfig, Error, Job, Module, Mount, Outcome, Settings};
use wherry_snapshot::Reader;

const LOOP: &str = include_str!("../programs/loop.wat");

fn refused_start(module: &Module) -> String {
    let control = Control::new().expect("a control");
    let job = Job::start(module, command(), Captured::default().settings(), &control);
    job.err().expect("it is refused").to_string()
}

fn stopped(settings: Settings) -> Vec<u8> {
    let mut job = start(
        &module(LOOP),
        Settings {
            countdown: Some(20),
            ..settings
        },
    );
    job.run().expect("it runs");
    checkpoint(&mut job)
}

fn refused_resume(module: &Module, file: &[u8]) -> String {
    let control = Control::new().expect("a control");
    let settings = Captured::default().settings();
    let job = match Reader::open(Cursor::new(file)) {
        Ok(reader) => Job::resume(module, &reader, settings, &control),
        Err(error) => Err(error.into()),
    };
    job.err().expect("it is refused").to_string()
}

#[test]
fn modules_that_cannot_run_are_refused_by_name() {
    let unknown = module("(module (import \"env\" \"magic\" (func)) (func (export \"_start\")))");
    assert!(refused_start(&unknown).contains("`env.magic`"));
    let wide = module(
        "(module
            (import \"wasi_snapshot_preview1\" \"fd_write\"
                (func (param i32 i64 i64 i64) (result i32)))
            (memory (export \"memory\") i64 1)
            (func (export \"_start\")))",
    );
    let message = refused_start(&wide);
    assert!(
        message.contains("`wasi_snapshot_preview1::fd_write`") && message.contains("types"),
        "{message}"
    );
    let nothing = module("(module)");
    assert!(refused_start(&nothing).contains("`_start`"));
    let wrong = module("(module (func (export \"_start\") (param i32)))");
    assert!(refused_start(&wrong).contains("`_start`"));
    let huge = module("(module (table 4000000000 funcref) (func (export \"_start\")))");
    assert!(
        refused_start(&huge).contains("table"),
        "{}",
        refused_start(&huge)
    );
}

#[test]
fn bytes_that_are_no_module_are_refused() {
    let engine = Engine::new(EngineConfig::default()).expect("an engine");
    let text = "(module (func (export \"_start\") (loop (nop))))";
    let valid = wat::parse_str(text).expect("valid text");
    for length in 0..valid.len() {
        let module = engine.load(valid[..length].to_vec());
        assert!(!refused_start(&module).is_empty(), "{length} bytes");
    }
}

#[test]
fn a_checkpoint_of_another_module_is_refused() {
    let file = stopped(Captured::default().settings());
    let message = refused_resume(&module(include_str!("../programs/fib.wat")), &file);
    assert!(message.contains("is of module sha256:"), "{message}");
}

#[test]
fn a_truncated_checkpoint_is_refused() {
    let (module, file) = (module(LOOP), stopped(Captured::default().settings()));
    for length in 0..file.len() {
        assert!(!refused_resume(&module, &file[..length]).is_empty());
    }
}

#[test]
fn a_flipped_bit_is_refused() {
    let (module, file) = (module(LOOP), stopped(Captured::default().settings()));
    for byte in 0..file.len() {
        let mut flipped = file.clone();
        flipped[byte] ^= 1 << (byte % 8);
        assert!(!refused_resume(&module, &flipped).is_empty(), "byte {byte}");
    }
}

#[test]
fn a_missing_directory_is_refused_by_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let mount = Mount {
        host: directory.path().to_owned(),
        guest: "/data".to_owned(),
        read_only: false,
    };
    let settings = Captured::default().settings();
    let file = stopped(Settings {
        mounts: vec![mount.clone()],
        ..settings
    });
    assert!(refused_resume(&module(LOOP), &file).contains("\"/data\", writable"));

    let control = Control::new().expect("a control");
    let resume = |mount| {
        let settings = Settings {
            mounts: vec![mount],
            ..Captured::default().settings()
        };
        Job::resume(&module(LOOP), &reader(&file), settings, &control)
    };
    let read_only = Mount {
        read_only: true,
        ..mount.clone()
    };
    assert!(matches!(
        resume(read_only).err(),
        Some(Error::MissingMount { .. })
    ));
    assert_eq!(
        resume(mount).expect("it resumes").run().expect("it runs"),
        Outcome::Exited(0)
    );
}

#[test]
fn a_damaged_cache_entry_is_compiled_anew() {
    let directory = tempfile::tempdir().expect("a directory");
    let cache = directory.path().join("cache");
    let run = || {
        let config = EngineConfig {
            cache_dir: Some(cache.clone()),
            ..EngineConfig::default()
        };
        let engine = Engine::new(config).expect("an engine");
        let module = engine.load(wat::parse_str(LOOP).expect("valid text"));
        assert_eq!(
            start(&module, Captured::default().settings())
                .run()
                .expect("it runs"),
            Outcome::Exited(0)
        );
    };
    let entry = || {
        let mut entries = fs::read_dir(&cache).expect("a directory");
        entries.next().expect("an entry").expect("an entry").path()
    };
    run();
    let valid = fs::read(entry()).expect("an entry");
    for byte in [0, 20, 45, valid.len() / 2, valid.len() - 1] {
        let mut flipped = valid.clone();
        flipped[byte] ^= 1;
        fs::write(entry(), &flipped).expect("it can be written");
        run();
        assert_ne!(fs::read(entry()).expect("an entry"), flipped, "byte {byte}");
    }
}

#[test]
fn a_cache_that_others_can_write_to_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).expect("it is ours");
    let config = EngineConfig {
        cache_dir: Some(directory.path().to_owned()),
        ..EngineConfig::default()
    };
    let error = Engine::new(config).err().expect("it is refused");
    assert!(
        error.to_string().contains("writable by its owner only"),
        "{error}"
    );
}

#[test]
fn a_file_is_replaced_as_a_whole_or_not_at_all() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("file");
    let write = |text: &'static str, fails: bool| {
        wherry_engine::write_atomically(&path, |file| {
            std::io::Write::write_all(file, text.as_bytes())?;
            if fails {
                Err(Error::NotStopped)
            } else {
                Ok(())
            }
        })
    };
    write("first", false).expect("it is written");
    write("second", true).expect_err("it fails");
    assert_eq!(fs::read_to_string(&path).expect("it is there"), "first");
    assert_eq!(
        fs::read_dir(directory.path()).expect("a directory").count(),
        1
    );
    write("third", false).expect("it is written");
    assert_eq!(fs::read_to_string(&path).expect("it is there"), "third");
}

#[test]
fn programs_that_import_no_paths_have_no_use_for_directories() {
    let uses_paths = |function: &str, params: &str| {
        module(&format!(
            "(module (import \"wasi_snapshot_preview1\" \"{function}\"
                (func (param {params}) (result i32))) (func (export \"_start\")))"
        ))
        .uses_paths()
    };
    assert!(uses_paths(
        "path_open",
        "i32 i32 i32 i32 i32 i64 i64 i32 i32"
    ));
    assert!(!uses_paths("fd_prestat_get", "i32 i32"));
}
