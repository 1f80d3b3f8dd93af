//! Checks that instrumented modules mean what the originals mean, by means of their own.
//!
//! The code here drives wasmtime directly, not through `wherry-engine`: it is a second
//! reading of the contract in `wherry-instrument`, and of what a checkpoint must hold.

mod generate;
mod machine;
mod trial;
mod typed;

pub use generate::{Random, arguments, module};
pub use machine::{Machine, State, engine};
pub use trial::{Report, Subject};
