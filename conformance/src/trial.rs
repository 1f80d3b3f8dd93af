//! One program under trial: its instrumented forms must do what the original does, and do it
//! also when they are stopped and moved at any safepoint.

use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use wasmtime::{FuncType, Result, Val, bail, ensure};
use wherry_instrument::Options;

use crate::{
    Engines, Form, State,
    machine::{Machine, blank, show},
};

/// What a trial did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Calls that passed at least one safepoint.
    pub calls: u64,
    /// Times a program was stopped, and went on in a new store from a checkpoint's bytes.
    pub round_trips: u64,
    /// How many of them went on in a form with a way back only into what was on the stack.
    pub in_part: u64,
    /// Modules that were refused by name.
    pub refused: u64,
}

impl std::ops::AddAssign for Report {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.round_trips += other.round_trips;
        self.in_part += other.in_part;
        self.refused += other.refused;
    }
}

/// Forms with a way back in part that are made of a module, on each engine: to make one takes longer than
/// to go on in it.
const PARTS: usize = 8;

/// The forms with a way back in part, by the functions on the stack.
type Parts = RefCell<HashMap<BTreeSet<u32>, Arc<Form>>>;

/// A module in its forms: as it was, counting, and counting and resumable.
pub struct Subject {
    original: Arc<Form>,
    counting: Arc<Form>,
    /// On each engine; the program goes on in one after the other.
    resumable: Vec<Whole>,
    wasm: Vec<u8>,
    options: Options,
}

/// What a program goes on in on one engine.
struct Whole {
    /// With a way back into all functions.
    form: Arc<Form>,
    parts: Parts,
}

/// How a call ended.
#[derive(Debug, PartialEq)]
struct Ending {
    /// Why it trapped, if it did.
    trap: Option<String>,
    results: String,
}

impl Subject {
    /// Compiles all forms.
    ///
    /// # Errors
    /// If the module is refused, or an instrumented form is not valid.
    ///
    /// # Panics
    /// Without an engine.
    pub fn new(engines: &Engines, wasm: &[u8], options: Options) -> Result<Self> {
        let options = Options {
            countdown: true,
            ..options
        };
        let originals = if options.canonical_nans {
            &engines.canonical
        } else {
            &engines.each[0]
        };
        let form = |engine, resumable| {
            let options = Options {
                resumable,
                ..options
            };
            Form::instrumented(engine, wasm, options)
        };
        let counting = form(&engines.each[0], false)?;
        let mut resumable = Vec::new();
        for engine in &engines.each {
            let form = form(engine, true)?;
            ensure!(
                counting.map == form.map,
                "the forms disagree on their safepoints"
            );
            resumable.push(Whole {
                form,
                parts: Parts::default(),
            });
        }
        Ok(Self {
            original: Form::original(originals, wasm)?,
            counting,
            resumable,
            wasm: wasm.to_owned(),
            options,
        })
    }

    /// The exported functions.
    pub fn exports(&self) -> Vec<(String, FuncType)> {
        let exports = self.original.module.exports();
        exports
            .filter_map(|export| Some((export.name().to_owned(), export.ty().func()?.clone())))
            .collect()
    }

    /// Calls `name` uninterrupted in both forms and compares; returns how many safepoints
    /// it passed, or `None` if the module cannot even be started.
    ///
    /// # Errors
    /// If the forms differ.
    pub fn safepoints(&self, name: &str, ty: &FuncType, args: &[Val]) -> Result<Option<u64>> {
        let Ok(mut original) = Machine::new(&self.original) else {
            return Ok(None);
        };
        let expected = call(&mut original, name, ty, args);
        let Some(mut counting) = self.begin()? else {
            return Ok(None);
        };
        let found = call(&mut counting, name, ty, args);
        ensure!(
            expected == found,
            "{name:?}: {found:?} instead of {expected:?}"
        );
        for export in self.original.module.exports() {
            let name = export.name();
            ensure!(
                original.shown(name)? == counting.shown(name)?,
                "the export {name:?} differs from the original's"
            );
        }
        Ok(Some(counting.countdown()?.unsigned_abs()))
    }

    /// Calls `name`, stopping and moving it at every `every`th safepoint, and compares the
    /// end with that of an uninterrupted call: results, memories, globals, tables, and the
    /// number of safepoints.
    ///
    /// # Errors
    /// If anything differs.
    pub fn interrupt(&self, name: &str, ty: &FuncType, args: &[Val], every: u64) -> Result<Report> {
        let Some((ending, state, passed)) = self.uninterrupted(name, ty, args)? else {
            return Ok(Report::default());
        };
        let Some(mut machine) = self.begin()? else {
            return Ok(Report::default());
        };
        let every = i64::try_from(every)?;
        let mut report = Report {
            calls: 1,
            ..Report::default()
        };
        let found = loop {
            machine.count_down(every)?;
            let found = call(&mut machine, name, ty, args);
            if !machine.left()? {
                break found;
            }
            ensure!(found.trap.is_none(), "{name:?} trapped while it left");
            report.round_trips += 1;
            if report.round_trips * every.unsigned_abs() > passed {
                bail!("{name:?} passes more safepoints than the {passed} it should");
            }
            let form = match self.part(report.round_trips, &mut machine)? {
                Some(part) => {
                    report.in_part += 1;
                    part
                }
                None => Arc::clone(&self.next(report.round_trips).form),
            };
            machine = Machine::resume(&form, &machine.checkpoint()?)?;
        };
        ensure!(
            found == ending,
            "{name:?} every {every}: {found:?} instead of {ending:?}"
        );
        ensure!(
            machine.state()? == state,
            "{name:?} every {every}: it left another state behind"
        );
        let left = every - machine.countdown()?;
        let total = report.round_trips * every.unsigned_abs() + left.unsigned_abs();
        ensure!(
            found.trap.is_some() || total == passed,
            "{name:?} every {every}: {total} safepoints instead of {passed}"
        );
        Ok(report)
    }

    /// What the program goes on in after so many stops.
    fn next(&self, stops: u64) -> &Whole {
        let engines = self.resumable.len() as u64;
        let next = usize::try_from(stops % engines).unwrap_or_default();
        &self.resumable[next]
    }

    /// The form that a job is resumed in: it can rewind into what is on the stack and nothing
    /// else. None every third time, and for a stack that comes when many have been.
    fn part(&self, stops: u64, machine: &mut Machine) -> Result<Option<Arc<Form>>> {
        if stops.is_multiple_of(3) {
            return Ok(None);
        }
        let Whole { form: whole, parts } = self.next(stops);
        let stack = machine.stack()?;
        let mut parts = parts.borrow_mut();
        if parts.len() < PARTS && !parts.contains_key(&stack) {
            let form = Form::to_resume(whole.module.engine(), &self.wasm, self.options, &stack)?;
            ensure!(
                form.map == whole.map,
                "the forms disagree on their safepoints"
            );
            parts.insert(stack.clone(), form);
        }
        Ok(parts.get(&stack).cloned())
    }

    fn uninterrupted(
        &self,
        name: &str,
        ty: &FuncType,
        args: &[Val],
    ) -> Result<Option<(Ending, State, u64)>> {
        let Some(mut machine) = self.begin()? else {
            return Ok(None);
        };
        let ending = call(&mut machine, name, ty, args);
        Ok(Some((
            ending,
            machine.state()?,
            machine.countdown()?.unsigned_abs(),
        )))
    }

    /// A counting instance past its start function; `None` if that traps.
    fn begin(&self) -> Result<Option<Machine>> {
        let Ok(mut machine) = Machine::new(&self.counting) else {
            return Ok(None);
        };
        Ok(machine.start().is_ok().then_some(machine))
    }
}

fn call(machine: &mut Machine, name: &str, ty: &FuncType, args: &[Val]) -> Ending {
    let mut results = blank(ty.results());
    match machine.call(name, args, &mut results) {
        Ok(()) => Ending {
            trap: None,
            results: show(&results),
        },
        Err(error) => Ending {
            trap: Some(error.root_cause().to_string()),
            results: String::new(),
        },
    }
}
