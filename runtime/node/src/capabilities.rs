//! What a node can do, for people (`wherry doctor`) and for those who choose among nodes
//! (`wherry match`).

use std::fs;
use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use wherry_engine::{
    Command, Control, Engine, EngineConfig, Job, Outcome, Settings, Stdio, write_atomically,
};
use wherry_gpu_host::AdapterCapabilities;
use wherry_sandbox::Report;
use wherry_snapshot::{Digest, Reader};

use crate::probe_isolation;

/// The version of the document that is written, and the only one that is read.
pub const CAPABILITIES_FORMAT: u32 = 1;

/// What a node can do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Capabilities {
    /// Version of this document: 1.
    pub format: u32,
    /// What the node is called.
    pub name: String,
    /// Version of Wherry.
    pub version: String,
    /// The instruction set, as Rust calls it: `x86_64`, `aarch64`.
    pub isa: String,
    /// The operating system: `linux`.
    pub os: String,
    /// Its kernel's release.
    pub kernel: String,
    /// The processor.
    pub cpu: Cpu,
    /// Its memory.
    pub memory: Memory,
    /// What the kernel has for jobs.
    pub facilities: Vec<Facility>,
    /// What confines the processes of jobs, and what does not.
    #[serde(default)]
    pub isolation: Report,
    /// Its GPUs.
    #[serde(default)]
    pub gpus: Vec<AdapterCapabilities>,
    /// What was tried just now.
    pub self_tests: Vec<SelfTest>,
    /// Its policy, as `wherry policy show` prints it.
    pub policy: String,
}

/// A processor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cpu {
    /// What its maker calls it.
    pub model: String,
    /// How many threads run at once.
    pub cores: usize,
    /// Extensions of the instruction set that compiled programs use.
    pub features: Vec<String>,
}

/// The memory of a node, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// All of it.
    pub total: u64,
    /// What can be had now.
    pub available: u64,
}

/// Something that a kernel may have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facility {
    /// Its name.
    pub name: String,
    /// Whether it is there.
    pub present: bool,
    /// What it does for jobs, or what its lack means.
    pub meaning: String,
}

/// Something that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelfTest {
    /// What.
    pub name: String,
    /// Whether it went well.
    pub passed: bool,
    /// How it went.
    pub detail: String,
}

impl Capabilities {
    /// What this machine can do under `policy`.
    #[must_use]
    pub fn of_this_machine(policy: String) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let line = |path: &str| read(path).trim().to_owned();
        Capabilities {
            format: CAPABILITIES_FORMAT,
            name: line("/proc/sys/kernel/hostname"),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            isa: std::env::consts::ARCH.to_owned(),
            os: std::env::consts::OS.to_owned(),
            kernel: line("/proc/sys/kernel/osrelease"),
            cpu: cpu(&read("/proc/cpuinfo")),
            memory: memory(&read("/proc/meminfo")),
            facilities: facilities(),
            isolation: probe_isolation().unwrap_or_default(),
            gpus: wherry_gpu_host::capabilities().adapters,
            self_tests: vec![move_a_job()],
            policy,
        }
    }

    /// Whether nothing that was tried failed.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.self_tests.iter().all(|test| test.passed)
    }
}

/// Those that change what a compiler for floats, vectors and atomics makes.
const FEATURES: [&str; 14] = [
    "sse4_1", "sse4_2", "popcnt", "avx", "avx2", "fma", "bmi1", "bmi2", "lzcnt", "abm", "avx512f",
    "asimd", "atomics", "sve",
];

fn cpu(info: &str) -> Cpu {
    let value = |name: &str| {
        let line = info.lines().find(|line| line.starts_with(name));
        let (_, value) = line?.split_once(':')?;
        Some(value.trim().to_owned())
    };
    let flags = value("flags")
        .or_else(|| value("Features"))
        .unwrap_or_default();
    let flags: Vec<&str> = flags.split_whitespace().collect();
    let has = FEATURES
        .into_iter()
        .filter(|feature| flags.contains(feature));
    Cpu {
        model: value("model name").unwrap_or_else(|| "unknown".to_owned()),
        cores: std::thread::available_parallelism().map_or(1, Into::into),
        features: has.map(str::to_owned).collect(),
    }
}

fn memory(info: &str) -> Memory {
    let bytes = |name: &str| {
        let line = info.lines().find(|line| line.starts_with(name));
        let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        number.unwrap_or(0).saturating_mul(1024)
    };
    Memory {
        total: bytes("MemTotal:"),
        available: bytes("MemAvailable:"),
    }
}

fn facilities() -> Vec<Facility> {
    let facility = |name: &str, present: bool, with: &str, without: &str| Facility {
        name: name.to_owned(),
        present,
        meaning: if present { with } else { without }.to_owned(),
    };
    let number = |path: &str| {
        let text = fs::read_to_string(path).ok();
        text.and_then(|text| text.trim().parse::<u64>().ok())
    };
    let pages = number("/proc/sys/vm/unprivileged_userfaultfd") == Some(1)
        || Path::new("/dev/userfaultfd").exists()
        || rustix::process::geteuid().is_root();
    vec![
        facility(
            "userfaultfd",
            pages,
            "checkpoints find changed pages through the kernel",
            "checkpoints find changed pages by comparing: larger jobs pause longer",
        ),
        facility(
            "cgroup v2",
            Path::new("/sys/fs/cgroup/cgroup.controllers").exists(),
            "a job's memory, CPU and processes can be limited as a whole",
            "limits of whole processes need cgroup v1, or are left to resource limits",
        ),
        facility(
            "cgroup v1",
            Path::new("/sys/fs/cgroup/memory/memory.limit_in_bytes").exists(),
            "a job's memory can be limited as a whole",
            "limits of whole processes need cgroup v2, or are left to resource limits",
        ),
        facility(
            "user namespaces",
            number("/proc/sys/user/max_user_namespaces").is_some_and(|count| count > 0),
            "a job's process can be cut off from users, network and processes",
            "a job's process shares them with the machine",
        ),
        facility(
            "seccomp",
            Path::new("/proc/sys/kernel/seccomp/actions_avail").exists(),
            "a job's process can be kept from system calls that it does not need",
            "a flaw in a compiler or driver would reach all of the kernel",
        ),
        facility(
            "power supply",
            fs::read_dir("/sys/class/power_supply")
                .is_ok_and(|mut entries| entries.next().is_some()),
            "`mains` in [when] of the policy is known",
            "the machine counts as on mains power",
        ),
        facility(
            "thermal sensor",
            Path::new("/sys/class/thermal/thermal_zone0/temp").exists(),
            "`below_celsius` in [when] of the policy is known",
            "with `below_celsius` in [when] of the policy nothing runs",
        ),
    ]
}

/// Sums up squares of numbers in its memory, with a loop to be stopped in.
const PROGRAM: &[u8] = include_bytes!("../self-test/squares.wasm");

/// A program is stopped in its loop, written to a file, read again, and goes on: in the end its
/// memory is that of a run that nobody stopped.
fn move_a_job() -> SelfTest {
    let start = Instant::now();
    let (passed, detail) = match moved_and_not().map_err(|error| error.to_string()) {
        Ok((moved, not)) if moved == not => {
            let time = start.elapsed().as_millis();
            (
                true,
                format!("the memory is the same in the end; {time} ms"),
            )
        }
        Ok(_) => (false, "the memory is another in the end".to_owned()),
        Err(error) => (false, error),
    };
    SelfTest {
        name: "a job is checkpointed and resumed".to_owned(),
        passed,
        detail,
    }
}

type Failure = Box<dyn std::error::Error>;

fn moved_and_not() -> Result<(Digest, Digest), Failure> {
    let engine = Engine::new(EngineConfig::default())?;
    let module = engine.load(PROGRAM.to_vec());
    let control = Control::new()?;
    let start = |countdown| {
        let settings = Settings {
            countdown,
            ..Settings::new(Stdio::null())
        };
        Job::start(&module, Command::default(), settings, &control)
    };
    let mut whole = start(None)?;
    expect(whole.run()?, |outcome| {
        matches!(outcome, Outcome::Exited(0))
    })?;
    let mut first = start(Some(500))?;
    expect(first.run()?, |outcome| {
        matches!(outcome, Outcome::Stopped(_))
    })?;
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("checkpoint");
    write_atomically(&path, |file| first.checkpoint(file))?;
    let reader = Reader::open(fs::File::open(&path)?)?;
    let settings = Settings::new(Stdio::null());
    let mut second = Job::resume(&module, &reader, settings, &control)?;
    expect(second.run()?, |outcome| {
        matches!(outcome, Outcome::Exited(0))
    })?;
    Ok((second.memory_digest(), whole.memory_digest()))
}

fn expect(outcome: Outcome, wanted: impl Fn(&Outcome) -> bool) -> Result<(), Failure> {
    if wanted(&outcome) {
        Ok(())
    } else {
        Err(format!("the program ended otherwise: {outcome:?}").into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_what_its_text_says() {
        let text = include_bytes!("../self-test/squares.wat");
        let binary = wat::parse_bytes(text).unwrap();
        if std::env::var_os("BLESS").is_some() {
            fs::write(
                concat!(env!("CARGO_MANIFEST_DIR"), "/self-test/squares.wasm"),
                &binary,
            )
            .unwrap();
        }
        assert_eq!(binary, PROGRAM);
    }

    #[test]
    fn this_machine_is_described_and_the_description_read_again() {
        let here = Capabilities::of_this_machine("format = 1\n".to_owned());
        assert!(here.is_well(), "{:?}", here.self_tests);
        assert!(here.memory.total >= here.memory.available && here.memory.available > 0);
        assert!(here.cpu.cores > 0 && here.facilities.len() > 5);
        let text = serde_json::to_vec(&here).unwrap();
        assert_eq!(serde_json::from_slice::<Capabilities>(&text).unwrap(), here);
    }

    #[test]
    fn processors_of_both_kinds() {
        let amd64 = cpu("processor: 0\nmodel name\t: Some CPU\nflags\t\t: fpu avx2 sse4_2\n");
        assert_eq!(
            (amd64.model.as_str(), amd64.features.len()),
            ("Some CPU", 2)
        );
        let arm = cpu("processor\t: 0\nFeatures\t: fp asimd atomics\n");
        assert_eq!(arm.features, ["asimd", "atomics"]);
        assert_eq!(memory("MemTotal: 4 kB\nMemAvailable:   1 kB\n").total, 4096);
        assert_eq!(memory("").total, 0);
    }
}
