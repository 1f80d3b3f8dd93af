//! The GPU that a workload declares: that it uses one, and what it needs of it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use wherry_gpu_abi::{Feature, Limits};

/// A GPU that a program uses. What is not mentioned is the portable profile: WebGPU's default limits,
/// and no optional feature.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GpuDemand {
    /// Whether the program can do without: it finds no adapter then.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// Features that it needs, by their names in the WebGPU standard.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub features: BTreeSet<String>,
    /// Limits that it needs, by their names in the WebGPU standard with underscores.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, u64>,
}

impl GpuDemand {
    /// Refuses what WebGPU does not have. Says where it is: the key in the table, and the name.
    pub(crate) fn check(&self) -> Result<(), (&'static str, &str, String)> {
        for name in &self.features {
            if Feature::of_name(name).is_none() {
                let reason = format!("WebGPU has no feature `{}`", crate::digest::excerpt(name));
                return Err(("features", name, reason));
            }
        }
        for (name, value) in &self.limits {
            let mut limits = Limits::DEFAULT;
            if !limits.set(name, *value) {
                let name_shown = crate::digest::excerpt(name);
                let reason = format!("WebGPU has no limit `{name_shown}` of {value}");
                return Err(("limits", name, reason));
            }
        }
        Ok(())
    }
}
