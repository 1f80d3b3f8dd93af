//! What a node grants to a stranger's job.
//!
//! ```text
//! policy.toml ─ Policy::parse ─▶ Policy ─┐
//!                                        ├─ grant ─▶ Grant: per item what was asked for,
//! workload, command line ───▶ Request ───┘           what the policy says, what is granted, why
//! ```
//!
//! Text in, typed values out: nothing here reads a file or runs a job. What a policy does not
//! mention is not granted, or only as much as [`Item::unmentioned`] says; what is not known to
//! this version is an error. `docs/policy.md` describes the file.

mod amount;
mod error;
mod grant;
mod item;
mod parse;
mod policy;
mod read;
mod request;
mod show;
mod signatures;

pub use amount::Amount;
pub use error::{PolicyError, Problem};
pub use grant::{Grant, Row, Verdict, grant};
pub use item::{Item, Limit, Unit};
pub use policy::{
    Adapter, Checkpoints, Hours, Isolation, Mount, Pattern, Policy, Signal, SignalSource, When, Who,
};
pub use request::{Amounts, GpuRequest, MountRequest, Origin, Request};
