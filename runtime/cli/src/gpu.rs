//! The GPU that a job is lent.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use wherry_gpu_host::{AdapterChoice, Quota, Request, Settings};
use wherry_packager::{parse_bytes, parse_duration};

/// What a job may use of a GPU.
#[derive(Debug, Args)]
#[command(next_help_heading = "GPU")]
pub(crate) struct GpuArgs {
    /// Lend the job a GPU: the fastest, or one with NAME in its name, which may be a driver on the CPU
    #[arg(
        long,
        value_name = "NAME",
        env = "WHERRY_GPU",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = ""
    )]
    gpu: Option<String>,
    /// Memory of the GPU: buffers and textures together [default: 4 GiB]
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    gpu_memory: Option<u64>,
    /// Time that the GPU works for the job, over its whole life
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    gpu_time: Option<Duration>,
    /// End the job when what it submits takes longer than this [default: 1m]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    gpu_timeout: Option<Duration>,
    /// A feature that the job has beyond the portable profile, e.g. shader-f16
    #[arg(long, value_name = "FEATURE")]
    gpu_feature: Vec<String>,
    /// A limit that is better than in the portable profile, e.g. max_buffer_size=1073741824
    #[arg(long, value_name = "LIMIT=VALUE", value_parser = limit)]
    gpu_limit: Vec<(String, u64)>,
    /// Take a GPU of which is known that it gives wrong results to some programs
    #[arg(long, env = "WHERRY_GPU_ALLOW_DEFECTS", value_parser = clap::builder::FalseyValueParser::new())]
    gpu_allow_defects: bool,
}

fn limit(text: &str) -> Result<(String, u64), String> {
    let limit = text.split_once('=').and_then(|(name, value)| {
        let value = value.parse().ok()?;
        Some((name.to_owned(), value))
    });
    limit.ok_or_else(|| "write LIMIT=VALUE, the value being a number".to_owned())
}

impl GpuArgs {
    /// What is lent, if anything is.
    pub(crate) fn settings(&self) -> Result<Option<Settings>, wherry_gpu_host::Error> {
        let Some(name) = &self.gpu else {
            return Ok(None);
        };
        let limits: BTreeMap<String, u64> = self.gpu_limit.iter().cloned().collect();
        let default = Quota::default();
        Ok(Some(Settings {
            adapter: AdapterChoice {
                name: Some(name.clone()).filter(|name| !name.is_empty()),
                allow_defects: self.gpu_allow_defects,
                ..AdapterChoice::default()
            },
            request: Request::new(&self.gpu_feature, &limits)?,
            quota: Quota {
                bytes: self.gpu_memory.unwrap_or(default.bytes),
                submission_time: self.gpu_timeout.unwrap_or(default.submission_time),
                gpu_time: self.gpu_time,
                ..default
            },
        }))
    }
}
