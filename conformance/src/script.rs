//! The official test scripts (`.wast`), run with every module in one of its forms.
//!
//! What a directive comes to is kept as text: the forms have to agree on it, line by line.

mod stops;
mod values;

use std::{collections::HashMap, sync::Arc};

use wasmtime::{Engine, Extern, Linker, Result, Store, Val, bail, format_err};
use wast::{
    QuoteWat, Wast, WastDirective, WastExecute, WastInvoke, WastRet,
    core::WastArgCore,
    lexer::Lexer,
    parser::{self, ParseBuffer},
    token::{Id, Span},
};
use wherry_instrument::{Error::Unsupported, Options};

use crate::{Form, Guest, machine::blank, sprinkle};

/// In which form the modules of a script run.
#[derive(Clone, Copy, Debug)]
pub enum Mode {
    /// As they are.
    Original,
    /// As a job is started: with polls, and nobody raises the flag.
    Leaving,
    /// Stopped at every safepoint of every call, `stops` times and then less and less often.
    Stopped {
        /// Stops of one call before they become rare.
        stops: u32,
        /// One instruction in so many gets a safepoint of its own, see [`sprinkle`].
        sprinkled: Option<u64>,
    },
}

/// What a script came to.
#[derive(Debug, Default)]
pub struct Record {
    /// Every directive that can fail, by its line.
    pub outcomes: Vec<(usize, Outcome)>,
    /// Modules that the pass refused, by line, and why. They ran as they are.
    pub refused: Vec<(usize, String)>,
    /// Modules that were not stopped any more after the host gave them a reference, which
    /// no checkpoint can hold: their lines.
    pub with_host_references: Vec<usize>,
    /// Stops after which a module went on in a new store, from the bytes of a checkpoint.
    pub round_trips: u64,
    /// Stops after which a module that others were linked to went on in place.
    pub rewinds: u64,
}

/// What a directive came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether that is what the script demands.
    pub passed: bool,
    /// What happened, in words.
    pub what: String,
}

/// Runs a script.
///
/// # Errors
/// If it cannot be read, or something fails that no script can test.
pub fn run(engine: &Engine, text: &str, mode: Mode) -> Result<Record> {
    let mut lexer = Lexer::new(text);
    lexer.allow_confusing_unicode(true);
    let buffer = ParseBuffer::new_with_lexer(lexer)?;
    let directives = parser::parse::<Wast<'_>>(&buffer)?.directives;
    let linked = directives
        .iter()
        .any(|directive| matches!(directive, WastDirective::Register { .. }));
    let mut runner = Runner {
        engine,
        mode,
        text,
        linked,
        worlds: Vec::new(),
        actors: Vec::new(),
        current: None,
        named: HashMap::new(),
        definitions: HashMap::new(),
        record: Record::default(),
    };
    for directive in directives {
        let line = directive.span().linecol_in(text).0 + 1;
        let outcome = runner.directive(line, directive)?;
        runner.record.outcomes.push((line, outcome));
    }
    Ok(runner.record)
}

/// A store, and what modules in it can import.
struct World {
    store: Store<()>,
    linker: Linker<()>,
}

/// An instance of a script.
struct Actor {
    line: usize,
    world: usize,
    guest: Guest,
    /// `None` if the module runs as it is.
    options: Option<Options>,
    holds_host_references: bool,
}

struct Runner<'a> {
    engine: &'a Engine,
    mode: Mode,
    text: &'a str,
    /// Modules of the script are linked to each other, so that all live in one world, and
    /// none can be moved out of it.
    linked: bool,
    worlds: Vec<World>,
    actors: Vec<Actor>,
    current: Option<usize>,
    named: HashMap<String, usize>,
    definitions: HashMap<Option<String>, (usize, Vec<u8>)>,
    record: Record,
}

/// How a call ended.
type Ending = Result<Vec<Val>>;

impl<'a> Runner<'a> {
    fn directive(&mut self, line: usize, directive: WastDirective<'a>) -> Result<Outcome> {
        Ok(match directive {
            WastDirective::Module(mut module) => {
                let name = module.name().map(name_of);
                self.current = None;
                match module.encode() {
                    Ok(wasm) => {
                        let made = self.instantiate(line, &wasm)?;
                        self.introduce(name, made)
                    }
                    Err(error) => failed(&error.message()),
                }
            }
            WastDirective::ModuleDefinition(mut module) => {
                let name = module.name().map(name_of);
                let wasm = module.encode()?;
                self.definitions.insert(None, (line, wasm.clone()));
                self.definitions.insert(name, (line, wasm));
                passed("defined")
            }
            WastDirective::ModuleInstance {
                instance, module, ..
            } => {
                let definition = self.definitions.get(&module.map(name_of));
                let (_, wasm) = definition.ok_or_else(|| format_err!("no definition"))?;
                let made = self.instantiate(line, &wasm.clone())?;
                self.introduce(instance.map(name_of), made)
            }
            WastDirective::Register { name, module, .. } => {
                let actor = self.actor(module)?;
                let Actor { world, guest, .. } = &self.actors[actor];
                let World { store, linker } = &mut self.worlds[*world];
                linker.instance(store, name, guest.instance)?;
                passed("registered")
            }
            WastDirective::AssertMalformed { module, .. }
            | WastDirective::AssertInvalid { module, .. }
            | WastDirective::AssertMalformedCustom { module, .. }
            | WastDirective::AssertInvalidCustom { module, .. } => self.refuses(module),
            WastDirective::AssertUnlinkable { mut module, .. } => match module.encode() {
                Ok(wasm) => match self.instantiate(line, &wasm)? {
                    Ok(_) => failed("linked"),
                    Err(error) if is_trap(&error) => failed(&error.root_cause().to_string()),
                    Err(_) => passed("not linked"),
                },
                Err(error) => failed(&error.message()),
            },
            WastDirective::Invoke(invoke) => match self.invoke(invoke)? {
                Ok(_) => passed("returned"),
                Err(error) => failed(&error.root_cause().to_string()),
            },
            WastDirective::AssertReturn { exec, results, .. } => match self.execute(exec)? {
                (Ok(values), world) => self.compare(world, &values, &results)?,
                (Err(error), _) => failed(&error.root_cause().to_string()),
            },
            WastDirective::AssertTrap { exec, message, .. } => {
                trapped(self.execute(exec)?.0, message)
            }
            WastDirective::AssertExhaustion { call, message, .. } => {
                trapped(self.invoke(call)?, message)
            }
            WastDirective::AssertException { exec, .. } => match self.execute(exec)?.0 {
                Err(error) if error.is::<wasmtime::ThrownException>() => passed("thrown"),
                Err(error) => failed(&error.root_cause().to_string()),
                Ok(_) => failed("returned"),
            },
            WastDirective::AssertSuspension { .. }
            | WastDirective::Thread(_)
            | WastDirective::Wait { .. } => failed("not a directive of these scripts"),
        })
    }

    /// Whether the form that the mode asks for refuses a module, be it text or binary.
    fn refuses(&self, mut module: QuoteWat<'_>) -> Outcome {
        let Ok(wasm) = module.encode() else {
            return passed("refused");
        };
        let refused = match self.options() {
            None => Form::original(self.engine, &wasm).err(),
            Some(options) => Form::instrumented(self.engine, &wasm, options).err(),
        };
        if refused.is_some() {
            passed("refused")
        } else {
            failed("accepted")
        }
    }

    fn options(&self) -> Option<Options> {
        match self.mode {
            Mode::Original => None,
            Mode::Leaving => Some(Options {
                resumable: false,
                countdown: false,
                unroll: true,
                ..Options::default()
            }),
            Mode::Stopped { .. } => Some(Options {
                resumable: true,
                countdown: true,
                unroll: true,
                canonical_nans: true,
                ..Options::default()
            }),
        }
    }

    /// The module in the form that the mode asks for. If the pass refuses it, that is noted
    /// and it runs as it is, so that the rest of the script keeps its meaning.
    fn form(&mut self, line: usize, wasm: &[u8]) -> Result<(Arc<Form>, Option<Options>)> {
        let Some(options) = self.options() else {
            return Ok((Form::original(self.engine, wasm)?, None));
        };
        if let Err(error) = wherry_instrument::instrument(wasm, &options) {
            let original = Form::original(self.engine, wasm)?;
            self.record.refused.push((line, error.to_string()));
            return Ok((original, None));
        }
        if let Mode::Stopped {
            sprinkled: Some(every),
            ..
        } = self.mode
        {
            // What lives across the added safepoints may be what cannot be captured.
            let sprinkled = sprinkle(wasm, |number| number % every == 0)?;
            match Form::instrumented(self.engine, &sprinkled, options) {
                Err(error) if matches!(error.downcast_ref(), Some(Unsupported { .. })) => {}
                form => return Ok((form?, Some(options))),
            }
        }
        let form = Form::instrumented(self.engine, wasm, options)?;
        Ok((form, Some(options)))
    }

    /// Makes an instance and runs its start function. The outer error is no outcome.
    fn instantiate(&mut self, line: usize, wasm: &[u8]) -> Result<Result<usize>> {
        let (form, options) = match self.form(line, wasm) {
            Ok(form) => form,
            Err(error) => return Ok(Err(error)),
        };
        if self.worlds.is_empty() || !self.linked {
            self.worlds.push(World::with_state(self.engine)?);
        }
        let world = self.worlds.len() - 1;
        let World { store, linker } = &mut self.worlds[world];
        let guest = match Guest::new(store, linker, &form) {
            Ok(guest) => guest,
            Err(error) => return Ok(Err(error)),
        };
        let has_start = guest.form.map.has_start;
        self.actors.push(Actor {
            line,
            world,
            guest,
            options,
            holds_host_references: false,
        });
        let actor = self.actors.len() - 1;
        if has_start {
            let start = wherry_instrument::export::START;
            if let Err(error) = self.call(actor, start, &[], &mut [])? {
                return Ok(Err(error));
            }
        }
        Ok(Ok(actor))
    }

    fn introduce(&mut self, name: Option<String>, made: Result<usize>) -> Outcome {
        match made {
            Ok(actor) => {
                self.current = Some(actor);
                if let Some(name) = name {
                    self.named.insert(name, actor);
                }
                passed("instantiated")
            }
            Err(error) => failed(&format!("{error:#}")),
        }
    }

    fn actor(&self, name: Option<Id<'_>>) -> Result<usize> {
        let actor = match name {
            Some(name) => self.named.get(name.name()).copied(),
            None => self.current,
        };
        actor.ok_or_else(|| format_err!("no such module"))
    }

    fn execute(&mut self, execute: WastExecute<'a>) -> Result<(Ending, usize)> {
        let line = self.line(execute.span());
        match execute {
            WastExecute::Invoke(invoke) => {
                let Ok(actor) = self.actor(invoke.module) else {
                    return Ok((Err(format_err!("no such module")), 0));
                };
                Ok((self.invoke(invoke)?, self.actors[actor].world))
            }
            WastExecute::Wat(mut module) => {
                let made = self.instantiate(line, &module.encode()?)?;
                Ok((made.map(|_| Vec::new()), 0))
            }
            WastExecute::Get { module, global, .. } => {
                let Ok(actor) = self.actor(module) else {
                    return Ok((Err(format_err!("no such module")), 0));
                };
                let Actor { world, guest, .. } = &self.actors[actor];
                let store = &mut self.worlds[*world].store;
                match guest.instance.get_export(&mut *store, global) {
                    Some(Extern::Global(global)) => Ok((Ok(vec![global.get(store)]), *world)),
                    _ => Ok((Err(format_err!("no such global")), *world)),
                }
            }
        }
    }

    fn invoke(&mut self, invoke: WastInvoke<'a>) -> Result<Ending> {
        let Ok(actor) = self.actor(invoke.module) else {
            return Ok(Err(format_err!("no such module")));
        };
        let world = self.actors[actor].world;
        let store = &mut self.worlds[world].store;
        let mut args = Vec::new();
        for arg in &invoke.args {
            let wast::WastArg::Core(arg) = arg else {
                bail!("an argument of a component");
            };
            let host = matches!(arg, WastArgCore::RefExtern(_) | WastArgCore::RefHost(_));
            self.actors[actor].holds_host_references |= host;
            args.push(values::argument(store, arg)?);
        }
        let guest = &self.actors[actor].guest;
        let function = guest.instance.get_func(&mut *store, invoke.name);
        let function = function.ok_or_else(|| format_err!("no function {:?}", invoke.name))?;
        let mut results = blank(function.ty(&*store).results());
        let ended = self.call(actor, invoke.name, &args, &mut results)?;
        Ok(ended.map(|()| results))
    }

    fn compare(
        &mut self,
        world: usize,
        found: &[Val],
        expected: &[WastRet<'_>],
    ) -> Result<Outcome> {
        let store = &mut self.worlds[world].store;
        let mut matching = found.len() == expected.len();
        for (found, expected) in found.iter().zip(expected) {
            let WastRet::Core(expected) = expected else {
                bail!("a result of a component");
            };
            matching &= values::matches(store, found, expected)?;
        }
        Ok(if matching {
            passed("returned what it should")
        } else {
            failed(&format!("returned {found:?}"))
        })
    }

    fn line(&self, span: Span) -> usize {
        span.linecol_in(self.text).0 + 1
    }
}

impl World {
    /// A store with the functions of the module `spectest`.
    fn new(engine: &Engine) -> Result<Self> {
        let store = Store::new(engine, ());
        let mut linker = Linker::new(engine);
        linker.allow_shadowing(true);
        values::functions(&mut linker)?;
        Ok(Self { store, linker })
    }

    /// A store with all of it. What else is in there, only modules import that the pass
    /// refuses, and these do not travel.
    fn with_state(engine: &Engine) -> Result<Self> {
        let mut world = Self::new(engine)?;
        values::state(&mut world.store, &mut world.linker)?;
        Ok(world)
    }
}

fn trapped(ending: Ending, message: &str) -> Outcome {
    match ending {
        Ok(_) => failed("returned"),
        Err(error) => {
            let what = error.root_cause().to_string();
            // The scripts' messages are those of another program, which names the element.
            let expected = ["uninitialized element", "undefined element", "null "]
                .into_iter()
                .find(|start| message.starts_with(start))
                .unwrap_or(message);
            let known = is_trap(&error) && what.contains(expected);
            let out_of_bounds = message.contains("out of bounds") && what.contains("out of bounds");
            let stopped = message.contains("unreachable") && what.contains("unreachable");
            Outcome {
                passed: known || out_of_bounds || stopped,
                what,
            }
        }
    }
}

fn is_trap(error: &wasmtime::Error) -> bool {
    error.is::<wasmtime::Trap>()
}

fn name_of(id: Id<'_>) -> String {
    id.name().to_owned()
}

fn passed(what: &str) -> Outcome {
    let what = what.to_owned();
    Outcome { passed: true, what }
}

fn failed(what: &str) -> Outcome {
    let what = what.to_owned();
    let passed = false;
    Outcome { passed, what }
}
