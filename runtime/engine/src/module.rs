//! A module, and its instrumented and compiled forms.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest as _, Sha256};
use wasmparser::{KnownCustom, Name, NameSectionReader, Parser, Payload, TypeRef};
use wherry_instrument::{
    FLAG_MODULE, Instrumented, Map, Options, instrument, instrument_to_resume,
};
use wherry_snapshot::Digest;

use crate::{CodeRequest, Engine, Error, Form, Target, code, gpu, host};

/// A module, as it came in the artifact. Clones share what was compiled.
#[derive(Clone)]
pub struct Module(Arc<Parts>);

struct Parts {
    engine: Engine,
    wasm: Vec<u8>,
    digest: Digest,
    variants: Mutex<Variants>,
}

type Variants = HashMap<(Form, Reach), Arc<Variant>>;

/// A form of a module that can run.
pub(crate) struct Variant {
    pub(crate) compiled: wasmtime::Module,
    pub(crate) map: Map,
    pub(crate) form: Form,
    /// The functions that it can rewind into, if it can and those are not all.
    pub(crate) way_back: Option<BTreeSet<u32>>,
}

/// How much of a module can be rewound into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reach {
    /// All of it, or nothing if its form is not resumable.
    Whole,
    /// The functions of the first stack that was to be rewound.
    Part,
}

impl Reach {
    pub(crate) fn of(way_back: Option<&BTreeSet<u32>>) -> Self {
        match way_back {
            None => Reach::Whole,
            Some(_) => Reach::Part,
        }
    }
}

impl Module {
    pub(crate) fn new(engine: Engine, wasm: Vec<u8>) -> Self {
        let digest = Sha256::digest(&wasm).into();
        Module(Arc::new(Parts {
            engine,
            wasm,
            digest,
            variants: Mutex::default(),
        }))
    }

    /// Its bytes.
    #[must_use]
    pub fn wasm(&self) -> &[u8] {
        &self.0.wasm
    }

    /// SHA-256 of the module's bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.0.digest
    }

    /// Names of functions by index, as far as the module has a name section.
    #[must_use]
    pub fn function_names(&self) -> BTreeMap<u32, String> {
        let sections = Parser::new(0).parse_all(&self.0.wasm).map_while(Result::ok);
        let mut names = BTreeMap::new();
        for payload in sections {
            let Payload::CustomSection(section) = payload else {
                continue;
            };
            let KnownCustom::Name(section) = section.as_known() else {
                continue;
            };
            names.extend(names_in(section));
        }
        names
    }

    /// How many functions the module has; what has a higher index was added.
    pub(crate) fn function_count(&self) -> u32 {
        let mut count = 0;
        for payload in Parser::new(0).parse_all(&self.0.wasm).map_while(Result::ok) {
            match payload {
                Payload::ImportSection(section) => {
                    let imports = section.into_imports().map_while(Result::ok);
                    let functions = imports.filter(|import| matches!(import.ty, TypeRef::Func(_)));
                    count += u32::try_from(functions.count()).unwrap_or(u32::MAX);
                }
                Payload::FunctionSection(section) => return count.saturating_add(section.count()),
                _ => {}
            }
        }
        count
    }

    /// Whether the program imports any of the functions that take paths. One that does not
    /// has no use for a directory.
    #[must_use]
    pub fn uses_paths(&self) -> bool {
        self.imports(|module, name| module == host::MODULE && name.starts_with("path_"))
    }

    /// Whether the program imports any of the functions of the GPU host.
    #[must_use]
    pub fn uses_gpu(&self) -> bool {
        self.imports(|module, _| module == gpu::MODULE)
    }

    fn imports(&self, is_one: impl Fn(&str, &str) -> bool) -> bool {
        let sections = Parser::new(0).parse_all(&self.0.wasm).map_while(Result::ok);
        let imports = sections.filter_map(|payload| match payload {
            Payload::ImportSection(section) => Some(section),
            _ => None,
        });
        imports
            .flat_map(|section| section.into_imports().map_while(Result::ok))
            .any(|import| is_one(import.module, import.name))
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// The module in this form, compiled now if it was not before. If it is resumable, it can be
    /// rewound into the functions of `stack`: what is compiled first can be into no others, which
    /// is smaller and faster. If that is not enough later, all can.
    pub(crate) fn variant(&self, form: Form, stack: &BTreeSet<u32>) -> Result<Arc<Variant>, Error> {
        let mut variants = self
            .0
            .variants
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for reach in [Reach::Part, Reach::Whole] {
            let known = variants.get(&(form, reach));
            if let Some(variant) = known.filter(|variant| variant.serves(stack)) {
                return Ok(Arc::clone(variant));
            }
        }
        let has_part = variants.contains_key(&(form, Reach::Part));
        let variant = Arc::new(self.load_or_compile(form, stack, has_part)?);
        let reach = Reach::of(variant.way_back.as_ref());
        variants.insert((form, reach), Arc::clone(&variant));
        Ok(variant)
    }

    fn load_or_compile(
        &self,
        form: Form,
        stack: &BTreeSet<u32>,
        has_part: bool,
    ) -> Result<Variant, Error> {
        let (engine, parts) = (&self.0.engine.half(form)?.wasmtime, &self.0.engine);
        if parts.code().is_none() && parts.cache().is_none() {
            let in_part = form.options.resumable && !has_part;
            return self.compile(engine, form, in_part.then_some(stack));
        }
        let request = CodeRequest {
            form,
            stack: stack.clone(),
        };
        let entry = match parts.code() {
            Some(source) => source.get(&request)?,
            None => self.code(&request, |way_back| self.compile_code(form, way_back))?,
        };
        let loaded = code::decode(engine, &entry, form).filter(|variant| variant.serves(stack));
        loaded.ok_or_else(|| Error::Instantiate {
            action: "loaded",
            reason: "its compiled form is of another version or processor".to_owned(),
        })
    }

    /// The compiled form for a [`CodeSource`](crate::CodeSource): from the cache, or what `compile`
    /// makes of the module with these functions to rewind into, which is kept.
    ///
    /// # Errors
    /// What `compile` returns, or the engine cannot work on this machine.
    pub fn code<E: From<Error>>(
        &self,
        request: &CodeRequest,
        compile: impl FnOnce(Option<&BTreeSet<u32>>) -> Result<Vec<u8>, E>,
    ) -> Result<Vec<u8>, E> {
        let CodeRequest { form, stack } = request;
        let engine = &self.0.engine.half(*form)?.wasmtime;
        let find = |reach| {
            let cache = self.0.engine.cache()?;
            cache.load(engine, &self.0.digest, *form, reach)
        };
        let resumable = form.options.resumable;
        let part = resumable.then(|| find(Reach::Part)).flatten();
        let in_part = resumable && part.is_none();
        let serves = |entry: &Vec<u8>| code::reaches(entry, stack);
        if let Some(entry) = part.filter(serves).or_else(|| find(Reach::Whole)) {
            return Ok(entry);
        }
        let entry = compile(in_part.then_some(stack))?;
        if let Some(cache) = self.0.engine.cache() {
            cache.store(engine, &self.0.digest, *form, &entry);
        }
        Ok(entry)
    }

    /// Compiles a form, for a [`CodeSource`](crate::CodeSource), with these functions to rewind into
    /// or all of them.
    ///
    /// # Errors
    /// The module is refused.
    pub fn compile_code(
        &self,
        form: Form,
        way_back: Option<&BTreeSet<u32>>,
    ) -> Result<Vec<u8>, Error> {
        let engine = &self.0.engine.half(form)?.wasmtime;
        let variant = self.compile(engine, form, way_back)?;
        code::encode(&variant).ok_or_else(|| Error::Instantiate {
            action: "compiled",
            reason: "its compiled form has no encoding".to_owned(),
        })
    }

    fn compile(
        &self,
        engine: &wasmtime::Engine,
        form: Form,
        way_back: Option<&BTreeSet<u32>>,
    ) -> Result<Variant, Error> {
        let options = Options {
            unshared_flag: self.0.engine.target() == Target::Interpreter,
            ..form.options
        };
        let Instrumented { wasm, map } = match way_back {
            None => instrument(&self.0.wasm, &options)?,
            Some(functions) => instrument_to_resume(&self.0.wasm, &options, functions)?,
        };
        let failed = |error: wasmtime::Error| Error::Instantiate {
            action: "compiled",
            reason: format!("{error:#}"),
        };
        let compiled = wasmtime::Module::from_binary(engine, &wasm).map_err(failed)?;
        check_interface(&compiled)?;
        Ok(Variant {
            compiled,
            map,
            form,
            way_back: way_back.cloned(),
        })
    }
}

impl Variant {
    /// Whether it can rewind into all these functions.
    pub(crate) fn can_rewind_into(&self, functions: &BTreeSet<u32>) -> bool {
        self.form.options.resumable && self.serves(functions)
    }

    /// Whether it can rewind into all these functions, if its form can.
    fn serves(&self, functions: &BTreeSet<u32>) -> bool {
        let way_back = self.way_back.as_ref();
        way_back.is_none_or(|into| functions.is_subset(into))
    }
}

fn names_in(section: NameSectionReader<'_>) -> Vec<(u32, String)> {
    let functions = section
        .into_iter()
        .map_while(Result::ok)
        .filter_map(|name| match name {
            Name::Function(names) => Some(names),
            _ => None,
        });
    let names = functions.flat_map(|names| names.into_iter().map_while(Result::ok));
    names
        .map(|naming| (naming.index, naming.name.to_owned()))
        .collect()
}

/// Refuses what can be seen without running: unknown imports, and no entry point.
fn check_interface(module: &wasmtime::Module) -> Result<(), Error> {
    for import in module.imports() {
        let (module, name) = (import.module(), import.name());
        let is_known = match module {
            FLAG_MODULE => true,
            host::MODULE => host::has_function(name),
            gpu::MODULE => gpu::has_function(name),
            _ => false,
        };
        if !is_known {
            return Err(Error::UnknownImport {
                module: module.to_owned(),
                name: name.to_owned(),
            });
        }
    }
    let entry = module.get_export("_start");
    let entry = entry.as_ref().and_then(|entry| entry.func());
    match entry {
        Some(ty) if ty.params().len() == 0 && ty.results().len() == 0 => Ok(()),
        _ => Err(Error::NoEntryPoint),
    }
}
