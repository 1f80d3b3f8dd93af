//! From the command to the program's first byte of output, and to its end: `wherry run` of a hello
//! that was compiled before, with all that can confine it here and without, beside `runc run` of a static
//! native program and `wasmtime run` with its cache, where those are installed.

#![expect(clippy::print_stderr, reason = "a bench says what it skips")]

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};

const HELLO: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write"
        (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 8) "\10\00\00\00\06\00\00\00hello\n")
    (func (export "_start")
        (drop (call $fd_write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 0)))))"#;

const HELLO_C: &str = "#include <unistd.h>
int main(void) { return write(1, \"hello\\n\", 6) != 6; }
";

fn bench(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a directory");
    let module = directory.path().join("hello.wasm");
    let wasm = wat::parse_str(HELLO).expect("valid text");
    std::fs::write(&module, wasm).expect("it is written");
    let home = directory.path().join("home");
    let wherry = |isolation: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wherry"));
        command
            .args(["run", "--isolation", isolation])
            .arg(&module)
            .env("WHERRY_HOME", &home);
        command
    };
    let isolated = || wherry("require");
    let bare = || wherry("off");
    let wasmtime = || wasmtime(&module);
    let bundle = bundle(directory.path());
    let runc = || runc(&bundle);
    let ways: [(&str, &dyn Fn() -> Command); 4] = [
        ("wherry run", &isolated),
        ("wherry run --isolation off", &bare),
        ("runc run, a static program", &runc),
        ("wasmtime run", &wasmtime),
    ];
    let ways = ways.map(|(name, command)| match run(command()) {
        Ok(_) => Some((name, command)),
        Err(error) => {
            eprintln!("SKIPPED: {name}: {error}");
            None
        }
    });
    for (name, part) in [("start", FIRST_BYTE), ("job", END)] {
        let mut group = criterion.benchmark_group(name);
        for (name, command) in ways.iter().flatten() {
            group.bench_function(*name, |bencher| {
                bencher.iter_custom(|n| {
                    let times = (0..n).map(|_| run(command()).expect("it runs")[part]);
                    times.sum()
                });
            });
        }
        group.finish();
    }
}

/// A container with a static program that says hello: a directory with a root and a description.
fn bundle(directory: &Path) -> PathBuf {
    let bundle = directory.join("bundle");
    let root = bundle.join("rootfs");
    std::fs::create_dir_all(&root).expect("a directory");
    let source = directory.join("hello.c");
    std::fs::write(&source, HELLO_C).expect("it is written");
    let _ = Command::new("cc")
        .args(["-static", "-O2", "-o"])
        .arg(root.join("hello"))
        .arg(source)
        .status();
    let _ = Command::new("runc")
        .arg("spec")
        .current_dir(&bundle)
        .status();
    let config = bundle.join("config.json");
    if let Ok(text) = std::fs::read(&config) {
        let mut spec: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
        spec["process"]["args"] = serde_json::json!(["/hello"]);
        spec["process"]["terminal"] = false.into();
        std::fs::write(config, spec.to_string()).expect("it is written");
    }
    bundle
}

fn runc(bundle: &Path) -> Command {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut command = Command::new("runc");
    command
        .args(["run", "--bundle"])
        .arg(bundle)
        .arg(format!("wherry-bench-{}-{number}", std::process::id()));
    command
}

/// Its cache is on unless it is told otherwise.
fn wasmtime(module: &Path) -> Command {
    let mut command = Command::new("wasmtime");
    command.arg("run").arg(module);
    command
}

/// Places in what `run` returns.
const FIRST_BYTE: usize = 0;
const END: usize = 1;

/// The times from the start to the first byte of output, and to the end of the process.
fn run(mut command: Command) -> io::Result<[Duration; 2]> {
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut byte = [0];
    let mut stdout = child.stdout.take().expect("a pipe");
    let read = stdout.read_exact(&mut byte);
    let first = start.elapsed();
    let status = child.wait()?;
    let end = start.elapsed();
    match read {
        Ok(()) if status.success() => Ok([first, end]),
        _ => Err(io::Error::other("the program printed nothing, or failed")),
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
