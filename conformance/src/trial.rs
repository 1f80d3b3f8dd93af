//! One program under trial: its instrumented forms must do what the original does, and do it
//! also when they are stopped and moved at any safepoint.

use std::sync::Arc;

use wasmtime::{Engine, FuncType, Result, Val, bail, ensure};
use wherry_instrument::Options;

use crate::{
    Form, State,
    machine::{Machine, blank, show},
};

/// What a trial did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Calls that passed at least one safepoint.
    pub calls: u64,
    /// Times a program was stopped, and went on in a new store from a checkpoint's bytes.
    pub round_trips: u64,
    /// Modules that were refused by name.
    pub refused: u64,
}

impl std::ops::AddAssign for Report {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.round_trips += other.round_trips;
        self.refused += other.refused;
    }
}

/// A module in its forms: as it was, counting, and counting and resumable.
pub struct Subject {
    original: Arc<Form>,
    counting: Arc<Form>,
    /// On each engine; the program goes on in one after the other.
    resumable: Vec<Arc<Form>>,
    wasm: Vec<u8>,
    options: Options,
}

/// How a call ended.
#[derive(Debug, PartialEq)]
struct Ending {
    /// Why it trapped, if it did.
    trap: Option<String>,
    results: String,
}

impl Subject {
    /// Compiles all forms, with loops unrolled or not. The program begins on the first of the engines, and goes on, when it
    /// was stopped, on the next one.
    ///
    /// # Errors
    /// If the module is refused, or an instrumented form is not valid.
    ///
    /// # Panics
    /// Without an engine.
    pub fn new(engines: &[Engine], wasm: &[u8], unroll: bool) -> Result<Self> {
        let options = Options {
            countdown: true,
            unroll,
            ..Options::default()
        };
        let form = |engine, resumable| {
            let options = Options {
                resumable,
                ..options
            };
            Form::instrumented(engine, wasm, options)
        };
        let counting = form(&engines[0], false)?;
        let mut resumable = Vec::new();
        for engine in engines {
            let form = form(engine, true)?;
            ensure!(
                counting.map == form.map,
                "the forms disagree on their safepoints"
            );
            resumable.push(form);
        }
        Ok(Self {
            original: Form::original(&engines[0], wasm)?,
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
            let form = self.next_form(report.round_trips, &mut machine)?;
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

    /// What the program goes on in after so many stops: now and then a form that can rewind into
    /// what is on its stack and nothing else, as a job does when it is resumed.
    fn next_form(&self, stops: u64, machine: &mut Machine) -> Result<Arc<Form>> {
        let next = usize::try_from(stops)? % self.resumable.len();
        let whole = &self.resumable[next];
        if !(stops + 1).is_power_of_two() {
            return Ok(Arc::clone(whole));
        }
        let (engine, stack) = (whole.module.engine(), machine.stack()?);
        let form = Form::to_resume(engine, &self.wasm, self.options, &stack)?;
        ensure!(
            form.map == whole.map,
            "the forms disagree on their safepoints"
        );
        Ok(form)
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
