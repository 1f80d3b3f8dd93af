//! What a job may have of a GPU, and what it declares that it needs.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wherry_gpu_abi::{Feature, Limits};

use crate::{AdapterChoice, Error, limits};

/// What a job is lent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Which adapter.
    pub adapter: AdapterChoice,
    /// What it has beyond the portable profile.
    pub request: Request,
    /// How much it may use.
    pub quota: Quota,
}

impl Settings {
    /// Any adapter with the portable profile, and the usual quota.
    #[must_use]
    pub fn new(adapter: AdapterChoice) -> Self {
        Self {
            adapter,
            request: Request::default(),
            quota: Quota::default(),
        }
    }
}

/// Says whether the program is to leave: a call that waits returns then.
pub type Interrupted = Box<dyn Fn() -> bool + Send + Sync>;

/// What a job has beyond the portable profile: WebGPU's default limits, and no feature. It can go
/// only to nodes that have it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Declared", into = "Declared")]
pub struct Request {
    pub(crate) features: Vec<Feature>,
    pub(crate) limits: Limits,
}

impl Request {
    /// Takes features by their names in the WebGPU standard (`shader-f16`), and limits by theirs
    /// with underscores (`max_buffer_size`).
    ///
    /// # Errors
    /// If there is none of that name, or a limit cannot be so high.
    pub fn new(features: &[String], limits: &BTreeMap<String, u64>) -> Result<Self, Error> {
        let mut request = Self::default();
        for name in features {
            let feature = limits::feature_of_name(name);
            let feature = feature.ok_or_else(|| Error::Unknown(format!("feature {name:?}")))?;
            request.features.push(feature);
        }
        request.features.sort_unstable();
        request.features.dedup();
        let mut wanted = Limits::DEFAULT;
        for (name, value) in limits {
            if !limits::set(&mut wanted, name, *value) {
                return Err(Error::Unknown(format!("limit {name} of {value}")));
            }
        }
        request.limits = limits::best(&wanted, &Limits::DEFAULT);
        Ok(request)
    }

    /// The names of the features.
    #[must_use]
    pub fn features(&self) -> Vec<&'static str> {
        let features = self.features.iter().copied();
        features.map(limits::feature_name).collect()
    }

    /// The limits that are not WebGPU's default, by name.
    #[must_use]
    pub fn limits(&self) -> Vec<(&'static str, u64)> {
        let limits = limits::by_name(&self.limits).into_iter();
        let default = limits::by_name(&Limits::DEFAULT);
        limits.filter(|limit| !default.contains(limit)).collect()
    }
}

/// A request as it is written.
#[derive(Serialize, Deserialize)]
struct Declared {
    features: Vec<String>,
    limits: BTreeMap<String, u64>,
}

impl TryFrom<Declared> for Request {
    type Error = Error;

    fn try_from(declared: Declared) -> Result<Self, Error> {
        Self::new(&declared.features, &declared.limits)
    }
}

impl From<Request> for Declared {
    fn from(request: Request) -> Self {
        let features = request.features().into_iter().map(str::to_owned);
        let limits = request.limits().into_iter();
        Self {
            features: features.collect(),
            limits: limits
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        }
    }
}

/// How much of a GPU a job may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// Bytes of all buffers and textures together.
    pub bytes: u64,
    /// Objects of all kinds together.
    pub objects: u32,
    /// Submissions that are under way at a time; a further one waits.
    pub submissions: u32,
    /// How long a submission may take before the job is ended.
    pub submission_time: Duration,
    /// How long the GPU may work for the job, over its whole life.
    pub gpu_time: Option<Duration>,
}

impl Default for Quota {
    /// 4 GiB, 100,000 objects, 32 submissions of at most a minute.
    fn default() -> Self {
        Self {
            bytes: 4 << 30,
            objects: 100_000,
            submissions: 32,
            submission_time: Duration::from_secs(60),
            gpu_time: None,
        }
    }
}
