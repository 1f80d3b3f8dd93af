//! The functions of the GPU host, for programs that import them, and its state in checkpoints.

use std::time::Duration;

use wasmtime::{Caller, Linker, Val};
use wherry_gpu_host::{Fault, Gpu, GpuState, Settings, Usage, for_each_gpu_function};
use wherry_instrument::UNWINDING;
use wherry_snapshot::{self as snapshot, BlobSink, BlobSource, Contents};
use wherry_wasi::Interrupt;

use crate::host::Host;
use crate::{Error, Module};

/// Module name under which programs import the GPU host.
pub(crate) const MODULE: &str = "wherry_gpu";

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
    let Some(gpu) = &mut host.gpu else {
        return Err(wasmtime::Error::msg("the instance was replaced"));
    };
    match function(gpu, memory) {
        Ok(result) => Ok(result),
        Err(Fault::Interrupted) => {
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
    settings: Option<Settings>,
    deterministic: bool,
    interrupt: Interrupt,
) -> Result<Option<Gpu>, Error> {
    if !module.uses_gpu() {
        return Ok(None);
    }
    if deterministic {
        return Err(Error::NotDeterministic {
            what: "a GPU".to_owned(),
        });
    }
    let settings = settings.ok_or(Error::NoGpu)?;
    let interrupted = Box::new(move || interrupt.is_raised());
    Ok(Some(Gpu::new(settings, interrupted)?))
}

/// The GPU of a program that goes on.
pub(crate) fn resume(
    contents: &Contents,
    settings: Option<Settings>,
    interrupt: Interrupt,
    source: &dyn BlobSource,
) -> Result<Option<Gpu>, Error> {
    let Some(saved) = &contents.gpu else {
        return Ok(None);
    };
    let state = gpu_state(saved)?;
    let used = Duration::from_nanos(saved.used_ns);
    let settings = settings.ok_or(Error::NoGpu)?;
    let interrupted = Box::new(move || interrupt.is_raised());
    let gpu = Gpu::restore(&state, used, settings, interrupted, source)?;
    Ok(Some(gpu))
}

/// What the program has on the GPU, for a checkpoint.
pub(crate) fn save(
    gpu: Option<&mut Gpu>,
    sink: &mut dyn BlobSink,
) -> Result<Option<snapshot::Gpu>, Error> {
    let Some(gpu) = gpu else {
        return Ok(None);
    };
    let state = gpu.save(sink)?;
    let Usage { time, .. } = gpu.usage();
    Ok(Some(snapshot::Gpu {
        state: postcard::to_stdvec(&state).map_err(std::io::Error::other)?,
        used_ns: u64::try_from(time.as_nanos()).unwrap_or(u64::MAX),
    }))
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
