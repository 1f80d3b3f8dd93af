//! `wherry resume`

mod fallback;

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use clap::builder::FalseyValueParser;
use serde_json::{Value, json};
use wherry_engine::gpu_state;
use wherry_node::{
    ActiveJob, Chain, ControlSocket, JobInfo, JobProcess, Made, MountRecord, Record, Start, State,
    open_checkpoint, state_name,
};
use wherry_packager::{Digest, Reference, Store, WorkloadConfig};
use wherry_policy::{Amounts, GpuRequest, Grant, Item, Origin, Request};
use wherry_snapshot::{Contents, Key, Reader};
use wherry_wasi::WasiState;

use super::Context;
use crate::carried;
use crate::failure::Refusal;
use crate::gpu::GpuArgs;
use crate::isolation::IsolationArgs;
use crate::launch::{CheckpointArgs, Launch, Lent, LimitArgs};
use crate::mounts::{self, DirArg};
use crate::origins;
use crate::policy::{NodePolicy, PolicyArgs, engine_limits, mount_requests, restrict};
use crate::target::TargetArgs;
use crate::transfer::RegistryArgs;
use crate::workload::{self, module_of_checkpoint, text_of};
use crate::{data, exit, output};

/// Go on with a job from its checkpoint, and exit with its code
///
/// JOB is a suspended or lost job of this machine; FILE is a checkpoint from anywhere, and REF one
/// of the store or of a registry, from which it is fetched with its workload. The module is
/// looked up in the store by its digest: a workload that was run or pulled here is there. A job of this machine gets the directories again that it had; a checkpoint from
/// elsewhere needs a --dir for each of them. Limits that are given replace those that the job
/// was started with; the others stay.
///
/// If the newest checkpoint of a JOB is damaged, the job goes on from the one before, with a
/// warning that says what is lost. With --strict it does not.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wherry resume 3f9c2a11
  wherry resume job.ckpt
  wherry resume ghcr.io/team/nbody:half
  wherry resume --checkpoint 7 3f9c2a11    back to an older one: `wherry checkpoints` lists them
  wherry resume --cpu-time 2h 3f9c2a11     when its time was up
  wherry resume --module prog.wasm --dir data::/in::ro job.ckpt")]
pub(crate) struct Resume {
    /// Lend the job a directory that it had
    #[arg(long, value_name = "HOST::GUEST[::ro]")]
    pub(super) dir: Vec<DirArg>,
    /// The module, if it is not in the store
    #[arg(long, value_name = "MODULE.wasm")]
    pub(super) module: Option<PathBuf>,
    /// Go on from the checkpoint of JOB with this number, and from no other
    #[arg(long, value_name = "SEQUENCE")]
    pub(super) checkpoint: Option<u64>,
    /// Refuse to go on from an older checkpoint because the newest is damaged
    #[arg(long, env = "WHERRY_STRICT", value_parser = FalseyValueParser::new())]
    pub(super) strict: bool,
    #[command(flatten)]
    pub(super) gpu: GpuArgs,
    #[command(flatten)]
    pub(super) limits: LimitArgs,
    #[command(flatten)]
    pub(super) target: TargetArgs,
    #[command(flatten)]
    pub(super) policy: PolicyArgs,
    #[command(flatten)]
    pub(super) isolation: IsolationArgs,
    #[command(flatten)]
    pub(super) checkpoints: CheckpointArgs,
    #[command(flatten)]
    pub(super) registry: RegistryArgs,
    /// What to go on with
    #[arg(value_name = "FILE|JOB|REF", help_heading = "Arguments")]
    pub(super) what: String,
}

/// A job that can go on.
struct Ready {
    process: JobProcess,
    /// The name of the key that its checkpoints are encrypted with.
    key: Option<String>,
    wasm: Vec<u8>,
    /// The number of the checkpoint.
    sequence: u64,
    /// The digest of its state.
    state: String,
    /// The policy under which it goes on.
    node: NodePolicy,
    /// The GPU that it asks for.
    gpu: Option<wherry_gpu_host::Settings>,
}

/// A checkpoint that came to this node, or is in a file.
struct Arrived {
    reader: Reader<File>,
    made: Made,
    /// The artifact that it is; none if it is in a file.
    artifact: Option<(Store, Digest)>,
}

/// A checkpoint that is open.
struct Opened<'a> {
    reader: &'a Reader<File>,
    /// Whether the job's next ones may build on it.
    build_on: bool,
}

impl Resume {
    pub(crate) fn execute(self, context: &Context) -> anyhow::Result<u8> {
        let launch = Launch::prepare(&self.checkpoints, context)?;
        let events = launch.events.clone();
        let done = self.resume(context, launch);
        if let Err(error) = &done {
            events.failed(error);
            events.close();
        }
        done
    }

    fn resume(&self, context: &Context, launch: Launch) -> anyhow::Result<u8> {
        launch.restartable();
        let is_file = Path::new(&self.what).is_file();
        let is_reference = self.what.contains([':', '/']);
        if !is_file && !is_reference {
            return self.job(context, launch);
        }
        if self.checkpoint.is_some() {
            let message = format!("{} is one checkpoint: there is no other in it", self.what);
            let hint = "`wherry checkpoints JOB` lists those of a job";
            return Err(Refusal::new(exit::USAGE, message).hint(hint).into());
        }
        let arrived = match is_file {
            true => self.file(launch.key.as_ref()),
            false => self.fetch(context, launch.key.as_ref()),
        };
        let arrived = arrived.with_context(|| format!("cannot resume {}", self.what))?;
        self.checkpoint(context, launch, &arrived)
    }

    fn file(&self, key: Option<&Key>) -> anyhow::Result<Arrived> {
        let reader = open_checkpoint(Path::new(&self.what), key)?;
        Ok(Arrived {
            made: origins::made(&reader),
            reader,
            artifact: None,
        })
    }

    /// Opens a checkpoint of the store, or of a registry.
    fn fetch(&self, context: &Context, key: Option<&Key>) -> anyhow::Result<Arrived> {
        let reference = self.what.parse::<Reference>();
        let store = context.home.store()?;
        let digest = match (store.resolve(&self.what), reference) {
            (Ok(digest), _) => digest,
            (Err(_), Ok(reference)) if reference.registry().is_some() => {
                let client = self.registry.client_for(&reference)?;
                carried::fetch(context, &client, &store, &reference)?.digest
            }
            (Err(error), _) => return Err(error.into()),
        };
        // The files are read from while they are open, under whatever name, or none.
        let directory = tempfile::tempdir_in(context.home.directory())?;
        let file = directory.path().join("checkpoint");
        carried::unpack(&store, &digest, &file)?;
        let reader = open_checkpoint(&file, key)?;
        Ok(Arrived {
            made: origins::made(&reader),
            reader,
            artifact: Some((store, digest)),
        })
    }

    /// Goes on from a checkpoint: with the job that it is the last one of, or else with another
    /// job.
    fn checkpoint(
        &self,
        context: &Context,
        launch: Launch,
        arrived: &Arrived,
    ) -> anyhow::Result<u8> {
        let path = &self.what;
        let failed = || format!("cannot resume {path}");
        let reader = &arrived.reader;
        let digest = &arrived.made.checkpoint.state;
        let known = context.home.jobs().with_checkpoint(digest)?;
        let node = self.policy.load(&context.home).with_context(failed)?;
        let chain = self.chain(context, &node, arrived).with_context(failed)?;
        // Whoever lends directories lends all of them.
        let had = known.as_ref().filter(|_| self.dir.is_empty());
        let had = had.map_or(&[][..], |job| &job.record.mounts);
        let mounts = self.mounts(had, reader.contents())?;
        // Before there is a job: it may not be here.
        let wasm = self.module_of(context, reader.contents())?;
        let name = self.workload_name(context, reader.contents())?;
        let (mut active, adopted) = activate(context, known, name, reader.contents(), mounts)?;
        if !adopted {
            active.record.arrival = Some(chain.arrival(arrived.made.checkpoint.clone()));
        }
        let ready = launch.listen(&active).and_then(|socket| {
            let from = Opened {
                reader,
                build_on: false,
            };
            let ready = self.ready(context, &launch, &active, &from, wasm, node);
            Ok((ready?, socket))
        });
        match ready.with_context(failed) {
            Ok((ready, socket)) => {
                active.go_on_from(ready.sequence, &[])?;
                let from = json!({
                    "sequence": ready.sequence, "path": path, "state": digest,
                    "origin": origins::value(&chain),
                });
                self.go_on(context, launch, active, ready, socket, from, &[])
            }
            Err(error) if adopted => {
                // It is suspended as before.
                active.remove_scratch()?;
                Err(error)
            }
            Err(error) => {
                active.discard()?;
                Err(error)
            }
        }
    }

    /// What the workload of a checkpoint is called: by where it came from, as far as this node knows
    /// that. What a checkpoint says of itself decides nothing.
    fn workload_name(&self, context: &Context, contents: &Contents) -> anyhow::Result<String> {
        let Some(manifest) = contents.workload.manifest.as_ref().map(text_of) else {
            let program = contents.settings.args.first();
            return Ok(program.cloned().unwrap_or_default());
        };
        let reference = self.what.parse::<Reference>().ok();
        let reference = reference.filter(|reference| reference.registry().is_some());
        if let (Some(reference), false) = (reference, Path::new(&self.what).is_file()) {
            return Ok(format!("{}@{manifest}", reference.repository()));
        }
        let digest = manifest.parse()?;
        let names = context
            .home
            .existing_store()?
            .map(|store| store.names_of(&digest));
        let mut names = names.transpose()?.unwrap_or_default().into_iter();
        Ok(names.next().unwrap_or(manifest))
    }

    /// Finds out who made the checkpoint, and whether they are believed here.
    fn chain(
        &self,
        context: &Context,
        node: &NodePolicy,
        arrived: &Arrived,
    ) -> anyhow::Result<Chain> {
        let (made, keys) = (&arrived.made, node.nodes(&context.home)?);
        let chain = match &arrived.artifact {
            Some((store, digest)) => origins::trace(store, digest, made, &keys)?,
            None => {
                let said = origins::read_beside(Path::new(&self.what));
                Chain::trace(made, &said, &keys)
            }
        };
        origins::tell(context, &chain);
        node.check_chain(&chain)?;
        Ok(chain)
    }

    /// Compiles the module, and restores the state.
    fn ready(
        &self,
        context: &Context,
        launch: &Launch,
        active: &ActiveJob,
        from: &Opened<'_>,
        wasm: Vec<u8>,
        node: NodePolicy,
    ) -> anyhow::Result<Ready> {
        let reader = from.reader;
        let contents = reader.contents();
        launch.check(contents.profile.is_some())?;
        let gpu = self.gpu(active, contents)?;
        let mut request = self.request(&node, active, contents, &wasm);
        request.gpu = contents.gpu.as_ref().map(|_| GpuRequest {
            optional: false,
            beyond: gpu.as_ref().map_or_else(Vec::new, crate::gpu::beyond),
        });
        let manifest = active.record.manifest.as_deref();
        let manifest = manifest.and_then(|digest| digest.parse().ok());
        node.find_signer(&context.home, manifest.as_ref(), &mut request)?;
        let grant = node.admit(&request)?;
        refuse_less(&active.record.mounts, &grant, contents)?;
        node.check_key(launch.key.is_some() || reader.key().is_some())?;
        node.check_time()?;
        let data = manifest.map_or(Ok(Vec::new()), |manifest| {
            data::of_manifest(&context.home, &manifest)
        });
        launch.lend(context, &data?, &active.record)?;
        let target = self.target.target();
        let lent = Lent {
            limits: engine_limits(&grant),
            cores: grant.limit(Item::Cores).at_most(),
            clock_resolution: node.clock_resolution(),
            gpu: node.lend_gpu(gpu.as_ref(), &grant),
            gpu_optional: false,
            target,
            compiler: self.isolation.under(&node)?,
        };
        let module = context.home.engine(target)?.load(wasm.clone());
        let start = Start::Checkpoint {
            build_on: from.build_on,
        };
        let used = contents.usage.unwrap_or_default();
        let process = launch.process(active, &module, start, lent, reader.files()?, used)?;
        let key = launch.key.as_ref().or(reader.key());
        Ok(Ready {
            process,
            key: key.map(|key| key.id().to_string()),
            wasm,
            sequence: reader.contents().lineage.sequence,
            state: state_name(&reader.state_digest(), reader.key()),
            node,
            gpu,
        })
    }

    /// The GPU that the job asks for, if it has something on one: as before, or what the checkpoint
    /// says, unless something else is said now.
    fn gpu(
        &self,
        active: &ActiveJob,
        contents: &Contents,
    ) -> anyhow::Result<Option<wherry_gpu_host::Settings>> {
        let Some(saved) = &contents.gpu else {
            return Ok(None);
        };
        let mut wanted = active.record.gpu.clone().unwrap_or_default();
        wanted.request = gpu_state(saved)?.request()?;
        Ok(self.gpu.instead_of(Some(wanted))?)
    }

    /// What the job asks for: as much as before, unless something else is said now.
    fn request(
        &self,
        node: &NodePolicy,
        active: &ActiveJob,
        contents: &Contents,
        wasm: &[u8],
    ) -> Request {
        let origin = match &active.record.manifest {
            Some(_) => workload::origin(&active.record.workload),
            None => Origin::File,
        };
        let mut request = node.request(origin, &WorkloadConfig::default(), wasm);
        let milliseconds = |time: Option<u64>| time.map(|time| time / 1_000_000);
        let (limits, quota) = (
            contents.settings.limits,
            contents.usage.unwrap_or_default().quota,
        );
        let before = Amounts::default()
            .with(Item::Memory, limits.memory_bytes)
            .with(Item::CpuTime, milliseconds(limits.cpu_ns))
            .with(Item::WallTime, milliseconds(limits.wall_ns))
            .with(Item::Scratch, quota.scratch_bytes)
            .with(Item::Files, quota.files)
            .with(Item::Output, quota.output_bytes)
            .with(Item::Log, quota.log_bytes);
        request.asks = self.gpu.asks(self.limits.instead_of(before));
        request.mounts = mount_requests(&active.record.mounts);
        request
    }

    fn module_of(&self, context: &Context, contents: &Contents) -> anyhow::Result<Vec<u8>> {
        let digest = &contents.workload.module;
        module_of_checkpoint(&context.home, self.module.as_deref(), digest)
    }

    #[expect(clippy::too_many_arguments, reason = "they have nothing in common")]
    fn go_on(
        &self,
        context: &Context,
        mut launch: Launch,
        mut active: ActiveJob,
        ready: Ready,
        socket: ControlSocket,
        from: Value,
        damaged: &[Value],
    ) -> anyhow::Result<u8> {
        if self.module.is_some() {
            workload::keep(&context.home, &ready.wasm)?;
        }
        active.record.retention = self.checkpoints.retention(active.record.retention);
        active.record.gpu = ready.gpu;
        active.record.key = ready.key;
        launch.adopt(&ready.node, &mut active.record);
        active.record.resumed_from = Some((ready.sequence, ready.state));
        active.begin()?;
        launch.events.emit(
            "resumed",
            json!({
                "job": active.record.id,
                "from": from,
                "damaged": damaged,
                "policy": ready.node.digest.to_string(),
                "directory": active.directory(),
            }),
        );
        if context.output.json {
            output::note(json!({ "event": "resumed", "from": from, "damaged": damaged }));
        }
        launch.run(context, ready.process, active, socket)
    }

    /// The directories that the job gets: those that are given, and those of `had` that are
    /// not. What it could only read, it can only read.
    fn mounts(&self, had: &[MountRecord], contents: &Contents) -> anyhow::Result<Vec<MountRecord>> {
        let mut mounts = mounts::records(&self.dir)?;
        for known in had {
            if mounts.iter().all(|given| given.guest != known.guest) {
                mounts.push(known.clone());
            }
        }
        for had in &contents.settings.mounts {
            for lent in mounts.iter_mut().filter(|lent| lent.guest == had.guest) {
                lent.read_only |= had.read_only;
            }
        }
        Ok(mounts)
    }
}

/// A job that wrote to a directory cannot go on where it may only read.
fn refuse_less(mounts: &[MountRecord], grant: &Grant, contents: &Contents) -> anyhow::Result<()> {
    let mut granted = mounts.to_vec();
    restrict(&mut granted, grant);
    for had in &contents.settings.mounts {
        let less = granted
            .iter()
            .any(|mount| mount.guest == had.guest && mount.read_only);
        let asked = mounts
            .iter()
            .any(|mount| mount.guest == had.guest && !mount.read_only);
        if less && asked && !had.read_only {
            let message = format!(
                "the policy lets {:?} only be read, and the job writes there",
                had.guest
            );
            return Err(Refusal::new(exit::POLICY, message).into());
        }
    }
    Ok(())
}

/// Takes over the job that the checkpoint is the last one of; otherwise this is another job.
/// The flag says whether it was taken over.
fn activate(
    context: &Context,
    job: Option<JobInfo>,
    name: String,
    contents: &Contents,
    mounts: Vec<MountRecord>,
) -> anyhow::Result<(ActiveJob, bool)> {
    let scratch = scratch_of(contents);
    let resumable = |job: &JobInfo| matches!(job.state, State::Suspended | State::Lost);
    if let Some(job) = job.filter(resumable) {
        // Whoever was faster goes on with the job, and this becomes another one.
        if let Ok(mut active) = job.activate() {
            active.record.mounts = mounts;
            active.record.scratch = scratch;
            return Ok((active, true));
        }
    }
    let args = contents.settings.args.clone();
    let mut record = Record::new(name, text_of(&contents.workload.module), args);
    record.manifest = contents.workload.manifest.as_ref().map(text_of);
    record.mounts = mounts;
    record.scratch = scratch;
    Ok((context.home.jobs().create(record)?, false))
}

/// What the program calls its scratch directory. That a state is damaged is found out, and
/// said, by the engine.
pub(in crate::commands) fn scratch_of(contents: &Contents) -> Option<String> {
    let state: WasiState = postcard::from_bytes(&contents.wasi).ok()?;
    let scratch = state.mounts.into_iter().find(|mount| mount.scratch)?;
    Some(scratch.guest)
}
