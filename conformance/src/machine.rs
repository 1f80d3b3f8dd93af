//! An instance of a module: started, stopped at a safepoint, gone on with.

use std::{
    collections::{BTreeSet, HashMap},
    hash::{Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use wasmtime::{
    Extern, Func, Global, Instance, Linker, Memory, MemoryType, Ref, Result, SharedMemory, Store,
    Table, Val, ValType, bail, format_err,
};
use wherry_instrument::{
    FLAG_MODULE, FLAG_NAME, FLAG_REWINDING, REWINDING, RUNNING, STACK_BASE, UNWINDING, export,
};
use wherry_snapshot::{Frame, FunctionRef};

use crate::{Form, State, checkpoint};

/// An instance, in whatever store it was made.
pub struct Guest {
    pub(crate) form: Arc<Form>,
    /// The instance itself.
    pub instance: Instance,
    flag: Flag,
    resumer: Option<Func>,
}

/// The memory of the flag. The interpreter has no atomic instructions.
enum Flag {
    Shared(SharedMemory),
    Unshared(Memory),
}

/// An instance with a store of its own.
pub struct Machine {
    store: Store<()>,
    guest: Guest,
}

impl Machine {
    /// Instantiates a form of a module that imports nothing.
    ///
    /// # Errors
    /// If the module cannot be instantiated.
    pub fn new(form: &Arc<Form>) -> Result<Self> {
        let engine = form.module.engine();
        let mut store = Store::new(engine, ());
        let guest = Guest::new(&mut store, &Linker::new(engine), form)?;
        Ok(Self { store, guest })
    }

    /// Goes on, in a new store, where a checkpoint was made.
    ///
    /// # Errors
    /// If the checkpoint is refused.
    pub fn resume(form: &Arc<Form>, checkpoint: &[u8]) -> Result<Self> {
        let mut machine = Self::new(form)?;
        machine.guest.restore(&mut machine.store, checkpoint)?;
        Ok(machine)
    }

    /// See [`Guest::start`].
    ///
    /// # Errors
    /// If it traps.
    pub fn start(&mut self) -> Result<()> {
        self.guest.start(&mut self.store)?;
        self.count_down(0)
    }

    /// See [`Guest::call`].
    ///
    /// # Errors
    /// If it traps.
    pub fn call(&mut self, name: &str, args: &[Val], results: &mut [Val]) -> Result<()> {
        self.guest.call(&mut self.store, name, args, results)
    }

    /// See [`Guest::count_down`].
    ///
    /// # Errors
    /// If the module does not count.
    pub fn count_down(&mut self, safepoints: i64) -> Result<()> {
        self.guest.count_down(&mut self.store, safepoints)
    }

    /// What is left of the countdown: below zero, the safepoints passed since it ended.
    ///
    /// # Errors
    /// If the module does not count.
    pub fn countdown(&mut self) -> Result<i64> {
        let countdown = self.guest.global(&mut self.store, export::COUNTDOWN)?;
        let left = countdown.get(&mut self.store).i64();
        left.ok_or_else(|| format_err!("not an i64"))
    }

    /// Whether the last call left at a safepoint.
    ///
    /// # Errors
    /// If the module is not instrumented.
    pub fn left(&mut self) -> Result<bool> {
        self.guest.left(&mut self.store)
    }

    /// The functions that have a frame on the stack of a machine that left.
    ///
    /// # Errors
    /// If the frames are damaged.
    pub fn stack(&mut self) -> Result<BTreeSet<u32>> {
        let frames = self.guest.frames(&mut self.store)?;
        Ok(frames.iter().map(|frame| frame.function).collect())
    }

    /// The bytes of a checkpoint of a machine that left.
    ///
    /// # Errors
    /// If anything of it cannot be captured.
    pub fn checkpoint(&mut self) -> Result<Vec<u8>> {
        self.guest.checkpoint(&mut self.store)
    }

    /// What an export holds, as far as originals and instrumented forms can be compared.
    ///
    /// # Errors
    /// If there is no such export.
    pub fn shown(&mut self, name: &str) -> Result<String> {
        let export = self.guest.instance.get_export(&mut self.store, name);
        Ok(
            match export.ok_or_else(|| format_err!("no export {name:?}"))? {
                Extern::Memory(memory) => {
                    // A million bytes as text would be the dearest part of a trial.
                    let mut hasher = std::hash::DefaultHasher::new();
                    memory.data(&self.store).hash(&mut hasher);
                    format!("{:x}", hasher.finish())
                }
                Extern::Global(global) => show(&[global.get(&mut self.store)]),
                Extern::Table(table) => {
                    let elements = (0..table.size(&self.store)).map(|place| {
                        let element = table.get(&mut self.store, place);
                        element.map(|element| element.is_null())
                    });
                    format!("{:?}", elements.collect::<Vec<_>>())
                }
                _ => String::new(),
            },
        )
    }

    /// What the program has left behind so far.
    ///
    /// # Errors
    /// If the module lacks an export of the contract.
    pub fn state(&mut self) -> Result<State> {
        checkpoint::state(&self.guest, &mut self.store)
    }
}

impl Guest {
    /// Instantiates a module with what `linker` has for it, and a flag of its own.
    ///
    /// # Errors
    /// If the module cannot be instantiated.
    pub fn new(store: &mut Store<()>, linker: &Linker<()>, form: &Arc<Form>) -> Result<Self> {
        let flag = Flag::new(store)?;
        let mut linker = linker.clone();
        linker.allow_shadowing(true);
        linker.define(&mut *store, FLAG_MODULE, FLAG_NAME, flag.import())?;
        Ok(Self {
            form: Arc::clone(form),
            instance: linker.instantiate(store, &form.module)?,
            flag,
            resumer: None,
        })
    }

    /// Runs the start section's function, which instrumentation turned into an export.
    ///
    /// # Errors
    /// If it traps.
    pub fn start(&mut self, store: &mut Store<()>) -> Result<()> {
        if self.form.map.has_start {
            self.call(store, export::START, &[], &mut [])?;
        }
        Ok(())
    }

    /// Calls an export; a guest with restored frames goes on with these instead.
    ///
    /// # Errors
    /// If it traps.
    pub fn call(
        &mut self,
        store: &mut Store<()>,
        name: &str,
        args: &[Val],
        results: &mut [Val],
    ) -> Result<()> {
        match self.resumer.take() {
            Some(resumer) => resumer.call(store, &[], results),
            None => {
                let function = self.instance.get_func(&mut *store, name);
                let function = function.ok_or_else(|| format_err!("no function {name:?}"))?;
                function.call(store, args, results)
            }
        }
    }

    /// Leaves at the `safepoints`th safepoint from here; 0 for never.
    ///
    /// # Errors
    /// If the module does not count.
    pub fn count_down(&self, store: &mut Store<()>, safepoints: i64) -> Result<()> {
        self.global(store, export::COUNTDOWN)?
            .set(store, Val::I64(safepoints))
    }

    /// Whether the last call left at a safepoint.
    ///
    /// # Errors
    /// If the module is not instrumented.
    pub fn left(&self, store: &mut Store<()>) -> Result<bool> {
        let state = self.global(store, export::STATE)?;
        Ok(state.get(store).i32() == Some(UNWINDING))
    }

    /// The frames of a guest that left, outermost first.
    ///
    /// # Errors
    /// If they are damaged.
    pub fn frames(&self, store: &mut Store<()>) -> Result<Vec<Frame>> {
        let names = self.function_names(store)?;
        let end = self.global(store, export::STACK_POINTER)?.get(&mut *store);
        let end = usize::try_from(end.unwrap_i32())?;
        let references = self.elements(store, export::REFERENCES, &names)?;
        let memory = self.memory(store, export::STATE_MEMORY)?;
        let stored = &memory.data(&*store)[..end];
        Ok(self.form.map.read_frames(stored, &references)?)
    }

    /// Makes the next call go on from these frames.
    ///
    /// # Errors
    /// If they do not fit the module, or it cannot rewind.
    pub fn rewind(&mut self, store: &mut Store<()>, frames: &[Frame]) -> Result<()> {
        let (stored, references) = self.form.map.write_frames(frames)?;
        let functions = self.functions(store)?;
        let table = self.table(store, export::REFERENCES)?;
        for (place, reference) in (0..).zip(references) {
            let function = Ref::Func(reference.map(|name| functions[&name]));
            // It is longer than empty if the guest left before.
            if place < table.size(&*store) {
                table.set(&mut *store, place, function)?;
            } else {
                table.grow(&mut *store, 1, function)?;
            }
        }
        self.memory(store, export::STATE_MEMORY)?
            .write(&mut *store, 0, &stored)?;
        let end = Val::I32(i32::try_from(stored.len())?);
        self.global(store, export::STACK_POINTER)?
            .set(&mut *store, end)?;
        self.global(store, export::STATE)?
            .set(&mut *store, Val::I32(REWINDING))?;
        self.resumer = Some(self.outermost_resumer(store, frames)?);
        self.flag.set(store, FLAG_REWINDING);
        Ok(())
    }

    /// Takes back what a call that trapped while it rewound may have left behind.
    ///
    /// # Errors
    /// If the module is not instrumented.
    pub fn calm(&self, store: &mut Store<()>) -> Result<()> {
        self.flag.set(store, 0);
        self.count_down(store, 0)?;
        let base = Val::I32(STACK_BASE.cast_signed());
        self.global(store, export::STACK_POINTER)?
            .set(&mut *store, base)?;
        self.global(store, export::STATE)?
            .set(store, Val::I32(RUNNING))
    }

    fn outermost_resumer(&self, store: &mut Store<()>, frames: &[Frame]) -> Result<Func> {
        let outermost = frames.first();
        let place = outermost.and_then(|frame| self.form.map.resumer(frame.function));
        let place = place.ok_or_else(|| format_err!("the outermost frame has no resumer"))?;
        let resumer = self
            .table(store, export::RESUMERS)?
            .get(store, place.into());
        let resumer = resumer.and_then(|element| element.as_func().flatten().copied());
        resumer.ok_or_else(|| format_err!("the form cannot rewind"))
    }

    /// Functions that a reference can name, by their original indices.
    pub(crate) fn functions(&self, store: &mut Store<()>) -> Result<HashMap<u32, Func>> {
        let table = self.table(store, export::FUNCTIONS)?;
        let mut functions = HashMap::new();
        for (place, &name) in (0..).zip(&self.form.map.referenced_functions) {
            let element = table.get(&mut *store, place);
            match element.and_then(|element| element.as_func().flatten().copied()) {
                Some(function) => functions.insert(name, function),
                None => bail!("function {name} is not in the table of functions"),
            };
        }
        Ok(functions)
    }

    /// The inverse of [`Guest::functions`], by identity.
    pub(crate) fn function_names(&self, store: &mut Store<()>) -> Result<HashMap<usize, u32>> {
        let functions = self.functions(store)?;
        let named = functions.into_iter();
        Ok(named
            .map(|(name, function)| (function.to_raw(&mut *store) as usize, name))
            .collect())
    }

    pub(crate) fn elements(
        &self,
        store: &mut Store<()>,
        table: &str,
        names: &HashMap<usize, u32>,
    ) -> Result<Vec<FunctionRef>> {
        let table = self.table(store, table)?;
        let mut elements = Vec::new();
        for place in 0..table.size(&*store) {
            elements.push(match table.get(&mut *store, place) {
                Some(Ref::Func(function)) => name_of(store, function, names)?,
                Some(element) if element.is_null() => None,
                _ => bail!("a table holds a reference of the host"),
            });
        }
        Ok(elements)
    }

    pub(crate) fn global(&self, store: &mut Store<()>, name: &str) -> Result<Global> {
        let global = self.instance.get_global(store, name);
        global.ok_or_else(|| format_err!("no global {name}"))
    }

    pub(crate) fn memory(&self, store: &mut Store<()>, name: &str) -> Result<Memory> {
        let memory = self.instance.get_memory(store, name);
        memory.ok_or_else(|| format_err!("no memory {name}"))
    }

    pub(crate) fn table(&self, store: &mut Store<()>, name: &str) -> Result<Table> {
        let table = self.instance.get_table(store, name);
        table.ok_or_else(|| format_err!("no table {name}"))
    }
}

impl Flag {
    fn new(store: &mut Store<()>) -> Result<Self> {
        Ok(if store.engine().is_pulley() {
            Self::Unshared(Memory::new(store, MemoryType::new(1, Some(1)))?)
        } else {
            let ty = MemoryType::shared(1, 1);
            Self::Shared(SharedMemory::new(store.engine(), ty)?)
        })
    }

    fn import(&self) -> Extern {
        match self {
            Self::Shared(memory) => memory.clone().into(),
            Self::Unshared(memory) => (*memory).into(),
        }
    }

    fn set(&self, store: &mut Store<()>, bits: u8) {
        match self {
            Self::Shared(memory) => byte(memory).store(bits, Ordering::SeqCst),
            Self::Unshared(memory) => memory.data_mut(store)[0] = bits,
        }
    }
}

fn byte(memory: &SharedMemory) -> &AtomicU8 {
    let byte = memory.data().as_ptr().cast_mut().cast::<u8>();
    #[expect(unsafe_code, reason = "wasmtime has no safe store to a shared memory")]
    // SAFETY: the memory has a page, lives as long as the borrow, and is accessed only
    // atomically: here, and by the instrumented module.
    unsafe {
        AtomicU8::from_ptr(byte)
    }
}

/// The original index of a function that a reference names.
pub(crate) fn name_of(
    store: &mut Store<()>,
    function: Option<Func>,
    names: &HashMap<usize, u32>,
) -> Result<FunctionRef> {
    let Some(function) = function else {
        return Ok(None);
    };
    let name = names.get(&(function.to_raw(store) as usize));
    name.copied()
        .map(Some)
        .ok_or_else(|| format_err!("a reference to an unknown function"))
}

/// Results to be overwritten by a call.
pub(crate) fn blank(types: impl Iterator<Item = ValType>) -> Vec<Val> {
    types
        .map(|ty| Val::default_for_ty(&ty).unwrap_or(Val::I32(0)))
        .collect()
}

/// Values as text: references by whether they are null.
pub(crate) fn show(values: &[Val]) -> String {
    let shown = values.iter().map(|value| match value {
        Val::FuncRef(reference) => format!("funcref {}", reference.is_some()),
        Val::ExternRef(reference) => format!("externref {}", reference.is_some()),
        value => format!("{value:?}"),
    });
    shown.collect::<Vec<_>>().join(", ")
}
