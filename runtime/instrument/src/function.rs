//! One function of the original module, in the form the pass works on: dead code removed,
//! branches as the blocks they name, operand types known wherever a safepoint needs them.

use wasmparser::{
    BlockType, Catch, FuncToValidate, FuncValidatorAllocations, FunctionBody, Operator, ValType,
    ValidatorResources,
};

use crate::{
    Error, MAX_SLOTS,
    callgraph::Verdicts,
    module::{Module, body_start, index},
};

/// A block, loop or `if`, by its place in [`Function::blocks`]. Block 0 is the body.
pub(crate) type BlockId = usize;

/// A safepoint or call site, by its place in [`Function::sites`].
pub(crate) type SiteId = usize;

/// An operand's place on the operand stack, counted from the bottom, and its type.
pub(crate) type Operand = (u32, ValType);

#[derive(Debug)]
pub(crate) enum Op<'a> {
    /// Anything that needs no change but of the indices in it.
    Plain(Operator<'a>),
    Block(BlockId),
    Loop(BlockId),
    If(BlockId),
    Try(BlockId),
    Else(BlockId),
    End(BlockId),
    Br(BlockId),
    BrIf(BlockId),
    BrTable(Vec<BlockId>, BlockId),
    /// With the type of the operand that it looks at.
    BrOnNull(BlockId, ValType),
    BrOnNonNull(BlockId),
    /// A call that can leave.
    Call(SiteId, Operator<'a>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BlockKind {
    Block,
    Loop,
    If,
    Try,
}

#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) kind: BlockKind,
    pub(crate) ty: BlockType,
    pub(crate) params: Vec<ValType>,
    pub(crate) results: Vec<ValType>,
    /// Operands of the enclosing block that lie below this one's parameters.
    pub(crate) beneath: Vec<Operand>,
    /// Height of the operand stack below the parameters.
    pub(crate) base: u32,
    /// A safepoint or call site lies inside.
    pub(crate) has_site: bool,
    pub(crate) has_else: bool,
    /// For a loop: its header's safepoint.
    pub(crate) poll: Option<SiteId>,
    /// For a block with sites, its first.
    pub(crate) first_site: SiteId,
    /// The last site before the block's end: for a block with sites, its last.
    pub(crate) last_site: SiteId,
    /// For a `try_table`: its clauses, and where each leads.
    pub(crate) catches: Vec<(Catch, BlockId)>,
}

impl Block {
    /// Whether there are sites that only lead on from its head: those of a loop besides its
    /// poll, or of a `try_table`.
    pub(crate) fn is_region(&self) -> bool {
        match self.kind {
            BlockKind::Loop => self.last_site > self.first_site,
            BlockKind::Try => true,
            BlockKind::Block | BlockKind::If => false,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SiteKind {
    /// The function's entry.
    Entry,
    /// A loop's header.
    Loop,
    /// A call of a function that always runs in its own name.
    Call(u32),
    /// A call whose frame another function may hold: indirect, or of one that tail-calls.
    Dynamic,
}

#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) kind: SiteKind,
    /// Byte offset in the body.
    pub(crate) offset: u32,
    /// Operands to keep, bottom first: those that the call does not take, or all at a loop.
    pub(crate) operands: Vec<Operand>,
    /// Of those, how many lie in the current block, on top: the others are spilled already.
    pub(crate) in_block: usize,
    /// Operand types the call takes (with what says whom a dynamic one calls), and gives.
    pub(crate) takes: Vec<ValType>,
    pub(crate) gives: Vec<ValType>,
    /// Locals that are live here, filled in by [`crate::liveness`].
    pub(crate) live: Vec<u32>,
}

pub(crate) struct Function<'a> {
    pub(crate) index: u32,
    /// Parameters, then declared locals.
    pub(crate) locals: Vec<ValType>,
    pub(crate) params: u32,
    pub(crate) results: Vec<ValType>,
    pub(crate) ops: Vec<Op<'a>>,
    pub(crate) blocks: Vec<Block>,
    pub(crate) sites: Vec<Site>,
}

impl<'a> Function<'a> {
    /// Reads and validates a body. `allocations` are reused from body to body.
    pub(crate) fn read(
        module: &Module<'a>,
        verdicts: &Verdicts,
        validator: FuncToValidate<ValidatorResources>,
        allocations: &mut FuncValidatorAllocations,
        body: &FunctionBody<'a>,
    ) -> Result<Self, Error> {
        Reader::new(module, verdicts, validator, allocations, body)?.run(allocations)
    }
}

type FuncValidator = wasmparser::FuncValidator<ValidatorResources>;

struct Reader<'m, 'a> {
    module: &'m Module<'a>,
    verdicts: &'m Verdicts,
    validator: FuncValidator,
    body: FunctionBody<'a>,
    open: Vec<BlockId>,
    /// Depth of blocks opened in dead code, while in dead code.
    dead: Option<u32>,
    /// Operands listed so far: their number is the guest's to choose, and quadratic.
    kept: usize,
    function: Function<'a>,
}

impl<'m, 'a> Reader<'m, 'a> {
    fn new(
        module: &'m Module<'a>,
        verdicts: &'m Verdicts,
        validator: FuncToValidate<ValidatorResources>,
        allocations: &mut FuncValidatorAllocations,
        body: &FunctionBody<'a>,
    ) -> Result<Self, Error> {
        let function = validator.index;
        let mut validator = validator.into_validator(std::mem::take(allocations));
        validator.read_locals(&mut body.get_binary_reader())?;
        let ty = module.function_type(function);
        let locals = (0..validator.len_locals())
            .filter_map(|local| validator.get_local_type(local))
            .map(|ty| module.canonical.value(ty))
            .collect();
        let whole = Block {
            kind: BlockKind::Block,
            ty: BlockType::Empty,
            params: Vec::new(),
            results: ty.results().to_vec(),
            beneath: Vec::new(),
            base: 0,
            has_site: false,
            has_else: false,
            poll: None,
            first_site: 0,
            last_site: 0,
            catches: Vec::new(),
        };
        Ok(Self {
            module,
            verdicts,
            validator,
            body: body.clone(),
            open: vec![0],
            dead: None,
            kept: 0,
            function: Function {
                index: function,
                locals,
                params: index(ty.params().len()),
                results: ty.results().to_vec(),
                ops: Vec::new(),
                blocks: vec![whole],
                sites: Vec::new(),
            },
        })
    }

    fn run(mut self, allocations: &mut FuncValidatorAllocations) -> Result<Function<'a>, Error> {
        let start = body_start(&self.body);
        let mut operators = self.body.get_operators_reader()?;
        if self.verdicts.functions[self.function.index as usize].polls_at_entry {
            self.site(SiteKind::Entry, 0, Vec::new(), 0, Vec::new(), Vec::new());
        }
        while !operators.eof() {
            let (operator, position) = operators.read_with_offset()?;
            if self.dead.is_none() {
                self.live(operator.clone(), index(position - start))?;
            } else {
                self.skip(&operator);
            }
            if self.kept > MAX_SLOTS {
                return Err(Error::TooLarge {
                    what: "saved operands",
                    limit: MAX_SLOTS,
                });
            }
            self.validator.op(position, &operator)?;
        }
        operators.finish()?;
        *allocations = self.validator.into_allocations();
        Ok(self.function)
    }

    /// An operator that can be reached, seen before the validator does.
    fn live(&mut self, operator: Operator<'a>, offset: u32) -> Result<(), Error> {
        match operator {
            Operator::Block { blockty } => self.enter(BlockKind::Block, blockty, offset),
            Operator::Loop { blockty } => self.enter(BlockKind::Loop, blockty, offset),
            Operator::If { blockty } => self.enter(BlockKind::If, blockty, offset),
            Operator::TryTable { try_table } => {
                // A clause's label is counted from outside.
                let catches = try_table.catches.iter();
                let catches = catches
                    .map(|&catch| (catch, self.target(label(catch))))
                    .collect();
                self.enter(BlockKind::Try, try_table.ty, offset);
                if let Some(block) = self.function.blocks.last_mut() {
                    block.catches = catches;
                }
            }
            Operator::Else => self.otherwise(),
            Operator::End => self.leave(),
            Operator::Br { relative_depth } => {
                let target = self.target(relative_depth);
                self.function.ops.push(Op::Br(target));
                self.dead = Some(0);
            }
            Operator::BrIf { relative_depth } => {
                let target = self.target(relative_depth);
                self.function.ops.push(Op::BrIf(target));
            }
            Operator::BrTable { targets } => {
                let mut blocks = Vec::new();
                for depth in targets.targets() {
                    blocks.push(self.target(depth?));
                }
                let default = self.target(targets.default());
                self.function.ops.push(Op::BrTable(blocks, default));
                self.dead = Some(0);
            }
            Operator::BrOnNull { relative_depth } => {
                let target = self.target(relative_depth);
                let height = self.validator.operand_stack_height();
                let operand = self.operands(height - 1, height);
                // One that the validator knows nothing of is in dead code.
                let ty = operand.first().map_or(ValType::FUNCREF, |&(_, ty)| ty);
                self.function.ops.push(Op::BrOnNull(target, ty));
            }
            Operator::BrOnNonNull { relative_depth } => {
                let target = self.target(relative_depth);
                self.function.ops.push(Op::BrOnNonNull(target));
            }
            Operator::Return
            | Operator::Unreachable
            | Operator::ReturnCall { .. }
            | Operator::ReturnCallIndirect { .. }
            | Operator::ReturnCallRef { .. }
            | Operator::Throw { .. }
            | Operator::ThrowRef => {
                self.function.ops.push(Op::Plain(operator));
                self.dead = Some(0);
            }
            Operator::Call { function_index } if self.can_leave(function_index) => {
                let ty = self.module.function_type(function_index);
                let kind = if self.verdicts.functions[function_index as usize].tail_calls {
                    SiteKind::Dynamic
                } else {
                    SiteKind::Call(function_index)
                };
                let (takes, gives) = (ty.params().to_vec(), ty.results().to_vec());
                self.call(kind, operator, offset, takes, gives);
            }
            Operator::CallIndirect {
                type_index,
                table_index,
            } if self.indirect_can_leave(type_index) => {
                let wide = self.module.tables[table_index as usize].table64;
                let index = if wide { ValType::I64 } else { ValType::I32 };
                self.dynamic_call(type_index, index, operator, offset);
            }
            Operator::CallRef { type_index } if self.indirect_can_leave(type_index) => {
                let reference = self.module.canonical.reference(type_index, true);
                self.dynamic_call(type_index, reference, operator, offset);
            }
            other => self.function.ops.push(Op::Plain(other)),
        }
        Ok(())
    }

    fn skip(&mut self, operator: &Operator<'a>) {
        let depth = self.dead.unwrap_or(0);
        match operator {
            Operator::Block { .. }
            | Operator::Loop { .. }
            | Operator::If { .. }
            | Operator::TryTable { .. } => {
                self.dead = Some(depth + 1);
            }
            Operator::End if depth > 0 => self.dead = Some(depth - 1),
            Operator::End => self.leave(),
            Operator::Else if depth == 0 => self.otherwise(),
            _ => {}
        }
    }

    fn enter(&mut self, kind: BlockKind, ty: BlockType, offset: u32) {
        let (params, results) = match ty {
            BlockType::Empty => (Vec::new(), Vec::new()),
            BlockType::Type(result) => (Vec::new(), vec![self.module.canonical.value(result)]),
            BlockType::FuncType(index) => {
                let ty = self.module.type_at(index);
                (ty.params().to_vec(), ty.results().to_vec())
            }
        };
        let condition = u32::from(kind == BlockKind::If);
        let height = self.validator.operand_stack_height() - condition;
        let base = height - index(params.len());
        let beneath = self.operands(self.block_base(), base);
        let id = self.function.blocks.len();
        self.function.blocks.push(Block {
            kind,
            ty,
            params,
            results,
            beneath,
            base,
            has_site: false,
            has_else: false,
            poll: None,
            first_site: self.function.sites.len(),
            last_site: 0,
            catches: Vec::new(),
        });
        self.open.push(id);
        self.function.ops.push(match kind {
            BlockKind::Block => Op::Block(id),
            BlockKind::Loop => Op::Loop(id),
            BlockKind::If => Op::If(id),
            BlockKind::Try => Op::Try(id),
        });
        if kind == BlockKind::Loop && self.verdicts.functions[self.function.index as usize].leaves {
            let operands = self.operands(0, height);
            let in_block = self.function.blocks[id].params.len();
            let (takes, gives) = (Vec::new(), Vec::new());
            let site = self.site(SiteKind::Loop, offset, operands, in_block, takes, gives);
            self.function.blocks[id].poll = Some(site);
        }
    }

    fn otherwise(&mut self) {
        self.dead = None;
        if let Some(&id) = self.open.last() {
            self.function.blocks[id].has_else = true;
            self.function.ops.push(Op::Else(id));
        }
    }

    fn leave(&mut self) {
        self.dead = None;
        if let Some(id) = self.open.pop() {
            self.function.blocks[id].last_site = self.function.sites.len().saturating_sub(1);
            self.function.ops.push(Op::End(id));
        }
    }

    /// A call whose topmost operand, of type `callee`, says what is called.
    fn dynamic_call(&mut self, ty: u32, callee: ValType, operator: Operator<'a>, offset: u32) {
        let ty = self.module.type_at(ty);
        let mut takes = ty.params().to_vec();
        takes.push(callee);
        let gives = ty.results().to_vec();
        self.call(SiteKind::Dynamic, operator, offset, takes, gives);
    }

    fn call(
        &mut self,
        kind: SiteKind,
        operator: Operator<'a>,
        offset: u32,
        takes: Vec<ValType>,
        gives: Vec<ValType>,
    ) {
        let height = self.validator.operand_stack_height() - index(takes.len());
        let operands = self.operands(0, height);
        let in_block = (height - self.block_base()) as usize;
        let site = self.site(kind, offset, operands, in_block, takes, gives);
        self.function.ops.push(Op::Call(site, operator));
    }

    fn site(
        &mut self,
        kind: SiteKind,
        offset: u32,
        operands: Vec<Operand>,
        in_block: usize,
        takes: Vec<ValType>,
        gives: Vec<ValType>,
    ) -> SiteId {
        // A block that is marked lies in marked ones only.
        for &block in self.open.iter().rev() {
            if std::mem::replace(&mut self.function.blocks[block].has_site, true) {
                break;
            }
        }
        let live = Vec::new();
        self.function.sites.push(Site {
            kind,
            offset,
            operands,
            in_block,
            takes,
            gives,
            live,
        });
        self.function.sites.len() - 1
    }

    fn can_leave(&self, function: u32) -> bool {
        self.verdicts.functions[function as usize].leaves
    }

    fn indirect_can_leave(&self, ty: u32) -> bool {
        self.verdicts.indirect_call_leaves(self.module, ty)
    }

    fn target(&self, depth: u32) -> BlockId {
        // Validation follows: an impossible depth is reported there, and this answer unused.
        let place = self.open.len().saturating_sub(1 + depth as usize);
        self.open.get(place).copied().unwrap_or(0)
    }

    /// Height at which the innermost open block's own operands begin.
    fn block_base(&self) -> u32 {
        self.open
            .last()
            .map_or(0, |&id| self.function.blocks[id].base)
    }

    /// The operands from height `from` up to height `to`.
    fn operands(&mut self, from: u32, to: u32) -> Vec<Operand> {
        let height = self.validator.operand_stack_height();
        self.kept += to.saturating_sub(from) as usize;
        (from..to)
            .filter_map(|place| {
                let depth = (height - 1 - place) as usize;
                let ty = self.validator.get_operand_type(depth)??;
                Some((place, self.module.canonical.value(ty)))
            })
            .collect()
    }
}

fn label(catch: Catch) -> u32 {
    match catch {
        Catch::One { label, .. }
        | Catch::OneRef { label, .. }
        | Catch::All { label }
        | Catch::AllRef { label } => label,
    }
}
