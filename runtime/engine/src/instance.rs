//! An instance of an instrumented module, and the handles to what was added to it.

use std::collections::BTreeSet;
use std::io::{Seek, Write};
use std::sync::Arc;

use wasmtime::{Extern, ExternType, Func, Global, Memory, Store, Table, TypedFunc, Val};
use wherry_instrument::{FLAG_MODULE, REWINDING, RUNNING, UNWINDING, export};
use wherry_snapshot::{Frame, Phase, Writer};
use wherry_wasi::Wasi;

use crate::Form;
use crate::checkpoint::{CapturedMemory, FrozenMemory};
use crate::flag::Flag;
use crate::host::{ELEMENT_BYTES, Host, Limiter};
use crate::memory::{Linear, Memories};
use crate::module::Variant;
use crate::{Error, LimitObserver, Module, restore};

/// An instance and its store.
pub(crate) struct Instance {
    pub(crate) store: Store<Host>,
    pub(crate) variant: Arc<Variant>,
    pub(crate) flag: Flag,
    pub(crate) thread_stack: usize,
    pub(crate) handles: Handles,
    /// What is behind the program's memories, in the same order.
    pub(crate) linear: Vec<Linear>,
    /// The frames that lie in the state memory as they are to be rewound. Without any, what
    /// lies there is what the program stored when it left, which is another layout.
    pub(crate) restored: Option<Restored>,
    instance: wasmtime::Instance,
}

/// How much memory a program may have, and who wants to know when that is not enough.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryLimit {
    pub(crate) bytes: Option<u64>,
    pub(crate) observer: LimitObserver,
}

/// Frames that are ready to be rewound.
pub(crate) struct Restored {
    pub(crate) frames: Vec<Frame>,
    /// Rewinds into the outermost one.
    pub(crate) resumer: Func,
}

/// What the instrumentation exports.
pub(crate) struct Handles {
    pub(crate) state: Global,
    pub(crate) stack_pointer: Global,
    pub(crate) countdown: Global,
    pub(crate) frames: Memory,
    pub(crate) references: Table,
    pub(crate) functions: Table,
    pub(crate) resumers: Table,
    pub(crate) drop_segments: TypedFunc<(), ()>,
    pub(crate) memories: Vec<Memory>,
    pub(crate) tables: Vec<Table>,
    /// In the order of the map's list.
    pub(crate) globals: Vec<Global>,
}

impl Instance {
    /// One that can be rewound into the functions of `stack`, if its form is resumable. The limit
    /// counts what the original module has, not what was added.
    pub(crate) fn new(
        module: &Module,
        form: Form,
        stack: &BTreeSet<u32>,
        limits: &MemoryLimit,
    ) -> Result<Self, Error> {
        let variant = module.variant(form, stack)?;
        let limit = limits.bytes.unwrap_or(u64::MAX);
        let used = declared_bytes(&variant);
        if used > limit {
            return Err(Error::MemoryLimit {
                needed: used,
                limit,
            });
        }
        let half = module.engine().half(form)?;
        let unlimited = Limiter {
            limit: u64::MAX,
            used: 0,
            gpu: 0,
            must_grow: false,
            observer: LimitObserver::default(),
            told: false,
        };
        let host = Host {
            wasi: None,
            gpu: None,
            limiter: unlimited,
            memory: None,
            state: None,
        };
        let mut store = Store::new(&half.wasmtime, host);
        store.limiter(|host| &mut host.limiter);
        let flag = Flag::new(&mut store, module.engine().target()).map_err(failed)?;
        let imports = imports(&half.linker, &mut store, &variant, &flag).map_err(failed)?;
        let instance = wasmtime::Instance::new(&mut store, &variant.compiled, &imports);
        let instance = instance.map_err(failed)?;
        let handles = Handles::of(&mut store, instance, &variant).map_err(failed)?;
        let linear = linear_memories(&half.memories, &store, &handles).map_err(failed)?;
        let memory = instance.get_memory(&mut store, "memory");
        let host = store.data_mut();
        (host.memory, host.state) = (memory, Some(handles.state));
        host.limiter = Limiter {
            limit,
            used,
            gpu: 0,
            must_grow: form.deterministic,
            observer: limits.observer.clone(),
            told: false,
        };
        let thread_stack = half.thread_stack;
        Ok(Instance {
            store,
            variant,
            flag,
            thread_stack,
            handles,
            linear,
            restored: None,
            instance,
        })
    }

    /// Calls the entry point of `phase`, or goes on from restored frames, and returns how
    /// that ended.
    pub(crate) fn call(&mut self, phase: Phase) -> wasmtime::Result<()> {
        let name = match phase {
            Phase::Start => export::START,
            Phase::Main => "_start",
        };
        let entry = match self.restored.take() {
            Some(restored) => restored.resumer.typed(&self.store)?,
            None => self
                .instance
                .get_typed_func::<(), ()>(&mut self.store, name)?,
        };
        entry.call(&mut self.store, ())
    }

    /// Whether the program returned because it stored its frames.
    pub(crate) fn has_left(&mut self) -> bool {
        matches!(self.handles.state.get(&mut self.store), Val::I32(UNWINDING))
    }

    /// The memories as they were `frozen`. Those that could not be are stored now.
    pub(crate) fn memories<W: Write + Seek>(
        &self,
        frozen: Vec<Option<FrozenMemory>>,
        writer: &mut Writer<W>,
    ) -> Result<Vec<CapturedMemory>, Error> {
        let all = self.handles.memories.iter().zip(frozen);
        all.map(|(memory, frozen)| match frozen {
            Some(frozen) => Ok(CapturedMemory::Frozen(frozen)),
            None => {
                let maximum = memory.ty(&self.store).maximum();
                let stored = writer.memory(memory.data(&self.store), maximum)?;
                Ok(CapturedMemory::Stored(stored))
            }
        })
        .collect()
    }

    /// How changes of the memories are found, once they were frozen.
    pub(crate) fn tracking(&self) -> Option<String> {
        let tracking = self.linear.first()?.lock().tracking()?;
        Some(tracking.to_string())
    }

    /// Makes the next call begin afresh.
    pub(crate) fn prepare_start(&mut self) -> Result<(), Error> {
        self.flag.reset(&mut self.store, false);
        self.set(self.handles.state, Val::I32(RUNNING))
    }

    /// Makes the next call go on from the stored frames, which are `frames`.
    pub(crate) fn prepare_rewind(&mut self, frames: Vec<Frame>) -> Result<(), Error> {
        if self.restored.is_none() {
            restore::frames(self, frames)?;
        }
        self.flag.reset(&mut self.store, true);
        self.set(self.handles.state, Val::I32(REWINDING))
    }

    /// Stop at the nth safepoint from here; only if the module counts.
    pub(crate) fn set_countdown(&mut self, countdown: Option<u64>) -> Result<(), Error> {
        self.set(self.handles.countdown, Val::I64(start_of(countdown)))
    }

    /// How many safepoints were passed since this countdown was set.
    pub(crate) fn passed(&mut self, countdown: Option<u64>) -> u64 {
        let now = self.handles.countdown.get(&mut self.store);
        let now = now.i64().unwrap_or(start_of(countdown));
        start_of(countdown).wrapping_sub(now).cast_unsigned()
    }

    pub(crate) fn set(&mut self, global: Global, value: Val) -> Result<(), Error> {
        global.set(&mut self.store, value).map_err(failed)
    }

    pub(crate) fn exported_global(&mut self, name: &str) -> Result<Global, Error> {
        let global = self.instance.get_global(&mut self.store, name);
        global.ok_or_else(|| failed(missing(name)))
    }

    pub(crate) fn wasi(&mut self) -> Result<&mut Wasi, Error> {
        self.store.data_mut().wasi.as_mut().ok_or(Error::NotStopped)
    }
}

impl Handles {
    fn of(
        store: &mut Store<Host>,
        instance: wasmtime::Instance,
        variant: &Variant,
    ) -> wasmtime::Result<Self> {
        let mut exported = |name: &str| {
            instance
                .get_export(&mut *store, name)
                .ok_or_else(|| missing(name))
        };
        let global = |item: Extern| item.into_global().ok_or_else(|| missing("a global"));
        let memory = |item: Extern| item.into_memory().ok_or_else(|| missing("a memory"));
        let table = |item: Extern| item.into_table().ok_or_else(|| missing("a table"));
        let map = &variant.map;
        let handles = (
            global(exported(export::STATE)?)?,
            global(exported(export::STACK_POINTER)?)?,
            global(exported(export::COUNTDOWN)?)?,
            memory(exported(export::STATE_MEMORY)?)?,
            table(exported(export::REFERENCES)?)?,
            table(exported(export::FUNCTIONS)?)?,
            table(exported(export::RESUMERS)?)?,
        );
        let memories = (0..map.memories).map(|index| memory(exported(&export::memory(index))?));
        let memories = memories.collect::<wasmtime::Result<_>>()?;
        let tables = (0..)
            .zip(&map.tables)
            .map(|(index, _)| table(exported(&export::table(index))?));
        let tables = tables.collect::<wasmtime::Result<_>>()?;
        let globals = map
            .globals
            .iter()
            .map(|&index| global(exported(&export::global(index))?));
        let globals = globals.collect::<wasmtime::Result<_>>()?;
        let drop_segments = instance.get_typed_func(&mut *store, export::DROP_SEGMENTS)?;
        let (state, stack_pointer, countdown, frames, references, functions, resumers) = handles;
        Ok(Handles {
            state,
            stack_pointer,
            countdown,
            frames,
            references,
            functions,
            resumers,
            drop_segments,
            memories,
            tables,
            globals,
        })
    }
}

/// Where the count starts. The program leaves when it arrives at 0, and from 0 it goes to -1.
fn start_of(countdown: Option<u64>) -> i64 {
    i64::try_from(countdown.unwrap_or(0)).unwrap_or(i64::MAX)
}

fn linear_memories(
    memories: &Memories,
    store: &Store<Host>,
    handles: &Handles,
) -> wasmtime::Result<Vec<Linear>> {
    let linear = |memory: &Memory| {
        memories
            .of(store, *memory)
            .ok_or_else(|| missing("a memory"))
    };
    handles.memories.iter().map(linear).collect()
}

/// Bytes of the original module's memories and tables when it starts.
fn declared_bytes(variant: &Variant) -> u64 {
    let bytes = |name: String, unit: u64| match variant.compiled.get_export(&name) {
        Some(ExternType::Memory(memory)) => memory.minimum().saturating_mul(unit),
        Some(ExternType::Table(table)) => table.minimum().saturating_mul(unit),
        _ => 0,
    };
    let map = &variant.map;
    let memories = (0..map.memories).map(|index| bytes(export::memory(index), 1 << 16));
    let tables = (0..)
        .zip(&map.tables)
        .map(|(index, _)| bytes(export::table(index), ELEMENT_BYTES));
    memories.chain(tables).fold(0, u64::saturating_add)
}

fn imports(
    linker: &wasmtime::Linker<Host>,
    store: &mut Store<Host>,
    variant: &Variant,
    flag: &Flag,
) -> wasmtime::Result<Vec<Extern>> {
    let mut imports = Vec::new();
    for import in variant.compiled.imports() {
        imports.push(match import.module() {
            FLAG_MODULE => flag.import(),
            _ => linker
                .get_by_import(&mut *store, &import)
                .ok_or_else(|| missing(import.name()))?,
        });
    }
    Ok(imports)
}

/// Identifies a function within a store.
pub(crate) fn identity(store: &mut Store<Host>, function: Func) -> usize {
    function.to_raw(store).addr()
}

fn missing(name: &str) -> wasmtime::Error {
    wasmtime::Error::msg(format!("`{name}` is missing"))
}

pub(crate) fn failed(error: wasmtime::Error) -> Error {
    Error::Instantiate {
        action: "instantiated",
        reason: format!("{error:#}"),
    }
}
