//! Checkpoints travel through a registry: pushed here, resumed there, with their history.

use std::fs;

use serde_json::Value;
use wherry_tests::Home;

use crate::registry_server::RegistryServer;

const CAPTURED: i32 = 85;
/// What the program ends with.
const ENDED: i32 = 6;
const USAGE: i32 = 64;
const BAD_DATA: i32 = 65;
const CONFIG: i32 = 78;

/// A home with the workload `team/count:1.0`, and a registry to which it was pushed.
pub(crate) struct Setting {
    pub(crate) registry: RegistryServer,
    pub(crate) here: Home,
}

impl Setting {
    pub(crate) fn new() -> Option<Self> {
        let registry = RegistryServer::plain()?;
        let here = Home::new();
        here.write("project/count.wasm", wherry_tests::program("count"));
        let file = "name = 'team/count'\nversion = '1.0'\nmodule = 'count.wasm'\n";
        let file = here.write("project/workload.toml", file);
        let project = file.parent().expect("a directory").display().to_string();
        here.wherry(["pack", &project]).expect(0);
        let setting = Setting { registry, here };
        let workload = setting.name("1.0");
        setting
            .here
            .wherry(["push", "team/count:1.0", &workload])
            .expect(0);
        Some(setting)
    }

    pub(crate) fn name(&self, tag: &str) -> String {
        format!("{}/team/count:{tag}", self.registry.host)
    }
}

pub(crate) fn json(home: &Home, arguments: &[&str]) -> Value {
    let done = home.wherry(arguments.iter().chain(&["--json"])).expect(0);
    serde_json::from_slice(&done.stdout).expect("JSON")
}

pub(crate) fn only_job(home: &Home) -> String {
    let jobs = json(home, &["ps"]);
    assert_eq!(jobs.as_array().map(Vec::len), Some(1), "{jobs}");
    jobs[0]["id"].as_str().expect("an id").to_owned()
}

#[test]
fn a_job_goes_on_elsewhere_through_a_registry() {
    let Some(setting) = Setting::new() else {
        return;
    };
    let (here, there) = (&setting.here, Home::new());
    let whole = here.wherry(["run", "team/count:1.0"]).expect(ENDED).text();
    let first = here.wherry(["run", "--checkpoint-at=3000", "team/count:1.0"]);
    let first = first.expect(CAPTURED).text();
    let job = only_job(here);
    let half = setting.name("half");
    let pushed = json(here, &["push", &job, &half]);
    assert_eq!(pushed["sequence"], 1, "{pushed}");

    // Nothing was pulled there before: the workload comes along.
    let second = there.wherry(["resume", "--checkpoint-at=1000", &half]);
    let second = second.expect(CAPTURED).text();
    let moved = only_job(&there);
    let later = json(&there, &["push", &moved, &setting.name("later")]);
    assert_eq!(later["sequence"], 2, "{later}");
    let third = here
        .wherry(["resume", &setting.name("later")])
        .expect(ENDED)
        .text();
    assert_eq!(first + &second + &third, whole);

    // The line of states can be read off the registry.
    let history = json(here, &["history", &setting.name("later")]);
    let of = |at: usize, field: &str| history[at][field].as_str().expect("a text").to_owned();
    assert_eq!(history.as_array().map(Vec::len), Some(2), "{history}");
    assert_eq!(of(0, "state"), pushed["state"].as_str().expect("a state"));
    assert_eq!(of(1, "parent"), of(0, "state"));
    assert_eq!(of(1, "place"), later["digest"].as_str().expect("a digest"));
    assert!(history[0]["in_line"] == true && history[1]["in_line"] == true);
    let first_only = json(here, &["history", &half]);
    assert!(first_only[0]["in_line"] == true && first_only[1]["in_line"] == false);
    let of_workload = json(here, &["history", &setting.name("1.0")]);
    assert_eq!(of_workload.as_array().map(Vec::len), Some(2));
    let of_job = json(&there, &["history", &moved]);
    assert_eq!(of_job[0]["parent"], pushed["state"]);
}

#[test]
fn a_file_comes_back_as_it_was_and_beside_its_workload_by_default() {
    let Some(setting) = Setting::new() else {
        return;
    };
    let (here, there) = (&setting.here, Home::new());
    let file = here.file("job.ckpt").display().to_string();
    let to = format!("--checkpoint-to={file}");
    let workload = setting.name("1.0");
    here.wherry(["pull", &workload]).expect(0);
    here.wherry(["run", "--checkpoint-at=3000", &to, &workload])
        .expect(CAPTURED);
    let pushed = json(here, &["push", &file]);
    let name = pushed["reference"].as_str().expect("a name");
    let state = pushed["state"].as_str().expect("a state");
    assert_eq!(name, setting.name(&format!("checkpoint-{}", &state[7..19])));
    let back = there.file("back.ckpt").display().to_string();
    there.wherry(["pull", "--output", &back, name]).expect(0);
    assert!(fs::read(&file).unwrap() == fs::read(&back).unwrap());
    // Pushed again, nothing is new.
    let again = json(here, &["push", &file]);
    assert_eq!(again["digest"], pushed["digest"]);

    let stranger = Home::new();
    let module = stranger.program("count").display().to_string();
    let to = format!("--checkpoint-to={}", stranger.file("x").display());
    stranger
        .wherry(["run", "--checkpoint-at=3000", &to, &module])
        .expect(CAPTURED);
    let file = stranger.file("x").display().to_string();
    stranger
        .wherry(["push", &file])
        .expect_refusal(USAGE, &["not known where", "wherry push"]);
    there
        .wherry(["resume", &workload])
        .expect_refusal(BAD_DATA, &["not", "checkpoint"]);
    here.wherry([
        "push",
        &here.file("project/count.wasm").display().to_string(),
    ])
    .expect_refusal(BAD_DATA, &["not a checkpoint"]);
}

#[test]
fn an_encrypted_job_travels_without_its_key_and_goes_on_with_it() {
    let Some(setting) = Setting::new() else {
        return;
    };
    let (here, there) = (&setting.here, Home::new());
    let whole = here.wherry(["run", "team/count:1.0"]).expect(ENDED).text();
    let key = here.file("key").display().to_string();
    here.wherry(["key", "new", &key]).expect(0);
    let run = [
        "run",
        "--key",
        &key,
        "--checkpoint-at=3000",
        "team/count:1.0",
    ];
    let first = here.wherry(run).expect(CAPTURED).text();
    let job = only_job(here);
    let resume = ["resume", "--key", &key, "--checkpoint-at=500", &job];
    let second = here.wherry(resume).expect(CAPTURED).text();

    let half = setting.name("sealed");
    let pushed = json(here, &["push", &job, &half]);
    let state = pushed["state"].as_str().expect("a state");
    assert!(state.starts_with("keyed-sha256:"), "{state}");
    there
        .wherry(["resume", &half])
        .expect_refusal(CONFIG, &["key"]);
    let third = there
        .wherry(["resume", "--key", &key, &half])
        .expect(ENDED)
        .text();
    assert_eq!(first + &second + &third, whole);
}
