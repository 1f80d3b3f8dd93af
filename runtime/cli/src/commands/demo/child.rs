//! The processes of the demo.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::exit;
use crate::failure::Refusal;
use crate::home::Home;

/// Another process of this program, not started yet.
pub(super) struct Wherry(anyhow::Result<Command>);

/// What a process did.
pub(super) struct Leg {
    /// What the program wrote.
    pub(super) stdout: Vec<u8>,
    /// From the start of the process to its end.
    pub(super) time: Duration,
    /// What `--json` says about the run.
    result: Value,
}

impl Wherry {
    /// `wherry run NAME STEPS`
    pub(super) fn run(home: &Home, name: &str, steps: &str) -> Self {
        Self::with(home, ["run", name, steps])
    }

    /// The same, with its checkpoint going to `file`.
    pub(super) fn run_to(home: &Home, name: &str, steps: &str, file: &Path) -> Self {
        let option = OsStr::new("--checkpoint-to");
        let arguments = [name, steps].map(OsStr::new);
        Self::with(
            home,
            [
                OsStr::new("run"),
                option,
                file.as_os_str(),
                arguments[0],
                arguments[1],
            ],
        )
    }

    /// `wherry resume FILE`
    pub(super) fn resume(home: &Home, file: &Path) -> Self {
        Self::with(home, [OsStr::new("resume"), file.as_os_str()])
    }

    fn with<A: AsRef<OsStr>>(home: &Home, arguments: impl IntoIterator<Item = A>) -> Self {
        let executable = std::env::current_exe().context("this program cannot be started again");
        Wherry(executable.map(|executable| {
            let mut command = Command::new(executable);
            command.arg("--json").arg("--home").arg(home.directory());
            command.args(arguments).stdin(Stdio::null());
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            command
        }))
    }

    /// Runs until the program has ended well.
    pub(super) fn finish(self) -> anyhow::Result<Leg> {
        self.leg(0, |_, _| Ok([]))
    }

    /// Asks for a checkpoint when the program has written so many lines, which must suspend it.
    pub(super) fn interrupted_after(self, lines: usize) -> anyhow::Result<Leg> {
        self.leg(exit::CHECKPOINTED, |child, stdout| {
            let mut read = Vec::new();
            for _ in 0..lines {
                stdout.read_until(b'\n', &mut read)?;
            }
            kill_process(Pid::from_child(child), Signal::USR1)?;
            Ok(read)
        })
    }

    fn leg<R: Into<Vec<u8>>>(
        self,
        code: u8,
        meanwhile: impl FnOnce(&Child, &mut dyn BufRead) -> std::io::Result<R>,
    ) -> anyhow::Result<Leg> {
        let start = Instant::now();
        let mut child = self.0?.spawn().context("no process can be started")?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let mut stdout = BufReader::new(stdout.context("the process has no output")?);
        let mut stderr = stderr.context("the process has no error output")?;
        let errors = thread::spawn(move || {
            let mut errors = String::new();
            stderr.read_to_string(&mut errors).map(|_| errors)
        });
        let mut written = meanwhile(&child, &mut stdout)?.into();
        stdout.read_to_end(&mut written)?;
        let status = child.wait()?;
        let time = start.elapsed();
        let errors = errors.join().map_err(|_| anyhow!("a thread panicked"))??;
        if status.code() != Some(i32::from(code)) {
            let message = format!(
                "a process of the demo ended with {status}: {}",
                errors.trim()
            );
            return Err(Refusal::new(exit::INTERNAL, message).into());
        }
        let result = errors.lines().next_back().unwrap_or_default();
        Ok(Leg {
            stdout: written,
            time,
            result: serde_json::from_str(result).context("a process says no result")?,
        })
    }
}

impl Leg {
    /// A number of the result, by its path.
    pub(super) fn number(&self, path: &[&str]) -> anyhow::Result<u64> {
        let value = path.iter().fold(&self.result, |value, key| &value[*key]);
        value
            .as_u64()
            .with_context(|| format!("the result has no {path:?}"))
    }
}
