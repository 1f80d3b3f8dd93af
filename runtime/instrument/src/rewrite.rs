//! Rewrites one function: polls, calls that look whether to leave, and resume points.
//!
//! ```wat
//! (loop $l                              (loop $l
//!   (call $f (local.get $x)))    =>       (if (flag)
//!                                           (then (store the frame of site 0) (br $leave)))
//!                                         (call $f (local.get $x))
//!                                         (if (state)
//!                                           (then (local.set $site (site 1)) (br $save))))
//!                                       (return)
//!                                       end $save
//!                                       (call $save_i32 (local.get $x) (local.get $site))
//!                                       end $leave
//! ```
//!
//! The slow path never comes back: code that only leaves costs the compiler's register
//! allocation nothing (measured in `docs/benchmarks.md`).
//!
//! In a resumable function a resume point is the end of a block that was opened at the start
//! of its region (a loop's body, or the function's), so that one `br_table` there reaches it.
//! For that, no operand may lie on the stack at a resume point or around a block that holds
//! one: operands move to locals of their own, one per height and type. That is free: the
//! compiler sees values, not locals.

mod branch;
mod call;
mod handlers;
mod loops;
mod operands;

use std::collections::HashMap;

use wasm_encoder::{BlockType, Function as Encoded, Instruction as I, ValType, reencode::Reencode};
use wasmparser::Operator;
use wherry_snapshot::Slot;

use self::{handlers::Landings, loops::Unrolled, operands::operands};
use crate::{
    Error,
    code::{BODY, Code, Label, Region, encode, reencode_error},
    dispatch::{self, Target},
    function::{Block, BlockId, BlockKind, Function, Op, SiteId, SiteKind},
    helpers::Helpers,
    layout::Layout,
    map::{Segments, Type},
    module::index,
    types::{all_exact, exact, excludes_null, is_exception, is_external, nullable, of_local},
    unroll,
};

/// A rewritten body.
pub(crate) struct Rewritten {
    pub(crate) body: Encoded,
    pub(crate) hints: Vec<wasm_encoder::BranchHint>,
}

/// Rewrites `function`, whose first site is `first_site` among those of the module, so that it can
/// leave, and be rewound into if it is `resumable`.
pub(crate) fn rewrite<'a>(
    mut function: Function<'a>,
    helpers: &mut Helpers,
    segments: &Segments,
    first_site: u32,
    resumable: bool,
) -> Result<Rewritten, Error> {
    let copies = if helpers.options.unroll {
        unroll::copies(&function)
    } else {
        vec![1; function.blocks.len()]
    };
    let ops = std::mem::take(&mut function.ops);
    let mut rewriter = Rewriter::new(&function, helpers, segments, first_site, copies, resumable)?;
    rewriter.prologue()?;
    for op in ops {
        rewriter.op(op)?;
    }
    rewriter.finish()
}

/// The region of the blocks that end where frames are stored.
const SAVES: usize = 0;

pub(crate) struct Rewriter<'f, 'a> {
    pub(crate) function: &'f Function<'a>,
    pub(crate) helpers: &'f mut Helpers,
    segments: &'f Segments,
    pub(crate) first_site: u32,
    resumable: bool,
    /// How the function's frames are laid out to be restored.
    pub(crate) layout: Layout,
    code: Vec<Code<'a>>,
    /// All locals, original and added. Where there are sites, only parameters exclude null:
    /// others are not assigned on the way back to a resume point.
    pub(crate) locals: Vec<ValType>,
    spilled: HashMap<(u32, ValType), u32>,
    scratch: HashMap<(u32, ValType), u32>,
    /// Local that holds whom a dynamic call resumes.
    pub(crate) callee: Option<u32>,
    /// Local that holds the site whose frame is stored.
    site: Option<u32>,
    /// What the frames that sites share are made of, in the order of their code's blocks.
    saves: Vec<Vec<(u32, ValType)>>,
    save_labels: HashMap<Vec<(u32, ValType)>, Label>,
    labels: Label,
    leave: Label,
    regions: Vec<Region<'a>>,
    open: Vec<OpenRegion>,
    landings: HashMap<BlockId, Landings>,
    /// For each block, how many times it is laid out.
    copies: Vec<usize>,
    /// The loop that is being laid out several times.
    unrolled: Option<Unrolled>,
}

/// A region that is not complete. The innermost is the last.
struct OpenRegion {
    region: usize,
    /// The resume points found so far.
    targets: Vec<Target>,
    /// The innermost loop's header: what that needs is restored before the region is entered.
    poll: Option<SiteId>,
}

impl<'f, 'a> Rewriter<'f, 'a> {
    fn new(
        function: &'f Function<'a>,
        helpers: &'f mut Helpers,
        segments: &'f Segments,
        first_site: u32,
        copies: Vec<usize>,
        resumable: bool,
    ) -> Result<Self, Error> {
        let mut locals = all_exact(&function.locals)?;
        if !function.sites.is_empty() {
            for local in &mut locals[function.params as usize..] {
                *local = nullable(*local);
            }
        }
        let labels = function.blocks.len() * 2;
        let mut kept = Vec::new();
        for site in 0..function.sites.len() {
            kept.extend(slots(function, site)?);
        }
        let layout = Layout::of(kept.into_iter().map(|(slot, ty)| (slot, Type::of(ty))));
        Ok(Self {
            function,
            helpers,
            segments,
            first_site,
            resumable,
            layout,
            code: Vec::new(),
            locals,
            spilled: HashMap::new(),
            scratch: HashMap::new(),
            callee: None,
            site: None,
            saves: Vec::new(),
            save_labels: HashMap::new(),
            labels: labels + 1,
            leave: labels,
            regions: vec![Region::default()],
            open: Vec::new(),
            landings: HashMap::new(),
            copies,
            unrolled: None,
        })
    }

    fn has_sites(&self) -> bool {
        !self.function.sites.is_empty()
    }

    /// The block around the body that a leaving function branches to, and the entry.
    fn prologue(&mut self) -> Result<(), Error> {
        if !self.has_sites() {
            return Ok(());
        }
        self.code.push(Code::Block(self.leave, BlockType::Empty));
        self.code.push(Code::Open(SAVES));
        let polls = self.function.sites[0].kind == SiteKind::Entry;
        if !self.resumable {
            if polls {
                self.poll(0, None)?;
            }
            return Ok(());
        }
        let region = self.open_region(None);
        if polls {
            self.poll(0, Some(region))?;
            self.resume_point(0, 0);
        } else {
            self.new_code(self.helpers.rewinding());
            self.dispatch(region);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Rewritten, Error> {
        if let Some(open) = self.open.pop() {
            self.regions[open.region].dispatch = dispatch::into_function(&mut self, &open.targets)?;
        }
        if self.has_sites() {
            self.code.push(Code::New(I::Return));
            self.emit_saves();
            self.code.push(Code::End);
            for &ty in &self.function.results {
                let zero = self.helpers.zero(exact(ty)?)?;
                self.new_code(zero);
            }
        }
        self.code.push(Code::End);
        let declared = self.locals.split_off(self.function.params as usize);
        let (body, hints) = encode(&self.helpers.indices, declared, self.code, self.regions)?;
        Ok(Rewritten { body, hints })
    }

    fn op(&mut self, op: Op<'a>) -> Result<(), Error> {
        match op {
            Op::Plain(operator) => self.plain(operator),
            Op::Block(id) | Op::Loop(id) | Op::If(id) | Op::Try(id) if !self.block(id).has_site => {
                self.untouched(id)?;
            }
            Op::Block(id) => self.block_with_sites(id)?,
            Op::Loop(id) => self.loop_with_sites(id)?,
            Op::If(id) => self.if_with_sites(id)?,
            Op::Try(id) => self.try_with_sites(id)?,
            Op::Else(id) if !self.block(id).has_site => self.code.push(Code::Else),
            Op::Else(id) => self.else_with_sites(id)?,
            Op::End(BODY) => {}
            Op::End(id) if !self.block(id).has_site => self.end_block(id)?,
            Op::End(id) => self.end_with_sites(id)?,
            Op::Br(id) => {
                if self.takes_params(id) {
                    self.set_loop_params(id)?;
                }
                self.code.push(Code::Br(id));
            }
            Op::BrIf(id) => self.br_if(id)?,
            Op::BrTable(targets, default) => self.br_table(targets, default)?,
            Op::BrOnNull(id, ty) => self.br_on_null(id, ty)?,
            Op::BrOnNonNull(id) => self.br_on_non_null(id)?,
            Op::Call(site, operator) => self.call(site, operator)?,
        }
        Ok(())
    }

    fn plain(&mut self, operator: Operator<'a>) {
        let dropped = match &operator {
            Operator::DataDrop { data_index } => self.segments.data_flag(*data_index),
            Operator::ElemDrop { elem_index } => self.segments.element_flag(*elem_index),
            _ => None,
        };
        let read = match &operator {
            Operator::LocalGet { local_index } | Operator::LocalTee { local_index } => {
                Some(*local_index as usize)
            }
            _ => None,
        };
        self.code.push(Code::Original(operator));
        if let Some(local) = read
            && excludes_null(self.function.locals[local])
            && self.locals[local] == nullable(self.locals[local])
        {
            self.new_code([I::RefAsNonNull]);
        }
        if let Some(flag) = dropped {
            let flag = self.helpers.indices.segment_flags + flag;
            self.new_code([I::I32Const(1), I::GlobalSet(flag)]);
        }
    }

    // Blocks.

    fn untouched(&mut self, id: BlockId) -> Result<(), Error> {
        let block = self.block(id);
        let ty = (&self.helpers.indices)
            .block_type(block.ty)
            .map_err(reencode_error)?;
        self.code.push(match block.kind {
            BlockKind::Block => Code::Block(id, ty),
            BlockKind::Loop => Code::Loop(id, ty),
            BlockKind::If => Code::If(id, ty),
            BlockKind::Try => return self.open_try(id, &block.params, ty),
        });
        Ok(())
    }

    fn block_with_sites(&mut self, id: BlockId) -> Result<(), Error> {
        self.spill_around(id)?;
        if !self.resumable {
            let ty = self.results_type(id)?;
            self.code.push(Code::Block(id, ty));
        }
        self.get_params(id)
    }

    fn if_with_sites(&mut self, id: BlockId) -> Result<(), Error> {
        let block = self.block(id);
        if !(block.params.is_empty() && block.beneath.is_empty()) {
            let condition = (
                block.base + index(block.params.len()),
                wasmparser::ValType::I32,
            );
            self.set(&[condition])?;
            self.spill_around(id)?;
            self.get(&[condition])?;
        }
        if self.resumable {
            self.new_code([I::I32Eqz]);
            let otherwise = self.else_label(id);
            self.code.push(Code::BrIf(otherwise));
        } else {
            let ty = self.results_type(id)?;
            self.code.push(Code::If(id, ty));
        }
        self.get_params(id)
    }

    fn else_with_sites(&mut self, id: BlockId) -> Result<(), Error> {
        if self.resumable {
            self.code.push(Code::Br(id));
            let otherwise = self.else_label(id);
            self.end_early(otherwise, BlockType::Empty);
        } else {
            self.code.push(Code::Else);
        }
        self.get_params(id)
    }

    fn end_with_sites(&mut self, id: BlockId) -> Result<(), Error> {
        let block = self.block(id);
        let kind = block.kind;
        // An `if` without `else` passes its parameters on.
        if kind == BlockKind::If && !block.has_else && (self.resumable || !block.params.is_empty())
        {
            self.else_with_sites(id)?;
        }
        match kind {
            BlockKind::Loop if let Some(unrolled) = self.unrolled.take() => {
                self.end_unrolled(id, &unrolled);
            }
            BlockKind::Loop | BlockKind::Try => {
                if self.resumable && block.is_region() {
                    self.close_region()?;
                }
                self.end_block(id)?;
            }
            _ if self.resumable => {
                let ty = self.results_type(id)?;
                self.end_early(id, ty);
            }
            _ => self.end_block(id)?,
        }
        if !block.beneath.is_empty() {
            let results = operands(block.base, &block.results);
            self.set(&results)?;
            self.get(&self.function.blocks[id].beneath)?;
            self.get(&results)?;
        }
        Ok(())
    }

    /// Moves to locals what lies on the stack where a block with sites begins.
    fn spill_around(&mut self, id: BlockId) -> Result<(), Error> {
        let block = &self.function.blocks[id];
        self.set(&operands(block.base, &block.params))?;
        self.set(&block.beneath)
    }

    fn get_params(&mut self, id: BlockId) -> Result<(), Error> {
        let block = self.block(id);
        self.get(&operands(block.base, &block.params))
    }

    // Regions.

    fn open_region(&mut self, poll: Option<SiteId>) -> usize {
        let region = self.regions.len();
        self.regions.push(Region::default());
        self.open.push(OpenRegion {
            region,
            targets: Vec::new(),
            poll,
        });
        self.code.push(Code::Open(region));
        region
    }

    fn close_region(&mut self) -> Result<(), Error> {
        if let Some(open) = self.open.pop() {
            self.regions[open.region].dispatch =
                dispatch::into_block(self, open.poll, &open.targets)?;
        }
        Ok(())
    }

    /// Here the site `first` is resumed, and what follows it up to `last`.
    fn resume_point(&mut self, first: SiteId, last: SiteId) {
        let kind = self.function.sites[first].kind;
        self.target(first, last, Some(kind));
    }

    /// Behind here lies a region with the sites `first` to `last`.
    fn resume_point_inside(&mut self, first: SiteId, last: SiteId) {
        self.target(first, last, None);
    }

    fn target(&mut self, first: SiteId, last: SiteId, kind: Option<SiteKind>) {
        let label = self.label();
        self.end_early(label, BlockType::Empty);
        if let Some(open) = self.open.last_mut() {
            open.targets.push(Target {
                first,
                last,
                label,
                kind,
            });
        }
    }

    /// Ends a block that is opened at the start of the region.
    fn end_early(&mut self, label: Label, ty: BlockType) {
        self.code.push(Code::End);
        if let Some(open) = self.open.last() {
            self.regions[open.region].ends.push((label, ty));
        }
    }

    // Locals and labels.

    pub(crate) fn label(&mut self) -> Label {
        self.labels += 1;
        self.labels - 1
    }

    /// A block's label is its id; those of `else` arms follow.
    fn else_label(&self, id: BlockId) -> Label {
        self.function.blocks.len() + id
    }

    fn block(&self, id: BlockId) -> &'f Block {
        &self.function.blocks[id]
    }

    fn results_type(&mut self, id: BlockId) -> Result<BlockType, Error> {
        let results = all_exact(&self.block(id).results)?;
        Ok(self.block_type(Vec::new(), results))
    }

    fn block_type(&mut self, params: Vec<ValType>, results: Vec<ValType>) -> BlockType {
        match (params.as_slice(), results.as_slice()) {
            ([], []) => BlockType::Empty,
            ([], &[one]) => BlockType::Result(one),
            _ => BlockType::FunctionType(self.helpers.types.function(params, results)),
        }
    }

    fn new_code(&mut self, code: impl IntoIterator<Item = I<'static>>) {
        self.code.extend(code.into_iter().map(Code::New));
    }
}

/// What a site keeps, sorted, with the types of the locals that hold it.
pub(crate) fn slots(function: &Function<'_>, site: SiteId) -> Result<Vec<(Slot, ValType)>, Error> {
    let site = &function.sites[site];
    let locals = site
        .live
        .iter()
        .map(|&l| (Slot::Local(l), function.locals[l as usize]));
    let operands = site
        .operands
        .iter()
        .map(|&(height, ty)| (Slot::Operand(height), ty));
    let mut slots = Vec::new();
    for (slot, ty) in locals.chain(operands) {
        let ty = of_local(ty)?;
        if is_exception(ty) {
            return Err(Error::unsupported(
                "an exnref that lives across a safepoint",
            ));
        }
        if !is_external(ty) {
            slots.push((slot, ty));
        }
    }
    Ok(slots)
}
