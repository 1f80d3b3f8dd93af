//! Reads the original module: its sections, and what the pass must know of each.

use wasmparser::{
    BinaryReader, DataSectionReader, ElementItems, ElementSectionReader, ExportSectionReader,
    ExternalKind, FuncToValidate, FuncType, FunctionBody, FunctionSectionReader,
    GlobalSectionReader, ImportSectionReader, MemorySectionReader, Operator, Parser, Payload,
    TableSectionReader, TableType, TagSectionReader, TypeRef, TypeSectionReader, ValType,
    ValidPayload, Validator, ValidatorResources, WasmFeatures,
};

use crate::{
    Error, export, refusal,
    types::{Canonical, exact, is_exception},
};

/// The features a guest may use: WebAssembly 2.0, and what of the later proposals can be
/// captured. Anything else is refused by the validator, which names it.
#[must_use]
pub fn supported_features() -> WasmFeatures {
    WasmFeatures::WASM2
        | WasmFeatures::RELAXED_SIMD
        | WasmFeatures::TAIL_CALL
        | WasmFeatures::MULTI_MEMORY
        | WasmFeatures::EXTENDED_CONST
        | WasmFeatures::WIDE_ARITHMETIC
        | WasmFeatures::MEMORY64
        | WasmFeatures::FUNCTION_REFERENCES
        | WasmFeatures::EXCEPTIONS
}

/// The sections of the original module, validated but not yet changed.
#[derive(Default)]
pub(crate) struct Module<'a> {
    /// With references in them by the first type equal to theirs, so that equal types are
    /// equal here.
    pub(crate) types: Vec<FuncType>,
    pub(crate) canonical: Canonical,
    pub(crate) type_section: Option<TypeSectionReader<'a>>,
    pub(crate) import_section: Option<ImportSectionReader<'a>>,
    pub(crate) function_section: Option<FunctionSectionReader<'a>>,
    pub(crate) table_section: Option<TableSectionReader<'a>>,
    pub(crate) memory_section: Option<MemorySectionReader<'a>>,
    pub(crate) tag_section: Option<TagSectionReader<'a>>,
    pub(crate) global_section: Option<GlobalSectionReader<'a>>,
    pub(crate) export_section: Option<ExportSectionReader<'a>>,
    pub(crate) element_section: Option<ElementSectionReader<'a>>,
    pub(crate) data_section: Option<DataSectionReader<'a>>,
    pub(crate) data_count: Option<u32>,
    pub(crate) names: Option<&'a [u8]>,
    /// Index of the start section's function.
    pub(crate) start: Option<u32>,
    /// Type index of every function, imports first.
    pub(crate) functions: Vec<u32>,
    pub(crate) imported_functions: u32,
    pub(crate) tables: Vec<TableType>,
    pub(crate) memories: u32,
    pub(crate) globals: u32,
    pub(crate) mutable_globals: Vec<u32>,
    pub(crate) bodies: Vec<FunctionBody<'a>>,
    /// Functions that a reference can name: of segments, `ref.func` and initialisers.
    /// Sorted, without duplicates, once the module is read.
    pub(crate) referenced: Vec<u32>,
    /// Functions that the host can call: exported ones, and the start section's.
    pub(crate) entries: Vec<u32>,
    /// Targets of direct tail calls.
    pub(crate) tail_called: Vec<u32>,
    /// Segments that some instruction drops.
    pub(crate) dropped_data: Vec<u32>,
    pub(crate) dropped_elements: Vec<u32>,
}

/// What validates the bodies, in order.
pub(crate) type BodyValidators = Vec<FuncToValidate<ValidatorResources>>;

impl<'a> Module<'a> {
    pub(crate) fn read(wasm: &'a [u8]) -> Result<(Self, BodyValidators), Error> {
        let mut module = Self::default();
        // All of it first: what follows relies on every index being in range.
        Validator::new_with_features(supported_features())
            .validate_all(wasm)
            .map_err(|error| refusal::explain(wasm, error))?;
        let mut validators = Vec::new();
        let mut validator = Validator::new_with_features(supported_features());
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload?;
            if let ValidPayload::Func(function, _) = validator.payload(&payload)? {
                validators.push(function);
            }
            if let (Payload::TypeSection(_), Some(types)) = (&payload, validator.types(0)) {
                let all = 0..types.core_type_count_in_module();
                module.canonical =
                    Canonical::new(all.map(|index| types.core_type_at_in_module(index)));
            }
            module.section(payload)?;
        }
        module.referenced.sort_unstable();
        module.referenced.dedup();
        Ok((module, validators))
    }

    /// The type of a function, by its index.
    pub(crate) fn function_type(&self, function: u32) -> &FuncType {
        self.type_at(self.functions[function as usize])
    }

    pub(crate) fn type_at(&self, index: u32) -> &FuncType {
        &self.types[index as usize]
    }

    pub(crate) fn function_count(&self) -> u32 {
        index(self.functions.len())
    }

    fn section(&mut self, payload: Payload<'a>) -> Result<(), Error> {
        match payload {
            Payload::TypeSection(section) => {
                for ty in section.clone().into_iter_err_on_gc_types() {
                    self.types.push(self.canonical.function(&ty?));
                }
                self.type_section = Some(section);
            }
            Payload::ImportSection(section) => {
                for import in section.clone().into_imports() {
                    self.import(import?)?;
                }
                self.import_section = Some(section);
            }
            Payload::FunctionSection(section) => {
                for ty in section.clone() {
                    self.functions.push(ty?);
                }
                self.function_section = Some(section);
            }
            Payload::TableSection(section) => {
                for table in section.clone() {
                    let table = table?;
                    if is_exception(exact(ValType::Ref(table.ty.element_type))?) {
                        return Err(Error::unsupported("a table of exnref"));
                    }
                    self.tables.push(table.ty);
                    if let wasmparser::TableInit::Expr(init) = table.init {
                        self.scan(init.get_operators_reader())?;
                    }
                }
                self.table_section = Some(section);
            }
            Payload::MemorySection(section) => {
                self.memories += section.count();
                self.memory_section = Some(section);
            }
            Payload::TagSection(section) => self.tag_section = Some(section),
            Payload::GlobalSection(section) => {
                for global in section.clone() {
                    let global = global?;
                    if global.ty.mutable {
                        if is_exception(exact(global.ty.content_type)?) {
                            return Err(Error::unsupported("a mutable global of type exnref"));
                        }
                        self.mutable_globals.push(self.globals);
                    }
                    self.globals += 1;
                    self.scan(global.init_expr.get_operators_reader())?;
                }
                self.global_section = Some(section);
            }
            Payload::ExportSection(section) => {
                for export in section.clone() {
                    let export = export?;
                    if export.name.starts_with(export::PREFIX) {
                        return Err(Error::ReservedExport(export.name.to_owned()));
                    }
                    if export.kind == ExternalKind::Func {
                        self.entries.push(export.index);
                    }
                }
                self.export_section = Some(section);
            }
            Payload::StartSection { func, .. } => {
                self.start = Some(func);
                self.entries.push(func);
            }
            Payload::ElementSection(section) => {
                for element in section.clone() {
                    self.element(element?.items)?;
                }
                self.element_section = Some(section);
            }
            Payload::DataCountSection { count, .. } => self.data_count = Some(count),
            Payload::DataSection(section) => self.data_section = Some(section),
            Payload::CodeSectionEntry(body) => {
                self.scan(body.get_operators_reader()?)?;
                self.bodies.push(body);
            }
            Payload::CustomSection(section) if section.name() == "name" => {
                self.names = Some(section.data());
            }
            _ => {}
        }
        Ok(())
    }

    fn import(&mut self, import: wasmparser::Import<'a>) -> Result<(), Error> {
        let what = match import.ty {
            TypeRef::Func(ty) => {
                self.functions.push(ty);
                self.imported_functions += 1;
                return Ok(());
            }
            TypeRef::Table(_) => "table",
            TypeRef::Memory(_) => "memory",
            TypeRef::Global(_) => "global",
            TypeRef::Tag(_) => "tag",
            TypeRef::FuncExact(_) => "function of an exact type",
        };
        Err(Error::Unsupported {
            construct: format!("the imported {what} `{}.{}`", import.module, import.name),
            function: None,
        })
    }

    fn element(&mut self, items: ElementItems<'a>) -> Result<(), Error> {
        match items {
            ElementItems::Functions(functions) => {
                for function in functions {
                    self.referenced.push(function?);
                }
            }
            ElementItems::Expressions(_, expressions) => {
                for expression in expressions {
                    self.scan(expression?.get_operators_reader())?;
                }
            }
        }
        Ok(())
    }

    fn scan(&mut self, mut operators: wasmparser::OperatorsReader<'a>) -> Result<(), Error> {
        while !operators.eof() {
            match operators.read()? {
                Operator::RefFunc { function_index } => self.referenced.push(function_index),
                Operator::ReturnCall { function_index } => self.tail_called.push(function_index),
                Operator::DataDrop { data_index } => self.dropped_data.push(data_index),
                Operator::ElemDrop { elem_index } => self.dropped_elements.push(elem_index),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Where a body starts in the module: offsets of safepoints count from here.
pub(crate) fn body_start(body: &FunctionBody<'_>) -> usize {
    let reader: BinaryReader<'_> = body.get_binary_reader();
    reader.original_position()
}

/// An index of WebAssembly. Validation limits all of them to 32 bits.
pub(crate) fn index(n: usize) -> u32 {
    u32::try_from(n).expect("the validator limits every index space to 32 bits")
}
