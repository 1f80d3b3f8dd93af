//! Why a module cannot be instrumented.

use std::fmt;

/// Why a module cannot be instrumented. Every message names the construct.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The module is not valid WebAssembly with the features that Wherry supports.
    #[error("the module is not valid: {0}")]
    Invalid(#[from] wasmparser::BinaryReaderError),
    /// The module is valid but has something that cannot be captured.
    #[error("{construct} cannot be checkpointed{}", .function.as_ref().map(|f| format!(" (function {f})")).unwrap_or_default())]
    Unsupported {
        /// What it is, as a noun phrase.
        construct: String,
        /// The function that has it, if one does.
        function: Option<FunctionName>,
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

impl Error {
    pub(crate) fn unsupported(construct: impl Into<String>) -> Self {
        Self::Unsupported {
            construct: construct.into(),
            function: None,
        }
    }

    /// The same, of a function.
    pub(crate) fn within(self, function: impl FnOnce() -> FunctionName) -> Self {
        match self {
            Self::Unsupported {
                construct,
                function: None,
            } => Self::Unsupported {
                construct,
                function: Some(function()),
            },
            other => other,
        }
    }
}

/// Names a function of the original module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionName {
    /// Its index, imports first.
    pub index: u32,
    /// Its name, if the module has names.
    pub name: Option<String>,
}

impl fmt::Display for FunctionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.index)?;
        match &self.name {
            Some(name) => write!(f, ", `{name}`"),
            None => Ok(()),
        }
    }
}
