//! `workload.toml`: what a developer writes about a workload.
//!
//! ```toml
//! name = "nbody"                    # a repository name
//! version = "1.0"                   # a tag
//! module = "nbody.wasm"             # relative to this file
//! args = ["--steps", "1000"]
//! deterministic = true              # default: false
//! description = "Planets, attracting each other"
//! licenses = "Apache-2.0"           # SPDX expression
//! source = "https://example.org/nbody"
//!
//! [env]
//! VERBOSE = "1"
//!
//! [[mounts]]
//! guest = "/data"
//! read_only = true                  # default: false
//! required = true                   # default: false
//!
//! [[data]]
//! path = "weights"                  # a directory or a file, relative to this file
//! guest = "/models"
//!
//! [scratch]
//! guest = "/"                       # the default
//!
//! [limits]
//! memory = "256 MiB"
//! cpu_time = "10m"
//! wall_time = "1h"
//! scratch = "1 GiB"
//! files = 1000
//! output = "10 MiB"
//! log = "1 MiB"
//! gpu_memory = "1 GiB"
//! gpu_time = "1m"
//!
//! [needs]                           # the same names: with less it cannot run
//! memory = "64 MiB"
//!
//! [gpu]                             # it uses one
//! optional = true                   # default: false
//! features = ["shader-f16"]
//! limits = { max_buffer_size = 1073741824 }
//! ```

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::de::{DeTable, DeValue};

use crate::config::{self, ConfigError, FieldPath, Mount, Step, WorkloadConfig};
use crate::gpu::GpuDemand;
use crate::limits::Limits;
use crate::quantity;

const MAX_FILE: u64 = 2 << 20;
const MAX_PATH: usize = 4096;
const MAX_ANNOTATION: usize = 4096;

/// A parsed `workload.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadFile {
    /// The workload's name: a repository name.
    pub name: String,
    /// The workload's version: a tag.
    pub version: String,
    /// Path of the module, relative to the file's directory.
    pub module: PathBuf,
    /// What goes into the artifact's config, name and version included.
    pub config: WorkloadConfig,
    /// What the workload brings along besides the module.
    pub data: Vec<DataSource>,
    /// One line about the workload.
    pub description: Option<String>,
    /// SPDX license expression.
    pub licenses: Option<String>,
    /// URL of the source code.
    pub source: Option<String>,
}

/// A file or directory that the workload brings along.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSource {
    /// Where it is, relative to the file's directory.
    pub path: PathBuf,
    /// The directory in which the program finds it: what a directory holds, or the file.
    pub guest: String,
}

/// Why a `workload.toml` is refused.
#[derive(Debug, thiserror::Error)]
pub enum WorkloadFileError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is larger than any real one.
    #[error("workload.toml has more than the {MAX_FILE} bytes that are accepted")]
    TooLarge,
    /// It is not TOML, lacks a field, or has one that is not known or of another type. The
    /// message has line and column.
    #[error("workload.toml: {0}")]
    Syntax(#[from] toml::de::Error),
    /// A field has a value that makes no sense.
    #[error("workload.toml, line {line}, column {column}: {source}")]
    Value {
        /// Line of the value, from 1.
        line: usize,
        /// Column of the value in characters, from 1.
        column: usize,
        /// The field and the reason.
        source: ConfigError,
    },
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    name: String,
    version: String,
    module: String,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    deterministic: bool,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    mounts: Vec<MountTable>,
    #[serde(default)]
    data: Vec<DataSource>,
    #[serde(default)]
    scratch: ScratchTable,
    #[serde(default)]
    limits: LimitsTable,
    #[serde(default)]
    needs: LimitsTable,
    gpu: Option<GpuDemand>,
    description: Option<String>,
    licenses: Option<String>,
    source: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MountTable {
    guest: String,
    #[serde(default)]
    read_only: bool,
    #[serde(default)]
    required: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScratchTable {
    guest: String,
}

impl Default for ScratchTable {
    fn default() -> Self {
        Self {
            guest: WorkloadConfig::default().scratch,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsTable {
    #[serde(default, deserialize_with = "quantity::bytes")]
    memory: Option<u64>,
    #[serde(default, deserialize_with = "quantity::duration")]
    cpu_time: Option<Duration>,
    #[serde(default, deserialize_with = "quantity::duration")]
    wall_time: Option<Duration>,
    #[serde(default, deserialize_with = "quantity::bytes")]
    scratch: Option<u64>,
    files: Option<u64>,
    #[serde(default, deserialize_with = "quantity::bytes")]
    output: Option<u64>,
    #[serde(default, deserialize_with = "quantity::bytes")]
    log: Option<u64>,
    #[serde(default, deserialize_with = "quantity::bytes")]
    gpu_memory: Option<u64>,
    #[serde(default, deserialize_with = "quantity::duration")]
    gpu_time: Option<Duration>,
}

impl From<LimitsTable> for Limits {
    fn from(table: LimitsTable) -> Self {
        Self {
            memory: table.memory,
            cpu_time: table.cpu_time,
            wall_time: table.wall_time,
            scratch: table.scratch,
            files: table.files,
            output: table.output,
            log: table.log,
            gpu_memory: table.gpu_memory,
            gpu_time: table.gpu_time,
        }
    }
}

impl WorkloadFile {
    /// The file's name in a project.
    pub const NAME: &str = "workload.toml";

    /// Parses the text of a `workload.toml`.
    ///
    /// # Errors
    /// The text is not valid, with line and column.
    pub fn parse(text: &str) -> Result<Self, WorkloadFileError> {
        if text.len() as u64 > MAX_FILE {
            return Err(WorkloadFileError::TooLarge);
        }
        let file = Self::from(toml::from_str::<Document>(text)?);
        match file.check() {
            Ok(()) => Ok(file),
            Err(source) => {
                let (line, column) = position(text, &source);
                Err(WorkloadFileError::Value {
                    line,
                    column,
                    source,
                })
            }
        }
    }

    /// Reads the `workload.toml` of the project in `directory`.
    ///
    /// # Errors
    /// There is none, or it is not valid.
    pub fn load(directory: &Path) -> Result<Self, WorkloadFileError> {
        let path = directory.join(Self::NAME);
        let mut text = String::new();
        File::open(&path)
            .and_then(|file| file.take(MAX_FILE + 1).read_to_string(&mut text))
            .map_err(|source| WorkloadFileError::Read { path, source })?;
        Self::parse(&text)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let refused = |name: &str, reason| ConfigError::Field {
            field: FieldPath(vec![Step::Key(name.to_owned())]),
            reason,
        };
        let module = self.module.to_string_lossy();
        if module.is_empty() {
            return Err(refused("module", "is empty".to_owned()));
        }
        config::text(&module, MAX_PATH).map_err(|reason| refused("module", reason))?;
        for (name, value) in [
            ("description", &self.description),
            ("licenses", &self.licenses),
            ("source", &self.source),
        ] {
            let value = value.as_deref().unwrap_or_default();
            config::text(value, MAX_ANNOTATION).map_err(|reason| refused(name, reason))?;
        }
        self.config.check()?;
        let guests = self.data.iter().map(|data| data.guest.as_str());
        self.config.check_data(guests)
    }
}

impl From<Document> for WorkloadFile {
    fn from(document: Document) -> Self {
        let mounts = document.mounts.into_iter().map(
            |MountTable {
                 guest,
                 read_only,
                 required,
             }| Mount {
                guest,
                read_only,
                required,
            },
        );
        Self {
            config: WorkloadConfig {
                name: Some(document.name.clone()),
                version: Some(document.version.clone()),
                args: document.args,
                env: document.env,
                mounts: mounts.collect(),
                scratch: document.scratch.guest,
                deterministic: document.deterministic,
                limits: document.limits.into(),
                needs: document.needs.into(),
                gpu: document.gpu,
            },
            name: document.name,
            version: document.version,
            module: document.module.into(),
            data: document.data,
            description: document.description,
            licenses: document.licenses,
            source: document.source,
        }
    }
}

/// Line and column of the value that an error is about; the beginning if it has no place.
fn position(text: &str, error: &ConfigError) -> (usize, usize) {
    let offset = match error {
        ConfigError::Field { field, .. } => offset_of(text, field).unwrap_or(0),
        _ => 0,
    };
    let before = text.get(..offset).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (
        before.matches('\n').count() + 1,
        before[line_start..].chars().count() + 1,
    )
}

fn offset_of(text: &str, field: &FieldPath) -> Option<usize> {
    let table = DeTable::parse(text).ok()?;
    let Some((Step::Key(first), rest)) = field.0.split_first() else {
        return None;
    };
    let mut value = table.get_ref().get(first.as_str())?;
    for step in rest {
        value = match (step, value.get_ref()) {
            (Step::Key(key), DeValue::Table(table)) => table.get(key.as_str())?,
            (Step::Index(index), DeValue::Array(array)) => array.get(*index)?,
            _ => return None,
        };
    }
    Some(value.span().start)
}
