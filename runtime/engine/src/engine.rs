//! The engine: how modules are compiled and run on this machine.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};
use wasmtime::{Config, Linker};
use wherry_instrument::Options;

use crate::cache::Cache;
use crate::code::CodeSource;
use crate::gpu;
use crate::host::{self, Host};
use crate::memory::Memories;
use crate::{Error, Module};

/// How much stack a program has. Frames of a module that can rewind are larger, and what
/// ran before a checkpoint must run after it, so those get twice as much.
const STACK_BYTES: usize = 64 << 20;

/// Room on the stack for the host's functions.
const HOST_STACK_BYTES: usize = 4 << 20;

/// wasmtime's name for its interpreter on a machine like this one.
const INTERPRETER: &str = if cfg!(target_endian = "little") {
    "pulley64"
} else {
    "pulley64be"
};

/// What an engine is made of.
#[derive(Clone, Debug, Default)]
pub struct EngineConfig {
    /// What programs are compiled for.
    pub target: Target,
    /// Where compiled modules are kept; created if it is not there. Whoever can write to it
    /// can run native code as this process: it must belong to nobody else.
    pub cache_dir: Option<PathBuf>,
    /// Where compiled modules come from, if the engine is not to compile any.
    pub code: Option<CodeSource>,
}

/// What programs are compiled for. A checkpoint that was made with one is resumed with any
/// other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// This machine's processor.
    #[default]
    Native,
    /// wasmtime's interpreter, Pulley, which has an instruction set of its own. Nothing that is
    /// compiled is executable memory. Programs take several times as long.
    Interpreter,
}

/// Compiles and runs modules. Clones share everything.
#[derive(Clone)]
pub struct Engine(Arc<Parts>);

struct Parts {
    target: Target,
    /// By [`Form::half`], each made when it is first used.
    halves: [OnceLock<Half>; 4],
    cache: Option<Cache>,
    code: Option<CodeSource>,
}

/// How a module is instrumented and compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "(bool, bool, bool)", into = "(bool, bool, bool)")]
pub struct Form {
    pub(crate) options: Options,
    /// What WebAssembly leaves to the machine is decided: the bits of a NaN, and what relaxed
    /// instructions do.
    pub(crate) deterministic: bool,
}

/// wasmtime fixes the size of the stack and the code of floating point for an engine, so
/// there are several.
pub(crate) struct Half {
    pub(crate) wasmtime: wasmtime::Engine,
    pub(crate) linker: Linker<Host>,
    pub(crate) memories: Memories,
    /// What the stack of a thread must have that runs a program.
    pub(crate) thread_stack: usize,
}

impl Engine {
    /// An engine for this machine.
    ///
    /// # Errors
    /// If the cache directory cannot be used.
    pub fn new(config: EngineConfig) -> Result<Self, Error> {
        Ok(Engine(Arc::new(Parts {
            target: config.target,
            halves: Default::default(),
            cache: config.cache_dir.map(Cache::open).transpose()?,
            code: config.code,
        })))
    }

    /// Takes a module. It is validated and compiled when it is first used.
    #[must_use]
    pub fn load(&self, wasm: Vec<u8>) -> Module {
        Module::new(self.clone(), wasm)
    }

    /// What it compiles for.
    #[must_use]
    pub fn target(&self) -> Target {
        self.0.target
    }

    pub(crate) fn half(&self, form: Form) -> Result<&Half, Error> {
        let cell = &self.0.halves[form.half()];
        if let Some(half) = cell.get() {
            return Ok(half);
        }
        let half = Half::new(form, self.target())?;
        Ok(cell.get_or_init(|| half))
    }

    pub(crate) fn cache(&self) -> Option<&Cache> {
        self.0.cache.as_ref()
    }

    pub(crate) fn code(&self) -> Option<&CodeSource> {
        self.0.code.as_ref()
    }
}

impl From<(bool, bool, bool)> for Form {
    fn from((resumable, countdown, deterministic): (bool, bool, bool)) -> Self {
        Form::new(resumable, countdown, deterministic)
    }
}

impl From<Form> for (bool, bool, bool) {
    fn from(form: Form) -> Self {
        let Options {
            resumable,
            countdown,
            ..
        } = form.options;
        (resumable, countdown, form.deterministic)
    }
}

impl Form {
    pub(crate) fn new(resumable: bool, countdown: bool, deterministic: bool) -> Self {
        Form {
            options: Options {
                resumable,
                countdown,
                // Positions are the same whatever a version of the pass unrolls.
                unroll: !countdown,
                canonical_nans: deterministic,
                ..Options::default()
            },
            deterministic,
        }
    }

    /// Index of what it runs in.
    fn half(self) -> usize {
        usize::from(self.options.resumable) + 2 * usize::from(self.deterministic)
    }
}

impl Half {
    fn new(form: Form, target: Target) -> Result<Self, Error> {
        let failed = |error| Error::Engine(format!("{error:#}"));
        let stack = if form.options.resumable {
            2 * STACK_BYTES
        } else {
            STACK_BYTES
        };
        let memories = Memories::default();
        let mut config = with_memories(wasmtime_config(stack), &memories);
        config.relaxed_simd_deterministic(form.deterministic);
        if target == Target::Interpreter {
            for_interpreter(&mut config).map_err(failed)?;
        }
        let wasmtime = wasmtime::Engine::new(&config).map_err(failed)?;
        let mut linker = Linker::new(&wasmtime);
        host::link(&mut linker).map_err(failed)?;
        gpu::link(&mut linker).map_err(failed)?;
        Ok(Half {
            wasmtime,
            linker,
            memories,
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

/// The interpreter has no atomic instructions, so that the flag is brought into the program by
/// an epoch's end.
fn for_interpreter(config: &mut Config) -> wasmtime::Result<()> {
    config
        .target(INTERPRETER)?
        .wasm_threads(false)
        .shared_memory(false)
        .epoch_interruption(true);
    Ok(())
}

fn with_memories(mut config: Config, memories: &Memories) -> Config {
    config
        .with_host_memory(Arc::new(memories.clone()))
        // wasmtime maps images of data segments over its own memories only.
        .memory_init_cow(false);
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interpreter_is_another_instruction_set() -> Result<(), Error> {
        let form = Form {
            options: Options::default(),
            deterministic: false,
        };
        for (target, interprets) in [(Target::Native, false), (Target::Interpreter, true)] {
            let half = Half::new(form, target)?;
            assert_eq!(half.wasmtime.is_pulley(), interprets, "{target:?}");
        }
        Ok(())
    }

    /// Reservations and guards are what wasmtime would have made, so code checks no bounds.
    #[test]
    fn our_memories_do_not_change_the_code() -> wasmtime::Result<()> {
        let wasm = wat::parse_str(
            "(module (memory 1) (memory i64 1)
                (func (export \"sum\") (param $at i32) (result f64) (local $sum f64)
                    (loop $next
                        (local.set $sum
                            (f64.add (local.get $sum) (f64.load offset=64 (local.get $at))))
                        (i64.store 1 (i64.extend_i32_u (local.get $at)) (i64.const 1))
                        (local.set $at (i32.add (local.get $at) (i32.const 8)))
                        (br_if $next (i32.lt_u (local.get $at) (i32.const 65000))))
                    (local.get $sum)))",
        )?;
        let code = |config: Config| -> wasmtime::Result<Vec<u8>> {
            let engine = wasmtime::Engine::new(&config)?;
            Ok(wasmtime::Module::from_binary(&engine, &wasm)?
                .text()
                .to_vec())
        };
        let plain = code(wasmtime_config(STACK_BYTES))?;
        let ours = with_memories(wasmtime_config(STACK_BYTES), &Memories::default());
        assert_eq!(code(ours)?, plain);
        let mut checked = wasmtime_config(STACK_BYTES);
        checked.memory_reservation(0).memory_guard_size(0);
        assert_ne!(
            code(checked)?,
            plain,
            "the comparison would see bounds checks"
        );
        Ok(())
    }
}
