//! Which locals hold a value that is still wanted, at every safepoint and call.
//!
//! A backward pass over the operators, repeated until the loops' headers no longer change.
//! Where that takes too long, which only a contrived program does, everything counts as
//! live: more is saved than needed, and nothing is lost.

use wasmparser::Operator;

use crate::{
    Error, MAX_SLOTS,
    function::{Block, BlockKind, Function, Op, SiteKind},
    module::index,
};

/// Passes after which every local counts as live at every loop. Each pass settles one more
/// level of nested loops.
const MAX_PASSES: usize = 24;

/// Bytes of bit sets beyond which no analysis is attempted.
const MAX_BYTES: usize = 64 << 20;

/// Fills in [`Site::live`](crate::function::Site::live).
pub(crate) fn analyse(function: &mut Function<'_>) -> Result<(), Error> {
    if function.sites.is_empty() {
        return Ok(());
    }
    let mut at_loops = AtLoops::new(function);
    for pass in 0.. {
        if pass == MAX_PASSES {
            at_loops.give_up();
        }
        let entry = backward(function, &mut at_loops)?;
        if at_loops.settled() {
            if let Some(site) = function
                .sites
                .first_mut()
                .filter(|s| s.kind == SiteKind::Entry)
            {
                site.live = entry.members();
                site.live.retain(|&local| local < function.params);
            }
            break;
        }
    }
    Ok(())
}

/// What is live at the headers of loops, as far as is known.
struct AtLoops {
    sets: Vec<Option<Set>>,
    all: Set,
    changed: bool,
    conservative: bool,
}

impl AtLoops {
    fn new(function: &Function<'_>) -> Self {
        let locals = function.locals.len();
        let loops = function
            .blocks
            .iter()
            .filter(|b| b.kind == BlockKind::Loop)
            .count();
        let mut all = Set::empty(locals);
        for local in 0..locals {
            all.insert(index(local));
        }
        let conservative = loops.saturating_mul(locals / 8) > MAX_BYTES;
        let sets = vec![None; function.blocks.len()];
        Self {
            sets,
            all,
            changed: false,
            conservative,
        }
    }

    fn at(&self, block: usize, locals: usize) -> Set {
        if self.conservative {
            return self.all.clone();
        }
        self.sets[block]
            .clone()
            .unwrap_or_else(|| Set::empty(locals))
    }

    fn learn(&mut self, block: usize, live: &Set) {
        if !self.conservative && self.sets[block].as_ref() != Some(live) {
            self.sets[block] = Some(live.clone());
            self.changed = true;
        }
    }

    fn settled(&mut self) -> bool {
        !std::mem::replace(&mut self.changed, false)
    }

    fn give_up(&mut self) {
        self.conservative = true;
        self.sets.clear();
    }
}

/// An open block, seen from its end.
struct Scope {
    after: Set,
    /// For an `if` whose `else` was passed: what is live where that begins.
    otherwise: Option<Set>,
}

/// One pass; returns what is live at the entry.
fn backward(function: &mut Function<'_>, at_loops: &mut AtLoops) -> Result<Set, Error> {
    let mut saved = 0;
    let locals = function.locals.len();
    let mut scopes: Vec<Option<Scope>> = function.blocks.iter().map(|_| None).collect();
    let mut live = Set::empty(locals);
    // What the handlers of the open `try_table`s want, those of outer ones included.
    let mut handlers: Vec<Set> = Vec::new();
    for op in function.ops.iter().rev() {
        match op {
            Op::Plain(operator) => transfer(operator, &mut live, handlers.last()),
            Op::End(block) => {
                if function.blocks[*block].kind == BlockKind::Try {
                    let outer = handlers.last().cloned();
                    let mut wanted = outer.unwrap_or_else(|| Set::empty(locals));
                    for &(_, target) in &function.blocks[*block].catches {
                        let blocks = &function.blocks;
                        wanted.union(&at_target(blocks, &scopes, at_loops, target, locals));
                    }
                    handlers.push(wanted);
                }
                scopes[*block] = Some(Scope {
                    after: live.clone(),
                    otherwise: None,
                });
            }
            Op::Else(block) => {
                if let Some(scope) = &mut scopes[*block] {
                    let otherwise = std::mem::replace(&mut live, scope.after.clone());
                    scope.otherwise = Some(otherwise);
                }
            }
            Op::If(block) => {
                if let Some(scope) = scopes[*block].take() {
                    live.union(&scope.otherwise.unwrap_or(scope.after));
                }
            }
            Op::Block(block) => scopes[*block] = None,
            Op::Try(block) => {
                scopes[*block] = None;
                handlers.pop();
            }
            Op::Loop(block) => {
                scopes[*block] = None;
                if at_loops.conservative {
                    live = at_loops.all.clone();
                }
                at_loops.learn(*block, &live);
                if let Some(site) = function.blocks[*block].poll {
                    function.sites[site].live = live.members();
                    saved += function.sites[site].live.len();
                }
            }
            Op::Br(target) => {
                live = at_target(&function.blocks, &scopes, at_loops, *target, locals);
            }
            Op::BrIf(target) | Op::BrOnNull(target, _) | Op::BrOnNonNull(target) => {
                live.union(&at_target(
                    &function.blocks,
                    &scopes,
                    at_loops,
                    *target,
                    locals,
                ));
            }
            Op::BrTable(targets, default) => {
                live = at_target(&function.blocks, &scopes, at_loops, *default, locals);
                let mut distinct = targets.clone();
                distinct.sort_unstable();
                distinct.dedup();
                for target in distinct {
                    live.union(&at_target(
                        &function.blocks,
                        &scopes,
                        at_loops,
                        target,
                        locals,
                    ));
                }
            }
            Op::Call(site, _) => {
                // It may throw instead of returning.
                if let Some(handlers) = handlers.last() {
                    live.union(handlers);
                }
                function.sites[*site].live = live.members();
                saved += function.sites[*site].live.len();
            }
        }
        if saved > MAX_SLOTS {
            return Err(Error::TooLarge {
                what: "saved locals",
                limit: MAX_SLOTS,
            });
        }
    }
    Ok(live)
}

fn at_target(
    blocks: &[Block],
    scopes: &[Option<Scope>],
    at_loops: &AtLoops,
    target: usize,
    locals: usize,
) -> Set {
    match (&blocks[target].kind, &scopes[target]) {
        (BlockKind::Loop, _) => at_loops.at(target, locals),
        (_, Some(scope)) => scope.after.clone(),
        (_, None) => Set::empty(locals),
    }
}

fn transfer(operator: &Operator<'_>, live: &mut Set, handlers: Option<&Set>) {
    match operator {
        Operator::Call { .. } | Operator::CallIndirect { .. } | Operator::CallRef { .. } => {
            if let Some(handlers) = handlers {
                live.union(handlers);
            }
        }
        Operator::Throw { .. } | Operator::ThrowRef => {
            live.clear();
            if let Some(handlers) = handlers {
                live.union(handlers);
            }
        }
        Operator::LocalGet { local_index } => live.insert(*local_index),
        Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
            live.remove(*local_index);
        }
        Operator::Return
        | Operator::Unreachable
        | Operator::ReturnCall { .. }
        | Operator::ReturnCallIndirect { .. }
        | Operator::ReturnCallRef { .. } => live.clear(),
        _ => {}
    }
}

/// A set of locals.
#[derive(Clone, PartialEq, Eq)]
struct Set(Vec<u64>);

impl Set {
    fn empty(locals: usize) -> Self {
        Self(vec![0; locals.div_ceil(64)])
    }
    fn insert(&mut self, local: u32) {
        self.0[local as usize / 64] |= 1 << (local % 64);
    }
    fn remove(&mut self, local: u32) {
        self.0[local as usize / 64] &= !(1 << (local % 64));
    }
    fn clear(&mut self) {
        self.0.fill(0);
    }
    fn union(&mut self, other: &Self) {
        for (word, more) in self.0.iter_mut().zip(&other.0) {
            *word |= more;
        }
    }
    fn members(&self) -> Vec<u32> {
        let mut members = Vec::new();
        for (place, &word) in self.0.iter().enumerate() {
            let mut word = word;
            while word != 0 {
                members.push(index(place * 64) + word.trailing_zeros());
                word &= word - 1;
            }
        }
        members
    }
}
