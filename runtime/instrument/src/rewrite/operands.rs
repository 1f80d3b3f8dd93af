//! Operands in locals: where the operand stack must be empty, they wait in locals of ours.
//! Those have a value before they get one, so what excludes null is asserted when it is read.

use wasm_encoder::{Instruction as I, ValType};

use crate::{
    Error,
    function::Operand,
    module::index,
    rewrite::Rewriter,
    types::{excludes_null, of_local},
};

impl Rewriter<'_, '_> {
    /// Moves operands from the stack to their locals.
    pub(super) fn set(&mut self, operands: &[Operand]) -> Result<(), Error> {
        for &(height, ty) in operands.iter().rev() {
            let local = self.spill(height, of_local(ty)?);
            self.new_code([I::LocalSet(local)]);
        }
        Ok(())
    }

    /// Puts operands back from their locals.
    pub(super) fn get(&mut self, operands: &[Operand]) -> Result<(), Error> {
        for &(height, ty) in operands {
            let local = self.spill(height, of_local(ty)?);
            self.get_local(local, ty);
        }
        Ok(())
    }

    /// Puts a value of type `ty` back from a local of ours.
    pub(super) fn get_local(&mut self, local: u32, ty: wasmparser::ValType) {
        self.new_code([I::LocalGet(local)]);
        if excludes_null(ty) {
            self.new_code([I::RefAsNonNull]);
        }
    }

    pub(super) fn spill(&mut self, height: u32, ty: ValType) -> u32 {
        let locals = &mut self.locals;
        *self
            .spilled
            .entry((height, ty))
            .or_insert_with(|| new_local(locals, ty))
    }

    /// Moves values from the stack to locals that no operand of the program uses.
    pub(super) fn set_scratch(&mut self, types: &[wasmparser::ValType]) -> Result<Vec<u32>, Error> {
        let mut values = Vec::new();
        for (place, &ty) in (0..).zip(types) {
            values.push(self.scratch(place, of_local(ty)?));
        }
        self.new_code(values.clone().into_iter().rev().map(I::LocalSet));
        Ok(values)
    }

    /// Puts back what [`Self::set_scratch`] moved to locals.
    pub(super) fn get_scratch(&mut self, values: &[u32], types: &[wasmparser::ValType]) {
        for (&local, &ty) in values.iter().zip(types) {
            self.get_local(local, ty);
        }
    }

    pub(super) fn scratch(&mut self, place: u32, ty: ValType) -> u32 {
        let locals = &mut self.locals;
        *self
            .scratch
            .entry((place, ty))
            .or_insert_with(|| new_local(locals, ty))
    }
}

pub(super) fn new_local(locals: &mut Vec<ValType>, ty: ValType) -> u32 {
    locals.push(ty);
    index(locals.len() - 1)
}

/// Operands of these types from `height` upwards.
pub(super) fn operands(height: u32, types: &[wasmparser::ValType]) -> Vec<Operand> {
    (height..).zip(types.iter().copied()).collect()
}
