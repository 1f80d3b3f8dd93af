//! The state of a stopped execution: call frames, globals, tables and dropped segments.

use serde::{Deserialize, Serialize};

/// A value of WebAssembly, kept bit for bit (floats as their IEEE 754 bits).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Value {
    /// `i32`
    I32(u32),
    /// `i64`
    I64(u64),
    /// `f32`, as bits
    F32(u32),
    /// `f64`, as bits
    F64(u64),
    /// `v128`, little-endian lanes
    V128(u128),
    /// A function reference of whatever type, `None` being null.
    FuncRef(FunctionRef),
    /// The null of `externref`: preview 1 hosts hand out no other.
    NullExtern,
}

/// A function of the original module by its index, or null.
pub type FunctionRef = Option<u32>;

/// Where a value of a frame lives in the original function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Slot {
    /// A parameter or local, by its index.
    Local(u32),
    /// An operand, counted from the bottom of the function's operand stack. At a call,
    /// only those operands are here that the call does not take: arguments, and the table
    /// index or reference that says whom to call, are taken.
    Operand(u32),
}

/// One activation of a function, stopped at a safepoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// Index in the original module's function index space (imports first).
    pub function: u32,
    /// Byte offset, in the original body, of the instruction at which to go on: a `loop`
    /// (its header is re-entered), a call (it is in progress), or 0 for the function's
    /// entry. The body starts at its local declarations. For an imported function it is 0:
    /// the host call had not taken effect and is made again.
    pub offset: u32,
    /// The live values, sorted by slot. Locals that are not here are dead and read as zero.
    pub values: Vec<(Slot, Value)>,
}

/// A mutable global.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Global {
    /// Index in the original module's global index space.
    pub index: u32,
    /// Its value.
    pub value: Value,
}

/// The elements of a table of function references (tables of `externref` hold nulls only).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// The elements, `None` being null.
    pub elements: Vec<FunctionRef>,
}

/// Which of a command's two entry points is running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// The function of the module's start section.
    Start,
    /// The exported `_start`.
    Main,
}

/// Everything of a stopped execution but its linear memories.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Execution {
    /// The entry point that the outermost frame belongs to.
    pub phase: Phase,
    /// The call stack, outermost frame first. Never empty.
    pub frames: Vec<Frame>,
    /// The mutable globals, in index order.
    pub globals: Vec<Global>,
    /// The tables, in index order.
    pub tables: Vec<Table>,
    /// Indices of passive data segments that were dropped.
    pub dropped_data: Vec<u32>,
    /// Indices of passive element segments that were dropped.
    pub dropped_elements: Vec<u32>,
}
