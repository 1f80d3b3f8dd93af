//! Checking a checkpoint of a deterministic job by running to it from an earlier one.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};
use wherry_engine::{
    CodeRequest, CodeSource, Difference, Engine, EngineConfig, Module, Outcome, Rerun, Scratch,
    Settings, Stdio, Verification,
};
use wherry_node::{Error as NodeError, ITSELF, MountRecord, open_checkpoint, to_run_again};
use wherry_packager::LentData;
use wherry_snapshot::{Contents, Key, Reader};

use crate::commands::Context;
use crate::commands::resume::scratch_of;
use crate::failure::Refusal;
use crate::isolation::IsolationArgs;
use crate::key::KeyArgs;
use crate::mounts::{self, DirArg};
use crate::output::table;
use crate::policy::NodePolicy;
use crate::target::TargetArgs;
use crate::workload::{module_of_checkpoint, text_of, to_oci};
use crate::{data, exit};

/// Names the scratch directory to the process that runs the job again.
const SCRATCH: &str = "WHERRY_VERIFY_SCRATCH";

/// What is needed to run a segment of a job again.
#[derive(Debug, Args)]
#[command(next_help_heading = "Running again")]
pub(super) struct RerunArgs {
    /// Lend the job a directory that it had
    #[arg(long, value_name = "HOST::GUEST[::ro]", requires = "later")]
    dir: Vec<DirArg>,
    /// The module, if it is not in the store
    #[arg(long, value_name = "MODULE.wasm", requires = "later")]
    module: Option<PathBuf>,
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    isolation: IsolationArgs,
}

/// The sections of which a state consists.
const COMPARED: [&str; 5] = ["workload", "execution", "memories", "wasi", "profile"];

impl RerunArgs {
    pub(super) fn verify(
        &self,
        context: &Context,
        earlier: &Path,
        later_path: &Path,
    ) -> anyhow::Result<u8> {
        let Some(scratch) = std::env::var_os(SCRATCH) else {
            return in_another_process();
        };
        let scratch = Path::new(&scratch);
        let key = self.key.load()?;
        let open = |path| open(path, key.as_ref());
        let (earlier, later) = (open(earlier)?, open(later_path)?);
        let contents = earlier.contents();
        let digest = &contents.workload.module;
        let wasm = module_of_checkpoint(&context.home, self.module.as_deref(), digest)?;
        let capture = tempfile::tempfile().context("there is no place for a checkpoint")?;
        let data = data_of(context, contents)?;
        let mut lent = mounts::records(&self.dir)?;
        for record in &mut lent {
            record.read_only = true;
        }
        lent.extend(data::records(&data));
        let settings = settings(contents, scratch, &lent);
        let module = self.confined(context, wasm, contents, scratch, &lent)?;
        let done = wherry_engine::verify(&module, &earlier, &later, settings, capture)
            .with_context(|| format!("cannot verify {}", later_path.display()))?;
        let unchecked = unchecked(contents, &data);
        let value = value(&done, digest, &unchecked);
        context
            .output
            .result(&value, text(&done, digest, &unchecked))?;
        Ok(match done.result {
            Rerun::Same => 0,
            Rerun::Different { .. } | Rerun::Ended(_) => exit::DIFFERENT,
        })
    }

    /// Gives up all that running the program again does not need, before it is looked at. Returns
    /// the module, whose code another process has compiled.
    fn confined(
        &self,
        context: &Context,
        wasm: Vec<u8>,
        contents: &Contents,
        scratch: &Path,
        lent: &[MountRecord],
    ) -> anyhow::Result<Module> {
        let compiler = self.isolation.under(&NodePolicy::own_machine()?)?;
        let target = self.target.target();
        let module = context.home.engine(target)?.load(wasm);
        let request = CodeRequest::to_run_again(contents);
        let code = compiler.code(&module, target, &request)?;
        let supervisor = std::os::unix::process::parent_id();
        to_run_again(scratch, lent, &compiler.isolation, supervisor)
            .apply()
            .map_err(NodeError::Confinement)?;
        let source = CodeSource::new(move |wanted| {
            let missing = || std::io::Error::from(std::io::ErrorKind::Unsupported);
            Ok((*wanted == request)
                .then(|| code.clone())
                .ok_or_else(missing)?)
        });
        let engine = Engine::new(EngineConfig {
            target,
            code: Some(source),
            ..EngineConfig::default()
        })?;
        Ok(engine.load(module.wasm().to_vec()))
    }
}

fn settings(contents: &Contents, scratch: &Path, lent: &[MountRecord]) -> Settings {
    let scratch = scratch_of(contents).map(|guest| Scratch {
        host: scratch.to_owned(),
        guest,
    });
    Settings {
        mounts: lent.iter().map(Into::into).collect(),
        scratch,
        ..Settings::new(Stdio::null())
    }
}

/// Runs this command again in a process that can give up all it does not need: this one tidies up
/// behind it.
fn in_another_process() -> anyhow::Result<u8> {
    let scratch = tempfile::tempdir().context("there is no place for a scratch directory")?;
    let status = Command::new(ITSELF)
        .args(std::env::args_os().skip(1))
        .env(SCRATCH, scratch.path())
        .status()
        .context("no process can be started to run the job again in")?;
    match status.code().and_then(|code| u8::try_from(code).ok()) {
        Some(code) => Ok(code),
        None => {
            let message = format!("the process that ran the job again died: {status}");
            Err(Refusal::new(exit::INTERNAL, message).into())
        }
    }
}

fn open(path: &Path, key: Option<&Key>) -> anyhow::Result<Reader<File>> {
    let failed = || format!("cannot verify {}", path.display());
    open_checkpoint(path, key).with_context(failed)
}

/// What the workload brings along.
fn data_of(context: &Context, contents: &Contents) -> anyhow::Result<Vec<LentData>> {
    let Some(manifest) = &contents.workload.manifest else {
        return Ok(Vec::new());
    };
    let layers = data::of_manifest(&context.home, &to_oci(manifest)?)?;
    let lent = layers
        .iter()
        .map(|layer| context.home.store()?.lend(layer).map_err(Into::into));
    lent.collect()
}

/// What a checkpoint says and nobody can check. Data of the workload is what its digest says.
fn unchecked(contents: &Contents, data: &[LentData]) -> Vec<String> {
    let mounts = contents.settings.mounts.iter();
    let mounts = mounts.filter(|mount| data.iter().all(|data| data.guest != mount.guest));
    let mounts = mounts.map(|mount| format!("content of the directory {:?}", mount.guest));
    let times = "the time that was used".to_owned();
    std::iter::once(times).chain(mounts).collect()
}

fn value(done: &Verification, module: &wherry_snapshot::Digest, unchecked: &[String]) -> Value {
    let state = |position, digest| json!({ "position": position, "state_digest": text_of(digest) });
    let row = |row: &Difference| {
        json!({
            "section": row.section,
            "place": row.place,
            "checkpoint": row.expected,
            "rerun": row.found,
        })
    };
    let mut value = json!({
        "verified": done.result == Rerun::Same,
        "module": text_of(module),
        "earlier": state(done.positions.0, &done.states.0),
        "later": state(done.positions.1, &done.states.1),
        "adjacent": done.adjacent,
        "compared": COMPARED,
        "not_checked": unchecked,
    });
    match &done.result {
        Rerun::Same => {}
        Rerun::Different { found, differences } => {
            value["rerun"] = state(done.positions.1, found);
            value["differences"] = differences.iter().map(row).collect();
        }
        Rerun::Ended(outcome) => value["ended"] = ended(outcome).into(),
    }
    value
}

fn text(done: &Verification, module: &wherry_snapshot::Digest, unchecked: &[String]) -> String {
    let verdict = match &done.result {
        Rerun::Same => "verified    the states are the same",
        Rerun::Different { .. } | Rerun::Ended(_) => "DIFFERENT   this is not what the job does",
    };
    let (from, to) = done.positions;
    let chain = if done.adjacent {
        "one after the other"
    } else {
        "not adjacent: those in between are unknown"
    };
    let mut text = format!(
        "{verdict}\nmodule      {}\nsafepoints  {from} to {to}, {chain}\nstate       {}\ncompared    {}\nnot checked {}",
        text_of(module),
        text_of(&done.states.1),
        COMPARED.join(", "),
        unchecked.join(", "),
    );
    match &done.result {
        Rerun::Same => {}
        Rerun::Ended(outcome) => text += &format!("\nrun again   it {}", ended(outcome)),
        Rerun::Different { found, differences } => {
            let row = |row: &Difference| {
                let Difference {
                    place,
                    expected,
                    found,
                    ..
                } = row.clone();
                vec![row.section.to_owned(), place, expected, found]
            };
            let rows = differences.iter().map(row).collect();
            let header = ["section", "place", "checkpoint", "run again"];
            text += &format!(
                "\nrun again   {}\n\n{}",
                text_of(found),
                table(&header, rows)
            );
        }
    }
    text
}

/// How the job ended before it came to where the checkpoint was made.
fn ended(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Exited(code) => format!("ends before, with code {code}"),
        Outcome::Trapped(trap) => format!("traps before: {}", trap.message),
        Outcome::Stopped(reason) => format!("stops before: {reason}"),
    }
}
