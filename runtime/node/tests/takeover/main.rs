//! The process of a job, taken over: this program starts itself as one, by the same calls as a node
//! does, and what runs in it then is an attacker with native code. First it tries what it can do with
//! the kernel, and then what it can make the process believe that answers for the job.

#![expect(clippy::print_stdout, reason = "it is its own harness")]

mod attacker;
#[path = "../../../sandbox/tests/confined/attempts/mod.rs"]
mod attempts;
mod lies;
mod own;
mod scene;

use std::process::ExitCode;

use wherry_node::Error;
use wherry_sandbox::{Facility, Finding, State};

use crate::attempts::{ATTEMPTS, REMAINS, WORKS};
use crate::lies::LIES;
use crate::scene::{OTHER, Scene};

fn main() -> ExitCode {
    if std::env::args().next().as_deref() == Some(attacker::NAME) {
        attacker::serve();
        return ExitCode::SUCCESS;
    }
    // The compiler is as it is.
    if let Some(code) = wherry_node::serve(&describe) {
        return code;
    }
    let failed = attempts_are_stopped() + lies_are_found_out();
    println!("{failed} failed");
    ExitCode::from(u8::from(failed > 0))
}

fn describe(error: &Error) -> wherry_node::Failure {
    wherry_node::Failure {
        message: error.to_string(),
        hint: None,
        exit: 70,
        damage: false,
    }
}

fn attempts_are_stopped() -> usize {
    let (before, missing) = (Scene::new(attacker::ATTEMPT), missing());
    let others = before.others();
    let (active, process) = before.start();
    let Err(Error::Failed(failure)) = process else {
        println!("it could not report: {:?}", process.err());
        return 1;
    };
    drop(active);
    let done: Vec<(String, i32)> = serde_json::from_str(&failure.message).expect("a report");
    println!("{} attempts in the process of a job", done.len());
    let certain = ATTEMPTS.iter().filter(|attempt| !attempt.may_be_absent);
    assert!(done.len() > certain.count(), "all were made");
    let wrong = done
        .iter()
        .filter(|(name, code)| !is_stopped(name, *code, &missing));
    let wrong = wrong.count();
    assert_eq!(before.others(), others, "what is not its own is as it was");
    wrong
}

fn is_stopped(name: &str, code: i32, missing: &[Facility]) -> bool {
    let known = ATTEMPTS.iter().find(|attempt| attempt.name == name);
    let lacks = |facility| missing.contains(&facility);
    let works = WORKS.iter().chain(REMAINS).any(|works| works.name == name);
    if works {
        println!(
            "{name} works ... {}",
            if code == 0 { "ok" } else { "FAILED" }
        );
        return code == 0;
    }
    let fine = match known {
        _ if lacks(Facility::Landlock) || lacks(Facility::Seccomp) => {
            println!("SKIPPED: {name}: Landlock or seccomp is missing here");
            return true;
        }
        Some(attempt) => attempt.stopped.is(code),
        None => [libc::EACCES, libc::EXDEV, libc::ENOSYS].contains(&code),
    };
    let by = known.map_or("Landlock or seccomp", |attempt| attempt.stopped.by());
    let verdict = if fine { "ok" } else { "FAILED" };
    println!("{name} is stopped by {by} ... {verdict}");
    if !fine {
        println!("  it ended with {code}");
    }
    fine
}

/// What this machine has not got.
fn missing() -> Vec<Facility> {
    let report = wherry_node::probe_isolation().expect("a process");
    let is_missing = |finding: &&Finding| finding.state == State::Missing;
    let missing = report.findings.iter().filter(is_missing);
    missing.map(|finding| finding.facility).collect()
}

fn lies_are_found_out() -> usize {
    let mut failed = 0;
    for lie in LIES {
        let scene = Scene::new(lie.name);
        let others = scene.others();
        let told = scene.tell();
        let is_found_out = (lie.is_found_out)(&told);
        let fine = is_found_out && told.is_over() && scene.others() == others;
        println!("{} ... {}", lie.name, if fine { "ok" } else { "FAILED" });
        if !fine {
            println!("  {told:?}");
            failed += 1;
        }
    }
    failed
}
