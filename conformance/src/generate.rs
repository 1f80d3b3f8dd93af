//! Random modules, and arguments for what they export. The same seed gives the same module.

use arbitrary::Unstructured;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};
use wasm_smith::{Config, Module};
use wasmtime::{FuncType, Val, ValType};

use crate::typed;

/// Where all randomness of one trial comes from.
pub struct Random(ChaCha8Rng);

impl Random {
    /// The random numbers of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0.next_u64() % limit
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.0.fill_bytes(&mut bytes);
        bytes
    }
}

/// A random module that terminates, or `None` if the bytes did not make one. It uses what
/// [`wherry_instrument::supported_features`] allows. If `canonical_nans`, none of its NaNs are the machine's choice.
#[must_use]
pub fn module(random: &mut Random, canonical_nans: bool) -> Option<Vec<u8>> {
    let bytes = random.bytes(4096);
    let config = Config {
        max_imports: 0,
        min_funcs: 2,
        max_funcs: 8,
        max_instructions: 300,
        export_everything: true,
        max_memories: 2,
        max_memory32_bytes: 1 << 20,
        max_memory64_bytes: 1 << 20,
        memory_max_size_required: true,
        max_tables: 2,
        max_table_elements: 100,
        table_max_size_required: true,
        bulk_memory_enabled: true,
        multi_value_enabled: true,
        reference_types_enabled: true,
        simd_enabled: true,
        tail_call_enabled: random.below(2) == 0,
        memory64_enabled: random.below(2) == 0,
        exceptions_enabled: random.below(2) == 0,
        relaxed_simd_enabled: true,
        wide_arithmetic_enabled: true,
        canonicalize_nans: canonical_nans,
        disallow_traps: random.below(3) != 0,
        // What is refused at load.
        custom_page_sizes_enabled: false,
        gc_enabled: false,
        shared_everything_threads_enabled: false,
        threads_enabled: false,
        ..Config::default()
    };
    let mut module = Module::new(config, &mut Unstructured::new(&bytes)).ok()?;
    module.ensure_termination(400).ok()?;
    let wasm = module.to_bytes();
    // The generator makes no typed function references without garbage-collected types.
    if random.below(2) == 0 {
        return typed::call_by_reference(&wasm);
    }
    Some(wasm)
}

/// Arguments for a function.
pub fn arguments(random: &mut Random, ty: &FuncType) -> Vec<Val> {
    let value = |ty: ValType| match ty {
        ValType::I32 => Val::from(u32::try_from(random.below(100)).unwrap_or(0).cast_signed()),
        ValType::I64 => Val::from(random.below(u64::MAX).cast_signed()),
        ValType::F32 => Val::from(1.5f32),
        ValType::F64 => Val::from(-2.5f64),
        ValType::V128 => Val::V128(u128::from(random.below(u64::MAX)).into()),
        ValType::Ref(reference) => Val::null_ref(reference.heap_type()),
    };
    ty.params().map(value).collect()
}
