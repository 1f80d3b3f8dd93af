//! A module with its store: started, stopped at a safepoint, and moved into another.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU8, Ordering},
};

use wasmtime::{
    Config, Engine, Func, Global, Instance, Linker, Memory, MemoryType, Module, Ref, Result,
    SharedMemory, Store, Table, Val, ValType, bail, format_err,
};
use wherry_instrument::{
    FLAG_MODULE, FLAG_NAME, FLAG_REWINDING, Map, REWINDING, UNWINDING, export,
};
use wherry_snapshot::{Frame, FunctionRef};

/// An engine that runs original and instrumented modules alike.
///
/// # Errors
/// If wasmtime does not support this host.
pub fn engine() -> Result<Engine> {
    let mut config = Config::new();
    config
        .wasm_branch_hinting(true)
        .wasm_multi_memory(true)
        .wasm_relaxed_simd(true)
        .wasm_tail_call(true)
        .wasm_threads(true)
        .wasm_wide_arithmetic(true)
        .wasm_memory64(true)
        .wasm_function_references(true)
        .wasm_exceptions(true)
        .wasm_gc(true)
        .shared_memory(true)
        .max_wasm_stack(2 << 20);
    Engine::new(&config)
}

/// An instance and its store.
pub struct Machine<'m> {
    store: Store<()>,
    instance: Instance,
    flag: SharedMemory,
    map: &'m Map,
    resumer: Option<Func>,
}

/// Everything that a program can leave behind.
#[derive(Debug, PartialEq)]
pub struct State {
    /// Contents of the memories.
    pub memories: Vec<Vec<u8>>,
    /// Mutable globals.
    pub globals: Vec<String>,
    /// Tables, as function indices.
    pub tables: Vec<Vec<FunctionRef>>,
}

impl<'m> Machine<'m> {
    /// Instantiates an original or an instrumented module; `map` belongs to the latter.
    ///
    /// # Errors
    /// If the module cannot be instantiated.
    pub fn new(module: &Module, map: &'m Map) -> Result<Self> {
        let engine = module.engine();
        let mut store = Store::new(engine, ());
        let flag = SharedMemory::new(engine, MemoryType::shared(1, 1))?;
        let mut linker = Linker::new(engine);
        linker.define(&store, FLAG_MODULE, FLAG_NAME, flag.clone())?;
        let instance = linker.instantiate(&mut store, module)?;
        Ok(Self {
            store,
            instance,
            flag,
            map,
            resumer: None,
        })
    }

    /// Runs the start section's function, which instrumentation turned into an export.
    ///
    /// # Errors
    /// If it traps.
    pub fn start(&mut self) -> Result<()> {
        if self.map.has_start {
            self.call(export::START, &[], &mut [])?;
            self.count_down(0)?;
        }
        Ok(())
    }

    /// Calls an export; a machine that took over from another goes on instead.
    ///
    /// # Errors
    /// If it traps.
    pub fn call(&mut self, name: &str, args: &[Val], results: &mut [Val]) -> Result<()> {
        match self.resumer.take() {
            Some(resumer) => resumer.call(&mut self.store, &[], results),
            None => {
                let function = self.instance.get_func(&mut self.store, name);
                let function = function.ok_or_else(|| format_err!("no function {name:?}"))?;
                function.call(&mut self.store, args, results)
            }
        }
    }

    /// Leaves at the `safepoints`th safepoint from here; 0 for never.
    ///
    /// # Errors
    /// If the module does not count.
    pub fn count_down(&mut self, safepoints: i64) -> Result<()> {
        self.global(export::COUNTDOWN)?
            .set(&mut self.store, Val::I64(safepoints))
    }

    /// What is left of the countdown: below zero, the safepoints passed since it ended.
    ///
    /// # Errors
    /// If the module does not count.
    pub fn countdown(&mut self) -> Result<i64> {
        let countdown = self.global(export::COUNTDOWN)?;
        countdown
            .get(&mut self.store)
            .i64()
            .ok_or_else(|| format_err!("not an i64"))
    }

    /// Whether the last call left at a safepoint.
    ///
    /// # Errors
    /// If the module is not instrumented.
    pub fn left(&mut self) -> Result<bool> {
        let state = self.global(export::STATE)?;
        Ok(state.get(&mut self.store).i32() == Some(UNWINDING))
    }

    /// The frames of a machine that left, outermost first.
    ///
    /// # Errors
    /// If they are damaged.
    pub fn frames(&mut self) -> Result<Vec<Frame>> {
        let names = self.function_names()?;
        let end = self.global(export::STACK_POINTER)?.get(&mut self.store);
        let end = usize::try_from(end.unwrap_i32())?;
        let memory = self.memory(export::STATE_MEMORY)?;
        let stored = memory.data(&self.store)[..end].to_vec();
        let references = self.elements(export::REFERENCES, &names)?;
        Ok(self.map.read_frames(&stored, &references)?)
    }

    /// Moves a machine that left into a fresh instance of a resumable module.
    ///
    /// # Errors
    /// If anything of it cannot be moved.
    pub fn move_to<'n>(&mut self, module: &Module, map: &'n Map) -> Result<Machine<'n>> {
        let frames = self.frames()?;
        let mut target = Machine::new(module, map)?;
        let functions = target.functions()?;
        self.copy_memories(&mut target)?;
        self.copy_globals(&mut target, &functions)?;
        self.copy_tables(&mut target, &functions)?;
        self.copy_dropped_segments(&mut target)?;
        target.prepare_to_rewind(&frames, &functions)?;
        Ok(target)
    }

    /// What the program has left behind so far.
    ///
    /// # Errors
    /// If the module lacks an export of the contract.
    pub fn state(&mut self) -> Result<State> {
        let names = self.function_names()?;
        let map = self.map;
        let memories = (0..map.memories).map(|memory| {
            let memory = self.memory(&export::memory(memory))?;
            Ok(memory.data(&self.store).to_vec())
        });
        let memories = memories.collect::<Result<_>>()?;
        let mut globals = Vec::new();
        for &global in &map.globals {
            globals.push(
                match self.global(&export::global(global))?.get(&mut self.store) {
                    Val::FuncRef(function) => format!("{:?}", self.name_of(function, &names)?),
                    Val::ExternRef(reference) => format!("extern {}", reference.is_some()),
                    value => format!("{value:?}"),
                },
            );
        }
        let tables = (0..map.tables.len())
            .map(|table| self.elements(&export::table(u32::try_from(table)?), &names));
        let tables = tables.collect::<Result<_>>()?;
        Ok(State {
            memories,
            globals,
            tables,
        })
    }

    fn copy_memories(&mut self, target: &mut Machine<'_>) -> Result<()> {
        for memory in 0..self.map.memories {
            let name = export::memory(memory);
            let (from, to) = (self.memory(&name)?, target.memory(&name)?);
            let more = from.size(&self.store) - to.size(&target.store);
            to.grow(&mut target.store, more)?;
            to.data_mut(&mut target.store)
                .copy_from_slice(from.data(&self.store));
        }
        Ok(())
    }

    fn copy_globals(
        &mut self,
        target: &mut Machine<'_>,
        functions: &HashMap<u32, Func>,
    ) -> Result<()> {
        let names = self.function_names()?;
        for &global in &self.map.globals {
            let name = export::global(global);
            let value = match self.global(&name)?.get(&mut self.store) {
                Val::FuncRef(function) => {
                    Val::FuncRef(self.name_of(function, &names)?.map(|name| functions[&name]))
                }
                Val::ExternRef(_) => continue,
                value => value,
            };
            target.global(&name)?.set(&mut target.store, value)?;
        }
        Ok(())
    }

    fn copy_tables(
        &mut self,
        target: &mut Machine<'_>,
        functions: &HashMap<u32, Func>,
    ) -> Result<()> {
        let names = self.function_names()?;
        for (table, &holds_functions) in (0..).zip(&self.map.tables) {
            let name = export::table(table);
            let to = target.table(&name)?;
            let elements = self.elements(&name, &names)?;
            let declared = to.size(&target.store);
            let more = elements.len() as u64 - declared;
            if more > 0 {
                // The type of the table may exclude null.
                let first = elements[usize::try_from(declared)?];
                let added = if holds_functions {
                    Ref::Func(first.map(|name| functions[&name]))
                } else {
                    Ref::Extern(None)
                };
                to.grow(&mut target.store, more, added)?;
            }
            if holds_functions {
                for (place, element) in (0..).zip(elements) {
                    let function = element.map(|name| functions[&name]);
                    to.set(&mut target.store, place, Ref::Func(function))?;
                }
            }
        }
        Ok(())
    }

    fn copy_dropped_segments(&mut self, target: &mut Machine<'_>) -> Result<()> {
        for flag in self
            .map
            .data_segments
            .iter()
            .chain(&self.map.element_segments)
        {
            let dropped = self.global(&flag.global)?.get(&mut self.store);
            target
                .global(&flag.global)?
                .set(&mut target.store, dropped)?;
        }
        target.call(export::DROP_SEGMENTS, &[], &mut [])
    }

    fn prepare_to_rewind(
        &mut self,
        frames: &[Frame],
        functions: &HashMap<u32, Func>,
    ) -> Result<()> {
        let (stored, references) = self.map.write_frames(frames)?;
        let table = self.table(export::REFERENCES)?;
        for reference in references {
            let function = reference.map(|name| functions[&name]);
            table.grow(&mut self.store, 1, Ref::Func(function))?;
        }
        self.memory(export::STATE_MEMORY)?
            .write(&mut self.store, 0, &stored)?;
        let end = Val::I32(i32::try_from(stored.len())?);
        self.global(export::STACK_POINTER)?
            .set(&mut self.store, end)?;
        self.global(export::STATE)?
            .set(&mut self.store, Val::I32(REWINDING))?;
        let outermost = frames
            .first()
            .and_then(|frame| self.map.resumer(frame.function));
        let place = outermost.ok_or_else(|| format_err!("the outermost frame has no resumer"))?;
        let resumer = self
            .table(export::RESUMERS)?
            .get(&mut self.store, place.into());
        self.resumer = resumer.and_then(|element| element.as_func().flatten().copied());
        self.raise(FLAG_REWINDING);
        Ok(())
    }

    fn raise(&self, bits: u8) {
        let flag = self.flag.data().as_ptr().cast_mut().cast::<u8>();
        #[expect(unsafe_code, reason = "wasmtime has no safe store to a shared memory")]
        // SAFETY: the memory has a page, lives as long as `self.flag`, and is accessed only
        // atomically: here, and by the instrumented module.
        let flag = unsafe { AtomicU8::from_ptr(flag) };
        flag.fetch_or(bits, Ordering::SeqCst);
    }

    /// Functions that a reference can name, by their original indices.
    fn functions(&mut self) -> Result<HashMap<u32, Func>> {
        let table = self.table(export::FUNCTIONS)?;
        let mut functions = HashMap::new();
        for (place, &name) in (0..).zip(&self.map.referenced_functions) {
            let element = table.get(&mut self.store, place);
            match element.and_then(|element| element.as_func().flatten().copied()) {
                Some(function) => functions.insert(name, function),
                None => bail!("function {name} is not in the table of functions"),
            };
        }
        Ok(functions)
    }

    /// The inverse of [`Machine::functions`], by identity.
    fn function_names(&mut self) -> Result<HashMap<usize, u32>> {
        let functions = self.functions()?;
        let named = functions.into_iter();
        Ok(named
            .map(|(name, function)| (function.to_raw(&mut self.store) as usize, name))
            .collect())
    }

    fn name_of(
        &mut self,
        function: Option<Func>,
        names: &HashMap<usize, u32>,
    ) -> Result<FunctionRef> {
        let Some(function) = function else {
            return Ok(None);
        };
        let name = names.get(&(function.to_raw(&mut self.store) as usize));
        name.copied()
            .map(Some)
            .ok_or_else(|| format_err!("a reference to an unknown function"))
    }

    fn elements(&mut self, table: &str, names: &HashMap<usize, u32>) -> Result<Vec<FunctionRef>> {
        let table = self.table(table)?;
        let size = table.size(&self.store);
        let elements = (0..size).map(|place| match table.get(&mut self.store, place) {
            Some(Ref::Func(function)) => self.name_of(function, names),
            _ => Ok(None),
        });
        elements.collect()
    }

    fn global(&mut self, name: &str) -> Result<Global> {
        let global = self.instance.get_global(&mut self.store, name);
        global.ok_or_else(|| format_err!("no global {name}"))
    }

    fn memory(&mut self, name: &str) -> Result<Memory> {
        let memory = self.instance.get_memory(&mut self.store, name);
        memory.ok_or_else(|| format_err!("no memory {name}"))
    }

    fn table(&mut self, name: &str) -> Result<Table> {
        let table = self.instance.get_table(&mut self.store, name);
        table.ok_or_else(|| format_err!("no table {name}"))
    }
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
