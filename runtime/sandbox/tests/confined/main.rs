//! The sandbox by itself: a process confines itself, and then tries natively what an attacker would
//! try who has taken over the engine. Everything runs twice, in processes of its own: free, where
//! it must work, and confined, where it must fail for the reason that the table says.

#![expect(clippy::print_stdout, reason = "it is its own harness")]
#![expect(clippy::print_stderr, reason = "it is its own harness")]

mod attempts;

use std::path::Path;
use std::process::{Command, ExitCode, Output};

use wherry_sandbox::{
    Access, Confinement, Devices, Facility, Grant, Limits, Report, Requirement, Role, State,
};

use crate::attempts::{ATTEMPTS, Attempt, REMAINS, Stopped, WORKS};

/// How a process says what came of an attempt.
const SUCCEEDED: i32 = 110;
const BROKEN: i32 = 111;

/// Whom attempts are made as, besides a job: fewer or more system calls are theirs.
const OTHERS: [&str; 2] = ["compiler", "gpu"];

/// In the place of an attempt: says what confines the process.
const REPORT: &str = "report";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some("attempt") => {
            let args: Vec<String> = args.collect();
            child(&args)
        }
        _ => all(),
    }
}

/// In a process of its own: does one thing, confined or not.
fn child(args: &[String]) -> ExitCode {
    let [name, way, directory] = args else {
        return code(BROKEN);
    };
    let directory = Path::new(directory);
    attempts::look_around();
    let confined = way != "free";
    if confined {
        match confinement(way, directory).apply() {
            Ok(report) if name == REPORT => {
                println!("{}", serde_json::to_string(&report).expect("JSON"));
                return code(SUCCEEDED);
            }
            Ok(_) => {}
            Err(error) => {
                eprintln!("{error}");
                return code(BROKEN);
            }
        }
    }
    let Some(attempt) = find(name) else {
        return code(BROKEN);
    };
    match (attempt.action)(directory) {
        Ok(()) => code(SUCCEEDED),
        Err(error) => match error.raw_os_error() {
            Some(errno) => code(errno),
            None => {
                eprintln!("{error}");
                code(BROKEN)
            }
        },
    }
}

fn code(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}

fn find(name: &str) -> Option<&'static Attempt> {
    let mut all = ATTEMPTS.iter().chain(WORKS).chain(REMAINS);
    all.find(|attempt| attempt.name == name)
}

fn confinement(way: &str, directory: &Path) -> Confinement {
    let grant = |name: &str, access| Grant {
        path: directory.join(name),
        access,
    };
    Confinement {
        role: if way == "compiler" {
            Role::Compiler
        } else {
            Role::Job
        },
        grants: vec![
            grant("scratch", Access::ReadWrite),
            grant("lent", Access::Read),
        ],
        limits: Limits {
            descriptors: 64,
            memory_bytes: Some(512 << 20),
            cpu_time: None,
            file_bytes: None,
        },
        devices: if way == "gpu" {
            let grants = Vec::new();
            Devices::Gpu { grants }
        } else {
            Devices::None
        },
        requirement: Requirement::Auto,
        supervisor: None,
    }
}

/// Runs everything, and returns whether it came out as it should.
fn all() -> ExitCode {
    let report = report();
    for finding in &report.findings {
        println!(
            "{}: {} ({})",
            finding.facility, finding.state, finding.detail
        );
    }
    let mut failed = 0;
    for attempt in ATTEMPTS {
        failed += u32::from(!check(attempt, &report, "job"));
    }
    for (works, how) in [(WORKS, "must work"), (REMAINS, "remains")] {
        for works in works {
            let (code, said) = run(works, "job");
            let fine = code == SUCCEEDED;
            let verdict = if fine { "ok" } else { "FAILED" };
            println!("{} {how} ... {verdict}", works.name);
            if !fine {
                println!("  it ended with {code}: {said}");
            }
            failed += u32::from(!fine);
        }
    }
    let count = ATTEMPTS.len() + WORKS.len() + REMAINS.len();
    println!("{failed} failed of {count}");
    ExitCode::from(u8::from(failed > 0))
}

fn check(attempt: &Attempt, report: &Report, way: &str) -> bool {
    let name = attempt.name;
    let needed = attempt.stopped.facility();
    if report.state(needed) == State::Missing {
        eprintln!("SKIPPED: {name}: {needed} is missing here");
        return true;
    }
    let (free, _) = run(attempt, "free");
    if free != SUCCEEDED && !attempt.may_be_absent {
        println!("{name} ... FAILED: it does not even work without the sandbox: {free}");
        return false;
    }
    for other in OTHERS {
        let (code, _) = run(attempt, other);
        if code == SUCCEEDED {
            println!("{name} as {other} ... FAILED: it works");
            return false;
        }
    }
    let (code, said) = run(attempt, way);
    let fine = attempt.stopped.is(code);
    let verdict = if fine { "ok" } else { "FAILED" };
    println!(
        "{name} is stopped by {} ... {verdict}",
        attempt.stopped.by()
    );
    if !fine {
        println!("  it ended with {code}: {said}");
    }
    fine
}

/// What came of an attempt in a process of its own, and what that process said.
fn run(attempt: &Attempt, way: &str) -> (i32, String) {
    let done = start(attempt.name, way);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    match done.status.code() {
        // It is another program now.
        Some(0) => (SUCCEEDED, said),
        code => (code.unwrap_or(-1), said),
    }
}

fn start(name: &str, way: &str) -> Output {
    let directory = tempfile::tempdir().expect("a directory");
    attempts::prepare(directory.path()).expect("files to attack");
    Command::new(std::env::current_exe().expect("a name"))
        .args(["attempt", name, way])
        .arg(directory.path())
        .output()
        .expect("it can be started")
}

/// What confines a process on this machine, as one says that has just confined itself. That it
/// is true is what the attempts are for.
fn report() -> Report {
    let done = start(REPORT, "job");
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said} {done:?}"))
}

impl Stopped {
    fn facility(self) -> Facility {
        match self {
            Stopped::Landlock => Facility::Landlock,
            Stopped::Seccomp => Facility::Seccomp,
            Stopped::Capabilities => Facility::Capabilities,
            Stopped::Rlimits(_) => Facility::Rlimits,
        }
    }
}
