//! A module as the engine runs it: the original, or one of its instrumented forms.

use std::{collections::BTreeSet, sync::Arc};

use wasmtime::{Collector, Config, Engine, Module, Result};
use wherry_instrument::{Instrumented, Map, Options, instrument, instrument_to_resume};

/// An engine that runs original and instrumented modules alike. It knows more proposals
/// than the pass: what the pass refuses has to be its own decision.
///
/// # Errors
/// If wasmtime does not support this host.
pub fn engine() -> Result<Engine> {
    Engine::new(&config())
}

/// What programs are tried on.
pub struct Engines {
    /// The program begins on the first, and goes on, when it was stopped, on the next one.
    pub each: Vec<Engine>,
    /// As the first, but the compiler makes the result of every operation a canonical NaN: what can be seen
    /// of the pass's doing so has to be the same.
    pub canonical: Engine,
}

impl Engines {
    /// For this processor.
    ///
    /// # Errors
    /// If wasmtime does not support this host.
    pub fn native() -> Result<Self> {
        Self::of(|config| Ok(vec![Engine::new(&config)?]))
    }

    /// For different instruction sets: this processor's, and that of wasmtime's interpreter.
    ///
    /// # Errors
    /// If wasmtime does not support this host.
    pub fn across() -> Result<Self> {
        Self::of(two_engines)
    }

    /// What relaxed instructions do is decided, as in deterministic jobs.
    fn of(each: impl FnOnce(Config) -> Result<Vec<Engine>>) -> Result<Self> {
        let mut config = config();
        config.relaxed_simd_deterministic(true);
        let each = each(config.clone())?;
        config.cranelift_nan_canonicalization(true);
        let canonical = Engine::new(&config)?;
        Ok(Self { each, canonical })
    }

    /// Whether NaNs have to be canonical for all of them to come to the same.
    #[must_use]
    pub fn differ(&self) -> bool {
        self.each.len() > 1
    }
}

fn two_engines(mut config: Config) -> Result<Vec<Engine>> {
    let native = Engine::new(&config)?;
    let interpreter = if cfg!(target_endian = "little") {
        "pulley64"
    } else {
        "pulley64be"
    };
    config
        .target(interpreter)?
        .wasm_threads(false)
        .shared_memory(false);
    Ok(vec![native, Engine::new(&config)?])
}

fn config() -> Config {
    let mut config = Config::new();
    config
        .wasm_branch_hinting(true)
        .wasm_exceptions(true)
        .wasm_extended_const(true)
        .wasm_function_references(true)
        .wasm_gc(true)
        .wasm_memory64(true)
        .wasm_multi_memory(true)
        .wasm_relaxed_simd(true)
        .wasm_tail_call(true)
        .wasm_threads(true)
        .wasm_wide_arithmetic(true)
        .collector(Collector::Null)
        .shared_memory(true)
        .max_wasm_stack(2 << 20);
    config
}

/// A compiled module, with the map of its frames if it was instrumented.
pub struct Form {
    /// The module.
    pub module: Module,
    /// Empty for an original.
    pub map: Map,
}

impl Form {
    /// The module as it is.
    ///
    /// # Errors
    /// If it is not valid.
    pub fn original(engine: &Engine, wasm: &[u8]) -> Result<Arc<Self>> {
        let (module, map) = (Module::new(engine, wasm)?, Map::default());
        Ok(Arc::new(Self { module, map }))
    }

    /// An instrumented form of it.
    ///
    /// # Errors
    /// If the pass refuses the module, or what it made is not valid.
    pub fn instrumented(engine: &Engine, wasm: &[u8], options: Options) -> Result<Arc<Self>> {
        let options = Options {
            unshared_flag: engine.is_pulley(),
            ..options
        };
        Self::of(engine, instrument(wasm, &options)?)
    }

    /// A form that can rewind into these functions only.
    ///
    /// # Errors
    /// As [`Form::instrumented`].
    pub fn to_resume(
        engine: &Engine,
        wasm: &[u8],
        options: Options,
        functions: &BTreeSet<u32>,
    ) -> Result<Arc<Self>> {
        let options = Options {
            unshared_flag: engine.is_pulley(),
            ..options
        };
        Self::of(engine, instrument_to_resume(wasm, &options, functions)?)
    }

    fn of(engine: &Engine, instrumented: Instrumented) -> Result<Arc<Self>> {
        let Instrumented { wasm, map } = instrumented;
        let module = Module::new(engine, wasm)?;
        Ok(Arc::new(Self { module, map }))
    }
}
