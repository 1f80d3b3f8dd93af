//! A module, and its instrumented and compiled forms.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest as _, Sha256};
use wasmparser::{KnownCustom, Name, NameSectionReader, Parser, Payload, TypeRef};
use wherry_instrument::{FLAG_MODULE, Instrumented, Map, Options, instrument};
use wherry_snapshot::Digest;

use crate::{Engine, Error, Form, Target, code, gpu, host};

/// A module, as it came in the artifact. Clones share what was compiled.
#[derive(Clone)]
pub struct Module(Arc<Parts>);

struct Parts {
    engine: Engine,
    wasm: Vec<u8>,
    digest: Digest,
    variants: Mutex<HashMap<Form, Arc<Variant>>>,
}

/// A form of a module that can run.
pub(crate) struct Variant {
    pub(crate) compiled: wasmtime::Module,
    pub(crate) map: Map,
    pub(crate) form: Form,
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

    /// The module in this form, compiled now if it was not before.
    pub(crate) fn variant(&self, form: Form) -> Result<Arc<Variant>, Error> {
        let mut variants = self
            .0
            .variants
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(variant) = variants.get(&form) {
            return Ok(Arc::clone(variant));
        }
        let variant = Arc::new(self.load_or_compile(form)?);
        variants.insert(form, Arc::clone(&variant));
        Ok(variant)
    }

    fn load_or_compile(&self, form: Form) -> Result<Variant, Error> {
        let engine = &self.0.engine.half(form)?.wasmtime;
        if let Some(source) = self.0.engine.code() {
            let entry = source.get(form)?;
            return code::decode(engine, &entry, form).ok_or_else(|| Error::Instantiate {
                action: "loaded",
                reason: "its compiled form is of another version or processor".to_owned(),
            });
        }
        let Some(cache) = self.0.engine.cache() else {
            return self.compile(engine, form);
        };
        let cached = cache.load(engine, &self.0.digest, form);
        if let Some(variant) = cached.and_then(|entry| code::decode(engine, &entry, form)) {
            return Ok(variant);
        }
        let variant = self.compile(engine, form)?;
        if let Some(entry) = code::encode(&variant) {
            cache.store(engine, &self.0.digest, form, &entry);
        }
        Ok(variant)
    }

    /// The compiled form for a [`CodeSource`](crate::CodeSource), if the cache has it.
    ///
    /// # Errors
    /// The engine cannot work on this machine.
    pub fn cached_code(&self, form: Form) -> Result<Option<Vec<u8>>, Error> {
        let engine = &self.0.engine.half(form)?.wasmtime;
        let cache = self.0.engine.cache();
        Ok(cache.and_then(|cache| cache.load(engine, &self.0.digest, form)))
    }

    /// Compiles a form, for a [`CodeSource`](crate::CodeSource).
    ///
    /// # Errors
    /// The module is refused.
    pub fn compile_code(&self, form: Form) -> Result<Vec<u8>, Error> {
        let engine = &self.0.engine.half(form)?.wasmtime;
        let variant = self.compile(engine, form)?;
        code::encode(&variant).ok_or_else(|| Error::Instantiate {
            action: "compiled",
            reason: "its compiled form has no encoding".to_owned(),
        })
    }

    /// Puts a form that another process compiled into the cache.
    ///
    /// # Errors
    /// The engine cannot work on this machine.
    pub fn keep_code(&self, form: Form, entry: &[u8]) -> Result<(), Error> {
        let engine = &self.0.engine.half(form)?.wasmtime;
        if let Some(cache) = self.0.engine.cache() {
            cache.store(engine, &self.0.digest, form, entry);
        }
        Ok(())
    }

    fn compile(&self, engine: &wasmtime::Engine, form: Form) -> Result<Variant, Error> {
        let options = Options {
            unshared_flag: self.0.engine.target() == Target::Interpreter,
            ..form.options
        };
        let Instrumented { wasm, map } = instrument(&self.0.wasm, &options)?;
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
        })
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
