//! Reaching registries, and showing how far transfers are.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use clap::Args;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use wherry_packager::{Digest, Reference};
use wherry_registry_client::{Options, Progress, Registry};

/// How to reach a registry.
#[derive(Debug, Args)]
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

/// A bar for each blob, on a terminal.
#[derive(Default)]
pub(crate) struct Bars {
    screen: MultiProgress,
    bars: Mutex<HashMap<Digest, ProgressBar>>,
}

impl Bars {
    fn bars(&self) -> MutexGuard<'_, HashMap<Digest, ProgressBar>> {
        self.bars.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, blob: &Digest, total: u64) -> ProgressBar {
        const TEMPLATE: &str = "{prefix} {bar:30} {binary_bytes:>10}/{binary_total_bytes:<10} {binary_bytes_per_sec} {msg}";
        let bar = self.screen.add(ProgressBar::new(total));
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar.set_style(style);
        }
        bar.set_prefix(blob.short());
        bar
    }
}

impl Progress for Bars {
    fn started(&self, blob: &Digest, total: u64) {
        let bar = self.add(blob, total);
        self.bars().insert(*blob, bar);
    }

    fn advanced(&self, blob: &Digest, bytes: u64) {
        if let Some(bar) = self.bars().get(blob) {
            bar.inc(bytes);
        }
    }

    fn finished(&self, blob: &Digest) {
        if let Some(bar) = self.bars().remove(blob) {
            bar.finish();
        }
    }

    fn skipped(&self, blob: &Digest, total: u64) {
        self.add(blob, total).finish_with_message("there already");
    }
}
