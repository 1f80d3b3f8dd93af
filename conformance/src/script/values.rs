//! Arguments and results of test scripts, and what modules in them import.

use wasmtime::{
    AnyRef, ExternRef, Func, Global, GlobalType, Linker, Memory, MemoryType, Mutability, Ref,
    RefType, Result, Store, Table, TableType, Val, ValType, bail,
};
use wast::{
    core::{AbstractHeapType, HeapType, NanPattern, V128Pattern, WastArgCore, WastRetCore},
    token::{F32, F64},
};

pub(super) fn argument(store: &mut Store<()>, arg: &WastArgCore<'_>) -> Result<Val> {
    Ok(match arg {
        WastArgCore::I32(value) => Val::I32(*value),
        WastArgCore::I64(value) => Val::I64(*value),
        WastArgCore::F32(value) => Val::F32(value.bits),
        WastArgCore::F64(value) => Val::F64(value.bits),
        WastArgCore::V128(value) => Val::V128(u128::from_le_bytes(value.to_le_bytes()).into()),
        WastArgCore::RefNull(HeapType::Abstract { ty, .. }) => null(ty)?,
        WastArgCore::RefNull(_) => bail!("a null of a module's own type"),
        WastArgCore::RefExtern(number) => Val::ExternRef(Some(ExternRef::new(store, *number)?)),
        WastArgCore::RefHost(number) => {
            let outside = ExternRef::new(&mut *store, *number)?;
            Val::AnyRef(Some(AnyRef::convert_extern(store, outside)?))
        }
    })
}

fn null(ty: &AbstractHeapType) -> Result<Val> {
    Ok(match ty {
        AbstractHeapType::Func | AbstractHeapType::NoFunc => Val::FuncRef(None),
        AbstractHeapType::Extern | AbstractHeapType::NoExtern => Val::ExternRef(None),
        AbstractHeapType::Exn | AbstractHeapType::NoExn => Val::ExnRef(None),
        AbstractHeapType::Any
        | AbstractHeapType::Eq
        | AbstractHeapType::Struct
        | AbstractHeapType::Array
        | AbstractHeapType::I31
        | AbstractHeapType::None => Val::AnyRef(None),
        _ => bail!("a null of {ty:?}"),
    })
}

pub(super) fn matches(
    store: &mut Store<()>,
    found: &Val,
    expected: &WastRetCore<'_>,
) -> Result<bool> {
    Ok(match (found, expected) {
        (found, WastRetCore::Either(cases)) => {
            for case in cases {
                if matches(store, found, case)? {
                    return Ok(true);
                }
            }
            false
        }
        (Val::I32(found), WastRetCore::I32(expected)) => found == expected,
        (Val::I64(found), WastRetCore::I64(expected)) => found == expected,
        (Val::F32(found), WastRetCore::F32(expected)) => f32_matches(*found, expected),
        (Val::F64(found), WastRetCore::F64(expected)) => f64_matches(*found, expected),
        (Val::V128(found), WastRetCore::V128(expected)) => {
            v128_matches(found.as_u128().to_le_bytes(), expected)
        }
        (Val::FuncRef(None), WastRetCore::RefNull(_))
        | (Val::ExternRef(None), WastRetCore::RefNull(_))
        | (Val::AnyRef(None), WastRetCore::RefNull(_))
        | (Val::ExnRef(None), WastRetCore::RefNull(_))
        | (Val::FuncRef(Some(_)), WastRetCore::RefFunc(_))
        | (Val::ExternRef(Some(_)), WastRetCore::RefExtern(None))
        | (Val::AnyRef(Some(_)), WastRetCore::RefAny) => true,
        (Val::ExternRef(Some(found)), WastRetCore::RefExtern(Some(expected))) => {
            is_number(store, found, *expected)?
        }
        (Val::AnyRef(Some(found)), WastRetCore::RefHost(expected)) => {
            let found = ExternRef::convert_any(&mut *store, *found)?;
            is_number(store, &found, *expected)?
        }
        (Val::AnyRef(Some(found)), WastRetCore::RefEq) => found.is_eqref(&*store)?,
        (Val::AnyRef(Some(found)), WastRetCore::RefArray) => found.is_array(&*store)?,
        (Val::AnyRef(Some(found)), WastRetCore::RefStruct) => found.is_struct(&*store)?,
        (Val::AnyRef(Some(found)), WastRetCore::RefI31) => found.is_i31(&*store)?,
        _ => false,
    })
}

fn is_number(
    store: &Store<()>,
    found: &wasmtime::Rooted<ExternRef>,
    expected: u32,
) -> Result<bool> {
    let data = found.data(store)?;
    Ok(data.and_then(|data| data.downcast_ref()) == Some(&expected))
}

fn f32_matches(found: u32, expected: &NanPattern<F32>) -> bool {
    match expected {
        NanPattern::CanonicalNan => found & 0x7fff_ffff == 0x7fc0_0000,
        NanPattern::ArithmeticNan => found & 0x7fc0_0000 == 0x7fc0_0000,
        NanPattern::Value(expected) => found == expected.bits,
    }
}

fn f64_matches(found: u64, expected: &NanPattern<F64>) -> bool {
    match expected {
        NanPattern::CanonicalNan => found & (u64::MAX >> 1) == 0x7ff8 << 48,
        NanPattern::ArithmeticNan => found & (0x7ff8 << 48) == 0x7ff8 << 48,
        NanPattern::Value(expected) => found == expected.bits,
    }
}

fn v128_matches(found: [u8; 16], expected: &V128Pattern) -> bool {
    fn lanes<const N: usize, T>(
        found: [u8; 16],
        expected: &[T],
        matches: impl Fn([u8; N], &T) -> bool,
    ) -> bool {
        let (lanes, _) = found.as_chunks::<N>();
        lanes
            .iter()
            .zip(expected)
            .all(|(found, expected)| matches(*found, expected))
    }
    match expected {
        V128Pattern::I8x16(lanes_) => lanes(found, lanes_, |l, e| i8::from_le_bytes(l) == *e),
        V128Pattern::I16x8(lanes_) => lanes(found, lanes_, |l, e| i16::from_le_bytes(l) == *e),
        V128Pattern::I32x4(lanes_) => lanes(found, lanes_, |l, e| i32::from_le_bytes(l) == *e),
        V128Pattern::I64x2(lanes_) => lanes(found, lanes_, |l, e| i64::from_le_bytes(l) == *e),
        V128Pattern::F32x4(lanes_) => {
            lanes(found, lanes_, |l, e| f32_matches(u32::from_le_bytes(l), e))
        }
        V128Pattern::F64x2(lanes_) => {
            lanes(found, lanes_, |l, e| f64_matches(u64::from_le_bytes(l), e))
        }
    }
}

const SPECTEST: &str = "spectest";

/// The functions of the module `spectest`, which scripts may import from unasked.
pub(super) fn functions(linker: &mut Linker<()>) -> Result<()> {
    linker.func_wrap(SPECTEST, "print", || {})?;
    linker.func_wrap(SPECTEST, "print_i32", |_: i32| {})?;
    linker.func_wrap(SPECTEST, "print_i64", |_: i64| {})?;
    linker.func_wrap(SPECTEST, "print_f32", |_: f32| {})?;
    linker.func_wrap(SPECTEST, "print_f64", |_: f64| {})?;
    linker.func_wrap(SPECTEST, "print_i32_f32", |_: i32, _: f32| {})?;
    linker.func_wrap(SPECTEST, "print_f64_f64", |_: f64, _: f64| {})?;
    Ok(())
}

/// Its globals, tables and memory.
pub(super) fn state(store: &mut Store<()>, linker: &mut Linker<()>) -> Result<()> {
    for (name, ty, value) in [
        ("global_i32", ValType::I32, Val::I32(666)),
        ("global_i64", ValType::I64, Val::I64(666)),
        ("global_f32", ValType::F32, Val::from(666.6f32)),
        ("global_f64", ValType::F64, Val::from(666.6f64)),
    ] {
        let ty = GlobalType::new(ty, Mutability::Const);
        let global = Global::new(&mut *store, ty, value)?;
        linker.define(&mut *store, SPECTEST, name, global)?;
    }
    let table = TableType::new(RefType::FUNCREF, 10, Some(20));
    let table64 = TableType::new64(RefType::FUNCREF, 10, Some(20));
    for (name, ty) in [("table", table), ("table64", table64)] {
        let table = Table::new(&mut *store, ty, Ref::Func(None::<Func>))?;
        linker.define(&mut *store, SPECTEST, name, table)?;
    }
    let memory = Memory::new(&mut *store, MemoryType::new(1, Some(2)))?;
    linker.define(&mut *store, SPECTEST, "memory", memory)?;
    Ok(())
}
