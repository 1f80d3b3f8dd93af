//! The way back to a resume point, taken while rewinding.
//!
//! A function's dispatch pops its frame and jumps to the site that the frame names; where
//! that lies in a loop, to the loop's header, whose dispatch goes on inside. Each dispatch
//! restores what its own targets need and no more: a value that only an inner loop needs must
//! not be live in the outer one. The last jump of all ends the rewinding *before* it is
//! taken, so that no path leads from cold code into a loop's hot path. Both keep the loops'
//! registers for the loops.

use wasm_encoder::{BlockType, Instruction as I, ValType};
use wherry_snapshot::Slot;

use crate::{
    Error,
    code::{Code, Label},
    function::{SiteId, SiteKind},
    map::Type,
    module::index,
    rewrite::Rewriter,
};

/// A resume point of a region: a call or entry, or a loop or `try_table` with all the sites
/// inside it.
pub(crate) struct Target {
    pub(crate) first: SiteId,
    pub(crate) last: SiteId,
    pub(crate) label: Label,
    /// What `first` is, if it is resumed here, and not inside.
    pub(crate) kind: Option<SiteKind>,
}

/// Dispatch at a function's entry.
pub(crate) fn into_function<'a>(
    rewriter: &mut Rewriter<'_, 'a>,
    targets: &[Target],
) -> Result<Vec<Code<'a>>, Error> {
    let polls = rewriter.function.sites[0].kind == SiteKind::Entry;
    let mut code = new(if polls {
        rewriter.helpers.uncount()
    } else {
        Vec::new()
    });
    code.extend(new(rewriter.helpers.pop(&rewriter.layout)));
    code.extend(restore(rewriter, targets, &[])?);
    code.extend(jump(rewriter, targets)?);
    Ok(code)
}

/// Dispatch at the header of the loop that polls at `poll`, or of a `try_table` in it: what is
/// live at that header was restored on the way.
pub(crate) fn into_block<'a>(
    rewriter: &mut Rewriter<'_, 'a>,
    poll: Option<SiteId>,
    targets: &[Target],
) -> Result<Vec<Code<'a>>, Error> {
    let restored = match poll {
        Some(poll) => rewriter.slots(poll)?,
        None => Vec::new(),
    };
    let mut code = restore(rewriter, targets, &restored)?;
    code.extend(jump(rewriter, targets)?);
    Ok(code)
}

/// Loads what the targets need. A target finds zeros in what only others need.
fn restore<'a>(
    rewriter: &mut Rewriter<'_, 'a>,
    targets: &[Target],
    restored: &[(Slot, ValType)],
) -> Result<Vec<Code<'a>>, Error> {
    let mut needed = Vec::new();
    for target in targets.iter().filter(|target| target.kind.is_some()) {
        needed.extend(rewriter.slots(target.first)?);
    }
    needed.sort_unstable();
    needed.dedup();
    needed.retain(|slot| restored.binary_search(slot).is_err());
    let mut code = Vec::new();
    for (slot, ty) in needed {
        if let Some(offset) = rewriter.layout.offset(slot, Type::of(ty)) {
            let local = rewriter.local_of(slot, ty);
            let ty = rewriter.locals[local as usize];
            code.extend(rewriter.helpers.restore(local, ty, offset));
        }
    }
    let dynamic = targets
        .iter()
        .any(|target| target.kind == Some(SiteKind::Dynamic));
    if let (true, Some(callee)) = (dynamic, rewriter.callee) {
        code.extend(
            rewriter
                .helpers
                .load(ValType::I32, rewriter.layout.callee()),
        );
        code.push(I::LocalSet(callee));
    }
    Ok(new(code))
}

/// Jumps to the target that holds the frame's site. A site that is not there can only come
/// from a forged checkpoint, and traps.
fn jump<'a>(rewriter: &mut Rewriter<'_, 'a>, targets: &[Target]) -> Result<Vec<Code<'a>>, Error> {
    let nowhere = rewriter.label();
    let (mut labels, mut stubs) = (Vec::new(), Vec::new());
    for target in targets {
        let inside = target.last - target.first;
        if target.kind.is_none() {
            labels.extend(std::iter::repeat_n(target.label, inside + 1));
            continue;
        }
        labels.push(stub(rewriter, target, true, &mut stubs)?);
        if inside > 0 {
            let label = stub(rewriter, target, false, &mut stubs)?;
            labels.extend(std::iter::repeat_n(label, inside));
        }
    }
    let mut code = vec![Code::Block(nowhere, BlockType::Empty)];
    for (label, ..) in stubs.iter().rev() {
        code.push(Code::Block(*label, BlockType::Empty));
    }
    let first = rewriter.first_site + targets.first().map_or(0, |target| index(target.first));
    code.extend(new(rewriter
        .helpers
        .load(ValType::I32, rewriter.layout.site())));
    code.extend(new([I::I32Const(first.cast_signed()), I::I32Sub]));
    code.push(Code::BrTable(labels, nowhere));
    for (_, stub, target) in stubs {
        code.push(Code::End);
        code.extend(new(stub));
        code.push(Code::Br(target));
    }
    code.push(Code::End);
    code.extend(new([I::Unreachable]));
    Ok(code)
}

/// Where the table leads for a target: to itself, or to code that is run before. `arrived`
/// says that the target is the site itself, not a loop around it.
fn stub(
    rewriter: &mut Rewriter<'_, '_>,
    target: &Target,
    arrived: bool,
    stubs: &mut Vec<(Label, Vec<I<'static>>, Label)>,
) -> Result<Label, Error> {
    let mut code = Vec::new();
    if target.kind == Some(SiteKind::Loop) {
        // The header polls once more than the uninterrupted program did.
        code.extend(rewriter.helpers.uncount());
    }
    if arrived && matches!(target.kind, Some(SiteKind::Loop | SiteKind::Entry)) {
        code.extend(rewriter.helpers.resumed());
    }
    if matches!(target.kind, Some(SiteKind::Call(_))) {
        code.extend(rewriter.stand_in_arguments(target.first)?);
    }
    if code.is_empty() {
        return Ok(target.label);
    }
    let label = rewriter.label();
    stubs.push((label, code, target.label));
    Ok(label)
}

fn new<'a>(code: impl IntoIterator<Item = I<'static>>) -> Vec<Code<'a>> {
    code.into_iter().map(Code::New).collect()
}
