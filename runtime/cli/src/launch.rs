//! Running a job in a process of its own: what `run` and `resume` have in common.

use std::cell::RefCell;
use std::fs::File;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};
use std::io::IsTerminal;
use wherry_engine::{Key, Limits, Module, Reason, Target, Usage};
use wherry_node::{
    ActiveJob, Assignment, Compiler, ControlSocket, Ending, Error as NodeError, Event, JobFiles,
    JobProcess, Plan, Questions, Record, Retention, Start, State,
};
use wherry_packager::{DataLayer, LentData, parse_bytes, parse_duration};
use wherry_policy::{Amounts, Item};

use crate::commands::Context;
use crate::events::Events;
use crate::eviction::Eviction;
use crate::failure::{Refusal, exit_code, message, warn};
use crate::key::KeyArgs;
use crate::policy::NodePolicy;
use crate::receipts::Receipts;
use crate::{data, exit, origins, output, signals, streams};

/// How often a job is checkpointed that keeps its state for the same command.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(600);

/// When checkpoints are made, and where they go.
#[derive(Debug, Args)]
#[command(next_help_heading = "Checkpoints")]
pub(crate) struct CheckpointArgs {
    /// Where checkpoints go [default: the job's directory]
    #[arg(long, value_name = "FILE")]
    checkpoint_to: Option<PathBuf>,
    /// Make one when the program has run this long, once; with --continue, every so often
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    checkpoint_after: Option<Duration>,
    /// Make one at exactly the Nth safepoint from here, once. Slower, for tests
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    checkpoint_at: Option<u64>,
    /// Make one at every Nth safepoint of a deterministic job's life, and go on
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u64).range(1..),
        conflicts_with = "checkpoint_at"
    )]
    checkpoint_every: Option<u64>,
    /// Go on after a checkpoint, instead of exiting with 85
    #[arg(long = "continue")]
    go_on: bool,
    /// Keep the last N checkpoints in the job's directory [default: 2]
    #[arg(long, value_name = "N")]
    keep: Option<NonZeroU32>,
    /// Keep every Kth of them as well, even when the job has ended
    #[arg(long, value_name = "K")]
    keep_every: Option<NonZeroU64>,
    /// Keep the scratch directory when the job has ended
    #[arg(long)]
    keep_scratch: bool,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    scheduler: SchedulerArgs,
}

/// What programs that start jobs want.
#[derive(Debug, Args)]
#[command(next_help_heading = "For schedulers")]
pub(crate) struct SchedulerArgs {
    /// When a signal wants the job to leave, leave after this long even without a new checkpoint
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    grace: Option<Duration>,
    /// Write what happens as lines of JSON to this open descriptor
    #[arg(long, value_name = "FD")]
    events: Option<i32>,
    /// Write the receipt of the run to FILE, too
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
}

impl CheckpointArgs {
    /// What was asked for in the place of `before`.
    pub(crate) fn retention(&self, before: Retention) -> Retention {
        Retention {
            last: self.keep.unwrap_or(before.last),
            every: self.keep_every.or(before.every),
        }
    }
}

/// What this node lends a job besides what the job's record says.
pub(crate) struct Lent {
    pub(crate) limits: Limits,
    /// How many processors may work for it at a time.
    pub(crate) cores: Option<u64>,
    pub(crate) clock_resolution: u64,
    pub(crate) gpu: Option<wherry_gpu_host::Settings>,
    /// Whether a program that uses a GPU is started without one if there is none for it.
    pub(crate) gpu_optional: bool,
    pub(crate) target: Target,
    /// What compiles for it, and is confined as it is.
    pub(crate) compiler: Compiler,
}

/// What a job may use.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Limits over the whole life of the job")]
pub(crate) struct LimitArgs {
    /// Memory, e.g. `256 MiB`; what the workload itself asks for counts too
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    memory: Option<u64>,
    /// CPU time, e.g. `10m`
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    cpu_time: Option<Duration>,
    /// Time from start to end, time as a checkpoint not counted
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    wall_time: Option<Duration>,
    /// Bytes in the scratch directory
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    max_scratch: Option<u64>,
    /// Files, directories and links that it has there, or creates elsewhere
    #[arg(long, value_name = "N")]
    max_files: Option<u64>,
    /// Bytes written to standard output and to directories that are lent
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    max_output: Option<u64>,
    /// Bytes written to standard error
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    max_log: Option<u64>,
}

impl LimitArgs {
    /// The smaller of what is given here and asked for before.
    pub(crate) fn asks(&self, asked: Amounts) -> Amounts {
        let own = self.own();
        let both = |amounts: Amounts, (item, amount)| amounts.with(item, amount);
        own.into_iter().fold(asked, both)
    }

    /// What is given here, in the place of what was asked for before.
    pub(crate) fn instead_of(&self, mut before: Amounts) -> Amounts {
        for (item, amount) in self.own() {
            if amount.is_some() {
                before.set(item, amount);
            }
        }
        before
    }

    fn own(&self) -> [(Item, Option<u64>); 7] {
        let time = |time: Option<Duration>| {
            time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
        };
        [
            (Item::Memory, self.memory),
            (Item::CpuTime, time(self.cpu_time)),
            (Item::WallTime, time(self.wall_time)),
            (Item::Scratch, self.max_scratch),
            (Item::Files, self.max_files),
            (Item::Output, self.max_output),
            (Item::Log, self.max_log),
        ]
    }
}

/// A process that is ready to run a job: it listens to signals already.
pub(crate) struct Launch {
    questions: Questions,
    interrupted: Arc<AtomicBool>,
    plan: Plan,
    countdown: Option<u64>,
    keep_scratch: bool,
    keep: bool,
    /// Data of the workload, which is there as long as this is.
    data: RefCell<Vec<LentData>>,
    eviction: Arc<Eviction>,
    receipts: Receipts,
    pub(crate) events: Events,
    /// What checkpoints are encrypted with.
    pub(crate) key: Option<Key>,
}

impl Launch {
    /// Starts to listen, so that no signal is lost from here on.
    pub(crate) fn prepare(args: &CheckpointArgs, context: &Context) -> anyhow::Result<Self> {
        // Before signals mean something else: who is asked for the key may have enough.
        let key = args.key.load()?;
        let questions = Questions::default();
        let events = Events::open(args.scheduler.events)?;
        let eviction = Eviction::new(args.scheduler.grace, events.clone());
        let quiet = context.output.json;
        let interrupted = signals::watch(&questions, args.go_on, quiet, &eviction)?;
        let checkpoint_to = args.checkpoint_to.as_deref().map(destination).transpose()?;
        Ok(Launch {
            questions,
            interrupted,
            plan: Plan {
                checkpoint_to,
                after: args.checkpoint_after,
                every: args.checkpoint_every,
                go_on: args.go_on,
                ..Plan::default()
            },
            countdown: args.checkpoint_at,
            keep_scratch: args.keep_scratch,
            keep: args.keep.is_some(),
            data: RefCell::default(),
            eviction,
            receipts: Receipts::new(context.home.directory(), args.scheduler.receipt.clone()),
            events,
            key,
        })
    }

    /// Refuses what only deterministic jobs have, if the job is none.
    pub(crate) fn check(&self, deterministic: bool) -> anyhow::Result<()> {
        if self.plan.every.is_some() && !deterministic {
            let message = "--checkpoint-every is for deterministic jobs: others do not count";
            let hint = "add --deterministic to `wherry run`, or use --checkpoint-after";
            return Err(Refusal::new(exit::USAGE, message).hint(hint).into());
        }
        Ok(())
    }

    /// What the policy says of checkpoints, where the command line says nothing.
    pub(crate) fn adopt(&mut self, node: &NodePolicy, record: &mut Record) {
        self.receipts.policy = node.digest.to_string();
        let checkpoints = &node.policy.checkpoints;
        if self.plan.after.is_none() {
            let usual = self.plan.periodic.then_some(DEFAULT_INTERVAL);
            self.plan.after = checkpoints.every.or(usual);
            self.plan.periodic |= checkpoints.every.is_some();
        }
        self.eviction.limit(checkpoints.grace);
        if let Some(keep) = checkpoints
            .keep
            .and_then(NonZeroU32::new)
            .filter(|_| !self.keep)
        {
            record.retention.last = keep;
        }
    }

    /// The same command goes on with the job: checkpoints by the clock do not end it.
    pub(crate) fn keep_state(&mut self) {
        self.plan.periodic = true;
        self.eviction.restartable();
    }

    /// The job has a checkpoint already.
    pub(crate) fn restartable(&self) {
        self.eviction.restartable();
    }

    /// Lets other processes find the job from now on, even if it takes long until it runs.
    pub(crate) fn listen(&self, active: &ActiveJob) -> anyhow::Result<ControlSocket> {
        Ok(ControlSocket::listen(active, &self.questions)?)
    }

    /// Lends the job what its workload brings along.
    pub(crate) fn lend(
        &self,
        context: &Context,
        layers: &[DataLayer],
        record: &Record,
    ) -> anyhow::Result<()> {
        *self.data.borrow_mut() = data::lend(&context.home, layers, record)?;
        Ok(())
    }

    /// Starts a process that is ready to run the job, as its record and `lent` say. It has used so
    /// much.
    pub(crate) fn process(
        &self,
        active: &ActiveJob,
        module: &Module,
        start: Start,
        lent: Lent,
        checkpoint: Vec<File>,
        used: Usage,
    ) -> anyhow::Result<JobProcess> {
        let record = &active.record;
        let scratch = record.scratch.as_ref();
        let scratch = scratch.map(|guest| anyhow::Ok((active.new_scratch()?, guest.clone())));
        let mut mounts = record.mounts.clone();
        mounts.extend(data::records(&self.data.borrow()));
        let assignment = Assignment {
            target: lent.target,
            start,
            mounts,
            scratch: scratch.transpose()?,
            limits: lent.limits,
            cores: lent.cores,
            clock_resolution: lent.clock_resolution,
            gpu: lent.gpu,
            gpu_optional: lent.gpu_optional,
            countdown: self.countdown,
            plan: self.plan.clone(),
            keep_scratch: self.keep_scratch,
        };
        let files = JobFiles {
            checkpoint,
            ..streams::open(&record.streams, used)?
        };
        let (key, compiler) = (self.key.as_ref(), &lent.compiler);
        Ok(JobProcess::start(
            active, module, assignment, &files, key, compiler,
        )?)
    }

    /// Runs the job, tells how that ended, and returns the exit code.
    pub(crate) fn run(
        self,
        context: &Context,
        process: JobProcess,
        active: ActiveJob,
        socket: ControlSocket,
    ) -> anyhow::Result<u8> {
        let id = active.record.id.clone();
        let same_command = active.record.command.is_some();
        let directory = active.directory().to_owned();
        let ready = context.started.elapsed();
        let json = context.output.json;
        let events = self.events.clone();
        events.emit("confined", json!({ "isolation": process.isolation }));
        let eviction = Arc::clone(&self.eviction);
        let record = active.record.clone();
        let mut observe = |event: &Event| {
            if let Event::Checkpointed(done) = event {
                eviction.restartable();
                if !done.path.starts_with(&directory)
                    && let Err(error) = origins::sign_file(&context.home, &record, done)
                {
                    warn(format!("{} is not signed: {error:#}", done.path.display()));
                }
            }
            observe(json, &events, event);
        };
        let ending = process.run(active, socket, &self.questions, &mut observe);
        let report = Report {
            id: &id,
            ready,
            json,
            same_command,
            events: self.events,
            receipts: self.receipts,
            directory,
            // Programs compare what a job says on standard error.
            talkative: self.interrupted.load(Ordering::Relaxed) || std::io::stderr().is_terminal(),
        };
        match ending {
            Ok(ending) => Ok(report.ending(&ending)),
            Err(error) => {
                let outcome = match error {
                    NodeError::Died { .. } | NodeError::OutOfMemory { .. } => "died",
                    _ => "failed",
                };
                let error = anyhow::Error::new(error).context(match same_command {
                    true => format!("the same command goes on with the job {id}"),
                    false => whereabouts(context, &id),
                });
                report.receipt(outcome, None, exit_code(&error));
                Err(error)
            }
        }
    }
}

/// What became of a job that could not go on.
fn whereabouts(context: &Context, id: &str) -> String {
    match context.home.jobs().find(id) {
        Ok(job) if job.state == State::Suspended => {
            format!("the job {id} is suspended, `wherry resume {id}` goes on with it")
        }
        Ok(job) if job.state == State::Lost && job.last_checkpoint().is_some() => {
            format!("`wherry resume {id}` goes on from the last checkpoint of the job {id}")
        }
        _ => format!("the job {id} cannot go on"),
    }
}

/// Where checkpoints are to go: known to be possible before the job runs for hours.
pub(crate) fn destination(file: &Path) -> anyhow::Result<PathBuf> {
    let file = std::path::absolute(file).context("the checkpoint has no name")?;
    let refused = |why: &str| {
        let message = format!("checkpoints cannot go to {}: {why}", file.display());
        Err(Refusal::new(exit::CANNOT_CREATE, message).into())
    };
    match file.parent() {
        // Replacing a device would do more than anyone wants.
        _ if file.exists() && !file.is_file() => refused("it is not a regular file"),
        Some(parent) if parent.is_dir() => Ok(file),
        _ => refused("its directory does not exist"),
    }
}

fn observe(json: bool, events: &Events, event: &Event) {
    match event {
        Event::Checkpointed(checkpoint) => {
            let value = json!({ "event": "checkpointed", "checkpoint": checkpoint });
            if json {
                output::note(&value);
            }
            events.emit("checkpointed", value);
        }
        Event::CheckpointFailed(error) => {
            events.emit("checkpoint-failed", json!({ "message": error }));
            warn(format!(
                "no checkpoint was written, the job goes on: {error}"
            ));
        }
        Event::NotDeleted(error) => {
            warn(format!(
                "a checkpoint that is not kept is still there: {error}"
            ));
        }
        Event::LimitReached(limit) => events.emit("limit-reached", json!({ "limit": limit })),
    }
}

struct Report<'a> {
    id: &'a str,
    /// How long it took until the program ran.
    ready: Duration,
    json: bool,
    /// Whether the command that started the job goes on with it.
    same_command: bool,
    events: Events,
    receipts: Receipts,
    directory: PathBuf,
    talkative: bool,
}

impl Report<'_> {
    fn ending(&self, ending: &Ending) -> u8 {
        let code = self.outcome(ending);
        self.events.close();
        code
    }

    fn outcome(&self, ending: &Ending) -> u8 {
        match ending {
            Ending::Exited(code) => {
                let exit = exit::of_program(*code);
                self.result("exited", exit, json!({ "code": code }));
                exit
            }
            Ending::Trapped(trap) => {
                if !self.json {
                    output::note(format!("the program trapped: {trap}"));
                }
                let functions = trap.backtrace.iter();
                let backtrace: Vec<_> = functions
                    .map(|frame| json!({ "function": frame.function, "name": frame.name }))
                    .collect();
                let trap = json!({ "trap": trap.message, "backtrace": backtrace });
                self.result("trapped", exit::TRAPPED, trap);
                exit::TRAPPED
            }
            Ending::Suspended(reason, checkpoint) => {
                let time_limit = match reason {
                    Reason::CpuTime => Some("cpu-time"),
                    Reason::GpuTime => Some("gpu-time"),
                    Reason::WallTime => Some("wall-time"),
                    _ => None,
                };
                let limit = time_limit.is_some();
                let outcome = if limit { "time-limit" } else { "checkpointed" };
                let exit = if limit {
                    exit::TIME_LIMIT
                } else {
                    exit::CHECKPOINTED
                };
                if let Some(limit) = time_limit {
                    self.events.emit("limit-reached", json!({ "limit": limit }));
                }
                self.result(outcome, exit, json!({ "checkpoint": checkpoint }));
                if !self.json && (limit || self.talkative) {
                    let (path, id) = (checkpoint.path.display(), self.id);
                    output::note(format!("wherry: {reason}; the checkpoint is {path}"));
                    output::note(if self.same_command {
                        "wherry: go on with the same command".to_owned()
                    } else {
                        format!("wherry: go on with: wherry resume {id}")
                    });
                }
                exit
            }
            Ending::Killed(checkpoint) => {
                self.result("killed", exit::KILLED, json!({ "checkpoint": checkpoint }));
                if !self.json && self.talkative {
                    output::note(match checkpoint {
                        Some(last) => format!(
                            "wherry: the job was killed; its last checkpoint is {}",
                            last.path.display()
                        ),
                        None => "wherry: the job was killed; no checkpoint was written".to_owned(),
                    });
                }
                exit::KILLED
            }
        }
    }

    /// For programs, on standard error: standard output belongs to the guest.
    fn result(&self, outcome: &str, exit: u8, mut result: Value) {
        let ready = u64::try_from(self.ready.as_micros()).unwrap_or(u64::MAX);
        result["job"] = self.id.into();
        result["outcome"] = outcome.into();
        result["ready_us"] = ready.into();
        if self.json {
            output::note(&result);
        }
        let code = result["code"]
            .as_u64()
            .and_then(|code| u32::try_from(code).ok());
        if let Some(path) = self.receipt(outcome, code, exit) {
            result["receipt"] = json!(path);
        }
        result["exit"] = exit.into();
        self.events.emit("finished", result);
    }

    /// Writes the receipt of the run. Returns where it is.
    fn receipt(&self, outcome: &str, code: Option<u32>, exit: u8) -> Option<PathBuf> {
        let written = self.receipts.write(&self.directory, outcome, code, exit);
        // The job has ended all the same.
        let without = |error| warn(format!("there is no receipt: {}", message(&error)));
        written.map_err(without).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_limit_counts_and_a_new_one_replaces_an_old_one() {
        let args = LimitArgs {
            memory: Some(5),
            wall_time: Some(Duration::from_secs(9)),
            ..LimitArgs::default()
        };
        let asked = Amounts::default()
            .with(Item::Memory, Some(3))
            .with(Item::CpuTime, Some(1000));
        let first = args.asks(asked.clone());
        let later = args.instead_of(asked);
        for (amounts, memory) in [(first, 3), (later, 5)] {
            assert_eq!(amounts.of(Item::Memory), Some(memory));
            assert_eq!(amounts.of(Item::CpuTime), Some(1000));
            assert_eq!(amounts.of(Item::WallTime), Some(9000));
            assert_eq!(amounts.of(Item::Log), None);
        }
    }

    #[test]
    fn a_checkpoint_needs_a_directory() {
        let directory = tempfile::tempdir().unwrap();
        assert!(destination(&directory.path().join("f")).is_ok());
        assert!(destination(&directory.path().join("no/f")).is_err());
        assert!(destination(directory.path()).is_err());
        assert!(destination(Path::new("/dev/null")).is_err());
    }
}
