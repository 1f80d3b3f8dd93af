//! Makes the direct calls of a module calls by typed reference: a reference waits in a local
//! that excludes null, or on the operand stack through a loop's header.

use wasm_encoder::{
    BlockType, CodeSection, Function, HeapType, Instruction as I, Module, RefType, TypeSection,
    ValType,
    reencode::{Error, Reencode, RoundtripReencoder},
};
use wasmparser::{FuncType, FunctionBody, Operator, Parser, Payload, TypeRef, TypeSectionReader};

/// The module with its calls replaced; `None` if it is not one. All its functions must be
/// exported: that declares the references to them.
pub(crate) fn call_by_reference(wasm: &[u8]) -> Option<Vec<u8>> {
    let mut typed = Typed::default();
    for payload in Parser::new(0).parse_all(wasm) {
        typed.section(payload.ok()?).ok()?;
    }
    let mut module = Module::new();
    typed
        .parse_core_module(&mut module, Parser::new(0), wasm)
        .ok()?;
    Some(module.finish())
}

#[derive(Default)]
struct Typed {
    types: Vec<FuncType>,
    /// Type of each function, imports first.
    functions: Vec<u32>,
    imported: usize,
    bodies: usize,
    calls: usize,
}

type Reencoded<T> = Result<T, Error>;

impl Typed {
    fn section(&mut self, payload: Payload<'_>) -> wasmparser::Result<()> {
        match payload {
            Payload::TypeSection(section) => {
                for ty in section.into_iter_err_on_gc_types() {
                    self.types.push(ty?);
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    if let TypeRef::Func(ty) = import?.ty {
                        self.functions.push(ty);
                        self.imported += 1;
                    }
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    self.functions.push(ty?);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The type of a loop that takes what a call of type `ty` takes, with the reference. Those
    /// types follow the module's own.
    fn through_loop(&self, ty: u32) -> BlockType {
        let first = u32::try_from(self.types.len()).unwrap_or(0);
        BlockType::FunctionType(first + ty)
    }

    /// Functions that a body calls, without repetition.
    fn called(body: &FunctionBody<'_>) -> Reencoded<Vec<u32>> {
        let mut called = Vec::new();
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            if let Operator::Call { function_index } = operators.read()? {
                called.push(function_index);
            }
        }
        called.sort_unstable();
        called.dedup();
        Ok(called)
    }

    fn call(&mut self, function: u32, local: u32) -> Vec<I<'static>> {
        let ty = self.functions[function as usize];
        self.calls += 1;
        match self.calls % 4 {
            0 => vec![I::Call(function)],
            1 => vec![
                I::RefFunc(function),
                I::Loop(self.through_loop(ty)),
                I::CallRef(ty),
                I::End,
            ],
            2 => vec![I::LocalGet(local), I::LocalTee(local), I::CallRef(ty)],
            _ => vec![I::LocalGet(local), I::CallRef(ty)],
        }
    }
}

impl Reencode for Typed {
    type Error = std::convert::Infallible;

    fn parse_type_section(
        &mut self,
        types: &mut TypeSection,
        section: TypeSectionReader<'_>,
    ) -> Reencoded<()> {
        RoundtripReencoder.parse_type_section(types, section)?;
        for (index, ty) in (0..).zip(&self.types) {
            let mut params = Vec::new();
            for &param in ty.params() {
                params.push(RoundtripReencoder.val_type(param)?);
            }
            params.push(reference(index));
            let mut results = Vec::new();
            for &result in ty.results() {
                results.push(RoundtripReencoder.val_type(result)?);
            }
            types.ty().function(params, results);
        }
        Ok(())
    }

    fn parse_function_body(
        &mut self,
        code: &mut CodeSection,
        body: FunctionBody<'_>,
    ) -> Reencoded<()> {
        let ty = self.functions[self.imported + self.bodies];
        self.bodies += 1;
        let called = Self::called(&body)?;
        let mut locals = Vec::new();
        let mut first = u32::try_from(self.types[ty as usize].params().len()).unwrap_or(0);
        for local in body.get_locals_reader()? {
            let (count, ty) = local?;
            first += count;
            locals.push((count, RoundtripReencoder.val_type(ty)?));
        }
        for &function in &called {
            locals.push((1, reference(self.functions[function as usize])));
        }
        let mut rewritten = Function::new(locals);
        for (local, &function) in (first..).zip(&called) {
            rewritten.instruction(&I::RefFunc(function));
            rewritten.instruction(&I::LocalSet(local));
        }
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            match operators.read()? {
                Operator::Call { function_index } => {
                    let place = called.partition_point(|&function| function < function_index);
                    let local = first + u32::try_from(place).unwrap_or(0);
                    for instruction in self.call(function_index, local) {
                        rewritten.instruction(&instruction);
                    }
                }
                Operator::ReturnCall { function_index } => {
                    rewritten.instruction(&I::RefFunc(function_index));
                    let ty = self.functions[function_index as usize];
                    rewritten.instruction(&I::ReturnCallRef(ty));
                }
                other => {
                    rewritten.instruction(&self.instruction(other)?);
                }
            }
        }
        code.function(&rewritten);
        Ok(())
    }
}

/// References to functions of the type at `index`, without null.
fn reference(index: u32) -> ValType {
    ValType::Ref(RefType {
        nullable: false,
        heap_type: HeapType::Concrete(index),
    })
}
