//! What the end-to-end tests are made with: the binary, homes for it, programs to run.
//!
//! Everything goes through the command line, as a user or a scheduler would do it. The binary
//! is built first, unless `WHERRY` names one.

mod binary;
mod gpu;
mod home;
mod machine;
mod programs;
mod random;

pub use binary::binary;
pub use gpu::Driver;
pub use home::{Done, Home, Running};
pub use machine::Machine;
pub use programs::{Workload, program, repository};
pub use random::Random;

/// Says that a test did not run, where the test harness does not swallow it, and returns.
#[macro_export]
macro_rules! skip {
    ($($reason:tt)*) => {{
        $crate::say_skipped(&format!($($reason)*));
        return;
    }};
}

/// Says that a test, or a part of it, did not run.
pub fn say_skipped(reason: &str) {
    // Not `eprintln!`, which the harness keeps from view unless the test fails.
    let _ = std::io::Write::write_all(
        &mut std::io::stderr(),
        format!("SKIPPED: {reason}\n").as_bytes(),
    );
}
