//! `wherry doctor`

use clap::Args;
use serde_json::json;
use wherry_gpu_host::{AdapterCapabilities, capabilities};

use super::Context;
use crate::output::{size, table};

/// Say what this machine has for jobs, and whether it works
///
/// GPUs are tried out: with a program that calculates with integers, one that loops far, and
/// transfers of 64 MiB. Those without WebGPU's default limits cannot run every job that declares
/// nothing. With --json, all features and limits are listed that jobs can declare.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wherry doctor
  wherry doctor --json")]
pub(crate) struct Doctor {}

impl Doctor {
    pub(crate) fn execute(self, context: &Context) -> anyhow::Result<()> {
        let gpus = capabilities().adapters;
        let text = if gpus.is_empty() {
            "This machine has no GPU that jobs can use. Debian's packages mesa-vulkan-drivers and libvulkan1\n\
             have a Vulkan driver that runs on the CPU."
                .to_owned()
        } else {
            gpu_table(&gpus)
        };
        context.output.result(&json!({ "gpus": gpus }), text)
    }
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
