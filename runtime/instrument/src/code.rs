//! Code of the instrumented module before its branches are numbered.
//!
//! Resume points open blocks at the start of a region, long before the place where those
//! blocks end, so the depth of a branch is known only when a function is complete.

use wasm_encoder::{
    BlockType, BranchHint, Catch, Function, Instruction, ValType, reencode::Reencode,
};
use wasmparser::Operator;

use crate::{Error, indices::Indices, module::index};

/// Names a block of one function.
pub(crate) type Label = usize;

#[derive(Clone)]
pub(crate) enum Code<'a> {
    /// An operator of the original, whose indices are adapted.
    Original(Operator<'a>),
    /// An instruction of the pass.
    New(Instruction<'static>),
    Block(Label, BlockType),
    Loop(Label, BlockType),
    If(Label, BlockType),
    /// A `try_table`, with where each clause leads; the labels in the clauses are not used.
    Try(Label, BlockType, Vec<(Catch, Label)>),
    /// An `if` that is hardly ever entered, so that the compiler lays it out of the way.
    ColdIf(Label),
    Else,
    End,
    Br(Label),
    BrIf(Label),
    BrTable(Vec<Label>, Label),
    BrOnNull(Label),
    BrOnNonNull(Label),
    /// Where a region's early blocks are opened.
    Open(usize),
    /// Where a region's dispatch goes.
    Dispatch(usize),
}

/// A stretch of code that is entered at its start and can be resumed anywhere inside: a
/// function's body or a loop's.
#[derive(Default)]
pub(crate) struct Region<'a> {
    /// Blocks to open at the start, in the order in which they end.
    pub(crate) ends: Vec<(Label, BlockType)>,
    /// Code that jumps to the resume point; runs while rewinding.
    pub(crate) dispatch: Vec<Code<'a>>,
}

/// Numbers the branches of a function and encodes it. Also returns its branch hints.
pub(crate) fn encode<'a>(
    indices: &Indices,
    declared: impl IntoIterator<Item = ValType>,
    code: Vec<Code<'a>>,
    mut regions: Vec<Region<'a>>,
) -> Result<(Function, Vec<BranchHint>), Error> {
    let mut encoder = Encoder {
        indices,
        function: Function::new_with_locals_types(declared),
        hints: Vec::new(),
        open: vec![BODY],
        depth_of: Vec::new(),
    };
    for code in code {
        match code {
            Code::Open(region) => {
                for (label, ty) in std::mem::take(&mut regions[region].ends).into_iter().rev() {
                    encoder.encode(Code::Block(label, ty))?;
                }
            }
            Code::Dispatch(region) => {
                for code in std::mem::take(&mut regions[region].dispatch) {
                    encoder.encode(code)?;
                }
            }
            other => encoder.encode(other)?,
        }
    }
    Ok((encoder.function, encoder.hints))
}

/// The label of the function's own block.
pub(crate) const BODY: Label = 0;

struct Encoder<'i> {
    indices: &'i Indices,
    function: Function,
    hints: Vec<BranchHint>,
    open: Vec<Label>,
    /// Place of each open label in `open`.
    depth_of: Vec<usize>,
}

impl Encoder<'_> {
    fn encode(&mut self, code: Code<'_>) -> Result<(), Error> {
        let mut adapted = self.indices;
        let instruction = match code {
            Code::Original(operator) => adapted.instruction(operator).map_err(reencode_error)?,
            Code::New(instruction) => instruction,
            Code::Block(label, ty) => self.opened(label, Instruction::Block(ty)),
            Code::Loop(label, ty) => self.opened(label, Instruction::Loop(ty)),
            Code::If(label, ty) => self.opened(label, Instruction::If(ty)),
            Code::Try(label, ty, catches) => {
                let catches: Vec<Catch> = catches
                    .into_iter()
                    .map(|(catch, label)| relabel(catch, self.depth(label)))
                    .collect();
                self.opened(label, Instruction::TryTable(ty, catches.into()))
            }
            Code::ColdIf(label) => {
                let branch_func_offset = index(self.function.byte_len());
                self.hints.push(BranchHint {
                    branch_func_offset,
                    branch_hint_value: 0,
                });
                self.opened(label, Instruction::If(BlockType::Empty))
            }
            Code::Else => Instruction::Else,
            Code::End => {
                self.open.pop();
                Instruction::End
            }
            Code::Br(label) => Instruction::Br(self.depth(label)),
            Code::BrIf(label) => Instruction::BrIf(self.depth(label)),
            Code::BrOnNull(label) => Instruction::BrOnNull(self.depth(label)),
            Code::BrOnNonNull(label) => Instruction::BrOnNonNull(self.depth(label)),
            Code::BrTable(labels, default) => {
                let depths: Vec<u32> = labels.iter().map(|&label| self.depth(label)).collect();
                Instruction::BrTable(depths.into(), self.depth(default))
            }
            Code::Open(_) | Code::Dispatch(_) => return Ok(()),
        };
        self.function.instruction(&instruction);
        Ok(())
    }

    fn opened(&mut self, label: Label, instruction: Instruction<'static>) -> Instruction<'static> {
        if self.depth_of.len() <= label {
            self.depth_of.resize(label + 1, 0);
        }
        self.depth_of[label] = self.open.len();
        self.open.push(label);
        instruction
    }

    fn depth(&self, label: Label) -> u32 {
        let place = self.depth_of.get(label).copied().unwrap_or(0);
        debug_assert_eq!(self.open.get(place), Some(&label), "a branch out of scope");
        index(self.open.len() - 1 - place)
    }
}

fn relabel(catch: Catch, label: u32) -> Catch {
    match catch {
        Catch::One { tag, .. } => Catch::One { tag, label },
        Catch::OneRef { tag, .. } => Catch::OneRef { tag, label },
        Catch::All { .. } => Catch::All { label },
        Catch::AllRef { .. } => Catch::AllRef { label },
    }
}

/// Re-encoding fails only on what the parser would have refused.
pub(crate) fn reencode_error(error: wasm_encoder::reencode::Error) -> Error {
    Error::Unsupported {
        construct: error.to_string(),
        function: None,
    }
}
