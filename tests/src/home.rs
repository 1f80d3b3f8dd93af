//! A home of its own for `wherry`, and what becomes of its commands.

use std::borrow::BorrowMut;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::binary::{binary, shared_cache};
use crate::{Machine, program};

/// A fresh `$WHERRY_HOME`, with room beside it for the test's files.
#[derive(Debug)]
pub struct Home(TempDir);

/// How a command ended.
#[derive(Debug)]
pub struct Done {
    /// Its exit code; `None` if a signal killed it.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: String,
}

/// A command that runs.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    seen: Vec<u8>,
}

impl Home {
    /// # Panics
    /// If there is no room for it.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it makes a directory")]
    pub fn new() -> Self {
        let home = Home(tempfile::tempdir().expect("a directory"));
        fs::create_dir(home.directory()).expect("a directory");
        std::os::unix::fs::symlink(shared_cache(), home.directory().join("cache")).expect("a link");
        home
    }

    /// A path for a file of the test.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Makes a file of the test.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.file(name);
        fs::create_dir_all(path.parent().expect("in the home")).expect("a directory");
        fs::write(&path, content).expect("written");
        path
    }

    /// Puts the module of `tests/programs/NAME.wat` into a file.
    pub fn program(&self, name: &str) -> PathBuf {
        self.write(&format!("{name}.wasm"), program(name))
    }

    /// The home itself.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        self.file("home")
    }

    /// The names and contents of all files in the home but the cache's.
    ///
    /// # Panics
    /// If they cannot be read.
    #[must_use]
    pub fn contents(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        collect(&self.directory(), &mut files);
        files.sort();
        files
    }

    /// `wherry ARGUMENTS…`, without anything of the environment but what every machine has.
    pub fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        self.adopt(Command::new(binary()), arguments)
    }

    /// As [`Home::command`], on another machine than this one.
    pub fn command_on<A: AsRef<OsStr>>(
        &self,
        machine: &Machine,
        arguments: impl IntoIterator<Item = A>,
    ) -> Command {
        let mut command = self.adopt(machine.wherry(), arguments);
        command.envs(machine.environment());
        command
    }

    /// As [`Home::command`], with a variable of the environment.
    pub fn command_with<A: AsRef<OsStr>>(
        &self,
        name: &str,
        value: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Command {
        let mut command = self.command(arguments);
        command.env(name, value);
        command
    }

    /// As [`Home::command`], started by a shell that does `first` before it.
    pub fn command_after<A: AsRef<OsStr>>(
        &self,
        first: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Command {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &format!("{first}; exec \"$@\""), "sh"]);
        shell.arg(binary());
        self.adopt(shell, arguments)
    }

    fn adopt<A: AsRef<OsStr>>(
        &self,
        mut command: Command,
        arguments: impl IntoIterator<Item = A>,
    ) -> Command {
        command.args(arguments).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.0.path());
        command.env("WHERRY_HOME", self.directory());
        command.current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    /// Runs `wherry ARGUMENTS…` to its end.
    pub fn wherry<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Done {
        Done::of(self.command(arguments))
    }

    /// Starts `wherry ARGUMENTS…`, with a pipe for its input.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Running {
        Running::of(&mut self.command(arguments))
    }
}

impl Done {
    /// Runs a command to its end.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn of(mut command: impl BorrowMut<Command>) -> Self {
        let output = command.borrow_mut().output().expect("it starts");
        Done::new(output.status, output.stdout, output.stderr)
    }

    fn new(status: ExitStatus, stdout: Vec<u8>, stderr: Vec<u8>) -> Self {
        Done {
            code: status.code(),
            stdout,
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        }
    }

    /// Its standard output as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Asserts that it ended with `code`.
    ///
    /// # Panics
    /// If it did not.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        let text = self.text();
        let end: String = text.chars().take(2000).collect();
        let message = format!("stdout: {end}\nstderr: {}", self.stderr);
        assert_eq!(self.code, Some(code), "the exit code\n{message}");
        self
    }

    /// Asserts that it refused with `code` and a message that has all of `words`.
    ///
    /// # Panics
    /// If it did not.
    #[track_caller]
    pub fn expect_refusal(self, code: i32, words: &[&str]) {
        let done = self.expect(code);
        let message = done.stderr.to_lowercase();
        assert!(!message.contains("panicked"), "{message}");
        for word in words {
            let word = word.to_lowercase();
            assert!(message.contains(&word), "no `{word}` in: {message}");
        }
    }
}

impl Running {
    /// Starts a command, with a pipe for its input.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn of(command: &mut Command) -> Self {
        command.stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        Running {
            child,
            stdout,
            seen: Vec::new(),
        }
    }

    /// Reads standard output until it contains `text`.
    ///
    /// # Panics
    /// If it ends before.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) {
        while !String::from_utf8_lossy(&self.seen).contains(text) {
            let read = self.stdout.read_until(b'\n', &mut self.seen);
            if read.expect("readable") == 0 {
                let mut reason = String::new();
                let stderr = self.child.stderr.take();
                let _ = stderr.expect("piped").read_to_string(&mut reason);
                panic!("it ended before it wrote {text:?}: {reason}");
            }
        }
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to it.
    ///
    /// # Panics
    /// If it has ended and was waited for.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it is there");
    }

    /// Its standard input.
    ///
    /// # Panics
    /// If it was taken before.
    pub fn stdin(&mut self) -> std::process::ChildStdin {
        self.child.stdin.take().expect("taken once")
    }

    /// Whether it still runs.
    ///
    /// # Panics
    /// If the system does not know.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// Waits for its end. Its input stays open until then.
    ///
    /// # Panics
    /// If its output cannot be read.
    #[must_use]
    pub fn wait(mut self) -> Done {
        let input = self.child.stdin.take();
        let mut stderr = self.child.stderr.take().expect("piped");
        let errors = std::thread::spawn(move || {
            let mut errors = Vec::new();
            stderr.read_to_end(&mut errors).map(|_| errors)
        });
        self.stdout.read_to_end(&mut self.seen).expect("readable");
        let errors = errors.join().expect("no panic").expect("readable");
        let status = self.child.wait().expect("a child");
        drop(input);
        Done::new(status, std::mem::take(&mut self.seen), errors)
    }
}

impl Drop for Running {
    /// A test that fails leaves nothing behind that runs.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(directory: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.ends_with("cache") {
            continue;
        }
        if path.is_dir() {
            collect(&path, files);
        } else if path.is_file() {
            let content = fs::read(&path).expect("readable");
            files.push((path, content));
        }
    }
}
