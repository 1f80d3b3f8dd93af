//! NaNs are canonical wherever their bits can be seen, and copies of values keep theirs: what a module
//! leaves behind is what it leaves if the compiler makes the result of every operation canonical.
//!
//! Each module in `nans/` exports `run`, and what `run` makes of NaNs. It is tried as it is, stopped at its
//! safepoints, on this processor and in the interpreter.

use std::{fs, path::Path};

use wasmtime::{Engine, FuncType, Result, error::Context};
use wherry_conformance::{Engines, Form, Machine, Subject};
use wherry_instrument::Options;

#[test]
fn bits_are_canonical_where_they_are_seen() -> Result<()> {
    let mut cases = 0;
    for (name, wasm) in modules()? {
        for engines in [Engines::native()?, Engines::across()?] {
            for unroll in [false, true] {
                try_out(&engines, &wasm, unroll).with_context(|| name.clone())?;
            }
        }
        cases += 1;
    }
    assert!(cases >= 5, "only {cases} modules found");
    Ok(())
}

fn try_out(engines: &Engines, wasm: &[u8], unroll: bool) -> Result<()> {
    let options = Options {
        unroll,
        canonical_nans: true,
        ..Options::default()
    };
    let subject = Subject::new(engines, wasm, options)?;
    let ty = FuncType::new(&engines.each[0], [], []);
    let passed = subject.safepoints("run", &ty, &[])?.unwrap_or(0);
    assert!(passed > 5, "only {passed} safepoints");
    for every in [1, 2, 1 + passed / 3] {
        subject.interrupt("run", &ty, &[], every)?;
    }
    Ok(())
}

/// The modules try something: on this processor, they leave other NaNs behind if nobody does anything about it.
#[test]
#[cfg(target_arch = "x86_64")]
fn the_processor_chooses_other_bits() -> Result<()> {
    let engines = Engines::native()?;
    for (name, wasm) in modules()? {
        let plain = left_behind(&engines.each[0], &wasm)?;
        let canonical = left_behind(&engines.canonical, &wasm)?;
        assert_ne!(plain, canonical, "{name}");
    }
    Ok(())
}

fn left_behind(engine: &Engine, wasm: &[u8]) -> Result<Vec<String>> {
    let form = Form::original(engine, wasm)?;
    let mut machine = Machine::new(&form)?;
    machine.call("run", &[], &mut [])?;
    let exports = form.module.exports();
    exports.map(|export| machine.shown(export.name())).collect()
}

fn modules() -> Result<Vec<(String, Vec<u8>)>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nans");
    let mut modules = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        modules.push((path.display().to_string(), wat::parse_file(&path)?));
    }
    Ok(modules)
}
