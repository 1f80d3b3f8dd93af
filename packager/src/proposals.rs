//! Which WebAssembly proposals a module may use, and which one it uses that it may not.

use wasmparser::{Validator, WasmFeatures};

/// What compilers emit for WASI preview 1 and what can be captured and resumed the same way
/// on every processor.
pub(crate) const SUPPORTED: WasmFeatures = WasmFeatures::WASM2
    .union(WasmFeatures::MULTI_MEMORY)
    .union(WasmFeatures::EXTENDED_CONST);

/// Proposals that are refused, with the name they are refused by. A proposal that builds on
/// others carries their flags, so that enabling it alone makes sense.
const REFUSED: [(&str, WasmFeatures); 12] = [
    ("threads (shared memory, atomics)", WasmFeatures::THREADS),
    ("exception handling", WasmFeatures::EXCEPTIONS),
    (
        "exception handling (legacy)",
        WasmFeatures::LEGACY_EXCEPTIONS.union(WasmFeatures::EXCEPTIONS),
    ),
    ("memory64", WasmFeatures::MEMORY64),
    (
        "typed function references",
        WasmFeatures::FUNCTION_REFERENCES,
    ),
    (
        "garbage collection",
        WasmFeatures::GC.union(WasmFeatures::FUNCTION_REFERENCES),
    ),
    ("custom page sizes", WasmFeatures::CUSTOM_PAGE_SIZES),
    ("wide arithmetic", WasmFeatures::WIDE_ARITHMETIC),
    (
        "stack switching",
        WasmFeatures::STACK_SWITCHING
            .union(WasmFeatures::EXCEPTIONS)
            .union(WasmFeatures::FUNCTION_REFERENCES),
    ),
    (
        "shared-everything threads",
        WasmFeatures::SHARED_EVERYTHING_THREADS.union(WasmFeatures::THREADS),
    ),
    ("memory control", WasmFeatures::MEMORY_CONTROL),
    ("compact imports", WasmFeatures::COMPACT_IMPORTS),
];

/// The refused proposals that `wasm`, which is not valid with [`SUPPORTED`], needs to be
/// valid. `None` if no set of proposals makes it valid.
pub(crate) fn needed_by(wasm: &[u8]) -> Option<Vec<&'static str>> {
    let alone = REFUSED
        .iter()
        .find(|(_, flags)| is_valid(wasm, SUPPORTED.union(*flags)));
    if let Some((name, _)) = alone {
        return Some(vec![name]);
    }
    let all = REFUSED
        .iter()
        .fold(SUPPORTED, |features, (_, flags)| features.union(*flags));
    is_valid(wasm, all).then(|| {
        let is_needed = |flags: &WasmFeatures| !is_valid(wasm, all.difference(*flags));
        REFUSED
            .iter()
            .filter(|(_, flags)| is_needed(flags))
            .map(|(name, _)| *name)
            .collect()
    })
}

fn is_valid(wasm: &[u8], features: WasmFeatures) -> bool {
    Validator::new_with_features(features)
        .validate_all(wasm)
        .is_ok()
}
