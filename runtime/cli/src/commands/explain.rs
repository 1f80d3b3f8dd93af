//! `wherry explain`

use clap::Args;
use serde_json::json;
use wherry_gpu_host::{Adapter, Settings};
use wherry_policy::{Amount, Row, Verdict, grant};

use super::Context;
use crate::exit;
use crate::gpu::GpuArgs;
use crate::launch::LimitArgs;
use crate::mounts::{self, DirArg};
use crate::output::table;
use crate::policy::{PolicyArgs, mount_requests, mounts_wanted, verdict};
use crate::workload;

/// Show what a workload asks for, what the policy grants, and why
///
/// Nothing is compiled or run. The exit code is 79 if `wherry run` with the same options would
/// refuse the workload.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wherry explain registry.example/team/sum:1.0
  wherry explain --policy policy.toml --memory 8GiB prog.wasm
  wherry explain --json sum:1.0 | jq '.items[] | select(.verdict == \"refused\")'")]
pub(crate) struct Explain {
    /// Lend the job a directory
    #[arg(long, value_name = "HOST::GUEST[::ro]")]
    dir: Vec<DirArg>,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    policy: PolicyArgs,
    #[command(flatten)]
    gpu: GpuArgs,
    /// What would be run
    #[arg(value_name = "REF|MODULE.wasm|DIR", help_heading = "Arguments")]
    workload: String,
}

impl Explain {
    pub(crate) fn execute(self, context: &Context) -> anyhow::Result<u8> {
        let node = self.policy.load(&context.home)?;
        let runnable = workload::load(&context.home, &self.workload)?;
        let mut request = node.request(runnable.origin, &runnable.config, &runnable.wasm);
        node.find_signer(&context.home, runnable.manifest.as_ref(), &mut request)?;
        request.asks = self.gpu.asks(self.limits.asks(request.asks));
        let gpu = self.gpu.wanted(&runnable.config)?;
        if request.gpu.is_some() {
            request.gpu = self.gpu.request(&runnable.config, gpu.as_ref());
        }
        let lent = mounts::records(&self.dir)?;
        request.mounts = mount_requests(&lent);
        let wanted = mounts_wanted(&runnable.config);
        let is_lent = |guest: &str| lent.iter().any(|mount| mount.guest == guest);
        let others = wanted.into_iter().filter(|mount| !is_lent(&mount.guest));
        request.mounts.extend(others);
        let mut grant = grant(&request, &node.policy);
        if let Some(asked) = request.gpu.filter(|_| grant.gpu) {
            let lent = node.lend_gpu(gpu.as_ref(), &grant);
            grant.rows.push(adapter(lent.as_ref(), asked.optional));
        }
        let rows = grant.rows.iter().map(|row| {
            vec![
                row.item.clone(),
                row.request.to_string(),
                row.policy.to_string(),
                row.grant.to_string(),
                verdict(row.verdict).to_owned(),
                row.reason.clone(),
            ]
        });
        let header = ["ITEM", "REQUEST", "POLICY", "GRANT", "", "WHY"];
        let text = table(&header, rows.collect());
        let policy = json!({ "file": node.file, "digest": node.digest.to_string() });
        let value = json!({
            "workload": self.workload,
            "policy": policy,
            "fits": grant.fits(),
            "items": grant.rows,
        });
        context.output.result(&value, text)?;
        Ok(if grant.fits() { 0 } else { exit::POLICY })
    }
}

/// Whether this machine has the GPU that the job is lent.
fn adapter(lent: Option<&Settings>, optional: bool) -> Row {
    let found = match lent {
        None => Err("none is lent: neither --gpu nor the workload asks for one".to_owned()),
        Some(lent) => Adapter::suitable(lent).map_err(|error| error.to_string()),
    };
    let name = lent.and_then(|lent| lent.adapter.name.clone());
    let (grant, verdict, reason) = match found {
        Ok(adapter) => (
            Amount::Text(adapter.name()),
            Verdict::Granted,
            "this machine has it".to_owned(),
        ),
        Err(why) if optional => (Amount::Nothing, Verdict::Reduced, why),
        Err(why) => (Amount::Nothing, Verdict::Refused, why),
    };
    Row {
        item: "adapter".to_owned(),
        request: Amount::Text(name.unwrap_or_else(|| "any".to_owned())),
        policy: Amount::Nothing,
        grant,
        verdict,
        reason,
    }
}
