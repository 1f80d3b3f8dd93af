//! Runs one job: compile, instantiate, limit, capture, resume. The only crate that links
//! wasmtime.
//!
//! ```no_run
//! use wherry_engine::{Command, Control, Engine, EngineConfig, Job, Outcome, Settings, Stdio};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::new(EngineConfig::default())?;
//! let module = engine.load(std::fs::read("job.wasm")?);
//! let control = Control::new()?; // give clones to whoever may stop the job
//! let command = Command { args: vec!["job".into()], ..Command::default() };
//! let settings = Settings::new(Stdio::inherit()?);
//! let mut job = Job::start(&module, command, settings, &control)?;
//! while let Outcome::Stopped(_) = job.run()? {
//!     wherry_engine::write_atomically("job.ckpt".as_ref(), |file| job.checkpoint(file))?;
//! }
//! # Ok(())
//! # }
//! ```

mod cache;
mod capture;
mod checkpoint;
mod code;
mod control;
mod difference;
mod engine;
mod error;
mod file;
mod flag;
mod gpu;
mod host;
mod instance;
mod job;
mod memory;
mod module;
mod outcome;
mod profile;
mod restore;
mod settings;
mod verify;

pub use cache::{CacheLimits, Evicted, evict_cache};
pub use checkpoint::{Capture, Checkpoint, Extent};
pub use code::{CodeRequest, CodeSource};
pub use control::Control;
pub use difference::Difference;
pub use engine::{Engine, EngineConfig, Form, Target};
pub use error::Error;
pub use file::{NewFile, write_atomically};
pub use gpu::gpu_state;
pub use job::{Job, wasi_state};
pub use module::Module;
pub use outcome::{BacktraceFrame, Outcome, Reason, Trap, TrapKind};
pub use settings::{
    Command, Exhausted, Input, LimitObserver, Limits, Mount, Output, Quota, Scratch, Settings,
    Stdio,
};
pub use verify::{Rerun, Verification, verify};
pub use wherry_snapshot::{Key, Usage};
pub use wherry_wasi::Exhausted as ExhaustedQuota;
