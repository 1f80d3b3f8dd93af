//! Which WebAssembly proposals a module may use, and which one it uses that it may not.

use wasmparser::{Validator, WasmFeatures};

/// What the instrumentation of a node can capture and resume.
pub(crate) const SUPPORTED: WasmFeatures = WasmFeatures::WASM2
    .union(WasmFeatures::RELAXED_SIMD)
    .union(WasmFeatures::TAIL_CALL)
    .union(WasmFeatures::MULTI_MEMORY)
    .union(WasmFeatures::EXTENDED_CONST);

/// A proposal that is refused.
struct Proposal {
    /// What it is refused by.
    name: &'static str,
    flag: WasmFeatures,
    /// What it builds on: enabling it without these makes no sense.
    builds_on: WasmFeatures,
}

const fn proposal(name: &'static str, flag: WasmFeatures, builds_on: WasmFeatures) -> Proposal {
    Proposal {
        name,
        flag,
        builds_on,
    }
}

const REFUSED: [Proposal; 12] = {
    use WasmFeatures as F;
    [
        proposal("threads (shared memory, atomics)", F::THREADS, F::empty()),
        proposal("exception handling", F::EXCEPTIONS, F::empty()),
        proposal(
            "exception handling (legacy)",
            F::LEGACY_EXCEPTIONS,
            F::EXCEPTIONS,
        ),
        proposal("memory64", F::MEMORY64, F::empty()),
        proposal(
            "typed function references",
            F::FUNCTION_REFERENCES,
            F::empty(),
        ),
        proposal("garbage collection", F::GC, F::FUNCTION_REFERENCES),
        proposal("custom page sizes", F::CUSTOM_PAGE_SIZES, F::empty()),
        proposal("wide arithmetic", F::WIDE_ARITHMETIC, F::empty()),
        proposal(
            "stack switching",
            F::STACK_SWITCHING,
            F::EXCEPTIONS.union(F::FUNCTION_REFERENCES),
        ),
        proposal(
            "shared-everything threads",
            F::SHARED_EVERYTHING_THREADS,
            F::THREADS,
        ),
        proposal("memory control", F::MEMORY_CONTROL, F::empty()),
        proposal("compact imports", F::COMPACT_IMPORTS, F::empty()),
    ]
};

/// The refused proposals that `wasm`, which is not valid with [`SUPPORTED`], needs to be
/// valid. `None` if no set of proposals makes it valid.
pub(crate) fn needed_by(wasm: &[u8]) -> Option<Vec<&'static str>> {
    let alone = REFUSED.iter().find(|proposal| {
        is_valid(
            wasm,
            SUPPORTED.union(proposal.flag).union(proposal.builds_on),
        )
    });
    if let Some(proposal) = alone {
        return Some(vec![proposal.name]);
    }
    let all = REFUSED.iter().fold(SUPPORTED, |features, proposal| {
        features.union(proposal.flag)
    });
    is_valid(wasm, all).then(|| {
        let is_needed = |proposal: &&Proposal| !is_valid(wasm, all.difference(proposal.flag));
        REFUSED
            .iter()
            .filter(is_needed)
            .map(|proposal| proposal.name)
            .collect()
    })
}

fn is_valid(wasm: &[u8], features: WasmFeatures) -> bool {
    Validator::new_with_features(features)
        .validate_all(wasm)
        .is_ok()
}
