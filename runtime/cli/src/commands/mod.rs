//! The verbs of the command line, one file each.

mod attest;
mod checkpoint;
mod checkpoints;
mod completions;
mod demo;
mod doctor;
mod explain;
mod gc;
mod history;
mod images;
mod init;
mod inspect;
mod jobs;
mod key;
mod kill;
mod login;
mod logout;
mod matching;
mod pack;
mod policy;
mod ps;
mod pull;
mod push;
mod receipt;
mod resume;
mod rm;
mod run;
mod sign;
mod slurm;
mod store;
mod verify;

use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, Parser, Subcommand};

use crate::exit;
use crate::home::Home;
use crate::output::Output;

/// Portable workloads: packed once, run anywhere, moved while they run.
#[derive(Debug, Parser)]
#[command(
    name = "wherry",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "\
Examples:
  wherry demo                              see a job move between two homes
  wherry run prog.wasm input.txt           run a module
  wherry run --checkpoint-to f prog.wasm   Ctrl-C writes a checkpoint to f
  wherry resume f                          go on where it was

`wherry help exit-codes` lists what exit codes mean."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    verb: Verb,
}

/// What every verb takes.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Print results and errors as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Where artifacts, jobs and compiled modules are kept [default: the user's data directory]
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "WHERRY_HOME",
        hide_env_values = true
    )]
    home: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Run(run::Run),
    Checkpoint(checkpoint::Checkpoint),
    Checkpoints(checkpoints::Checkpoints),
    History(history::History),
    Resume(resume::Resume),
    Ps(ps::Ps),
    Kill(kill::Kill),
    Jobs(jobs::Jobs),
    Gc(gc::Gc),
    Key(key::Key),
    Inspect(inspect::Inspect),
    Sign(sign::Sign),
    Attest(attest::Attest),
    Verify(verify::Verify),
    Policy(policy::Policy),
    Explain(explain::Explain),
    Doctor(doctor::Doctor),
    Match(matching::Match),
    Receipt(receipt::Receipt),
    Init(init::Init),
    Pack(pack::Pack),
    Slurm(slurm::Slurm),
    Images(images::Images),
    Rm(rm::Rm),
    Store(store::Store),
    Push(push::Push),
    Pull(pull::Pull),
    Login(login::Login),
    Logout(logout::Logout),
    Demo(demo::Demo),
    Completions(completions::Completions),
    /// Show what exit codes mean
    #[command(long_about = exit::TABLE)]
    ExitCodes,
}

/// What a verb works with.
pub(crate) struct Context {
    pub(crate) home: Home,
    pub(crate) output: Output,
    /// When the process started.
    pub(crate) started: Instant,
}

/// Runs the verb. Returns the exit code.
pub(crate) fn run(cli: Cli, started: Instant) -> anyhow::Result<u8> {
    let context = Context {
        home: Home::find(cli.global.home)?,
        output: Output::new(cli.global.json),
        started,
    };
    let context = &context;
    match cli.verb {
        Verb::Run(verb) => return verb.execute(context),
        Verb::Resume(verb) => return verb.execute(context),
        Verb::Verify(verb) => return verb.execute(context),
        Verb::Policy(verb) => return verb.execute(context),
        Verb::Explain(verb) => return verb.execute(context),
        Verb::Doctor(verb) => return verb.execute(context),
        Verb::Match(verb) => return verb.execute(context),
        Verb::Checkpoint(verb) => verb.execute(context),
        Verb::Checkpoints(verb) => verb.execute(context),
        Verb::History(verb) => verb.execute(context),
        Verb::Ps(verb) => verb.execute(context),
        Verb::Kill(verb) => verb.execute(context),
        Verb::Jobs(verb) => verb.execute(context),
        Verb::Gc(verb) => verb.execute(context),
        Verb::Key(verb) => verb.execute(context),
        Verb::Sign(verb) => verb.execute(context),
        Verb::Attest(verb) => verb.execute(context),
        Verb::Inspect(verb) => verb.execute(context),
        Verb::Receipt(verb) => verb.execute(context),
        Verb::Init(verb) => verb.execute(context),
        Verb::Pack(verb) => verb.execute(context),
        Verb::Slurm(verb) => verb.execute(context),
        Verb::Images(verb) => verb.execute(context),
        Verb::Store(verb) => verb.execute(context),
        Verb::Rm(verb) => verb.execute(context),
        Verb::Push(verb) => verb.execute(context),
        Verb::Pull(verb) => verb.execute(context),
        Verb::Login(verb) => verb.execute(context),
        Verb::Logout(verb) => verb.execute(context),
        Verb::Demo(verb) => verb.execute(context),
        Verb::Completions(verb) => verb.execute(context),
        Verb::ExitCodes => context.output.text(exit::TABLE),
    }?;
    Ok(0)
}
