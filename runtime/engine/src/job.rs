//! One job, from its start or a checkpoint to its end or the next checkpoint.

use std::collections::BTreeSet;
use std::io::{Read, Seek, Write};
use std::thread;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use wherry_snapshot::{
    self as snapshot, Accounting, Contents, Digest, Frame, Key, Lineage, Phase, Profile, Reader,
    Summary, Usage, Workload, Writer,
};
use wherry_wasi::{QuotaObserver, Wasi, WasiConfig, WasiState};

use crate::Form;
use crate::checkpoint::{Capture, Checkpoint, Extent, History};
use crate::code::functions_of;
use crate::control::{Allowance, Clocks};
use crate::gpu::JobGpu;
use crate::instance::{Instance, MemoryLimit};
use crate::{
    Command, Control, Error, Exhausted, LimitObserver, Module, Outcome, Reason, Settings, capture,
    gpu, outcome, profile, restore,
};

/// One execution of a workload.
pub struct Job {
    module: Module,
    control: Control,
    instance: Instance,
    position: Position,
    countdown: Option<u64>,
    manifest: Option<Digest>,
    settings: snapshot::Settings,
    accounting: Accounting,
    lineage: Lineage,
    /// If the job is deterministic.
    profile: Option<Profile>,
    history: History,
    key: Option<Key>,
    memory_limit: MemoryLimit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    /// Nothing has run yet.
    Beginning,
    /// The frames are stored in the instance.
    Stopped(Phase),
    /// There is nothing left to run.
    Ended,
}

impl Job {
    /// Prepares a program to be run from its beginning.
    ///
    /// # Errors
    /// If the module is refused or does not fit the limits, or a directory cannot be opened.
    pub fn start(
        module: &Module,
        command: Command,
        settings: Settings,
        control: &Control,
    ) -> Result<Self, Error> {
        let profile = profile::of_new(&command, &settings)?;
        // What is lacking is said before anything is compiled.
        let gpu = gpu::start(module, &settings, profile.is_some(), control)?;
        let form = form(false, settings.countdown, profile);
        let memory_limit = memory_limit(settings.limits.memory_bytes, &settings);
        let mut instance = Instance::new(module, form, &BTreeSet::new(), &memory_limit)?;
        let (countdown, key) = (settings.countdown, settings.key.clone());
        let manifest = command.manifest;
        let portable = portable_settings(&command, &settings);
        let usage = Usage {
            quota: settings.limits.quota,
            ..Usage::default()
        };
        let config = wasi_config(command, settings, usage, control)?;
        let host = instance.store.data_mut();
        (host.wasi, host.gpu) = (Some(Wasi::new(config)?), gpu);
        Ok(Job {
            module: module.clone(),
            control: control.clone(),
            instance,
            position: Position::Beginning,
            countdown,
            manifest,
            settings: portable,
            accounting: Accounting::default(),
            lineage: Lineage::default(),
            profile,
            history: History::default(),
            key,
            memory_limit,
        })
    }

    /// Prepares a program to go on where a checkpoint was made.
    ///
    /// # Errors
    /// As [`Job::start`], and if the checkpoint is of another module, is damaged, or needs
    /// what `settings` do not have.
    pub fn resume<R: Read + Seek + Send>(
        module: &Module,
        checkpoint: &Reader<R>,
        settings: Settings,
        control: &Control,
    ) -> Result<Self, Error> {
        let contents = checkpoint.contents();
        check_workload(module, &contents.workload)?;
        check_mounts(&contents.settings, &settings)?;
        let limits = or_saved(limits_of(&settings), contents.settings.limits);
        let profile = profile::of_resumed(contents, &settings)?;
        let gpu = gpu::resume(module, contents, &settings, control)?;
        let form = form(true, settings.countdown, profile);
        let memory_limit = memory_limit(limits.memory_bytes, &settings);
        let stack = functions_of(&contents.execution.frames);
        let mut instance = Instance::new(module, form, &stack, &memory_limit)?;
        restore_instance(&mut instance, checkpoint)?;
        let countdown = settings.countdown;
        // What was encrypted stays so.
        let key = settings.key.clone().or(checkpoint.key().cloned());
        let command = Command {
            deterministic: profile.map(|profile| profile.start_time),
            ..Command::default()
        };
        let restore = |gpu: JobGpu| gpu.restore(contents, &mut instance, checkpoint);
        let gpu = gpu.map(restore).transpose()?;
        let before = contents.usage.unwrap_or_default();
        let usage = Usage {
            quota: settings.limits.quota.or(before.quota),
            ..before
        };
        let config = wasi_config(command, settings, usage, control)?;
        let wasi = Wasi::restore(&wasi_state(contents)?, config, checkpoint)?;
        let host = instance.store.data_mut();
        (host.wasi, host.gpu) = (Some(wasi), gpu);
        Ok(Job {
            module: module.clone(),
            control: control.clone(),
            instance,
            position: Position::Stopped(contents.execution.phase),
            countdown,
            manifest: contents.workload.manifest,
            settings: snapshot::Settings {
                limits,
                ..contents.settings.clone()
            },
            accounting: contents.accounting,
            lineage: Lineage {
                sequence: contents.lineage.sequence,
                parent: Some(checkpoint.state_digest()),
            },
            profile,
            history: History::default(),
            key,
            memory_limit,
        })
    }

    /// Runs until the program ends or is stopped. After [`Outcome::Stopped`] it may be run
    /// on: it goes on where it was, in this process.
    ///
    /// # Errors
    /// [`Error::NotStopped`] if the program has ended; otherwise if the system refuses.
    pub fn run(&mut self) -> Result<Outcome, Error> {
        let phase = self.prepare()?;
        let countdown = self.countdown.take();
        self.instance.set_countdown(countdown)?;
        let allowance = self.allowance();
        let start = Clocks::now();
        self.control.begin(&self.instance.flag);
        let ended = run_watched(&mut self.instance, phase, &self.control, allowance);
        self.control.finished();
        let requested = self.control.take_request();
        self.account(start);
        if let Some(profile) = &mut self.profile {
            let passed = self.instance.passed(countdown);
            profile.position = profile.position.saturating_add(passed);
        }
        let (phase, result) = ended?;
        // Whatever happens in between, the program must not be run twice.
        self.position = Position::Ended;
        if self.instance.has_left() {
            self.position = Position::Stopped(phase);
            return Ok(Outcome::Stopped(requested.unwrap_or(Reason::Countdown)));
        }
        Ok(outcome::of(result, &self.module))
    }

    /// Stops the next [`Job::run`] at the nth safepoint from here, as
    /// [`Settings::countdown`] did the first one.
    pub fn set_countdown(&mut self, countdown: Option<u64>) {
        self.countdown = countdown;
    }

    /// How many safepoints a deterministic job has passed since its start, the one that it is
    /// stopped at included.
    #[must_use]
    pub fn safepoints_passed(&self) -> Option<u64> {
        self.profile.map(|profile| profile.position)
    }

    /// Writes the state of the stopped program. May be done more than once, and does not
    /// change the program.
    ///
    /// # Errors
    /// If the job is not stopped, has something that cannot be captured, or `out` fails.
    pub fn checkpoint<W: Write + Seek>(&mut self, out: W) -> Result<Summary, Error> {
        let checkpoint = self.capture(out, Extent::Full)?.write()?;
        self.written(&checkpoint, false);
        Ok(checkpoint.summary)
    }

    /// Captures the state of the stopped program, which may run on while it is written to
    /// `out`.
    ///
    /// # Errors
    /// As [`Job::checkpoint`], and if the last capture is still being written.
    pub fn capture<W: Write + Seek>(
        &mut self,
        out: W,
        extent: Extent,
    ) -> Result<Capture<W>, Error> {
        let Position::Stopped(phase) = self.position else {
            return Err(Error::NotStopped);
        };
        let execution = capture::execution(&mut self.instance, phase)?;
        let held = self.history.freeze(&self.instance, extent)?;
        let mut writer = match (&self.key, &held.base) {
            (Some(key), base) => Writer::sealed(out, base.as_ref(), key)?,
            (None, Some(base)) => Writer::delta(out, base)?,
            (None, None) => Writer::new(out)?,
        };
        let wasi = self.instance.wasi()?.save(&mut writer)?;
        let gpu = self.instance.store.data_mut().gpu.as_mut();
        let gpu = gpu.map(|gpu| gpu.save(&mut writer)).transpose()?.flatten();
        let sequence = self.lineage.sequence.saturating_add(1);
        let contents = Contents {
            workload: self.workload(),
            execution,
            memories: Vec::new(),
            wasi: postcard::to_stdvec(&wasi).map_err(std::io::Error::other)?,
            settings: self.settings.clone(),
            accounting: self.accounting,
            lineage: Lineage {
                sequence,
                ..self.lineage
            },
            profile: self.profile,
            usage: Some(self.instance.wasi()?.usage()),
            gpu,
        };
        let memories = self.instance.memories(held.memories, &mut writer)?;
        Ok(Capture {
            number: self.history.captures,
            writer,
            memories,
            base: held.base,
            contents,
            tracking: self.instance.tracking(),
        })
    }

    /// Notes that the state that was captured last is a checkpoint now. With `build_on`, later
    /// ones may build on it: its file stays where whoever reads them finds it.
    pub fn written(&mut self, checkpoint: &Checkpoint, build_on: bool) {
        self.lineage = Lineage {
            sequence: checkpoint.sequence,
            parent: Some(checkpoint.summary.state_digest),
        };
        if build_on {
            self.history.written(checkpoint);
        }
    }

    /// Lets checkpoints build on the one that the job was resumed from, before it runs.
    /// They do not if they are encrypted and that one is not.
    pub fn build_on<R: Read + Seek>(&mut self, resumed: &Reader<R>) {
        if resumed.key() == self.key.as_ref() {
            self.history.build_on(resumed.base());
        }
    }

    /// What its checkpoints are encrypted with, if they are.
    #[must_use]
    pub fn key(&self) -> Option<&Key> {
        self.key.as_ref()
    }

    /// The number of the job's last checkpoint, over its whole life; 0 if there was none.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.lineage.sequence
    }

    /// What the job has used of a GPU over its whole life, if it uses one.
    #[must_use]
    pub fn gpu_usage(&self) -> Option<wherry_gpu_host::Usage> {
        let gpu = self.instance.store.data().gpu.as_ref();
        gpu.and_then(JobGpu::usage)
    }

    /// Why a program that can do without a GPU finds none, if it looks for one.
    #[must_use]
    pub fn why_no_gpu(&self) -> Option<&str> {
        let gpu = self.instance.store.data().gpu.as_ref();
        gpu.and_then(JobGpu::why_absent)
    }

    /// What the job has used over its whole life.
    #[must_use]
    pub fn accounting(&self) -> Accounting {
        self.accounting
    }

    /// What the job has written and read over its whole life.
    ///
    /// # Errors
    /// Never, as long as the job has its host.
    pub fn usage(&mut self) -> Result<Usage, Error> {
        Ok(self.instance.wasi()?.usage())
    }

    /// Bytes of the program's memories and tables, which never shrink.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.instance.store.data().limiter.used
    }

    /// SHA-256 over the memories of the program, each preceded by its length: equal for two
    /// runs that ended alike.
    #[must_use]
    pub fn memory_digest(&self) -> Digest {
        let mut digest = Sha256::new();
        for memory in &self.instance.handles.memories {
            let content = memory.data(&self.instance.store);
            digest.update((content.len() as u64).to_le_bytes());
            digest.update(content);
        }
        digest.finalize().into()
    }

    /// Makes the instance ready for a call, and says of which entry point.
    fn prepare(&mut self) -> Result<Phase, Error> {
        let phase = match self.position {
            Position::Ended => return Err(Error::NotStopped),
            Position::Beginning => {
                self.fit_instance(None)?;
                self.instance.prepare_start()?;
                let has_start = self.instance.variant.map.has_start;
                if has_start { Phase::Start } else { Phase::Main }
            }
            Position::Stopped(phase) => {
                let frames = capture::frames(&mut self.instance)?;
                self.fit_instance(Some(&frames))?;
                self.instance.prepare_rewind(frames)?;
                phase
            }
        };
        Ok(phase)
    }

    /// Replaces the instance if its code cannot do what the next run needs, such as to rewind
    /// these frames.
    fn fit_instance(&mut self, frames: Option<&[Frame]>) -> Result<(), Error> {
        let have = &self.instance.variant;
        let resumable = have.form.options.resumable || frames.is_some();
        let need = form(resumable, self.countdown, self.profile);
        let stack = functions_of(frames.unwrap_or_default());
        if have.form == need && (!resumable || have.can_rewind_into(&stack)) {
            return Ok(());
        }
        let mut instance = Instance::new(&self.module, need, &stack, &self.memory_limit)?;
        if let Position::Stopped(phase) = self.position {
            let execution = capture::execution(&mut self.instance, phase)?;
            restore::hand_over_memories(&mut self.instance, &mut instance)?;
            restore::execution(&mut instance, &execution)?;
        }
        let before = self.instance.store.data_mut();
        let (wasi, gpu, bytes) = (before.wasi.take(), before.gpu.take(), before.limiter.gpu);
        let host = instance.store.data_mut();
        (host.wasi, host.gpu, host.limiter.gpu) = (wasi, gpu, bytes);
        self.instance = instance;
        Ok(())
    }

    fn workload(&self) -> Workload {
        Workload {
            module: self.module.digest(),
            manifest: self.manifest,
            instrumentation: wherry_instrument::VERSION,
        }
    }

    fn allowance(&self) -> Allowance {
        let left = |limit: Option<u64>, used: u64| {
            limit.map(|limit| Duration::from_nanos(limit.saturating_sub(used)))
        };
        let limits = self.settings.limits;
        Allowance {
            wall: left(limits.wall_ns, self.accounting.wall_ns),
            cpu: left(limits.cpu_ns, self.accounting.cpu_ns),
        }
    }

    fn account(&mut self, start: Clocks) {
        let (wall, cpu) = start.elapsed();
        self.accounting.wall_ns = self.accounting.wall_ns.saturating_add(nanoseconds(wall));
        self.accounting.cpu_ns = self.accounting.cpu_ns.saturating_add(nanoseconds(cpu));
    }
}

/// A deterministic job counts its safepoints, whether it is to stop at one of them or not.
fn form(resumable: bool, countdown: Option<u64>, profile: Option<Profile>) -> Form {
    let countdown = countdown.is_some() || profile.is_some();
    Form::new(resumable, countdown, profile.is_some())
}

/// Runs on a thread with a stack that is large enough, and keeps an eye on the time.
fn run_watched(
    instance: &mut Instance,
    phase: Phase,
    control: &Control,
    allowance: Allowance,
) -> Result<(Phase, wasmtime::Result<()>), Error> {
    thread::scope(|scope| {
        let builder = thread::Builder::new().name("guest".to_owned());
        let builder = builder.stack_size(instance.thread_stack);
        let guest = builder.spawn_scoped(scope, || {
            let _end = EndOnDrop(control);
            run_phases(instance, phase)
        })?;
        control.watch(allowance);
        Ok(guest
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// Tells the watcher that the guest's thread ends, however it does.
struct EndOnDrop<'a>(&'a Control);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.finished();
    }
}

/// Runs the start function if `phase` says so, then the main one.
fn run_phases(instance: &mut Instance, phase: Phase) -> (Phase, wasmtime::Result<()>) {
    let result = instance.call(phase);
    if phase == Phase::Main || result.is_err() || instance.has_left() {
        return (phase, result);
    }
    (Phase::Main, instance.call(Phase::Main))
}

fn restore_instance<R: Read + Seek + Send>(
    instance: &mut Instance,
    checkpoint: &Reader<R>,
) -> Result<(), Error> {
    let Contents {
        execution,
        memories,
        ..
    } = checkpoint.contents();
    if execution.phase == Phase::Start && !instance.variant.map.has_start {
        return Err(Error::DoesNotFit {
            what: "the module has no start function".to_owned(),
        });
    }
    if memories.len() != instance.handles.memories.len() {
        let what = format!("it has {} memories", memories.len());
        return Err(Error::DoesNotFit { what });
    }
    for (index, memory) in memories.iter().enumerate() {
        restore::memory(instance, index, memory.pages, memory.maximum, |content| {
            Ok(checkpoint.restore_memory(memory, content)?)
        })?;
    }
    restore::execution(instance, execution)
}

fn check_workload(module: &Module, workload: &Workload) -> Result<(), Error> {
    let (expected, found) = (workload.module, module.digest());
    if expected != found {
        return Err(Error::WrongModule { expected, found });
    }
    if workload.instrumentation != wherry_instrument::VERSION {
        return Err(Error::InstrumentationVersion(workload.instrumentation));
    }
    Ok(())
}

fn check_mounts(needed: &snapshot::Settings, settings: &Settings) -> Result<(), Error> {
    for mount in &needed.mounts {
        let offered = settings
            .mounts
            .iter()
            .find(|offered| offered.guest == mount.guest);
        if offered.is_none_or(|offered| offered.read_only && !mount.read_only) {
            let (guest, read_only) = (mount.guest.clone(), mount.read_only);
            return Err(Error::MissingMount { guest, read_only });
        }
    }
    Ok(())
}

/// The state of the WASI host in a checkpoint: descriptors, files, clocks.
///
/// # Errors
/// If it is damaged.
pub fn wasi_state(contents: &Contents) -> Result<WasiState, Error> {
    let damaged = |reason: String| {
        Error::Checkpoint(snapshot::Error::Damaged {
            part: "section wasi",
            reason,
        })
    };
    let state = postcard::from_bytes(&contents.wasi).map_err(|error| damaged(error.to_string()))?;
    let canonical = postcard::to_stdvec(&state).map_err(|error| damaged(error.to_string()))?;
    if canonical != contents.wasi {
        return Err(damaged("is not encoded canonically".to_owned()));
    }
    Ok(state)
}

fn memory_limit(bytes: Option<u64>, settings: &Settings) -> MemoryLimit {
    MemoryLimit {
        bytes,
        observer: settings.limit_observer.clone(),
    }
}

fn wasi_config(
    command: Command,
    settings: Settings,
    usage: Usage,
    control: &Control,
) -> Result<WasiConfig, Error> {
    let bytes = |(name, value): (String, String)| (name.into_bytes(), value.into_bytes());
    Ok(WasiConfig {
        args: command.args.into_iter().map(String::into_bytes).collect(),
        env: command.env.into_iter().map(bytes).collect(),
        mounts: settings.mounts,
        scratch: settings.scratch,
        stdio: settings.stdio,
        interrupt: control.interrupt(),
        seed: command.seed.map_or_else(system_seed, Ok)?,
        deterministic: command.deterministic,
        usage,
        quota_observer: quota_observer(settings.limit_observer),
        clock_resolution: settings.clock_resolution,
    })
}

fn quota_observer(observer: LimitObserver) -> QuotaObserver {
    QuotaObserver::new(move |what| observer.tell(Exhausted::Quota(what)))
}

fn system_seed() -> std::io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut seed)?;
    Ok(seed)
}

/// What of the command and the settings another node needs to know.
fn portable_settings(command: &Command, settings: &Settings) -> snapshot::Settings {
    let mount = |mount: &crate::Mount| snapshot::Mount {
        guest: mount.guest.clone(),
        read_only: mount.read_only,
    };
    snapshot::Settings {
        args: command.args.clone(),
        env: command.env.clone(),
        mounts: settings.mounts.iter().map(mount).collect(),
        limits: limits_of(settings),
    }
}

fn limits_of(settings: &Settings) -> snapshot::Limits {
    snapshot::Limits {
        memory_bytes: settings.limits.memory_bytes,
        wall_ns: settings.limits.wall.map(nanoseconds),
        cpu_ns: settings.limits.cpu.map(nanoseconds),
    }
}

/// What this node says counts; where it says nothing, what the job was started with.
fn or_saved(given: snapshot::Limits, saved: snapshot::Limits) -> snapshot::Limits {
    snapshot::Limits {
        memory_bytes: given.memory_bytes.or(saved.memory_bytes),
        wall_ns: given.wall_ns.or(saved.wall_ns),
        cpu_ns: given.cpu_ns.or(saved.cpu_ns),
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
