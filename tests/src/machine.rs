//! Where a job runs: on this machine, or on one with another instruction set.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{binary, repository, say_skipped};

/// Runs programs for aarch64 under an emulator, with what they start.
const EMULATED: &str = "tests/aarch64/run";

/// A program that every machine has which can build for it.
const PROGRAM: &str = "/usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1";

/// A machine that runs `wherry`.
#[derive(Clone, Debug)]
pub enum Machine {
    /// This one.
    This,
    /// This one, with programs interpreted: what they are compiled to is another instruction
    /// set.
    Interpreter,
    /// An emulated one, and the binary for it.
    Aarch64(PathBuf),
}

impl Machine {
    /// The emulated one, if there are an emulator and a binary. If not, this is said loudly.
    #[must_use]
    pub fn aarch64() -> Option<Self> {
        let Some(binary) = env::var_os("WHERRY_AARCH64") else {
            say_skipped("aarch64: WHERRY_AARCH64 names no binary (tests/aarch64/build makes one)");
            return None;
        };
        let tried = emulated(Path::new(PROGRAM)).arg("--version").output();
        if !tried.is_ok_and(|output| output.status.success()) {
            say_skipped("aarch64: programs cannot be run (tests/aarch64/build --missing says why)");
            return None;
        }
        Some(Machine::Aarch64(binary.into()))
    }

    /// `wherry` there, without arguments.
    pub(crate) fn wherry(&self) -> Command {
        match self {
            Machine::This | Machine::Interpreter => Command::new(binary()),
            Machine::Aarch64(binary) => emulated(binary),
        }
    }

    /// What it needs in its environment.
    pub(crate) fn environment(&self) -> Option<(&'static str, &'static str)> {
        matches!(self, Machine::Interpreter).then_some(("WHERRY_INTERPRETER", "1"))
    }
}

fn emulated(program: &Path) -> Command {
    let mut command = Command::new(repository().join(EMULATED));
    command.arg(program);
    command
}
