//! What a module must be before it is packed: a valid WASI preview 1 command that uses
//! nothing that Wherry cannot run and checkpoint.

use wasmparser::types::{EntityType, TypesRef};
use wasmparser::{
    Export, FuncType, Import, KnownCustom, MemoryType, Parser, Payload, ProducersSectionReader,
    TypeRef, Validator,
};

use crate::digest::excerpt;
use crate::{preview1, proposals};

/// The largest module that is accepted, in bytes.
pub const MAX_MODULE_SIZE: u64 = 256 << 20;

/// Exports that start so are reserved for the instrumentation that a node adds.
const RESERVED_PREFIX: &str = "__wherry_";

/// What is known about an accepted module without running it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModuleSummary {
    /// Size of the binary in bytes.
    pub size: u64,
    /// Functions of `wasi_snapshot_preview1` that it imports, sorted.
    pub imports: Vec<String>,
    /// Whether it imports the functions of the GPU host.
    pub uses_gpu: bool,
    /// Names that it exports, sorted.
    pub exports: Vec<String>,
    /// Functions that it defines.
    pub functions: u32,
    /// Pages (64 KiB) of its memories: initial and, if it declares one, maximum.
    pub memories: Vec<(u64, Option<u64>)>,
    /// Languages and tools that its `producers` section names, e.g. `clang 19.1.0`.
    pub producers: Vec<String>,
}

/// Why a module is refused. Every message names the construct.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModuleError {
    /// More bytes than [`MAX_MODULE_SIZE`].
    #[error("the module has {size} bytes, more than the {MAX_MODULE_SIZE} that are accepted")]
    TooLarge {
        /// Its size in bytes.
        size: u64,
    },
    /// It does not start as a WebAssembly binary does.
    #[error("not a WebAssembly binary{hint}")]
    NotWasm {
        /// What it might be instead.
        hint: &'static str,
    },
    /// It is a component of the component model.
    #[error(
        "it is a component, and components are not supported; build a core module for WASI preview 1 \
         (target wasm32-wasip1)"
    )]
    Component,
    /// It breaks the rules of WebAssembly.
    #[error("not a valid module: {message} (at byte {offset})")]
    Invalid {
        /// Which rule.
        message: String,
        /// Where, as an offset in the file.
        offset: usize,
    },
    /// It is valid only with proposals that are not supported.
    #[error("it uses a proposal that is not supported: {}", .0.join(", "))]
    UnsupportedProposals(Vec<&'static str>),
    /// It imports something that nothing provides.
    #[error("it imports `{module}` `{name}`, {reason}")]
    UnknownImport {
        /// The import's module name.
        module: String,
        /// The import's name.
        name: String,
        /// Why it is refused, continuing the sentence.
        reason: String,
    },
    /// It has no entry point.
    #[error("it has no exported function `_start`: it is a library, not a command{hint}")]
    NoStart {
        /// What to do about it.
        hint: &'static str,
    },
    /// Its `_start` is not a function without parameters and results.
    #[error("its export `_start` is {actual}, not a function of type [] -> []")]
    WrongStart {
        /// What it is.
        actual: String,
    },
    /// Preview 1 reads and writes its arguments in the memory of that name. A module that
    /// imports nothing that does needs none.
    #[error("it has no exported memory called `memory`, which WASI preview 1 asks for")]
    NoMemory,
    /// It exports a name that a node needs for itself.
    #[error("it exports `{0}`, a name reserved for the runtime")]
    ReservedExport(String),
}

/// Checks that `wasm` is a WASI preview 1 command that Wherry can run and checkpoint.
///
/// # Errors
/// The first thing about the module that is refused.
pub fn validate_module(wasm: &[u8]) -> Result<ModuleSummary, ModuleError> {
    let size = wasm.len() as u64;
    if size > MAX_MODULE_SIZE {
        return Err(ModuleError::TooLarge { size });
    }
    check_preamble(wasm)?;
    let types = Validator::new_with_features(proposals::SUPPORTED)
        .validate_all(wasm)
        .map_err(|error| reason_for(wasm, &error))?;
    let mut summary = ModuleSummary {
        size,
        ..ModuleSummary::default()
    };
    let mut exports = Exports::default();
    for payload in Parser::new(0).parse_all(wasm) {
        read_section(
            &payload.map_err(|e| invalid(&e))?,
            types.as_ref(),
            &mut summary,
            &mut exports,
        )?;
    }
    exports.check(&summary)?;
    summary.imports.sort_unstable();
    summary.imports.dedup();
    summary.exports.sort_unstable();
    Ok(summary)
}

fn check_preamble(wasm: &[u8]) -> Result<(), ModuleError> {
    if Parser::is_component(wasm) {
        return Err(ModuleError::Component);
    }
    if wasm.starts_with(b"\0asm") {
        return Ok(());
    }
    let hint = match wasm.trim_ascii_start() {
        [] => ": it is empty",
        [b'(', ..] => {
            ": it looks like the text format, which `wat2wasm` or `wasm-tools parse` translates"
        }
        [0x7f, b'E', b'L', b'F', ..] => ": it is an ELF file, build for the target wasm32-wasip1",
        _ => "",
    };
    Err(ModuleError::NotWasm { hint })
}

fn reason_for(wasm: &[u8], error: &wasmparser::Error) -> ModuleError {
    match proposals::needed_by(wasm) {
        Some(names) => ModuleError::UnsupportedProposals(names),
        None => invalid(error),
    }
}

fn invalid(error: &wasmparser::Error) -> ModuleError {
    ModuleError::Invalid {
        message: excerpt(error.message()),
        offset: error.offset(),
    }
}

fn read_section(
    payload: &Payload<'_>,
    types: TypesRef<'_>,
    summary: &mut ModuleSummary,
    exports: &mut Exports,
) -> Result<(), ModuleError> {
    match payload {
        Payload::ImportSection(section) => {
            for import in section.clone().into_imports() {
                let import = import.map_err(|e| invalid(&e))?;
                check_import(&import, types)?;
                match import.module {
                    wherry_gpu_abi::MODULE => summary.uses_gpu = true,
                    _ => summary.imports.push(import.name.to_owned()),
                }
            }
        }
        Payload::FunctionSection(section) => summary.functions = section.count(),
        Payload::MemorySection(section) => {
            for memory in section.clone() {
                let MemoryType {
                    initial, maximum, ..
                } = memory.map_err(|e| invalid(&e))?;
                summary.memories.push((initial, maximum));
            }
        }
        Payload::ExportSection(section) => {
            for export in section.clone() {
                let export = export.map_err(|e| invalid(&e))?;
                exports.read(&export, types)?;
                summary.exports.push(export.name.to_owned());
            }
        }
        Payload::CustomSection(section) => {
            if let KnownCustom::Producers(producers) = section.as_known() {
                summary.producers = read_producers(producers);
            }
        }
        _ => {}
    }
    Ok(())
}

fn check_import(import: &Import<'_>, types: TypesRef<'_>) -> Result<(), ModuleError> {
    let refused = |reason: String| ModuleError::UnknownImport {
        module: excerpt(import.module),
        name: excerpt(import.name),
        reason,
    };
    if import.module == preview1::PREDECESSOR {
        return Err(refused(format!(
            "of the predecessor of WASI preview 1; rebuild with a toolchain that targets `{}`",
            preview1::MODULE
        )));
    }
    if import.module == wherry_gpu_abi::MODULE {
        return check_gpu_import(import, types).map_err(refused);
    }
    if import.module != preview1::MODULE {
        return Err(refused(format!(
            "and only functions of `{}` and `{}` are provided",
            preview1::MODULE,
            wherry_gpu_abi::MODULE
        )));
    }
    let known = preview1::Function::named(import.name)
        .ok_or_else(|| refused("which is not one of the 46 functions of WASI preview 1".into()))?;
    let TypeRef::Func(_) = import.ty else {
        return Err(refused("not as a function, which it is".into()));
    };
    match function_type(types.entity_type_from_import(import), types) {
        Some(ty) if known.has_type(ty) => Ok(()),
        Some(ty) => Err(refused(format!("as {}, but it is {known}", signature(ty)))),
        None => Err(refused("without a type".into())),
    }
}

fn check_gpu_import(import: &Import<'_>, types: TypesRef<'_>) -> Result<(), String> {
    let mut functions = wherry_gpu_abi::FUNCTIONS.iter();
    let (_, expected) = functions
        .find(|(name, _)| *name == import.name)
        .ok_or("which is not one of the functions of the GPU host")?;
    let ty = function_type(types.entity_type_from_import(import), types);
    match ty.map(signature) {
        Some(found) if found == *expected => Ok(()),
        Some(found) => Err(format!("as {found}, but it is {expected}")),
        None => Err("not as a function, which it is".to_owned()),
    }
}

fn function_type(entity: Option<EntityType>, types: TypesRef<'_>) -> Option<&FuncType> {
    match entity? {
        EntityType::Func(id) => match &types.get(id)?.composite_type.inner {
            wasmparser::CompositeInnerType::Func(ty) => Some(ty),
            _ => None,
        },
        _ => None,
    }
}

fn signature(ty: &FuncType) -> String {
    let list = |types: &[wasmparser::ValType]| {
        types
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" ")
    };
    excerpt(&format!(
        "[{}] -> [{}]",
        list(ty.params()),
        list(ty.results())
    ))
}

/// What a command must export.
#[derive(Default)]
struct Exports {
    start: bool,
    memory: bool,
    initialize: bool,
}

impl Exports {
    fn read(&mut self, export: &Export<'_>, types: TypesRef<'_>) -> Result<(), ModuleError> {
        let entity = types.entity_type_from_export(export);
        match export.name {
            "_start" => {
                check_start(entity, types)?;
                self.start = true;
            }
            "memory" => self.memory = matches!(entity, Some(EntityType::Memory(_))),
            "_initialize" => self.initialize = true,
            name if name.starts_with(RESERVED_PREFIX) => {
                return Err(ModuleError::ReservedExport(excerpt(name)));
            }
            _ => {}
        }
        Ok(())
    }

    fn check(&self, summary: &ModuleSummary) -> Result<(), ModuleError> {
        let mut imports = summary.imports.iter();
        let needs_memory = summary.uses_gpu || imports.any(|name| !preview1::without_memory(name));
        match (self.start, self.memory || !needs_memory) {
            (true, true) => Ok(()),
            (true, false) => Err(ModuleError::NoMemory),
            (false, _) if self.initialize => Err(ModuleError::NoStart {
                hint: " (it exports `_initialize`: it was built as a reactor, as by `-mexec-model=reactor`)",
            }),
            (false, _) => Err(ModuleError::NoStart { hint: "" }),
        }
    }
}

fn check_start(entity: Option<EntityType>, types: TypesRef<'_>) -> Result<(), ModuleError> {
    let actual = match (entity, function_type(entity, types)) {
        (_, Some(ty)) if ty.params().is_empty() && ty.results().is_empty() => return Ok(()),
        (_, Some(ty)) => format!("a function of type {}", signature(ty)),
        (Some(EntityType::Memory(_)), _) => "a memory".into(),
        (Some(EntityType::Global(_)), _) => "a global".into(),
        (Some(EntityType::Table(_)), _) => "a table".into(),
        _ => "something else".into(),
    };
    Err(ModuleError::WrongStart { actual })
}

/// The section is for information only: what cannot be read is left out.
fn read_producers(section: ProducersSectionReader<'_>) -> Vec<String> {
    const MOST: usize = 32;
    section
        .into_iter()
        .flatten()
        .filter(|field| matches!(field.name, "language" | "processed-by"))
        .flat_map(|field| field.values.into_iter().flatten())
        .map(|value| excerpt(format!("{} {}", value.name, value.version).trim_end()))
        .take(MOST)
        .collect()
}
