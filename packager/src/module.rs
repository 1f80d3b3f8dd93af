//! What a module must be before it is packed.

/// The largest module that is accepted, in bytes.
pub const MAX_MODULE_SIZE: u64 = 256 << 20;

/// What is known about an accepted module without running it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleSummary {
    /// Size of the binary in bytes.
    pub size: u64,
    /// Functions of `wasi_snapshot_preview1` that it imports, sorted.
    pub imports: Vec<String>,
    /// Names that it exports, sorted.
    pub exports: Vec<String>,
    /// Functions that it defines.
    pub functions: u32,
    /// Pages (64 KiB) of its memories: initial and, if it declares one, maximum.
    pub memories: Vec<(u64, Option<u64>)>,
    /// Languages and tools that its `producers` section names, e.g. `clang 19.1.0`.
    pub producers: Vec<String>,
}

/// Why a module is refused. Every message names the construct.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModuleError {
    /// More bytes than [`MAX_MODULE_SIZE`].
    #[error("the module has {size} bytes, more than the {MAX_MODULE_SIZE} that are accepted")]
    TooLarge {
        /// Its size in bytes.
        size: u64,
    },
}

/// Checks that `wasm` is a WASI preview 1 command that Wherry can run and checkpoint.
///
/// # Errors
/// The first thing about the module that is refused.
pub fn validate_module(_wasm: &[u8]) -> Result<ModuleSummary, ModuleError> {
    todo!()
}
