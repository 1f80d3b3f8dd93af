//! oras, a client by others: it reads what we push and what we store, and we run what it pushes.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;
use wherry_tests::{Done, Home};

use crate::cosign::tool;
use crate::registry_server::RegistryServer;
use crate::trust::{json_of, text};

const CAPTURED: i32 = 85;
/// What the program `count` ends with.
const ENDED: i32 = 6;
const LABELS: &str = "cat\ndog\n";

/// A registry, and a home with `team/NAME:1.0`, which brings a file and a directory along.
struct Setting {
    registry: RegistryServer,
    home: Home,
    digest: String,
}

impl Setting {
    /// Says loudly if there is no registry, or no oras.
    fn with(program: &str) -> Option<Self> {
        let registry = RegistryServer::plain()?;
        tool("oras", "version")?;
        let home = Home::new();
        home.write("project/module.wasm", wherry_tests::program(program));
        home.write("project/labels.txt", LABELS);
        home.write("project/models/first", [7; 70_000]);
        let file = format!(
            "name = 'team/{program}'\nversion = '1.0'\nmodule = 'module.wasm'\n\
             [scratch]\nguest = '/tmp'\n\
             [[data]]\npath = 'labels.txt'\nguest = '/labels'\n\
             [[data]]\npath = 'models'\nguest = '/models'\n"
        );
        home.write("project/workload.toml", file);
        let packed = json_of(&home.wherry(["pack", "--json", "project"]).expect(0));
        let digest = text(&packed["digest"]);
        Some(Setting {
            registry,
            home,
            digest,
        })
    }

    fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.registry.host)
    }

    /// Runs oras in the home.
    fn oras(&self, arguments: &[&str]) -> Done {
        let mut oras = Command::new("oras");
        oras.args(arguments)
            .current_dir(self.home.file("."))
            .env("HOME", self.home.file("."))
            .stdin(Stdio::null());
        Done::of(oras).expect(0)
    }

    /// What refers to `name`, as oras finds it by the tag that registries without the API have.
    fn discovered(&self, name: &str) -> Vec<(String, String)> {
        let spec = "--distribution-spec=v1.1-referrers-tag";
        let found = self.oras(&["discover", "--plain-http", spec, "--format=json", name]);
        let found = json_of(&found);
        let referrers = found["referrers"].as_array().expect("a list").iter();
        referrers
            .map(|one| (text(&one["artifactType"]), text(&one["digest"])))
            .collect()
    }
}

/// Asserts that a layout has the blobs of our store, byte for byte, and returns how many.
fn same_blobs(home: &Home, layout: &Path) -> usize {
    let blobs = fs::read_dir(layout.join("blobs/sha256")).expect("a layout");
    let blobs: Vec<_> = blobs.map(|blob| blob.expect("a file").path()).collect();
    for blob in &blobs {
        let own = home.directory().join("store/blobs/sha256");
        let own = own.join(blob.file_name().expect("a name"));
        assert!(fs::read(blob).unwrap() == fs::read(&own).unwrap());
    }
    blobs.len()
}

#[test]
fn it_pulls_what_we_push_byte_for_byte() {
    let Some(setting) = Setting::with("hello") else {
        return;
    };
    let name = setting.name("team/hello:1.0");
    setting
        .home
        .wherry(["push", "team/hello:1.0", &name])
        .expect(0);
    setting.oras(&["pull", "--plain-http", "--output=files", &name]);
    let labels = fs::read_to_string(setting.home.file("files/labels.txt"));
    assert_eq!(labels.expect("a file"), LABELS);
    let copy = ["copy", "--from-plain-http", "--to-oci-layout"];
    setting.oras(&[&copy[..], &[&name, "layout:copied"]].concat());
    // Manifest, config, module and data.
    assert_eq!(same_blobs(&setting.home, &setting.home.file("layout")), 5);
}

#[test]
fn it_reads_our_store_and_what_it_pushes_of_it_runs() {
    let Some(setting) = Setting::with("hello") else {
        return;
    };
    let store = setting.home.directory().join("store");
    let image = format!("{}@{}", store.display(), setting.digest);
    let manifest = setting.oras(&["manifest", "fetch", "--oci-layout", &image]);
    let inspected = setting
        .home
        .wherry(["inspect", "--json", "team/hello:1.0"])
        .expect(0);
    assert_eq!(json_of(&manifest), json_of(&inspected)["manifest"]);
    setting.oras(&["pull", "--oci-layout", "--output=files", &image]);
    let labels = fs::read_to_string(setting.home.file("files/labels.txt"));
    assert_eq!(labels.expect("a file"), LABELS);

    let name = setting.name("by-oras:1");
    let copy = ["copy", "--from-oci-layout", "--to-plain-http"];
    setting.oras(&[&copy[..], &[&image, &name]].concat());
    let there = Home::new();
    let pulled = json_of(&there.wherry(["pull", "--json", &name]).expect(0));
    assert_eq!(pulled["digest"], setting.digest);
    let here = setting.home.wherry(["run", "team/hello:1.0"]).expect(0);
    assert_eq!(there.wherry(["run", &name]).expect(0).text(), here.text());
}

#[test]
fn we_run_the_modules_that_it_pushes() {
    let Some(setting) = Setting::with("hello") else {
        return;
    };
    let module = wherry_tests::program("hello");
    setting.home.write("hello.wasm", &module);
    let here = setting.home.wherry(["run", "hello.wasm"]).expect(0);
    // The artifact of the CNCF, and one as other runtimes have it.
    let layer = json_of(&setting.oras(&[
        "push",
        "--plain-http",
        "--format=json",
        "--artifact-type=application/vnd.example",
        &setting.name("foreign:1"),
        "hello.wasm:application/vnd.wasm.content.layer.v1+wasm",
    ]));
    let config = json!({
        "architecture": "wasm", "os": "wasip1",
        "layerDigests": [layer["files"][0]["digest"].as_str().unwrap_or_default()],
    });
    setting.home.write("config.json", config.to_string());
    setting.oras(&[
        "push",
        "--plain-http",
        "--config=config.json:application/vnd.wasm.config.v0+json",
        &setting.name("cncf:1"),
        "hello.wasm:application/wasm",
    ]);
    for name in ["foreign:1", "cncf:1"].map(|name| setting.name(name)) {
        let there = Home::new();
        there.wherry(["pull", &name]).expect(0);
        assert_eq!(there.wherry(["run", &name]).expect(0).text(), here.text());
    }
}

#[test]
fn it_lists_what_refers_to_a_workload_and_what_it_adds_stays() {
    let Some(setting) = Setting::with("count") else {
        return;
    };
    let (home, name) = (&setting.home, setting.name("team/count:1.0"));
    home.wherry(["push", "team/count:1.0", &name]).expect(0);
    home.wherry(["run", "--checkpoint-at=3000", "team/count:1.0"])
        .expect(CAPTURED);
    let jobs = json_of(&home.wherry(["ps", "--json"]).expect(0));
    let job = text(&jobs[0]["id"]);
    let push = |tag: &str| {
        let to = setting.name(&format!("team/count:{tag}"));
        text(&json_of(&home.wherry(["push", "--json", &job, &to]).expect(0))["digest"])
    };
    let checkpoint = "application/vnd.wherry.checkpoint.v1+json";
    let first = (checkpoint.to_owned(), push("first"));
    assert_eq!(setting.discovered(&name), std::slice::from_ref(&first));

    home.write("notes.txt", "as measured");
    let attach = ["attach", "--plain-http", "--artifact-type=test/notes"];
    let by_tag = "--distribution-spec=v1.1-referrers-tag";
    setting.oras(&[&attach[..], &[by_tag, &name, "notes.txt"]].concat());
    home.wherry(["resume", "--checkpoint-at=1000", &job])
        .expect(CAPTURED);
    let second = (checkpoint.to_owned(), push("second"));
    let found = setting.discovered(&name);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found.contains(&first) && found.contains(&second));
    assert!(found.iter().any(|(kind, _)| kind == "test/notes"));
    let history = home.wherry(["history", "--json", &name]).expect(0);
    assert_eq!(json_of(&history).as_array().map(Vec::len), Some(2));
    home.wherry(["resume", &job]).expect(ENDED);
}
