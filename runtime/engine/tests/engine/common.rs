//! What the tests share: programs, output that can be looked at, one engine.

use std::io::{self, Cursor, Write};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex};

use wherry_engine::{
    Command, Control, Engine, EngineConfig, Input, Job, Module, Output, Settings, Stdio, Target,
};
use wherry_snapshot::Reader;

static ENGINE: LazyLock<Engine> =
    LazyLock::new(|| Engine::new(EngineConfig::default()).expect("an engine"));

static INTERPRETER: LazyLock<Engine> = LazyLock::new(|| {
    let config = EngineConfig {
        target: Target::Interpreter,
        ..EngineConfig::default()
    };
    Engine::new(config).expect("an engine")
});

/// The module of a program in text form.
pub(crate) fn module(wat: &str) -> Module {
    ENGINE.load(wat::parse_str(wat).expect("valid text"))
}

/// The same for the interpreter.
pub(crate) fn interpreted(wat: &str) -> Module {
    INTERPRETER.load(wat::parse_str(wat).expect("valid text"))
}

/// The same program for the processor and for the interpreter.
pub(crate) fn on_both(wasm: &[u8]) -> [Module; 2] {
    [&*ENGINE, &*INTERPRETER].map(|engine| engine.load(wasm.to_owned()))
}

/// The programs of `tests/programs`, by name.
pub(crate) fn programs() -> Vec<(String, Module)> {
    let programs = wasm_programs().into_iter();
    programs
        .map(|(name, wasm)| (name, ENGINE.load(wasm)))
        .collect()
}

/// The programs of `tests/programs`, by name, as they would come in an artifact.
pub(crate) fn wasm_programs() -> Vec<(String, Vec<u8>)> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/programs");
    let mut programs: Vec<_> = std::fs::read_dir(directory)
        .expect("the programs")
        .map(|entry| entry.expect("an entry").path())
        .map(|path| {
            let name = path
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            (name, wat::parse_file(&path).expect("a text"))
        })
        .collect();
    programs.sort_by(|(a, _), (b, _)| a.cmp(b));
    assert!(!programs.is_empty(), "there are programs");
    programs
}

/// A workload that is checked in, built from ordinary source.
pub(crate) fn prebuilt(name: &str) -> Module {
    ENGINE.load(prebuilt_wasm(name))
}

/// The same, as it would come in an artifact.
pub(crate) fn prebuilt_wasm(name: &str) -> Vec<u8> {
    let workloads = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../workloads/prebuilt");
    std::fs::read(workloads.join(name)).expect("a workload")
}

/// What a program writes to its standard output.
#[derive(Clone, Default)]
pub(crate) struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("no panic")).into_owned()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.lock().expect("no panic").clone()
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings::new(Stdio {
            stdin: Input::Reader(Box::new(io::empty())),
            stdout: Output::Writer(Box::new(self.clone())),
            stderr: Output::Writer(Box::new(io::sink())),
        })
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A command whose random numbers are the same every time.
pub(crate) fn command() -> Command {
    Command {
        // The workloads read it as how much they have to do.
        args: vec!["program".to_owned(), "50".to_owned()],
        seed: Some([7; 32]),
        ..Command::default()
    }
}

pub(crate) fn start(module: &Module, settings: Settings) -> Job {
    let control = Control::new().expect("a control");
    Job::start(module, command(), settings, &control).expect("it starts")
}

/// The checkpoint of a stopped job, as the bytes of its file.
pub(crate) fn checkpoint(job: &mut Job) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    job.checkpoint(&mut file).expect("it is captured");
    file.into_inner()
}

pub(crate) fn reader(file: &[u8]) -> Reader<Cursor<&[u8]>> {
    Reader::open(Cursor::new(file)).expect("a valid checkpoint")
}

pub(crate) fn resume(module: &Module, file: &[u8], settings: Settings) -> Job {
    let control = Control::new().expect("a control");
    Job::resume(module, &reader(file), settings, &control).expect("it resumes")
}
