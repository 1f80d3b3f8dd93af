//! The GPU that a job is lent.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use wherry_gpu_host::{Error, Request, Settings};
use wherry_packager::{WorkloadConfig, parse_bytes, parse_duration};
use wherry_policy::{Amounts, GpuRequest, Item};

/// What a job may use of a GPU.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "GPU")]
pub(crate) struct GpuArgs {
    /// Lend the job a GPU, though its workload declares none: the fastest, or one with NAME in its name,
    /// which may be a driver on the CPU
    #[arg(
        long,
        value_name = "NAME",
        env = "WHERRY_GPU",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = ""
    )]
    gpu: Option<String>,
    /// Lend the job no GPU, whatever else is said
    #[arg(long)]
    no_gpu: bool,
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
    /// What a job asks for that starts: what its workload declares, and what is said here.
    pub(crate) fn wanted(&self, config: &WorkloadConfig) -> Result<Option<Settings>, Error> {
        let declared = config.gpu.is_some().then(|| declared(config));
        self.instead_of(declared.transpose()?)
    }

    /// What is said here, in the place of what was asked for before.
    pub(crate) fn instead_of(&self, before: Option<Settings>) -> Result<Option<Settings>, Error> {
        let asked = self.gpu.as_ref().map(|_| Settings::default());
        let Some(before) = before.or(asked).filter(|_| !self.no_gpu) else {
            return Ok(None);
        };
        let Settings {
            mut adapter,
            request,
            mut quota,
        } = before;
        if let Some(name) = &self.gpu {
            adapter.name = Some(name.clone()).filter(|name| !name.is_empty());
        }
        adapter.allow_defects |= self.gpu_allow_defects;
        quota.bytes = self.gpu_memory.unwrap_or(quota.bytes);
        quota.gpu_time = self.gpu_time.or(quota.gpu_time);
        quota.submission_time = self.gpu_timeout.unwrap_or(quota.submission_time);
        let limits: BTreeMap<String, u64> = self.gpu_limit.iter().cloned().collect();
        Ok(Some(Settings {
            adapter,
            request: request.with(&self.gpu_feature, &limits)?,
            quota,
        }))
    }

    /// Whether the job is started without a GPU if there is none. Whoever names one wants it.
    pub(crate) fn is_optional(&self, config: &WorkloadConfig) -> bool {
        let can_do_without = config.gpu.as_ref().is_some_and(|gpu| gpu.optional);
        can_do_without && (self.no_gpu || self.gpu.is_none())
    }

    /// What is asked for, for the policy, of a program that uses a GPU. That there is none for one
    /// that needs it, the engine says.
    pub(crate) fn request(
        &self,
        config: &WorkloadConfig,
        wanted: Option<&Settings>,
    ) -> Option<GpuRequest> {
        let optional = self.is_optional(config);
        if wanted.is_none() && optional {
            return None;
        }
        Some(GpuRequest {
            optional,
            beyond: wanted.map_or_else(Vec::new, beyond),
        })
    }

    /// The smaller of what is given here and asked for before.
    pub(crate) fn asks(&self, asked: Amounts) -> Amounts {
        asked
            .with(Item::GpuMemory, self.gpu_memory)
            .with(Item::GpuTime, self.gpu_time.map(milliseconds))
    }
}

/// What a workload declares.
fn declared(config: &WorkloadConfig) -> Result<Settings, Error> {
    let mut settings = Settings::default();
    if let Some(gpu) = &config.gpu {
        settings.request = Request::new(&gpu.features, &gpu.limits)?;
    }
    let (asked, quota) = (&config.limits, &mut settings.quota);
    quota.bytes = asked.gpu_memory.unwrap_or(quota.bytes);
    quota.gpu_time = asked.gpu_time;
    Ok(settings)
}

/// What a job has beyond the portable profile, in words.
pub(crate) fn beyond(settings: &Settings) -> Vec<String> {
    let features = settings.request.features().into_iter().map(str::to_owned);
    let limits = settings.request.limits().into_iter();
    let limits = limits.map(|(name, value)| format!("{name} {value}"));
    features.chain(limits).collect()
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
