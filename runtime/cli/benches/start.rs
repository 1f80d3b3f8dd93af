//! From the command to the program's first byte of output: `wherry run` of a hello that was
//! compiled before, beside `wasmtime run` with its cache, where that is installed.

#![expect(clippy::print_stderr, reason = "a bench says what it skips")]

use std::io::{self, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};

const HELLO: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write"
        (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 8) "\10\00\00\00\06\00\00\00hello\n")
    (func (export "_start")
        (drop (call $fd_write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 0)))))"#;

fn bench(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a directory");
    let module = directory.path().join("hello.wasm");
    let wasm = wat::parse_str(HELLO).expect("valid text");
    std::fs::write(&module, wasm).expect("it is written");

    let mut group = criterion.benchmark_group("start");
    let home = directory.path().join("home");
    let wherry = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wherry"));
        command.arg("run").arg(&module).env("WHERRY_HOME", &home);
        command
    };
    first_byte(wherry()).expect("wherry runs the program");
    group.bench_function("wherry run", |bencher| {
        bencher.iter_custom(|n| time(n, wherry))
    });

    let wasmtime = || wasmtime(&module);
    match first_byte(wasmtime()) {
        Ok(_) => {
            group.bench_function("wasmtime run", |bencher| {
                bencher.iter_custom(|n| time(n, wasmtime))
            });
        }
        Err(error) => eprintln!("SKIPPED: wasmtime run: {error}"),
    }
    group.finish();
}

/// Its cache is on unless it is told otherwise.
fn wasmtime(module: &Path) -> Command {
    let mut command = Command::new("wasmtime");
    command.arg("run").arg(module);
    command
}

fn time(runs: u64, command: impl Fn() -> Command) -> Duration {
    (0..runs)
        .map(|_| first_byte(command()).expect("it runs"))
        .sum()
}

fn first_byte(mut command: Command) -> io::Result<Duration> {
    let start = Instant::now();
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut byte = [0];
    let read = child
        .stdout
        .take()
        .map(|mut stdout| stdout.read_exact(&mut byte));
    let elapsed = start.elapsed();
    child.wait()?;
    match read {
        Some(Ok(())) => Ok(elapsed),
        _ => Err(io::Error::other("the program printed nothing")),
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
