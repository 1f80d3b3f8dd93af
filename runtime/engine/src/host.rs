//! The functions that a program can call, and the limits of what it can allocate.

use crate::gpu::JobGpu;
use crate::settings::{Exhausted, LimitObserver};
use wasmtime::{Caller, Global, Linker, Memory, ResourceLimiter, Val};
use wherry_instrument::UNWINDING;
use wherry_wasi::{Fault, Wasi, for_each_function};

/// Module name under which programs import preview 1.
pub(crate) const MODULE: &str = "wasi_snapshot_preview1";

/// What belongs to one instance.
pub(crate) struct Host {
    /// `None` only in an instance that another one has replaced.
    pub(crate) wasi: Option<Wasi>,
    /// `None` if the program uses none.
    pub(crate) gpu: Option<JobGpu>,
    pub(crate) limiter: Limiter,
    /// The exported `memory`, which the functions of preview 1 work on.
    pub(crate) memory: Option<Memory>,
    /// The state of the instrumentation.
    pub(crate) state: Option<Global>,
}

/// How a program leaves through `proc_exit`.
#[derive(Debug, thiserror::Error)]
#[error("the program exited with code {0}")]
pub(crate) struct Exit(pub(crate) u32);

macro_rules! define_functions {
    ($(fn $name:ident($($arg:ident: $type:ty),* $(,)?) -> $result:ident;)*) => {
        /// Defines every function of preview 1.
        pub(crate) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
            $(define_functions!(@define linker, $name($($arg: $type),*) -> $result);)*
            Ok(())
        }

        /// Whether preview 1 has a function of this name.
        pub(crate) fn has_function(name: &str) -> bool {
            matches!(name, $(stringify!($name))|*)
        }
    };
    (@define $linker:ident, $name:ident($($arg:ident: $type:ty),*) -> errno) => {
        $linker.func_wrap(MODULE, stringify!($name), |caller: Caller<'_, Host>, $($arg: $type),*| {
            call(caller, |wasi, memory| wasi.$name(memory, $($arg),*))
        })?;
    };
    (@define $linker:ident, $name:ident($($arg:ident: $type:ty),*) -> never) => {
        $linker.func_wrap(MODULE, stringify!($name), |caller: Caller<'_, Host>, $($arg: $type),*| {
            call(caller, |wasi, memory| wasi.$name(memory, $($arg),*)).map(|_: u32| ())
        })?;
    };
}
for_each_function!(define_functions);

/// Calls into WASI. A call that was interrupted has had no effect: the program leaves, and
/// makes the call again when it goes on.
fn call(
    mut caller: Caller<'_, Host>,
    function: impl FnOnce(&mut Wasi, &mut [u8]) -> Result<(), Fault>,
) -> wasmtime::Result<u32> {
    let (memory, host): (&mut [u8], &mut Host) = match caller.data().memory {
        Some(memory) => memory.data_and_store_mut(&mut caller),
        None => (&mut [], caller.data_mut()),
    };
    let Some(wasi) = &mut host.wasi else {
        return Err(wasmtime::Error::msg("the instance was replaced"));
    };
    match function(wasi, memory) {
        Ok(()) => Ok(0),
        Err(Fault::Errno(errno)) => Ok(u32::from(errno as u16)),
        Err(Fault::Exit(code)) => Err(Exit(code).into()),
        Err(Fault::Interrupted) => {
            let state = caller.data().state;
            let state = state.ok_or_else(|| wasmtime::Error::msg("interrupted too early"))?;
            state.set(&mut caller, Val::I32(UNWINDING))?;
            Ok(0)
        }
    }
}

/// Counts the bytes of memories and tables, and of the GPU, and refuses what is too much: growing
/// then fails in the guest, as it would on a machine without more memory.
#[derive(Clone, Debug)]
pub(crate) struct Limiter {
    pub(crate) limit: u64,
    pub(crate) used: u64,
    /// Buffers and textures of the GPU.
    pub(crate) gpu: u64,
    /// Whether it ends the job when the host has not the memory that the limit allows: a
    /// program that is told so would go another way than on a larger machine.
    pub(crate) must_grow: bool,
    pub(crate) observer: LimitObserver,
    /// Whether the observer was told.
    pub(crate) told: bool,
}

/// More elements than any program has; tables are captured element by element.
const MAX_TABLE_ELEMENTS: usize = 10_000_000;

/// Bytes of an element of a table.
pub(crate) const ELEMENT_BYTES: u64 = 8;

impl Limiter {
    /// What buffers and textures may have together.
    pub(crate) fn left_for_gpu(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }

    fn grow(&mut self, current: usize, desired: usize, size: u64) -> bool {
        let bytes = (desired.saturating_sub(current) as u64).saturating_mul(size);
        let wanted = self.used.saturating_add(bytes);
        let granted = wanted.saturating_add(self.gpu) <= self.limit;
        if granted {
            self.used = wanted;
        } else if !std::mem::replace(&mut self.told, true) {
            self.observer.tell(Exhausted::Memory);
        }
        granted
    }

    fn failed(&self, error: wasmtime::Error) -> wasmtime::Result<()> {
        if self.must_grow { Err(error) } else { Ok(()) }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(maximum.is_none_or(|maximum| desired <= maximum) && self.grow(current, desired, 1))
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.failed(error)
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.failed(error)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let possible = maximum.is_none_or(|maximum| desired <= maximum);
        Ok(possible && desired <= MAX_TABLE_ELEMENTS && self.grow(current, desired, ELEMENT_BYTES))
    }
}
