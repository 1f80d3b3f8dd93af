//! What a module needs before it runs, read without compiling or validating it.

use wasmparser::{Parser, Payload};

/// The module name of a GPU's imports.
const GPU: &str = "wherry_gpu";

/// Bytes of a page of a memory that says nothing else.
const PAGE_LOG2: u32 = 16;

/// What a module needs before it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demands {
    /// Bytes that its memories have when it starts.
    pub memory: u64,
    /// Whether it uses a GPU.
    pub gpu: bool,
}

impl Demands {
    /// Reads what is before the code of a module. What is no module has no demands: whoever
    /// validates it says why.
    #[must_use]
    pub fn of(wasm: &[u8]) -> Self {
        let mut demands = Self::default();
        for payload in Parser::new(0).parse_all(wasm) {
            match payload {
                Ok(Payload::ImportSection(imports)) => {
                    let imports = imports.into_imports().flatten();
                    demands.gpu |= imports.into_iter().any(|import| import.module == GPU);
                }
                Ok(Payload::MemorySection(memories)) => {
                    for memory in memories.into_iter().flatten() {
                        let page = memory.page_size_log2.unwrap_or(PAGE_LOG2);
                        let bytes = memory.initial.saturating_mul(1 << page.min(63));
                        demands.memory = demands.memory.saturating_add(bytes);
                    }
                }
                Ok(Payload::CodeSectionStart { .. } | Payload::End(_)) | Err(_) => break,
                Ok(_) => {}
            }
        }
        demands
    }
}
