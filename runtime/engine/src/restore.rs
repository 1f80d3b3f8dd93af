//! Putting a stopped program's state into a new instance.

use wasmtime::{Func, HeapType, Memory, Ref, Table, Val, ValType};
use wherry_instrument::{Map, MapError, SegmentFlag};
use wherry_snapshot::{CHUNK_SIZE, Execution, Frame, FunctionRef, Global, Value};

use crate::Error;
use crate::instance::{Instance, Restored, failed};

/// Puts everything but the memories into an instance that has not run.
pub(crate) fn execution(instance: &mut Instance, execution: &Execution) -> Result<(), Error> {
    globals(instance, &execution.globals)?;
    tables(instance, execution)?;
    segments(instance, execution)?;
    frames(instance, execution.frames.clone())
}

/// Gives memory `index` its size and its content. `fill` gets it full of zeros.
pub(crate) fn memory(
    instance: &mut Instance,
    index: usize,
    pages: u64,
    maximum: Option<u64>,
    fill: impl Fn(&mut [u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let memory = resize_memory(instance, index, pages, maximum)?;
    let linear = instance.linear[index].clone();
    let length = memory.data_size(&instance.store);
    let restored = linear.lock().restore(length, &fill);
    match restored {
        Err(Error::Memory(error)) if !matches!(error, wherry_memory::Error::OutOfMemory { .. }) => {
            // It cannot be tracked, but it can be used.
            let content = memory.data_mut(&mut instance.store);
            clear(content);
            fill(content)
        }
        restored => restored,
    }
}

/// Makes the memories of `to` those of `from`, which is about to be dropped.
pub(crate) fn hand_over_memories(from: &mut Instance, to: &mut Instance) -> Result<(), Error> {
    for (index, memory) in from.handles.memories.iter().enumerate() {
        let (pages, maximum) = (memory.size(&from.store), memory.ty(&from.store).maximum());
        resize_memory(to, index, pages, maximum)?;
        let (mut old, mut new) = (from.linear[index].lock(), to.linear[index].lock());
        new.replace_by(&mut old)?;
    }
    Ok(())
}

fn resize_memory(
    instance: &mut Instance,
    index: usize,
    pages: u64,
    maximum: Option<u64>,
) -> Result<Memory, Error> {
    let refused = |why: &str| does_not_fit(format!("memory {index} {why}"));
    let memory = instance.handles.memories.get(index).copied();
    let memory = memory.ok_or_else(|| refused("is not there"))?;
    if memory.ty(&instance.store).maximum() != maximum {
        return Err(refused("has another maximum"));
    }
    let initial = memory.size(&instance.store);
    let delta = pages
        .checked_sub(initial)
        .ok_or_else(|| refused("is smaller than declared"))?;
    memory
        .grow(&mut instance.store, delta)
        .map_err(|error| refused(&format!("cannot have {pages} pages: {error:#}")))?;
    Ok(memory)
}

/// Zeroes what active segments wrote, without touching pages that were never written.
fn clear(content: &mut [u8]) {
    static ZEROS: [u8; CHUNK_SIZE] = [0; CHUNK_SIZE];
    for page in content.chunks_mut(CHUNK_SIZE) {
        if *page != ZEROS[..page.len()] {
            page.fill(0);
        }
    }
}

fn globals(instance: &mut Instance, globals: &[Global]) -> Result<(), Error> {
    let indices = globals.iter().map(|global| global.index);
    if !indices.eq(instance.variant.map.globals.iter().copied()) {
        return Err(does_not_fit("it has other mutable globals".to_owned()));
    }
    let handles = instance.handles.globals.clone();
    for (handle, global) in handles.into_iter().zip(globals) {
        let value = match global.value {
            Value::I32(bits) => Val::I32(bits.cast_signed()),
            Value::I64(bits) => Val::I64(bits.cast_signed()),
            Value::F32(bits) => Val::F32(bits),
            Value::F64(bits) => Val::F64(bits),
            Value::V128(bits) => Val::V128(bits.into()),
            Value::NullExtern => Val::ExternRef(None),
            Value::FuncRef(reference) => Val::FuncRef(function(instance, reference)?),
        };
        let ty = handle.ty(&instance.store).content().clone();
        if !has_type(&value, &ty) {
            return Err(does_not_fit(format!(
                "global {} has another type",
                global.index
            )));
        }
        instance.set(handle, value)?;
    }
    Ok(())
}

fn has_type(value: &Val, ty: &ValType) -> bool {
    match (value, ty) {
        (Val::I32(_), ValType::I32)
        | (Val::I64(_), ValType::I64)
        | (Val::F32(_), ValType::F32)
        | (Val::F64(_), ValType::F64)
        | (Val::V128(_), ValType::V128) => true,
        (Val::FuncRef(_), ValType::Ref(ty)) => matches!(ty.heap_type().top(), HeapType::Func),
        (Val::ExternRef(_), ValType::Ref(ty)) => matches!(ty.heap_type(), HeapType::Extern),
        _ => false,
    }
}

fn tables(instance: &mut Instance, execution: &Execution) -> Result<(), Error> {
    let handles = instance.handles.tables.clone();
    if handles.len() != execution.tables.len() {
        return Err(does_not_fit(format!(
            "it has {} tables",
            execution.tables.len()
        )));
    }
    let kinds = instance.variant.map.tables.clone();
    for ((handle, holds_functions), table) in handles.into_iter().zip(kinds).zip(&execution.tables)
    {
        if holds_functions {
            fill(instance, handle, &table.elements)?;
        } else if table.elements.iter().all(Option::is_none) {
            resize(instance, handle, table.elements.len(), Ref::Extern(None))?;
        } else {
            return Err(does_not_fit(
                "a table of externref holds functions".to_owned(),
            ));
        }
    }
    Ok(())
}

fn fill(instance: &mut Instance, table: Table, elements: &[FunctionRef]) -> Result<(), Error> {
    // What is added must be what it will be: the type may exclude null.
    let declared = usize::try_from(table.size(&instance.store)).unwrap_or(usize::MAX);
    let added = elements.get(declared).copied().flatten();
    let added = Ref::Func(function(instance, added)?);
    resize(instance, table, elements.len(), added)?;
    set_elements(instance, table, elements)
}

fn set_elements(
    instance: &mut Instance,
    table: Table,
    elements: &[FunctionRef],
) -> Result<(), Error> {
    for (index, element) in (0..).zip(elements) {
        let function = function(instance, *element)?;
        table
            .set(&mut instance.store, index, Ref::Func(function))
            .map_err(failed)?;
    }
    Ok(())
}

fn resize(instance: &mut Instance, table: Table, length: usize, with: Ref) -> Result<(), Error> {
    let delta = (length as u64).checked_sub(table.size(&instance.store));
    let delta = delta.ok_or_else(|| does_not_fit("a table is smaller than declared".to_owned()))?;
    if delta == 0 {
        return Ok(());
    }
    let grown = table.grow(&mut instance.store, delta, with);
    grown.map_err(|error| {
        does_not_fit(format!("a table cannot have {length} elements: {error:#}"))
    })?;
    Ok(())
}

/// The function of the instance behind an original index.
fn function(instance: &mut Instance, reference: FunctionRef) -> Result<Option<Func>, Error> {
    let Some(index) = reference else {
        return Ok(None);
    };
    let missing = || does_not_fit(format!("function {index} cannot be referenced"));
    let position = instance
        .variant
        .map
        .referenced_functions
        .binary_search(&index);
    let element = position.map_err(|_| missing())? as u64;
    match instance.handles.functions.get(&mut instance.store, element) {
        Some(Ref::Func(Some(function))) => Ok(Some(function)),
        _ => Err(missing()),
    }
}

fn segments(instance: &mut Instance, execution: &Execution) -> Result<(), Error> {
    let variant = instance.variant.clone();
    let Map {
        data_segments,
        element_segments,
        ..
    } = &variant.map;
    mark_dropped(instance, data_segments, &execution.dropped_data)?;
    mark_dropped(instance, element_segments, &execution.dropped_elements)?;
    let drop_segments = instance.handles.drop_segments.clone();
    drop_segments.call(&mut instance.store, ()).map_err(failed)
}

fn mark_dropped(
    instance: &mut Instance,
    flags: &[SegmentFlag],
    dropped: &[u32],
) -> Result<(), Error> {
    for segment in dropped {
        let flag = flags.iter().find(|flag| flag.segment == *segment);
        let flag =
            flag.ok_or_else(|| does_not_fit(format!("segment {segment} cannot be dropped")))?;
        let global = instance.exported_global(&flag.global)?;
        instance.set(global, Val::I32(1))?;
    }
    Ok(())
}

/// Lays frames out in the state memory to be rewound, which is another layout than that in
/// which a program leaves them.
pub(crate) fn frames(instance: &mut Instance, frames: Vec<Frame>) -> Result<(), Error> {
    let (stored, references) = instance.variant.map.write_frames(&frames)?;
    let table = instance.handles.references;
    // It may be longer: it grew whenever the program left.
    let length = usize::try_from(table.size(&instance.store)).unwrap_or(usize::MAX);
    resize(
        instance,
        table,
        references.len().max(length),
        Ref::Func(None),
    )?;
    set_elements(instance, table, &references)?;
    let memory = instance.handles.frames.data_mut(&mut instance.store);
    let place = memory.get_mut(..stored.len());
    place.ok_or(MapError::TooDeep)?.copy_from_slice(&stored);
    let length = i32::try_from(stored.len()).map_err(|_| MapError::TooDeep)?;
    instance.set(instance.handles.stack_pointer, Val::I32(length))?;
    let resumer = outermost_resumer(instance, &frames)?;
    instance.restored = Some(Restored { frames, resumer });
    Ok(())
}

/// What to call to rewind.
fn outermost_resumer(instance: &mut Instance, frames: &[Frame]) -> Result<Func, Error> {
    let missing = || does_not_fit("there is no way to rewind its outermost frame".to_owned());
    let outermost = frames.first().ok_or_else(missing)?;
    let element = instance
        .variant
        .map
        .resumer(outermost.function)
        .ok_or_else(missing)?;
    let resumers = instance.handles.resumers;
    match resumers.get(&mut instance.store, u64::from(element)) {
        // An entry point has no parameters and no results, so its resumer has none.
        Some(Ref::Func(Some(resumer))) if resumer.typed::<(), ()>(&instance.store).is_ok() => {
            Ok(resumer)
        }
        _ => Err(missing()),
    }
}

fn does_not_fit(what: String) -> Error {
    Error::DoesNotFit { what }
}
