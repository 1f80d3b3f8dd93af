//! `wherry resume`

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use wherry_engine::{Job, Limits, Module, Settings};
use wherry_node::{ActiveJob, ControlSocket, End, JobInfo, MountRecord, Record, State, Status};
use wherry_snapshot::{Contents, Reader};
use wherry_wasi::WasiState;

use super::Context;
use crate::exit;
use crate::failure::Refusal;
use crate::launch::{CheckpointArgs, Launch, LimitArgs};
use crate::mounts::{self, DirArg};
use crate::workload::{self, module_of_checkpoint, text_of};

/// Go on with a job from its checkpoint, and exit with its code
///
/// JOB is a suspended or lost job of this machine; FILE is a checkpoint from anywhere. The
/// module is looked up in the store by its digest: a workload that was run or pulled here is
/// there. A job of this machine gets the directories again that it had; a checkpoint from
/// elsewhere needs a --dir for each of them. Limits that are given replace those that the job
/// was started with; the others stay.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wherry resume 3f9c2a11
  wherry resume job.ckpt
  wherry resume --cpu-time 2h 3f9c2a11     when its time was up
  wherry resume --module prog.wasm --dir data::/in::ro job.ckpt")]
pub(crate) struct Resume {
    /// Lend the job a directory that it had
    #[arg(long, value_name = "HOST::GUEST[::ro]")]
    dir: Vec<DirArg>,
    /// The module, if it is not in the store
    #[arg(long, value_name = "MODULE.wasm")]
    module: Option<PathBuf>,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    checkpoints: CheckpointArgs,
    /// What to go on with
    #[arg(value_name = "FILE|JOB", help_heading = "Arguments")]
    checkpoint: String,
}

/// A checkpoint, and the job of this machine that it belongs to.
struct Found {
    path: PathBuf,
    reader: Reader<File>,
    job: Option<JobInfo>,
    /// Whether the job was named, and not the file.
    by_job: bool,
}

impl Resume {
    pub(crate) fn execute(self, context: &Context) -> anyhow::Result<u8> {
        let launch = Launch::prepare(&self.checkpoints, context)?;
        let found = self.find(context)?;
        let contents = found.reader.contents();
        let digest = &contents.workload.module;
        let wasm = module_of_checkpoint(&context.home, self.module.as_deref(), digest)?;
        let mounts = self.mounts(&found, contents)?;
        let module = context.home.engine()?.load(wasm.clone());
        let (mut active, adopted) = activate(context, found.job, contents, mounts)?;
        let limits = self.limits.limits(&Default::default());
        let job = start(&launch, &module, &found.reader, &active, limits);
        match job.with_context(|| format!("cannot resume {}", found.path.display())) {
            Ok((job, socket)) => {
                if self.module.is_some() {
                    workload::keep(&context.home, &wasm)?;
                }
                active.begin()?;
                launch.run(context, job, active, socket)
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

    fn find(&self, context: &Context) -> anyhow::Result<Found> {
        let name = &self.checkpoint;
        if Path::new(name).is_file() {
            let reader = open(Path::new(name))?;
            let digest = text_of(&reader.state_digest());
            let job = context.home.jobs().with_checkpoint(&digest)?;
            return Ok(Found {
                path: name.into(),
                reader,
                job,
                by_job: false,
            });
        }
        let job = context
            .home
            .jobs()
            .find(name)
            .with_context(|| format!("`{name}` is neither a file nor a job"))?;
        let path = checkpoint_of(&job)?;
        Ok(Found {
            reader: open(&path)?,
            path,
            job: Some(job),
            by_job: true,
        })
    }

    /// The directories that the job gets: those that are given, and those that its record
    /// has. What it could only read, it can only read.
    fn mounts(&self, found: &Found, contents: &Contents) -> anyhow::Result<Vec<MountRecord>> {
        let mut mounts = mounts::records(&self.dir)?;
        if let Some(job) = found
            .job
            .as_ref()
            .filter(|_| found.by_job || mounts.is_empty())
        {
            for known in &job.record.mounts {
                if mounts.iter().all(|given| given.guest != known.guest) {
                    mounts.push(known.clone());
                }
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

fn open(path: &Path) -> anyhow::Result<Reader<File>> {
    let failed = || format!("cannot resume {}", path.display());
    let file = File::open(path).with_context(failed)?;
    Reader::open(file).with_context(failed)
}

fn checkpoint_of(job: &JobInfo) -> anyhow::Result<PathBuf> {
    let id = &job.record.id;
    if job.state == State::Running {
        return Err(wherry_node::Error::Running(id.clone()).into());
    }
    if let Status::Ended { end, .. } = &job.record.status
        && matches!(end, End::Exited(_) | End::Trapped(_))
    {
        let message = format!("the job {id} has ended: it {end}");
        return Err(Refusal::new(exit::NO_INPUT, message).into());
    }
    job.checkpoint().ok_or_else(|| {
        let message = format!("the job {id} has no checkpoint: it is {}", job.state);
        Refusal::new(exit::NO_INPUT, message)
            .hint("run it again; --checkpoint-after DURATION --continue makes checkpoints")
            .into()
    })
}

/// Takes over the job that the checkpoint is the last one of; otherwise this is another job.
/// The flag says whether it was taken over.
fn activate(
    context: &Context,
    job: Option<JobInfo>,
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
    let name = args.first().cloned().unwrap_or_default();
    let mut record = Record::new(name, text_of(&contents.workload.module), args);
    record.manifest = contents.workload.manifest.as_ref().map(text_of);
    record.mounts = mounts;
    record.scratch = scratch;
    Ok((context.home.jobs().create(record)?, false))
}

/// What the program calls its scratch directory. That a state is damaged is found out, and
/// said, by the engine.
fn scratch_of(contents: &Contents) -> Option<String> {
    let state: WasiState = postcard::from_bytes(&contents.wasi).ok()?;
    let scratch = state.mounts.into_iter().find(|mount| mount.scratch)?;
    Some(scratch.guest)
}

fn start(
    launch: &Launch,
    module: &Module,
    reader: &Reader<File>,
    active: &ActiveJob,
    limits: Limits,
) -> anyhow::Result<(Job, ControlSocket)> {
    let socket = launch.listen(active)?;
    let settings = Settings {
        limits,
        ..launch.settings(active)?
    };
    let job = Job::resume(module, reader, settings, launch.control())?;
    Ok((job, socket))
}
