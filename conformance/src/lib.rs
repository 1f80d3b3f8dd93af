//! Checks that instrumented modules mean what the originals mean, by means of their own.
//!
//! The code here drives wasmtime directly, not through `wherry-engine`: it is a second
//! reading of the contract in `wherry-instrument`, and of what a checkpoint must hold.

mod case;
mod checkpoint;
mod forge;
mod form;
mod generate;
mod machine;
mod minimise;
mod program;
pub mod script;
mod sprinkle;
mod trial;
mod typed;

pub use case::{Call, Failure, random_trial, repeat, repeat_text};
pub use checkpoint::State;
pub use forge::{build_on, forge, forge_contents, garble, put_together_again};
pub use form::{Engines, Form, engine};
pub use generate::{Random, arguments, module};
pub use machine::{Guest, Machine};
pub use minimise::minimise;
pub use program::{Effect, Program, Resumed};
pub use sprinkle::sprinkle;
pub use trial::{Report, Subject};
