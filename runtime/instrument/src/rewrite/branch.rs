//! Branches. A loop with sites takes its parameters in locals, so a branch to one sets them.

use std::collections::HashMap;

use wasm_encoder::{BlockType, Instruction as I, ValType};

use crate::{
    Error,
    code::{Code, Label},
    function::{BlockId, BlockKind},
    module::index,
    rewrite::{Rewriter, operands::operands},
    types::{all_exact, of_local},
};

impl Rewriter<'_, '_> {
    pub(super) fn takes_params(&self, id: BlockId) -> bool {
        let block = self.block(id);
        block.kind == BlockKind::Loop && block.has_site && !block.params.is_empty()
    }

    pub(super) fn set_loop_params(&mut self, id: BlockId) -> Result<(), Error> {
        let block = self.block(id);
        self.set(&operands(block.base, &block.params))
    }

    pub(super) fn br_if(&mut self, id: BlockId) -> Result<(), Error> {
        if !self.takes_params(id) {
            self.code.push(Code::BrIf(id));
            return Ok(());
        }
        // Taken or not, the operands stay; the loop's locals change only if it is taken.
        let params = self.block(id).params.clone();
        let condition = self.scratch(index(params.len()), ValType::I32);
        self.new_code([I::LocalSet(condition)]);
        let values = self.set_scratch(&params)?;
        self.new_code([I::LocalGet(condition)]);
        self.br_if_true(id, &values)?;
        self.get_scratch(&values, &params);
        Ok(())
    }

    /// Branches if the topmost operand is null; otherwise that stays.
    pub(super) fn br_on_null(&mut self, id: BlockId, ty: wasmparser::ValType) -> Result<(), Error> {
        if !self.takes_params(id) {
            self.code.push(Code::BrOnNull(id));
            return Ok(());
        }
        let params = self.block(id).params.clone();
        let reference = self.scratch(index(params.len()), of_local(ty)?);
        self.new_code([I::LocalSet(reference)]);
        let values = self.set_scratch(&params)?;
        self.new_code([I::LocalGet(reference), I::RefIsNull]);
        self.br_if_true(id, &values)?;
        self.get_scratch(&values, &params);
        self.new_code([I::LocalGet(reference), I::RefAsNonNull]);
        Ok(())
    }

    /// Branches with the topmost operand if that is not null; otherwise drops it.
    pub(super) fn br_on_non_null(&mut self, id: BlockId) -> Result<(), Error> {
        if !self.takes_params(id) {
            self.code.push(Code::BrOnNonNull(id));
            return Ok(());
        }
        let params = self.block(id).params.clone();
        let values = self.set_scratch(&params)?;
        let Some((&reference, others)) = values.split_last() else {
            return Ok(());
        };
        self.new_code([I::LocalGet(reference), I::RefIsNull, I::I32Eqz]);
        self.br_if_true(id, &values)?;
        self.get_scratch(others, &params);
        Ok(())
    }

    /// Branches to a loop with the parameters that wait in `values` if the topmost operand is
    /// not zero.
    fn br_if_true(&mut self, id: BlockId, values: &[u32]) -> Result<(), Error> {
        let taken = self.label();
        self.code.push(Code::If(taken, BlockType::Empty));
        self.get_scratch(values, &self.block(id).params);
        self.set_loop_params(id)?;
        self.code.extend([Code::Br(id), Code::End]);
        Ok(())
    }

    pub(super) fn br_table(
        &mut self,
        targets: Vec<BlockId>,
        default: BlockId,
    ) -> Result<(), Error> {
        let mut loops: Vec<BlockId> = targets
            .iter()
            .copied()
            .chain([default])
            .filter(|&id| self.takes_params(id))
            .collect();
        loops.sort_unstable();
        loops.dedup();
        if loops.is_empty() {
            self.code.push(Code::BrTable(targets, default));
            return Ok(());
        }
        // Each such loop is reached through a block that receives its parameters.
        let params = self.block(loops[0]).params.clone();
        let selector = self.scratch(index(params.len()), ValType::I32);
        self.new_code([I::LocalSet(selector)]);
        let values = self.set_scratch(&params)?;
        let landings: HashMap<BlockId, Label> =
            loops.iter().map(|&id| (id, self.label())).collect();
        let landing_type = self.block_type(Vec::new(), all_exact(&params)?);
        for id in loops.iter().rev() {
            self.code.push(Code::Block(landings[id], landing_type));
        }
        self.get_scratch(&values, &params);
        self.new_code([I::LocalGet(selector)]);
        let landing = |id| landings.get(&id).copied().unwrap_or(id);
        let targets = targets.into_iter().map(landing).collect();
        self.code.push(Code::BrTable(targets, landing(default)));
        for id in loops {
            self.code.push(Code::End);
            self.set_loop_params(id)?;
            self.code.push(Code::Br(id));
        }
        Ok(())
    }
}
