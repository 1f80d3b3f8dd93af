//! A node with two jobs: one whose process is taken over, and one that is to be left alone.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use wherry_engine::{Engine, EngineConfig, Limits, Module, Target};
use wherry_node::{
    ActiveJob, Assignment, Compiler, CompilerLimits, ControlSocket, Ending, Error, JobFiles,
    JobProcess, JobStore, MountRecord, Plan, Questions, Record, Start,
};
use wherry_sandbox::Requirement;

use crate::attacker::{ATTEMPT, PLAN};
use crate::attempts;

/// The directory of the job that is to be left alone.
pub(crate) const OTHER: &str = "0ther";

/// Where the user wants a checkpoint.
pub(crate) const FOR_THE_USER: &str = "job.ckpt";

pub(crate) struct Scene {
    home: TempDir,
    module: Module,
    /// Whether the job has run before.
    has_checkpoint: bool,
}

/// What came of a lie.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) ending: Result<Ending, Error>,
    /// How many events were passed on.
    pub(crate) events: usize,
    home: PathBuf,
    directory: PathBuf,
}

impl Scene {
    pub(crate) fn new(plan: &str) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let other = home.path().join("jobs").join(OTHER);
        for directory in ["checkpoints", "scratch"] {
            fs::create_dir_all(other.join(directory)).expect("a directory");
        }
        fs::create_dir(home.path().join("cache")).expect("a directory");
        for (name, content) in [
            ("job.json", "theirs"),
            ("checkpoints/1", "their checkpoint"),
        ] {
            fs::write(other.join(name), content).expect("written");
        }
        fs::write(home.path().join("node.key"), "a key").expect("written");
        let engine = Engine::new(EngineConfig::default()).expect("an engine");
        let module = engine.load(module(plan));
        Scene {
            home,
            module,
            has_checkpoint: plan == ATTEMPT,
        }
    }

    /// A job with a process that waits to be run, or has failed already.
    pub(crate) fn start(&self) -> (ActiveJob, Result<JobProcess, Error>) {
        let record = Record::new("w".into(), "sha256:00".into(), vec!["w".into()]);
        let store = JobStore::new(self.home.path().join("jobs"));
        let active = store.create(record).expect("a job");
        attempts::prepare(active.directory()).expect("files to attack");
        if self.has_checkpoint {
            let kept = active.directory().join("checkpoints");
            fs::create_dir(&kept).expect("a directory");
            fs::write(kept.join("1"), "its checkpoint").expect("written");
            fs::write(active.directory().join("control.sock"), "").expect("written");
        }
        let lent = MountRecord {
            host: active.directory().join("lent"),
            guest: "/lent".to_owned(),
            read_only: true,
        };
        let assignment = Assignment {
            target: Target::Native,
            start: Start::Command(wherry_engine::Command::default()),
            mounts: vec![lent],
            scratch: Some((active.directory().join("scratch"), "/".to_owned())),
            limits: Limits::default(),
            cores: None,
            clock_resolution: 1,
            gpu: None,
            gpu_optional: false,
            countdown: None,
            plan: Plan {
                checkpoint_to: Some(self.home.path().join(FOR_THE_USER)),
                ..Plan::default()
            },
            keep_scratch: false,
        };
        let compiler = Compiler {
            isolation: Requirement::Auto,
            limits: CompilerLimits::default(),
        };
        let files = JobFiles::default();
        let process = JobProcess::start(&active, &self.module, assignment, &files, None, &compiler);
        (active, process)
    }

    /// Runs a job whose process is taken over.
    pub(crate) fn tell(&self) -> Told {
        let (active, process) = self.start();
        let directory = active.directory().to_owned();
        let questions = Questions::default();
        let socket = ControlSocket::listen(&active, &questions).expect("a socket");
        let mut events = 0;
        let ending = process
            .and_then(|process| process.run(active, socket, &questions, &mut |_| events += 1));
        Told {
            ending,
            events,
            home: self.home.path().to_owned(),
            directory,
        }
    }

    /// All files of the other job and the node, with their content.
    pub(crate) fn others(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let other = self.home.path().join("jobs").join(OTHER);
        for directory in [&other, &other.join("checkpoints"), &other.join("scratch")] {
            collect(directory, &mut files);
        }
        collect(&self.home.path().join("cache"), &mut files);
        let key = self.home.path().join("node.key");
        files.insert(key.clone(), fs::read(key).expect("it is there"));
        files
    }
}

impl Told {
    pub(crate) fn record(&self) -> Record {
        let id = self
            .directory
            .file_name()
            .expect("a name")
            .to_string_lossy();
        let store = JobStore::new(self.home.join("jobs"));
        store.find(&id).expect("it is there").record
    }

    pub(crate) fn for_the_user(&self) -> Vec<u8> {
        fs::read(self.home.join(FOR_THE_USER)).unwrap_or_default()
    }

    /// Whether no process of the job is left, and what it left is no link.
    pub(crate) fn is_over(&self) -> bool {
        let lock = File::open(self.directory.join("process.lock"));
        let is_free = lock.is_ok_and(|lock| lock.try_lock().is_ok());
        let kept = [self.directory.join("checkpoints"), self.home.clone()];
        is_free && kept.iter().all(|kept| has_no_link(kept))
    }
}

fn has_no_link(directory: &Path) -> bool {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut kinds = entries.map(|entry| entry.file_type().expect("known"));
    kinds.all(|kind| !kind.is_symlink())
}

fn collect(directory: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(directory).expect("it is there").flatten() {
        let content = fs::read(entry.path()).unwrap_or_default();
        files.insert(entry.path(), content);
    }
}

/// A module that does nothing, with a plan in a section of its own.
fn module(plan: &str) -> Vec<u8> {
    let mut module = wat::parse_str("(module (func (export \"_start\")))").expect("a module");
    let name = b"\x04plan";
    let content = [&name[..], PLAN.as_bytes(), plan.as_bytes()].concat();
    let length = u8::try_from(content.len()).expect("short");
    assert!(length < 0x80, "one byte");
    module.extend([0, length]);
    module.extend(content);
    module
}
