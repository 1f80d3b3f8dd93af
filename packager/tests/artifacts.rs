//! The two forms of an artifact, byte for byte, and the forms of other tools.
//!
//! The golden files are what packing must give, for ever: a digest is a workload's identity.
//! `WHERRY_BLESS=1 cargo test -p wherry-packager --test artifacts` writes them anew.

use std::env;
use std::fs;
use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};
use wherry_packager::{
    ArtifactError, Digest, Document, Packed, Reference, Store, StoreError, WorkloadConfig,
    media_type, pack, pack_module,
};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");

fn module() -> Vec<u8> {
    wat::parse_str(r#"(module (memory (export "memory") 1) (func (export "_start")))"#)
        .expect("valid text")
}

fn project(directory: &Path) {
    fs::copy(
        format!("{GOLDEN}/workload.toml"),
        directory.join("workload.toml"),
    )
    .expect("golden file");
    fs::write(directory.join("nbody.wasm"), module()).expect("written");
}

fn store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(directory.path().join("store")).expect("a new store");
    (directory, store)
}

fn blob(store: &Store, digest: &Digest) -> Vec<u8> {
    fs::read(store.directory().join("blobs/sha256").join(digest.hex())).expect("the blob")
}

/// Compares bytes with a golden file, exactly.
#[track_caller]
fn golden(name: &str, bytes: &[u8]) {
    let path = format!("{GOLDEN}/{name}");
    if env::var_os("WHERRY_BLESS").is_some() {
        fs::write(&path, bytes).expect("written");
    }
    let expected = fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    assert_eq!(
        String::from_utf8_lossy(bytes),
        String::from_utf8_lossy(&expected),
        "{name}"
    );
}

#[track_caller]
fn golden_artifact(form: &str, store: &Store, packed: &Packed) {
    let manifest = blob(store, &packed.digest);
    golden(&format!("{form}.manifest.json"), &manifest);
    let manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
    let config: Digest = manifest["config"]["digest"]
        .as_str()
        .expect("a text")
        .parse()
        .expect("a digest");
    golden(&format!("{form}.config.json"), &blob(store, &config));
}

#[test]
fn a_bare_module_is_the_cncf_artifact() {
    let (_directory, store) = store();
    let packed = pack_module(&module(), None, &store).unwrap();
    golden_artifact("bare-module", &store, &packed);
    assert_eq!(packed.reference, None);
    let workload = store.workload(&packed.digest.short()).unwrap();
    assert_eq!(workload.module, module());
    assert_eq!(workload.config, WorkloadConfig::default());
}

#[test]
fn a_project_is_a_workload() {
    let (directory, store) = store();
    project(directory.path());
    let packed = pack(directory.path(), &store).unwrap();
    golden_artifact("workload", &store, &packed);
    assert_eq!(packed.reference.unwrap().to_string(), "team/nbody:1.0");
    let workload = store.workload("team/nbody:1.0").unwrap();
    assert_eq!(
        (workload.digest, workload.module),
        (packed.digest, module())
    );
    assert_eq!(workload.config.args, ["--steps", "1000"]);
    assert_eq!(workload.config.limits.memory, Some(256 << 20));
    assert_eq!(workload.config.limits.wall_time.unwrap().as_secs(), 3600);
}

/// What is declared of a GPU is in the config, under a digest of its own.
#[test]
fn a_project_with_a_gpu_says_so() {
    let (directory, store) = store();
    project(directory.path());
    let without = pack(directory.path(), &store).unwrap().digest;
    let file = directory.path().join("workload.toml");
    let mut text = std::fs::read_to_string(&file).unwrap();
    text.push_str("\n[gpu]\noptional = true\nfeatures = [\"subgroups\", \"shader-f16\"]\n");
    text.push_str("limits = { max_buffer_size = 1073741824 }\n");
    std::fs::write(&file, text).unwrap();
    let packed = pack(directory.path(), &store).unwrap();
    assert_ne!(packed.digest, without);
    golden_artifact("gpu-workload", &store, &packed);
    let gpu = store
        .workload("team/nbody:1.0")
        .unwrap()
        .config
        .gpu
        .unwrap();
    assert!(gpu.optional && gpu.features.len() == 2);
}

#[test]
fn the_same_inputs_give_the_same_digest_anywhere() {
    let digests = [(); 2].map(|()| {
        let (directory, store) = store();
        project(directory.path());
        pack(directory.path(), &store).unwrap().digest
    });
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn a_refused_project_leaves_the_store_as_it_was() {
    let (directory, store) = store();
    project(directory.path());
    fs::write(directory.path().join("nbody.wasm"), b"\0asm\x01\0\0\0").unwrap();
    let message = pack(directory.path(), &store).unwrap_err().to_string();
    assert!(
        message.contains("nbody.wasm") && message.contains("_start"),
        "{message}"
    );
    fs::remove_file(directory.path().join("nbody.wasm")).unwrap();
    assert!(
        pack(directory.path(), &store)
            .unwrap_err()
            .to_string()
            .contains("nbody.wasm")
    );
    assert_eq!(store.images().unwrap(), []);
}

/// Puts a manifest of another tool into a store, with one layer per media type.
fn foreign(store: &Store, manifest_type: &str, config_type: &str, layer_types: &[&str]) -> Digest {
    let wasm = module();
    let config = b"{}".to_vec();
    let layers: Vec<_> = layer_types
        .iter()
        .map(|layer| descriptor(layer, &wasm))
        .collect();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": manifest_type,
        "config": descriptor(config_type, &config),
        "layers": layers,
    });
    add(store, &[(config_type, config), (media_type::WASM, wasm)]);
    add_root(store, manifest_type, &manifest)
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": Digest::of(bytes).to_string(), "size": bytes.len() })
}

fn add(store: &Store, blobs: &[(&str, Vec<u8>)]) {
    let ingest = store.ingest().expect("a lock");
    for (media_type, bytes) in blobs {
        ingest
            .put(&wherry_packager::Descriptor::of(media_type, bytes), bytes)
            .expect("written");
    }
}

fn add_root(store: &Store, media_type: &str, document: &Value) -> Digest {
    let bytes = serde_json::to_vec(document).expect("JSON");
    let descriptor = wherry_packager::Descriptor::of(media_type, &bytes);
    add(store, &[(media_type, bytes)]);
    let name: Reference = "foreign:1".parse().expect("a reference");
    store
        .ingest()
        .expect("a lock")
        .commit(&descriptor, Some(&name))
        .expect("written");
    descriptor.digest
}

#[test]
fn artifacts_of_other_tools_are_run() {
    for (manifest, config, layer) in [
        (
            media_type::MANIFEST,
            media_type::WASM_CONFIG,
            media_type::WASM,
        ),
        (
            media_type::MANIFEST,
            "application/vnd.wasm.config.v1+json",
            "application/vnd.wasm.content.layer.v1+wasm",
        ),
        (
            media_type::MANIFEST,
            "application/vnd.oci.empty.v1+json",
            "application/vnd.module.wasm.content.layer.v1+wasm",
        ),
        (
            media_type::DOCKER_MANIFEST,
            "application/vnd.docker.container.image.v1+json",
            media_type::WASM,
        ),
    ] {
        let (_directory, store) = store();
        let digest = foreign(&store, manifest, config, &[layer]);
        let workload = store
            .workload("foreign:1")
            .unwrap_or_else(|error| panic!("{layer}: {error}"));
        assert_eq!((workload.digest, workload.module), (digest, module()));
    }
}

#[test]
fn spin_s_assets_beside_the_module_do_no_harm() {
    let (_directory, store) = store();
    let layers = [
        "application/vnd.wasm.content.layer.v1+wasm",
        "application/vnd.wasm.content.layer.v1+data",
    ];
    foreign(
        &store,
        media_type::MANIFEST,
        "application/vnd.fermyon.spin.application.v1+config",
        &layers,
    );
    assert_eq!(store.workload("foreign:1").unwrap().module, module());
}

#[track_caller]
fn refused(store: &Store, part: &str) {
    let message = store
        .workload("foreign:1")
        .expect_err("refused")
        .to_string();
    assert!(message.contains(part), "`{message}` does not say `{part}`");
}

#[test]
fn what_cannot_be_run_is_refused_by_name() {
    let (_directory, store) = store();
    let tar = "application/vnd.oci.image.layer.v1.tar+gzip";
    foreign(
        &store,
        media_type::MANIFEST,
        "application/vnd.oci.image.config.v1+json",
        &[tar],
    );
    refused(&store, tar);
    foreign(&store, media_type::MANIFEST, media_type::WASM_CONFIG, &[]);
    refused(&store, "no layers");
    foreign(
        &store,
        media_type::MANIFEST,
        media_type::WASM_CONFIG,
        &[media_type::WASM, media_type::WASM],
    );
    refused(&store, "2 WebAssembly modules");
    foreign(
        &store,
        media_type::MANIFEST,
        media_type::WORKLOAD_CONFIG,
        &[media_type::WASM, tar],
    );
    refused(&store, "io.wherry.data.guest");
    foreign(
        &store,
        media_type::MANIFEST,
        media_type::WORKLOAD_CONFIG,
        &[media_type::WASM],
    );
    refused(&store, "format none");
}

#[test]
fn of_an_index_the_part_for_wasm_is_run() {
    let (_directory, store) = store();
    let wanted = foreign(
        &store,
        media_type::MANIFEST,
        media_type::WASM_CONFIG,
        &[media_type::WASM],
    );
    let entry = |os: &str, architecture: &str, digest: &str| {
        json!({
            "mediaType": media_type::MANIFEST, "digest": digest, "size": 1,
            "platform": { "os": os, "architecture": architecture },
        })
    };
    let other = Digest::of(b"other").to_string();
    let index = |entries: Value| json!({ "schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": entries });
    for os in ["wasip1", "wasi"] {
        let entries = json!([
            entry("linux", "amd64", &other),
            entry(os, "wasm", &wanted.to_string())
        ]);
        add_root(&store, media_type::INDEX, &index(entries));
        assert_eq!(store.workload("foreign:1").unwrap().digest, wanted);
    }
    add_root(
        &store,
        media_type::INDEX,
        &index(json!([
            entry("linux", "amd64", &other),
            entry("wasip2", "wasm", &other)
        ])),
    );
    refused(&store, "linux/amd64, wasip2/wasm");
    add_root(
        &store,
        media_type::INDEX,
        &index(json!([
            entry("wasi", "wasm", &other),
            entry("wasi", "wasm", &other)
        ])),
    );
    refused(&store, "2 WebAssembly modules");
}

#[test]
fn hostile_manifests_are_refused() {
    let good = fs::read(format!("{GOLDEN}/workload.manifest.json")).unwrap();
    let good: Value = serde_json::from_slice(&good).unwrap();
    let with = |key: &str, value: Value| {
        let mut bad = good.clone();
        bad[key] = value;
        Document::parse(&serde_json::to_vec(&bad).unwrap())
    };
    assert!(with("annotations", json!({})).is_ok());
    assert!(
        with("manifests", json!([]))
            .unwrap_err()
            .to_string()
            .contains("at once")
    );
    assert!(
        with("schemaVersion", json!(1))
            .unwrap_err()
            .to_string()
            .contains("schema version is 1")
    );
    assert!(with("mediaType", json!(media_type::INDEX)).is_err());
    assert!(with("layers", json!("x")).is_err());
    let layer = |digest: &str| json!([{ "mediaType": "a/b", "size": 1, "digest": digest }]);
    assert!(with("layers", layer("sha256:../../../etc/passwd")).is_err());
    let sha512 = format!("sha512:{}", "0".repeat(128));
    assert!(matches!(
        with("layers", layer(&sha512)),
        Err(ArtifactError::Digest(_))
    ));
    let many = vec![layer(&Digest::of(b"").to_string())[0].clone(); 5000];
    assert!(
        with("layers", many.into())
            .unwrap_err()
            .to_string()
            .contains("at most 4096")
    );
    let huge = with("annotations", json!({ "a": "x".repeat(5 << 20) })).unwrap_err();
    assert!(matches!(huge, ArtifactError::TooLarge { .. }), "{huge}");
    let module_too_large = json!([{ "mediaType": media_type::WASM, "size": u64::MAX, "digest": Digest::of(b"").to_string() }]);
    assert!(matches!(
        with("layers", module_too_large).unwrap().runnable(),
        Err(ArtifactError::TooLarge { .. })
    ));
    assert!(Document::parse(&b"[".repeat(100_000)).is_err());
}

#[test]
fn a_config_of_another_format_is_refused() {
    let parse = |text: &str| WorkloadConfig::parse(text.as_bytes());
    assert!(parse(r#"{"format":1}"#).is_ok());
    for (text, part) in [
        (r#"{"format":2}"#, "format 2"),
        ("{}", "format none"),
        (r#"{"format":1,"extra":1}"#, "extra"),
        (r#"{"format":1,"scratch":"x"}"#, "scratch"),
        (r#"{"format":1,"args":["\u0000"]}"#, "args[0]"),
        (r#"{"format":1,"limits":{"memoryBytes":0}}"#, "limits"),
        (r#"{"format":1,"limits":{"memoryBytes":-1}}"#, "-1"),
        ("[1]", "not valid"),
    ] {
        let message = parse(text).expect_err(text).to_string();
        assert!(message.contains(part), "`{message}` does not say `{part}`");
    }
}

#[test]
fn a_missing_layer_is_named() {
    let (_directory, store) = store();
    let packed = pack_module(&module(), None, &store).unwrap();
    let layer = Digest::of(&module());
    fs::remove_file(store.directory().join("blobs/sha256").join(layer.hex())).unwrap();
    let error = store.workload(&packed.digest.to_string()).unwrap_err();
    assert!(
        matches!(error, StoreError::MissingBlob { digest } if digest == layer),
        "{error}"
    );
}

proptest! {
    #[test]
    fn any_text_is_no_document(text in ".{0,200}") {
        prop_assert!(Document::parse(text.as_bytes()).is_err());
        prop_assert!(WorkloadConfig::parse(text.as_bytes()).is_err());
    }

    #[test]
    fn damaged_documents_are_read_or_refused(at in any::<prop::sample::Index>(), byte: u8, cut in 0usize..40) {
        for name in ["workload.manifest.json", "bare-module.manifest.json", "workload.config.json"] {
            let mut bytes = fs::read(format!("{GOLDEN}/{name}")).unwrap();
            let start = at.index(bytes.len());
            let end = (start + cut).min(bytes.len());
            bytes.splice(start..end, [byte]);
            if let Ok(document) = Document::parse(&bytes) {
                let _ = (document.runnable(), document.entry_for_wasm(), document.artifact_type());
            }
            let _ = WorkloadConfig::parse(&bytes);
        }
    }
}
