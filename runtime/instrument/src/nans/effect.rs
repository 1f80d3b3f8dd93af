//! What an instruction does with floating-point values, as far as the bits of NaNs are concerned.

use wasm_encoder::ValType;
use wasmparser::Operator as O;

/// How bits are to be read as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    F32,
    F64,
    F32x4,
    F64x2,
}

impl Shape {
    /// The type of such values.
    pub(super) fn value(self) -> ValType {
        match self {
            Shape::F32 => ValType::F32,
            Shape::F64 => ValType::F64,
            Shape::F32x4 | Shape::F64x2 => ValType::V128,
        }
    }
}

/// What an instruction does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Takes numbers, and makes one, which may be a NaN of any bits.
    Arithmetic(Shape, Shape),
    /// Takes numbers, and gives something else, which is the same for every NaN.
    Judges(Shape),
    /// Gives its operand on, in another form or without its sign.
    Passes(Shape, Shape),
    /// Puts a number into a vector of them.
    Inserts(Shape, Shape),
    /// Gives one of two operands.
    Selects,
    Drops,
    /// Makes something that is no NaN, or a canonical one, however it is read.
    Makes,
    Gets(u32),
    Sets(u32),
    Tees(u32),
    /// Opens a block.
    Enters,
    Else,
    End,
    /// What follows is never reached.
    Leaves,
    /// Whatever it takes may be looked at, and what it gives has bits of its own.
    Other,
}

/// The effect of an instruction. Values in the memory `frames` are canonical already.
pub(super) fn of(operator: &O<'_>, frames: u32) -> Effect {
    use Effect::{
        Arithmetic, Drops, Else, End, Enters, Gets, Inserts, Judges, Leaves, Makes, Other, Passes,
        Selects, Sets, Tees,
    };
    use Shape::{F32, F32x4, F64, F64x2};
    match *operator {
        O::F32Add | O::F32Sub | O::F32Mul | O::F32Div | O::F32Min | O::F32Max => {
            Arithmetic(F32, F32)
        }
        O::F32Sqrt | O::F32Ceil | O::F32Floor | O::F32Trunc | O::F32Nearest => Arithmetic(F32, F32),
        O::F64Add | O::F64Sub | O::F64Mul | O::F64Div | O::F64Min | O::F64Max => {
            Arithmetic(F64, F64)
        }
        O::F64Sqrt | O::F64Ceil | O::F64Floor | O::F64Trunc | O::F64Nearest => Arithmetic(F64, F64),
        O::F32DemoteF64 => Arithmetic(F64, F32),
        O::F64PromoteF32 => Arithmetic(F32, F64),

        O::F32x4Add | O::F32x4Sub | O::F32x4Mul | O::F32x4Div | O::F32x4Min | O::F32x4Max => {
            Arithmetic(F32x4, F32x4)
        }
        O::F32x4Sqrt | O::F32x4Ceil | O::F32x4Floor | O::F32x4Trunc | O::F32x4Nearest => {
            Arithmetic(F32x4, F32x4)
        }
        O::F32x4RelaxedMadd | O::F32x4RelaxedNmadd | O::F32x4RelaxedMin | O::F32x4RelaxedMax => {
            Arithmetic(F32x4, F32x4)
        }
        O::F64x2Add | O::F64x2Sub | O::F64x2Mul | O::F64x2Div | O::F64x2Min | O::F64x2Max => {
            Arithmetic(F64x2, F64x2)
        }
        O::F64x2Sqrt | O::F64x2Ceil | O::F64x2Floor | O::F64x2Trunc | O::F64x2Nearest => {
            Arithmetic(F64x2, F64x2)
        }
        O::F64x2RelaxedMadd | O::F64x2RelaxedNmadd | O::F64x2RelaxedMin | O::F64x2RelaxedMax => {
            Arithmetic(F64x2, F64x2)
        }
        O::F32x4DemoteF64x2Zero => Arithmetic(F64x2, F32x4),
        O::F64x2PromoteLowF32x4 => Arithmetic(F32x4, F64x2),

        O::F32Eq | O::F32Ne | O::F32Lt | O::F32Gt | O::F32Le | O::F32Ge => Judges(F32),
        O::I32TruncF32S | O::I32TruncF32U | O::I64TruncF32S | O::I64TruncF32U => Judges(F32),
        O::I32TruncSatF32S | O::I32TruncSatF32U => Judges(F32),
        O::I64TruncSatF32S | O::I64TruncSatF32U => Judges(F32),
        O::F64Eq | O::F64Ne | O::F64Lt | O::F64Gt | O::F64Le | O::F64Ge => Judges(F64),
        O::I32TruncF64S | O::I32TruncF64U | O::I64TruncF64S | O::I64TruncF64U => Judges(F64),
        O::I32TruncSatF64S | O::I32TruncSatF64U => Judges(F64),
        O::I64TruncSatF64S | O::I64TruncSatF64U => Judges(F64),
        O::F32x4Eq | O::F32x4Ne | O::F32x4Lt | O::F32x4Gt | O::F32x4Le | O::F32x4Ge => {
            Judges(F32x4)
        }
        O::I32x4TruncSatF32x4S | O::I32x4TruncSatF32x4U => Judges(F32x4),
        O::F64x2Eq | O::F64x2Ne | O::F64x2Lt | O::F64x2Gt | O::F64x2Le | O::F64x2Ge => {
            Judges(F64x2)
        }
        O::I32x4TruncSatF64x2SZero | O::I32x4TruncSatF64x2UZero => Judges(F64x2),

        O::F32Abs => Passes(F32, F32),
        O::F64Abs => Passes(F64, F64),
        O::F32x4Abs => Passes(F32x4, F32x4),
        O::F64x2Abs => Passes(F64x2, F64x2),
        O::F32x4Splat => Passes(F32, F32x4),
        O::F64x2Splat => Passes(F64, F64x2),
        O::F32x4ExtractLane { .. } => Passes(F32x4, F32),
        O::F64x2ExtractLane { .. } => Passes(F64x2, F64),
        O::F32x4ReplaceLane { .. } => Inserts(F32, F32x4),
        O::F64x2ReplaceLane { .. } => Inserts(F64, F64x2),
        O::Select | O::TypedSelect { .. } => Selects,
        O::Drop => Drops,

        O::F32ConvertI32S | O::F32ConvertI32U | O::F32ConvertI64S | O::F32ConvertI64U => Makes,
        O::F64ConvertI32S | O::F64ConvertI32U | O::F64ConvertI64S | O::F64ConvertI64U => Makes,
        O::F32Const { value } if !f32::from_bits(value.bits()).is_nan() => Makes,
        O::F64Const { value } if !f64::from_bits(value.bits()).is_nan() => Makes,
        O::V128Const { value } if has_no_nan(*value.bytes()) => Makes,
        O::F32Load { memarg } | O::F64Load { memarg } | O::V128Load { memarg }
            if memarg.memory == frames =>
        {
            Makes
        }

        O::LocalGet { local_index } => Gets(local_index),
        O::LocalSet { local_index } => Sets(local_index),
        O::LocalTee { local_index } => Tees(local_index),
        O::Block { .. } | O::Loop { .. } | O::If { .. } | O::TryTable { .. } => Enters,
        O::Else => Else,
        O::End => End,
        O::Unreachable | O::Return | O::Br { .. } | O::BrTable { .. } => Leaves,
        O::ReturnCall { .. } | O::ReturnCallIndirect { .. } | O::ReturnCallRef { .. } => Leaves,
        O::Throw { .. } | O::ThrowRef => Leaves,
        _ => Other,
    }
}

/// Whether none of a vector's lanes is a NaN, in either shape.
fn has_no_nan(bytes: [u8; 16]) -> bool {
    let (narrow, _) = bytes.as_chunks::<4>();
    let (wide, _) = bytes.as_chunks::<8>();
    !narrow.iter().any(|&lane| f32::from_le_bytes(lane).is_nan())
        && !wide.iter().any(|&lane| f64::from_le_bytes(lane).is_nan())
}
