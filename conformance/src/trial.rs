//! One program under trial: its instrumented forms must do what the original does, and do it
//! also when they are stopped and moved at any safepoint.

use wasmtime::{Engine, FuncType, Module, Result, Val, bail, ensure};
use wherry_instrument::{Instrumented, Map, Options, instrument};

use crate::machine::{Machine, State, blank, show};

/// What a trial did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Calls that passed at least one safepoint.
    pub calls: u64,
    /// Times a program was stopped and went on in a new instance.
    pub round_trips: u64,
}

/// A module in its forms: as it was, counting, and counting and resumable.
pub struct Subject {
    original: Module,
    counting: (Module, Instrumented),
    resumable: (Module, Instrumented),
}

/// How a call ended.
#[derive(Debug, PartialEq)]
struct Ending {
    trapped: bool,
    results: String,
}

impl Subject {
    /// Compiles all forms.
    ///
    /// # Errors
    /// If the module is refused, or an instrumented form is not valid.
    pub fn new(engine: &Engine, wasm: &[u8]) -> Result<Self> {
        let original = Module::new(engine, wasm)?;
        let form = |resumable| -> Result<_> {
            let instrumented = instrument(
                wasm,
                &Options {
                    resumable,
                    countdown: true,
                },
            )?;
            Ok((Module::new(engine, &instrumented.wasm)?, instrumented))
        };
        let (counting, resumable) = (form(false)?, form(true)?);
        ensure!(
            counting.1.map == resumable.1.map,
            "the forms disagree on their safepoints"
        );
        Ok(Self {
            original,
            counting,
            resumable,
        })
    }

    /// The exported functions.
    pub fn exports(&self) -> Vec<(String, FuncType)> {
        let exports = self.original.exports();
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
        let no_map = Map::default();
        let Ok(mut original) = Machine::new(&self.original, &no_map) else {
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
            round_trips: 0,
        };
        let found = loop {
            machine.count_down(every)?;
            let found = call(&mut machine, name, ty, args);
            if !machine.left()? {
                break found;
            }
            ensure!(!found.trapped, "{name:?} trapped while it left");
            report.round_trips += 1;
            if report.round_trips * every.unsigned_abs() > passed {
                bail!("{name:?} passes more safepoints than the {passed} it should");
            }
            let (module, instrumented) = &self.resumable;
            machine = machine.move_to(module, &instrumented.map)?;
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
            found.trapped || total == passed,
            "{name:?} every {every}: {total} safepoints instead of {passed}"
        );
        Ok(report)
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
    fn begin(&self) -> Result<Option<Machine<'_>>> {
        let (module, instrumented) = &self.counting;
        let Ok(mut machine) = Machine::new(module, &instrumented.map) else {
            return Ok(None);
        };
        Ok(machine.start().is_ok().then_some(machine))
    }
}

fn call(machine: &mut Machine<'_>, name: &str, ty: &FuncType, args: &[Val]) -> Ending {
    let mut results = blank(ty.results());
    let trapped = machine.call(name, args, &mut results).is_err();
    Ending {
        trapped,
        results: if trapped {
            String::new()
        } else {
            show(&results)
        },
    }
}
