//! The engine: how modules are compiled and run on this machine.

use std::path::PathBuf;
use std::sync::Arc;

use wasmtime::Config;

use crate::cache::Cache;
use crate::{Error, Module};

/// How much stack a program has. Frames of a module that can rewind are larger, and what
/// ran before a checkpoint must run after it, so those get twice as much.
const STACK_BYTES: usize = 64 << 20;

/// What an engine is made of.
#[derive(Clone, Debug, Default)]
pub struct EngineConfig {
    /// Where compiled modules are kept; created if it is not there. Whoever can write to it
    /// can run native code as this process: it must belong to nobody else.
    pub cache_dir: Option<PathBuf>,
}

/// Compiles and runs modules. Clones share everything.
#[derive(Clone)]
pub struct Engine(Arc<Parts>);

struct Parts {
    /// Runs modules that can leave, but not rewind.
    leaving: wasmtime::Engine,
    /// Runs modules that can rewind.
    resumable: wasmtime::Engine,
    cache: Option<Cache>,
}

impl Engine {
    /// An engine for this machine.
    ///
    /// # Errors
    /// If the machine lacks what the compiler needs, or the cache directory cannot be used.
    pub fn new(config: EngineConfig) -> Result<Self, Error> {
        let engine = |stack| {
            let engine = wasmtime::Engine::new(&wasmtime_config(stack));
            engine.map_err(|error| Error::Engine(format!("{error:#}")))
        };
        Ok(Engine(Arc::new(Parts {
            leaving: engine(STACK_BYTES)?,
            resumable: engine(2 * STACK_BYTES)?,
            cache: config.cache_dir.map(Cache::open).transpose()?,
        })))
    }

    /// Takes a module. It is validated and compiled when it is first used.
    #[must_use]
    pub fn load(&self, wasm: Vec<u8>) -> Module {
        Module::new(wasm)
    }

    pub(crate) fn wasmtime(&self, resumable: bool) -> &wasmtime::Engine {
        if resumable { &self.0.resumable } else { &self.0.leaving }
    }

    /// What the stack of a thread that runs a program must have: the program's own part,
    /// and room for the host's functions.
    pub(crate) fn thread_stack(resumable: bool) -> usize {
        let host = 4 << 20;
        if resumable { 2 * STACK_BYTES + host } else { STACK_BYTES + host }
    }

    pub(crate) fn cache(&self) -> Option<&Cache> {
        self.0.cache.as_ref()
    }
}

/// The features that a guest may use are decided by the instrumentation's validator. Here
/// are those that its output uses: threads only for the flag.
fn wasmtime_config(stack: usize) -> Config {
    let mut config = Config::new();
    config
        .max_wasm_stack(stack)
        .wasm_tail_call(true)
        .wasm_multi_memory(true)
        .wasm_relaxed_simd(true)
        .wasm_extended_const(true)
        .wasm_threads(true)
        .shared_memory(true)
        .wasm_branch_hinting(true);
    config
}
