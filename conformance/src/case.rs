//! A trial that can be told again: random by its seed, or kept as a file.

use std::panic::{AssertUnwindSafe, catch_unwind};

use wasmtime::{Result, bail, error::Context, format_err};

use wherry_instrument::{Error::Unsupported, Options};

use crate::{Engines, Random, Report, Subject, arguments, module, sprinkle};

/// Safepoints beyond which a call is not interrupted at every one of them.
const MANY: u64 = 300;

/// A call of an export that is stopped over and over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Name of the export.
    pub export: String,
    /// Seed of the arguments.
    pub arguments: u64,
    /// It is stopped at every so manieth safepoint.
    pub every: u64,
}

/// A module that did not behave, in a call or before any.
#[derive(Debug)]
pub struct Failure {
    /// The module.
    pub wasm: Vec<u8>,
    /// The call, if it came to one.
    pub call: Option<Call>,
    /// What was wrong.
    pub error: wasmtime::Error,
}

/// Makes the module of a seed and interrupts calls of it.
///
/// # Errors
/// With the module, if a form differs from the original, or an interrupted call from an
/// uninterrupted one.
pub fn random_trial(engines: &Engines, seed: u64) -> Result<Report, Box<Failure>> {
    let mut random = Random::new(seed);
    // Half of the modules make their own NaNs canonical, and are not changed in that.
    let canonical_nans = random.below(2) == 0;
    let mut wasm = module(&mut random, !canonical_nans).unwrap_or_default();
    if wasm.is_empty() {
        return Ok(Report::default());
    }
    if random.below(3) == 0 {
        let every = 1 + random.below(16);
        wasm = sprinkle(&wasm, |number| number % every == 0).unwrap_or(wasm);
    }
    let options = Options {
        unroll: random.below(2) == 0,
        canonical_nans,
        ..Options::default()
    };
    let mut call = None;
    let trial = AssertUnwindSafe(|| trial(engines, &wasm, options, &mut random, &mut call));
    let error = match catch_unwind(trial) {
        Ok(Ok(report)) => return Ok(report),
        Ok(Err(error)) => error,
        Err(_) => format_err!("a panic"),
    };
    Err(Box::new(Failure { wasm, call, error }))
}

/// `current` is the call that is being made.
fn trial(
    engines: &Engines,
    wasm: &[u8],
    options: Options,
    random: &mut Random,
    current: &mut Option<Call>,
) -> Result<Report> {
    let mut total = Report::default();
    let subject = match Subject::new(engines, wasm, options) {
        Err(error) if matches!(error.downcast_ref(), Some(Unsupported { .. })) => {
            total.refused = 1;
            return Ok(total);
        }
        subject => subject?,
    };
    for (export, ty) in subject.exports().into_iter().take(4) {
        let seed = random.below(u64::MAX);
        let args = arguments(&mut Random::new(seed), &ty);
        let call = current.insert(Call {
            export,
            arguments: seed,
            every: 1,
        });
        let passed = subject.safepoints(&call.export, &ty, &args)?.unwrap_or(0);
        if passed == 0 || passed > 10 * MANY {
            continue;
        }
        let often = if passed > MANY {
            2 + random.below(passed)
        } else {
            1
        };
        for every in [often, 2, 1 + random.below(passed)] {
            call.every = every;
            total += subject.interrupt(&call.export, &ty, &args, every)?;
        }
    }
    Ok(total)
}

/// Makes one call of a module, and interrupts it, in all forms.
///
/// # Errors
/// As [`random_trial`], and if there is no such export.
pub fn repeat(engines: &Engines, wasm: &[u8], call: Option<&Call>) -> Result<Report> {
    let mut total = Report::default();
    for (unroll, canonical_nans) in [(false, true), (true, true), (false, false), (true, false)] {
        if engines.differ() && !canonical_nans {
            continue;
        }
        let options = Options {
            unroll,
            canonical_nans,
            ..Options::default()
        };
        let subject = Subject::new(engines, wasm, options)?;
        if let Some(call) = call {
            total += repeat_with(&subject, call)?;
        }
    }
    Ok(total)
}

fn repeat_with(subject: &Subject, call: &Call) -> Result<Report> {
    let exports = subject.exports();
    let export = exports.iter().find(|(name, _)| *name == call.export);
    let (name, ty) = export.ok_or_else(|| format_err!("no function {:?}", call.export))?;
    let args = arguments(&mut Random::new(call.arguments), ty);
    subject.safepoints(name, ty, &args)?;
    subject.interrupt(name, ty, &args, call.every)
}

impl Failure {
    /// The text of a file under `tests/regressions/`.
    ///
    /// # Errors
    /// If the module cannot be printed.
    pub fn to_text(&self) -> Result<String> {
        let module =
            wasmprinter::print_bytes(&self.wasm).map_err(|error| format_err!("{error:#}"))?;
        let call = self.call.as_ref().map_or_else(
            || ";; no call\n".to_owned(),
            |call| {
                let Call {
                    export,
                    arguments,
                    every,
                } = call;
                format!(";; call {export:?} {arguments} every {every}\n")
            },
        );
        Ok(format!("{call}{module}"))
    }
}

/// Makes the call that a file under `tests/regressions/` names in its first line.
///
/// # Errors
/// As [`repeat`], and if the file is not understood.
pub fn repeat_text(engines: &Engines, text: &str) -> Result<Report> {
    let first = text.lines().next().unwrap_or_default();
    let call = parse_call(first).with_context(|| format!("the first line, {first:?}"))?;
    let buffer = wast::parser::ParseBuffer::new(text)?;
    let wasm = wast::parser::parse::<wast::Wat<'_>>(&buffer)?.encode()?;
    repeat(engines, &wasm, call.as_ref())
}

fn parse_call(line: &str) -> Result<Option<Call>> {
    if line == ";; no call" {
        return Ok(None);
    }
    let rest = line.strip_prefix(";; call \"");
    let Some((export, rest)) = rest.and_then(|rest| rest.rsplit_once("\" ")) else {
        bail!("names no call");
    };
    let Some((arguments, every)) = rest.split_once(" every ") else {
        bail!("does not say how often to stop");
    };
    Ok(Some(Call {
        export: export.to_owned(),
        arguments: arguments.parse()?,
        every: every.parse()?,
    }))
}
