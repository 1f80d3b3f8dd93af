//! What a job may have of a GPU, and what it declares that it needs.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wherry_gpu_abi::{Feature, Limits};

use crate::{AdapterChoice, Error, limits};

/// What a job is lent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
            ..Self::default()
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
    pub fn new<'a>(
        features: impl IntoIterator<Item = &'a String>,
        limits: impl IntoIterator<Item = (&'a String, &'a u64)>,
    ) -> Result<Self, Error> {
        Self::default().with(features, limits)
    }

    /// The same with these features besides, and these limits in the place of those before.
    ///
    /// # Errors
    /// As for [`Request::new`].
    pub fn with<'a>(
        mut self,
        features: impl IntoIterator<Item = &'a String>,
        limits: impl IntoIterator<Item = (&'a String, &'a u64)>,
    ) -> Result<Self, Error> {
        for name in features {
            let feature = Feature::of_name(name);
            let feature = feature.ok_or_else(|| Error::Unknown(format!("feature {name:?}")))?;
            self.add(&[feature], &Limits::DEFAULT);
        }
        for (name, value) in limits {
            if !self.limits.set(name, *value) {
                return Err(Error::Unknown(format!("limit {name} of {value}")));
            }
        }
        self.add(&[], &Limits::DEFAULT);
        Ok(self)
    }

    /// Declares these besides.
    pub(crate) fn add(&mut self, features: &[Feature], limits: &Limits) {
        self.features.extend_from_slice(features);
        self.features.sort_unstable();
        self.features.dedup();
        self.limits = limits::best(&self.limits, limits);
    }

    /// The names of the features.
    #[must_use]
    pub fn features(&self) -> Vec<&'static str> {
        let features = self.features.iter().copied();
        features.map(Feature::name).collect()
    }

    /// The limits that are not WebGPU's default, by name.
    #[must_use]
    pub fn limits(&self) -> Vec<(&'static str, u64)> {
        let limits = self.limits.by_name().into_iter();
        let default = Limits::DEFAULT.by_name();
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
#[serde(default)]
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
