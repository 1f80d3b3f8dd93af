//! What nodes can do, and which of them fit a workload.

use std::path::Path;

use serde_json::Value;
use wherry_tests::Home;

const POLICY: i32 = 79;
const BAD_DATA: i32 = 65;

fn doctor(home: &Home, policy: &str) -> Value {
    let file = home.write("policy.toml", policy);
    let done = home
        .wherry(["doctor", "--json", "--policy", file.to_str().unwrap()])
        .expect(0);
    serde_json::from_slice(&done.stdout).unwrap()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn the_doctor_tries_what_matters() {
    let home = Home::new();
    let here = doctor(&home, "");
    assert_eq!(here["format"], 1);
    assert_eq!(here["isa"], std::env::consts::ARCH);
    assert_eq!(here["self_tests"][0]["passed"], true, "{here}");
    assert!(here["memory"]["total"].as_u64().unwrap() > 1 << 20);
    let text = home.wherry(["doctor"]).expect(0).text();
    assert!(
        text.contains("kernel") && text.contains("checkpointed and resumed"),
        "{text}"
    );
}

#[test]
fn nodes_are_ranked_and_those_that_do_not_fit_say_why() {
    let home = Home::new();
    let node = |name: &str, policy: &str, memory: u64| {
        let mut node = doctor(&home, &format!("{policy}\n[who]\nfiles = true"));
        node["name"] = name.into();
        node["memory"]["available"] = memory.into();
        node["memory"]["total"] = memory.into();
        home.write(&format!("{name}.json"), node.to_string())
    };
    let large = "[limits]\nmemory = \"64 GiB\"";
    let nodes = [
        node("strict", "[limits]\nmemory = \"1 KiB\"", 64 << 30),
        node("tiny", large, 1 << 10),
        node("small", "[limits]\nmemory = \"1 MiB\"", 64 << 30),
        node("good", large, 8 << 30),
        node("better", large, 16 << 30),
    ];
    let module = home.program("grow");
    let mut arguments = vec!["match", "--json", "--memory=4GiB", path(&module)];
    arguments.extend(nodes.iter().map(|node| path(node)));
    let done = home.wherry(arguments.clone()).expect(0);
    let value: Value = serde_json::from_slice(&done.stdout).unwrap();
    let ranked = value["nodes"].as_array().unwrap();
    let names: Vec<_> = ranked
        .iter()
        .map(|node| node["node"].as_str().unwrap())
        .collect();
    assert_eq!(names[..3], ["better", "good", "small"]);
    let reasons = |name: &str| {
        let node = ranked.iter().find(|node| node["node"] == name).unwrap();
        assert_eq!(node["fits"], false);
        node["reasons"].to_string()
    };
    assert!(reasons("strict").contains("more than the policy grants"));
    assert!(reasons("tiny").contains("the machine has 1024"));
    arguments.remove(1);
    let table = home.wherry(arguments).expect(0).text();
    assert!(table.contains("all that is asked for"), "{table}");
    let none = home.wherry(["match", path(&module), path(&nodes[0])]);
    none.expect(POLICY);
    let bad = home.write("bad.json", "{}");
    home.wherry(["match", path(&module), path(&bad)])
        .expect_refusal(BAD_DATA, &["bad.json"]);
}
