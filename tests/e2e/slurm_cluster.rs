//! A cluster of two nodes on this machine, with real Slurm daemons; it ends with the test.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use wherry_tests::{binary, say_skipped};

/// Far more than anything here takes on a machine that is not hopelessly busy.
const PATIENCE: Duration = Duration::from_secs(240);

pub(crate) struct Cluster {
    directory: TempDir,
    /// The authentication daemon, the controller, the nodes.
    daemons: Vec<Child>,
}

impl Cluster {
    /// None, and a word about it, where there is no Slurm or no right to start it.
    pub(crate) fn start() -> Option<Self> {
        if let Some(reason) = missing() {
            say_skipped(&format!("no Slurm cluster: {reason}"));
            return None;
        }
        let directory = tempfile::Builder::new().prefix("slurm").tempdir().unwrap();
        // Munge asks that nobody else may write on the way to its socket.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let mut cluster = Cluster {
            directory,
            daemons: Vec::new(),
        };
        cluster.start_munge();
        cluster.configure();
        cluster.daemon("slurmctld", &["-D", "-c"]);
        cluster.start_node("n1");
        cluster.start_node("n2");
        cluster.wait_until("both nodes are idle", || {
            cluster.ask("sinfo", &["--noheader", "--states=idle", "--format=%D"]) == "2"
        });
        Some(cluster)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A command that knows the cluster, in its directory.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        let search = std::env::var("PATH").unwrap_or_default();
        let tools = binary().parent().unwrap().display().to_string();
        command.env_clear();
        command.env("PATH", format!("{tools}:/usr/sbin:/sbin:{search}"));
        command.env("HOME", self.directory.path());
        command.env("WHERRY_HOME", self.path("home"));
        command.env("SLURM_CONF", self.path("slurm.conf"));
        command.current_dir(self.directory.path());
        command.stdin(Stdio::null());
        command
    }

    /// What a command prints; empty if it fails.
    pub(crate) fn ask(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.command(program).args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Has Slurm do something that it must not refuse.
    #[track_caller]
    pub(crate) fn control(&self, arguments: &[&str]) {
        let output = self.command("scontrol").args(arguments).output().unwrap();
        let reason = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {reason}");
    }

    /// A field of a job, as `scontrol show job` has it.
    pub(crate) fn field(&self, job: &str, name: &str) -> String {
        let shown = self.ask("scontrol", &["--oneliner", "show", "job", job]);
        let key = format!(" {name}=");
        let value = shown.split(&key).nth(1).unwrap_or_default();
        // A value ends where the next key begins.
        let end = value
            .find('=')
            .map_or(value.len(), |at| value[..at].rfind(' ').unwrap_or(at));
        value[..end].trim().to_owned()
    }

    /// Waits for a condition of daemons that tell nobody: they can only be asked again.
    #[track_caller]
    pub(crate) fn wait_until(&self, what: &str, condition: impl Fn() -> bool) {
        let start = Instant::now();
        while !condition() {
            if start.elapsed() > PATIENCE {
                let jobs = self.ask("scontrol", &["show", "jobs"]);
                let nodes = self.ask("sinfo", &["--long", "--Node"]);
                let log = fs::read_to_string(self.path("slurmctld.log")).unwrap_or_default();
                let log: Vec<_> = log.lines().rev().take(30).collect();
                panic!("it never came to it that {what}\n{jobs}\n{nodes}\n{log:#?}");
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// As after a power cut: the daemon of the node is gone, and with it all that it ran.
    pub(crate) fn cut_power(&mut self, node: &str, job: &str) {
        let position = if node == "n1" { 2 } else { 3 };
        let daemon = &mut self.daemons[position];
        daemon.kill().unwrap();
        daemon.wait().unwrap();
        // Jobs of other clusters have the same numbers.
        let ours = self.mark();
        kill_all_with(&[&ours, &format!("SLURM_JOB_ID={job}")]);
        kill_all_with(&[&ours, &format!("slurmstepd: [{job}")]);
        self.control(&[
            "update",
            &format!("NodeName={node}"),
            "State=DOWN",
            "Reason=power",
        ]);
    }

    /// What all processes of the cluster have in their environment.
    fn mark(&self) -> String {
        format!("SLURM_CONF={}", self.path("slurm.conf").display())
    }

    fn start_munge(&mut self) {
        let (user, group) = munge().unwrap();
        let own = self.path("munge");
        fs::create_dir(&own).unwrap();
        let mut key = [0; 1024];
        std::io::Read::read_exact(&mut fs::File::open("/dev/urandom").unwrap(), &mut key).unwrap();
        fs::write(own.join("key"), key).unwrap();
        fs::set_permissions(own.join("key"), fs::Permissions::from_mode(0o400)).unwrap();
        for path in [own.join("key"), own.clone()] {
            chown(path, Some(user), Some(group)).unwrap();
        }
        let option = |name: &str, file: &str| format!("--{name}={}", own.join(file).display());
        let mut munged = self.command("munged");
        munged.args(["--foreground", "--force"]);
        munged.args([
            option("key-file", "key"),
            option("socket", "socket"),
            option("pid-file", "pid"),
        ]);
        munged.args([option("log-file", "log"), option("seed-file", "seed")]);
        std::os::unix::process::CommandExt::uid(&mut munged, user);
        std::os::unix::process::CommandExt::gid(&mut munged, group);
        self.daemons.push(spawn(munged));
        self.wait_until("munge listens", || own.join("socket").exists());
    }

    fn configure(&self) {
        let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [controller, first, second] =
            listeners.map(|socket| socket.local_addr().unwrap().port());
        let here = self.directory.path().display();
        let host = self.ask("hostname", &["-s"]);
        let configuration = format!(
            "ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
SlurmctldPort={controller}
AuthType=auth/munge
AuthInfo=socket={here}/munge/socket
CredType=cred/munge
StateSaveLocation={here}/controller
SlurmdSpoolDir={here}/spool-%n
SlurmctldPidFile={here}/slurmctld.pid
SlurmdPidFile={here}/slurmd-%n.pid
SlurmctldLogFile={here}/slurmctld.log
SlurmdLogFile={here}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=1,batch_sched_delay=0
PriorityType=priority/basic
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
KillWait=30
MinJobAge=3600
ReturnToService=2
SlurmdParameters=config_overrides
PropagateResourceLimits=NONE
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={first} CPUs=2 RealMemory=4000 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={second} CPUs=2 RealMemory=4000 State=UNKNOWN
PartitionName=batch Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=REQUEUE OverSubscribe=NO
PartitionName=urgent Nodes=n1,n2 MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
"
        );
        fs::write(self.path("slurm.conf"), configuration).unwrap();
        for directory in ["controller", "spool-n1", "spool-n2"] {
            fs::create_dir(self.path(directory)).unwrap();
        }
    }

    fn start_node(&mut self, name: &str) {
        self.daemon("slurmd", &["-D", "-N", name]);
    }

    fn daemon(&mut self, program: &str, arguments: &[&str]) {
        let mut daemon = self.command(program);
        daemon.args(arguments);
        self.daemons.push(spawn(daemon));
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for daemon in self.daemons.iter_mut().rev() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        kill_all_with(&[&self.mark()]);
    }
}

fn spawn(mut command: Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("the daemon starts")
}

fn missing() -> Option<&'static str> {
    if !rustix::process::geteuid().is_root() {
        return Some("its daemons want root");
    }
    let found = |program: &str| {
        ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
            .iter()
            .any(|directory| Path::new(directory).join(program).exists())
    };
    for program in ["slurmctld", "slurmd", "sbatch", "munged"] {
        if !found(program) {
            return Some("slurm-wlm and munge are not installed");
        }
    }
    munge().is_none().then_some("there is no user munge")
}

/// The user and group of the authentication daemon.
fn munge() -> Option<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let line = users.lines().find(|line| line.starts_with("munge:"))?;
    let mut fields = line.split(':').skip(2).map(str::parse);
    Some((fields.next()?.ok()?, fields.next()?.ok()?))
}

/// Kills every process that has all of these texts at the beginning of something in its
/// environment or command line.
fn kill_all_with(texts: &[&str]) {
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let mut content = fs::read(entry.path().join("environ")).unwrap_or_default();
        content.extend(fs::read(entry.path().join("cmdline")).unwrap_or_default());
        let has = |text: &&str| {
            let mut parts = content.split(|byte| *byte == 0);
            parts.any(|part| part.starts_with(text.as_bytes()))
        };
        if pid != std::process::id() && texts.iter().all(has) {
            let pid = rustix::process::Pid::from_raw(pid.cast_signed());
            let signal = rustix::process::Signal::KILL;
            let _ = pid.map(|pid| rustix::process::kill_process(pid, signal));
        }
    }
}
