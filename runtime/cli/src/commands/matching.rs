//! `wherry match`

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde_json::json;
use wherry_node::{CAPABILITIES_FORMAT, Capabilities};
use wherry_policy::{Adapter, Grant, Item, Limit, Policy, Request, Verdict, grant};

use super::Context;
use crate::exit;
use crate::failure::Refusal;
use crate::gpu::GpuArgs;
use crate::launch::LimitArgs;
use crate::output::table;
use crate::policy::{NodePolicy, mounts_wanted};
use crate::workload;

/// Larger than a description of a node.
const MAX_FILE: u64 = 4 << 20;

/// Say which nodes a workload fits on, the best first, and why not on the others
///
/// A node is described by the output of `wherry doctor --json` on it. One on which less is granted
/// than is asked for comes after those that grant it all; among equals, the one with more memory
/// available for each core comes first. Signatures are checked by the node itself. The exit code is 79
/// if no node fits.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ssh a wherry doctor --json > a.json; ssh b wherry doctor --json > b.json
  wherry match registry.example/team/sum:1.0 a.json b.json")]
pub(crate) struct Match {
    #[command(flatten)]
    limits: LimitArgs,
    /// What would be run
    #[arg(value_name = "REF|MODULE.wasm|DIR", help_heading = "Arguments")]
    workload: String,
    /// Descriptions of nodes
    #[arg(value_name = "NODE.json", required = true, help_heading = "Arguments")]
    nodes: Vec<PathBuf>,
}

/// A node, and what a workload would get there.
struct Candidate {
    file: PathBuf,
    node: Capabilities,
    grant: Grant,
    /// Why it does not fit.
    reasons: Vec<String>,
    /// What the workload can do without, and the node lacks.
    missing: Vec<String>,
    /// Of how many things it has less than is asked for.
    reduced: usize,
}

impl Match {
    pub(crate) fn execute(self, context: &Context) -> anyhow::Result<u8> {
        let runnable = workload::load(&context.home, &self.workload)?;
        // Whoever runs it there may have to ask for the GPU.
        let gpu = GpuArgs::default();
        let wanted = gpu.wanted(&runnable.config)?.unwrap_or_default();
        let mut candidates = Vec::new();
        for file in &self.nodes {
            let node = read(file)?;
            let policy = policy_of(file, &node)?;
            let known = NodePolicy::of_another(policy);
            let origin = runnable.origin.clone();
            let mut request = known.request(origin, &runnable.config, &runnable.wasm);
            request.may_be_unsigned = true;
            request.asks = self.limits.asks(request.asks);
            request.mounts = mounts_wanted(&runnable.config);
            if request.gpu.is_some() {
                request.gpu = gpu.request(&runnable.config, Some(&wanted));
            }
            let policy = &known.policy;
            candidates.push(Candidate::new(
                file,
                node,
                &request,
                &wanted.request,
                policy,
            ));
        }
        candidates.sort_by_key(|one| std::cmp::Reverse(one.rank()));
        let fits = candidates.iter().any(|one| one.reasons.is_empty());
        let rows = candidates.iter().map(Candidate::row).collect();
        let text = table(&["NODE", "", "MEMORY", "CORES", "WHY"], rows);
        let nodes: Vec<_> = candidates.iter().map(Candidate::value).collect();
        context
            .output
            .result(&json!({ "fits": fits, "nodes": nodes }), text)?;
        Ok(if fits { 0 } else { exit::POLICY })
    }
}

impl Candidate {
    fn new(
        file: &Path,
        node: Capabilities,
        request: &Request,
        wanted: &wherry_gpu_host::Request,
        policy: &Policy,
    ) -> Self {
        let grant = grant(request, policy);
        let refused = grant
            .refusals()
            .map(|row| format!("{}: {}", row.item, row.reason));
        let mut reasons: Vec<String> = refused.collect();
        let mut missing = Vec::new();
        let needed = request.needs.of(Item::Memory).unwrap_or(0);
        if needed > node.memory.total {
            let total = node.memory.total;
            reasons.push(format!(
                "memory: the job needs {needed} bytes, the machine has {total}"
            ));
        }
        if grant.gpu
            && let Err(why) = has_gpu(&node, policy, wanted)
        {
            let is_optional = request.gpu.as_ref().is_some_and(|gpu| gpu.optional);
            let to = if is_optional {
                &mut missing
            } else {
                &mut reasons
            };
            to.push(format!("gpu: {why}"));
        }
        for test in node.self_tests.iter().filter(|test| !test.passed) {
            reasons.push(format!("self-test: {}: {}", test.name, test.detail));
        }
        let reduced = grant
            .rows
            .iter()
            .filter(|row| row.verdict == Verdict::Reduced);
        Candidate {
            reduced: reduced.count() + missing.len(),
            missing,
            file: file.to_owned(),
            node,
            grant,
            reasons,
        }
    }

    /// What it could give of memory: no more than is granted, nor than is there.
    fn memory(&self) -> u64 {
        let available = self.node.memory.available;
        match self.grant.limit(Item::Memory) {
            Limit::AtMost(bytes) => bytes.min(available),
            Limit::Unlimited => available,
        }
    }

    /// The larger the better.
    fn rank(&self) -> (bool, std::cmp::Reverse<usize>, bool, u64, u64, usize) {
        let hardware = self.node.gpus.iter().any(|gpu| gpu.kind != "cpu");
        (
            self.reasons.is_empty(),
            std::cmp::Reverse(self.reduced),
            hardware,
            self.memory(),
            self.node.memory.available,
            self.node.cpu.cores,
        )
    }

    fn why(&self) -> String {
        if !self.reasons.is_empty() {
            return self.reasons.join("; ");
        }
        let reduced = self
            .grant
            .rows
            .iter()
            .filter(|row| row.verdict == Verdict::Reduced);
        let reduced = reduced.map(|row| format!("{} {} of {}", row.item, row.grant, row.request));
        let reduced: Vec<_> = reduced.chain(self.missing.iter().cloned()).collect();
        if reduced.is_empty() {
            "all that is asked for".to_owned()
        } else {
            reduced.join("; ")
        }
    }

    fn row(&self) -> Vec<String> {
        let verdict = match (self.reasons.is_empty(), self.reduced) {
            (false, _) => "no",
            (true, 0) => "fits",
            (true, _) => "less",
        };
        vec![
            self.name(),
            verdict.to_owned(),
            crate::output::size(self.memory()),
            self.node.cpu.cores.to_string(),
            self.why(),
        ]
    }

    fn name(&self) -> String {
        if self.node.name.is_empty() {
            self.file.display().to_string()
        } else {
            self.node.name.clone()
        }
    }

    fn value(&self) -> serde_json::Value {
        json!({
            "file": self.file,
            "node": self.name(),
            "fits": self.reasons.is_empty(),
            "reasons": self.reasons,
            "memory": self.memory(),
            "items": self.grant.rows,
        })
    }
}

/// Whether one of the node's GPUs is such as the job wants, and the policy lets it have; if not, what
/// the first of those lacks that it may have.
fn has_gpu(
    node: &Capabilities,
    policy: &Policy,
    wanted: &wherry_gpu_host::Request,
) -> Result<(), String> {
    let may_use_cpu = policy.adapter == Adapter::Any;
    let mut lacking = None;
    for gpu in node
        .gpus
        .iter()
        .filter(|gpu| may_use_cpu || gpu.kind != "cpu")
    {
        match gpu.check(wanted) {
            Ok(()) => return Ok(()),
            Err(why) => lacking = lacking.or(Some(why.to_string())),
        }
    }
    Err(lacking
        .unwrap_or_else(|| "the machine has no adapter that the policy lets jobs use".to_owned()))
}

fn read(file: &Path) -> anyhow::Result<Capabilities> {
    let mut text = Vec::new();
    File::open(file)
        .and_then(|file| file.take(MAX_FILE).read_to_end(&mut text))
        .with_context(|| format!("cannot read {}", file.display()))?;
    let refused = |why: String| {
        let message = format!("{} describes no node: {why}", file.display());
        let hint = "`wherry doctor --json` on the node makes it";
        Refusal::new(exit::BAD_DATA, message).hint(hint)
    };
    let node: Capabilities =
        serde_json::from_slice(&text).map_err(|error| refused(error.to_string()))?;
    if node.format != CAPABILITIES_FORMAT {
        return Err(refused(format!("its format is {}", node.format)).into());
    }
    Ok(node)
}

fn policy_of(file: &Path, node: &Capabilities) -> anyhow::Result<Policy> {
    Policy::parse(&node.policy).map_err(|error| {
        let message = format!("the policy in {} is refused:\n{error}", file.display());
        Refusal::new(exit::BAD_DATA, message).into()
    })
}
