//! A peer for the benches: Binaryen's asyncify, which also makes any module stop and go on.
//!
//! At the header of every loop a byte is read, and if it is not zero, an import is called that may
//! unwind: what asyncify needs to stop where we stop. Then `wasm-opt` does its work, optimising.

use std::{convert::Infallible, process::Command};

use wasm_encoder::{
    BlockType, CodeSection, EntityType, ImportSection, Instruction as I, MemArg, Module, SectionId,
    TypeSection,
    reencode::{Error, Reencode, utils},
};
use wasmparser::{FunctionBody, ImportSectionReader, Operator, Parser, TypeSectionReader};

/// Module and name of the import that may unwind.
const IMPORT: (&str, &str) = ("poll", "leave");

const WASM_OPT: [&str; 9] = [
    "--enable-bulk-memory",
    "--enable-simd",
    "--enable-sign-ext",
    "--enable-nontrapping-float-to-int",
    "--enable-mutable-globals",
    "--enable-multivalue",
    "--enable-reference-types",
    "--asyncify",
    "--pass-arg=asyncify-imports@poll.leave",
];

/// Whether there is a `wasm-opt`. If not, says so.
pub(crate) fn is_there() -> bool {
    let there = Command::new(program()).arg("--version").output().is_ok();
    if !there {
        println!("SKIPPED: asyncify: no wasm-opt (npm install binaryen; WHERRY_WASM_OPT names it)");
    }
    there
}

fn program() -> String {
    std::env::var("WHERRY_WASM_OPT").unwrap_or_else(|_| "wasm-opt".to_owned())
}

/// The module as asyncify makes it.
pub(crate) fn asyncify(wasm: &[u8]) -> wasmtime::Result<Vec<u8>> {
    let directory = tempfile::tempdir()?;
    let [polling, out] = ["polling.wasm", "out.wasm"].map(|name| directory.path().join(name));
    std::fs::write(&polling, polls(wasm)?)?;
    let mut command = Command::new(program());
    command.args(WASM_OPT).arg("-O3").arg(polling);
    let done = command.arg("-o").arg(&out).output()?;
    let why = || String::from_utf8_lossy(&done.stderr);
    wasmtime::ensure!(done.status.success(), "wasm-opt: {}", why());
    Ok(std::fs::read(out)?)
}

/// The module with a poll in every loop.
fn polls(wasm: &[u8]) -> wasmtime::Result<Vec<u8>> {
    let mut polls = Polls::default();
    for payload in Parser::new(0).parse_all(wasm) {
        if let wasmparser::Payload::ImportSection(imports) = payload? {
            let imports = imports.into_imports();
            let functions = imports.filter(|import| {
                let ty = import.as_ref().map(|import| import.ty);
                matches!(ty, Ok(wasmparser::TypeRef::Func(_)))
            });
            polls.import = u32::try_from(functions.count())?;
        }
    }
    let mut module = Module::new();
    polls.parse_core_module(&mut module, Parser::new(0), wasm)?;
    Ok(module.finish())
}

#[derive(Default)]
struct Polls {
    /// Index of the import that is called: behind the others.
    import: u32,
    /// Index of its type.
    ty: u32,
}

impl Polls {
    fn add_import(&self, imports: &mut ImportSection) {
        imports.import(IMPORT.0, IMPORT.1, EntityType::Function(self.ty));
    }
}

impl Reencode for Polls {
    type Error = Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, Error> {
        Ok(function + u32::from(function >= self.import))
    }

    fn parse_type_section(
        &mut self,
        types: &mut TypeSection,
        section: TypeSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_type_section(self, types, section)?;
        self.ty = types.len();
        types.ty().function([], []);
        Ok(())
    }

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: ImportSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_import_section(self, imports, section)?;
        self.add_import(imports);
        Ok(())
    }

    fn intersperse_section_hook(
        &mut self,
        module: &mut Module,
        after: Option<SectionId>,
        before: Option<SectionId>,
    ) -> Result<(), Error> {
        if (after, before) == (Some(SectionId::Type), Some(SectionId::Function)) {
            let mut imports = ImportSection::new();
            self.add_import(&mut imports);
            module.section(&imports);
        }
        Ok(())
    }

    fn parse_function_body(
        &mut self,
        code: &mut CodeSection,
        body: FunctionBody<'_>,
    ) -> Result<(), Error> {
        // What C programs never use.
        let byte = MemArg {
            offset: 0,
            align: 0,
            memory_index: 0,
        };
        let mut function = self.new_function_with_parsed_locals(&body)?;
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            let operator = operators.read()?;
            let is_loop = matches!(operator, Operator::Loop { .. });
            function.instruction(&self.instruction(operator)?);
            if is_loop {
                function.instruction(&I::I32Const(0));
                function.instruction(&I::I32Load8U(byte));
                function.instruction(&I::If(BlockType::Empty));
                function.instruction(&I::Call(self.import));
                function.instruction(&I::End);
            }
        }
        code.function(&function);
        Ok(())
    }
}
