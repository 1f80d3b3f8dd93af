//! The way back to a resume point, taken while rewinding.
//!
//! A function's dispatch pops its frame and jumps to the site that the frame names; where
//! that lies in a loop, to the loop's header, whose dispatch goes on inside. The last jump of
//! all ends the rewinding *before* it is taken, so that no path leads from cold code into a
//! loop's hot path: that would cost the loop its registers.

use wasm_encoder::{BlockType, Instruction as I};

use crate::{
    Error,
    code::{Code, Label},
    function::{SiteId, SiteKind},
    helpers::{SITE_REGISTER, at},
    module::index,
    rewrite::Rewriter,
};

/// A resume point of a region: a call or entry, or a loop with all the sites inside it.
pub(crate) struct Target {
    pub(crate) first: SiteId,
    pub(crate) last: SiteId,
    pub(crate) label: Label,
    pub(crate) kind: SiteKind,
}

/// Dispatch at a function's entry.
pub(crate) fn into_function<'a>(
    rewriter: &mut Rewriter<'_, 'a>,
    targets: &[Target],
) -> Result<Vec<Code<'a>>, Error> {
    let polls = rewriter.function.sites[0].kind == SiteKind::Entry;
    let mut table = Table::default();
    for target in targets {
        for site in target.first..=target.last {
            let dynamic = rewriter.function.sites[site].kind == SiteKind::Dynamic;
            let callee = if dynamic { rewriter.callee } else { None };
            let values = rewriter.saved(site);
            let mut code = rewriter.helpers.load(&values, callee);
            code.extend(arrive(rewriter, target, site));
            table.add(rewriter.label(), code, target.label);
        }
    }
    let mut code = new(if polls {
        rewriter.helpers.uncount()
    } else {
        Vec::new()
    });
    code.extend(new([I::I32Const(0)]));
    code.extend(new(rewriter.helpers.top_site()));
    code.extend(new([I::I32Store(at(
        SITE_REGISTER,
        0,
        rewriter.helpers.indices.frames,
    ))]));
    code.extend(table.into_code(rewriter, 0));
    Ok(code)
}

/// Dispatch at a loop's header, with the locals restored and the site in its register.
pub(crate) fn into_loop<'a>(rewriter: &mut Rewriter<'_, 'a>, targets: &[Target]) -> Vec<Code<'a>> {
    let mut table = Table::default();
    for target in targets {
        for site in target.first..=target.last {
            let code = arrive(rewriter, target, site);
            if code.is_empty() {
                table.labels.push(target.label);
            } else if site > target.first + 1 {
                // All sites inside a loop are reached the same way.
                table.repeat();
            } else {
                table.add(rewriter.label(), code, target.label);
            }
        }
    }
    let first = targets.first().map_or(0, |target| target.first);
    table.into_code(rewriter, first)
}

/// What is left to do before the jump to `target` on the way to `site`.
fn arrive(rewriter: &Rewriter<'_, '_>, target: &Target, site: SiteId) -> Vec<I<'static>> {
    let mut code = Vec::new();
    if target.kind == SiteKind::Loop {
        // The header polls once more than the uninterrupted program did.
        code.extend(rewriter.helpers.uncount());
    }
    if site == target.first && matches!(target.kind, SiteKind::Loop | SiteKind::Entry) {
        code.extend(rewriter.helpers.resumed());
    }
    code
}

/// A `br_table` whose entries may run code before they jump on.
#[derive(Default)]
struct Table {
    labels: Vec<Label>,
    stubs: Vec<(Label, Vec<I<'static>>, Label)>,
}

impl Table {
    fn add(&mut self, stub: Label, code: Vec<I<'static>>, target: Label) {
        self.labels.push(stub);
        self.stubs.push((stub, code, target));
    }

    fn repeat(&mut self) {
        self.labels.extend(self.labels.last().copied());
    }

    /// Jumps by the site register; `first` is the site of the first entry. A site that is
    /// not there can only come from a forged checkpoint, and traps.
    fn into_code<'a>(self, rewriter: &mut Rewriter<'_, 'a>, first: SiteId) -> Vec<Code<'a>> {
        let first = rewriter.first_site + index(first);
        let nowhere = rewriter.label();
        let mut code = vec![Code::Block(nowhere, BlockType::Empty)];
        for (label, ..) in self.stubs.iter().rev() {
            code.push(Code::Block(*label, BlockType::Empty));
        }
        code.extend(new([
            I::I32Const(0),
            I::I32Load(at(SITE_REGISTER, 0, rewriter.helpers.indices.frames)),
            I::I32Const(first.cast_signed()),
            I::I32Sub,
        ]));
        code.push(Code::BrTable(self.labels, nowhere));
        for (_, stub, target) in self.stubs {
            code.push(Code::End);
            code.extend(new(stub));
            code.push(Code::Br(target));
        }
        code.push(Code::End);
        code.extend(new([I::Unreachable]));
        code
    }
}

fn new<'a>(code: impl IntoIterator<Item = I<'static>>) -> Vec<Code<'a>> {
    code.into_iter().map(Code::New).collect()
}
