//! The functions of the GPU host, for programs that import them, and its state in checkpoints.

use std::time::Duration;

use wasmtime::{Caller, Linker, Val};
use wherry_gpu_host::{Fault, Gpu, GpuState, Interrupted, Usage, for_each_gpu_function};
use wherry_instrument::UNWINDING;
use wherry_snapshot::{self as snapshot, BlobSink, BlobSource, Contents};

use crate::host::Host;
use crate::instance::Instance;
use crate::{Control, Error, Module, Reason};

/// Module name under which programs import the GPU host.
pub(crate) const MODULE: &str = "wherry_gpu";

/// The GPU of a job, and what stops the job when its time on it is up.
pub(crate) struct JobGpu {
    gpu: Gpu,
    control: Control,
}

macro_rules! define_functions {
    ($($name:literal $method:ident($($arg:ident: $type:ty),*) -> $result:ty;)*) => {
        /// Defines every function of the GPU host.
        pub(crate) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
            $(linker.func_wrap(MODULE, $name, |caller: Caller<'_, Host>, $($arg: $type),*| {
                call(caller, |gpu, memory| gpu.$method(memory, $($arg),*))
            })?;)*
            Ok(())
        }

        /// Whether the GPU host has a function of this name.
        pub(crate) fn has_function(name: &str) -> bool {
            matches!(name, $($name)|*)
        }
    };
}
for_each_gpu_function!(define_functions);

/// A fault of the GPU host, which ends the program.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct GpuFault(String);

/// Calls into the GPU host. A call that was interrupted has had no effect: the program leaves,
/// and makes the call again when it goes on.
fn call<T: Default>(
    mut caller: Caller<'_, Host>,
    function: impl FnOnce(&mut Gpu, &mut [u8]) -> Result<T, Fault>,
) -> wasmtime::Result<T> {
    let (memory, host): (&mut [u8], &mut Host) = match caller.data().memory {
        Some(memory) => memory.data_and_store_mut(&mut caller),
        None => (&mut [], caller.data_mut()),
    };
    let Some(JobGpu { gpu, control }) = &mut host.gpu else {
        return Err(wasmtime::Error::msg("the instance was replaced"));
    };
    gpu.limit_memory(host.limiter.left_for_gpu());
    let result = function(gpu, memory);
    host.limiter.gpu = gpu.bytes();
    match result {
        Ok(result) => Ok(result),
        Err(fault @ (Fault::Interrupted | Fault::GpuTime)) => {
            if matches!(fault, Fault::GpuTime) {
                control.request(Reason::GpuTime);
            }
            let state = caller.data().state;
            let state = state.ok_or_else(|| wasmtime::Error::msg("interrupted too early"))?;
            state.set(&mut caller, Val::I32(UNWINDING))?;
            Ok(T::default())
        }
        Err(fault) => Err(GpuFault(fault.to_string()).into()),
    }
}

/// The GPU of a program that starts, if it uses one.
pub(crate) fn start(
    module: &Module,
    settings: &crate::Settings,
    deterministic: bool,
    control: &Control,
) -> Result<Option<JobGpu>, Error> {
    if !module.uses_gpu() {
        return Ok(None);
    }
    if deterministic {
        return Err(Error::NotDeterministic {
            what: "a GPU".to_owned(),
        });
    }
    let gpu = match &settings.gpu {
        None if settings.gpu_optional => Gpu::absent("none is lent".to_owned()),
        None => return Err(Error::NoGpu),
        Some(lent) => match Gpu::new(lent.clone(), interrupted(control)) {
            Err(error) if settings.gpu_optional => Gpu::absent(error.to_string()),
            gpu => gpu?,
        },
    };
    Ok(Some(JobGpu::new(gpu, control)))
}

/// The GPU of a program that goes on, without its objects. One that was started without goes on
/// without.
pub(crate) fn resume(
    module: &Module,
    contents: &Contents,
    settings: &crate::Settings,
    control: &Control,
) -> Result<Option<JobGpu>, Error> {
    let gpu = match &contents.gpu {
        None if !module.uses_gpu() => return Ok(None),
        None => Gpu::absent("the job was started without".to_owned()),
        Some(saved) => {
            let used = Duration::from_nanos(saved.used_ns);
            let lent = settings.gpu.clone().ok_or(Error::NoGpu)?;
            Gpu::resumed(&gpu_state(saved)?, used, lent, interrupted(control))?
        }
    };
    Ok(Some(JobGpu::new(gpu, control)))
}

fn interrupted(control: &Control) -> Interrupted {
    let interrupt = control.interrupt();
    Box::new(move || interrupt.is_raised())
}

impl JobGpu {
    fn new(gpu: Gpu, control: &Control) -> Self {
        JobGpu {
            gpu,
            control: control.clone(),
        }
    }

    /// Why the program finds no GPU, if it finds none.
    pub(crate) fn why_absent(&self) -> Option<&str> {
        self.gpu.why_absent()
    }

    /// What the job has used of it, if it has one.
    pub(crate) fn usage(&self) -> Option<Usage> {
        let has_one = self.gpu.why_absent().is_none();
        has_one.then(|| self.gpu.usage())
    }

    /// Makes the objects of a checkpoint, within what the job may have of memory.
    pub(crate) fn restore(
        mut self,
        contents: &Contents,
        instance: &mut Instance,
        source: &dyn BlobSource,
    ) -> Result<Self, Error> {
        if let Some(saved) = &contents.gpu {
            let limiter = &mut instance.store.data_mut().limiter;
            self.gpu.limit_memory(limiter.left_for_gpu());
            self.gpu.restore(&gpu_state(saved)?, source)?;
            limiter.gpu = self.gpu.bytes();
        }
        Ok(self)
    }

    /// What the program has on the GPU, for a checkpoint.
    pub(crate) fn save(&mut self, sink: &mut dyn BlobSink) -> Result<Option<snapshot::Gpu>, Error> {
        if self.why_absent().is_some() {
            return Ok(None);
        }
        let state = self.gpu.save(sink)?;
        let Usage { time, .. } = self.gpu.usage();
        Ok(Some(snapshot::Gpu {
            state: postcard::to_stdvec(&state).map_err(std::io::Error::other)?,
            used_ns: u64::try_from(time.as_nanos()).unwrap_or(u64::MAX),
        }))
    }
}

/// The state of the GPU host in a checkpoint.
///
/// # Errors
/// If it is damaged.
pub fn gpu_state(saved: &snapshot::Gpu) -> Result<GpuState, Error> {
    let damaged = |reason: String| {
        Error::Checkpoint(snapshot::Error::Damaged {
            part: "section gpu",
            reason,
        })
    };
    let state = postcard::from_bytes(&saved.state).map_err(|error| damaged(error.to_string()))?;
    let canonical = postcard::to_stdvec(&state).map_err(|error| damaged(error.to_string()))?;
    if canonical != saved.state {
        return Err(damaged("is not encoded canonically".to_owned()));
    }
    Ok(state)
}
