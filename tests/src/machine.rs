//! Where a job runs: on this machine, or on one with another instruction set.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{binary, say_skipped};

/// The emulator and the libraries that Debian has for it.
const EMULATOR: &str = "qemu-aarch64-static";
const LIBRARIES: &str = "/usr/aarch64-linux-gnu";

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
        let emulator = Command::new(EMULATOR).arg("--version").output();
        if emulator.is_err() || !Path::new(LIBRARIES).exists() {
            say_skipped("aarch64: there is no qemu-aarch64-static, or no libc6-dev-arm64-cross");
            return None;
        }
        Some(Machine::Aarch64(binary.into()))
    }

    /// `wherry` there, without arguments.
    pub(crate) fn wherry(&self) -> Command {
        match self {
            Machine::This | Machine::Interpreter => Command::new(binary()),
            Machine::Aarch64(binary) => {
                let mut command = Command::new(EMULATOR);
                command.args(["-L", LIBRARIES]).arg(binary);
                command
            }
        }
    }

    /// What it needs in its environment.
    pub(crate) fn environment(&self) -> Option<(&'static str, &'static str)> {
        matches!(self, Machine::Interpreter).then_some(("WHERRY_INTERPRETER", "1"))
    }
}
