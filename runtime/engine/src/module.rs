//! A module and its instrumented, compiled forms.
use wherry_snapshot::Digest;
use std::collections::BTreeMap;

/// A module, as it came in the artifact.
#[derive(Clone)]
pub struct Module {
    digest: Digest,
}

impl Module {
    pub(crate) fn new(_wasm: Vec<u8>) -> Self {
        unimplemented!()
    }

    /// SHA-256 of the module's bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Names of functions by index, from the module's name section (empty if it has none).
    #[must_use]
    pub fn function_names(&self) -> BTreeMap<u32, String> {
        unimplemented!()
    }
}
