//! Real programs, captured at random safepoints and at random moments, each time resumed in
//! another home: together they write what one uninterrupted run writes.

use std::fs;
use std::path::{Path, PathBuf};

use wherry_tests::{Done, Home, Machine, Random, Workload, repository};

const CAPTURED: i32 = 85;
/// More captures than this are not made in one run; the last leg goes to the end.
const MAX_CAPTURES: usize = 8;

/// A job that is run in legs: to a checkpoint, from there to the next one, to the end.
pub(crate) struct Job {
    module: PathBuf,
    /// Where the legs run, in turn.
    machines: Vec<Machine>,
    /// Options for every leg: directories.
    grants: Vec<String>,
    arguments: Vec<&'static str>,
    /// Where checkpoints travel.
    luggage: Home,
}

/// What a job did in all its legs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Effect {
    stdout: String,
    /// The files that it left in scratch, with their contents.
    scratch: Vec<(PathBuf, Vec<u8>)>,
}

impl Effect {
    fn new(stdout: &[u8], last: &Home) -> Self {
        let stdout = String::from_utf8_lossy(stdout).into_owned();
        let files = last.contents().into_iter().filter_map(|(path, content)| {
            let mut parts = path.components();
            parts.find(|part| part.as_os_str() == "scratch")?;
            Some((parts.as_path().to_owned(), content))
        });
        let scratch = files.collect();
        Effect { stdout, scratch }
    }
}

impl Job {
    pub(crate) fn new(workload: Workload, arguments: &[&'static str]) -> Option<Self> {
        Some(Job {
            module: workload.module()?,
            machines: vec![Machine::This],
            grants: Vec::new(),
            arguments: arguments.to_vec(),
            luggage: Home::new(),
        })
    }

    /// Its legs run on these machines, in turn.
    pub(crate) fn on(self, machines: &[Machine]) -> Self {
        let machines = machines.to_vec();
        Job { machines, ..self }
    }

    fn mount(mut self, host: &Path, guest: &str) -> Self {
        let grant = format!("--dir={}::{guest}::ro", host.display());
        self.grants.push(grant);
        self
    }

    /// Runs it on this machine, to its end.
    pub(crate) fn uninterrupted(&self) -> Effect {
        let home = Home::new();
        let done = self.start(&Machine::This, &home, &[]).expect(0);
        assert!(!done.stdout.is_empty(), "the program writes something");
        Effect::new(&done.stdout, &home)
    }

    fn in_legs(&self, next: impl FnMut(usize) -> String) -> (Effect, usize) {
        self.in_legs_of(MAX_CAPTURES, next)
    }

    /// Runs it in legs; `next` says when each one is to be captured, which happens at most so
    /// many times. Returns what it did and how many captures there were.
    pub(crate) fn in_legs_of(
        &self,
        most: usize,
        mut next: impl FnMut(usize) -> String,
    ) -> (Effect, usize) {
        let mut stdout = Vec::new();
        for (captures, machine) in self.machines.iter().cycle().enumerate() {
            let to = self.checkpoint(captures);
            let mut capture = vec![format!("--checkpoint-to={}", to.display()), next(captures)];
            if captures == most {
                capture.clear();
            }
            let home = Home::new();
            let done = match captures.checked_sub(1) {
                None => self.start(machine, &home, &capture),
                Some(last) => self.resume(machine, &home, &self.checkpoint(last), &capture),
            };
            stdout.extend_from_slice(&done.stdout);
            if done.code != Some(CAPTURED) {
                done.expect(0);
                return (Effect::new(&stdout, &home), captures);
            }
            assert!(
                fs::exists(&to).expect("readable"),
                "captured: {}",
                done.stderr
            );
        }
        unreachable!("the last leg goes to the end")
    }

    fn start(&self, machine: &Machine, home: &Home, capture: &[String]) -> Done {
        let mut command = home.command_on(machine, ["run", "--keep-scratch"]);
        command.args(&self.grants).args(capture);
        command.arg(&self.module).args(&self.arguments);
        Done::of(command)
    }

    fn resume(&self, machine: &Machine, home: &Home, from: &Path, capture: &[String]) -> Done {
        let mut command = home.command_on(machine, ["resume", "--keep-scratch", "--module"]);
        command.arg(&self.module);
        command.args(&self.grants).args(capture).arg(from);
        Done::of(command)
    }

    fn checkpoint(&self, number: usize) -> PathBuf {
        self.luggage.file(&format!("{number}.ckpt"))
    }

    /// The uninterrupted run against several that are captured at random.
    #[track_caller]
    fn survives_captures(&self) {
        let reference = self.uninterrupted();
        let mut random = Random::new();
        for bits in [12, 20] {
            // The first one early: every program passes a thousand safepoints.
            let at = |leg| {
                let bits = if leg == 0 { 9 } else { bits };
                format!("--checkpoint-at={}", random.magnitude(bits))
            };
            let (effect, captures) = self.in_legs(at);
            assert_eq!(effect, reference, "captured {captures} times at safepoints");
            assert!(captures > 0, "captured at least once");
        }
        let mut first = 20_000_u64;
        loop {
            // Later and later, so that the job ends on a slow machine too.
            let after = |leg| format!("--checkpoint-after={}us", random.below(first << leg));
            let (effect, captures) = self.in_legs(after);
            assert_eq!(effect, reference, "captured {captures} times by the clock");
            if captures > 0 {
                return;
            }
            first /= 2; // the machine was faster
            assert!(first > 0, "captured at least once");
        }
    }
}

#[test]
fn c_that_computes() {
    let Some(job) = Job::new(Workload::Prebuilt("nbody"), &["2000000"]) else {
        return;
    };
    job.survives_captures();
}

#[test]
fn c_with_vectors_on_the_heap() {
    let Some(job) = Job::new(Workload::Prebuilt("spectral"), &["600"]) else {
        return;
    };
    job.survives_captures();
}

#[test]
fn graph_kernels() {
    let Some(job) = Job::new(Workload::Built("graphs"), &["12"]) else {
        return;
    };
    job.survives_captures();
}

#[test]
fn a_language_model() {
    let Some(job) = Job::new(Workload::Built("babble"), &["300"]) else {
        return;
    };
    job.survives_captures();
}

#[test]
fn a_javascript_interpreter() {
    let Some(job) = Job::new(Workload::Built("quickjs"), &["3"]) else {
        return;
    };
    job.survives_captures();
}

/// SQLite keeps a database and its journal in scratch, and reads back what it wrote.
#[test]
fn sqlite_with_its_database_in_scratch() {
    let Some(job) = Job::new(Workload::Built("sqlite"), &["3000", "orders.db"]) else {
        return;
    };
    job.survives_captures();
}

/// The archive's own digest, taken from scratch at the end, is in the output.
#[test]
fn rust_that_archives_a_mounted_directory() {
    let arguments = ["/input", "input.tar.gz", "6"];
    let Some(job) = Job::new(Workload::Built("archive"), &arguments) else {
        return;
    };
    job.mount(&repository().join("workloads/prebuilt"), "/input")
        .survives_captures();
}

#[test]
fn go_with_goroutines_and_a_garbage_collector() {
    let Some(job) = Job::new(Workload::Built("jsonsum"), &["-orders", "2000"]) else {
        return;
    };
    job.survives_captures();
}
