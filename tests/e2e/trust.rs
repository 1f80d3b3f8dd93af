//! Signatures, attestations and who may run what.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use wherry_tests::{Done, Home, Workload, say_skipped};

use crate::registry_server::RegistryServer;

const DIFFERENT: i32 = 1;
const USAGE: i32 = 64;
const BAD_DATA: i32 = 65;
const CANNOT_CREATE: i32 = 73;
const NO_PERMISSION: i32 = 77;

/// A home with the program `show` packed as `team/show:1.0`, and a key pair `team`.
pub(crate) struct Setting {
    pub(crate) home: Home,
    pub(crate) digest: String,
}

impl Setting {
    pub(crate) fn new() -> Self {
        let home = Home::new();
        let digest = pack(&home, "show", "team/show");
        home.wherry(["key", "pair", "team"]).expect(0);
        Setting { home, digest }
    }

    pub(crate) fn signed() -> Self {
        let setting = Self::new();
        setting.sign("team/show:1.0").expect(0);
        setting
    }

    pub(crate) fn sign(&self, image: &str) -> Done {
        self.home.wherry(["sign", "--sign-key", "team.key", image])
    }
}

fn pack(home: &Home, program: &str, name: &str) -> String {
    home.write("project/module.wasm", wherry_tests::program(program));
    let file = format!("name = '{name}'\nversion = '1.0'\nmodule = 'module.wasm'\n");
    home.write("project/workload.toml", file);
    let packed = home.wherry(["pack", "--json", "project"]).expect(0);
    text(&json_of(&packed)["digest"])
}

pub(crate) fn json_of(done: &Done) -> Value {
    serde_json::from_str(&done.text()).expect("JSON")
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

pub(crate) fn verify(home: &Home, key: &str, image: &str, code: i32) -> Value {
    let done = home.wherry(["verify", "--json", "--signed-by", key, image]);
    json_of(&done.expect(code))
}

#[test]
fn what_is_signed_runs_and_nothing_else() {
    let Setting { home, digest } = Setting::new();
    let run = [
        "run",
        "--signed-by",
        "team.pub",
        "team/show:1.0",
        "argument",
    ];
    home.wherry(run)
        .expect_refusal(NO_PERMISSION, &["team/show:1.0", "no signature"]);
    let sign = ["sign", "--sign-key", "team.key", "team/show:1.0"];
    home.wherry(sign).expect(0);
    home.wherry(sign).expect(0);
    assert_eq!(home.wherry(run).expect(0).text(), "team/show\0argument\0");

    let found = verify(&home, "team.pub", "team/show:1.0", 0);
    assert_eq!(
        (&found["digest"], &found["signer"]),
        (&json!(digest), &json!("team.pub"))
    );
    let inspected = home.wherry(["inspect", "team/show:1.0"]).expect(0).text();
    assert!(inspected.contains("signature by the key"), "{inspected}");
    // It is no artifact by itself, and goes with what it is about.
    let images = home.wherry(["images", "--json"]).expect(0);
    assert_eq!(json_of(&images).as_array().map(Vec::len), Some(1));
    home.wherry(["rm", "team/show:1.0"]).expect(0);
    assert_eq!(
        fs::read_dir(home.directory().join("store/blobs/sha256"))
            .expect("there")
            .count(),
        0
    );
}

#[test]
fn another_key_and_no_key() {
    let Setting { home, .. } = Setting::signed();
    home.wherry(["key", "pair", "--ed25519", "other"]).expect(0);
    let found = verify(&home, "other.pub", "team/show:1.0", DIFFERENT);
    assert_eq!(found["signed"], false);
    assert!(text(&found["found"][0]["reason"]).contains("not made by a trusted key"));
    let run = ["run", "--signed-by", "other.pub", "team/show:1.0"];
    home.wherry(run)
        .expect_refusal(NO_PERMISSION, &["not made by a trusted key"]);
    // Several may sign; each counts.
    home.wherry(["sign", "--sign-key", "other.key", "team/show:1.0"])
        .expect(0);
    verify(&home, "other.pub", "team/show:1.0", 0);
    verify(&home, "team.pub", "team/show:1.0", 0);
    home.wherry(["verify", "team/show:1.0"])
        .expect_refusal(USAGE, &["--signed-by"]);
    home.wherry(["sign", "team/show:1.0"])
        .expect_refusal(USAGE, &["--sign-key"]);
    let module = home.program("show");
    home.command(["run", "--signed-by", "team.pub"]);
    let mut run = home.command(["run", "--signed-by", "team.pub"]);
    run.arg(&module);
    Done::of(run).expect_refusal(NO_PERMISSION, &["module in a file"]);
}

/// Files of the store, as an attacker who can write to the registry would have them made.
struct Forgery<'a>(&'a Home);

impl Forgery<'_> {
    fn store(&self) -> PathBuf {
        self.0.directory().join("store")
    }

    fn put(&self, bytes: &[u8]) -> (String, usize) {
        let hex: String = Sha256::digest(bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        fs::write(self.store().join("blobs/sha256").join(&hex), bytes).expect("written");
        (format!("sha256:{hex}"), bytes.len())
    }

    fn blob(&self, digest: &str) -> Vec<u8> {
        let hex = digest.strip_prefix("sha256:").expect("a digest");
        fs::read(self.store().join("blobs/sha256").join(hex)).expect("a blob")
    }

    /// Attaches `bundle` to the artifact `subject`.
    fn attach(&self, subject: &str, bundle: &[u8]) {
        let kind = "application/vnd.dev.sigstore.bundle.v0.3+json";
        let (config, _) = self.put(b"{}");
        let (layer, size) = self.put(bundle);
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "artifactType": kind,
            "config": { "mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2 },
            "layers": [{ "mediaType": kind, "digest": layer, "size": size }],
            "subject": {
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": subject,
                "size": self.blob(subject).len(),
            },
        });
        let manifest = serde_json::to_vec(&manifest).expect("JSON");
        let (digest, size) = self.put(&manifest);
        let path = self.store().join("index.json");
        let mut index: Value =
            serde_json::from_slice(&fs::read(&path).expect("an index")).expect("JSON");
        let entry = json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": digest,
            "size": size,
        });
        index["manifests"]
            .as_array_mut()
            .expect("a list")
            .push(entry);
        fs::write(path, serde_json::to_vec(&index).expect("JSON")).expect("written");
    }

    /// The bundle of the only signature of an artifact.
    fn bundle_of(&self, image: &str) -> Vec<u8> {
        let done = self.0.wherry(["inspect", "--json", image]).expect(0);
        let manifest = text(&json_of(&done)["attachments"][0]["manifest"]);
        let manifest: Value = serde_json::from_slice(&self.blob(&manifest)).expect("JSON");
        self.blob(&text(&manifest["layers"][0]["digest"]))
    }
}

#[test]
fn a_signature_that_is_replayed_or_malformed() {
    let Setting { home, .. } = Setting::signed();
    let other = pack(&home, "count", "team/other");
    let forgery = Forgery(&home);
    let bundle = forgery.bundle_of("team/show:1.0");
    let refused = |reason: &str| {
        let found = verify(&home, "team.pub", "team/other:1.0", DIFFERENT);
        let found = found["found"].as_array().expect("a list").clone();
        let reasons: Vec<_> = found.iter().map(|one| text(&one["reason"])).collect();
        assert!(
            reasons.iter().any(|one| one.contains(reason)),
            "{reason}: {reasons:?}"
        );
        home.wherry(["run", "--signed-by", "team.pub", "team/other:1.0"])
            .expect_refusal(NO_PERMISSION, &["team/other:1.0"]);
    };
    forgery.attach(&other, &bundle);
    refused("signed something else");
    let changed =
        String::from_utf8(bundle)
            .expect("text")
            .replacen("\"sig\":\"", "\"sig\":\"AAAA", 1);
    forgery.attach(&other, changed.as_bytes());
    refused("was changed, or forged");
    forgery.attach(&other, b"{}");
    refused("not a Sigstore bundle");
    forgery.attach(&other, &vec![b' '; (4 << 20) + 1]);
    refused("more than the");
    // None of them stands in the way of a real one.
    home.wherry(["sign", "--sign-key", "team.key", "team/other:1.0"])
        .expect(0);
    verify(&home, "team.pub", "team/other:1.0", 0);
}

#[test]
fn keys_in_files() {
    let home = Home::new();
    home.wherry(["key", "pair", "team"]).expect(0);
    home.wherry(["key", "pair", "team"])
        .expect_refusal(CANNOT_CREATE, &["team.key"]);
    let public = fs::read_to_string(home.file("team.pub")).expect("a key");
    for file in ["team.key", "team.pub"] {
        assert_eq!(home.wherry(["key", "show", file]).expect(0).text(), public);
    }
    let secret = ["key", "pair", "--password-file", "password", "secret"];
    home.write("password", "correct horse\n");
    home.wherry(secret).expect(0);
    home.wherry(["key", "show", "secret.key"])
        .expect_refusal(NO_PERMISSION, &["password", "secret.key"]);
    let shown = home.command_with(
        "WHERRY_KEY_PASSWORD",
        "correct horse",
        ["key", "show", "secret.key"],
    );
    Done::of(shown).expect(0);
    open_to_all(&home.file("team.key"));
    home.wherry(["key", "show", "team.key"])
        .expect_refusal(NO_PERMISSION, &["team.key", "chmod"]);
    home.write(
        "nonsense",
        "-----BEGIN NONSENSE-----\nAAAA\n-----END NONSENSE-----\n",
    );
    home.wherry(["verify", "--signed-by", "nonsense", "a:1"])
        .expect_refusal(BAD_DATA, &["nonsense", "NONSENSE"]);
    home.wherry(["verify", "--signed-by", "team.key", "a:1"])
        .expect_refusal(BAD_DATA, &["private key", "public"]);
}

fn open_to_all(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).expect("changed");
}

#[test]
fn a_key_of_openssl_is_taken_over() {
    let home = Home::new();
    for arguments in [
        "-algorithm EC -pkeyopt ec_paramgen_curve:P-256",
        "-algorithm ed25519",
    ] {
        let name = format!("key{}", arguments.len());
        let pem = home.file(&format!("{name}.pem"));
        let mut openssl = Command::new("openssl");
        openssl
            .arg("genpkey")
            .args(arguments.split(' '))
            .arg("-out")
            .arg(&pem);
        let Ok(status) = openssl.stderr(Stdio::null()).status() else {
            say_skipped("openssl is not installed");
            return;
        };
        assert!(status.success());
        let mut openssl = Command::new("openssl");
        let public = openssl
            .arg("pkey")
            .arg("-in")
            .arg(&pem)
            .arg("-pubout")
            .output();
        let public = String::from_utf8(public.expect("it starts").stdout).expect("text");
        let pem = pem.to_str().expect("a name");
        home.wherry(["key", "import", pem, &name]).expect(0);
        let shown = home
            .wherry(["key", "show", &format!("{name}.key")])
            .expect(0);
        assert_eq!(shown.text(), public);
    }
}

#[test]
fn signatures_and_attestations_travel_with_the_artifact() {
    let Some(registry) = RegistryServer::plain() else {
        return;
    };
    let Setting { home: here, .. } = Setting::signed();
    let attest = [
        "attest",
        "--sbom",
        "--sign-key",
        "team.key",
        "team/show:1.0",
    ];
    here.wherry(attest).expect(0);
    let name = format!("{}/team/show:1.0", registry.host);
    let pushed = here
        .wherry(["push", "--json", "team/show:1.0", &name])
        .expect(0);
    assert_eq!(json_of(&pushed)["attachments"], 2);
    let there = Home::new();
    let public = fs::read(here.file("team.pub")).expect("a key");
    there.write("team.pub", public);
    let pulled = there.wherry(["pull", "--json", &name]).expect(0);
    assert_eq!(json_of(&pulled)["attachments"], 2);
    let found = verify(&there, "team.pub", &name, 0);
    assert_eq!(found["found"].as_array().map(Vec::len), Some(2));
    there
        .wherry(["run", "--signed-by", "team.pub", &name])
        .expect(0);
    assert_eq!(problems(&there), 0);

    // The same without a registry.
    let elsewhere = Home::new();
    elsewhere.write("team.pub", fs::read(here.file("team.pub")).expect("a key"));
    let archive = elsewhere.file("show.tar");
    let archive = archive.to_str().expect("a name");
    there
        .wherry(["store", "export", &name, "--output", archive])
        .expect(0);
    elsewhere.wherry(["store", "import", archive]).expect(0);
    verify(&elsewhere, "team.pub", &name, 0);
    elsewhere
        .wherry(["run", "--signed-by", "team.pub", &name])
        .expect(0);
}

fn problems(home: &Home) -> usize {
    let done = home.wherry(["store", "verify", "--json"]).expect(0);
    json_of(&done)["problems"].as_array().map_or(0, Vec::len)
}

#[test]
fn what_an_artifact_consists_of_and_comes_from() {
    let Setting { home, digest } = Setting::new();
    let print = |arguments: &[&str]| {
        let done = home.wherry(["attest", "--dry-run"].iter().chain(arguments));
        json_of(&done.expect(0))
    };
    let sbom = print(&["--sbom", "team/show:1.0"]);
    assert_eq!(sbom["metadata"]["component"]["name"], "team/show");
    assert_eq!(sbom["compositions"][0]["aggregate"], "unknown");
    let builder = "https://ci.example/job/7";
    let commit = "git+https://example.org/show@sha1:0123456789abcdef0123456789abcdef01234567";
    let arguments = [
        "--provenance",
        "--builder",
        builder,
        "--source",
        commit,
        &digest,
    ];
    let provenance = print(&arguments);
    let runs = &provenance["runDetails"]["builder"]["id"];
    assert_eq!(runs, builder);
    let from = &provenance["buildDefinition"]["resolvedDependencies"];
    assert_eq!(from[1]["uri"], "git+https://example.org/show");
    assert_eq!(
        from[1]["digest"]["sha1"],
        commit.rsplit_once(':').expect("a digest").1
    );

    let attest = ["attest", "--sign-key", "team.key"];
    home.wherry(attest.iter().chain(&arguments)).expect(0);
    home.write("scan.json", r#"{"found":[]}"#);
    let scan = [
        "--predicate",
        "scan.json",
        "--type",
        "https://example.org/scan/v1",
        &digest,
    ];
    home.wherry(attest.iter().chain(&scan)).expect(0);
    // An attestation is no permission.
    let found = verify(&home, "team.pub", &digest, DIFFERENT);
    let kinds: Vec<_> = found["found"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| {
            assert_eq!(one["verified"], true);
            text(&one["kind"])
        })
        .collect();
    assert_eq!(kinds, ["provenance", "https://example.org/scan/v1"]);
    home.wherry(["attest", "--sbom", "--provenance", &digest])
        .expect(USAGE);
    home.write("scan.json", "{");
    home.wherry(attest.iter().chain(&scan))
        .expect_refusal(BAD_DATA, &["scan.json", "JSON"]);
}

#[test]
fn go_leaves_its_build_in_the_module() {
    let Some(module) = Workload::Built("jsonsum").module() else {
        return;
    };
    let home = Home::new();
    home.write("project/module.wasm", fs::read(module).expect("a module"));
    let file = "name = 'jsonsum'\nversion = '1.0'\nmodule = 'module.wasm'\n";
    home.write("project/workload.toml", file);
    home.wherry(["pack", "project"]).expect(0);
    let sbom = home
        .wherry(["attest", "--dry-run", "--sbom", "jsonsum:1.0"])
        .expect(0);
    let sbom = json_of(&sbom);
    assert_eq!(sbom["compositions"][0]["aggregate"], "incomplete");
    let tools = sbom["metadata"]["tools"]["components"]
        .as_array()
        .expect("a list");
    assert!(tools.iter().any(|tool| tool["name"] == "Go"), "{tools:?}");
}

#[test]
fn damage_is_named_and_repaired() {
    let Setting { home, .. } = Setting::signed();
    assert_eq!(problems(&home), 0);
    let blobs = home.directory().join("store/blobs/sha256");
    let module = Sha256::digest(wherry_tests::program("show"));
    let name: String = module.iter().map(|byte| format!("{byte:02x}")).collect();
    let module = blobs.join(&name);
    let mut bytes = fs::read(&module).expect("a blob");
    bytes[20] ^= 4;
    fs::write(&module, bytes).expect("written");
    let done = home.wherry(["store", "verify"]);
    assert!(done.text().contains(&name), "{}", done.text());
    done.expect_refusal(BAD_DATA, &["wrong with the store", "--repair"]);
    home.wherry(["store", "verify", "--repair"])
        .expect(BAD_DATA);
    home.wherry(["pack", "project"]).expect(0);
    assert_eq!(problems(&home), 0);

    home.wherry(["store", "quota", "1kB"]).expect(0);
    let quota = home.wherry(["store", "quota", "--json"]).expect(0);
    assert_eq!(json_of(&quota)["limit"], 1000);
    home.write("project/module.wasm", wherry_tests::program("count"));
    home.wherry(["pack", "project"])
        .expect_refusal(74, &["1000 bytes", "wherry gc"]);
    home.wherry(["store", "quota", "none"]).expect(0);
    home.wherry(["pack", "project"]).expect(0);
}
