//! Reaching registries, and showing how far transfers are.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use wherry_packager::{Digest, Reference};
use wherry_registry_client::{Options, Progress, Registry};

use crate::output::{note, size};

/// How often programs are told.
const EVERY: Duration = Duration::from_millis(500);

/// How to reach a registry.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Registry")]
pub(crate) struct RegistryArgs {
    /// A PEM file with certificates to trust besides the system's
    #[arg(long, value_name = "FILE", env = "WHERRY_CA_FILE")]
    ca_file: Option<PathBuf>,
    /// Speak plain HTTP with the registry. Loopback needs no mention
    #[arg(long)]
    plain_http: bool,
}

impl RegistryArgs {
    /// A client for `registry`.
    pub(crate) fn client(&self, registry: &str) -> anyhow::Result<Registry> {
        let plain = self.plain_http.then(|| registry.to_owned());
        let mut options = Options::from_env();
        options.ca_file = self.ca_file.clone();
        options.plain_http = plain.into_iter().collect();
        Ok(Registry::new(options)?)
    }

    /// A client for the registry that `reference` names, if it names one.
    pub(crate) fn client_for(&self, reference: &Reference) -> anyhow::Result<Registry> {
        self.client(reference.registry().unwrap_or_default())
    }
}

/// How far a transfer is: a bar on a terminal, and lines of JSON for programs.
///
/// A line of JSON is `{"event":"transfer","done":…,"total":…,"skipped":…,"bytes_per_second":…}`,
/// in bytes; the first comes when the total is known, the last when all is done. `skipped` is the
/// part of `done` that the other side had already.
pub(crate) struct Meter {
    bar: ProgressBar,
    json: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Bytes of each blob that is on its way.
    blobs: HashMap<Digest, (u64, u64)>,
    total: u64,
    /// Bytes of blobs that are through.
    done: u64,
    skipped: u64,
    begun: Option<Instant>,
    told: Option<Instant>,
}

impl Meter {
    pub(crate) fn new(json: bool) -> Self {
        const TEMPLATE: &str = "{bar:30} {binary_bytes:>10}/{binary_total_bytes:<10} {binary_bytes_per_sec:>12}  {eta} left {msg}";
        let bar = if json {
            ProgressBar::hidden()
        } else {
            ProgressBar::new(0)
        };
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar.set_style(style);
        }
        Meter {
            bar,
            json,
            state: Mutex::default(),
        }
    }

    fn update(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state);
        let under_way: u64 = state.blobs.values().map(|(done, _)| done).sum();
        let done = state.done + under_way;
        self.bar.set_length(state.total);
        self.bar.set_position(done);
        if state.skipped > 0 {
            self.bar
                .set_message(format!("({} there already)", size(state.skipped)));
        }
        let is_due = state.told.is_none_or(|told| told.elapsed() >= EVERY) || done == state.total;
        if self.json && is_due {
            let now = Instant::now();
            let seconds = (now - *state.begun.get_or_insert(now)).as_secs_f64();
            let moved = (done - state.skipped) as f64;
            let rate = (seconds > 0.0).then(|| (moved / seconds).round());
            note(json!({
                "event": "transfer", "done": done, "total": state.total,
                "skipped": state.skipped, "bytes_per_second": rate,
            }));
            state.told = Some(now);
        }
    }
}

impl Progress for Meter {
    fn planned(&self, total: u64) {
        self.update(|state| state.total += total);
    }

    fn started(&self, blob: &Digest, total: u64) {
        self.update(|state| {
            state.blobs.insert(*blob, (0, total));
        });
    }

    fn advanced(&self, blob: &Digest, bytes: u64) {
        self.update(|state| {
            state.blobs.entry(*blob).or_default().0 += bytes;
        });
    }

    fn rewound(&self, blob: &Digest, done: u64) {
        self.update(|state| state.blobs.entry(*blob).or_default().0 = done);
    }

    fn finished(&self, blob: &Digest) {
        self.update(|state| {
            let (_, total) = state.blobs.remove(blob).unwrap_or_default();
            state.done += total;
        });
    }

    fn skipped(&self, _blob: &Digest, total: u64) {
        self.update(|state| {
            state.done += total;
            state.skipped += total;
        });
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
