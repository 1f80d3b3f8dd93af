//! A job's own checkpoints build on each other, and are written while it runs on.

use std::fs;

use serde_json::Value;
use wherry_tests::{Done, Home, Running};

const BAD_DATA: i32 = 65;
const FILLED: usize = 4 << 20;

/// A job with 4 MiB of memory that does not compress, and which waits for its input.
struct Setting {
    home: Home,
    id: String,
    job: Running,
}

impl Setting {
    fn new(options: &[&str]) -> Self {
        let home = Home::new();
        let module = home.program("fill");
        let arguments = ["run"].iter().chain(options).copied();
        let mut job = home.start(arguments.chain([module.to_str().expect("a name")]));
        job.wait_for("filled");
        let listed = home.wherry(["ps", "--json"]).expect(0);
        let listed: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
        let id = listed[0]["id"].as_str().expect("an id").to_owned();
        Setting { home, id, job }
    }

    fn checkpoint(&self, options: &[&str]) -> Value {
        let arguments = ["checkpoint", "--json"].iter().chain(options).copied();
        let done = self.home.wherry(arguments.chain([&*self.id])).expect(0);
        let value: Value = serde_json::from_slice(&done.stdout).expect("JSON");
        value["checkpoint"].clone()
    }

    fn state(&self) -> String {
        let listed = self.home.wherry(["ps", "--all", "--json"]).expect(0);
        let listed: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
        listed[0]["state"].as_str().expect("a state").to_owned()
    }

    fn own(&self) -> Vec<u64> {
        let directory = self
            .home
            .file(&format!("home/jobs/{}/checkpoints", self.id));
        let entries = fs::read_dir(directory).expect("readable").flatten();
        let name = |entry: fs::DirEntry| entry.file_name().to_str()?.parse().ok();
        let mut numbers: Vec<u64> = entries.filter_map(name).collect();
        numbers.sort_unstable();
        numbers
    }

    fn resume(&self) -> Done {
        self.home.wherry(["resume", &self.id])
    }
}

fn bytes(checkpoint: &Value) -> usize {
    let bytes = checkpoint["bytes"].as_u64().expect("a length");
    usize::try_from(bytes).expect("small")
}

#[test]
fn later_checkpoints_hold_what_changed_and_need_what_did_not() {
    let setting = Setting::new(&["--keep=1"]);
    let full = setting.checkpoint(&["--continue"]);
    assert_eq!(full["form"], "full");
    assert!(bytes(&full) > FILLED);
    for _ in 0..3 {
        let delta = setting.checkpoint(&["--continue"]);
        assert_eq!(delta["form"], "delta", "{delta}");
        assert!(bytes(&delta) < FILLED / 10, "{delta}");
    }
    // One for another machine stands on its own, and nothing builds on it.
    let elsewhere = setting.home.file("elsewhere.ckpt");
    let to = format!("--to={}", elsewhere.display());
    assert_eq!(setting.checkpoint(&["--continue", &to])["form"], "full");
    let last = setting.checkpoint(&[]);
    assert_eq!(last["form"], "delta");
    let Setting { home, id, job } = setting;
    assert_eq!(job.wait().expect(85).text(), "filled\n");

    // By the policy only the last is kept, but it needs the first, and no other.
    let setting = Setting {
        job: home.start(["--version"]),
        home,
        id,
    };
    assert_eq!(setting.own(), [1, 6]);
    setting.home.wherry(["gc"]).expect(0);
    assert_eq!(setting.own(), [1, 6]);
    let listed = setting.home.wherry(["checkpoints", &setting.id]).expect(0);
    assert!(
        listed.text().contains("6 builds on it"),
        "{}",
        listed.text()
    );

    // Alone it is refused; with the first beside it, it is as good as any.
    let path = last["path"].as_str().expect("a path");
    let alone = setting
        .home
        .write("alone/6", fs::read(path).expect("there"));
    let alone = alone.to_str().expect("a name");
    let refused = setting.home.wherry(["inspect", alone]);
    refused.expect_refusal(BAD_DATA, &["builds on the file", "not there", "--to"]);
    let first = full["path"].as_str().expect("a path");
    setting
        .home
        .write("alone/x", fs::read(first).expect("there"));
    setting.home.wherry(["inspect", alone]).expect(0);
    assert_eq!(setting.resume().expect(0).text(), "ended\n");
    let elsewhere = elsewhere.to_str().expect("a name");
    let again = setting.home.wherry(["resume", elsewhere]).expect(0);
    assert_eq!(again.text(), "ended\n");
}

#[test]
fn a_resumed_job_builds_on_what_it_came_from() {
    let setting = Setting::new(&[]);
    let first = setting.checkpoint(&[]);
    assert_eq!(first["form"], "full");
    let Setting { home, id, job } = setting;
    job.wait().expect(85);
    let setting = Setting {
        job: home.start(["resume", &id]),
        home,
        id,
    };
    while setting.state() != "running" {
        std::thread::yield_now();
    }
    let second = setting.checkpoint(&[]);
    assert_eq!(second["form"], "delta", "{second}");
    assert!(bytes(&second) < FILLED / 10, "{second}");
    let Setting { home, id, job } = setting;
    job.wait().expect(85);
    let ended = home.wherry(["resume", &id]).expect(0);
    assert_eq!(ended.text(), "ended\n");
}
