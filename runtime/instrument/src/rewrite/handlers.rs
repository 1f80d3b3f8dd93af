//! Exception handlers: a `try_table` with sites is a region, like a loop. Rewinding enters it
//! anew, and so its handlers are in place when a callee goes on and throws.

use wasm_encoder::{BlockType, reencode::Reencode};

use crate::{
    Error,
    code::{Code, Label, reencode_error},
    function::{BlockId, BlockKind},
    rewrite::Rewriter,
    types::all_exact,
};

/// Blocks around a `try_table`, where exceptions arrive whose handler is a loop that takes
/// its parameters in locals.
pub(super) struct Landings {
    /// Leads past all of them.
    after: Label,
    loops: Vec<(Label, BlockId)>,
}

impl Rewriter<'_, '_> {
    pub(super) fn try_with_sites(&mut self, id: BlockId) -> Result<(), Error> {
        self.spill_around(id)?;
        if self.resumable {
            let block = self.block(id);
            self.resume_point_inside(block.first_site, block.last_site);
        }
        let ty = self.results_type(id)?;
        self.open_try(id, &[], ty)?;
        if self.resumable {
            let poll = self.open.last().and_then(|open| open.poll);
            let region = self.open_region(poll);
            self.new_code(self.helpers.rewinding());
            self.dispatch(region);
        }
        self.get_params(id)
    }

    /// Opens a `try_table` of type `ty`, which takes `params` from the stack.
    pub(super) fn open_try(
        &mut self,
        id: BlockId,
        params: &[wasmparser::ValType],
        ty: BlockType,
    ) -> Result<(), Error> {
        let block = self.block(id);
        let mut catches = Vec::new();
        let mut loops = Vec::new();
        for &(catch, target) in &block.catches {
            let catch = (&self.helpers.indices)
                .catch(catch)
                .map_err(reencode_error)?;
            if self.takes_params(target) {
                let landing = self.label();
                loops.push((landing, target));
                catches.push((catch, landing));
            } else {
                catches.push((catch, target));
            }
        }
        if !loops.is_empty() {
            let after = self.label();
            self.code.push(Code::Block(after, ty));
            for &(landing, target) in loops.iter().rev() {
                let arrives = all_exact(&self.block(target).params)?;
                let ty = self.block_type(all_exact(params)?, arrives);
                self.code.push(Code::Block(landing, ty));
            }
            self.landings.insert(id, Landings { after, loops });
        }
        self.code.push(Code::Try(id, ty, catches));
        Ok(())
    }

    /// Ends a block that ends where it did, with its landings if it is a `try_table`.
    pub(super) fn end_block(&mut self, id: BlockId) -> Result<(), Error> {
        self.code.push(Code::End);
        if self.block(id).kind != BlockKind::Try {
            return Ok(());
        }
        let Some(Landings { after, loops }) = self.landings.remove(&id) else {
            return Ok(());
        };
        self.code.push(Code::Br(after));
        for (_, target) in loops {
            self.code.push(Code::End);
            self.set_loop_params(target)?;
            self.code.push(Code::Br(target));
        }
        self.code.push(Code::End);
        Ok(())
    }
}
