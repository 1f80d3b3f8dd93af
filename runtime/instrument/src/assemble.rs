//! Puts the instrumented module together, section by section.

use wasm_encoder::{
    BranchHints, CodeSection, ConstExpr, CustomSection, DataCountSection, DataSection,
    ElementSection, Elements, EntityType, ExportKind, ExportSection, Function, FunctionSection,
    GlobalSection, GlobalType, ImportSection, Instruction as I, MemorySection, MemoryType, Module,
    TableSection, TableType, TagSection, TypeSection, ValType,
    reencode::{Error as ReencodeError, Reencode},
};

use crate::{
    Error, FLAG_MODULE, FLAG_NAME, STACK_BASE,
    code::reencode_error,
    export,
    helpers::{FUNCREF, function},
    indices::{Indices, Types},
    map::Segments,
    module::{Module as Original, index},
};

/// Pages of the state memory: more than the frames of the deepest stack need, since what a
/// frame saves also lies on the native stack. Untouched pages cost nothing.
pub(crate) const STATE_PAGES: u64 = 4096;

/// What the pass made of the module's code.
pub(crate) struct Parts {
    pub(crate) indices: Indices,
    pub(crate) types: Types,
    pub(crate) code: CodeSection,
    pub(crate) hints: BranchHints,
    /// Type indices of the functions after the originals: trampolines, then helpers.
    pub(crate) added_functions: Vec<u32>,
    pub(crate) drop_segments: u32,
    pub(crate) unshared_flag: bool,
    /// Functions behind [`export::FUNCTIONS`], as indices of the new module.
    pub(crate) referenced: Vec<u32>,
    /// Functions that are referred to, and need a declaration for that.
    pub(crate) stand_ins: Vec<u32>,
    pub(crate) resumers: Vec<u32>,
}

/// Encodes the module.
pub(crate) fn assemble(
    original: &Original<'_>,
    segments: &Segments,
    parts: &Parts,
) -> Result<Vec<u8>, Error> {
    let mut module = Module::new();
    sections(original, segments, parts, &mut module).map_err(reencode_error)?;
    Ok(module.finish())
}

type Reencoded = Result<(), ReencodeError>;

fn sections(
    original: &Original<'_>,
    segments: &Segments,
    parts: &Parts,
    module: &mut Module,
) -> Reencoded {
    types(original, parts, module)?;
    imports(original, parts, module)?;
    functions(original, parts, module)?;
    tables(original, parts, module)?;
    memories(original, parts, module)?;
    tags(original, parts, module)?;
    globals(original, segments, parts, module)?;
    exports(original, segments, parts, module)?;
    elements(original, parts, module)?;
    if let Some(count) = original.data_count {
        module.section(&DataCountSection { count });
    }
    module.section(&parts.hints);
    module.section(&parts.code);
    if let Some(section) = &original.data_section {
        let mut data = DataSection::new();
        (&parts.indices).parse_data_section(&mut data, section.clone())?;
        module.section(&data);
    }
    if let Some(names) = original.names {
        module.section(&CustomSection {
            name: "name".into(),
            data: names.into(),
        });
    }
    Ok(())
}

fn types(original: &Original<'_>, parts: &Parts, module: &mut Module) -> Reencoded {
    let mut types = TypeSection::new();
    if let Some(section) = &original.type_section {
        (&parts.indices).parse_type_section(&mut types, section.clone())?;
    }
    parts.types.append_to(&mut types);
    module.section(&types);
    Ok(())
}

fn imports(original: &Original<'_>, parts: &Parts, module: &mut Module) -> Reencoded {
    let mut imports = ImportSection::new();
    let flag = MemoryType {
        minimum: 1,
        maximum: Some(1),
        memory64: false,
        shared: !parts.unshared_flag,
        page_size_log2: None,
    };
    imports.import(FLAG_MODULE, FLAG_NAME, EntityType::Memory(flag));
    if let Some(section) = &original.import_section {
        (&parts.indices).parse_import_section(&mut imports, section.clone())?;
    }
    module.section(&imports);
    Ok(())
}

fn functions(original: &Original<'_>, parts: &Parts, module: &mut Module) -> Reencoded {
    let mut functions = FunctionSection::new();
    if let Some(section) = &original.function_section {
        (&parts.indices).parse_function_section(&mut functions, section.clone())?;
    }
    for &ty in &parts.added_functions {
        functions.function(ty);
    }
    module.section(&functions);
    Ok(())
}

fn tables(original: &Original<'_>, parts: &Parts, module: &mut Module) -> Reencoded {
    let mut tables = TableSection::new();
    if let Some(section) = &original.table_section {
        (&parts.indices).parse_table_section(&mut tables, section.clone())?;
    }
    let table = |minimum: usize, maximum: Option<usize>| TableType {
        element_type: FUNCREF,
        table64: false,
        minimum: minimum as u64,
        maximum: maximum.map(|n| n as u64),
        shared: false,
    };
    tables.table(table(0, None));
    for functions in [&parts.referenced, &parts.resumers] {
        tables.table(table(functions.len(), Some(functions.len())));
    }
    module.section(&tables);
    Ok(())
}

fn memories(original: &Original<'_>, parts: &Parts, module: &mut Module) -> Reencoded {
    let mut memories = MemorySection::new();
    if let Some(section) = &original.memory_section {
        (&parts.indices).parse_memory_section(&mut memories, section.clone())?;
    }
    memories.memory(MemoryType {
        minimum: STATE_PAGES,
        maximum: Some(STATE_PAGES),
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    module.section(&memories);
    Ok(())
}

fn tags(original: &Original<'_>, parts: &Parts, module: &mut Module) -> Reencoded {
    if let Some(section) = &original.tag_section {
        let mut tags = TagSection::new();
        (&parts.indices).parse_tag_section(&mut tags, section.clone())?;
        module.section(&tags);
    }
    Ok(())
}

fn globals(
    original: &Original<'_>,
    segments: &Segments,
    parts: &Parts,
    module: &mut Module,
) -> Reencoded {
    let mut globals = GlobalSection::new();
    if let Some(section) = &original.global_section {
        (&parts.indices).parse_global_section(&mut globals, section.clone())?;
    }
    let mutable = |val_type| GlobalType {
        val_type,
        mutable: true,
        shared: false,
    };
    globals.global(mutable(ValType::I32), &ConstExpr::i32_const(0));
    globals.global(
        mutable(ValType::I32),
        &ConstExpr::i32_const(STACK_BASE.cast_signed()),
    );
    globals.global(mutable(ValType::I64), &ConstExpr::i64_const(0));
    for _ in 0..segments.count() {
        globals.global(mutable(ValType::I32), &ConstExpr::i32_const(0));
    }
    module.section(&globals);
    Ok(())
}

fn exports(
    original: &Original<'_>,
    segments: &Segments,
    parts: &Parts,
    module: &mut Module,
) -> Reencoded {
    let indices = &parts.indices;
    let mut exports = ExportSection::new();
    if let Some(section) = &original.export_section {
        (&*indices).parse_export_section(&mut exports, section.clone())?;
    }
    exports.export(export::STATE, ExportKind::Global, indices.state);
    exports.export(
        export::STACK_POINTER,
        ExportKind::Global,
        indices.stack_pointer,
    );
    exports.export(export::COUNTDOWN, ExportKind::Global, indices.countdown);
    exports.export(export::STATE_MEMORY, ExportKind::Memory, indices.frames);
    exports.export(export::REFERENCES, ExportKind::Table, indices.references);
    exports.export(export::FUNCTIONS, ExportKind::Table, indices.referenced);
    exports.export(export::RESUMERS, ExportKind::Table, indices.resumers);
    exports.export(export::DROP_SEGMENTS, ExportKind::Func, parts.drop_segments);
    if let Some(start) = original.start {
        exports.export(export::START, ExportKind::Func, indices.function(start));
    }
    for memory in 0..original.memories {
        exports.export(&export::memory(memory), ExportKind::Memory, memory + 1);
    }
    for &global in &original.mutable_globals {
        exports.export(&export::global(global), ExportKind::Global, global);
    }
    for table in 0..index(original.tables.len()) {
        exports.export(&export::table(table), ExportKind::Table, table);
    }
    for (flag, name) in segments.names() {
        exports.export(&name, ExportKind::Global, indices.segment_flags + flag);
    }
    module.section(&exports);
    Ok(())
}

fn elements(original: &Original<'_>, parts: &Parts, module: &mut Module) -> Reencoded {
    let mut elements = ElementSection::new();
    if let Some(section) = &original.element_section {
        (&parts.indices).parse_element_section(&mut elements, section.clone())?;
    }
    for (table, functions) in [
        (parts.indices.referenced, &parts.referenced),
        (parts.indices.resumers, &parts.resumers),
    ] {
        let functions = Elements::Functions(functions.as_slice().into());
        elements.active(Some(table), &ConstExpr::i32_const(0), functions);
    }
    if !parts.stand_ins.is_empty() {
        elements.declared(Elements::Functions(parts.stand_ins.as_slice().into()));
    }
    module.section(&elements);
    Ok(())
}

/// The function behind [`export::DROP_SEGMENTS`].
pub(crate) fn drop_segments(indices: &Indices, segments: &Segments) -> Function {
    let mut code = Vec::new();
    let data = segments.data.iter().map(|&segment| I::DataDrop(segment));
    let elements = segments
        .elements
        .iter()
        .map(|&segment| I::ElemDrop(segment));
    for (flag, drop) in (0..).zip(data.chain(elements)) {
        code.extend([
            I::GlobalGet(indices.segment_flags + flag),
            I::If(wasm_encoder::BlockType::Empty),
            drop,
            I::End,
        ]);
    }
    code.push(I::End);
    function([], code)
}
