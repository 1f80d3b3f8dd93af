//! Modules that are accepted, and modules that are refused by name.

use proptest::prelude::*;
use wherry_packager::{ModuleError, validate_module};

const COMMAND: &str = r#"(module
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (import "wasi_snapshot_preview1" "fd_seek" (func (param i32 i64 i32 i32) (result i32)))
    (memory (export "memory") 2 10)
    (func (export "_start") (call $exit (i32.const 0))))"#;

fn check(text: &str) -> Result<wherry_packager::ModuleSummary, ModuleError> {
    validate_module(&wat::parse_str(text).expect("valid text"))
}

/// A command with `fields` in addition to what it needs.
fn with(fields: &str) -> Result<wherry_packager::ModuleSummary, ModuleError> {
    check(&format!(
        r#"(module {fields} (memory (export "memory") 1) (func (export "_start")))"#
    ))
}

#[track_caller]
fn refused(result: Result<wherry_packager::ModuleSummary, ModuleError>, part: &str) {
    let message = result.expect_err("refused").to_string();
    assert!(message.contains(part), "`{message}` does not say `{part}`");
}

#[test]
fn a_command_is_summarised() {
    let summary = check(COMMAND).unwrap();
    assert_eq!(summary.imports, ["fd_seek", "proc_exit"]);
    assert_eq!(summary.exports, ["_start", "memory"]);
    assert_eq!(summary.memories, [(2, Some(10))]);
    assert_eq!(summary.functions, 1);
}

#[test]
fn what_compilers_emit_is_accepted() {
    for fields in [
        "(func (result i32 i32) i32.const 1 i32.const 2)",
        "(func (param v128) (result v128) local.get 0)",
        "(func (param f32) (result i32) local.get 0 i32.trunc_sat_f32_s i32.extend8_s)",
        "(table 1 funcref) (func (param externref))",
        "(memory 1) (data \"a\") (func i32.const 0 i32.const 0 i32.const 0 memory.fill data.drop 0)",
        "(global i32 (i32.add (i32.const 1) (i32.const 2)))",
        "(func $f return_call $f)",
    ] {
        with(fields).unwrap_or_else(|error| panic!("{fields}: {error}"));
    }
}

#[test]
fn all_46_functions_can_be_imported() {
    let witx = include_str!("golden/preview1.txt");
    let mut count = 0;
    for line in witx.lines().filter(|line| !line.starts_with('#')) {
        let (name, signature) = line.split_once(' ').expect("name and signature");
        let import = format!(r#"(import "wasi_snapshot_preview1" "{name}" (func {signature}))"#);
        assert_eq!(with(&import).unwrap().imports, [name]);
        let wrong = format!(r#"(import "wasi_snapshot_preview1" "{name}" (func (param f32)))"#);
        refused(with(&wrong), name);
        count += 1;
    }
    assert_eq!(count, 46);
}

#[test]
fn imports_are_refused_by_name() {
    refused(
        with(r#"(import "env" "emscripten_resize_heap" (func))"#),
        "`env` `emscripten_resize_heap`",
    );
    refused(
        with(r#"(import "wasi_snapshot_preview1" "fd_frob" (func))"#),
        "`fd_frob`",
    );
    refused(
        with(r#"(import "wasi_unstable" "fd_write" (func))"#),
        "predecessor",
    );
    refused(
        with(r#"(import "wasi_snapshot_preview1" "fd_read" (global i32))"#),
        "not as a function",
    );
    refused(
        with(r#"(import "env" "memory" (memory 1))"#),
        "`env` `memory`",
    );
    refused(
        with(r#"(import "wasi_snapshot_preview1" "fd_close" (func (param i64) (result i32)))"#),
        "as [i64] -> [i32], but it is [i32] -> [i32]",
    );
}

#[test]
fn proposals_are_refused_by_name() {
    refused(with("(memory 1 1 shared)"), "threads");
    refused(
        with("(func (result i32) (i32.atomic.load (i32.const 0)))"),
        "threads",
    );
    refused(
        with("(tag (param i32)) (func i32.const 0 throw 0)"),
        "exception handling",
    );
    refused(with("(memory i64 1)"), "memory64");
    refused(with("(type (struct (field i32)))"), "garbage collection");
    refused(
        with("(type $f (func)) (func (param (ref $f)) local.get 0 call_ref $f)"),
        "typed function references",
    );
    refused(with("(memory i64 1) (tag)"), "exception handling, memory64");
    refused(
        with(
            "(func (param i64 i64 i64 i64) (result i64 i64) local.get 0 local.get 1 local.get 2 local.get 3 i64.add128)",
        ),
        "wide arithmetic",
    );
}

#[test]
fn a_memory_is_needed_only_by_what_the_host_writes_to() {
    check(r#"(module (func (export "_start")))"#).unwrap();
    check(
        r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
            (func (export "_start")))"#,
    )
    .unwrap();
}

#[test]
fn what_is_no_command_is_refused() {
    refused(
        check(r#"(module (memory (export "memory") 1))"#),
        "`_start`",
    );
    refused(
        check(r#"(module (memory (export "memory") 1) (func (export "_initialize")))"#),
        "reactor",
    );
    refused(
        check(r#"(module (memory (export "memory") 1) (func (export "_start") (param i32)))"#),
        "a function of type [i32] -> []",
    );
    refused(
        check(
            r#"(module (memory (export "memory") 1) (global (export "_start") i32 (i32.const 0)))"#,
        ),
        "a global",
    );
    let random = r#"(import "wasi_snapshot_preview1" "random_get"
        (func (param i32 i32) (result i32)))"#;
    let start = r#"(func (export "_start"))"#;
    refused(check(&format!("(module {random} {start})")), "`memory`");
    refused(
        check(&format!(
            r#"(module {random} {start} (func (export "memory")))"#
        )),
        "`memory`",
    );
    refused(
        with(r#"(func (export "__wherry_state"))"#),
        "`__wherry_state`",
    );
    refused(check("(component)"), "component");
}

#[test]
fn what_is_no_module_is_refused() {
    refused(validate_module(b""), "empty");
    refused(validate_module(b"(module)"), "text format");
    refused(validate_module(b"\x7fELF\x02"), "ELF");
    refused(validate_module(b"\0asm"), "not a valid module");
}

#[test]
fn names_in_messages_cannot_reach_the_terminal() {
    let message = with("(import \"\\1b[2J\" \"x\" (func))")
        .unwrap_err()
        .to_string();
    assert!(
        !message.contains('\x1b') && message.contains("\\u{1b}"),
        "{message}"
    );
}

proptest! {
    #[test]
    fn a_damaged_module_is_accepted_or_refused(at in any::<prop::sample::Index>(), flip in 1u8.., cut in any::<prop::sample::Index>()) {
        let mut wasm = wat::parse_str(COMMAND).unwrap();
        let position = at.index(wasm.len());
        wasm[position] ^= flip;
        let _ = validate_module(&wasm);
        wasm.truncate(cut.index(wasm.len()));
        let _ = validate_module(&wasm);
    }

    #[test]
    fn any_bytes_are_refused(bytes: Vec<u8>) {
        prop_assert!(validate_module(&bytes).is_err());
        let mut after_magic = b"\0asm\x01\0\0\0".to_vec();
        after_magic.extend(bytes);
        prop_assert!(validate_module(&after_magic).is_err());
    }
}
