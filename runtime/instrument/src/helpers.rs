//! Functions that the pass adds: they store and load frames, make host calls, and resume
//! functions by identity.
//!
//! A stored frame is its values in the order of their types, then the u32 of its site. Frames
//! are pushed innermost first, so that rewinding pops the outermost first.
//! One helper serves all frames of the same types: the code at a safepoint stays small.

use std::collections::HashMap;

use wherry_snapshot::Slot;

use wasm_encoder::{Function, HeapType, Instruction as I, MemArg, RefType, ValType};

use crate::{
    Error, FLAG_LEAVE, Options, REWINDING, RUNNING, UNWINDING,
    indices::{FLAG_MEMORY, Indices, Types},
    layout::Layout,
    map::Type,
    module::index,
    types::is_external,
};

/// Values that are stored without a helper where that is worth the larger code.
pub(crate) const FEW: usize = 64;

/// Values that one helper takes or gives: far below the limit on parameters, and enough for
/// nearly every frame.
const CHUNK: usize = 128;

/// Added functions, in the order of their indices.
pub(crate) struct Helpers {
    pub(crate) options: Options,
    pub(crate) indices: Indices,
    pub(crate) types: Types,
    added: Vec<(u32, Function)>,
    savers: HashMap<(Vec<ValType>, bool), u32>,
    /// Functions that stand for any of their type where one must be named.
    stand_ins: HashMap<HeapType, u32>,
}

impl Helpers {
    pub(crate) fn new(options: Options, indices: Indices, types: Types) -> Self {
        Self {
            options,
            indices,
            types,
            added: Vec::new(),
            savers: HashMap::new(),
            stand_ins: HashMap::new(),
        }
    }

    /// Functions that [`Helpers::zero`] refers to, ascending.
    pub(crate) fn stand_ins(&self) -> Vec<u32> {
        let mut functions: Vec<u32> = self.stand_ins.values().copied().collect();
        functions.sort_unstable();
        functions
    }

    /// Types and bodies of what was added, in index order.
    pub(crate) fn into_added(self) -> (Types, Vec<(u32, Function)>) {
        (self.types, self.added)
    }

    pub(crate) fn add(&mut self, ty: u32, function: Function) -> u32 {
        self.added.push((ty, function));
        self.indices.first_added_function() + index(self.added.len()) - 1
    }

    /// Code that stores a frame of the locals `values`, and the site that `site` gives, and begins to unwind.
    pub(crate) fn save(&mut self, values: &[(u32, ValType)], site: &I<'static>) -> Vec<I<'static>> {
        let mut code = Vec::new();
        let chunks = chunks(values);
        for (place, chunk) in chunks.iter().enumerate() {
            let last = place + 1 == chunks.len();
            let types: Vec<ValType> = chunk.iter().map(|&(_, ty)| stored(ty)).collect();
            code.extend(chunk.iter().map(|&(local, _)| I::LocalGet(local)));
            if last {
                code.push(site.clone());
            }
            code.push(I::Call(self.saver(types, last)));
        }
        code
    }

    /// As [`Helpers::save`], without a call: what a call takes in registers disturbs a loop's,
    /// even where it is never made.
    pub(crate) fn save_inline(
        &self,
        values: &[(u32, ValType)],
        site: I<'static>,
    ) -> Vec<I<'static>> {
        let base = I::GlobalGet(self.indices.stack_pointer);
        self.push(&base, values.iter().copied(), Some(site))
    }

    /// Code that pops a frame of this layout. What was popped stays where it is until the
    /// program leaves again.
    pub(crate) fn pop(&self, layout: &Layout) -> [I<'static>; 4] {
        let stack_pointer = self.indices.stack_pointer;
        let size = layout.size().cast_signed();
        [
            I::GlobalGet(stack_pointer),
            I::I32Const(size),
            I::I32Sub,
            I::GlobalSet(stack_pointer),
        ]
    }

    /// Code that loads a value at an offset of the frame popped last.
    pub(crate) fn load(&self, ty: ValType, offset: u32) -> Vec<I<'static>> {
        let mut code = vec![I::GlobalGet(self.indices.stack_pointer)];
        code.extend(self.fetch(ty, offset.into()));
        code
    }

    /// Code that sets a local of type `ty` to what lies at an offset of the frame popped last.
    /// A reference of another type, or a null where there can be none, belongs to another
    /// site, which does not need this local: it is left as it is.
    pub(crate) fn restore(&self, local: u32, ty: ValType, offset: u32) -> Vec<I<'static>> {
        let mut code = self.load(ty, offset);
        let ValType::Ref(reference) = ty else {
            code.push(I::LocalSet(local));
            return code;
        };
        if ty != stored(ty) {
            let heap = reference.heap_type;
            let (test, cast) = if reference.nullable {
                (I::RefTestNullable(heap), I::RefCastNullable(heap))
            } else {
                (I::RefTestNonNull(heap), I::RefCastNonNull(heap))
            };
            code.extend([test, I::If(wasm_encoder::BlockType::Empty)]);
            code.extend(self.load(ty, offset));
            code.extend([cast, I::LocalSet(local), I::End]);
        } else {
            code.push(I::LocalSet(local));
        }
        code
    }

    /// True (on the stack) if the program is to leave or is rewinding.
    pub(crate) fn poll(&self) -> Vec<I<'static>> {
        let flag = [I::I32Const(0), self.load_flag()];
        if !self.options.countdown {
            return flag.to_vec();
        }
        let countdown = self.indices.countdown;
        let mut code = self.count(-1);
        code.extend([I::GlobalGet(countdown), I::I64Eqz]);
        code.extend(flag);
        code.push(I::I32Or);
        code
    }

    fn load_flag(&self) -> I<'static> {
        let flag = at(0, 0, FLAG_MEMORY);
        if self.options.unshared_flag {
            I::I32Load8U(flag)
        } else {
            // A plain load is hoisted out of loops.
            I::I32AtomicLoad8U(flag)
        }
    }

    /// Undoes the count of a poll that was passed only to rewind.
    pub(crate) fn uncount(&self) -> Vec<I<'static>> {
        if self.options.countdown {
            self.count(1)
        } else {
            Vec::new()
        }
    }

    fn count(&self, by: i64) -> Vec<I<'static>> {
        let countdown = self.indices.countdown;
        vec![
            I::GlobalGet(countdown),
            I::I64Const(by),
            I::I64Add,
            I::GlobalSet(countdown),
        ]
    }

    /// True (on the stack) if the program is rewinding.
    pub(crate) fn rewinding(&self) -> [I<'static>; 3] {
        [
            I::GlobalGet(self.indices.state),
            I::I32Const(REWINDING),
            I::I32Eq,
        ]
    }

    /// Code that ends the rewinding. A request to leave that came meanwhile stays.
    pub(crate) fn resumed(&self) -> Vec<I<'static>> {
        let (flag, leave) = (at(0, 0, FLAG_MEMORY), I::I32Const(FLAG_LEAVE.into()));
        let mut code = vec![
            I::I32Const(RUNNING),
            I::GlobalSet(self.indices.state),
            I::I32Const(0),
        ];
        if self.options.unshared_flag {
            let load = [I::I32Const(0), self.load_flag()];
            code.extend(load);
            code.extend([leave, I::I32And, I::I32Store8(flag)]);
        } else {
            code.extend([leave, I::I32AtomicRmw8AndU(flag), I::Drop]);
        }
        code
    }

    /// The trampoline of an imported function: a safepoint before the call, which is made
    /// again if the host begins to unwind in it.
    pub(crate) fn trampoline(
        &mut self,
        import: u32,
        params: &[ValType],
        results: &[ValType],
        site: u32,
    ) -> Result<Function, Error> {
        let values = in_frame_order(
            params
                .iter()
                .enumerate()
                .map(|(local, &ty)| (index(local), ty)),
        );
        let leave = {
            let mut code = self.save(&values, &I::I32Const(site.cast_signed()));
            for &ty in results {
                code.extend(self.zero(ty)?);
            }
            code.push(I::Return);
            code
        };
        let state = self.indices.state;
        let mut code = self.poll();
        code.push(I::If(wasm_encoder::BlockType::Empty));
        if self.options.resumable {
            code.extend(self.rewinding());
            code.push(I::If(wasm_encoder::BlockType::Empty));
            code.extend(self.uncount());
            code.extend(self.load_params(params));
            code.extend(self.resumed());
            code.push(I::Else);
            code.extend(leave.clone());
            code.push(I::End);
        } else {
            code.extend(leave.clone());
        }
        code.push(I::End);
        code.extend((0..index(params.len())).map(I::LocalGet));
        code.push(I::Call(import));
        code.extend([I::GlobalGet(state), I::If(wasm_encoder::BlockType::Empty)]);
        code.extend(leave);
        code.extend([I::End, I::End]);
        Ok(function([], code))
    }

    /// Code that pops a trampoline's frame into its parameters.
    fn load_params(&self, params: &[ValType]) -> Vec<I<'static>> {
        let slots = param_slots(params);
        let layout = Layout::of(slots.iter().copied());
        let mut code = self.pop(&layout).to_vec();
        for (slot, ty) in slots {
            if let (Slot::Local(local), Some(offset)) = (slot, layout.offset(slot, ty)) {
                code.extend(self.restore(local, params[local as usize], offset));
            }
        }
        code
    }

    /// A function without parameters that calls `callee` while rewinding, when no argument
    /// matters. Returns its index.
    pub(crate) fn resumer(
        &mut self,
        callee: u32,
        params: &[ValType],
        results: &[ValType],
    ) -> Result<u32, Error> {
        let ty = self.types.function(Vec::new(), results.to_vec());
        let mut code = Vec::new();
        for &ty in params {
            code.extend(self.zero(ty)?);
        }
        code.extend([I::Call(self.indices.function(callee)), I::End]);
        Ok(self.add(ty, function([], code)))
    }

    /// Code that makes a value of a type, for where one is needed that nobody looks at.
    pub(crate) fn zero(&mut self, ty: ValType) -> Result<Vec<I<'static>>, Error> {
        Ok(vec![match ty {
            ValType::I32 => I::I32Const(0),
            ValType::I64 => I::I64Const(0),
            ValType::F32 => I::F32Const(0f32.into()),
            ValType::F64 => I::F64Const(0f64.into()),
            ValType::V128 => I::V128Const(0),
            ValType::Ref(reference) if reference.nullable => I::RefNull(reference.heap_type),
            ValType::Ref(reference) => I::RefFunc(self.stand_in(reference.heap_type)?),
        }])
    }

    /// A function of this type that is referred to but never called.
    pub(crate) fn stand_in(&mut self, heap: HeapType) -> Result<u32, Error> {
        let ty = match heap {
            HeapType::Concrete(ty) => ty,
            HeapType::FUNC => self.types.function(Vec::new(), Vec::new()),
            _ => return Err(no_value_of(heap)),
        };
        if let Some(&known) = self.stand_ins.get(&heap) {
            return Ok(known);
        }
        let function = self.add(ty, function([], vec![I::Unreachable, I::End]));
        self.stand_ins.insert(heap, function);
        Ok(function)
    }

    /// A function that stores the values it is given; the last of a frame also takes the site.
    fn saver(&mut self, types: Vec<ValType>, last: bool) -> u32 {
        let key = (types, last);
        if let Some(&known) = self.savers.get(&key) {
            return known;
        }
        let types = &key.0;
        let site = index(types.len());
        let base = site + u32::from(last);
        let mut code = vec![I::GlobalGet(self.indices.stack_pointer), I::LocalSet(base)];
        let values = (0..).zip(types.iter().copied());
        let site = last.then_some(I::LocalGet(site));
        code.extend(self.push(&I::LocalGet(base), values, site));
        code.push(I::End);
        let mut params = types.clone();
        params.extend(last.then_some(ValType::I32));
        let ty = self.types.function(params, Vec::new());
        let saver = self.add(ty, function([ValType::I32], code));
        self.savers.insert(key, saver);
        saver
    }

    /// Stores locals from `base` on, which is the stack pointer. The last of a frame are
    /// followed by its site, and then the program unwinds.
    fn push(
        &self,
        base: &I<'static>,
        values: impl Iterator<Item = (u32, ValType)>,
        site: Option<I<'static>>,
    ) -> Vec<I<'static>> {
        let mut code = Vec::new();
        let mut offset = 0;
        for (local, ty) in values {
            code.push(base.clone());
            code.extend(self.store(local, ty, u64::from(offset)));
            offset += Type::of(ty).size();
        }
        if let Some(site) = site {
            let place = at(offset.into(), 0, self.indices.frames);
            code.extend([base.clone(), site, I::I32Store(place)]);
            code.extend([I::I32Const(UNWINDING), I::GlobalSet(self.indices.state)]);
            offset += 4;
        }
        code.extend([
            base.clone(),
            I::I32Const(offset.cast_signed()),
            I::I32Add,
            I::GlobalSet(self.indices.stack_pointer),
        ]);
        code
    }

    /// Stores a local; the address is on the stack.
    fn store(&self, local: u32, ty: ValType, offset: u64) -> Vec<I<'static>> {
        let to = at(offset, 0, self.indices.frames);
        let get = I::LocalGet(local);
        match ty {
            ValType::I32 => vec![get, I::I32Store(to)],
            ValType::I64 => vec![get, I::I64Store(to)],
            ValType::F32 => vec![get, I::F32Store(to)],
            ValType::F64 => vec![get, I::F64Store(to)],
            ValType::V128 => vec![get, I::V128Store(to)],
            // A reference cannot lie in a memory: the frame holds its place in a table. If
            // that cannot grow, the place is -1 and the frame is refused when it is read.
            ValType::Ref(_) => {
                let table = self.indices.references;
                vec![get, I::I32Const(1), I::TableGrow(table), I::I32Store(to)]
            }
        }
    }

    /// Loads a value; the address is on the stack.
    fn fetch(&self, ty: ValType, offset: u64) -> Vec<I<'static>> {
        let from = at(offset, 0, self.indices.frames);
        match ty {
            ValType::I32 => vec![I::I32Load(from)],
            ValType::I64 => vec![I::I64Load(from)],
            ValType::F32 => vec![I::F32Load(from)],
            ValType::F64 => vec![I::F64Load(from)],
            ValType::V128 => vec![I::V128Load(from)],
            ValType::Ref(_) => vec![I::I32Load(from), I::TableGet(self.indices.references)],
        }
    }
}

/// Values in the order in which a frame holds them, without those of `externref`: a program
/// under preview 1 never gets one that is not null, and null is what a local begins with.
pub(crate) fn in_frame_order(values: impl Iterator<Item = (u32, ValType)>) -> Vec<(u32, ValType)> {
    let mut values: Vec<(u32, ValType)> = values.filter(|&(_, ty)| !is_external(ty)).collect();
    values.sort_by_key(|&(_, ty)| Type::of(ty));
    values
}

/// What the frame of a trampoline keeps: its parameters.
pub(crate) fn param_slots(params: &[ValType]) -> Vec<(Slot, Type)> {
    let all = (0..).map(Slot::Local).zip(params);
    let kept = all.filter(|&(_, &ty)| !is_external(ty));
    kept.map(|(slot, &ty)| (slot, Type::of(ty))).collect()
}

/// Refuses a type of which [`Helpers::zero`] makes no value.
pub(crate) fn check_zero(ty: ValType) -> Result<(), Error> {
    match ty {
        ValType::Ref(reference) if !reference.nullable => match reference.heap_type {
            HeapType::Concrete(_) | HeapType::FUNC => Ok(()),
            heap => Err(no_value_of(heap)),
        },
        _ => Ok(()),
    }
}

fn no_value_of(heap: HeapType) -> Error {
    let construct = format!("a parameter or result of the type {}", name(heap));
    Error::unsupported(construct)
}

fn name(heap: HeapType) -> String {
    match heap {
        HeapType::Abstract { ty, .. } => format!("(ref {ty:?})").to_lowercase(),
        HeapType::Concrete(ty) | HeapType::Exact(ty) => format!("(ref {ty})"),
    }
}

/// The type under which a value is stored: what a reference refers to is lost.
fn stored(ty: ValType) -> ValType {
    match ty {
        ValType::Ref(_) => ValType::FUNCREF,
        other => other,
    }
}

/// The reference type of functions.
pub(crate) const FUNCREF: RefType = RefType {
    nullable: true,
    heap_type: HeapType::FUNC,
};

pub(crate) fn function(
    locals: impl IntoIterator<Item = ValType>,
    code: Vec<I<'static>>,
) -> Function {
    let mut function = Function::new_with_locals_types(locals);
    for instruction in &code {
        function.instruction(instruction);
    }
    function
}

pub(crate) fn at(offset: u64, align: u32, memory_index: u32) -> MemArg {
    MemArg {
        offset,
        align,
        memory_index,
    }
}

/// A frame without values still has one chunk, which holds its site.
fn chunks(values: &[(u32, ValType)]) -> Vec<&[(u32, ValType)]> {
    if values.is_empty() {
        vec![values]
    } else {
        values.chunks(CHUNK).collect()
    }
}
