//! A guest's state through the real format: to the bytes of a checkpoint, and back.

use std::{collections::HashMap, io::Cursor};

use wasmtime::{Func, Ref, Result, Store, Val, ensure};
use wherry_instrument::{SegmentFlag, VERSION, export};
use wherry_snapshot::{
    Accounting, Contents, Execution, Frame, Global, Lineage, Phase, Reader, Settings, Table, Value,
    Workload, Writer,
};

use crate::{Guest, machine::name_of};

/// Everything that a program can leave behind.
#[derive(Debug, PartialEq)]
pub struct State {
    /// Mutable globals, tables and dropped segments; no frames.
    pub execution: Execution,
    /// Contents of the memories.
    pub memories: Vec<Vec<u8>>,
}

/// What a guest has left behind so far.
pub(crate) fn state(guest: &Guest, store: &mut Store<()>) -> Result<State> {
    let mut memories = Vec::new();
    for memory in 0..guest.form.map.memories {
        let memory = guest.memory(store, &export::memory(memory))?;
        memories.push(memory.data(&*store).to_vec());
    }
    Ok(State {
        execution: execution(guest, store, Vec::new())?,
        memories,
    })
}

impl Guest {
    /// The bytes of a checkpoint of a guest that left.
    ///
    /// # Errors
    /// If anything of it cannot be captured.
    pub fn checkpoint(&self, store: &mut Store<()>) -> Result<Vec<u8>> {
        let mut file = Cursor::new(Vec::new());
        let mut writer = Writer::new(&mut file)?;
        let mut memories = Vec::new();
        for memory in 0..self.form.map.memories {
            let memory = self.memory(store, &export::memory(memory))?;
            let maximum = memory.ty(&*store).maximum();
            memories.push(writer.memory(memory.data(&*store), maximum)?);
        }
        let frames = self.frames(store)?;
        writer.finish(&Contents {
            workload: Workload {
                module: [0; 32],
                manifest: None,
                instrumentation: VERSION,
            },
            execution: execution(self, store, frames)?,
            memories,
            wasi: Vec::new(),
            settings: Settings::default(),
            accounting: Accounting::default(),
            lineage: Lineage::default(),
            profile: None,
            usage: None,
            gpu: None,
        })?;
        Ok(file.into_inner())
    }

    /// Makes a guest that has not run go on where a checkpoint was made.
    ///
    /// # Errors
    /// If the checkpoint is refused, or does not fit the guest.
    pub fn restore(&mut self, store: &mut Store<()>, checkpoint: &[u8]) -> Result<()> {
        let reader = Reader::open(Cursor::new(checkpoint))?;
        let execution = &reader.contents().execution;
        let functions = self.functions(store)?;
        self.restore_memories(store, &reader)?;
        self.restore_globals(store, &execution.globals, &functions)?;
        self.restore_tables(store, &execution.tables, &functions)?;
        self.drop_segments(store, execution)?;
        self.rewind(store, &execution.frames)
    }

    fn restore_memories(
        &self,
        store: &mut Store<()>,
        reader: &Reader<Cursor<&[u8]>>,
    ) -> Result<()> {
        let memories = &reader.contents().memories;
        ensure!(
            memories.len() == self.form.map.memories as usize,
            "another number of memories"
        );
        for (index, saved) in (0..).zip(memories) {
            let memory = self.memory(store, &export::memory(index))?;
            ensure!(
                memory.ty(&*store).maximum() == saved.maximum,
                "another maximum"
            );
            let more = saved.pages - memory.size(&*store);
            memory.grow(&mut *store, more)?;
            let content = memory.data_mut(&mut *store);
            content.fill(0);
            reader.restore_memory(saved, content)?;
        }
        Ok(())
    }

    fn restore_globals(
        &self,
        store: &mut Store<()>,
        globals: &[Global],
        functions: &HashMap<u32, Func>,
    ) -> Result<()> {
        let indices = globals.iter().map(|global| global.index);
        ensure!(
            indices.eq(self.form.map.globals.iter().copied()),
            "other mutable globals"
        );
        for global in globals {
            let value = match global.value {
                Value::I32(bits) => Val::I32(bits.cast_signed()),
                Value::I64(bits) => Val::I64(bits.cast_signed()),
                Value::F32(bits) => Val::F32(bits),
                Value::F64(bits) => Val::F64(bits),
                Value::V128(bits) => Val::V128(bits.into()),
                Value::FuncRef(name) => Val::FuncRef(name.map(|name| functions[&name])),
                Value::NullExtern => Val::ExternRef(None),
            };
            self.global(store, &export::global(global.index))?
                .set(&mut *store, value)?;
        }
        Ok(())
    }

    fn restore_tables(
        &self,
        store: &mut Store<()>,
        tables: &[Table],
        functions: &HashMap<u32, Func>,
    ) -> Result<()> {
        let kinds = &self.form.map.tables;
        ensure!(tables.len() == kinds.len(), "another number of tables");
        for ((index, saved), &holds_functions) in (0..).zip(tables).zip(kinds) {
            let table = self.table(store, &export::table(index))?;
            let declared = table.size(&*store);
            if let Some(&first) = saved.elements.get(usize::try_from(declared)?) {
                // The type of the table may exclude null.
                let added = if holds_functions {
                    Ref::Func(first.map(|name| functions[&name]))
                } else {
                    Ref::Extern(None)
                };
                table.grow(&mut *store, saved.elements.len() as u64 - declared, added)?;
            }
            if holds_functions {
                for (place, element) in (0..).zip(&saved.elements) {
                    let function = element.map(|name| functions[&name]);
                    table.set(&mut *store, place, Ref::Func(function))?;
                }
            }
        }
        Ok(())
    }

    fn drop_segments(&self, store: &mut Store<()>, execution: &Execution) -> Result<()> {
        let map = &self.form.map;
        for (flags, dropped) in [
            (&map.data_segments, &execution.dropped_data),
            (&map.element_segments, &execution.dropped_elements),
        ] {
            for flag in flags.iter().filter(|flag| dropped.contains(&flag.segment)) {
                self.global(store, &flag.global)?
                    .set(&mut *store, Val::I32(1))?;
            }
        }
        let drop_segments = self.instance.get_func(&mut *store, export::DROP_SEGMENTS);
        match drop_segments {
            Some(function) => function.call(store, &[], &mut []),
            None => Ok(()),
        }
    }
}

fn execution(guest: &Guest, store: &mut Store<()>, frames: Vec<Frame>) -> Result<Execution> {
    let map = &guest.form.map;
    let names = guest.function_names(store)?;
    let mut globals = Vec::new();
    for &index in &map.globals {
        let value = guest
            .global(store, &export::global(index))?
            .get(&mut *store);
        let value = value_of(store, value, &names)?;
        globals.push(Global { index, value });
    }
    let mut tables = Vec::new();
    for (index, _) in (0..).zip(&map.tables) {
        let elements = guest.elements(store, &export::table(index), &names)?;
        tables.push(Table { elements });
    }
    Ok(Execution {
        phase: Phase::Main,
        frames,
        globals,
        tables,
        dropped_data: dropped(guest, store, &map.data_segments)?,
        dropped_elements: dropped(guest, store, &map.element_segments)?,
    })
}

fn value_of(store: &mut Store<()>, value: Val, names: &HashMap<usize, u32>) -> Result<Value> {
    Ok(match value {
        Val::I32(bits) => Value::I32(bits.cast_unsigned()),
        Val::I64(bits) => Value::I64(bits.cast_unsigned()),
        Val::F32(bits) => Value::F32(bits),
        Val::F64(bits) => Value::F64(bits),
        Val::V128(bits) => Value::V128(bits.as_u128()),
        Val::FuncRef(function) => Value::FuncRef(name_of(store, function, names)?),
        Val::ExternRef(None) => Value::NullExtern,
        value => wasmtime::bail!("a global holds {value:?}"),
    })
}

fn dropped(guest: &Guest, store: &mut Store<()>, flags: &[SegmentFlag]) -> Result<Vec<u32>> {
    let mut dropped = Vec::new();
    for flag in flags {
        if guest.global(store, &flag.global)?.get(&mut *store).i32() == Some(1) {
            dropped.push(flag.segment);
        }
    }
    Ok(dropped)
}
