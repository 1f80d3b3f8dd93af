//! What the signals mean that a job's process gets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1, SIGXFSZ};
use signal_hook::iterator::Signals;
use wherry_node::Requests;

use crate::eviction::Eviction;
use crate::{exit, output};

/// How long a job that is killed may take to note its end.
const GRACE: Duration = Duration::from_secs(1);

/// Turns signals into requests from now on: SIGUSR1, SIGTERM and the first SIGINT want a
/// checkpoint, the second SIGINT the end. With `go_on`, the job goes on after SIGUSR1.
/// Returns whether there was a SIGINT.
pub(crate) fn watch(
    requests: &Requests,
    go_on: bool,
    quiet: bool,
    eviction: &Arc<Eviction>,
) -> std::io::Result<Arc<AtomicBool>> {
    // A file that is too large for a limit is an error like a full disk, not a reason to die.
    signal_hook::flag::register(SIGXFSZ, Arc::default())?;
    let mut signals = Signals::new([SIGUSR1, SIGTERM, SIGINT])?;
    let interrupted = Arc::<AtomicBool>::default();
    let (requests, noted) = (requests.clone(), Arc::clone(&interrupted));
    let eviction = Arc::clone(eviction);
    let serve = move || {
        let mut interrupts = 0;
        for signal in &mut signals {
            match signal {
                SIGINT => {
                    noted.store(true, Ordering::Relaxed);
                    interrupts += 1;
                    interrupt(interrupts, &requests, quiet);
                    eviction.begin("SIGINT");
                }
                SIGUSR1 => {
                    requests.checkpoint(go_on);
                    if !go_on {
                        eviction.begin("SIGUSR1");
                    }
                }
                _ => {
                    requests.checkpoint(false);
                    eviction.begin("SIGTERM");
                }
            }
        }
    };
    let builder = thread::Builder::new().name("signals".to_owned());
    builder.spawn(serve)?;
    Ok(interrupted)
}

fn interrupt(count: u32, requests: &Requests, quiet: bool) {
    match count {
        1 => {
            if !quiet {
                output::note("wherry: writing a checkpoint; Ctrl-C again kills the job");
            }
            requests.checkpoint(false);
        }
        2 => {
            requests.kill();
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
