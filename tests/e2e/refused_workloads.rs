//! Modules, descriptions and stores that are damaged, hostile or missing: refused by name, with
//! the documented exit code, and nothing is changed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use wherry_tests::{Done, Home, Random, program};

const USAGE: i32 = 64;
const BAD_DATA: i32 = 65;
const NO_INPUT: i32 = 66;
const LARGEST_MODULE: u64 = 256 << 20;

fn module(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("valid text")
}

/// Runs a module that is to be refused, and packs it too.
#[track_caller]
fn refuses_module(content: &[u8], words: &[&str]) {
    let home = Home::new();
    let path = home.write("bad.wasm", content);
    refuses(&home, &["run", path.to_str().unwrap()], BAD_DATA, words);
    home.write(
        "workload.toml",
        "name = 'bad'\nversion = '1'\nmodule = 'bad.wasm'\n",
    );
    refuses(
        &home,
        &["pack", home.file("").to_str().unwrap()],
        BAD_DATA,
        words,
    );
}

/// The command is refused, and the home is as it was.
#[track_caller]
fn refuses(home: &Home, arguments: &[&str], code: i32, words: &[&str]) {
    let before = home.contents();
    home.wherry(arguments).expect_refusal(code, words);
    assert_eq!(names(&home.contents()), names(&before), "{arguments:?}");
    assert_eq!(home.contents(), before, "{arguments:?}");
}

fn names(files: &[(PathBuf, Vec<u8>)]) -> Vec<&Path> {
    files.iter().map(|(path, _)| path.as_path()).collect()
}

#[test]
fn files_that_are_no_modules() {
    refuses_module(b"", &["bad.wasm"]);
    refuses_module(b"#!/bin/sh\necho hello\n", &["bad.wasm"]);
    refuses_module(b"\0asm\x0d\0\x01\0", &["bad.wasm", "component"]);
    let whole = program("count");
    refuses_module(&whole[..whole.len() / 2], &["bad.wasm"]);
}

#[test]
fn modules_that_want_what_is_not_there() {
    let import = |import| {
        module(&format!(
            "(module {import} (memory (export \"memory\") 1) (func (export \"_start\")))"
        ))
    };
    refuses_module(
        &import("(import \"env\" \"missing\" (func))"),
        &["env", "missing"],
    );
    let other = "(import \"wasi_snapshot_preview1\" \"fd_write\" (func (param i64)))";
    refuses_module(&import(other), &["fd_write"]);
    refuses_module(
        &module("(module (memory (export \"memory\") 1))"),
        &["_start"],
    );
    let shared = "(module (memory (export \"memory\") 1 1 shared) (func (export \"_start\")))";
    refuses_module(&module(shared), &["threads"]);
    let large = "(module (memory (export \"memory\") i64 1) (func (export \"_start\")))";
    refuses_module(&module(large), &["memory64"]);
}

#[test]
fn a_module_larger_than_any_real_one_is_not_read() {
    let home = Home::new();
    let path = home.write("large.wasm", b"\0asm\x01\0\0\0");
    let file = File::options().write(true).open(&path).unwrap();
    file.set_len(LARGEST_MODULE + 1).unwrap();
    refuses(
        &home,
        &["run", path.to_str().unwrap()],
        BAD_DATA,
        &["large.wasm", "module"],
    );
}

/// Whatever a flipped bit makes of a program: it is refused, or it runs in its sandbox.
#[test]
fn flipped_bits_in_a_module_never_break_the_runtime() {
    let (home, good) = (Home::new(), program("count"));
    let mut random = Random::new();
    let mut refused = 0;
    for _ in 0..40 {
        let mut bad = good.clone();
        let at = random.below(bad.len() as u64);
        let bit = random.below(8);
        bad[usize::try_from(at).unwrap()] ^= 1 << bit;
        let path = home.write("bad.wasm", bad);
        let limits = ["run", "--wall-time=1s", "--memory=16MiB"];
        let done = home.wherry(limits.iter().chain(&[path.to_str().unwrap()]));
        let what = format!("bit {bit} of byte {at}: {}", done.stderr);
        assert!(!done.stderr.contains("panicked"), "{what}");
        assert!(!matches!(done.code, None | Some(70 | 101)), "{what}");
        refused += usize::from(done.code == Some(BAD_DATA));
    }
    assert!(refused > 0, "some are refused");
}

#[test]
fn what_is_not_there() {
    let home = Home::new();
    refuses(&home, &["run", "missing.wasm"], NO_INPUT, &["missing.wasm"]);
    refuses(
        &home,
        &["run", "team/missing:1"],
        NO_INPUT,
        &["team/missing:1"],
    );
    refuses(
        &home,
        &["rm", "team/missing:1"],
        NO_INPUT,
        &["team/missing:1"],
    );
    refuses(
        &home,
        &["resume", "missing.ckpt"],
        NO_INPUT,
        &["missing.ckpt"],
    );
    refuses(&home, &["resume", "12345678"], NO_INPUT, &["12345678"]);
    refuses(&home, &["pack", "missing"], NO_INPUT, &["missing"]);
}

#[test]
fn command_lines_that_make_no_sense() {
    let home = Home::new();
    let module = home.program("hello");
    let module = module.to_str().unwrap();
    refuses(&home, &["walk"], USAGE, &["walk"]);
    refuses(&home, &["run"], USAGE, &["Usage"]);
    for option in [
        "--memory=banana",
        "--cpu-time=soon",
        "--checkpoint-at=0",
        "--env=K",
    ] {
        let name = option.split('=').next().unwrap();
        refuses(&home, &["run", option, module], USAGE, &[name]);
    }
}

#[test]
fn descriptions_that_make_no_sense() {
    let good = "name = 'team/x'\nversion = '1'\nmodule = 'hello.wasm'\n";
    let cases: [(&str, &[&str]); 9] = [
        ("", &["name"]),
        ("name = ", &["workload.toml"]),
        (
            "name = 'UPPER'\nversion = '1'\nmodule = 'hello.wasm'\n",
            &["UPPER"],
        ),
        (
            "name = 'x'\nversion = 'a b'\nmodule = 'hello.wasm'\n",
            &["a b"],
        ),
        (&format!("{good}modul = 'x'\n"), &["modul"]),
        (
            &format!("{good}[limits]\nmemory = '3 bananas'\n"),
            &["memory", "3 bananas"],
        ),
        (
            &format!("{good}[limits]\ncpu_time = 'soon'\n"),
            &["cpu_time"],
        ),
        (
            &format!("{good}[[mounts]]\nguest = 'relative'\n"),
            &["relative"],
        ),
        (
            &format!("{good}# {}", "x".repeat(2 << 20)),
            &["workload.toml"],
        ),
    ];
    let home = Home::new();
    home.program("hello");
    let project = home.file("");
    for (text, words) in cases {
        home.write("workload.toml", text);
        let arguments = ["pack", project.to_str().unwrap()];
        refuses(
            &home,
            &arguments,
            BAD_DATA,
            &[words, &["workload.toml"]].concat(),
        );
    }
    home.write("workload.toml", good.replace("hello", "missing"));
    let arguments = ["pack", project.to_str().unwrap()];
    refuses(&home, &arguments, NO_INPUT, &["missing.wasm"]);
}

/// A home whose store has the program `hello` as `x:1`.
fn packed() -> Home {
    let home = Home::new();
    home.program("hello");
    home.write(
        "workload.toml",
        "name = 'x'\nversion = '1'\nmodule = 'hello.wasm'\n",
    );
    home.wherry(["pack", home.file("").to_str().unwrap()])
        .expect(0);
    assert_eq!(run(&home).expect(0).text(), "hello\n");
    home
}

fn run(home: &Home) -> Done {
    home.wherry(["run", "x:1"])
}

/// The manifest, the config and the module, each damaged in each way.
#[test]
fn damaged_blobs_of_the_store() {
    let home = packed();
    let blobs = fs::read_dir(home.directory().join("store/blobs/sha256")).unwrap();
    let blobs: Vec<PathBuf> = blobs.map(|blob| blob.unwrap().path()).collect();
    assert_eq!(blobs.len(), 3);
    for blob in blobs {
        let digest = blob.file_name().unwrap().to_str().unwrap();
        let good = fs::read(&blob).unwrap();
        let mut flipped = good.clone();
        flipped[good.len() / 2] ^= 1;
        let longer = [good.as_slice(), b" "].concat();
        let damaged = [flipped, good[..good.len() / 2].to_vec(), Vec::new(), longer];
        for content in damaged {
            replace(&blob, &content);
            refuses(&home, &["run", "x:1"], BAD_DATA, &[&digest[..12]]);
        }
        fs::remove_file(&blob).unwrap();
        refuses(&home, &["run", "x:1"], BAD_DATA, &[&digest[..12]]);
        replace(&blob, &good);
        assert_eq!(run(&home).expect(0).text(), "hello\n");
    }
}

#[test]
fn damaged_files_of_the_store() {
    for name in ["index.json", "oci-layout"] {
        let home = packed();
        let file = home.directory().join("store").join(name);
        let good = fs::read(&file).unwrap();
        for content in [
            &good[..good.len() / 2],
            b"",
            b"[]",
            b"\xff",
            b"{\"imageLayoutVersion\":\"9\"}",
        ] {
            replace(&file, content);
            refuses(&home, &["run", "x:1"], BAD_DATA, &[name]);
            refuses(&home, &["images"], BAD_DATA, &[name]);
        }
        replace(&file, &good);
        assert_eq!(run(&home).expect(0).text(), "hello\n");
    }
}

/// Blobs are read-only files.
fn replace(path: &Path, content: &[u8]) {
    let _ = fs::remove_file(path);
    fs::write(path, content).unwrap();
}
