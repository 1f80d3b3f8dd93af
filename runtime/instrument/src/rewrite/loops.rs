//! Loops that poll. A short one is laid out several times, with one poll for all copies.

use wasm_encoder::BlockType;

use crate::{
    Error,
    code::{Code, Label},
    function::BlockId,
    rewrite::Rewriter,
};

/// A loop whose body is laid out several times: each but the last goes on with the next.
pub(super) struct Unrolled {
    /// Where the code of the first begins.
    start: usize,
    /// The loop, to whose header the last goes back.
    header: Label,
    /// The block around it, which its results leave.
    out: Label,
}

impl Rewriter<'_, '_> {
    pub(super) fn loop_with_sites(&mut self, id: BlockId) -> Result<(), Error> {
        self.spill_around(id)?;
        let ty = self.results_type(id)?;
        let Some(poll) = self.block(id).poll else {
            // A loop with sites polls; without, it was left untouched.
            return Ok(());
        };
        if self.resumable {
            self.resume_point(poll, self.block(id).last_site);
        }
        if self.copies[id] == 1 {
            self.code.push(Code::Loop(id, ty));
            let is_region = self.resumable && self.block(id).is_region();
            let region = is_region.then(|| self.open_region(Some(poll)));
            self.poll(poll, region)?;
        } else {
            let (out, header) = (self.label(), self.label());
            self.code.push(Code::Block(out, ty));
            self.code.push(Code::Loop(header, ty));
            self.poll(poll, None)?;
            let start = self.code.len();
            self.unrolled = Some(Unrolled { start, header, out });
            // Who goes on with the loop goes on behind this block.
            self.code.push(Code::Block(id, BlockType::Empty));
        }
        self.get_params(id)
    }

    /// Lays out the body again after itself.
    pub(super) fn end_unrolled(&mut self, id: BlockId, unrolled: &Unrolled) {
        self.code.extend([Code::Br(unrolled.out), Code::End]);
        let body = self.code[unrolled.start..].to_vec();
        for _ in 1..self.copies[id] {
            self.code.extend(body.iter().cloned());
        }
        self.code.push(Code::Br(unrolled.header));
        self.code.extend([Code::End, Code::End]);
    }
}
