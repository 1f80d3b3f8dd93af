//! Which rule applies to what.

use std::convert::Infallible;
use std::path::Path;

use wherry_trust::{Algorithm, Policy, PolicyError, PolicyTable, SigningKey, Unsigned};

/// Every file has another key.
fn load(toml: &str) -> Result<Policy, PolicyError<Infallible>> {
    let table: PolicyTable = toml::from_str(toml).unwrap();
    table.load(|_: &Path| {
        let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
        Ok(key.public().to_pem().into_bytes())
    })
}

fn names(policy: &Policy, repositories: &[&str]) -> Vec<String> {
    let repositories: Vec<_> = repositories.iter().map(ToString::to_string).collect();
    let trust = policy.workload(&repositories);
    trust.keys.iter().map(|key| key.name.clone()).collect()
}

#[test]
fn nothing_is_trusted_by_default() {
    let policy = load("").unwrap();
    let trust = policy.workload(&["registry.example/team/a".to_owned()]);
    assert!(trust.keys.is_empty());
    assert_eq!(trust.unsigned, Unsigned::Deny);
    assert_eq!(policy.checkpoints().unsigned, Unsigned::Deny);
}

#[test]
fn rules_are_for_repositories() {
    let policy = load(
        r#"
        [[trust]]
        repositories = ["registry.example/team/*"]
        keys = ["team.pub"]
        [[trust]]
        repositories = ["registry.example/team/a", "local/*"]
        keys = ["a.pub", "b.pub"]
        [[trust]]
        repositories = ["local/mine"]
        unsigned = "allow"
        [[trust]]
        repositories = ["*"]
        keys = ["all.pub"]
        "#,
    )
    .unwrap();
    let a = ["team.pub", "a.pub", "b.pub", "all.pub"];
    assert_eq!(names(&policy, &["registry.example/team/a"]), a);
    assert_eq!(
        names(&policy, &["registry.example/team/ab"]),
        ["team.pub", "all.pub"]
    );
    assert_eq!(names(&policy, &["registry.example/teams/a"]), ["all.pub"]);
    assert_eq!(
        names(&policy, &["evil.example/registry.example/team/a"]),
        ["all.pub"]
    );
    assert_eq!(names(&policy, &[]), ["all.pub"]);
    let unsigned = |name: &str| policy.workload(&[name.to_owned()]).unsigned;
    assert_eq!(unsigned("local/mine"), Unsigned::Allow);
    assert_eq!(unsigned("local/mine/too"), Unsigned::Deny);
}

#[test]
fn what_means_nothing_is_refused() {
    let error = load("trust = [{ repositories = [\"*/a\"] }]").unwrap_err();
    assert!(matches!(error, PolicyError::Pattern(_)), "{error}");
    for typo in [
        "unsinged = 'allow'",
        "unsigned = 'maybe'",
        "trust = [{ keys = [] }]",
    ] {
        assert!(toml::from_str::<PolicyTable>(typo).is_err(), "{typo}");
    }
    let table: PolicyTable = toml::from_str("checkpoints = { keys = ['n.pub'] }").unwrap();
    let error = table.load(|_: &Path| Ok::<_, Infallible>(b"no key".to_vec()));
    assert_eq!(
        error.unwrap_err().to_string(),
        "n.pub: it is not a key in PEM form"
    );
}
