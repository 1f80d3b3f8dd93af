//! Where the bits of NaNs that operations made would be seen.
//!
//! The operand stack of a function is followed with, for each value, the instruction that gave it. Every
//! operand is taken once: it is marked there if it is taken by something that looks at its bits. A local
//! may hold results that are not canonical if no value with bits of its own is ever put into it.

use wasmparser::{
    FuncToValidate, FuncValidator, FuncValidatorAllocations, FunctionBody, ValType,
    ValidatorResources,
};

use crate::{
    Error,
    module::{body_start, index},
};

use super::{
    Mark,
    effect::{self, Effect, Shape},
};

/// How often locals may be found to be other than was thought. Programs need a few times; those that
/// were made to need many have all results made canonical that go into locals.
const ROUNDS: usize = 16;

/// A function, as far as NaNs are concerned. What is never reached is left out.
pub(super) struct Flow {
    steps: Vec<Step>,
    locals: Vec<Local>,
}

struct Step {
    effect: Effect,
    takes: u32,
    gives: u32,
    /// Where it ends in the body.
    end: usize,
}

/// What a local may hold.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Local {
    /// Nothing that is a NaN, or canonical ones.
    Canonical,
    /// Such, or results of operations.
    Results(Shape),
    /// Values with bits of their own.
    Exact,
}

/// An operand.
#[derive(Clone, Copy)]
enum Value {
    /// It has bits of its own, or is no floating-point value.
    Exact,
    /// It is no NaN, or a canonical one.
    Canonical,
    /// A result of an operation that came here through the step of this number.
    Result(usize, Shape),
}

impl Flow {
    /// Reads a function, as [`super::canonicalise`] says.
    pub(super) fn read(
        function: FuncToValidate<ValidatorResources>,
        body: &FunctionBody<'_>,
        allocations: &mut FuncValidatorAllocations,
        frames: u32,
    ) -> Result<Self, Error> {
        let mut validator = function.into_validator(std::mem::take(allocations));
        let params = validator.len_locals();
        validator.read_locals(&mut body.get_binary_reader())?;
        let locals = (0..validator.len_locals()).map(|local| {
            let declared = local >= params;
            let ty = validator.get_local_type(local);
            match ty.filter(|_| declared) {
                Some(ValType::F32 | ValType::F64 | ValType::V128) => Local::Canonical,
                _ => Local::Exact,
            }
        });
        let locals = locals.collect();
        let steps = steps(&mut validator, body, frames)?;
        *allocations = validator.into_allocations();
        Ok(Flow { steps, locals })
    }

    /// How many locals there are, with the parameters.
    pub(super) fn locals(&self) -> u32 {
        index(self.locals.len())
    }

    /// The results whose bits would be seen, in order.
    pub(super) fn marks(mut self) -> Vec<Mark> {
        for _ in 0..ROUNDS {
            let mut pass = Pass::new(&self.steps, &mut self.locals);
            pass.run();
            if !pass.learned {
                return pass.into_marks();
            }
        }
        self.locals.fill(Local::Exact);
        let mut pass = Pass::new(&self.steps, &mut self.locals);
        pass.run();
        pass.into_marks()
    }
}

/// What can be reached of a body.
fn steps(
    validator: &mut FuncValidator<ValidatorResources>,
    body: &FunctionBody<'_>,
    frames: u32,
) -> Result<Vec<Step>, Error> {
    let mut steps = Vec::new();
    let start = body_start(body);
    let mut operators = body.get_operators_reader()?;
    // Blocks that were opened since what is never reached.
    let mut dead: Option<u32> = None;
    while !operators.eof() {
        let (operator, position) = operators.read_with_offset()?;
        let effect = effect::of(&operator, frames);
        dead = match (dead, effect) {
            (Some(depth), Effect::Enters) => Some(depth + 1),
            (Some(0), Effect::Else | Effect::End) => None,
            (Some(depth), Effect::End) => Some(depth - 1),
            (dead, _) => dead,
        };
        if dead.is_none() {
            let arity = operator.operator_arity(&*validator);
            let (takes, gives) = arity.unwrap_or_default();
            let end = operators.original_position() - start;
            steps.push(Step {
                effect,
                takes,
                gives,
                end,
            });
            dead = (effect == Effect::Leaves).then_some(0);
        }
        validator.op(position, &operator)?;
    }
    operators.finish()?;
    Ok(steps)
}

/// One reading of a function, with what is known of its locals.
struct Pass<'f> {
    steps: &'f [Step],
    locals: &'f mut [Local],
    /// A local may hold more than was thought: the marks are not all that are needed.
    learned: bool,
    stack: Vec<Value>,
    /// Heights of the stack below the blocks that are open.
    blocks: Vec<usize>,
    marks: Vec<Option<Shape>>,
}

impl<'f> Pass<'f> {
    fn new(steps: &'f [Step], locals: &'f mut [Local]) -> Self {
        Pass {
            steps,
            locals,
            learned: false,
            stack: Vec::new(),
            blocks: vec![0],
            marks: vec![None; steps.len()],
        }
    }

    fn into_marks(self) -> Vec<Mark> {
        let ends = self.steps.iter().map(|step| step.end);
        let marks = ends.zip(self.marks);
        marks.filter_map(|(end, mark)| Some((end, mark?))).collect()
    }

    fn run(&mut self) {
        for (number, step) in self.steps.iter().enumerate() {
            match step.effect {
                Effect::Arithmetic(from, to) => {
                    self.judge(step.takes, from);
                    self.stack.push(Value::Result(number, to));
                }
                Effect::Judges(shape) => {
                    self.judge(step.takes, shape);
                    self.give(step.gives, Value::Exact);
                }
                Effect::Passes(from, to) => {
                    let value = self.pop();
                    let value = self.pass(value, from, Value::Result(number, to));
                    self.stack.push(value);
                }
                Effect::Inserts(lane, vector) => {
                    let (inserted, into) = (self.pop(), self.pop());
                    let value = if is_number(inserted, lane) && is_number(into, vector) {
                        Value::Result(number, vector)
                    } else {
                        self.mark(inserted);
                        self.mark(into);
                        Value::Exact
                    };
                    self.stack.push(value);
                }
                Effect::Selects => {
                    self.pop();
                    let (second, first) = (self.pop(), self.pop());
                    let value = self.either(first, second, number);
                    self.stack.push(value);
                }
                Effect::Drops => {
                    self.pop();
                }
                Effect::Makes => {
                    self.look(step.takes);
                    self.give(step.gives, Value::Canonical);
                }
                Effect::Gets(local) => {
                    let value = self.held(local, number);
                    self.stack.push(value);
                }
                Effect::Sets(local) => {
                    let value = self.pop();
                    let _ = self.set(local, value);
                }
                Effect::Tees(local) => {
                    let value = self.pop();
                    let value = match self.set(local, value) {
                        Value::Result(_, shape) => Value::Result(number, shape),
                        other => other,
                    };
                    self.stack.push(value);
                }
                Effect::Enters => {
                    self.look(step.takes);
                    self.blocks.push(self.stack.len());
                    self.give(step.gives, Value::Exact);
                }
                Effect::Else => {
                    self.close();
                    self.blocks.push(self.stack.len());
                    self.give(step.gives, Value::Exact);
                }
                Effect::End => {
                    self.close();
                    self.give(step.gives, Value::Exact);
                }
                Effect::Leaves | Effect::Other => {
                    self.look(step.takes);
                    self.give(step.gives, Value::Exact);
                }
            }
        }
    }

    fn pop(&mut self) -> Value {
        self.stack.pop().unwrap_or(Value::Exact)
    }

    fn give(&mut self, count: u32, value: Value) {
        self.stack
            .extend(std::iter::repeat_n(value, count as usize));
    }

    /// Makes a value canonical where it comes from; from there on its bits are what they have to be.
    fn mark(&mut self, value: Value) -> Value {
        let Value::Result(from, shape) = value else {
            return value;
        };
        self.marks[from] = Some(shape);
        match shape {
            Shape::F32 | Shape::F64 => Value::Canonical,
            // Read in the other shape it may be any NaN.
            Shape::F32x4 | Shape::F64x2 => Value::Exact,
        }
    }

    /// Operands are taken as bits.
    fn look(&mut self, count: u32) {
        for _ in 0..count {
            let value = self.pop();
            self.mark(value);
        }
    }

    /// Operands are taken as numbers.
    fn judge(&mut self, count: u32, shape: Shape) {
        for _ in 0..count {
            let value = self.pop();
            if !is_result(value, shape) {
                self.mark(value);
            }
        }
    }

    /// What becomes of a value of shape `from` of which `to` is made.
    fn pass(&mut self, value: Value, from: Shape, to: Value) -> Value {
        match value {
            Value::Result(..) if is_result(value, from) => to,
            // A number in a vector may be any NaN for who reads that in the other shape.
            Value::Canonical if matches!(to, Value::Result(_, Shape::F32x4 | Shape::F64x2)) => to,
            value => match self.mark(value) {
                Value::Canonical => Value::Canonical,
                _ => Value::Exact,
            },
        }
    }

    /// One of two values, given by the step `number`.
    fn either(&mut self, first: Value, second: Value, number: usize) -> Value {
        match (first, second) {
            (Value::Canonical, Value::Canonical) => Value::Canonical,
            (Value::Result(_, shape), Value::Canonical)
            | (Value::Canonical, Value::Result(_, shape)) => Value::Result(number, shape),
            (Value::Result(_, one), Value::Result(_, other)) if one == other => {
                Value::Result(number, one)
            }
            _ => {
                self.mark(first);
                self.mark(second);
                Value::Exact
            }
        }
    }

    fn held(&self, local: u32, number: usize) -> Value {
        match self.locals[local as usize] {
            Local::Canonical => Value::Canonical,
            Local::Results(shape) => Value::Result(number, shape),
            Local::Exact => Value::Exact,
        }
    }

    /// Puts a value into a local. Returns what it is there.
    fn set(&mut self, local: u32, value: Value) -> Value {
        let held = self.locals[local as usize];
        let holds = match (held, value) {
            (held, Value::Canonical) => held,
            (Local::Canonical, Value::Result(_, shape)) => Local::Results(shape),
            (Local::Results(one), Value::Result(_, other)) if one == other => held,
            _ => Local::Exact,
        };
        self.learned |= holds != held;
        self.locals[local as usize] = holds;
        if holds == Local::Exact {
            return self.mark(value);
        }
        value
    }

    /// Ends a block: whatever lies above its height are its results.
    fn close(&mut self) {
        let height = self.blocks.pop().unwrap_or(0);
        while self.stack.len() > height {
            self.look(1);
        }
    }
}

fn is_result(value: Value, of: Shape) -> bool {
    matches!(value, Value::Result(_, shape) if shape == of)
}

/// Whether a value may be made canonical without anything of it being lost.
fn is_number(value: Value, of: Shape) -> bool {
    is_result(value, of) || matches!(value, Value::Canonical)
}
