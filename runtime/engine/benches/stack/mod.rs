//! The functions on a stack of a program that was stopped: what a job that is resumed there must be
//! able to rewind into.

use std::collections::BTreeSet;

use wasmtime::{Config, Engine, Linker, MemoryType, Module, SharedMemory, Store, Val};
use wherry_instrument::{FLAG_MODULE, FLAG_NAME, Options, UNWINDING, export, instrument};

/// The program is stopped after so many safepoints, or half as many until it gets there.
const SAFEPOINTS: i64 = 20_000;

pub(crate) fn functions(wasm: &[u8]) -> wasmtime::Result<BTreeSet<u32>> {
    let mut config = Config::new();
    config.wasm_branch_hinting(true).shared_memory(true);
    let engine = Engine::new(&config)?;
    let options = Options {
        countdown: true,
        ..Options::default()
    };
    let instrumented = instrument(wasm, &options)?;
    let module = Module::from_binary(&engine, &instrumented.wasm)?;
    let mut safepoints = SAFEPOINTS;
    while safepoints > 0 {
        let mut store = Store::new(&engine, ());
        let flag = SharedMemory::new(&engine, MemoryType::shared(1, 1))?;
        let mut linker = Linker::new(&engine);
        linker.define(&store, FLAG_MODULE, FLAG_NAME, flag)?;
        // What a program gets from its host is zeros.
        linker.define_unknown_imports_as_default_values(&mut store, &module)?;
        let instance = linker.instantiate(&mut store, &module)?;
        if let Some(initialize) = instance.get_func(&mut store, "_initialize") {
            initialize.call(&mut store, &[], &mut [])?;
        }
        let countdown = instance.get_global(&mut store, export::COUNTDOWN);
        let countdown = countdown.expect("every instrumented module has it");
        countdown.set(&mut store, Val::I64(safepoints))?;
        // Whether it ends or traps, it was not stopped.
        let _ = match instance.get_func(&mut store, "run") {
            Some(run) => run.call(&mut store, &[Val::I32(-1)], &mut [Val::I32(0)]),
            None => instance
                .get_typed_func::<(), ()>(&mut store, "_start")?
                .call(&mut store, ()),
        };
        let mut global = |name| {
            let global = instance.get_global(&mut store, name);
            let value = global
                .expect("every instrumented module has it")
                .get(&mut store);
            value.unwrap_i32()
        };
        let (state, end) = (global(export::STATE), global(export::STACK_POINTER));
        if state != UNWINDING {
            safepoints /= 2;
            continue;
        }
        let memory = instance.get_memory(&mut store, export::STATE_MEMORY);
        let references = instance.get_table(&mut store, export::REFERENCES);
        let references = references.expect("it is there").size(&store);
        let stored = memory.expect("it is there").data(&store);
        let frames = instrumented.map.read_frames(
            &stored[..usize::try_from(end)?],
            // Which functions they name does not matter.
            &vec![None; usize::try_from(references)?],
        )?;
        return Ok(frames.iter().map(|frame| frame.function).collect());
    }
    Err(wasmtime::Error::msg("it passes no safepoint"))
}
