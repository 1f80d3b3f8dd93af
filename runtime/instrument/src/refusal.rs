//! Names what the validator refused: the proposal, the instruction and the function.

use wasmparser::{
    BinaryReader, BinaryReaderError, FunctionBody, Name, NameSectionReader, Parser, Payload,
    TypeRef, WasmFeatures,
};

use crate::{
    Error,
    error::FunctionName,
    module::{index, supported_features},
};

/// The proposals that nobody can use here, as what they bring.
const PROPOSALS: [(WasmFeatures, &str); 8] = [
    (WasmFeatures::GC, "garbage-collected types"),
    (WasmFeatures::LEGACY_EXCEPTIONS, "legacy exceptions"),
    (WasmFeatures::THREADS, "threads and shared memories"),
    (
        WasmFeatures::SHARED_EVERYTHING_THREADS,
        "threads that share everything",
    ),
    (WasmFeatures::STACK_SWITCHING, "stack switching"),
    (
        WasmFeatures::CUSTOM_PAGE_SIZES,
        "memories with custom page sizes",
    ),
    (WasmFeatures::CUSTOM_DESCRIPTORS, "custom descriptors"),
    (WasmFeatures::COMPONENT_MODEL, "components"),
];

/// Why a module is refused that the validator found `error` in.
pub(crate) fn explain(wasm: &[u8], error: BinaryReaderError) -> Error {
    let missing = error.missing_wasm_feature();
    let missing = missing.map(|feature| feature - supported_features());
    let Some(feature) = missing.filter(|feature| !feature.is_empty()) else {
        return Error::Invalid(error);
    };
    let proposal = PROPOSALS.iter().find(|(known, _)| feature.contains(*known));
    let proposal =
        proposal.map_or_else(|| error.message().to_owned(), |(_, name)| name.to_string());
    match place(wasm, error.offset()) {
        Some((function, instruction)) => Error::Unsupported {
            construct: format!("the instruction {instruction} ({proposal})"),
            function: Some(function),
        },
        None => Error::unsupported(format!("{proposal} (at byte {:#x})", error.offset())),
    }
}

/// The function and the instruction at an offset of the module, if there is one.
fn place(wasm: &[u8], offset: usize) -> Option<(FunctionName, String)> {
    let mut next = 0;
    let payloads = Parser::new(0).parse_all(wasm).map_while(Result::ok);
    for payload in payloads {
        match payload {
            Payload::ImportSection(section) => {
                let imports = section.into_imports().map_while(Result::ok);
                next += imports
                    .filter(|import| matches!(import.ty, TypeRef::Func(_)))
                    .count();
            }
            Payload::CodeSectionEntry(body) => {
                if body.range().contains(&offset) {
                    let names = name_section(wasm).unwrap_or(&[]);
                    let instruction = instruction(&body, offset)?;
                    return Some((function_name(names, index(next)), instruction));
                }
                next += 1;
            }
            _ => {}
        }
    }
    None
}

fn instruction(body: &FunctionBody<'_>, offset: usize) -> Option<String> {
    let mut operators = body.get_operators_reader().ok()?;
    while !operators.eof() {
        let (operator, start) = operators.read_with_offset().ok()?;
        if operators.original_position() > offset && start <= offset {
            let text = format!("{operator:?}");
            let end = text.find(|c: char| !c.is_alphanumeric());
            return Some(text[..end.unwrap_or(text.len())].to_owned());
        }
    }
    None
}

fn name_section(wasm: &[u8]) -> Option<&[u8]> {
    let mut payloads = Parser::new(0).parse_all(wasm).map_while(Result::ok);
    payloads.find_map(|payload| match payload {
        Payload::CustomSection(section) if section.name() == "name" => Some(section.data()),
        _ => None,
    })
}

/// A function, with its name if the name section has one.
pub(crate) fn function_name(names: &[u8], index: u32) -> FunctionName {
    let sections = NameSectionReader::new(BinaryReader::new(names, 0));
    let mut sections = sections.map_while(Result::ok);
    let functions = sections.find_map(|names| match names {
        Name::Function(names) => Some(names),
        _ => None,
    });
    let names = functions.into_iter().flatten().map_while(Result::ok);
    let name = names
        .filter(|naming| naming.index == index)
        .map(|naming| naming.name.to_owned())
        .next();
    FunctionName { index, name }
}
