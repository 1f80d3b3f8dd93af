//! Safepoints, and calls that look whether to leave.

use wasm_encoder::{BlockType, Instruction as I, ValType};
use wasmparser::Operator;
use wherry_snapshot::Slot;

use crate::{
    Error,
    code::{Code, Label},
    function::{Operand, Site, SiteId, SiteKind},
    helpers::{FEW, in_frame_order},
    module::index,
    rewrite::{
        Rewriter, SAVES,
        operands::{new_local, operands},
        slots,
    },
    types::{all_exact, exact, excludes_null, of_local},
};

impl<'a> Rewriter<'_, 'a> {
    /// Leaves if the flag is raised; while rewinding, goes on inside `region`.
    pub(super) fn poll(&mut self, site: SiteId, region: Option<usize>) -> Result<(), Error> {
        let cold = self.label();
        self.new_code(self.helpers.poll());
        self.code.push(Code::ColdIf(cold));
        if let Some(region) = region {
            self.new_code(self.helpers.rewinding());
            self.dispatch(region);
        }
        self.save_and_leave(site)?;
        self.code.push(Code::End);
        Ok(())
    }

    pub(super) fn dispatch(&mut self, region: usize) {
        let cold = self.label();
        self.code
            .extend([Code::ColdIf(cold), Code::Dispatch(region), Code::End]);
    }

    /// Stores the site's frame and leaves. Sites that keep the same locals share the code:
    /// the fewer places use a value, the better the compiler keeps it elsewhere. A loop's
    /// header has its own, since what merges behind it disturbs the loop's registers.
    fn save_and_leave(&mut self, site: SiteId) -> Result<(), Error> {
        let values = self.saved(site)?;
        let number = I::I32Const((self.first_site + index(site)).cast_signed());
        if self.function.sites[site].kind == SiteKind::Loop && values.len() <= FEW {
            let save = self.helpers.save_inline(&values, number);
            self.new_code(save);
            self.code.push(Code::Br(self.leave));
            return Ok(());
        }
        let label = self.save_label(values);
        let local = self.site_local();
        self.new_code([number, I::LocalSet(local)]);
        self.code.push(Code::Br(label));
        Ok(())
    }

    /// Where the code is that stores a frame of these locals.
    fn save_label(&mut self, values: Vec<(u32, ValType)>) -> Label {
        if let Some(&known) = self.save_labels.get(&values) {
            return known;
        }
        let label = self.label();
        self.regions[SAVES].ends.push((label, BlockType::Empty));
        self.save_labels.insert(values.clone(), label);
        self.saves.push(values);
        label
    }

    /// The shared code, each piece where its block ends.
    pub(super) fn emit_saves(&mut self) {
        for values in std::mem::take(&mut self.saves) {
            self.code.push(Code::End);
            let site = I::LocalGet(self.site_local());
            let save = self.helpers.save(&values, &site);
            self.new_code(save);
            self.code.push(Code::Br(self.leave));
        }
    }

    fn site_local(&mut self) -> u32 {
        let locals = &mut self.locals;
        *self
            .site
            .get_or_insert_with(|| new_local(locals, ValType::I32))
    }

    /// The locals that hold what a site keeps, in the order of the stored frame.
    fn saved(&mut self, site: SiteId) -> Result<Vec<(u32, ValType)>, Error> {
        let slots = self.slots(site)?.into_iter();
        let values: Vec<_> = slots
            .map(|(slot, ty)| (self.local_of(slot, ty), ty))
            .collect();
        Ok(in_frame_order(values.into_iter()))
    }

    /// What a site keeps, sorted.
    pub(crate) fn slots(&self, site: SiteId) -> Result<Vec<(Slot, ValType)>, Error> {
        slots(self.function, site)
    }

    /// The local that holds a slot.
    pub(crate) fn local_of(&mut self, slot: Slot, ty: ValType) -> u32 {
        match slot {
            Slot::Local(local) => local,
            Slot::Operand(height) => self.spill(height, ty),
        }
    }

    pub(super) fn call(&mut self, id: SiteId, operator: Operator<'a>) -> Result<(), Error> {
        let site = &self.function.sites[id];
        let height = above(site);
        let beneath = &site.operands[site.operands.len() - site.in_block..];
        let (takes, gives) = (operands(height, &site.takes), operands(height, &site.gives));
        let move_operands = self.resumable || !beneath.is_empty();
        if move_operands {
            self.set(&takes)?;
            self.set(beneath)?;
        }
        if !self.resumable {
            if move_operands {
                self.get(&takes)?;
            }
            self.code.push(Code::Original(operator));
            self.check(id)?;
            if move_operands {
                self.set(&gives)?;
                self.get(beneath)?;
                self.get(&gives)?;
            }
            return Ok(());
        }
        if site.kind == SiteKind::Dynamic {
            self.dynamic_call(id, operator, &takes, &gives)?;
            self.check(id)?;
        } else {
            self.resume_point(id, id);
            self.get(&takes)?;
            self.code.push(Code::Original(operator));
            self.check(id)?;
            if beneath.is_empty() {
                return Ok(());
            }
            self.set(&gives)?;
        }
        self.get(beneath)?;
        self.get(&gives)
    }

    /// What the arguments of a call must be set to where it is resumed: its callee does not
    /// look at them, but where their type excludes null, they may not be that.
    pub(crate) fn stand_in_arguments(&mut self, id: SiteId) -> Result<Vec<I<'static>>, Error> {
        let site = &self.function.sites[id];
        let mut code = Vec::new();
        for (height, ty) in operands(above(site), &site.takes) {
            if excludes_null(ty) {
                code.extend(self.helpers.zero(exact(ty)?)?);
                code.push(I::LocalSet(self.spill(height, of_local(ty)?)));
            }
        }
        Ok(code)
    }

    /// A call whose callee, when it is resumed, is named by the frame that it left.
    fn dynamic_call(
        &mut self,
        id: SiteId,
        operator: Operator<'a>,
        takes: &[Operand],
        gives: &[Operand],
    ) -> Result<(), Error> {
        let results = all_exact(&self.function.sites[id].gives)?;
        let callee = match self.callee {
            Some(callee) => callee,
            None => *self
                .callee
                .insert(new_local(&mut self.locals, ValType::I32)),
        };
        let done = self.label();
        self.get(takes)?;
        self.code.push(Code::Original(operator));
        self.set(gives)?;
        self.code.push(Code::Br(done));
        self.resume_point(id, id);
        let type_index = self.helpers.types.function(Vec::new(), results);
        let table_index = self.helpers.indices.resumers;
        self.new_code([
            I::LocalGet(callee),
            I::CallIndirect {
                type_index,
                table_index,
            },
        ]);
        self.set(gives)?;
        self.end_early(done, BlockType::Empty);
        Ok(())
    }

    /// After a call: if it left, so does the caller.
    fn check(&mut self, site: SiteId) -> Result<(), Error> {
        let cold = self.label();
        self.new_code([I::GlobalGet(self.helpers.indices.state)]);
        self.code.push(Code::ColdIf(cold));
        self.save_and_leave(site)?;
        self.code.push(Code::End);
        Ok(())
    }
}

/// Height of the operand stack above what a call leaves there.
fn above(site: &Site) -> u32 {
    site.operands.last().map_or(0, |&(height, _)| height + 1)
}
