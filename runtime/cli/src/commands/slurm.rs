//! `wherry slurm`

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use serde_json::json;
use wherry_packager::parse_bytes;
use wherry_schedulers::slurm::Batch;

use super::Context;
use super::run::Run;
use crate::exit;
use crate::failure::Refusal;

/// What the process has besides twice the job's memory: pages that were written between two
/// checkpoints are there twice.
const OVERHEAD: u64 = 256 << 20;

/// Run workloads as batch jobs of Slurm
///
/// The batch job checkpoints before its time limit and when Slurm takes the node away, and goes on
/// from there when Slurm starts it again, on whatever node. docs/slurm.md tells more.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wherry slurm script --time 2h registry.example/team/sum:0.1.0
  wherry slurm submit --time 2h --array 0-9 --sbatch=--partition=long sum:0.1.0 1000
  squeue --format '%i %T %k'              why each of them was queued again")]
pub(crate) struct Slurm {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print the batch script
    #[command(after_help = "Examples:\n  wherry slurm script --time 2h sum:0.1.0 1000 | sbatch")]
    Script(BatchArgs),
    /// Submit the batch script with sbatch, and print the job's number
    #[command(after_help = "\
Examples:
  wherry slurm submit --time 30m sum:0.1.0 1000
  wherry slurm submit --array 0-99%4 --mem 2GiB --dir data::/in::ro solver.wasm")]
    Submit(BatchArgs),
}

#[derive(Debug, Args)]
struct BatchArgs {
    /// The job's name [default: the workload's]
    #[arg(long)]
    name: Option<String>,
    /// How long it runs before it is queued again [default: the workload's wall time, or the
    /// partition's limit]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    time: Option<Duration>,
    /// Memory of the batch job [default: twice what the workload may use, and 256 MiB]
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    mem: Option<u64>,
    /// GPUs [default: one if the workload needs one]
    #[arg(long, value_name = "N")]
    gpus: Option<u32>,
    /// Make an array of jobs; each sees its index in SLURM_ARRAY_TASK_ID
    #[arg(long, value_name = "INDICES")]
    array: Option<String>,
    /// How long writing a checkpoint may take
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, default_value = "60s")]
    grace: Duration,
    /// Where the state of jobs is kept, on a file system that all nodes have
    #[arg(long, value_name = "DIR", default_value = "wherry-jobs")]
    states: String,
    /// A further option of sbatch, as --sbatch=--partition=long
    #[arg(long = "sbatch", value_name = "OPTION", allow_hyphen_values = true)]
    options: Vec<String>,
    /// The wherry of the nodes
    #[arg(long, value_name = "PROGRAM", default_value = "wherry")]
    program: String,
    /// What comes after `wherry run`: options, what to run, and arguments for it
    #[arg(
        required = true,
        num_args = 1..,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_names = ["RUN"]
    )]
    run: Vec<String>,
}

/// `wherry run` as it will be called.
#[derive(Debug, Parser)]
#[command(name = "wherry run", no_binary_name = true)]
struct RunLine {
    #[command(flatten)]
    run: Run,
}

impl Slurm {
    pub(crate) fn execute(self, context: &Context) -> anyhow::Result<()> {
        match self.action {
            Action::Script(args) => {
                let script = args.script(context)?;
                let text = script.trim_end();
                context.output.result(&json!({ "script": script }), text)
            }
            Action::Submit(args) => {
                let job = submit(&args.script(context)?)?;
                context.output.result(&json!({ "job": job }), &job)
            }
        }
    }
}

impl BatchArgs {
    fn script(self, context: &Context) -> anyhow::Result<String> {
        let line = RunLine::try_parse_from(&self.run).map_err(refused)?;
        let asked = line.run.asked(context)?;
        let batch = Batch {
            name: self.name.unwrap_or_else(|| named_after(&asked.program)),
            wherry: self.program,
            run: self.run,
            pull: asked.pull,
            memory: self.mem.or(asked
                .memory
                .map(|memory| memory.saturating_mul(2).saturating_add(OVERHEAD))),
            time: self.time.or(asked
                .wall_time
                .map(|wall| wall.saturating_add(self.grace * 2))),
            gpus: self.gpus.unwrap_or(u32::from(asked.gpu)),
            array: self.array,
            grace: self.grace,
            states: self.states,
            options: self.options,
        };
        batch
            .script()
            .map_err(|error| Refusal::new(exit::USAGE, error.to_string()).into())
    }
}

/// A name for the batch job: what of the program's Slurm takes.
fn named_after(program: &str) -> String {
    let stem = program.strip_suffix(".wasm").unwrap_or(program);
    let taken = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let name: String = stem.chars().filter(|c| taken(*c)).take(64).collect();
    let name = name.trim_start_matches(['.', '-']);
    if name.is_empty() { "job" } else { name }.to_owned()
}

/// What `wherry run` would say to this line.
fn refused(error: clap::Error) -> anyhow::Error {
    let message = error.render().to_string();
    let message = message.trim().trim_start_matches("error: ").to_owned();
    Refusal::new(exit::USAGE, message).into()
}

/// Returns the number of the job.
fn submit(script: &str) -> anyhow::Result<String> {
    let mut sbatch = Command::new("sbatch")
        .arg("--parsable")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| {
            let message = format!("sbatch cannot be started: {error}");
            let hint = "submit from a machine with Slurm's commands, or print the script with `wherry slurm script`";
            Refusal::new(exit::CONFIG, message).hint(hint)
        })?;
    let mut stdin = sbatch.stdin.take().context("sbatch takes no script")?;
    // If it does not read all of it, it says why itself.
    let _ = stdin.write_all(script.as_bytes());
    drop(stdin);
    let done = sbatch.wait_with_output().context("sbatch does not end")?;
    if !done.status.success() {
        let message = format!("sbatch did not take the job ({})", done.status);
        return Err(Refusal::new(exit::UNAVAILABLE, message).into());
    }
    // NUMBER or NUMBER;CLUSTER
    let printed = String::from_utf8_lossy(&done.stdout);
    let number = printed.trim().split(';').next().unwrap_or_default();
    Ok(number.to_owned())
}
