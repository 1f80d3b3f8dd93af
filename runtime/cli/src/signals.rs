//! What the signals mean that a job's process gets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;
use wherry_node::{Question, Questions};

use crate::eviction::Eviction;
use crate::{exit, output};

/// How long a job that is killed may take to note its end.
const GRACE: Duration = Duration::from_secs(1);

/// Turns signals into questions to the job from now on: SIGUSR1, SIGTERM and the first SIGINT want a
/// checkpoint, the second SIGINT the end. With `go_on`, the job goes on after SIGUSR1.
/// Returns whether there was a SIGINT.
pub(crate) fn watch(
    questions: &Questions,
    go_on: bool,
    quiet: bool,
    eviction: &Arc<Eviction>,
) -> std::io::Result<Arc<AtomicBool>> {
    let mut signals = Signals::new([SIGUSR1, SIGTERM, SIGINT])?;
    let interrupted = Arc::<AtomicBool>::default();
    let (questions, noted) = (questions.clone(), Arc::clone(&interrupted));
    let eviction = Arc::clone(eviction);
    let serve = move || {
        let mut interrupts = 0;
        for signal in &mut signals {
            match signal {
                SIGINT => {
                    noted.store(true, Ordering::Relaxed);
                    interrupts += 1;
                    interrupt(interrupts, &questions, quiet);
                    eviction.begin("SIGINT");
                }
                SIGUSR1 => {
                    checkpoint(&questions, go_on);
                    if !go_on {
                        eviction.begin("SIGUSR1");
                    }
                }
                _ => {
                    checkpoint(&questions, false);
                    eviction.begin("SIGTERM");
                }
            }
        }
    };
    let builder = thread::Builder::new().name("signals".to_owned());
    builder.spawn(serve)?;
    Ok(interrupted)
}

/// Nobody waits for the answer: what happens is told as events.
fn checkpoint(questions: &Questions, go_on: bool) {
    drop(questions.ask(Question::Checkpoint { to: None, go_on }));
}

fn interrupt(count: u32, questions: &Questions, quiet: bool) {
    match count {
        1 => {
            if !quiet {
                output::note("wherry: writing a checkpoint; Ctrl-C again kills the job");
            }
            checkpoint(questions, false);
        }
        2 => {
            drop(questions.ask(Question::Kill));
            // A program ends at its next safepoint; compiling, or writing a checkpoint, does
            // not listen.
            let die = || {
                thread::sleep(GRACE);
                std::process::exit(i32::from(exit::KILLED));
            };
            if thread::Builder::new().spawn(die).is_err() {
                std::process::exit(i32::from(exit::KILLED));
            }
        }
        _ => std::process::exit(i32::from(exit::KILLED)),
    }
}
