//! Reading the state of a stopped program.

use std::collections::HashMap;

use wasmtime::{Ref, Val};
use wherry_snapshot::{Execution, Frame, FunctionRef, Global, Phase, Table, Value};

use crate::Error;
use crate::instance::{Instance, failed, identity};

/// Everything but the memories.
pub(crate) fn execution(instance: &mut Instance, phase: Phase) -> Result<Execution, Error> {
    let frames = frames(instance)?;
    let functions = Functions::of(instance)?;
    Ok(Execution {
        phase,
        frames,
        globals: globals(instance, &functions)?,
        tables: tables(instance, &functions)?,
        dropped_data: dropped(instance, |map| &map.data_segments)?,
        dropped_elements: dropped(instance, |map| &map.element_segments)?,
    })
}

/// The frames of the stopped program.
pub(crate) fn frames(instance: &mut Instance) -> Result<Vec<Frame>, Error> {
    if let Some(restored) = &instance.restored {
        return Ok(restored.frames.clone());
    }
    let functions = Functions::of(instance)?;
    let references = elements(instance, instance.handles.references, &functions)?;
    let stack_pointer = instance.handles.stack_pointer.get(&mut instance.store);
    let length = stack_pointer.i32().map_or(0, i32::cast_unsigned) as usize;
    let stored = instance.handles.frames.data(&instance.store);
    let stored = stored
        .get(..length)
        .ok_or_else(|| does_not_fit("the stack pointer"))?;
    Ok(instance.variant.map.read_frames(stored, &references)?)
}

/// The original indices of functions, by their identity in the instance.
struct Functions(HashMap<usize, u32>);

impl Functions {
    fn of(instance: &mut Instance) -> Result<Self, Error> {
        let table = instance.handles.functions;
        let mut indices = HashMap::new();
        for (element, index) in (0..).zip(&instance.variant.map.referenced_functions) {
            if let Some(Ref::Func(Some(function))) = table.get(&mut instance.store, element) {
                indices.insert(identity(&mut instance.store, function), *index);
            }
        }
        Ok(Functions(indices))
    }

    fn reference(&self, instance: &mut Instance, value: &Ref) -> Result<FunctionRef, Error> {
        match value {
            Ref::Func(None) | Ref::Extern(None) => Ok(None),
            Ref::Func(Some(function)) => {
                let index = self.0.get(&identity(&mut instance.store, *function));
                index
                    .copied()
                    .map(Some)
                    .ok_or_else(|| does_not_fit("a function reference"))
            }
            _ => Err(does_not_fit(
                "a reference that is neither null nor a function",
            )),
        }
    }
}

fn elements(
    instance: &mut Instance,
    table: wasmtime::Table,
    functions: &Functions,
) -> Result<Vec<FunctionRef>, Error> {
    let mut elements = Vec::new();
    for index in 0..table.size(&instance.store) {
        let element = table.get(&mut instance.store, index);
        let element = element.ok_or_else(|| does_not_fit("a table that shrinks"))?;
        elements.push(functions.reference(instance, &element)?);
    }
    Ok(elements)
}

fn tables(instance: &mut Instance, functions: &Functions) -> Result<Vec<Table>, Error> {
    let tables = instance.handles.tables.clone();
    let table = |table| {
        Ok(Table {
            elements: elements(instance, table, functions)?,
        })
    };
    tables.into_iter().map(table).collect()
}

fn globals(instance: &mut Instance, functions: &Functions) -> Result<Vec<Global>, Error> {
    let handles = instance.handles.globals.clone();
    let indices = instance.variant.map.globals.clone();
    let mut globals = Vec::with_capacity(indices.len());
    for (handle, index) in handles.into_iter().zip(indices) {
        let value = match handle.get(&mut instance.store) {
            Val::I32(bits) => Value::I32(bits.cast_unsigned()),
            Val::I64(bits) => Value::I64(bits.cast_unsigned()),
            Val::F32(bits) => Value::F32(bits),
            Val::F64(bits) => Value::F64(bits),
            Val::V128(bits) => Value::V128(bits.as_u128()),
            Val::ExternRef(None) => Value::NullExtern,
            Val::FuncRef(function) => {
                Value::FuncRef(functions.reference(instance, &Ref::Func(function))?)
            }
            _ => return Err(does_not_fit("a global that holds a host's reference")),
        };
        globals.push(Global { index, value });
    }
    Ok(globals)
}

fn dropped(
    instance: &mut Instance,
    segments: impl Fn(&wherry_instrument::Map) -> &[wherry_instrument::SegmentFlag],
) -> Result<Vec<u32>, Error> {
    let variant = instance.variant.clone();
    let mut dropped = Vec::new();
    for flag in segments(&variant.map) {
        let global = instance.exported_global(&flag.global)?;
        if global.get(&mut instance.store).i32() == Some(1) {
            dropped.push(flag.segment);
        }
    }
    Ok(dropped)
}

fn does_not_fit(what: &str) -> Error {
    failed(wasmtime::Error::msg(format!("{what} cannot be captured")))
}
