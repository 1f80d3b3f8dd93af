//! A control group for a process: limits that hold whatever the process does. It is made by the
//! supervisor, below its own group or one that it was given.
//!
//! Version 1 has a hierarchy for each controller. In version 2 a group that has processes hands no
//! controllers on: groups are made beside the supervisor's own, in a group that was set aside for it
//! and has no processes, such as systemd's `Delegate=yes` with `DelegateSubgroup=` gives a service.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{self, Command};

use crate::report::{Facility, Finding, State};

/// What a control group limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CgroupLimits {
    /// Bytes of memory of all kinds.
    pub memory_bytes: Option<u64>,
    /// Threads.
    pub threads: u64,
    /// Processors that may work for it at a time.
    pub cores: Option<u64>,
}

/// Control groups of one process. They are removed when this is dropped; the process must have
/// ended by then.
#[derive(Debug, Default)]
pub struct Cgroup {
    directories: Vec<PathBuf>,
}

/// The time of which a group has a share of the processors, in microseconds; the kernel's default.
const PERIOD: u64 = 100_000;

/// What the names of the groups begin with; the supervisor's number follows.
const PREFIX: &str = "wherry-";

impl Cgroup {
    /// Makes groups for a process named `name`, as far as that is allowed, and says how far.
    #[must_use]
    pub fn create(name: &str, limits: &CgroupLimits) -> (Self, [Finding; 3]) {
        let mut group = Cgroup::default();
        let memory = limits.memory_bytes.map(|bytes| bytes.to_string());
        let threads = Some(limits.threads.to_string());
        let quota = |cores: u64| cores.saturating_mul(PERIOD).to_string();
        let cores = limits.cores.map(quota);
        let parents = Parents::find();
        let findings = [
            (Facility::MemoryCgroup, "memory", memory),
            (Facility::PidsCgroup, "pids", threads),
            (Facility::CpuCgroup, "cpu", cores),
        ]
        .map(|(facility, controller, value)| {
            let Some(value) = value else {
                return Finding::new(facility, State::Off, "no limit was given");
            };
            match group.limit(&parents, name, controller, &value) {
                Ok(version) => Finding::new(
                    facility,
                    State::Active,
                    format!("version {version}, {value}"),
                ),
                Err(error) => Finding::missing(facility, error),
            }
        });
        (group, findings)
    }

    /// Has the process that `command` starts move itself into them, as far as it can. That a thread
    /// moves itself, and no process, takes microseconds: for all else the kernel first waits until
    /// nobody looks at what it changes.
    pub fn enter_with(&self, command: &mut Command) {
        // Version 2 has no such file, or one for threads of one group only.
        let tasks = |directory: &PathBuf| {
            let tasks = directory.join("tasks");
            fs::OpenOptions::new().write(true).open(tasks).ok()
        };
        let tasks: Vec<_> = self.directories.iter().filter_map(tasks).collect();
        let enter = move || {
            for tasks in &tasks {
                // Whether it has worked is seen from outside.
                let _ = rustix::io::write(tasks, b"0");
            }
            Ok(())
        };
        #[expect(unsafe_code, reason = "between fork and exec only little is allowed")]
        // SAFETY: `write` is async-signal-safe, and nothing else is called: no memory is allocated,
        // no lock taken.
        unsafe {
            command.pre_exec(enter);
        }
    }

    /// Moves a process into them that is not there.
    ///
    /// # Errors
    /// The system refuses, or the process is gone.
    pub fn add(&self, pid: u32) -> io::Result<()> {
        let pid = pid.to_string();
        let add = |directory: &PathBuf| {
            let procs = directory.join("cgroup.procs");
            match fs::read_to_string(&procs)?.lines().any(|one| one == pid) {
                true => Ok(()),
                false => fs::write(procs, &pid),
            }
        };
        self.directories.iter().try_for_each(add)
    }

    /// Whether the kernel ended a process because of the limit of memory.
    #[must_use]
    pub fn ran_out_of_memory(&self) -> bool {
        // Version 1 and version 2 count in different files, with the same word.
        let files = ["memory.oom_control", "memory.events"];
        let paths = self.directories.iter();
        let mut paths = paths.flat_map(|directory| files.map(|file| directory.join(file)));
        paths.any(|path| {
            let text = fs::read_to_string(path).unwrap_or_default();
            let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
            count.is_some_and(|count| count.trim() != "0")
        })
    }

    fn limit(
        &mut self,
        parents: &Parents,
        name: &str,
        controller: &str,
        value: &str,
    ) -> io::Result<u8> {
        let (version, parent) = parents.of(controller)?;
        let directory = parent.join(format!("{PREFIX}{}-{name}", process::id()));
        if !self.directories.contains(&directory) {
            remove_abandoned(parent);
            fs::create_dir(&directory)?;
            self.directories.push(directory.clone());
        }
        let (file, value) = match (controller, version) {
            ("memory", 1) => ("memory.limit_in_bytes", value.to_owned()),
            ("memory", _) => ("memory.max", value.to_owned()),
            ("cpu", 1) => ("cpu.cfs_quota_us", value.to_owned()),
            ("cpu", _) => ("cpu.max", format!("{value} {PERIOD}")),
            _ => ("pids.max", value.to_owned()),
        };
        fs::write(directory.join(file), value)?;
        Ok(version)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for directory in &self.directories {
            // If a process is still in it, the next supervisor removes it.
            let _ = fs::remove_dir(directory);
        }
    }
}

/// Where groups can be made, by controller.
struct Parents {
    /// This process's groups of version 1.
    own: Vec<(String, PathBuf)>,
    /// The group of version 2 that was set aside, and the controllers that it can hand on.
    aside: Option<(PathBuf, String)>,
}

impl Parents {
    fn find() -> Self {
        let read = |name: &str| fs::read_to_string(name).unwrap_or_default();
        let (groups, mounts) = (read("/proc/self/cgroup"), read("/proc/self/mountinfo"));
        let aside = group_aside(&groups, &mounts).filter(|group| is_set_aside(group));
        let controllers = |group: &PathBuf| fs::read_to_string(group.join("cgroup.controllers"));
        Parents {
            own: own_groups(&groups, &mounts),
            aside: aside
                .and_then(|group| Some((controllers(&group).ok()?, group)))
                .map(|(controllers, group)| (group, controllers)),
        }
    }

    /// The version, and the directory to make a group in.
    fn of(&self, controller: &str) -> io::Result<(u8, &Path)> {
        let is_it = |(names, _): &&(String, PathBuf)| names.split(',').any(|one| one == controller);
        if let Some((_, directory)) = self.own.iter().find(is_it) {
            return Ok((1, directory));
        }
        let has = |controllers: &str| controllers.split_whitespace().any(|one| one == controller);
        let aside = self.aside.as_ref();
        let Some((group, _)) = aside.filter(|(_, controllers)| has(controllers)) else {
            let why = format!(
                "no hierarchy of version 1 has the controller {controller}, and no group of version 2 that has it was set aside"
            );
            return Err(io::Error::new(io::ErrorKind::Unsupported, why));
        };
        // Controllers are handed on to the groups below one by one.
        let hand_on = format!("+{controller}");
        fs::write(group.join("cgroup.subtree_control"), hand_on)?;
        Ok((2, group))
    }
}

/// The group of version 2 that a process's own is in, where that is mounted.
fn group_aside(groups: &str, mounts: &str) -> Option<PathBuf> {
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let (root, point) = mounts.lines().find_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let is_it = file_system.split(' ').next() == Some("cgroup2");
        is_it.then_some((mount.next()?, mount.next()?))
    })?;
    let below = Path::new(path).strip_prefix(root).ok()?;
    Some(Path::new(point).join(below.parent()?))
}

/// Whether a group has no processes, and is this user's to divide. Where systemd runs, root could
/// divide any, and systemd says which it has given away.
fn is_set_aside(group: &Path) -> bool {
    let procs = fs::read_to_string(group.join("cgroup.procs"));
    let is_empty = procs.is_ok_and(|procs| procs.trim().is_empty());
    let control = group.join("cgroup.subtree_control");
    let is_ours = fs::OpenOptions::new().write(true).open(control).is_ok();
    let is_given = || {
        let mut mark = [0; 1];
        let names = ["trusted.delegate", "user.delegate"];
        names
            .iter()
            .any(|name| rustix::fs::getxattr(group, *name, &mut mark).is_ok() && mark == *b"1")
    };
    let has_systemd = || Path::new("/run/systemd/system").is_dir();
    is_empty && is_ours && (!has_systemd() || is_given())
}

/// The directories of a process's groups of version 1, with the names of their controllers:
/// from `/proc/PID/cgroup` and `/proc/PID/mountinfo`.
fn own_groups(groups: &str, mounts: &str) -> Vec<(String, PathBuf)> {
    let group = |line: &str| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let (root, point) = mounts
            .lines()
            .find_map(|line| hierarchy(line, controllers))?;
        let below = Path::new(path).strip_prefix(root).ok()?;
        Some((controllers.to_owned(), Path::new(point).join(below)))
    };
    groups.lines().filter_map(group).collect()
}

/// The root and the mount point of the hierarchy of version 1 with these controllers, if it is
/// what this line says is mounted.
fn hierarchy<'a>(line: &'a str, controllers: &str) -> Option<(&'a str, &'a str)> {
    let (mount, file_system) = line.split_once(" - ")?;
    let mut file_system = file_system.split(' ');
    let (kind, options) = (file_system.next()?, file_system.nth(1)?);
    let has = |one: &str| options.split(',').any(|option| option == one);
    if kind != "cgroup" || controllers.is_empty() || !controllers.split(',').all(has) {
        return None;
    }
    let mut mount = mount.split(' ').skip(3);
    Some((mount.next()?, mount.next()?))
}

/// Removes groups whose supervisor was killed.
fn remove_abandoned(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let supervisor = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next());
        let is_abandoned = supervisor
            .filter(|pid| pid.bytes().all(|byte| byte.is_ascii_digit()))
            .is_some_and(|pid| !Path::new("/proc").join(pid).exists());
        if is_abandoned {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found_where_they_are_mounted() {
        let mounts = "\
25 1 0:21 / /proc rw - proc proc rw
30 25 0:26 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
31 25 0:27 /docker/7 /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
32 25 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
33 25 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
";
        let groups = "\
4:memory:/jobs/a
3:cpu,cpuacct:/
2:pids:/docker/7/x
1:name=systemd:/
0::/user.slice
";
        let found = own_groups(groups, mounts);
        let expected = [
            ("memory", "/sys/fs/cgroup/memory/jobs/a"),
            ("cpu,cpuacct", "/sys/fs/cgroup/cpu,cpuacct"),
            ("pids", "/sys/fs/cgroup/pids/x"),
        ];
        let expected = expected.map(|(name, path)| (name.to_owned(), PathBuf::from(path)));
        assert_eq!(found, expected);
        assert!(own_groups("nonsense\n1:memory", mounts).is_empty());
    }

    #[test]
    fn the_group_that_ones_own_is_in_is_found() {
        let mounts = "\
30 25 0:26 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
33 25 0:29 /jobs /sys/fs/cgroup rw - cgroup2 cgroup2 rw
";
        let found = |groups: &str| group_aside(groups, mounts);
        let agent = found("4:memory:/x\n0::/jobs/agent.service/supervisor\n");
        assert_eq!(agent, Some(PathBuf::from("/sys/fs/cgroup/agent.service")));
        let top = found("0::/jobs/agent.service");
        assert_eq!(top, Some(PathBuf::from("/sys/fs/cgroup/")));
        for groups in ["", "0::/jobs", "0::/elsewhere/x", "4:memory:/jobs/x"] {
            assert_eq!(found(groups), None, "{groups}");
        }
    }

    #[test]
    fn what_has_no_place_is_said() {
        let parents = Parents {
            own: Vec::new(),
            aside: None,
        };
        let error = parents.of("memory").unwrap_err().to_string();
        assert!(error.contains("memory"), "{error}");
    }
}
