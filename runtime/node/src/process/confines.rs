//! What the processes that work for a job may do.

use std::path::{Path, PathBuf};
use std::time::Duration;

use wherry_sandbox::{Access, Confinement, Devices, Grant, Limits, Requirement, Role};

use super::assignment::Assignment;
use crate::MountRecord;
use crate::store::OUTGOING;

/// Descriptors that a job's program, its host and a driver may have open together.
const DESCRIPTORS: u64 = 4096;

/// What the engine, the host and the writing of checkpoints need besides the program's memory.
const OVERHEAD: u64 = 1 << 30;

/// CPU time to begin with, and to end with a checkpoint.
const MARGIN: Duration = Duration::from_secs(60);

/// What a compiler may use for one module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompilerLimits {
    /// CPU time of all its threads.
    pub cpu_time: Duration,
    /// Bytes of memory.
    pub memory_bytes: u64,
}

impl Default for CompilerLimits {
    /// Ten minutes, eight gibibytes.
    fn default() -> Self {
        CompilerLimits {
            cpu_time: Duration::from_secs(600),
            memory_bytes: 8 << 30,
        }
    }
}

/// For the process of a job: its files, a place to leave checkpoints, what it is lent, and a GPU's
/// driver. Its record is out of its reach: that says what it is lent when it goes on.
pub(super) fn of_job(
    directory: &Path,
    assignment: &Assignment,
    isolation: &Requirement,
) -> Confinement {
    let scratch = assignment.scratch.iter().map(|(host, _)| host.clone());
    let own: Vec<_> = scratch.chain([directory.join(OUTGOING)]).collect();
    let mounts = &assignment.mounts;
    let mut confinement = of_program(&own, mounts, isolation, std::process::id());
    confinement.limits.memory_bytes = memory(assignment);
    // The engine counts more finely, as long as it counts.
    let backstop = |time: Duration| time.saturating_mul(2).saturating_add(MARGIN);
    confinement.limits.cpu_time = assignment.limits.cpu.map(backstop);
    if assignment.gpu.is_some() {
        confinement.devices = Devices::Gpu { grants: gpu() };
    }
    confinement
}

/// For a process that runs a segment of a job again, with files of its own in `scratch`, and does
/// not outlive `supervisor`.
#[must_use]
pub fn to_run_again(
    scratch: &Path,
    mounts: &[MountRecord],
    isolation: &Requirement,
    supervisor: u32,
) -> Confinement {
    of_program(&[scratch.to_owned()], mounts, isolation, supervisor)
}

/// For a process that runs a program with directories of its `own`.
fn of_program(
    own: &[PathBuf],
    mounts: &[MountRecord],
    isolation: &Requirement,
    supervisor: u32,
) -> Confinement {
    let grant = |path: &Path, access| Grant {
        path: path.to_owned(),
        access,
    };
    let lent = mounts.iter().map(|mount| {
        let access = if mount.read_only {
            Access::Read
        } else {
            Access::ReadWrite
        };
        grant(&mount.host, access)
    });
    let own = own.iter().map(|path| grant(path, Access::ReadWrite));
    let system = [
        // Which pages were written since the last checkpoint.
        grant(Path::new("/proc/self"), Access::Read),
        // The seed of the program's random numbers.
        grant(Path::new("/dev/urandom"), Access::Read),
    ];
    Confinement {
        role: Role::Job,
        grants: own.chain(system).chain(lent).collect(),
        limits: Limits {
            descriptors: DESCRIPTORS,
            memory_bytes: None,
            cpu_time: None,
            file_bytes: None,
        },
        devices: Devices::None,
        requirement: isolation.clone(),
        supervisor: Some(supervisor),
    }
}

/// The most memory that the process of a job can need. While a checkpoint is written, there are
/// two versions of what the program writes to.
pub(super) fn memory(assignment: &Assignment) -> Option<u64> {
    let granted = assignment.limits.memory_bytes?;
    Some(granted.saturating_mul(2).saturating_add(OVERHEAD))
}

/// For the process that compiles: nothing but what it is sent, and sends back.
pub(super) fn of_compiler(limits: CompilerLimits, isolation: &Requirement) -> Confinement {
    Confinement {
        role: Role::Compiler,
        grants: Vec::new(),
        limits: Limits {
            descriptors: 64,
            memory_bytes: Some(limits.memory_bytes),
            cpu_time: Some(limits.cpu_time),
            file_bytes: Some(0),
        },
        devices: Devices::None,
        requirement: isolation.clone(),
        supervisor: Some(std::process::id()),
    }
}

/// What drivers of GPUs open: their devices, what the system says of them, and themselves.
fn gpu() -> Vec<Grant> {
    let devices = ["/dev/dri", "/dev/kfd", "/dev/dxg", "/dev/udmabuf"].map(PathBuf::from);
    let nvidia = std::fs::read_dir("/dev").into_iter().flatten().flatten();
    let nvidia = nvidia.map(|entry| entry.path());
    let nvidia = nvidia.filter(|path| path.to_string_lossy().starts_with("/dev/nvidia"));
    let libraries = [
        "/usr/lib",
        "/usr/lib64",
        "/usr/local/lib",
        "/lib",
        "/lib64",
        "/opt",
        "/etc/ld.so.cache",
        "/etc/vulkan",
        "/usr/share/vulkan",
        "/usr/local/share/vulkan",
        "/usr/share/drirc.d",
        "/usr/share/nvidia",
        "/usr/share/glvnd",
        "/sys/bus/pci",
        "/sys/class/drm",
        "/sys/dev/char",
        "/sys/devices",
        "/proc/driver",
        "/proc/cpuinfo",
        "/proc/meminfo",
    ]
    .map(PathBuf::from);
    let chosen = DRIVER_VARIABLES
        .iter()
        .filter_map(std::env::var_os)
        .flat_map(|list| std::env::split_paths(&list).collect::<Vec<_>>())
        .filter_map(|file| Some(file.parent()?.to_owned()));
    let read = libraries.into_iter().chain(chosen);
    let read = read.map(|path| (path, Access::Read));
    let devices = devices.into_iter().chain(nvidia);
    devices
        .map(|path| (path, Access::Device))
        .chain(read)
        .filter(|(path, _)| path.exists())
        .map(|(path, access)| Grant { path, access })
        .collect()
}

/// Variables that name the files of Vulkan's drivers.
pub(super) const DRIVER_VARIABLES: [&str; 2] = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"];
