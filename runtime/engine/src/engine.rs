//! The engine: how modules are compiled and run on this machine.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use wasmtime::{Config, Linker};

use crate::cache::Cache;
use crate::host::{self, Host};
use crate::{Error, Module};

/// How much stack a program has. Frames of a module that can rewind are larger, and what
/// ran before a checkpoint must run after it, so those get twice as much.
const STACK_BYTES: usize = 64 << 20;

/// Room on the stack for the host's functions.
const HOST_STACK_BYTES: usize = 4 << 20;

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
    leaving: Half,
    /// Runs modules that can rewind; made when the first one is.
    resumable: OnceLock<Half>,
    cache: Option<Cache>,
}

/// wasmtime fixes the size of the stack for an engine, so there are two.
pub(crate) struct Half {
    pub(crate) wasmtime: wasmtime::Engine,
    pub(crate) linker: Linker<Host>,
    /// What the stack of a thread must have that runs a program.
    pub(crate) thread_stack: usize,
}

impl Engine {
    /// An engine for this machine.
    ///
    /// # Errors
    /// If the machine lacks what the compiler needs, or the cache directory cannot be used.
    pub fn new(config: EngineConfig) -> Result<Self, Error> {
        Ok(Engine(Arc::new(Parts {
            leaving: Half::new(STACK_BYTES)?,
            resumable: OnceLock::new(),
            cache: config.cache_dir.map(Cache::open).transpose()?,
        })))
    }

    /// Takes a module. It is validated and compiled when it is first used.
    #[must_use]
    pub fn load(&self, wasm: Vec<u8>) -> Module {
        Module::new(self.clone(), wasm)
    }

    pub(crate) fn half(&self, resumable: bool) -> Result<&Half, Error> {
        if !resumable {
            return Ok(&self.0.leaving);
        }
        if let Some(half) = self.0.resumable.get() {
            return Ok(half);
        }
        let half = Half::new(2 * STACK_BYTES)?;
        Ok(self.0.resumable.get_or_init(|| half))
    }

    pub(crate) fn cache(&self) -> Option<&Cache> {
        self.0.cache.as_ref()
    }
}

impl Half {
    fn new(stack: usize) -> Result<Self, Error> {
        let failed = |error| Error::Engine(format!("{error:#}"));
        let wasmtime = wasmtime::Engine::new(&wasmtime_config(stack)).map_err(failed)?;
        let mut linker = Linker::new(&wasmtime);
        host::link(&mut linker).map_err(failed)?;
        Ok(Half {
            wasmtime,
            linker,
            thread_stack: stack + HOST_STACK_BYTES,
        })
    }
}

/// The features that a guest may use are decided by the instrumentation's validator. Here
/// are those that its output uses: threads only for the flag.
fn wasmtime_config(stack: usize) -> Config {
    let mut config = Config::new();
    config
        .max_wasm_stack(stack)
        // Not used, but it may not be smaller.
        .async_stack_size(stack)
        .wasm_tail_call(true)
        .wasm_multi_memory(true)
        .wasm_relaxed_simd(true)
        .wasm_extended_const(true)
        .wasm_wide_arithmetic(true)
        .wasm_memory64(true)
        .wasm_function_references(true)
        .wasm_exceptions(true)
        // Casts in the code that rewinds; the guest has none.
        .wasm_gc(true)
        .wasm_threads(true)
        .shared_memory(true)
        .wasm_branch_hinting(true);
    config
}
