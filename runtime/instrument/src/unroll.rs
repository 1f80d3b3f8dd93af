//! Which loops are laid out several times in a row, so that several turns share a poll.
//!
//! Only short innermost loops that call nothing: in others a poll is little of a turn. Where it
//! was a tenth of the time, it costs nothing then, since the compiler also saves a jump for each
//! copy. A loop over numbers is worth more copies: there the time goes in programs that compute.

use wasmparser::Operator;

use crate::function::{BlockId, BlockKind, Function, Op};

/// What an instruction weighs that does something, and not only names a value or a place.
const WORK: usize = 4;

/// The weight of all copies of a body together, at most.
const WEIGHT: usize = 320;

/// Copies of an ordinary loop's body.
const COPIES: usize = 2;

/// Copies of the body of a loop over floats or vectors, at most.
const COPIES_OF_NUMERIC: usize = 4;

/// For each block, how many times its body is laid out.
pub(crate) fn copies(function: &Function<'_>) -> Vec<usize> {
    let mut copies = vec![1; function.blocks.len()];
    let mut innermost: Option<Loop> = None;
    for op in &function.ops {
        match op {
            Op::Loop(id) => innermost = Some(Loop::new(*id)),
            Op::End(id) if innermost.as_ref().is_some_and(|found| found.id == *id) => {
                if let Some(found) = innermost.take() {
                    copies[*id] = found.copies();
                }
            }
            // What calls, or has handlers, or is a loop around one, stays as it is.
            Op::Call(..)
            | Op::Try(_)
            | Op::Plain(
                Operator::Call { .. } | Operator::CallIndirect { .. } | Operator::CallRef { .. },
            ) => innermost = None,
            op => {
                if let Some(found) = &mut innermost {
                    found.take(op);
                }
            }
        }
    }
    for (copies, block) in copies.iter_mut().zip(&function.blocks) {
        if block.poll.is_none() {
            *copies = 1;
        }
        debug_assert!(*copies == 1 || block.kind == BlockKind::Loop);
    }
    copies
}

/// The innermost loop around an instruction.
struct Loop {
    id: BlockId,
    weight: usize,
    numeric: bool,
    turns: bool,
}

impl Loop {
    fn new(id: BlockId) -> Self {
        Self {
            id,
            weight: 0,
            numeric: false,
            turns: false,
        }
    }

    fn take(&mut self, op: &Op<'_>) {
        self.turns |= match op {
            Op::Br(target)
            | Op::BrIf(target)
            | Op::BrOnNull(target, _)
            | Op::BrOnNonNull(target) => *target == self.id,
            Op::BrTable(targets, default) => targets.contains(&self.id) || *default == self.id,
            _ => false,
        };
        self.numeric |= matches!(
            op,
            Op::Plain(
                Operator::F32Add
                    | Operator::F32Sub
                    | Operator::F32Mul
                    | Operator::F64Add
                    | Operator::F64Sub
                    | Operator::F64Mul
                    | Operator::V128Load { .. }
                    | Operator::V128Store { .. }
            )
        );
        self.weight += match op {
            Op::Block(_) | Op::End(_) | Op::Else(_) => 1,
            Op::Plain(
                Operator::LocalGet { .. }
                | Operator::LocalSet { .. }
                | Operator::LocalTee { .. }
                | Operator::I32Const { .. }
                | Operator::I64Const { .. }
                | Operator::F32Const { .. }
                | Operator::F64Const { .. }
                | Operator::V128Const { .. }
                | Operator::Drop
                | Operator::Nop,
            ) => 1,
            Op::BrTable(targets, _) => WORK + targets.len(),
            _ => WORK,
        };
    }

    fn copies(&self) -> usize {
        let most = if self.numeric {
            COPIES_OF_NUMERIC
        } else {
            COPIES
        };
        if self.turns {
            (WEIGHT / self.weight.max(1)).clamp(1, most)
        } else {
            1
        }
    }
}
