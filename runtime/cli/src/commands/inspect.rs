//! `wherry inspect`

mod checkpoint;
mod state;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};
use wherry_packager::{Digest, ModuleSummary, validate_module};

use super::{Context, ps};
use crate::failure::Refusal;
use crate::key::KeyArgs;
use crate::output::{size, time};
use crate::policy::PolicyArgs;
use crate::signatures::{self, Finding};
use crate::{exit, workload};

/// Show what an artifact, a module, a checkpoint or a job is
///
/// Of a checkpoint: the call stack with its values, the memories, globals and tables, the
/// open files, clocks, limits and what the job has used so far. Of one that is encrypted, without
/// its key, which key that is and how large the sections are. Of an artifact: who has signed it, or
/// stated something about it, as far as the policy has their keys; `wherry verify` asks about others.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wherry inspect job.ckpt
  wherry inspect --json nbody:1.0.0
  wherry inspect 3f9c2a11")]
pub(crate) struct Inspect {
    /// The module of a checkpoint, for the names of its functions [default: that of the store]
    #[arg(long, value_name = "MODULE.wasm")]
    module: Option<PathBuf>,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    policy: PolicyArgs,
    /// What to show
    #[arg(value_name = "REF|MODULE.wasm|CHECKPOINT|JOB")]
    what: String,
}

/// What a file starts with.
const CHECKPOINT_MAGIC: &[u8; 8] = b"WHERRYCP";

impl Inspect {
    pub(crate) fn execute(self, context: &Context) -> anyhow::Result<()> {
        let path = Path::new(&self.what);
        if path.is_file() {
            return self.file(context, path);
        }
        let job = context.home.jobs().find(&self.what);
        match (inspect_image(context, &self.what), job) {
            (_, Ok(job)) if job.record.id == self.what => self.job(context, &job),
            (Ok(image), _) => self.image(context, &image),
            (Err(_), Ok(job)) => self.job(context, &job),
            (Err(error), Err(_)) => {
                Err(error.context(format!("`{}` is neither a file nor a job", self.what)))
            }
        }
    }

    fn file(&self, context: &Context, path: &Path) -> anyhow::Result<()> {
        let mut magic = Vec::new();
        File::open(path)
            .and_then(|file| file.take(8).read_to_end(&mut magic))
            .with_context(|| format!("cannot read {}", path.display()))?;
        if magic == CHECKPOINT_MAGIC {
            let key = self.key.load()?;
            checkpoint::show(context, path, self.module.as_deref(), key.as_ref())
        } else if magic.starts_with(b"\0asm") {
            show_module(context, path)
        } else {
            let message = format!("{} is neither a module nor a checkpoint", path.display());
            Err(Refusal::new(exit::BAD_DATA, message).into())
        }
    }

    fn job(&self, context: &Context, job: &wherry_node::JobInfo) -> anyhow::Result<()> {
        let record = &job.record;
        let mut text = format!(
            "job         {}\nstate       {}\nworkload    {}\nmodule      {}\narguments   {:?}\nstarted     {}",
            record.id,
            job.state,
            record.workload,
            record.module,
            record.args,
            time(record.created),
        );
        for mount in &record.mounts {
            let suffix = if mount.read_only { ", read-only" } else { "" };
            let host = mount.host.display();
            text += &format!("\ndirectory   {:?} is {host}{suffix}", mount.guest);
        }
        if let Some(guest) = &record.scratch {
            text += &format!("\nscratch     {guest:?}");
        }
        if let Some(last) = record.last_checkpoint() {
            let (path, at) = (last.path.display(), time(last.at));
            text += &format!("\ncheckpoint  {path}, {at}, {}", size(last.bytes));
            text += &format!("\n            {}", last.state_digest);
        }
        context.output.result(&ps::value(job), text)
    }

    fn image(&self, context: &Context, image: &wherry_packager::Inspection) -> anyhow::Result<()> {
        let store = context.home.store()?;
        let keys = self.policy.load(&context.home)?;
        let keys = keys.signers(&context.home, &store, &image.digest)?;
        let findings = signatures::examine(&store, &image.digest, &keys)?;
        let value = json!({
            "attachments": findings.iter().map(Finding::value).collect::<Vec<_>>(),
            "digest": image.digest.to_string(),
            "manifest": image.manifest,
            "config": image.config,
        });
        let mut text = format!("digest    {}", image.digest);
        for finding in &findings {
            text += &match finding.refusal() {
                None => format!("\nattached  {}", finding.line()),
                Some(_) => format!("\nattached  {}", finding.claim()),
            };
        }
        text += &format!("\nmanifest  {:#}", image.manifest);
        if let Some(config) = &image.config {
            text += &format!("\nconfig    {config:#}");
        }
        context.output.result(&value, text)
    }
}

fn inspect_image(context: &Context, name: &str) -> anyhow::Result<wherry_packager::Inspection> {
    Ok(context.home.store_with(name)?.inspect(name)?)
}

fn show_module(context: &Context, path: &Path) -> anyhow::Result<()> {
    let wasm = workload::read_module(path)?;
    let failed = || format!("{} is refused", path.display());
    let summary = validate_module(&wasm)
        .map_err(wherry_packager::PackError::from)
        .with_context(failed)?;
    let digest = Digest::of(&wasm).to_string();
    context.output.result(
        &module_value(&digest, &summary),
        module_text(&digest, &summary),
    )
}

fn module_value(digest: &str, summary: &ModuleSummary) -> Value {
    let memory = |(initial, maximum): &(u64, Option<u64>)| json!({ "initial_pages": initial, "maximum_pages": maximum });
    json!({
        "digest": digest,
        "size": summary.size,
        "functions": summary.functions,
        "imports": summary.imports,
        "exports": summary.exports,
        "memories": summary.memories.iter().map(memory).collect::<Vec<_>>(),
        "producers": summary.producers,
    })
}

fn module_text(digest: &str, summary: &ModuleSummary) -> String {
    let memories = summary
        .memories
        .iter()
        .map(|(initial, maximum)| match maximum {
            Some(maximum) => format!("{initial} to {maximum} pages"),
            None => format!("{initial} pages or more"),
        });
    format!(
        "module     {digest}\nsize       {}\nfunctions  {}\nimports    {}\nexports    {}\nmemory     {}\nmade with  {}",
        size(summary.size),
        summary.functions,
        summary.imports.join(", "),
        summary.exports.join(", "),
        memories.collect::<Vec<_>>().join(", "),
        summary.producers.join(", "),
    )
}
