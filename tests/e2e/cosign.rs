//! Outside tools: cosign 3 verifies what we sign, and we what it signs; skopeo and oras read the store.

use std::fs;
use std::process::{Command, Stdio};

use wherry_tests::{Done, Home, say_skipped};

use crate::registry_server::RegistryServer;
use crate::trust::{Setting, json_of, verify};

/// An outside tool, or a loud word that it is not here.
pub(crate) fn tool(name: &str, argument: &str) -> Option<Command> {
    let mut found = Command::new(name);
    found
        .arg(argument)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if found.status().is_err() {
        say_skipped(&format!("{name} is not installed"));
        return None;
    }
    Some(Command::new(name))
}

/// cosign, which is not to ask anybody for anything.
pub(crate) fn cosign(home: &Home, arguments: &[&str]) -> Option<Command> {
    let mut cosign = tool("cosign", "version")?;
    cosign
        .env("HOME", home.file("cosign-home"))
        .env("COSIGN_PASSWORD", "pw");
    cosign.current_dir(home.file(".")).stdin(Stdio::null());
    cosign.args(arguments);
    Some(cosign)
}

/// A configuration without any service: signing offline.
const OFFLINE: &str = r#"{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","rekorTlogConfig":{},"tsaConfig":{}}"#;

#[test]
fn cosign_verifies_what_is_signed_here() {
    let Some(registry) = RegistryServer::plain() else {
        return;
    };
    let Setting { home, .. } = Setting::signed();
    home.wherry([
        "attest",
        "--sbom",
        "--sign-key",
        "team.key",
        "team/show:1.0",
    ])
    .expect(0);
    let name = format!("{}/team/show:1.0", registry.host);
    home.wherry(["push", "team/show:1.0", &name]).expect(0);
    let local = ["--allow-http-registry", "--insecure-ignore-tlog"];
    let Some(mut verify) = cosign(&home, &["verify", "--key", "team.pub"]) else {
        return;
    };
    verify.args(local).arg(&name);
    Done::of(verify).expect(0);
    let attestation = [
        "verify-attestation",
        "--type",
        "cyclonedx",
        "--key",
        "team.pub",
    ];
    let mut verify = cosign(&home, &attestation).expect("it was there");
    verify.args(local).arg(&name);
    Done::of(verify).expect(0);
    home.wherry(["key", "pair", "other"]).expect(0);
    let mut verify = cosign(&home, &["verify", "--key", "other.pub"]).expect("it was there");
    verify.args(local).arg(&name);
    assert_ne!(Done::of(verify).code, Some(0));
}

#[test]
fn what_cosign_signs_runs_here() {
    let Some(registry) = RegistryServer::plain() else {
        return;
    };
    let Setting { home, .. } = Setting::new();
    let name = format!("{}/team/show:1.0", registry.host);
    home.wherry(["push", "team/show:1.0", &name]).expect(0);
    let Some(generate) = cosign(&home, &["generate-key-pair"]) else {
        return;
    };
    Done::of(generate).expect(0);
    home.write("offline.json", OFFLINE);
    let here = ["--key", "cosign.key", "--yes", "--allow-http-registry"];
    let new = ["sign", "--signing-config", "offline.json"];
    let old = [
        "sign",
        "--use-signing-config=false",
        "--new-bundle-format=false",
        "--tlog-upload=false",
    ];
    for (form, sign) in [("cosign-tag", &old[..]), ("sigstore-bundle", &new[..])] {
        let mut sign = cosign(&home, sign).expect("it was there");
        sign.args(here).arg(&name);
        Done::of(sign).expect(0);
        let there = Home::new();
        there.write(
            "cosign.pub",
            fs::read(home.file("cosign.pub")).expect("a key"),
        );
        there.wherry(["pull", &name]).expect(0);
        let found = verify(&there, "cosign.pub", &name, 0);
        let found = found["found"].as_array().expect("a list");
        assert!(
            found
                .iter()
                .any(|one| one["form"] == form && one["verified"] == true),
            "{found:?}"
        );
        there
            .wherry(["run", "--signed-by", "cosign.pub", &name])
            .expect(0);
    }
    // Its encrypted key signs here, and a key made here signs there.
    let mut sign = home.command_with(
        "COSIGN_PASSWORD",
        "pw",
        ["sign", "--sign-key", "cosign.key", "team/show:1.0"],
    );
    Done::of(&mut sign).expect(0);
    verify(&home, "cosign.pub", "team/show:1.0", 0);
    let mut sign = cosign(&home, &new).expect("it was there");
    sign.env("COSIGN_PASSWORD", "")
        .args(here)
        .args(["--key", "team.key"])
        .arg(&name);
    Done::of(sign).expect(0);
    let there = Home::new();
    there.write("team.pub", fs::read(home.file("team.pub")).expect("a key"));
    there.wherry(["pull", &name]).expect(0);
    there
        .wherry(["run", "--signed-by", "team.pub", &name])
        .expect(0);
}

/// The store on the disk is a layout that others read, and their archives are read here.
#[test]
fn skopeo_and_oras_read_the_store() {
    let Setting { home, digest } = Setting::signed();
    let store = home.directory().join("store");
    let store = store.to_str().expect("a name");
    if let Some(mut skopeo) = tool("skopeo", "--version") {
        let archive = home.file("by-skopeo.tar");
        let to = format!("oci-archive:{}:team/show:2.0", archive.display());
        skopeo.args(["--insecure-policy", "copy", "--preserve-digests"]);
        skopeo.arg(format!("oci:{store}:team/show:1.0")).arg(to);
        Done::of(skopeo).expect(0);
        let there = Home::new();
        let imported = there.wherry([
            "store",
            "import",
            "--json",
            archive.to_str().expect("a name"),
        ]);
        let imported = json_of(&imported.expect(0));
        assert_eq!(imported[0]["digest"], digest);
        there.wherry(["run", "team/show:2.0"]).expect(0);
    }
    if let Some(mut oras) = tool("oras", "version") {
        oras.args(["discover", "--oci-layout", "--format", "json"]);
        oras.arg(format!("{store}@{digest}"));
        let found = Done::of(oras).expect(0).text();
        let kind = "application/vnd.dev.sigstore.bundle.v0.3+json";
        assert!(found.contains(kind), "{found}");
    }
}
