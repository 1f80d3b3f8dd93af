//! `wherry doctor`

use clap::Args;
use serde_json::json;
use wherry_gpu_host::AdapterCapabilities;
use wherry_node::Capabilities;
use wherry_sandbox::Report;

use super::Context;
use crate::output::{size, table};
use crate::policy::PolicyArgs;

/// Say what this machine can do for jobs, what it lacks, and what that means
///
/// A job is checkpointed and resumed on the way, a process confines itself as those of jobs do, and GPUs are tried out: with a program that calculates
/// with integers, one that loops far, and transfers of 64 MiB. Those without WebGPU's default limits
/// cannot run every job that declares nothing. With --json, the description is what `wherry match` reads,
/// with all features and limits of GPUs that jobs can declare. The exit code is 70 if a job cannot be moved.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wherry doctor
  wherry doctor --json > node-a.json       for `wherry match`")]
pub(crate) struct Doctor {
    #[command(flatten)]
    policy: PolicyArgs,
}

impl Doctor {
    pub(crate) fn execute(self, context: &Context) -> anyhow::Result<u8> {
        let node = self.policy.load(&context.home)?;
        let here = Capabilities::of_this_machine(node.policy.to_toml());
        context.output.result(&json!(here), text(&here))?;
        Ok(if here.is_well() {
            0
        } else {
            crate::exit::INTERNAL
        })
    }
}

fn text(here: &Capabilities) -> String {
    let mark = |good: bool| if good { "yes" } else { "NO" }.to_owned();
    let mut rows = vec![
        row("version", &here.version, &here.name),
        row("processor", &here.isa, &here.cpu.model),
        row(
            "cores",
            &here.cpu.cores.to_string(),
            &here.cpu.features.join(" "),
        ),
        row("kernel", &here.os, &here.kernel),
        row(
            "memory",
            &size(here.memory.total),
            &format!("{} available", size(here.memory.available)),
        ),
    ];
    for facility in &here.facilities {
        rows.push(row(
            &facility.name,
            &mark(facility.present),
            &facility.meaning,
        ));
    }
    for test in &here.self_tests {
        rows.push(row(&test.name, &mark(test.passed), &test.detail));
    }
    let machine = table(&["", "HERE", "WHAT THAT MEANS"], rows);
    let isolation = isolation_table(&here.isolation);
    let gpus = if here.gpus.is_empty() {
        "This machine has no GPU that jobs can use. Debian's packages mesa-vulkan-drivers and libvulkan1\n\
         have a Vulkan driver that runs on the CPU."
            .to_owned()
    } else {
        gpu_table(&here.gpus)
    };
    format!("{machine}\n\n{isolation}\n\n{gpus}")
}

fn isolation_table(report: &Report) -> String {
    let rows = report.findings.iter().map(|finding| {
        vec![
            finding.facility.to_string(),
            finding.state.to_string(),
            finding.detail.clone(),
            finding.meaning.clone(),
        ]
    });
    let header = ["WHAT CONFINES A JOB", "HERE", "HOW", "WHAT THAT MEANS"];
    table(&header, rows.collect())
}

fn row(name: &str, here: &str, meaning: &str) -> Vec<String> {
    vec![name.to_owned(), here.to_owned(), meaning.to_owned()]
}

fn gpu_table(gpus: &[AdapterCapabilities]) -> String {
    let header = [
        "GPU",
        "KIND",
        "DRIVER",
        "BUFFERS TO",
        "UP",
        "BACK",
        "FEATURES",
        "STATE",
    ];
    let rows = gpus.iter().map(|gpu| {
        let rate = |rate: Option<f64>| {
            rate.map_or_else(|| "-".to_owned(), |rate| format!("{:.1} GB/s", rate / 1e9))
        };
        let largest = gpu.limits.get("max_buffer_size").copied().unwrap_or(0);
        vec![
            gpu.name.clone(),
            gpu.kind.clone(),
            gpu.driver.clone(),
            size(largest),
            rate(gpu.self_test.upload),
            rate(gpu.self_test.readback),
            features(gpu),
            state(gpu),
        ]
    });
    table(&header, rows.collect())
}

/// Those that programs ask for most, and how many others there are.
fn features(gpu: &AdapterCapabilities) -> String {
    let known = ["shader-f16", "subgroups", "timestamp-query"];
    let (named, others): (Vec<&str>, Vec<&str>) = gpu
        .features
        .iter()
        .map(String::as_str)
        .partition(|feature| known.contains(feature));
    format!("{} +{}", named.join(" "), others.len())
}

fn state(gpu: &AdapterCapabilities) -> String {
    let mut problems: Vec<String> = gpu
        .self_test
        .defects
        .iter()
        .map(ToString::to_string)
        .collect();
    if !gpu.portable {
        problems.push("it has less than WebGPU's default limits".to_owned());
    }
    if problems.is_empty() {
        "works".to_owned()
    } else {
        problems.join("; ")
    }
}
