//! Decides which functions can leave, and which poll at their entry.
//!
//! A function *can leave* if a safepoint lies in it or in anything it may call; callers must
//! look at the state after such a call. A function that cannot leave costs nothing: it is
//! re-encoded as it was.
//!
//! Every loop polls. Calls alone make a program run long in two ways: recursion, and chains
//! that fan out. So the entry of a function polls if it closes a cycle of the call graph, or
//! if all that it calls adds up to more than [`LONG`].

use wasmparser::Operator;

use crate::{Error, module::Module};

/// Instructions that a function without loops and its callees may run between two polls.
const LONG: u64 = 10_000;

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

#[derive(Default)]
struct Summary {
    instructions: u64,
    loops: bool,
    indirect: Vec<u32>,
    calls: Vec<u32>,
    tail_calls: Vec<u32>,
    tail_calls_indirect: bool,
}

/// One verdict per function, imports first. Imported functions can leave: the host may ask
/// to make a call again after a resume.
pub(crate) fn judge(module: &Module<'_>) -> Result<Vec<Verdict>, Error> {
    let imports = module.imported_functions as usize;
    let mut summaries: Vec<Summary> = (0..imports).map(|_| Summary::default()).collect();
    for body in &module.bodies {
        summaries.push(summarise(body.get_operators_reader()?)?);
    }
    let graph = Graph::new(module, &summaries);
    let components = graph.components();
    let mut verdicts = vec![Verdict::default(); summaries.len()];
    let mut costs = vec![0u64; summaries.len()];
    let mut recursive = vec![false; summaries.len()];
    // Components come callees first, so a callee outside the component is judged already.
    for component in &components {
        for &node in component {
            if node >= summaries.len() {
                continue;
            }
            recursive[node] = component.len() > 1 || graph.edges[node].contains(&node);
            let summary = &summaries[node];
            let mut cost = summary.instructions;
            let mut leaves = node < imports
                || summary.loops
                || recursive[node]
                || !summary.indirect.is_empty()
                || summary.tail_calls_indirect;
            for &callee in summary.calls.iter().chain(&summary.tail_calls) {
                cost = cost.saturating_add(costs[callee as usize]);
                leaves |= verdicts[callee as usize].leaves;
            }
            leaves |= cost > CHEAP;
            verdicts[node] = Verdict {
                leaves,
                polls_at_entry: node < imports || (leaves && !recursive[node] && cost > LONG),
                tail_calls: !summary.tail_calls.is_empty() || summary.tail_calls_indirect,
            };
            // What polls at its entry starts the count anew for its callers.
            costs[node] = if verdicts[node].polls_at_entry {
                0
            } else {
                cost
            };
        }
    }
    for node in graph.cycle_closers() {
        // A function of a type that closes a cycle need not lie on it: one that cannot leave
        // must not poll, since its callers do not look.
        verdicts[node].polls_at_entry |= recursive[node];
    }
    debug_assert!(
        verdicts
            .iter()
            .all(|verdict| verdict.leaves || !verdict.polls_at_entry)
    );
    Ok(verdicts)
}

fn summarise(mut operators: wasmparser::OperatorsReader<'_>) -> Result<Summary, Error> {
    let mut summary = Summary::default();
    while !operators.eof() {
        summary.instructions += 1;
        match operators.read()? {
            Operator::Loop { .. } => summary.loops = true,
            Operator::Call { function_index } => summary.calls.push(function_index),
            Operator::ReturnCall { function_index } => summary.tail_calls.push(function_index),
            Operator::CallIndirect { type_index, .. } | Operator::CallRef { type_index } => {
                summary.indirect.push(type_index);
            }
            Operator::ReturnCallIndirect { type_index, .. }
            | Operator::ReturnCallRef { type_index } => {
                summary.indirect.push(type_index);
                summary.tail_calls_indirect = true;
            }
            Operator::MemoryCopy { .. }
            | Operator::MemoryFill { .. }
            | Operator::MemoryInit { .. }
            | Operator::MemoryGrow { .. }
            | Operator::TableCopy { .. }
            | Operator::TableFill { .. }
            | Operator::TableInit { .. }
            | Operator::TableGrow { .. } => summary.instructions += BULK,
            _ => {}
        }
    }
    for list in [&mut summary.indirect, &mut summary.calls] {
        list.sort_unstable();
        list.dedup();
    }
    Ok(summary)
}

/// Who may call whom. Nodes are functions, then one per type that stands for every indirect
/// call of that type: without it the edges would be callers times callees.
struct Graph {
    functions: usize,
    edges: Vec<Vec<usize>>,
}

impl Graph {
    fn new(module: &Module<'_>, summaries: &[Summary]) -> Self {
        let functions = summaries.len();
        let mut edges: Vec<Vec<usize>> = summaries
            .iter()
            .map(|summary| {
                let direct = summary.calls.iter().chain(&summary.tail_calls);
                let indirect = summary.indirect.iter();
                direct
                    .map(|&function| function as usize)
                    .chain(indirect.map(|&ty| functions + module.canonical.first(ty) as usize))
                    .collect()
            })
            .collect();
        edges.resize(functions + module.types.len(), Vec::new());
        for &function in &module.referenced {
            let ty = module.canonical.first(module.functions[function as usize]);
            edges[functions + ty as usize].push(function as usize);
        }
        Self { functions, edges }
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

    /// Functions whose polls break every cycle: the targets of a depth-first search's back
    /// edges. A cycle that closes at a type closes at all functions of that type.
    fn cycle_closers(&self) -> Vec<usize> {
        #[derive(Clone, Copy, PartialEq)]
        enum Mark {
            Unseen,
            Open,
            Done,
        }
        let mut marks = vec![Mark::Unseen; self.edges.len()];
        let mut closers = vec![false; self.edges.len()];
        for root in 0..self.edges.len() {
            if marks[root] != Mark::Unseen {
                continue;
            }
            marks[root] = Mark::Open;
            let mut work = vec![(root, 0)];
            while let Some((node, edge)) = work.pop() {
                let Some(&child) = self.edges[node].get(edge) else {
                    marks[node] = Mark::Done;
                    continue;
                };
                work.push((node, edge + 1));
                match marks[child] {
                    Mark::Unseen => {
                        marks[child] = Mark::Open;
                        work.push((child, 0));
                    }
                    Mark::Open => closers[child] = true,
                    Mark::Done => {}
                }
            }
        }
        for ty in self.functions..self.edges.len() {
            if closers[ty] {
                for &function in &self.edges[ty] {
                    closers[function] = true;
                }
            }
        }
        (0..self.functions).filter(|&node| closers[node]).collect()
    }
}
