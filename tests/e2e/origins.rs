//! Whose workloads and checkpoints a node with a policy goes on with.

use std::fs;

use serde_json::Value;
use wherry_tests::{Done, Home};

use crate::carried::{Setting, json, only_job};
use crate::cosign::cosign;

const CAPTURED: i32 = 85;
/// What the program ends with.
const ENDED: i32 = 6;
const POLICY: i32 = 79;

const PREDICATE: &str = "https://wherry-grid.github.io/checkpoint/v1";

/// A job that began on the node `a`, and went on on `b`.
struct Moved {
    setting: Setting,
    b: Home,
    /// What it wrote on the two.
    written: String,
    /// What it writes as a whole.
    whole: String,
}

impl Moved {
    fn new() -> Option<Self> {
        let setting = Setting::new()?;
        let (a, b) = (&setting.here, Home::new());
        let whole = a.wherry(["run", "team/count:1.0"]).expect(ENDED).text();
        let begin = ["run", "--checkpoint-at=3000", "team/count:1.0"];
        let first = a.wherry(begin).expect(CAPTURED).text();
        let pushed = json(a, &["push", &only_job(a), &setting.name("half")]);
        assert_eq!(pushed["signed"], true, "{pushed}");
        let on = ["resume", "--checkpoint-at=1000", &setting.name("half")];
        let second = b.wherry(on).expect(CAPTURED).text();
        let pushed = json(&b, &["push", &only_job(&b), &setting.name("later")]);
        assert_eq!(pushed["signed"], true, "{pushed}");
        Some(Moved {
            setting,
            b,
            written: first + &second,
            whole,
        })
    }

    /// A node that lets jobs go on from checkpoints that nodes with these keys have made.
    fn node(keys: &[&Home]) -> Home {
        let node = Home::new();
        let names = keys.iter().enumerate().map(|(at, home)| {
            let name = format!("node-{at}.pub");
            let key = fs::read(home.directory().join("node.pub")).expect("a key");
            fs::write(node.directory().join(&name), key).expect("a home");
            format!("{name:?}")
        });
        let names = names.collect::<Vec<_>>().join(", ");
        Self::write_policy(&node, &format!("keys = [{names}]"));
        node
    }

    fn write_policy(node: &Home, checkpoints: &str) {
        let text = format!(
            "[who]\nrepositories = ['*']\nfiles = true\n[signatures]\nunsigned = 'allow'\n\
             [signatures.checkpoints]\n{checkpoints}\n"
        );
        fs::write(node.directory().join("policy.toml"), text).expect("a home");
    }
}

#[test]
fn a_job_goes_on_only_from_checkpoints_of_nodes_that_are_believed() {
    let Some(moved) = Moved::new() else {
        return;
    };
    let (a, later) = (&moved.setting.here, moved.setting.name("later"));
    let stranger = Moved::node(&[]);
    stranger
        .wherry(["resume", &later])
        .expect_refusal(POLICY, &["checkpoint 2", "no key is trusted"]);
    let knows_a = Moved::node(&[a]);
    knows_a
        .wherry(["resume", &later])
        .expect_refusal(POLICY, &["checkpoint 2", "not made by a trusted key"]);
    let knows_b = Moved::node(&[&moved.b]);
    knows_b
        .wherry(["resume", &later])
        .expect_refusal(POLICY, &["checkpoint 1", "not made by a trusted key"]);
    assert_eq!(json(&knows_b, &["ps"]), Value::Array(Vec::new()));

    let knows_both = Moved::node(&[a, &moved.b]);
    let done = knows_both
        .wherry(["resume", "--json", &later])
        .expect(ENDED);
    assert_eq!(moved.written.clone() + &done.text(), moved.whole);
    let resumed = done
        .stderr
        .lines()
        .find(|line| line.contains(r#""resumed""#));
    let resumed: Value = serde_json::from_str(resumed.expect("an event")).expect("JSON");
    let origin = &resumed["from"]["origin"];
    let of = |at: usize| (&origin[at]["sequence"], &origin[at]["signer"]);
    assert_eq!(of(0), (&2.into(), &"node-1.pub".into()), "{origin}");
    assert_eq!(of(1), (&1.into(), &"node-0.pub".into()), "{origin}");
    assert_eq!(origin.as_array().map(Vec::len), Some(2));

    let told = Moved::node(&[a, &moved.b])
        .wherry(["resume", &later])
        .expect(ENDED);
    assert!(
        told.stderr.contains("was made by node-1.pub"),
        "{}",
        told.stderr
    );

    // Who only looks sees whose word it is.
    let history = json(&knows_a, &["history", &later]);
    let made_by = |at: usize| &history[at]["made_by"];
    assert_eq!(made_by(0)["signer"], "node-0.pub", "{history}");
    assert_eq!(made_by(1)["verified"], false, "{history}");
    assert_ne!(made_by(1)["key"], made_by(0)["key"]);
}

#[test]
fn what_is_said_of_a_checkpoint_goes_with_its_file() {
    let Some(moved) = Moved::new() else {
        return;
    };
    let (a, half) = (&moved.setting.here, moved.setting.name("half"));
    let node = Moved::node(&[a]);
    let file = node.file("half.ckpt").display().to_string();
    node.wherry(["pull", "--output", &file, &half]).expect(0);
    let said = node.file("half.ckpt.origin.json");
    let statements = fs::read(&said).expect("statements");
    fs::remove_file(&said).expect("a file");
    node.wherry(["resume", &file])
        .expect_refusal(POLICY, &["no node has signed", "signatures.checkpoints"]);
    // It could be anything.
    fs::write(&said, "[{}, 1").expect("a file");
    node.wherry(["resume", &file])
        .expect_refusal(POLICY, &["no node has signed"]);
    fs::write(&said, statements).expect("a file");
    let own = node.file("own.ckpt").display().to_string();
    let to = format!("--checkpoint-to={own}");
    node.wherry(["resume", "--checkpoint-at=1000", &to, &file])
        .expect(CAPTURED);

    // Both nodes' words go on with the file, and on with what is pushed.
    let next = Moved::node(&[a, &node]);
    next.wherry(["pull", &moved.setting.name("1.0")]).expect(0);
    next.wherry(["resume", &own]).expect(ENDED);
    let name = moved.setting.name("own");
    let stranger = Home::new();
    let pushed = json(&stranger, &["push", &own, &name]);
    assert_eq!(pushed["signed"], true, "{pushed}");
    next.wherry(["resume", &name]).expect(ENDED);
    Moved::node(&[&node])
        .wherry(["resume", &own])
        .expect_refusal(POLICY, &["checkpoint 1", "not made by a trusted key"]);
}

#[test]
fn what_nobody_signed_does_not_become_good_on_its_way() {
    let Some(moved) = Moved::new() else {
        return;
    };
    let (careless, half) = (Moved::node(&[]), moved.setting.name("half"));
    let file = careless.file("half.ckpt").display().to_string();
    careless
        .wherry(["pull", "--output", &file, &half])
        .expect(0);
    fs::remove_file(careless.file("half.ckpt.origin.json")).expect("a file");
    // A node does not sign what it was handed.
    let pushed = json(&careless, &["push", &file, &moved.setting.name("handed")]);
    assert_eq!(pushed["signed"], false, "{pushed}");
    Moved::write_policy(&careless, "unsigned = 'allow'");
    let on = ["resume", "--checkpoint-at=1000", &file];
    careless.wherry(on).expect(CAPTURED);
    let name = moved.setting.name("own");
    let pushed = json(&careless, &["push", &only_job(&careless), &name]);
    assert_eq!(pushed["signed"], true, "{pushed}");
    Moved::node(&[&moved.setting.here, &careless])
        .wherry(["resume", &name])
        .expect_refusal(POLICY, &["no node has signed the checkpoint 1"]);
}

#[test]
fn whoever_claims_to_have_made_a_checkpoint_is_to_be_believed_first() {
    let Some(moved) = Moved::new() else {
        return;
    };
    let (a, half) = (&moved.setting.here, moved.setting.name("half"));
    let mallory = Home::new();
    mallory.wherry(["key", "pair", "mallory"]).expect(0);
    mallory.wherry(["pull", &half]).expect(0);
    let inspected = json(&mallory, &["inspect", &half]);
    let said = &inspected["attachments"][0];
    assert_eq!(said["kind"], "origin", "{inspected}");
    let predicate = mallory.write("claim.json", said["predicate"].to_string());
    let claim = ["attest", "--sign-key", "mallory.key", "--type", PREDICATE];
    let predicate = format!("--predicate={}", predicate.display());
    mallory
        .wherry(claim.into_iter().chain([&*predicate, &half]))
        .expect(0);
    mallory.wherry(["push", &half]).expect(0);
    // It stands in nobody's way, and helps nobody.
    let node = Moved::node(&[a]);
    node.wherry(["resume", &half]).expect(ENDED);
    Moved::node(&[&moved.b])
        .wherry(["resume", &half])
        .expect_refusal(POLICY, &["checkpoint 1", "not made by a trusted key"]);

    // What a node states of one checkpoint is no word for another.
    let key = a.directory().join("node.key").display().to_string();
    let key = format!("--sign-key={key}");
    let later = moved.setting.name("later");
    a.wherry(["pull", &later]).expect(0);
    a.write("claim.json", said["predicate"].to_string());
    a.wherry([
        "attest",
        &key,
        "--type",
        PREDICATE,
        "--predicate=claim.json",
        &later,
    ])
    .expect(0);
    a.wherry(["push", &later]).expect(0);
    let node = Moved::node(&[a]);
    node.wherry(["resume", &later])
        .expect_refusal(POLICY, &["checkpoint 2", "not made by a trusted key"]);
}

#[test]
fn cosign_verifies_what_a_node_says_of_a_checkpoint() {
    let Some(moved) = Moved::new() else {
        return;
    };
    let a = &moved.setting.here;
    let key = a.directory().join("node.pub").display().to_string();
    let verify = ["verify-attestation", "--type", PREDICATE, "--key", &key];
    let Some(mut verify) = cosign(a, &verify) else {
        return;
    };
    verify.args(["--allow-http-registry", "--insecure-ignore-tlog"]);
    verify.arg(moved.setting.name("half"));
    Done::of(verify).expect(0);
}

#[test]
fn a_node_runs_only_what_is_signed_unless_it_says_otherwise() {
    let Some(setting) = Setting::new() else {
        return;
    };
    let (here, node, name) = (&setting.here, Home::new(), setting.name("1.0"));
    for key in ["team", "other"] {
        here.wherry(["key", "pair", key]).expect(0);
        let public = fs::read(here.file(&format!("{key}.pub"))).expect("a key");
        fs::write(node.directory().join(format!("{key}.pub")), public).expect("a home");
    }
    let host = &setting.registry.host;
    let who = format!("[who]\nrepositories = ['{host}/*']\n");
    let policy = node.directory().join("policy.toml");
    fs::write(&policy, &who).expect("a home");
    node.wherry(["pull", &name]).expect(0);
    node.wherry(["run", &name])
        .expect_refusal(POLICY, &["signer", "unsigned"]);
    let trust =
        format!("[[signatures.trust]]\nrepositories = ['{host}/team/*']\nkeys = ['team.pub']\n");
    fs::write(&policy, who + &trust).expect("a home");
    let sign = |key: &str| {
        here.wherry(["sign", "--sign-key", key, "team/count:1.0"])
            .expect(0);
        here.wherry(["push", "team/count:1.0", &name]).expect(0);
        node.wherry(["pull", &name]).expect(0);
    };
    sign("other.key");
    node.wherry(["run", &name])
        .expect_refusal(POLICY, &["signer", "none of `keys`"]);
    let explained = node.wherry(["explain", "--json", &name]);
    assert!(
        explained.text().contains("none of `keys`"),
        "{}",
        explained.text()
    );
    sign("team.key");
    node.wherry(["run", &name]).expect(ENDED);
    let inspected = node.wherry(["inspect", &name]).expect(0).text();
    assert!(inspected.contains("signature by team.pub"), "{inspected}");
    assert!(
        inspected.contains("not verified"),
        "the other one: {inspected}"
    );
    assert!(
        node.wherry(["explain", &name])
            .expect(0)
            .text()
            .contains("team.pub")
    );

    // A checkpoint brings the signatures of its workload along.
    let begin = ["run", "--checkpoint-at=3000", "team/count:1.0"];
    here.wherry(begin).expect(CAPTURED);
    here.wherry(["push", &only_job(here), &setting.name("half")])
        .expect(0);
    let text = fs::read_to_string(&policy).expect("a policy");
    let second = Home::new();
    fs::copy(
        node.directory().join("team.pub"),
        second.directory().join("team.pub"),
    )
    .expect("a key");
    let allow = "[signatures.checkpoints]\nunsigned = 'allow'\n";
    fs::write(second.directory().join("policy.toml"), text + allow).expect("a home");
    second
        .wherry(["resume", &setting.name("half")])
        .expect(ENDED);
}
