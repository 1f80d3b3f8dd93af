//! Puts the instructions into a body that make results canonical.

use wasm_encoder::{BlockType, BranchHint, Function, Instruction as I};
use wasmparser::FunctionBody;

use crate::{
    Error,
    module::{body_start, index},
    types::exact,
};

use super::{Mark, effect::Shape};

/// A body that was changed.
pub(super) struct Inserted {
    pub(super) function: Function,
    /// From an offset of the old body on, by how many bytes instructions have moved.
    pub(super) moves: Vec<(usize, usize)>,
    /// Branches that are hardly ever taken.
    pub(super) cold: Vec<BranchHint>,
}

/// Makes results canonical. `locals` is how many the function has, with its parameters; `marks` are ascending.
pub(super) fn canonicalise(
    body: &FunctionBody<'_>,
    locals: u32,
    marks: &[Mark],
) -> Result<Inserted, Error> {
    let mut declared = Vec::new();
    for local in body.get_locals_reader()? {
        let (count, ty) = local?;
        declared.push((count, exact(ty)?));
    }
    let mut copies = Vec::new();
    for &(_, shape) in marks {
        if !copies.contains(&shape.value()) {
            copies.push(shape.value());
        }
    }
    declared.extend(copies.iter().map(|&ty| (1, ty)));
    let copy = |ty| locals + copies.iter().position(|&one| one == ty).map_or(0, index);

    let old = body.as_bytes();
    let mut from = body.get_operators_reader()?.original_position() - body_start(body);
    let mut function = Function::new(declared);
    let mut moves = vec![(0, function.byte_len() - from)];
    let mut cold = Vec::new();
    for &(end, shape) in marks {
        function.raw(old[from..end].iter().copied());
        for instruction in make_canonical(shape, copy(shape.value())) {
            if matches!(instruction, I::If(_)) {
                cold.push(BranchHint {
                    branch_func_offset: index(function.byte_len()),
                    branch_hint_value: 0,
                });
            }
            function.instruction(&instruction);
        }
        moves.push((end, function.byte_len() - end));
        from = end;
    }
    function.raw(old[from..].iter().copied());
    Ok(Inserted {
        function,
        moves,
        cold,
    })
}

/// The canonical NaNs of the deterministic profile.
const F32: u32 = 0x7fc0_0000;
const F64: u64 = 0x7ff8_0000_0000_0000;

/// Of a NaN on the stack, a canonical one; anything else stays. `copy` is a local of that type.
fn make_canonical(shape: Shape, copy: u32) -> Vec<I<'static>> {
    match shape {
        Shape::F32 => replace(copy, I::F32Ne, I::F32Const(f32::from_bits(F32).into())),
        Shape::F64 => replace(copy, I::F64Ne, I::F64Const(f64::from_bits(F64).into())),
        Shape::F32x4 => choose(copy, I::F32x4Eq, lanes(F32.into(), 32)),
        Shape::F64x2 => choose(copy, I::F64x2Eq, lanes(F64.into(), 64)),
    }
}

/// A branch that is never taken costs less than a choice that has to wait for the value.
fn replace(copy: u32, differs: I<'static>, nan: I<'static>) -> Vec<I<'static>> {
    vec![
        I::LocalTee(copy),
        I::LocalGet(copy),
        differs,
        I::If(BlockType::Empty),
        nan,
        I::LocalSet(copy),
        I::End,
        I::LocalGet(copy),
    ]
}

fn choose(copy: u32, equals: I<'static>, nan: i128) -> Vec<I<'static>> {
    vec![
        I::LocalTee(copy),
        I::V128Const(nan),
        I::LocalGet(copy),
        I::LocalGet(copy),
        equals,
        I::V128Bitselect,
    ]
}

/// A vector of which each lane of `bits` bits is the same.
fn lanes(lane: u128, bits: u32) -> i128 {
    let all = (0..128 / bits).fold(0, |all, place| all | (lane << (place * bits)));
    all.cast_signed()
}
