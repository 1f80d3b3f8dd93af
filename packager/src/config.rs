//! The config blob of a workload: what the program is given and what it asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::artifact::MAX_DATA_LAYERS;
use crate::gpu::GpuDemand;
use crate::limits::Limits;
use crate::reference::{checked_name, checked_tag};

/// The version of the config's format that is written, and the only one that is read.
const FORMAT: u64 = 1;

const MAX_ARGS: usize = 4096;
const MAX_VARIABLES: usize = 1024;
const MAX_MOUNTS: usize = 64;
const MAX_TEXT: usize = 32 << 10;
const MAX_VARIABLE_NAME: usize = 256;
const MAX_GUEST_PATH: usize = 1024;
/// Arguments and environment together, as the guest will have to hold them.
const MAX_TEXT_IN_ALL: usize = 1 << 20;

/// What a node needs to know to run the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkloadConfig {
    /// The workload's name; none for a bare module.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The workload's version; none for a bare module.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Arguments after the program's name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Environment variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Directories of the node that the program wants to see.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    /// Guest path of the job's own directory, which travels with its checkpoints.
    #[serde(default = "default_scratch")]
    pub scratch: String,
    /// What the program asks for; a node may grant less.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
    /// With how much less it cannot run: a node that grants less refuses it at once.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub needs: Limits,
    /// The GPU that the program uses; none for one that uses none, or says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<GpuDemand>,
    /// The program is to run in the deterministic profile.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deterministic: bool,
}

/// A directory of the node that the program wants to see at a path of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mount {
    /// Absolute path in the guest.
    pub guest: String,
    /// The program does not write there.
    #[serde(default)]
    pub read_only: bool,
    /// The program cannot run without it.
    #[serde(default)]
    pub required: bool,
}

/// Where in a document something is, e.g. `mounts[1].guest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPath(pub(crate) Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if position == 0 => f.write_str(&crate::digest::excerpt(key))?,
                Step::Key(key) => write!(f, ".{}", crate::digest::excerpt(key))?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// Why a config is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not the JSON that the format asks for.
    #[error("the workload's config is not valid: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Written by a version of Wherry that knows another format.
    #[error("the workload's config has format {0}, only {FORMAT} is known")]
    Format(String),
    /// A field has a value that makes no sense.
    #[error("{field}: {reason}")]
    Field {
        /// The field.
        field: FieldPath,
        /// What is wrong with it.
        reason: String,
    },
}

impl Default for WorkloadConfig {
    fn default() -> Self {
        Self {
            name: None,
            version: None,
            args: Vec::new(),
            env: BTreeMap::new(),
            mounts: Vec::new(),
            scratch: default_scratch(),
            limits: Limits::default(),
            needs: Limits::default(),
            gpu: None,
            deterministic: false,
        }
    }
}

fn default_scratch() -> String {
    "/".to_owned()
}

impl WorkloadConfig {
    /// Reads a config blob.
    ///
    /// # Errors
    /// It is not JSON of the known format, or a value makes no sense.
    pub fn parse(json: &[u8]) -> Result<Self, ConfigError> {
        let mut document: BTreeMap<String, Value> = serde_json::from_slice(json)?;
        match document.remove("format") {
            Some(format) if format == FORMAT => {}
            Some(format) => {
                return Err(ConfigError::Format(crate::digest::excerpt(
                    &format.to_string(),
                )));
            }
            None => return Err(ConfigError::Format("none".to_owned())),
        }
        let config: Self = serde_json::from_value(document.into_iter().collect())?;
        config.check()?;
        Ok(config)
    }

    /// The config blob: always the same bytes for the same config.
    pub(crate) fn to_json(&self) -> Result<Vec<u8>, ConfigError> {
        let mut document = serde_json::to_value(self)?;
        if let Value::Object(fields) = &mut document {
            fields.insert("format".to_owned(), FORMAT.into());
        }
        Ok(crate::artifact::canonical(document)?)
    }

    /// Refuses what no program can be given.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        self.name
            .as_ref()
            .map_or(Ok(()), |name| field("name", &[], checked_name(name)))?;
        self.version.as_ref().map_or(Ok(()), |version| {
            field("version", &[], checked_tag(version))
        })?;
        self.check_text()?;
        self.check_paths()?;
        field("limits", &[], self.limits.check())?;
        field("needs", &[], self.needs.check())?;
        field("needs", &[], self.needs.within(&self.limits))?;
        self.check_gpu()
    }

    fn check_gpu(&self) -> Result<(), ConfigError> {
        let Some(gpu) = &self.gpu else {
            return Ok(());
        };
        if self.deterministic {
            let refused = Err("a deterministic job cannot use a GPU");
            return field::<(), _>("gpu", &[], refused);
        }
        let checked = gpu.check();
        checked.or_else(|(key, name, reason)| {
            let mut steps = vec![Step::Key(key.to_owned())];
            if key == "limits" {
                steps.push(Step::Key(name.to_owned()));
            }
            field::<(), _>("gpu", &steps, Err(reason))
        })
    }

    /// Refuses places for data where something else is.
    pub(crate) fn check_data<'a>(
        &'a self,
        guests: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), ConfigError> {
        let mounts = self.mounts.iter().map(|mount| mount.guest.as_str());
        let mut seen: BTreeSet<_> = mounts.chain([self.scratch.as_str()]).collect();
        for (index, guest) in guests.into_iter().enumerate() {
            let step = [Step::Index(index), Step::Key("guest".to_owned())];
            field("data", &step, at_most(MAX_DATA_LAYERS, index + 1))?;
            field("data", &step, guest_path(guest))?;
            field("data", &step, vacant(seen.insert(guest)))?;
        }
        Ok(())
    }

    fn check_text(&self) -> Result<(), ConfigError> {
        field("args", &[], at_most(MAX_ARGS, self.args.len()))?;
        for (index, arg) in self.args.iter().enumerate() {
            field("args", &[Step::Index(index)], text(arg, MAX_TEXT))?;
        }
        field("env", &[], at_most(MAX_VARIABLES, self.env.len()))?;
        for (name, value) in &self.env {
            let step = [Step::Key(name.clone())];
            field("env", &step, variable_name(name))?;
            field("env", &step, text(value, MAX_TEXT))?;
        }
        let variables = self
            .env
            .iter()
            .map(|(name, value)| name.len() + value.len());
        let bytes = self
            .args
            .iter()
            .map(String::len)
            .chain(variables)
            .sum::<usize>();
        field(
            "args",
            &[],
            if bytes > MAX_TEXT_IN_ALL {
                Err("arguments and environment are more than 1 MiB in all")
            } else {
                Ok(())
            },
        )
    }

    fn check_paths(&self) -> Result<(), ConfigError> {
        field("scratch", &[], guest_path(&self.scratch))?;
        field("mounts", &[], at_most(MAX_MOUNTS, self.mounts.len()))?;
        let mut seen = BTreeSet::from([self.scratch.as_str()]);
        for (index, mount) in self.mounts.iter().enumerate() {
            let step = [Step::Index(index), Step::Key("guest".to_owned())];
            field("mounts", &step, guest_path(&mount.guest))?;
            field("mounts", &step, vacant(seen.insert(&mount.guest)))?;
        }
        Ok(())
    }
}

fn field<T, E: fmt::Display>(
    first: &str,
    rest: &[Step],
    result: Result<T, E>,
) -> Result<(), ConfigError> {
    result.map(drop).map_err(|reason| {
        let mut path = vec![Step::Key(first.to_owned())];
        path.extend_from_slice(rest);
        ConfigError::Field {
            field: FieldPath(path),
            reason: reason.to_string(),
        }
    })
}

fn vacant(is_new: bool) -> Result<(), &'static str> {
    is_new
        .then_some(())
        .ok_or("another mount, data or the scratch directory has this path")
}

fn at_most(limit: usize, actual: usize) -> Result<(), String> {
    if actual <= limit {
        Ok(())
    } else {
        Err(format!("{actual} entries, at most {limit} are accepted"))
    }
}

/// Text that a C program can be given: without NUL.
pub(crate) fn text(text: &str, limit: usize) -> Result<(), String> {
    if text.contains('\0') {
        Err("contains a NUL character".to_owned())
    } else if text.len() > limit {
        Err(format!(
            "{} bytes, at most {limit} are accepted",
            text.len()
        ))
    } else {
        Ok(())
    }
}

fn variable_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.contains('=') {
        return Err("the name of an environment variable is not empty and has no `=`".to_owned());
    }
    text(name, MAX_VARIABLE_NAME)
}

/// An absolute path in its shortest form, so that two different texts are two directories.
pub(crate) fn guest_path(path: &str) -> Result<(), String> {
    text(path, MAX_GUEST_PATH)?;
    let normal = path == "/"
        || path
            .strip_prefix('/')
            .is_some_and(|rest| rest.split('/').all(|part| !matches!(part, "" | "." | "..")));
    if normal {
        Ok(())
    } else {
        Err(format!(
            "`{}` is not an absolute guest path without `.`, `..`, `//` and a final `/`",
            crate::digest::excerpt(path)
        ))
    }
}
