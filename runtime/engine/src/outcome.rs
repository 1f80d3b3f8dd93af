//! How a run ended.

use std::fmt;

use serde::{Deserialize, Serialize};
use wasmtime::WasmBacktrace;

use crate::Module;
use crate::gpu::GpuFault;
use crate::host::Exit;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The program ended, with this exit code.
    Exited(u32),
    /// The program did something that WebAssembly forbids.
    Trapped(Trap),
    /// The program was stopped at a safepoint: it can be captured, or run on.
    Stopped(Reason),
}

/// Why a program was stopped. A later one outranks an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// The countdown of safepoints ended.
    Countdown,
    /// Someone asked for a checkpoint.
    Checkpoint,
    /// The limit of CPU time is reached.
    CpuTime,
    /// The limit of GPU time is reached.
    GpuTime,
    /// The limit of wall time is reached.
    WallTime,
    /// Someone wants the job to end.
    Killed,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::Countdown => "the countdown of safepoints ended",
            Reason::Checkpoint => "a checkpoint was requested",
            Reason::CpuTime => "the limit of CPU time was reached",
            Reason::GpuTime => "the limit of GPU time was reached",
            Reason::WallTime => "the limit of wall time was reached",
            Reason::Killed => "the job was killed",
        })
    }
}

/// Something that WebAssembly forbids: the program cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trap {
    /// Which rule was broken.
    pub kind: TrapKind,
    /// The same in words.
    pub message: String,
    /// The call stack, innermost frame first.
    pub backtrace: Vec<BacktraceFrame>,
}

/// The rules of WebAssembly that a program can break while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum TrapKind {
    /// The instruction `unreachable`, which languages emit for `abort` and panics.
    Unreachable,
    /// Calls too deep for the stack.
    StackOverflow,
    /// A load, store or bulk operation beyond the end of a memory.
    MemoryOutOfBounds,
    /// A table operation or indirect call beyond the end of a table.
    TableOutOfBounds,
    /// An indirect call of a null element.
    NullFunction,
    /// An indirect call of a function of another type.
    WrongFunctionType,
    /// An integer division by zero.
    DivisionByZero,
    /// An integer division or conversion whose result does not fit.
    IntegerOverflow,
    /// A conversion of a float that is no number.
    InvalidConversion,
    /// The GPU host was misused, or work on the GPU took too long.
    Gpu,
    /// An exception that nobody catches.
    UncaughtException,
    /// Any other.
    Other,
}

/// A function in a backtrace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BacktraceFrame {
    /// Its index in the original module.
    pub function: u32,
    /// Its name, if the module has names.
    pub name: Option<String>,
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for frame in &self.backtrace {
            let name = frame.name.as_deref().unwrap_or("");
            write!(f, "\n    at function {} {name}", frame.function)?;
        }
        Ok(())
    }
}

/// The outcome of an entry point that returned because it had ended.
pub(crate) fn of(result: wasmtime::Result<()>, module: &Module) -> Outcome {
    let Err(error) = result else {
        return Outcome::Exited(0);
    };
    if let Some(Exit(code)) = error.downcast_ref() {
        return Outcome::Exited(*code);
    }
    let trap = error.downcast_ref::<wasmtime::Trap>();
    let uncaught = error.is::<wasmtime::ThrownException>();
    let kind = if uncaught {
        TrapKind::UncaughtException
    } else if error.is::<GpuFault>() {
        TrapKind::Gpu
    } else {
        trap.map_or(TrapKind::Other, TrapKind::of)
    };
    let message = match trap {
        Some(trap) => trap.to_string(),
        None if uncaught => "an exception was thrown that nobody catches".to_owned(),
        None => error.root_cause().to_string(),
    };
    Outcome::Trapped(Trap {
        kind,
        message,
        backtrace: error
            .downcast_ref()
            .map_or_else(Vec::new, |trace| backtrace(trace, module)),
    })
}

impl TrapKind {
    fn of(trap: &wasmtime::Trap) -> Self {
        match trap {
            wasmtime::Trap::UnreachableCodeReached => TrapKind::Unreachable,
            wasmtime::Trap::StackOverflow => TrapKind::StackOverflow,
            wasmtime::Trap::MemoryOutOfBounds => TrapKind::MemoryOutOfBounds,
            wasmtime::Trap::TableOutOfBounds => TrapKind::TableOutOfBounds,
            wasmtime::Trap::IndirectCallToNull => TrapKind::NullFunction,
            wasmtime::Trap::BadSignature => TrapKind::WrongFunctionType,
            wasmtime::Trap::IntegerDivisionByZero => TrapKind::DivisionByZero,
            wasmtime::Trap::IntegerOverflow => TrapKind::IntegerOverflow,
            wasmtime::Trap::BadConversionToInteger => TrapKind::InvalidConversion,
            _ => TrapKind::Other,
        }
    }
}

/// The functions that the module has itself, under its own indices.
fn backtrace(trace: &WasmBacktrace, module: &Module) -> Vec<BacktraceFrame> {
    let (names, count) = (module.function_names(), module.function_count());
    let functions = trace.frames().iter().map(wasmtime::FrameInfo::func_index);
    let own = functions.filter(|function| *function < count);
    own.map(|function| BacktraceFrame {
        function,
        name: names.get(&function).cloned(),
    })
    .collect()
}
