//! A pass over WebAssembly modules that adds safepoints, unwinding and rewinding, so that
//! an engine can capture an unmodified program anywhere in its execution.
//!
//! Bytes in, bytes out: there is no engine here. [`instrument`] returns the new module and
//! a [`Map`] that translates between the frames which that module stores in its state
//! memory and the engine-neutral [`Frame`](wherry_snapshot::Frame)s of a checkpoint.
//!
//! # What the engine must provide and may use
//!
//! | name | kind | meaning |
//! | --- | --- | --- |
//! | import `wherry` `flag` | shared memory, 1 page; see [`Options::unshared_flag`] | byte 0 holds [`FLAG_LEAVE`] and [`FLAG_REWINDING`] |
//! | [`export::STATE`] | global i32 | [`RUNNING`], [`UNWINDING`] or [`REWINDING`] |
//! | [`export::STACK_POINTER`] | global i32 | end of the stored frames in the state memory |
//! | [`export::STATE_MEMORY`] | memory | the stored frames, from [`STACK_BASE`] |
//! | [`export::REFERENCES`] | table funcref | function references held by stored frames |
//! | [`export::FUNCTIONS`] | table funcref | every function a reference can name, in the order of [`Map::referenced_functions`] |
//! | [`export::RESUMERS`] | table funcref | if resumable: what to call to rewind, see [`Map::resumer`] |
//! | [`export::COUNTDOWN`] | global i64 | with [`Options::countdown`]: safepoints still to pass |
//! | [`export::START`] | function | the start section's function, if the module had one |
//! | [`export::DROP_SEGMENTS`] | function | drops the segments whose flag is set |
//!
//! The flag has two bits: bit 0 asks to leave, bit 1 says that the program is rewinding. To
//! resume, the engine restores what is above, sets `STATE` to `REWINDING` and bit 1, and
//! calls the resumer of the outermost frame's function; the program clears both when it has
//! arrived, and a request to leave that came meanwhile stays.
//!
//! To leave at a host call, the host sets `STATE` to `UNWINDING` and returns zeros; the call
//! is made again after a resume.

mod assemble;
mod callgraph;
mod code;
mod dispatch;
mod error;
mod function;
mod helpers;
mod indices;
mod layout;
mod liveness;
mod map;
mod module;
mod nans;
mod pass;
mod refusal;
mod rewrite;
mod types;
mod unroll;

use std::collections::BTreeSet;

pub use error::{Error, FunctionName};
pub use map::{Map, MapError, SegmentFlag};
pub use module::supported_features;

/// Values that the frames of one module's sites may hold altogether. Real programs of
/// 10 MB stay below a tenth of it.
pub(crate) const MAX_SLOTS: usize = 16 << 20;

/// The version of the pass. A checkpoint names it: safepoints are places that one version
/// of the pass chose, and a later version must still know them to resume.
pub const VERSION: u32 = 1;

/// Identifies this build of the pass: what it made may be kept only for the same build.
/// Unlike [`VERSION`], it says nothing about checkpoints.
pub const BUILD: &str = env!("WHERRY_INSTRUMENT_BUILD");

/// Value of the state global while the program runs.
pub const RUNNING: i32 = 0;
/// Value of the state global while frames are being stored.
pub const UNWINDING: i32 = 1;
/// Value of the state global while frames are being restored.
pub const REWINDING: i32 = 2;

/// Bit of the flag: leave at the next safepoint.
pub const FLAG_LEAVE: u8 = 1;
/// Bit of the flag: the program is rewinding.
pub const FLAG_REWINDING: u8 = 2;

/// Address of the first stored frame in the state memory.
pub const STACK_BASE: u32 = 64;

/// Names of what the pass exports. A module that exports such a name itself is refused.
pub mod export {
    /// Every added export starts so.
    pub const PREFIX: &str = "__wherry_";
    /// Global i32: the state.
    pub const STATE: &str = "__wherry_state";
    /// Global i32: the end of the stored frames.
    pub const STACK_POINTER: &str = "__wherry_sp";
    /// Global i64: safepoints still to pass before the program leaves.
    pub const COUNTDOWN: &str = "__wherry_countdown";
    /// Memory: the stored frames.
    pub const STATE_MEMORY: &str = "__wherry_frames";
    /// Table funcref: function references that stored frames hold.
    pub const REFERENCES: &str = "__wherry_references";
    /// Table funcref: every function that a reference can name.
    pub const FUNCTIONS: &str = "__wherry_functions";
    /// Table funcref: for each function that can be an outermost or a dynamically called
    /// frame, a function without parameters that rewinds into it.
    pub const RESUMERS: &str = "__wherry_resumers";
    /// Function: what the start section named.
    pub const START: &str = "__wherry_start";
    /// Function: drops the segments whose flag is set.
    pub const DROP_SEGMENTS: &str = "__wherry_drop_segments";

    /// Memory `index` of the original module.
    #[must_use]
    pub fn memory(index: u32) -> String {
        format!("{PREFIX}memory_{index}")
    }
    /// Global `index` of the original module (mutable ones only).
    #[must_use]
    pub fn global(index: u32) -> String {
        format!("{PREFIX}global_{index}")
    }
    /// Table `index` of the original module.
    #[must_use]
    pub fn table(index: u32) -> String {
        format!("{PREFIX}table_{index}")
    }
}

/// Module name of the flag's import.
pub const FLAG_MODULE: &str = "wherry";
/// Field name of the flag's import: a memory of one page.
pub const FLAG_NAME: &str = "flag";

/// How to instrument. All variants of one module have the same safepoints and the same
/// frames, so a program may leave one and go on in another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Options {
    /// Can rewind: needed to resume, and a little slower than a module that only leaves. See also
    /// [`instrument_to_resume`].
    pub resumable: bool,
    /// Counts executed safepoints and leaves at a chosen one: reproducible, and slower.
    pub countdown: bool,
    /// Short loops poll only every few turns: faster, but what is counted is not what others count.
    pub unroll: bool,
    /// For an engine without atomic instructions: the memory of the flag is not shared. To
    /// raise it, the engine must interrupt the program, as its epochs do.
    pub unshared_flag: bool,
    /// A NaN that an operation made is canonical wherever its bits can be seen.
    pub canonical_nans: bool,
}

/// An instrumented module.
#[derive(Clone, Debug)]
pub struct Instrumented {
    /// The new module.
    pub wasm: Vec<u8>,
    /// What is needed to read and to write its stored frames.
    pub map: Map,
}

/// Adds safepoints to a module. `wasm` is hostile: what is not valid, or cannot be captured,
/// is refused by name.
///
/// # Errors
/// See [`Error`].
pub fn instrument(wasm: &[u8], options: &Options) -> Result<Instrumented, Error> {
    pass::run(wasm, *options, None)
}

/// As [`instrument`], but what is resumable is only what has its frames on one stack: a module
/// that can rewind into these functions of the original, and leave from all. It is hardly larger than one that
/// only leaves. Frames of other functions must not be rewound.
///
/// # Errors
/// See [`Error`].
pub fn instrument_to_resume(
    wasm: &[u8],
    options: &Options,
    functions: &BTreeSet<u32>,
) -> Result<Instrumented, Error> {
    let options = Options {
        resumable: true,
        ..*options
    };
    pass::run(wasm, options, Some(functions))
}
