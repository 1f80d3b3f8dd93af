//! `wherry run`

use std::time::Duration;

use clap::Args;
use serde_json::json;
use wherry_engine::{Command, Usage};
use wherry_node::{JobInfo, Record, Start, StateDirectory};
use wherry_packager::{Digest, Reference};
use wherry_policy::{Grant, Item};

use super::Context;
use super::resume::Resume;
use crate::determinism::DeterminismArgs;
use crate::exit;
use crate::failure::{Refusal, warn};
use crate::gpu::GpuArgs;
use crate::isolation::IsolationArgs;
use crate::launch::{CheckpointArgs, Launch, Lent, LimitArgs};
use crate::mounts::{self, DirArg};
use crate::policy::{NodePolicy, PolicyArgs, engine_limits, mount_requests, restrict};
use crate::signatures;
use crate::signing::SignedByArgs;
use crate::state::{self, Found, StateArgs};
use crate::streams::StreamArgs;
use crate::target::TargetArgs;
use crate::transfer::RegistryArgs;
use crate::workload::{self, Runnable};

/// Run a workload, and exit with its code
///
/// The workload is an artifact of the store (NAME:TAG or a digest), a WebAssembly module in a
/// file, or a directory with a workload.toml, which is packed first. What follows it belongs
/// to the program; arguments replace those that the workload itself brings along.
///
/// Every job has a scratch directory, which the program sees as `/` unless a --dir takes that
/// place, and whose content travels with checkpoints. Ctrl-C, SIGTERM and SIGUSR1 write a
/// checkpoint and end the run with code 85; a second Ctrl-C kills the job.
///
/// With --state DIR, the same command goes on with the job, however often it is interrupted or
/// killed, until the job has ended; docs/integrating.md says what can be relied on.
///
/// With --json, the last line on standard error says how the run ended.
#[derive(Debug, Args)]
#[command(
    override_usage = "wherry run [OPTIONS] <REF|MODULE.wasm|DIR> [ARGS]...",
    after_help = "\
Examples:
  wherry run hello.wasm
  wherry run --dir data::/in::ro --env LEVEL=3 prog.wasm /in/file --verbose
  wherry run --checkpoint-to job.ckpt --checkpoint-after 10m --continue nbody:1.0.0
  wherry run --memory 256MiB --wall-time 1h .
  wherry run --state job --output out.txt --checkpoint-after 5m nbody:1.0.0
  wherry run --signed-by team.pub registry.example/team/nbody:1.0.0
  wherry run --deterministic --checkpoint-every 1000000 --checkpoint-to job.ckpt prog.wasm"
)]
pub(crate) struct Run {
    /// Set an environment variable
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,
    /// Lend the job a directory; GUEST is HOST as written if there is none
    #[arg(long, value_name = "HOST::GUEST[::ro]")]
    dir: Vec<DirArg>,
    /// Where the program sees its scratch directory [default: what the workload says, or /]
    #[arg(long, value_name = "GUEST", conflicts_with = "no_scratch")]
    scratch: Option<String>,
    /// No scratch directory; a program that imports no function with a path gets none anyway
    #[arg(long)]
    no_scratch: bool,
    #[command(flatten)]
    signed_by: SignedByArgs,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    policy: PolicyArgs,
    #[command(flatten)]
    isolation: IsolationArgs,
    #[command(flatten)]
    gpu: GpuArgs,
    #[command(flatten)]
    determinism: DeterminismArgs,
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    checkpoints: CheckpointArgs,
    #[command(flatten)]
    state: StateArgs,
    #[command(flatten)]
    streams: StreamArgs,
    /// What to run, and arguments for it
    #[arg(
        required = true,
        num_args = 1..,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        help_heading = "Arguments",
        value_names = ["REF|MODULE.wasm|DIR", "ARGS"]
    )]
    workload: Vec<String>,
}

/// What a run asks of the machine that it is to have.
pub(crate) struct Asked {
    /// What the program is called.
    pub(crate) program: String,
    /// The artifact, if it has to come from a registry.
    pub(crate) pull: Option<String>,
    /// Its limit of memory, in bytes.
    pub(crate) memory: Option<u64>,
    /// How long it takes at most.
    pub(crate) wall_time: Option<Duration>,
    /// Whether it cannot run without a GPU.
    pub(crate) gpu: bool,
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

impl Run {
    pub(crate) fn execute(self, context: &Context) -> anyhow::Result<u8> {
        let launch = Launch::prepare(&self.checkpoints, context)?;
        let events = launch.events.clone();
        let done = self.run(context, launch);
        if let Err(error) = &done {
            events.failed(error);
            events.close();
        }
        done
    }

    fn run(self, context: &Context, mut launch: Launch) -> anyhow::Result<u8> {
        let Some((name, args)) = self.workload.split_first() else {
            return Err(Refusal::new(exit::USAGE, "there is nothing to run").into());
        };
        if name.starts_with('-') {
            let message = format!("`{name}` is neither an option nor a workload");
            let hint = "`wherry run --help` lists the options";
            return Err(Refusal::new(exit::USAGE, message).hint(hint).into());
        }
        let node = self.policy.load(&context.home)?;
        let runnable = workload::load(&context.home, name)?;
        // Before anything of it is looked at.
        let trusted = self.signed_by.load()?;
        if !trusted.is_empty() {
            let manifest = runnable.manifest.as_ref();
            signatures::require(&context.home, name, manifest, &trusted)?;
        }
        let mut record = self.record(name, args, &runnable, &node)?;
        let deterministic = self.determinism.start(&runnable.config)?;
        launch.check(deterministic.is_some())?;
        let (env, seed) = (
            self.environment(&runnable),
            self.determinism.seed(deterministic),
        );
        let identity = state::identity(&record, &env, deterministic, seed);
        let state = self.state.open(&node, &identity)?;
        if let Some(state) = &state {
            launch.keep_state();
            record.command = Some(identity);
            match state::find(state, &record)? {
                Found::Nothing => {}
                Found::Ended(end) => return Ok(state::report(context, &launch.events, &end)),
                Found::Unfinished(job) => return self.resume(context, launch, state, *job),
            }
        }
        let grant = self.admit(context, &node, &runnable, &record)?;
        restrict(&mut record.mounts, &grant);
        node.check_key(launch.key.is_some())?;
        node.check_time()?;
        record.retention = self.checkpoints.retention(record.retention);
        record.streams = self.streams.record()?;
        launch.adopt(&node, &mut record);
        record.key = launch.key.as_ref().map(|key| key.id().to_string());
        let command = Command {
            args: record.args.clone(),
            env,
            seed,
            deterministic,
            manifest: runnable.manifest.as_ref().and_then(workload::from_oci),
        };
        launch.lend(context, &runnable.data, &record)?;
        let target = self.target.target();
        let lent = Lent {
            limits: engine_limits(&grant),
            cores: grant.limit(Item::Cores).at_most(),
            clock_resolution: node.clock_resolution(),
            gpu: node.lend_gpu(record.gpu.as_ref(), &grant),
            gpu_optional: self.gpu.is_optional(&runnable.config),
            target,
            compiler: self.isolation.under(&node)?,
        };
        let module = context.home.engine(target)?.load(runnable.wasm);
        if self.scratch.is_none() && !module.uses_paths() {
            record.scratch = None;
        }
        let home = context.home.jobs();
        let active = state
            .as_ref()
            .map_or(&home, StateDirectory::store)
            .create(record)?;
        launch.events.emit(
            "started",
            json!({
                "job": active.record.id,
                "workload": active.record.workload,
                "module": active.record.module,
                "manifest": active.record.manifest,
                "policy": node.digest.to_string(),
                "directory": active.directory(),
            }),
        );
        let process = launch.listen(&active).and_then(|socket| {
            let start = Start::Command(command);
            let used = Usage::default();
            let process = launch.process(&active, &module, start, lent, Vec::new(), used);
            Ok((process?, socket))
        });
        match process {
            Ok((process, socket)) => {
                let why = process.without_gpu.as_ref();
                if let Some(why) = why.filter(|_| active.record.gpu.is_some()) {
                    warn(format!("the program runs without a GPU: {why}"));
                }
                launch.run(context, process, active, socket)
            }
            Err(error) => {
                // It never was a job.
                active.discard()?;
                Err(error)
            }
        }
    }

    /// What the node remembers of the job, and lends it.
    fn record(
        &self,
        name: &str,
        args: &[String],
        runnable: &Runnable,
        node: &NodePolicy,
    ) -> anyhow::Result<Record> {
        let module = Digest::of(&runnable.wasm).to_string();
        let mut record = Record::new(name.to_owned(), module, arguments(runnable, args));
        record.manifest = runnable.manifest.map(|digest| digest.to_string());
        record.mounts = mounts::records(&self.dir)?;
        node.lend(&mut record.mounts, &runnable.config);
        mounts::meet(&mut record.mounts, &runnable.config)?;
        record.gpu = self.gpu.wanted(&runnable.config)?;
        record.scratch = mounts::scratch(
            self.scratch.clone(),
            self.no_scratch,
            &runnable.config.scratch,
            &record.mounts,
        );
        Ok(record)
    }

    /// Goes on with the job of a state directory.
    fn resume(
        self,
        context: &Context,
        launch: Launch,
        state: &StateDirectory,
        job: JobInfo,
    ) -> anyhow::Result<u8> {
        let resume = Resume {
            dir: self.dir,
            module: None,
            checkpoint: None,
            strict: false,
            gpu: self.gpu,
            limits: self.limits,
            policy: self.policy,
            isolation: self.isolation,
            target: self.target,
            checkpoints: self.checkpoints,
            registry: RegistryArgs::default(),
            what: state.directory().display().to_string(),
        };
        resume.known(context, launch, job)
    }

    /// What the policy grants of what the workload, and whoever starts it, asks for.
    fn admit(
        &self,
        context: &Context,
        node: &NodePolicy,
        runnable: &Runnable,
        record: &Record,
    ) -> anyhow::Result<Grant> {
        let origin = runnable.origin.clone();
        let mut request = node.request(origin, &runnable.config, &runnable.wasm);
        node.find_signer(&context.home, runnable.manifest.as_ref(), &mut request)?;
        request.asks = self.gpu.asks(self.limits.asks(request.asks));
        request.mounts = mount_requests(&record.mounts);
        if request.gpu.is_some() {
            let config = &runnable.config;
            request.gpu = self.gpu.request(config, record.gpu.as_ref());
        }
        node.admit(&request)
    }

    /// What a scheduler has to know before it is called.
    pub(crate) fn asked(&self, context: &Context) -> anyhow::Result<Asked> {
        let name = self.workload.first().map_or("", String::as_str);
        let runnable = workload::load(&context.home, name)?;
        let node = self.policy.load(&context.home)?;
        let request = node.request(runnable.origin, &runnable.config, &runnable.wasm);
        let gpu = self.gpu.wanted(&runnable.config)?.is_some();
        let asks = self.limits.asks(request.asks);
        let reference = name.parse::<Reference>().ok();
        let remote = reference.filter(|reference| reference.registry().is_some());
        Ok(Asked {
            program: runnable.program,
            pull: remote.map(|_| name.to_owned()),
            memory: asks.of(Item::Memory),
            wall_time: asks.of(Item::WallTime).map(Duration::from_millis),
            gpu: gpu && request.gpu.is_some() && !self.gpu.is_optional(&runnable.config),
        })
    }

    /// The workload's own variables, then those of the command line, each name once.
    fn environment(&self, runnable: &Runnable) -> Vec<(String, String)> {
        let own = runnable.config.env.clone().into_iter();
        let mut variables: Vec<(String, String)> = Vec::new();
        for (name, value) in own.chain(self.env.iter().cloned()) {
            match variables.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known = value,
                None => variables.push((name, value)),
            }
        }
        variables
    }
}

fn arguments(runnable: &Runnable, given: &[String]) -> Vec<String> {
    let own = &runnable.config.args;
    let args = if given.is_empty() { own } else { given };
    std::iter::once(&runnable.program)
        .chain(args)
        .cloned()
        .collect()
}
