//! Why a module cannot be instrumented.

/// Why a module cannot be instrumented. Every message names the construct.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The module is not valid WebAssembly with the features that Wherry supports.
    #[error("the module is not valid: {0}")]
    Invalid(#[from] wasmparser::BinaryReaderError),
    /// The module is valid but has something that cannot be captured.
    #[error("{construct} cannot be checkpointed{}", .function.map(|f| format!(" (function {f})")).unwrap_or_default())]
    Unsupported {
        /// What it is, as a noun phrase.
        construct: String,
        /// Index of the function that has it, if one does.
        function: Option<u32>,
    },
    /// A name that the pass needs is taken.
    #[error("the module exports `{0}`, a name reserved for the runtime")]
    ReservedExport(String),
    /// The instrumented form would be larger than any real program's.
    #[error("the module needs more than {limit} {what}, too many to instrument")]
    TooLarge {
        /// What there are too many of.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
}
