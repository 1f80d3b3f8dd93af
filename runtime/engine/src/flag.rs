//! The byte that tells a program to leave. It lives in a memory that no guest can name.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use wasmtime::{Extern, Memory, MemoryType, SharedMemory, Store, UpdateDeadline};
use wherry_instrument::{FLAG_LEAVE, FLAG_REWINDING};

use crate::Target;
use crate::host::Host;

/// The flag of one instance.
pub(crate) enum Flag {
    /// The program sees at once what is raised.
    Shared(SharedMemory),
    /// The interpreter has no atomic loads. The end of an epoch, which it looks for at every
    /// loop's header and function's entry, brings the request.
    Brought { memory: Memory, request: Request },
}

/// Raises the flag, from any thread.
#[derive(Clone)]
pub(crate) enum Raiser {
    Shared(SharedMemory),
    Brought(Request),
}

/// A request to leave that waits for the end of an epoch.
#[derive(Clone)]
pub(crate) struct Request {
    waiting: Arc<AtomicBool>,
    engine: wasmtime::Engine,
}

impl Flag {
    pub(crate) fn new(store: &mut Store<Host>, target: Target) -> wasmtime::Result<Self> {
        match target {
            Target::Native => {
                let memory = SharedMemory::new(store.engine(), MemoryType::shared(1, 1))?;
                Ok(Flag::Shared(memory))
            }
            Target::Interpreter => Self::brought(store),
        }
    }

    fn brought(store: &mut Store<Host>) -> wasmtime::Result<Self> {
        let memory = Memory::new(&mut *store, MemoryType::new(1, Some(1)))?;
        let request = Request {
            waiting: Arc::default(),
            engine: store.engine().clone(),
        };
        let waiting = Arc::clone(&request.waiting);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(move |mut store| {
            if waiting.load(Ordering::SeqCst) {
                memory.data_mut(&mut store)[0] |= FLAG_LEAVE;
            }
            Ok(UpdateDeadline::Continue(1))
        });
        Ok(Flag::Brought { memory, request })
    }

    /// What the program imports.
    pub(crate) fn import(&self) -> Extern {
        match self {
            Flag::Shared(memory) => memory.clone().into(),
            Flag::Brought { memory, .. } => (*memory).into(),
        }
    }

    /// Makes it say that the program is rewinding or that it is not, and nothing else. The
    /// program must not run.
    pub(crate) fn reset(&self, store: &mut Store<Host>, rewinding: bool) {
        let bits = if rewinding { FLAG_REWINDING } else { 0 };
        match self {
            Flag::Shared(memory) => byte(memory).store(bits, Ordering::SeqCst),
            Flag::Brought { memory, request } => {
                request.waiting.store(false, Ordering::SeqCst);
                memory.data_mut(store)[0] = bits;
            }
        }
    }

    pub(crate) fn raiser(&self) -> Raiser {
        match self {
            Flag::Shared(memory) => Raiser::Shared(memory.clone()),
            Flag::Brought { request, .. } => Raiser::Brought(request.clone()),
        }
    }
}

impl Raiser {
    /// Has the program leave at its next safepoint. Stays through a rewinding.
    pub(crate) fn raise(&self) {
        match self {
            Raiser::Shared(memory) => {
                byte(memory).fetch_or(FLAG_LEAVE, Ordering::SeqCst);
            }
            Raiser::Brought(request) => {
                request.waiting.store(true, Ordering::SeqCst);
                request.engine.increment_epoch();
            }
        }
    }
}

#[expect(
    unsafe_code,
    reason = "wasmtime leaves it to the embedder to access it atomically"
)]
fn byte(memory: &SharedMemory) -> &AtomicU8 {
    let byte = &memory.data()[0];
    // SAFETY: the memory has one page, lives as long as the borrow and never moves, and its
    // first byte is accessed with atomic instructions only: here, and by the instrumentation,
    // whose validator keeps guests from having shared memories.
    unsafe { AtomicU8::from_ptr(byte.get()) }
}
