//! Makes a module that fails smaller, so that a person can see why.

use std::{convert::Infallible, ops::Range};

use wasm_encoder::{
    CodeSection, Instruction, Module,
    reencode::{Error, Reencode},
};
use wasmparser::{CustomSectionReader, FunctionBody, Parser, Payload, Validator, WasmFeatures};

/// The smallest module found by taking runs of instructions out of `wasm`, larger ones
/// first, for which `fails` still says yes.
pub fn minimise(wasm: Vec<u8>, mut fails: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
    let mut best = wasm;
    let mut length = instructions(&best).next_power_of_two();
    while length > 0 {
        let mut start = 0;
        while start < instructions(&best) {
            match smaller(&best, start..start + length, &mut fails) {
                Some(found) => best = found,
                None => start += length,
            }
        }
        length /= 2;
    }
    best
}

/// Without those instructions, or with a trap in their place.
fn smaller(
    wasm: &[u8],
    gone: Range<usize>,
    fails: &mut impl FnMut(&[u8]) -> bool,
) -> Option<Vec<u8>> {
    [false, true].into_iter().find_map(|trap| {
        let candidate = without(wasm, gone.clone(), trap).ok()?;
        let valid = Validator::new_with_features(WasmFeatures::all()).validate_all(&candidate);
        let shorter = instructions(&candidate) < instructions(wasm);
        (valid.is_ok() && shorter && fails(&candidate)).then_some(candidate)
    })
}

fn without(wasm: &[u8], gone: Range<usize>, trap: bool) -> Result<Vec<u8>, Error<Infallible>> {
    let mut module = Module::new();
    let mut filter = Filter {
        gone,
        trap,
        next: 0,
    };
    filter.parse_core_module(&mut module, Parser::new(0), wasm)?;
    Ok(module.finish())
}

/// How many instructions a module has, without the last `end` of each function.
fn instructions(wasm: &[u8]) -> usize {
    let bodies = Parser::new(0).parse_all(wasm).filter_map(|payload| {
        let Ok(Payload::CodeSectionEntry(body)) = payload else {
            return None;
        };
        Some(body.get_operators_reader().ok()?.into_iter().count() - 1)
    });
    bodies.sum()
}

struct Filter {
    gone: Range<usize>,
    trap: bool,
    /// Number of the next instruction.
    next: usize,
}

impl Reencode for Filter {
    type Error = Infallible;

    fn parse_function_body(
        &mut self,
        code: &mut CodeSection,
        body: FunctionBody<'_>,
    ) -> Result<(), Error<Infallible>> {
        let mut function = self.new_function_with_parsed_locals(&body)?;
        let mut operators = body.get_operators_reader()?;
        let mut cut = false;
        loop {
            let instruction = self.parse_instruction(&mut operators)?;
            let last = operators.eof();
            if self.gone.contains(&self.next) && !last {
                if self.trap && !cut {
                    function.instruction(&Instruction::Unreachable);
                }
                cut = true;
            } else {
                function.instruction(&instruction);
            }
            if last {
                break;
            }
            self.next += 1;
        }
        code.function(&function);
        Ok(())
    }

    fn parse_custom_section(
        &mut self,
        _module: &mut Module,
        _section: CustomSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The module fails if it still multiplies: one function keeps that, and what it needs.
    #[test]
    fn what_does_not_matter_goes() {
        let text = "(module
            (memory 1)
            (func (export \"a\") (param i32) (result i32)
                local.get 0
                i32.const 3
                i32.add
                (if (then i32.const 0 i32.const 1 i32.store))
                local.get 0
                i32.const 7
                i32.mul)
            (func (export \"b\") (result f64) nop nop f64.const 1 f64.const 2 f64.add))";
        let buffer = wast::parser::ParseBuffer::new(text).unwrap();
        let mut module = wast::parser::parse::<wast::Wat<'_>>(&buffer).unwrap();
        let multiplies = |wasm: &[u8]| wasmprinter::print_bytes(wasm).unwrap().contains("mul");
        let small = minimise(module.encode().unwrap(), multiplies);
        assert!(multiplies(&small));
        // `unreachable` and the multiplication, and one more trap in the other function.
        assert_eq!(instructions(&small), 3);
    }
}
