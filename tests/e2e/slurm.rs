//! Jobs under real Slurm: whatever it does to them, each ends once, with the output of a run that nobody disturbed.

use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use wherry_tests::{Done, binary, repository};

use crate::slurm_cluster::Cluster;

/// A job that writes 40 lines in ten seconds or more.
struct Ticks<'a> {
    cluster: &'a Cluster,
    job: String,
    output: PathBuf,
    /// How often it had been started when Slurm was told not to wait.
    hastened: RefCell<Option<String>>,
}

impl<'a> Ticks<'a> {
    fn submit(cluster: &'a Cluster, options: &[&str]) -> Self {
        Self::submit_every("250000000", cluster, options)
    }

    /// With another time between two lines, in nanoseconds.
    fn submit_every(time: &str, cluster: &'a Cluster, options: &[&str]) -> Self {
        let source = fs::read_to_string(repository().join("tests/programs/ticks.wat")).unwrap();
        let module = wat::parse_str(source.replace("250000000", time)).unwrap();
        fs::write(cluster.path("ticks.wasm"), module).unwrap();
        let mut wherry = cluster.command(binary());
        wherry.args([
            "slurm",
            "submit",
            "--time=10m",
            "--mem=500MiB",
            "--grace=59s",
        ]);
        wherry.args(options).arg("ticks.wasm");
        let job = Done::of(wherry).expect(0).text().trim().to_owned();
        let output = cluster.path(&format!("wherry-jobs/ticks-{job}.out"));
        Ticks {
            cluster,
            job,
            output,
            hastened: RefCell::default(),
        }
    }

    fn written(&self) -> String {
        fs::read_to_string(&self.output).unwrap_or_default()
    }

    fn is(&self, state: &str) -> bool {
        self.cluster.field(&self.job, "JobState") == state
    }

    /// Lets it run until it has written `line`.
    #[track_caller]
    fn run_to(&self, line: &str) {
        self.cluster
            .wait_until(&format!("it has written {line}"), || {
                self.hasten();
                self.written().contains(line)
            });
    }

    /// Slurm waits two minutes before it starts a job again by itself, and refuses it on a node
    /// where it was killed in the same second.
    fn hasten(&self) {
        let restarts = Some(self.cluster.field(&self.job, "Restarts"));
        if self.is("PENDING") && *self.hastened.borrow() != restarts {
            let job = format!("JobId={}", self.job);
            self.cluster
                .ask("scontrol", &["update", &job, "StartTime=now+5"]);
            self.hastened.replace(restarts);
        }
    }

    /// What the node's shared directory has of it.
    fn record(&self) -> Value {
        let state = self
            .cluster
            .path(&format!("wherry-jobs/ticks-{}", self.job));
        let jobs = fs::read_dir(state).into_iter().flatten().flatten();
        let records = jobs.filter_map(|job| fs::read(job.path().join("job.json")).ok());
        let mut records = records.filter_map(|text| serde_json::from_slice(&text).ok());
        records.next().unwrap_or_default()
    }

    #[track_caller]
    fn ends_as_if_undisturbed(&self, restarts: &str, comment: &str) {
        self.run_to("tick 39");
        self.cluster
            .wait_until("it has ended", || self.is("COMPLETED"));
        let expected: String = (0..40).map(|tick| format!("tick {tick:02}\n")).collect();
        assert_eq!(self.written(), expected);
        assert_eq!(self.cluster.field(&self.job, "Restarts"), restarts);
        let shown = self.ask("%k");
        assert!(shown.contains(comment), "{shown}");
    }

    /// What `squeue` shows of it.
    fn ask(&self, format: &str) -> String {
        let (job, format) = (format!("--jobs={}", self.job), format!("--format={format}"));
        self.cluster
            .ask("squeue", &["--noheader", "--states=all", &job, &format])
    }
}

#[test]
fn at_its_time_limit_a_job_is_queued_again_and_goes_on() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let ticks = Ticks::submit_every("2000000000", &cluster, &[]);
    ticks.run_to("tick 01");
    // So that there is less left than the 59 seconds that it is to be told before.
    let job = format!("JobId={}", ticks.job);
    cluster.control(&["update", &job, "TimeLimit=1"]);
    cluster.wait_until("it is told", || {
        ticks.ask("%k").contains("checkpointed: time limit")
    });
    cluster.wait_until("it is queued again", || {
        cluster.field(&ticks.job, "Restarts") == "1"
    });
    cluster.wait_until("it has left the node", || !ticks.is("COMPLETING"));
    cluster.control(&["update", &job, "TimeLimit=10"]);
    ticks.ends_as_if_undisturbed("1", "goes on, start 2");
}

#[test]
fn an_administrator_queues_it_again() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let ticks = Ticks::submit(&cluster, &[]);
    ticks.run_to("tick 03");
    cluster.control(&["requeue", &ticks.job]);
    cluster.wait_until("it is known why", || {
        ticks.ask("%k").contains("checkpointed: taken off the node")
    });
    ticks.ends_as_if_undisturbed("1", "goes on, start 2");
}

#[test]
fn a_more_urgent_job_takes_its_node() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let ticks = Ticks::submit(&cluster, &[]);
    ticks.run_to("tick 03");
    let urgent = [
        "--parsable",
        "--partition=urgent",
        "--nodes=2",
        "--ntasks=4",
        "--wrap=true",
    ];
    let urgent = cluster.ask("sbatch", &urgent);
    cluster.wait_until("the urgent job has run", || {
        cluster.field(&urgent, "JobState") == "COMPLETED"
    });
    ticks.ends_as_if_undisturbed("1", "goes on, start 2");
}

#[test]
fn a_node_dies() {
    let Some(mut cluster) = Cluster::start() else {
        return;
    };
    let (job, output, node) = {
        let ticks = Ticks::submit(&cluster, &[]);
        ticks.run_to("tick 03");
        (
            ticks.job.clone(),
            ticks.output.clone(),
            cluster.field(&ticks.job, "NodeList"),
        )
    };
    cluster.cut_power(&node, &job);
    let ticks = Ticks {
        cluster: &cluster,
        job,
        output,
        hastened: RefCell::default(),
    };
    ticks.ends_as_if_undisturbed("1", "goes on, start 2");
    assert_ne!(cluster.field(&ticks.job, "NodeList"), node);
}

#[test]
fn a_job_that_is_cancelled_stays_so() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let ticks = Ticks::submit(&cluster, &[]);
    ticks.run_to("tick 03");
    cluster.ask("scancel", &[&ticks.job]);
    cluster.wait_until("it is cancelled", || ticks.is("CANCELLED"));
    assert_eq!(cluster.field(&ticks.job, "Restarts"), "0");
}

#[test]
fn every_job_of_an_array_has_its_own_state_and_index() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let ticks = Ticks::submit(&cluster, &["--array=1,2"]);
    for index in ["1", "2"] {
        let job = format!("{}_{index}", ticks.job);
        let one = Ticks {
            cluster: &cluster,
            output: cluster.path(&format!("wherry-jobs/ticks-{job}.out")),
            job,
            hastened: RefCell::default(),
        };
        one.run_to("tick 39");
        cluster.wait_until("it has ended", || one.is("COMPLETED"));
    }
}

/// From the signal that takes a job off its node to its program running on the other one, in parts.
#[test]
#[ignore = "a measurement for docs/benchmarks.md"]
#[expect(clippy::print_stdout, reason = "what it measures is for people")]
fn how_long_an_eviction_takes() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let ticks = Ticks::submit_every("100000000", &cluster, &[]);
    ticks.run_to("tick 03");
    let node = format!("NodeName={}", cluster.field(&ticks.job, "NodeList"));
    cluster.control(&["update", &node, "State=DRAIN", "Reason=eviction"]);
    let signal = now();
    cluster.control(&["requeue", &ticks.job]);
    let record = |path: &str| ticks.record().pointer(path).and_then(Value::as_u64);
    cluster.wait_until("it is suspended", || record("/status/at").is_some());
    let written = record("/checkpoints/0/at").expect("a checkpoint");
    let write = record("/checkpoints/0/write_us").expect("its time") / 1000;
    let pause = record("/checkpoints/0/pause_us").expect("its time") / 1000;
    let left = record("/status/at").expect("a time");
    let before = ticks.written();
    cluster.wait_until("Slurm starts it", || {
        ticks.hasten();
        record("/status/since").is_some_and(|since| since > left)
    });
    let restored = record("/status/since").expect("a time");
    cluster.wait_until("it says more", || ticks.written().len() > before.len());
    let ran = now();
    println!("| from | to | ms |\n| --- | --- | --- |");
    for (from, to, time) in [
        (
            "Slurm is told",
            "the program stands still",
            written - pause.max(write) - signal,
        ),
        ("that", "the checkpoint is on the disk", pause.max(write)),
        ("that", "the job has left the node", left - written),
        (
            "that",
            "it is restored on the other node: what Slurm waits for, and the start",
            restored - left,
        ),
        (
            "that",
            "the program's first line, which it waits 100 ms for",
            ran - restored,
        ),
    ] {
        println!("| {from} | {to} | {time} |");
    }
}

/// Milliseconds since 1970, as records have them.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
