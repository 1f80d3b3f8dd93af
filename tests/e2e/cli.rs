//! The command line itself: help, completions, JSON, the demo.

use std::fs;

use serde_json::Value;
use wherry_tests::Home;

/// The verbs that `wherry --help` lists.
fn verbs(home: &Home) -> Vec<String> {
    let help = home.wherry(["--help"]).expect(0).text();
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = commands.take_while(|line| !line.is_empty());
    let names = listed.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let names = names.filter(|name| !name.is_empty() && *name != "help");
    names.map(str::to_owned).collect()
}

#[test]
fn the_help_of_every_verb_has_an_example() {
    let home = Home::new();
    let verbs = verbs(&home);
    for verb in [
        "run",
        "resume",
        "checkpoint",
        "pack",
        "push",
        "pull",
        "inspect",
        "demo",
    ] {
        assert!(
            verbs.iter().any(|listed| listed == verb),
            "{verb} in {verbs:?}"
        );
    }
    for verb in verbs {
        let help = home.wherry([verb.as_str(), "--help"]).expect(0).text();
        assert!(help.contains(&format!("wherry {verb}")), "{verb}: {help}");
        let example = help.contains("Example") || help.contains("Exit codes");
        assert!(example, "{verb}: {help}");
    }
}

#[test]
fn the_documented_exit_codes_are_those_of_the_help() {
    let help = Home::new().wherry(["exit-codes"]).expect(0).text();
    for code in [64, 65, 66, 69, 70, 73, 74, 76, 77, 78, 85, 124, 130, 134] {
        assert!(help.contains(&code.to_string()), "{code}: {help}");
    }
}

#[test]
fn completions_for_every_shell() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = home.wherry(["completions", shell]).expect(0).text();
        assert!(
            script.contains("wherry") && script.contains("--checkpoint-to")
                || script.contains("checkpoint-to"),
            "{shell}"
        );
    }
}

/// Every line that is written for programs is JSON.
#[track_caller]
fn json(text: &str) -> Vec<Value> {
    let values = serde_json::Deserializer::from_str(text).into_iter();
    values
        .map(|value| value.unwrap_or_else(|error| panic!("{error}: {text}")))
        .collect()
}

#[test]
fn results_are_json_on_request() {
    let home = Home::new();
    home.program("count");
    home.write(
        "workload.toml",
        "name = 'x'\nversion = '1'\nmodule = 'count.wasm'\n",
    );
    let project = home.file("").display().to_string();
    let packed = home.wherry(["pack", "--json", &project]).expect(0).text();
    assert_eq!(json(&packed).len(), 1, "{packed}");

    let done = home.wherry([
        "run",
        "--json",
        "--checkpoint-at=5000",
        "--checkpoint-to=c",
        "x:1",
    ]);
    let done = done.expect(85);
    assert!(
        done.text().starts_with("line 0\n"),
        "stdout is the program's: {}",
        done.text()
    );
    let events = json(&done.stderr);
    assert!(!events.is_empty());

    for arguments in [
        &["ps", "--all"][..],
        &["images"],
        &["inspect", "c"],
        &["inspect", "x:1"],
        &["inspect", "count.wasm"],
    ] {
        let done = home.wherry(arguments.iter().chain(&["--json"])).expect(0);
        assert_eq!(
            json(&done.text()).len(),
            1,
            "{arguments:?}: {}",
            done.text()
        );
    }
}

#[test]
fn failures_are_json_on_request() {
    let home = Home::new();
    for arguments in [
        &["run", "missing.wasm"][..],
        &["run", "--memory=x", "y.wasm"],
        &["rm", "x:1"],
    ] {
        let done = home.wherry(["--json"].iter().chain(arguments));
        let [error] = &json(&done.stderr)[..] else {
            panic!("{arguments:?}: {}", done.stderr);
        };
        assert_eq!(error["error"]["code"].as_i64(), done.code.map(i64::from));
        assert!(error["error"]["message"].is_string(), "{error}");
    }
}

#[test]
fn arguments_and_environment_reach_the_program() {
    let home = Home::new();
    let module = home.program("show");
    let module = module.to_str().unwrap();
    let arguments = [
        "run", "--env", "B=2", "--env", "A=1=1", module, "x y", "--json", "",
    ];
    let text = home.wherry(arguments).expect(0).text();
    let (name, rest) = text.split_once('\0').expect("a name");
    assert!(name.ends_with("show.wasm"), "{name}");
    let (arguments, environment) = rest.split_at("x y\0--json\0\0".len());
    assert_eq!(arguments, "x y\0--json\0\0");
    // Nothing of the host's environment.
    let mut environment: Vec<&str> = environment.split_terminator('\0').collect();
    environment.sort_unstable();
    assert_eq!(environment, ["A=1=1", "B=2"]);
}

#[test]
fn the_exit_code_is_the_programs() {
    let home = Home::new();
    let module = home.program("count");
    let first = home.wherry(["run", module.to_str().unwrap()]);
    assert_eq!(first.text().lines().count(), 10);
    assert!(
        first.code.is_some_and(|code| (1..64).contains(&code)),
        "{first:?}"
    );
}

#[test]
fn inspect_shows_functions_memory_and_files_of_a_checkpoint() {
    let home = Home::new();
    let module = home.program("count");
    let arguments = [
        "run",
        "--checkpoint-at=5000",
        "--checkpoint-to=c",
        module.to_str().unwrap(),
    ];
    home.wherry(arguments).expect(85);
    let shown = home.wherry(["inspect", "c", "--module", module.to_str().unwrap()]);
    let shown = shown.expect(0).text();
    for word in ["work", "64 KiB", "stdout"] {
        assert!(
            shown.to_lowercase().contains(&word.to_lowercase()),
            "{word}: {shown}"
        );
    }
}

#[test]
fn a_new_project_is_described_completely() {
    let home = Home::new();
    for language in ["rust", "c"] {
        let project = home.file(language);
        home.wherry(["init", "--language", language, project.to_str().unwrap()])
            .expect(0);
        assert!(project.join("workload.toml").exists());
        let before = fs::read_dir(&project).unwrap().count();
        home.wherry(["init", "--language", language, project.to_str().unwrap()])
            .expect_refusal(73, &[language]);
        assert_eq!(fs::read_dir(&project).unwrap().count(), before);
    }
}

#[test]
fn the_demo_passes() {
    let home = Home::new();
    let done = home.wherry(["demo"]).expect(0);
    assert!(!done.stdout.is_empty());
}
