//! How much a workload asks for, and with how much less it cannot run.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::quantity::{MAX_BYTES, MAX_DURATION};

/// More files than any file system holds well.
const MAX_FILES: u64 = 1 << 32;

/// How much of what a node can limit. What is not mentioned is left to the node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Memory of the guest, the host and the GPU together, in bytes.
    #[serde(rename = "memoryBytes", skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Time on a CPU, in whole milliseconds.
    #[serde(
        rename = "cpuTimeMs",
        skip_serializing_if = "Option::is_none",
        with = "milliseconds"
    )]
    pub cpu_time: Option<Duration>,
    /// Time from start to end, checkpoints and pauses not counted, in whole milliseconds.
    #[serde(
        rename = "wallTimeMs",
        skip_serializing_if = "Option::is_none",
        with = "milliseconds"
    )]
    pub wall_time: Option<Duration>,
    /// The job's own directory, in bytes.
    #[serde(rename = "scratchBytes", skip_serializing_if = "Option::is_none")]
    pub scratch: Option<u64>,
    /// Files, directories and links that it creates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
    /// What it writes to standard output and to lent directories, in bytes.
    #[serde(rename = "outputBytes", skip_serializing_if = "Option::is_none")]
    pub output: Option<u64>,
    /// What it writes to standard error, in bytes.
    #[serde(rename = "logBytes", skip_serializing_if = "Option::is_none")]
    pub log: Option<u64>,
    /// Memory of the GPU, in bytes; it counts as memory, too.
    #[serde(rename = "gpuMemoryBytes", skip_serializing_if = "Option::is_none")]
    pub gpu_memory: Option<u64>,
    /// Time that the GPU works for it, in whole milliseconds.
    #[serde(
        rename = "gpuTimeMs",
        skip_serializing_if = "Option::is_none",
        with = "milliseconds"
    )]
    pub gpu_time: Option<Duration>,
}

/// The numbers of [`Limits`], with their names and the largest that makes sense.
type Number = (&'static str, Option<u64>, u64);

impl Limits {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn numbers(&self) -> [Number; 9] {
        let time = |time: Option<Duration>| {
            time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
        };
        let longest = u64::try_from(MAX_DURATION.as_millis()).unwrap_or(u64::MAX);
        [
            ("memory", self.memory, MAX_BYTES),
            ("cpu_time", time(self.cpu_time), longest),
            ("wall_time", time(self.wall_time), longest),
            ("scratch", self.scratch, MAX_BYTES),
            ("files", self.files, MAX_FILES),
            ("output", self.output, MAX_BYTES),
            ("log", self.log, MAX_BYTES),
            ("gpu_memory", self.gpu_memory, MAX_BYTES),
            ("gpu_time", time(self.gpu_time), longest),
        ]
    }

    /// Refuses numbers that make no sense.
    pub(crate) fn check(&self) -> Result<(), String> {
        for (name, number, largest) in self.numbers() {
            match number {
                Some(0) => return Err(format!("{name}: zero is not useful")),
                Some(number) if number > largest => {
                    return Err(format!("{name}: {number} is more than any machine has"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Refuses to need more than is asked for.
    pub(crate) fn within(&self, asked: &Self) -> Result<(), String> {
        for ((name, needed, _), (_, asked, _)) in self.numbers().into_iter().zip(asked.numbers()) {
            if let (Some(needed), Some(asked)) = (needed, asked)
                && needed > asked
            {
                return Err(format!(
                    "{name}: {needed} is more than the {asked} that [limits] asks for"
                ));
            }
        }
        Ok(())
    }
}

mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "the signature that serde asks for")]
    pub(super) fn serialize<S: Serializer>(
        time: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let milliseconds = time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        milliseconds.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_millis))
    }
}
