//! Safepoints where a compiler would put none: an empty loop before instructions of a module
//! changes nothing that it does, and lets it be stopped there, with whatever operands lie on
//! the stack.

use std::convert::Infallible;

use wasm_encoder::{
    BlockType, CodeSection, Instruction, Module,
    reencode::{Error, Reencode},
};
use wasmparser::{CustomSectionReader, FunctionBody};

/// The module with an empty loop before those instructions that `chosen` says yes to, by
/// their number in the whole module. The module has to be valid.
///
/// # Errors
/// If it is none.
pub fn sprinkle(
    wasm: &[u8],
    chosen: impl FnMut(u64) -> bool,
) -> Result<Vec<u8>, Error<Infallible>> {
    let mut module = Module::new();
    let mut sprinkler = Sprinkler { chosen, next: 0 };
    sprinkler.parse_core_module(&mut module, wasmparser::Parser::new(0), wasm)?;
    Ok(module.finish())
}

struct Sprinkler<F> {
    chosen: F,
    /// Number of the next instruction.
    next: u64,
}

impl<F: FnMut(u64) -> bool> Reencode for Sprinkler<F> {
    type Error = Infallible;

    fn parse_function_body(
        &mut self,
        code: &mut CodeSection,
        body: FunctionBody<'_>,
    ) -> Result<(), Error<Infallible>> {
        let mut function = self.new_function_with_parsed_locals(&body)?;
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            if (self.chosen)(self.next) {
                function.instruction(&Instruction::Loop(BlockType::Empty));
                function.instruction(&Instruction::End);
            }
            self.next += 1;
            function.instruction(&self.parse_instruction(&mut operators)?);
        }
        code.function(&function);
        Ok(())
    }

    /// Custom sections name offsets in the code, which are others now.
    fn parse_custom_section(
        &mut self,
        _module: &mut Module,
        _section: CustomSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        Ok(())
    }
}
