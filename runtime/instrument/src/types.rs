//! Types of values: references by the first type equal to theirs, and what a local can hold.
//!
//! The validator names a type by an id of its own, the module by any of several indices that
//! may be equal. Here all of them become one: the first index.

use std::collections::HashMap;

use wasm_encoder::{
    AbstractHeapType, HeapType, RefType, ValType,
    reencode::{Reencode, RoundtripReencoder},
};
use wasmparser::{FuncType, UnpackedIndex, types::CoreTypeId};

use crate::{Error, code::reencode_error, module::index};

/// The types of a module, each by the first index of those that are equal.
#[derive(Default)]
pub(crate) struct Canonical {
    first: Vec<u32>,
    ids: HashMap<CoreTypeId, u32>,
}

impl Canonical {
    /// From the validator's ids, in the order of the module's indices.
    pub(crate) fn new(ids: impl Iterator<Item = CoreTypeId>) -> Self {
        let mut canonical = Self::default();
        for (place, id) in ids.enumerate() {
            let first = *canonical.ids.entry(id).or_insert(index(place));
            canonical.first.push(first);
        }
        canonical
    }

    /// The first type that is equal to the one at `index`.
    pub(crate) fn first(&self, index: u32) -> u32 {
        self.first[index as usize]
    }

    /// The same type, named by the first of its indices.
    pub(crate) fn value(&self, ty: wasmparser::ValType) -> wasmparser::ValType {
        let wasmparser::ValType::Ref(reference) = ty else {
            return ty;
        };
        let wasmparser::HeapType::Concrete(name) = reference.heap_type() else {
            return ty;
        };
        let first = match name {
            UnpackedIndex::Module(index) => self.first(index),
            UnpackedIndex::Id(id) => self.ids[&id],
            UnpackedIndex::RecGroup(_) => return ty,
        };
        self.reference(first, reference.is_nullable())
    }

    /// The type of references to functions of the type at `index`.
    pub(crate) fn reference(&self, index: u32, nullable: bool) -> wasmparser::ValType {
        let heap = wasmparser::HeapType::Concrete(UnpackedIndex::Module(self.first(index)));
        let reference = wasmparser::RefType::new(nullable, heap);
        // The validator allows no index that a reference cannot hold.
        wasmparser::ValType::Ref(reference.unwrap_or(wasmparser::RefType::FUNCREF))
    }

    pub(crate) fn function(&self, ty: &FuncType) -> FuncType {
        let all = |types: &[wasmparser::ValType]| -> Vec<_> {
            types.iter().map(|&ty| self.value(ty)).collect()
        };
        FuncType::new(all(ty.params()), all(ty.results()))
    }
}

/// The type as it is, for block and function types.
pub(crate) fn exact(ty: wasmparser::ValType) -> Result<ValType, Error> {
    RoundtripReencoder.val_type(ty).map_err(reencode_error)
}

pub(crate) fn all_exact(types: &[wasmparser::ValType]) -> Result<Vec<ValType>, Error> {
    types.iter().map(|&ty| exact(ty)).collect()
}

/// The type of a local that can hold values of `ty`, and has a value before it gets one.
pub(crate) fn of_local(ty: wasmparser::ValType) -> Result<ValType, Error> {
    Ok(nullable(exact(ty)?))
}

pub(crate) fn nullable(ty: ValType) -> ValType {
    match ty {
        ValType::Ref(reference) => ValType::Ref(RefType {
            nullable: true,
            ..reference
        }),
        other => other,
    }
}

/// Whether `ty` excludes null, so that what is read from a local must be asserted to be one.
pub(crate) fn excludes_null(ty: wasmparser::ValType) -> bool {
    matches!(ty, wasmparser::ValType::Ref(reference) if !reference.is_nullable())
}

/// Whether values of `ty` are exceptions.
pub(crate) fn is_exception(ty: ValType) -> bool {
    matches!(
        ty,
        ValType::Ref(RefType {
            heap_type: HeapType::Abstract {
                ty: AbstractHeapType::Exn | AbstractHeapType::NoExn,
                ..
            },
            ..
        })
    )
}

/// Whether values of `ty` are references that only the host can make. There are none under
/// preview 1: null is all that such a type holds, and there is nothing to keep.
pub(crate) fn is_external(ty: ValType) -> bool {
    matches!(
        ty,
        ValType::Ref(RefType {
            heap_type: HeapType::Abstract {
                ty: AbstractHeapType::Extern | AbstractHeapType::NoExtern,
                ..
            },
            ..
        })
    )
}
