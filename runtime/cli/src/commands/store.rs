//! `wherry store`

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use wherry_packager::{Problem, parse_bytes};

use super::Context;
use crate::exit;
use crate::failure::Refusal;
use crate::output::size;

/// Check the local store, limit it, and carry artifacts by file
///
/// The store is an OCI image layout: `skopeo` and `oras` read it too. What it needs no more is
/// removed by `wherry rm` and `wherry gc`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wherry store verify
  wherry store quota 20GiB
  wherry store export nbody:1.0.0 > nbody.tar
  wherry store import nbody.tar")]
pub(crate) struct Store {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Read everything, and say what is damaged or missing
    ///
    /// Exits with 65 if something is. With --repair, damaged blobs are removed, so that whoever
    /// needs one packs or pulls it again.
    #[command(after_help = "Examples:\n  wherry store verify\n  wherry store verify --repair")]
    Verify {
        /// Remove what is damaged
        #[arg(long)]
        repair: bool,
    },
    /// Show how much the store holds, or limit it
    #[command(
        after_help = "Examples:\n  wherry store quota\n  wherry store quota 20GiB\n  wherry store quota none"
    )]
    Quota {
        /// How much it may hold, or `none`
        #[arg(value_parser = limit)]
        limit: Option<Limit>,
    },
    /// Write artifacts, with their signatures, as a tar file that is an OCI image layout
    #[command(after_help = "\
Examples:
  wherry store export nbody:1.0.0 --output nbody.tar
  wherry store export nbody:1.0.0 | ssh there wherry store import -
  skopeo copy oci-archive:nbody.tar docker://registry.example/team/nbody:1.0.0")]
    Export {
        /// The file, which is replaced [default: standard output]
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
        /// The artifacts, by name or digest
        #[arg(required = true)]
        image: Vec<String>,
    },
    /// Add the artifacts of such a file, or of one that another tool wrote (`oci-archive:`)
    #[command(
        after_help = "Examples:\n  wherry store import nbody.tar\n  wherry store import - < nbody.tar"
    )]
    Import {
        /// The file; `-` is standard input
        file: PathBuf,
    },
}

#[derive(Clone, Copy, Debug)]
struct Limit(Option<u64>);

fn limit(text: &str) -> Result<Limit, String> {
    match text {
        "none" => Ok(Limit(None)),
        text => Ok(Limit(Some(parse_bytes(text)?))),
    }
}

impl Store {
    pub(crate) fn execute(self, context: &Context) -> anyhow::Result<()> {
        match self.action {
            Action::Verify { repair } => verify(context, repair),
            Action::Quota { limit } => quota(context, limit),
            Action::Export { output, image } => export(context, output, &image),
            Action::Import { file } => import(context, &file),
        }
    }
}

fn verify(context: &Context, repair: bool) -> anyhow::Result<()> {
    let store = context.home.store()?;
    let bar = ProgressBar::new(store.quota()?.used);
    if let Ok(style) = ProgressStyle::with_template(
        "{bar:30} {binary_bytes:>10}/{binary_total_bytes:<10} {binary_bytes_per_sec} {eta} left",
    ) {
        bar.set_style(style);
    }
    let check = store.check(repair, |bytes| bar.inc(bytes));
    bar.finish_and_clear();
    let check = check?;
    let value = json!({
        "blobs": check.blobs,
        "bytes": check.bytes,
        "problems": check.problems.iter().map(problem_value).collect::<Vec<_>>(),
    });
    let all = format!("{} blobs, {}", check.blobs, size(check.bytes));
    if check.problems.is_empty() {
        return context.output.result(&value, format!("{all}: all whole"));
    }
    let lines: Vec<_> = check.problems.iter().map(problem_text).collect();
    context.output.result(&value, lines.join("\n"))?;
    let message = format!("{} things are wrong with the store ({all})", lines.len());
    let hint = match repair {
        true => "pack or pull again what is missing now",
        false => {
            "`wherry store verify --repair` removes what is damaged; then pack or pull it again"
        }
    };
    Err(Refusal::new(exit::BAD_DATA, message).hint(hint).into())
}

fn problem_value(problem: &Problem) -> Value {
    match problem {
        Problem::Damaged { blob, removed } => {
            json!({ "problem": "damaged", "blob": blob.to_string(), "removed": removed })
        }
        Problem::Missing { artifact, blob } => {
            json!({ "problem": "missing", "artifact": artifact, "blob": blob.to_string() })
        }
        Problem::WrongSize { artifact, blob } => {
            json!({ "problem": "wrong-size", "artifact": artifact, "blob": blob.to_string() })
        }
        Problem::Refused { artifact, reason } => {
            json!({ "problem": "refused", "artifact": artifact, "reason": reason })
        }
        Problem::DamagedData { layer, removed } => {
            json!({ "problem": "damaged-data", "layer": layer.to_string(), "removed": removed })
        }
        Problem::Foreign(file) => json!({ "problem": "foreign", "file": file }),
    }
}

fn problem_text(problem: &Problem) -> String {
    match problem {
        Problem::Damaged { blob, removed } => {
            let removed = if *removed { ", removed" } else { "" };
            format!("damaged{removed}: {blob}")
        }
        Problem::Missing { artifact, blob } => format!("missing: {blob}, which {artifact} needs"),
        Problem::WrongSize { artifact, blob } => {
            format!("wrong size: {blob}, of which {artifact} says another one")
        }
        Problem::Refused { artifact, reason } => format!("refused: {artifact}: {reason}"),
        Problem::DamagedData { layer, removed } => {
            let removed = if *removed { ", removed" } else { "" };
            format!("damaged{removed}: what was unpacked of the data layer {layer}")
        }
        Problem::Foreign(file) => format!("no blob: {}", file.escape_debug()),
    }
}

fn quota(context: &Context, limit: Option<Limit>) -> anyhow::Result<()> {
    let store = context.home.store()?;
    if let Some(Limit(limit)) = limit {
        store.set_quota(limit)?;
    }
    let quota = store.quota()?;
    let value = json!({ "used": quota.used, "limit": quota.limit });
    let used = size(quota.used);
    context.output.result(
        &value,
        match quota.limit {
            Some(limit) => format!("{used} of {}", size(limit)),
            None => format!("{used}, not limited"),
        },
    )
}

fn export(context: &Context, output: Option<PathBuf>, images: &[String]) -> anyhow::Result<()> {
    let store = context.home.store_with(&images[0])?;
    let Some(output) = output else {
        return match store.export(images, io::stdout().lock()) {
            Ok(_) => Ok(()),
            Err(error) => Err(error.into()),
        };
    };
    let failed = || format!("cannot write {}", output.display());
    let directory = output.parent().filter(|path| !path.as_os_str().is_empty());
    let directory = directory.unwrap_or(std::path::Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".new-")
        .tempfile_in(directory)
        .with_context(failed)?;
    let mut writer = BufWriter::new(file.as_file_mut());
    let blobs = store.export(images, &mut writer)?;
    writer.flush().with_context(failed)?;
    drop(writer);
    file.as_file().sync_all().with_context(failed)?;
    file.persist(&output)
        .map_err(|error| error.error)
        .with_context(failed)?;
    let value = json!({ "file": output, "blobs": blobs });
    context
        .output
        .result(&value, format!("{blobs} blobs in {}", output.display()))
}

fn import(context: &Context, file: &std::path::Path) -> anyhow::Result<()> {
    let store = context.home.store()?;
    let imported = if file.as_os_str() == "-" {
        store.import(io::stdin().lock())?
    } else {
        let opened = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
        store.import(BufReader::new(opened))?
    };
    let value = |one: &wherry_packager::Imported| {
        json!({
            "reference": one.reference,
            "digest": one.digest.to_string(),
            "attached": one.is_attachment,
        })
    };
    let values: Vec<_> = imported.iter().map(value).collect();
    let lines = imported.iter().filter(|one| !one.is_attachment).map(|one| {
        let name = one.reference.clone().unwrap_or_default();
        format!("{name}@{}", one.digest)
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    context.output.result(&Value::from(values), text)
}
