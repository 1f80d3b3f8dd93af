//! `wherry receipt`

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::json;
use wherry_node::{Receipt as Content, ReceiptError, node_public_key};
use wherry_trust::{MAX_BUNDLE_SIZE, PublicKey, TrustedKey, TrustedKeys};

use super::Context;
use crate::exit;
use crate::failure::Refusal;
use crate::output::{size, table, time};
use crate::receipts::find;

/// Show and verify what runs of jobs used
///
/// Every run ends with a receipt that the node signs: what was run, under which policy, from which
/// checkpoint to which, what it used, and how it ended. docs/receipts.md describes it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wherry receipt show 4f2c9a
  wherry receipt verify 4f2c9a                        signed by this node
  wherry receipt verify --key node-a.pub receipt.json signed by that node")]
pub(crate) struct Receipt {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print a receipt, whoever signed it
    #[command(after_help = "Examples:\n  wherry receipt show --json job-state")]
    Show {
        /// A file, a state directory, or a job of this machine
        #[arg(value_name = "FILE|DIR|JOB")]
        receipt: String,
    },
    /// Check that a node signed the receipt, and that no byte of it was changed
    #[command(after_help = "Examples:\n  wherry receipt verify --key node.pub receipt.json")]
    Verify {
        /// The public key of a node that is believed [default: this node's, node.pub in the home]
        #[arg(long, value_name = "FILE")]
        key: Vec<PathBuf>,
        /// A file, a state directory, or a job of this machine
        #[arg(value_name = "FILE|DIR|JOB")]
        receipt: String,
    },
}

impl Receipt {
    pub(crate) fn execute(self, context: &Context) -> anyhow::Result<()> {
        match self.action {
            Action::Show { receipt } => {
                let bytes = read(&find(&context.home.jobs(), &receipt)?)?;
                let receipt = Content::unverified(&bytes).map_err(refused(&receipt))?;
                context.output.result(&json!(receipt), text(&receipt))
            }
            Action::Verify { key, receipt } => verify(context, &key, &receipt),
        }
    }
}

fn verify(context: &Context, keys: &[PathBuf], name: &str) -> anyhow::Result<()> {
    let trusted = trusted(context, keys)?;
    let bytes = read(&find(&context.home.jobs(), name)?)?;
    let (receipt, by) = Content::verified(&bytes, &trusted).map_err(refused(name))?;
    let value = json!({ "verified": true, "signed_by": by.to_string(), "receipt": receipt });
    let text = format!("{}\nsigned by     {by}", text(&receipt));
    context.output.result(&value, text)
}

fn trusted(context: &Context, files: &[PathBuf]) -> anyhow::Result<TrustedKeys> {
    let mut keys = TrustedKeys::default();
    for file in files {
        let refused = || format!("{} is no public key", file.display());
        let pem = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let key = PublicKey::from_pem(&pem)
            .map_err(|error| Refusal::new(exit::BAD_DATA, format!("{}: {error}", refused())))?;
        let name = file.display().to_string();
        keys.add(TrustedKey { name, key });
    }
    if files.is_empty() {
        let key = node_public_key(context.home.directory())?.ok_or_else(|| {
            let message = "this node has no key yet: it has made no receipt";
            Refusal::new(exit::CONFIG, message).hint("give the other node's with --key FILE")
        })?;
        let name = "this node".to_owned();
        keys.add(TrustedKey { name, key });
    }
    Ok(keys)
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_BUNDLE_SIZE)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    fs::File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .with_context(|| format!("cannot read {}", path.display()))?;
    Ok(bytes)
}

fn refused(name: &str) -> impl FnOnce(ReceiptError) -> Refusal {
    let name = name.to_owned();
    move |error| {
        Refusal::new(
            exit::BAD_DATA,
            format!("the receipt {name} is refused: {error}"),
        )
    }
}

fn text(receipt: &Content) -> String {
    let duration = |milliseconds: u64| {
        humantime::format_duration(Duration::from_millis(milliseconds)).to_string()
    };
    let point = |point: &Option<wherry_node::Point>| {
        point.as_ref().map_or("-".to_owned(), |point| {
            format!("checkpoint {}, {}", point.sequence, point.state)
        })
    };
    let used = &receipt.used;
    let code = receipt
        .code
        .map_or(String::new(), |code| format!(" with code {code}"));
    let rows = [
        ("job", receipt.job.clone()),
        ("workload", receipt.workload.clone()),
        ("module", receipt.module.clone()),
        (
            "manifest",
            receipt.manifest.clone().unwrap_or("-".to_owned()),
        ),
        ("policy", receipt.policy.clone()),
        ("went on from", point(&receipt.lineage.resumed_from)),
        ("came to", point(&receipt.lineage.last)),
        (
            "ended",
            format!("{}: {}{code}", time(receipt.ended), receipt.outcome),
        ),
        ("wall time", duration(used.wall_ms)),
        ("CPU time", duration(used.cpu_ms)),
        ("memory", size(used.memory_bytes)),
        ("resident", size(used.peak_resident_bytes)),
        ("GPU time", duration(used.gpu_ms)),
        ("GPU memory", size(used.gpu_bytes)),
        ("read", size(used.read_bytes)),
        ("written", size(used.written_bytes)),
    ];
    let rows = rows.map(|(name, value)| vec![name.to_owned(), value]);
    let text = table(&["RECEIPT", ""], rows.to_vec());
    text.trim_end().to_owned()
}
