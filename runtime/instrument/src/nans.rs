//! Makes NaNs canonical where their bits can be seen.
//!
//! What bits an operation gives a NaN, WebAssembly leaves to the machine; a deterministic program has
//! to get the same everywhere. To make the result of each operation canonical costs as much as
//! the operations. But arithmetic, comparisons and conversions do not look at the bits of a NaN, so
//! that those of a result matter only once it is stored, taken as an integer, given to a call, or kept where a
//! value with bits of its own may be kept as well. There and nowhere else a result is replaced:
//!
//! ```wat
//! f64.add                                         f64.add
//! f64.mul                     f64.mul
//! f64.store                   local.tee $copy  local.get $copy  f64.ne
//!                             if  f64.const nan  local.set $copy  end
//!                             local.get $copy
//!                             f64.store
//! ```
//!
//! What a program loads, is given, or makes from integers keeps its bits: copies are exact. So all that can be
//! seen is what it would be if every operation had a canonical result.
//!
//! It comes after the rest of the pass, whose stores into frames are stores like others.

mod effect;
mod flow;
mod insert;

use std::collections::{BTreeMap, HashMap};

use wasm_encoder::{BranchHint, BranchHints, CodeSection, Module, RawSection};
use wasmparser::{
    BranchHintFunction, FuncToValidate, FuncValidatorAllocations, FunctionBody, KnownCustom,
    Parser, Payload, ValidPayload, Validator, ValidatorResources, WasmFeatures,
};

use crate::{Error, module::index};

use self::{effect::Shape, flow::Flow, insert::Inserted};

/// The result that ends at an offset of a body is to be made canonical.
type Mark = (usize, Shape);

/// Rewrites a module that the pass made. What lies in its memory `frames` was canonical when it
/// was stored, or has bits of its own.
pub(crate) fn canonicalise(wasm: &[u8], frames: u32) -> Result<Vec<u8>, Error> {
    let bodies = Bodies::read(wasm, frames)?;
    let mut module = Module::new();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::CodeSectionStart { .. } => {
                module.section(&bodies.code);
            }
            Payload::CustomSection(section)
                if let KnownCustom::BranchHints(hints) = section.as_known() =>
            {
                let hints = hints.into_iter().collect::<Result<Vec<_>, _>>()?;
                module.section(&bodies.hints(hints)?);
            }
            other => {
                if let Some((id, range)) = other.as_section() {
                    let data = &wasm[range];
                    module.section(&RawSection { id, data });
                }
            }
        }
    }
    Ok(module.finish())
}

/// All bodies, rewritten.
struct Bodies {
    code: CodeSection,
    /// How the instructions of those have moved that were changed.
    moves: HashMap<u32, Vec<(usize, usize)>>,
    /// For branches that were inserted, by function.
    hints: BTreeMap<u32, Vec<BranchHint>>,
}

impl Bodies {
    fn read(wasm: &[u8], frames: u32) -> Result<Self, Error> {
        let mut validator = Validator::new_with_features(WasmFeatures::all());
        let mut allocations = FuncValidatorAllocations::default();
        let mut bodies = Bodies {
            code: CodeSection::new(),
            moves: HashMap::new(),
            hints: BTreeMap::new(),
        };
        for payload in Parser::new(0).parse_all(wasm) {
            if let ValidPayload::Func(function, body) = validator.payload(&payload?)? {
                bodies.body(function, &body, &mut allocations, frames)?;
            }
        }
        Ok(bodies)
    }

    fn body(
        &mut self,
        function: FuncToValidate<ValidatorResources>,
        body: &FunctionBody<'_>,
        allocations: &mut FuncValidatorAllocations,
        frames: u32,
    ) -> Result<(), Error> {
        let number = function.index;
        let flow = Flow::read(function, body, allocations, frames)?;
        let locals = flow.locals();
        let marks = flow.marks();
        if marks.is_empty() {
            self.code.raw(body.as_bytes());
            return Ok(());
        }
        let Inserted {
            function,
            moves,
            cold,
        } = insert::canonicalise(body, locals, &marks)?;
        self.code.function(&function);
        self.moves.insert(number, moves);
        self.hints.insert(number, cold);
        Ok(())
    }

    /// All hints, with those of the old bodies.
    fn hints(&self, old: Vec<BranchHintFunction<'_>>) -> Result<BranchHints, Error> {
        let mut all = self.hints.clone();
        for BranchHintFunction { func, hints } in old {
            let of_function = all.entry(func).or_default();
            for hint in hints {
                let hint = hint?;
                of_function.push(BranchHint {
                    branch_func_offset: index(self.moved(func, hint.func_offset as usize)),
                    branch_hint_value: hint.taken.into(),
                });
            }
            of_function.sort_unstable_by_key(|hint| hint.branch_func_offset);
        }
        let mut hints = BranchHints::new();
        for (function, of_function) in all {
            hints.function_hints(function, of_function);
        }
        Ok(hints)
    }

    /// Where an instruction of a body is now.
    fn moved(&self, function: u32, offset: usize) -> usize {
        let moves = self.moves.get(&function).map_or(&[][..], Vec::as_slice);
        let last = moves.partition_point(|&(from, _)| from <= offset);
        let by = last.checked_sub(1).map_or(0, |last| moves[last].1);
        offset + by
    }
}
