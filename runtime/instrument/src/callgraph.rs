//! Decides which functions can leave, and which poll at their entry.
//!
//! A function *can leave* if a safepoint lies in it or in anything it may call; callers must
//! look at the state after such a call. An indirect call may be of any function of its type that
//! is referred to. A function that cannot leave costs nothing: it is
//! re-encoded as it was.
//!
//! Every loop polls. Calls alone make a program run long in two ways: recursion, and chains
//! that fan out. So the entry of a function polls if it closes a cycle of calls, or if all
//! that it calls adds up to more than [`LONG`]. A call in a loop comes after the loop's poll,
//! and closes no cycle.

use wasmparser::Operator;

use crate::{Error, module::Module};

/// Instructions that a function without loops and its callees may run between two polls.
const LONG: u64 = 20_000;

/// Instructions that a function which cannot leave may run.
const CHEAP: u64 = 2_000;

/// What one instruction over a whole memory or table counts for.
const BULK: u64 = 1_000;

/// The verdict on one function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// It has safepoints, or calls what has.
    pub(crate) leaves: bool,
    /// Its entry is a safepoint.
    pub(crate) polls_at_entry: bool,
    /// It may end in a tail call, so that another function's frame stands in its place.
    pub(crate) tail_calls: bool,
}

/// The verdicts on a module's functions.
#[derive(Debug)]
pub(crate) struct Verdicts {
    /// One per function, imports first.
    pub(crate) functions: Vec<Verdict>,
    /// For each type, whether an indirect call of it can leave.
    types: Vec<bool>,
}

impl Verdicts {
    /// Whether a call can leave that may be of any function of a type.
    pub(crate) fn indirect_call_leaves(&self, module: &Module<'_>, ty: u32) -> bool {
        self.types[module.canonical.first(ty) as usize]
    }
}

/// Judges all functions. Imported ones can leave: the host may ask to make a call again after
/// a resume.
pub(crate) fn judge(module: &Module<'_>) -> Result<Verdicts, Error> {
    let imports = module.imported_functions as usize;
    let mut summaries: Vec<Summary> = (0..imports).map(|_| Summary::default()).collect();
    for body in &module.bodies {
        summaries.push(summarise(body.get_operators_reader()?)?);
    }
    let recursive = Graph::new(module, &summaries, |_| true).recursive();
    // Without the calls that a poll precedes.
    let graph = Graph::new(module, &summaries, |call| !call.in_loop);
    let order = graph.callees_first();
    let mut verdicts = vec![Verdict::default(); graph.edges.len()];
    // What runs from an entry to the next poll, at most. A poll starts the count anew.
    let mut costs = vec![0u64; graph.edges.len()];
    for node in order.nodes {
        let Some(summary) = summaries.get(node) else {
            // Any function of the type may be called.
            let callees = || graph.edges[node].iter();
            costs[node] = callees().map(|&callee| costs[callee]).max().unwrap_or(0);
            verdicts[node].leaves =
                recursive[node] || callees().any(|&callee| verdicts[callee].leaves);
            continue;
        };
        let callees = || {
            summary
                .calls
                .iter()
                .map(|call| node_of(module, call.callee))
        };
        let cost = callees().fold(summary.instructions, |cost, callee| {
            cost.saturating_add(costs[callee])
        });
        let leaves = node < imports
            || summary.loops
            || recursive[node]
            || callees().any(|callee| verdicts[callee].leaves)
            || cost > CHEAP;
        let polls_at_entry = node < imports || (leaves && (order.closers[node] || cost > LONG));
        costs[node] = if polls_at_entry { 0 } else { cost };
        verdicts[node] = Verdict {
            leaves,
            polls_at_entry,
            tail_calls: summary.tail_calls,
        };
    }
    let types = verdicts.split_off(summaries.len());
    Ok(Verdicts {
        functions: verdicts,
        types: types.into_iter().map(|verdict| verdict.leaves).collect(),
    })
}

/// What matters here of one function.
#[derive(Default)]
struct Summary {
    instructions: u64,
    loops: bool,
    calls: Vec<Call>,
    tail_calls: bool,
}

struct Call {
    callee: Callee,
    in_loop: bool,
}

#[derive(Clone, Copy)]
enum Callee {
    Function(u32),
    /// Any function of this type.
    Type(u32),
}

fn summarise(mut operators: wasmparser::OperatorsReader<'_>) -> Result<Summary, Error> {
    let mut summary = Summary::default();
    // The open blocks, and whether each lies in a loop.
    let mut open = vec![false];
    while !operators.eof() {
        summary.instructions += 1;
        let in_loop = open.last().copied().unwrap_or(false);
        let callee = match operators.read()? {
            Operator::Loop { .. } => {
                summary.loops = true;
                open.push(true);
                continue;
            }
            Operator::Block { .. } | Operator::If { .. } | Operator::TryTable { .. } => {
                open.push(in_loop);
                continue;
            }
            Operator::End => {
                open.pop();
                continue;
            }
            Operator::Call { function_index } => Callee::Function(function_index),
            Operator::ReturnCall { function_index } => {
                summary.tail_calls = true;
                Callee::Function(function_index)
            }
            Operator::CallIndirect { type_index, .. } | Operator::CallRef { type_index } => {
                Callee::Type(type_index)
            }
            Operator::ReturnCallIndirect { type_index, .. }
            | Operator::ReturnCallRef { type_index } => {
                summary.tail_calls = true;
                Callee::Type(type_index)
            }
            Operator::MemoryCopy { .. }
            | Operator::MemoryFill { .. }
            | Operator::MemoryInit { .. }
            | Operator::MemoryGrow { .. }
            | Operator::TableCopy { .. }
            | Operator::TableFill { .. }
            | Operator::TableInit { .. }
            | Operator::TableGrow { .. } => {
                summary.instructions += BULK;
                continue;
            }
            _ => continue,
        };
        summary.calls.push(Call { callee, in_loop });
    }
    Ok(summary)
}

/// Nodes are functions, then one per type that stands for every indirect call of that type:
/// without it the edges would be callers times callees.
fn node_of(module: &Module<'_>, callee: Callee) -> usize {
    match callee {
        Callee::Function(function) => function as usize,
        Callee::Type(ty) => module.functions.len() + module.canonical.first(ty) as usize,
    }
}

/// Who may call whom.
struct Graph {
    functions: usize,
    /// Callees, without duplicates.
    edges: Vec<Vec<usize>>,
}

/// The nodes of a graph without the edges that close its cycles, callees first.
struct Order {
    nodes: Vec<usize>,
    /// Functions whose polls break every cycle.
    closers: Vec<bool>,
}

impl Graph {
    fn new(module: &Module<'_>, summaries: &[Summary], counts: impl Fn(&Call) -> bool) -> Self {
        let mut edges = Vec::with_capacity(summaries.len() + module.types.len());
        for summary in summaries {
            let calls = summary.calls.iter().filter(|call| counts(call));
            let mut callees: Vec<usize> = calls.map(|call| node_of(module, call.callee)).collect();
            callees.sort_unstable();
            callees.dedup();
            edges.push(callees);
        }
        edges.resize(summaries.len() + module.types.len(), Vec::new());
        for &function in &module.referenced {
            let ty = Callee::Type(module.functions[function as usize]);
            edges[node_of(module, ty)].push(function as usize);
        }
        Self {
            functions: summaries.len(),
            edges,
        }
    }

    /// Which nodes lie on a cycle.
    fn recursive(&self) -> Vec<bool> {
        let mut recursive = vec![false; self.edges.len()];
        for component in self.components() {
            for &node in &component {
                recursive[node] = component.len() > 1 || self.edges[node].contains(&node);
            }
        }
        recursive
    }

    /// Strongly connected components, callees first (Tarjan, without recursion: the graph's
    /// depth is the guest's to choose).
    fn components(&self) -> Vec<Vec<usize>> {
        const UNSEEN: usize = usize::MAX;
        let mut order = vec![UNSEEN; self.edges.len()];
        let mut low = vec![0; self.edges.len()];
        let mut on_stack = vec![false; self.edges.len()];
        let (mut stack, mut components, mut next) = (Vec::new(), Vec::new(), 0);
        for root in 0..self.edges.len() {
            if order[root] != UNSEEN {
                continue;
            }
            let mut work = vec![(root, 0)];
            while let Some((node, edge)) = work.pop() {
                if edge == 0 {
                    order[node] = next;
                    low[node] = next;
                    next += 1;
                    stack.push(node);
                    on_stack[node] = true;
                } else {
                    let child = self.edges[node][edge - 1];
                    if on_stack[child] {
                        low[node] = low[node].min(low[child]);
                    }
                }
                if let Some(&child) = self.edges[node].get(edge) {
                    work.push((node, edge + 1));
                    if order[child] == UNSEEN {
                        work.push((child, 0));
                    }
                } else if low[node] == order[node] {
                    let start = stack.iter().rposition(|&n| n == node).unwrap_or(0);
                    let component: Vec<usize> = stack.drain(start..).collect();
                    for &member in &component {
                        on_stack[member] = false;
                    }
                    components.push(component);
                }
            }
        }
        components
    }

    /// Orders the nodes by a depth-first search. Its back edges close the cycles, so there a
    /// poll breaks them: in the callee, or, where the call is indirect, in the caller. That is
    /// one function, where any of the callee's type would have had to poll.
    fn callees_first(&self) -> Order {
        #[derive(Clone, Copy, PartialEq)]
        enum Mark {
            Unseen,
            Open,
            Done,
        }
        let mut marks = vec![Mark::Unseen; self.edges.len()];
        let mut order = Order {
            nodes: Vec::with_capacity(self.edges.len()),
            closers: vec![false; self.edges.len()],
        };
        for root in 0..self.edges.len() {
            if marks[root] != Mark::Unseen {
                continue;
            }
            marks[root] = Mark::Open;
            let mut work = vec![(root, 0)];
            while let Some((node, edge)) = work.pop() {
                let Some(&child) = self.edges[node].get(edge) else {
                    marks[node] = Mark::Done;
                    order.nodes.push(node);
                    continue;
                };
                work.push((node, edge + 1));
                match marks[child] {
                    Mark::Unseen => {
                        marks[child] = Mark::Open;
                        work.push((child, 0));
                    }
                    Mark::Open if child < self.functions => order.closers[child] = true,
                    Mark::Open => order.closers[node] = true,
                    Mark::Done => {}
                }
            }
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The verdicts on the functions of a module in text form.
    fn verdicts(text: &str) -> Vec<Verdict> {
        let wasm = wat::parse_str(text).unwrap();
        judge(&Module::read(&wasm).unwrap().0).unwrap().functions
    }

    #[test]
    fn a_chain_that_doubles_at_every_link_polls() {
        let link = |next: usize| format!("(func $f{} (call $f{next}) (call $f{next}))", next - 1);
        let links: String = (1..64).map(link).collect();
        let verdicts = verdicts(&format!("(module {links} (func $f63 nop))"));
        let polls = |verdicts: &[Verdict]| verdicts.iter().any(|verdict| verdict.polls_at_entry);
        // A thousand times 15 instructions are run between two polls, not a million times.
        assert!(verdicts.windows(16).all(polls), "{verdicts:#?}");
        assert!(!verdicts[63].leaves);
    }

    #[test]
    fn recursion_behind_a_loops_poll_does_not_poll_at_the_entry() {
        let [in_loop, plain] = verdicts(
            "(module
               (func $in_loop (loop $l (call $in_loop) (br_if $l (i32.const 0))))
               (func $plain (call $plain)))",
        )[..] else {
            panic!("two functions");
        };
        assert!(in_loop.leaves && !in_loop.polls_at_entry);
        assert!(plain.leaves && plain.polls_at_entry);
    }

    #[test]
    fn where_an_indirect_call_closes_a_cycle_the_caller_polls() {
        let [caller, one, other] = verdicts(
            "(module
               (type $t (func (param i32)))
               (table 2 funcref) (elem (i32.const 0) $one $other)
               (func $caller (type $t) (call_indirect (type $t) (local.get 0) (local.get 0)))
               (func $one (type $t) (call $caller (local.get 0)))
               (func $other (type $t)))",
        )[..] else {
            panic!("three functions");
        };
        assert!(caller.polls_at_entry || one.polls_at_entry);
        assert!(!other.leaves && !other.polls_at_entry);
    }

    #[test]
    fn an_indirect_call_leaves_if_a_function_of_its_type_does() {
        let module = |body: &str| {
            format!(
                "(module
                   (type $t (func (param i32))) (type $same (func (param i32)))
                   (table 2 funcref) (elem (i32.const 0) $one $other)
                   (func $caller (call_indirect (type $same) (i32.const 7) (i32.const 0)))
                   (func $one (type $t))
                   (func $other (type $t) {body}))"
            )
        };
        let leaves = |body| verdicts(&module(body))[0].leaves;
        assert!(!leaves("nop"));
        assert!(leaves("(loop (br 0))"));
        assert!(leaves("(call $caller)"));
        assert!(leaves(
            "(call_indirect (type $t) (i32.const 7) (i32.const 0))"
        ));
    }
}
