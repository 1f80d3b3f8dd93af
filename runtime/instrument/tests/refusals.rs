//! Hostile and unsupported modules are refused by name, and never with a panic.

use proptest::prelude::*;
use wherry_instrument::{Error, Options, instrument};

fn refusal(wat: &str) -> String {
    let wasm = wat::parse_str(wat).unwrap();
    match instrument(&wasm, &Options::default()) {
        Ok(_) => panic!("not refused: {wat}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_cannot_be_captured_is_named() {
    for (wat, named) in [
        (
            "(module (import \"env\" \"m\" (memory 1)))",
            "the imported memory `env.m`",
        ),
        (
            "(module (import \"env\" \"t\" (table 1 funcref)))",
            "the imported table `env.t`",
        ),
        (
            "(module (import \"env\" \"g\" (global i32)))",
            "the imported global `env.g`",
        ),
        (
            "(module (memory (export \"__wherry_frames\") 1))",
            "`__wherry_frames`",
        ),
        ("(module (memory 1 1 shared))", "threads"),
        ("(module (memory 1 (pagesize 1)))", "custom page sizes"),
        (
            "(module (import \"env\" \"t\" (tag)))",
            "the imported tag `env.t`",
        ),
        ("(module (table 1 exnref))", "a table of exnref"),
        (
            "(module (global (mut exnref) (ref.null exn)))",
            "a mutable global of type exnref",
        ),
        (
            "(module (tag $t) (func $f
                (block $caught (result exnref)
                    (try_table (catch_all_ref $caught) (throw $t)) (unreachable))
                (loop $again (br_if $again (i32.const 0)))
                (throw_ref)))",
            "an exnref that lives across a safepoint cannot be checkpointed (function 0, `f`)",
        ),
        ("(module (type (struct)))", "garbage-collected types"),
        (
            "(module (rec (type (func)) (type (func))))",
            "garbage-collected types",
        ),
        ("(module (global (ref null any) (ref.null any)))", "garbage"),
        ("(module (type $f (func)) (type (cont $f)))", "stack"),
        (
            "(module (func $a) (func $make (drop (ref.i31 (i32.const 1)))))",
            "the instruction RefI31 (garbage-collected types) cannot be checkpointed \
             (function 1, `make`)",
        ),
        (
            "(module (memory 1) (func $f (drop (i32.atomic.load (i32.const 0)))))",
            "the instruction I32AtomicLoad (threads and shared memories) cannot be \
             checkpointed (function 0, `f`)",
        ),
        ("(component)", "components"),
        (
            "(module (func (result (ref extern)) (loop (br 0)) (unreachable)))",
            "a parameter or result of the type (ref extern)",
        ),
    ] {
        let message = refusal(wat);
        assert!(message.contains(named), "{wat}: {message}");
    }
}

/// What can be started can be resumed.
#[test]
fn all_forms_refuse_the_same() {
    let stopped = "(module (func (export \"f\") (param (ref extern)) (loop (br 0))))";
    let never_stopped = "(module (func (export \"f\") (param (ref extern)))
        (func (export \"_start\") (loop (br 0))))";
    for resumable in [false, true] {
        for countdown in [false, true] {
            let options = Options {
                resumable,
                countdown,
                unroll: !countdown,
                ..Options::default()
            };
            let accepts = |wat| instrument(&wat::parse_str(wat).unwrap(), &options).is_ok();
            assert!(!accepts(stopped), "{options:?}");
            assert!(accepts(never_stopped), "{options:?}");
        }
    }
}

#[test]
fn legacy_exceptions_are_named() {
    let mut wasm = wat::parse_str("(module (func $f (block)))").unwrap();
    let block = wasm.windows(2).position(|bytes| bytes == [0x02, 0x40]);
    wasm[block.unwrap()] = 0x06;
    let message = instrument(&wasm, &Options::default())
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("legacy exceptions") && message.contains("(function 0, `f`)"),
        "{message}"
    );
}

#[test]
fn invalid_modules_are_refused_where_they_are_invalid() {
    let valid = wat::parse_str("(module (func (drop (i32.const 1))))").unwrap();
    let truncated = &valid[..valid.len() - 1];
    assert!(matches!(
        instrument(truncated, &Options::default()),
        Err(Error::Invalid(_))
    ));
    for wat in [
        "(module (func (drop)))",
        "(module (func (result i32)))",
        "(module (func (param i32) (call 0)))",
    ] {
        assert!(refusal(wat).contains("not valid"), "{wat}");
    }
}

#[test]
fn a_module_that_needs_too_many_saved_values_is_refused() {
    // Every local is live at every loop: what is to be saved grows with their product.
    let (locals, loops) = (3_000, 6_000);
    let declared = "(local i64)".repeat(locals);
    let polls = "(loop)".repeat(loops);
    let uses: String = (0..locals)
        .map(|l| format!("(drop (local.get {l}))"))
        .collect();
    let message = refusal(&format!("(module (func {declared} {polls} {uses}))"));
    assert!(message.contains("too many to instrument"), "{message}");
}

#[test]
fn deep_nesting_is_no_problem() {
    let depth = 20_000;
    let wat = format!(
        "(module (func {} loop br_if 0 (i32.const 0) end {}))",
        "block ".repeat(depth),
        "end ".repeat(depth)
    );
    let wasm = wat::parse_str(wat.replace("br_if 0 (i32.const 0)", "i32.const 0 br_if 0")).unwrap();
    for resumable in [false, true] {
        instrument(
            &wasm,
            &Options {
                resumable,
                countdown: false,
                unroll: true,
                ..Options::default()
            },
        )
        .unwrap();
    }
}

const FORMS: [&str; 5] = [
    include_str!("forms/call.wat"),
    include_str!("forms/exceptions.wat"),
    include_str!("forms/indirect.wat"),
    include_str!("forms/memory64.wat"),
    include_str!("forms/references.wat"),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        let mut wasm = b"\0asm\x01\0\0\0".to_vec();
        wasm.extend(bytes);
        let _ = instrument(&wasm, &Options { resumable: true, countdown: true, unroll: true, ..Options::default() });
    }

    #[test]
    fn damaged_modules_never_panic(form in 0..FORMS.len(), place in 8usize..600, value in any::<u8>()) {
        let mut wasm = wat::parse_str(FORMS[form]).unwrap();
        let place = place % wasm.len();
        wasm[place] = value;
        let _ = instrument(&wasm, &Options { resumable: true, countdown: true, unroll: true, ..Options::default() });
    }
}
