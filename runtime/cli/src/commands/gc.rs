//! `wherry gc`

use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};
use wherry_engine::{CacheLimits, Evicted, evict_cache};
use wherry_node::Finding;
use wherry_packager::{Sweep, parse_bytes};

use super::Context;
use crate::output::{size, table};

/// Remove what is of no use any more, and say why the rest is kept
///
/// Checkpoints that no policy keeps, what killed processes left, blobs of the store that no
/// artifact leads to, compiled modules that were not used for long. Jobs that run are left alone,
/// and so is what only you can do without: artifacts (`wherry rm`) and jobs (`wherry jobs rm`).
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  wherry gc --dry-run\n  wherry gc --cache-size 500MiB")]
pub(crate) struct Gc {
    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,
    /// Keep no more compiled modules than this, those that were used last [default: 2GiB]
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    cache_size: Option<u64>,
    /// Keep no compiled module that was not used for longer than this [default: 30days]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    cache_age: Option<Duration>,
}

/// What was found.
struct Found {
    jobs: Vec<Finding>,
    store: Sweep,
    cache: Evicted,
}

impl Gc {
    pub(crate) fn execute(self, context: &Context) -> anyhow::Result<()> {
        let home = &context.home;
        let default = CacheLimits::default();
        let limits = CacheLimits {
            bytes: self.cache_size.unwrap_or(default.bytes),
            age: self.cache_age.unwrap_or(default.age),
        };
        let store = home.existing_store()?;
        let nothing = Sweep::Done { blobs: 0, bytes: 0 };
        let found = Found {
            jobs: home.jobs().collect(self.dry_run)?,
            store: store.map_or(Ok(nothing), |store| store.sweep(self.dry_run))?,
            cache: evict_cache(&home.cache(), limits, self.dry_run)
                .with_context(|| format!("cannot clear {}", home.cache().display()))?,
        };
        if context.output.json {
            return context.output.text(found.value(self.dry_run));
        }
        context.output.text(found.text(self.dry_run))
    }
}

impl Found {
    /// Bytes that are free now, or would be.
    fn bytes(&self) -> u64 {
        let gone = self.jobs.iter().filter(|one| one.kept.is_none());
        let jobs: u64 = gone.map(|one| one.bytes).sum();
        let store = match self.store {
            Sweep::Done { bytes, .. } => bytes,
            _ => 0,
        };
        jobs + store + self.cache.bytes
    }

    fn value(&self, dry_run: bool) -> Value {
        let (gone, kept): (Vec<_>, Vec<_>) = self.jobs.iter().partition(|one| one.kept.is_none());
        let store = match &self.store {
            Sweep::Done { blobs, bytes } => json!({ "blobs": blobs, "bytes": bytes }),
            other => json!({ "blobs": 0, "bytes": 0, "kept": why(other) }),
        };
        let Evicted {
            entries,
            bytes,
            kept: cached,
            kept_bytes,
        } = self.cache;
        json!({
            "dry_run": dry_run,
            "bytes": self.bytes(),
            "removed": gone,
            "kept": kept,
            "store": store,
            "cache": {
                "entries": entries,
                "bytes": bytes,
                "kept": cached,
                "kept_bytes": kept_bytes,
            },
        })
    }

    fn text(&self, dry_run: bool) -> String {
        let removed = if dry_run { "would remove" } else { "removed" };
        let mut rows: Vec<_> = self.jobs.iter().map(|one| row(one, removed)).collect();
        let mut others = |action: &str, bytes, what: String, why: String| {
            rows.push(vec![action.to_owned(), size(bytes), what, why]);
        };
        match &self.store {
            Sweep::Done { blobs: 0, bytes: 0 } => {}
            Sweep::Done { blobs, bytes } => {
                let why = "no artifact leads to them".to_owned();
                others(removed, *bytes, format!("{blobs} blobs of the store"), why);
            }
            other => others("kept", 0, "blobs of the store".to_owned(), why(other)),
        }
        let cache = self.cache;
        if cache.bytes > 0 {
            let what = format!("{} compiled modules", cache.entries);
            let why = "not used for long, or too large together".to_owned();
            others(removed, cache.bytes, what, why);
        }
        if cache.kept > 0 {
            let what = format!("{} compiled modules", cache.kept);
            others("kept", cache.kept_bytes, what, "in use lately".to_owned());
        }
        let total = format!("{removed} {}", size(self.bytes()));
        if rows.is_empty() {
            return total;
        }
        let table = table(&["", "SIZE", "WHAT", "WHY"], rows);
        format!("{table}\n{total}")
    }
}

fn row(one: &Finding, removed: &str) -> Vec<String> {
    let what = format!("{} {}", one.what, one.path.display());
    let action = if one.kept.is_some() { "kept" } else { removed };
    let why = one.kept.clone();
    vec![
        action.to_owned(),
        size(one.bytes),
        what,
        why.unwrap_or_else(|| "of no use any more".to_owned()),
    ]
}

fn why(sweep: &Sweep) -> String {
    match sweep {
        Sweep::Done { .. } => String::new(),
        Sweep::Busy => "something is being packed or pulled".to_owned(),
        Sweep::Unsure(reason) => reason.clone(),
    }
}
