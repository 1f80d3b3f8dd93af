//! A job that has to leave: with a checkpoint within the grace time, or without one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::events::Events;
use crate::exit;
use crate::failure::warn;

/// Watches that a job that has to leave does.
#[derive(Default)]
pub(crate) struct Eviction {
    grace: Mutex<Option<Duration>>,
    /// Whether the same command, or `wherry resume`, goes on with the job in any case.
    restartable: AtomicBool,
    begun: AtomicBool,
    events: Events,
}

impl Eviction {
    pub(crate) fn new(grace: Option<Duration>, events: Events) -> Arc<Self> {
        Arc::new(Eviction {
            grace: Mutex::new(grace),
            events,
            ..Eviction::default()
        })
    }

    /// The job may take this long, unless it may only take less already.
    pub(crate) fn limit(&self, grace: Option<Duration>) {
        let mut own = self.grace.lock().unwrap_or_else(PoisonError::into_inner);
        *own = own.into_iter().chain(grace).min();
    }

    /// From now on the job can go on after any end.
    pub(crate) fn restartable(&self) {
        self.restartable.store(true, Ordering::Relaxed);
    }

    /// The job has to leave, because of `signal`.
    pub(crate) fn begin(self: &Arc<Self>, signal: &str) {
        if self.begun.swap(true, Ordering::Relaxed) {
            return;
        }
        let grace = *self.grace.lock().unwrap_or_else(PoisonError::into_inner);
        let milliseconds = grace.map(|grace| u64::try_from(grace.as_millis()).unwrap_or(u64::MAX));
        let fields = json!({ "signal": signal, "grace_ms": milliseconds });
        self.events.emit("evicting", fields);
        let Some(grace) = grace else {
            return;
        };
        let own = Arc::clone(self);
        let wait = move || {
            thread::sleep(grace);
            own.expire(grace);
        };
        let builder = thread::Builder::new().name("grace".to_owned());
        if builder.spawn(wait).is_err() {
            self.expire(grace);
        }
    }

    /// Ends the process, as if it were killed: what was written before is whole.
    fn expire(&self, grace: Duration) {
        let code = if self.restartable.load(Ordering::Relaxed) {
            exit::CHECKPOINTED
        } else {
            exit::KILLED
        };
        self.events.emit("grace-expired", json!({ "exit": code }));
        self.events.close();
        warn(format!(
            "no checkpoint was written within the grace time of {}: the job goes on from the one before",
            humantime::format_duration(grace)
        ));
        std::process::exit(i32::from(code));
    }
}
