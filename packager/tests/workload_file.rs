//! `workload.toml`: what is read, and where an error is said to be.

use std::time::Duration;

use proptest::prelude::*;
use wherry_packager::{GpuDemand, Mount, WorkloadFile, WorkloadFileError};

const FULL: &str = r#"
name = "team/nbody"
version = "1.0"
module = "build/nbody.wasm"
args = ["--steps", "1000"]
description = "Planets"
licenses = "Apache-2.0"
source = "https://example.org/nbody"

[env]
VERBOSE = "1"

[[mounts]]
guest = "/data"
read_only = true
required = true

[[mounts]]
guest = "/out"

[scratch]
guest = "/work"

[limits]
memory = "256 MiB"
cpu_time = "10m"
wall_time = "1h 30m"
"#;

#[test]
fn every_field() {
    let file = WorkloadFile::parse(FULL).unwrap();
    assert_eq!(
        (file.name.as_str(), file.version.as_str()),
        ("team/nbody", "1.0")
    );
    assert_eq!(file.module.to_str(), Some("build/nbody.wasm"));
    assert_eq!(file.description.as_deref(), Some("Planets"));
    assert_eq!(file.config.name.as_deref(), Some("team/nbody"));
    assert_eq!(file.config.args, ["--steps", "1000"]);
    assert_eq!(file.config.env["VERBOSE"], "1");
    assert_eq!(
        file.config.mounts,
        [
            Mount {
                guest: "/data".into(),
                read_only: true,
                required: true
            },
            Mount {
                guest: "/out".into(),
                read_only: false,
                required: false
            },
        ]
    );
    assert_eq!(file.config.scratch, "/work");
    assert_eq!(file.config.limits.memory, Some(256 << 20));
    assert_eq!(file.config.limits.cpu_time, Some(Duration::from_secs(600)));
    assert_eq!(
        file.config.limits.wall_time,
        Some(Duration::from_secs(5400))
    );
}

#[test]
fn the_least() {
    let file = WorkloadFile::parse("name='a'\nversion='1'\nmodule='a.wasm'").unwrap();
    assert_eq!(file.config.scratch, "/");
    assert!(file.config.args.is_empty() && file.config.limits.memory.is_none());
}

/// `[gpu]` alone says that one is used; a file without it says nothing.
#[test]
fn a_gpu_is_declared() {
    let with = |table: &str| WorkloadFile::parse(&format!("{FULL}\n{table}"));
    assert_eq!(with("").unwrap().config.gpu, None);
    let plain = with("[gpu]").unwrap().config.gpu.unwrap();
    assert_eq!(plain, GpuDemand::default());
    let table = "[gpu]\noptional = true\nfeatures = [\"shader-f16\"]\nlimits = { max_buffer_size = 1073741824 }";
    let all = with(table).unwrap().config.gpu.unwrap();
    assert!(all.optional && all.features.contains("shader-f16"));
    assert_eq!(all.limits["max_buffer_size"], 1 << 30);
    for (table, parts) in [
        (
            "[gpu]\nfeatures = [\"antigravity\"]",
            ["gpu.features", "`antigravity`"],
        ),
        (
            "[gpu.limits]\nmax_speed = 3",
            ["line 30, column 13", "`max_speed`"],
        ),
        (
            "[gpu.limits]\nmax_bind_groups = 4294967296",
            ["gpu.limits.max_bind_groups", "4294967296"],
        ),
        ("[gpu]\nname = \"llvmpipe\"", ["line 30", "`name`"]),
    ] {
        let refused = with(table).unwrap_err().to_string();
        for part in parts {
            assert!(refused.contains(part), "`{refused}` does not say `{part}`");
        }
    }
    let deterministic = format!("deterministic = true\n{FULL}\n[gpu]");
    let refused = WorkloadFile::parse(&deterministic).unwrap_err().to_string();
    assert!(refused.contains("deterministic"), "{refused}");
}

/// The error for [`FULL`] with `from` replaced by `to`.
fn error(from: &str, to: &str) -> String {
    assert!(FULL.contains(from), "{from}");
    WorkloadFile::parse(&FULL.replacen(from, to, 1))
        .expect_err(to)
        .to_string()
}

#[track_caller]
fn refused(from: &str, to: &str, parts: &[&str]) {
    let message = error(from, to);
    for part in parts {
        assert!(message.contains(part), "`{message}` does not say `{part}`");
    }
}

#[test]
fn errors_name_field_line_and_column() {
    refused(
        "name = \"team/nbody\"",
        "name = \"Team\"",
        &["line 2, column 8", "name:", "`Team`"],
    );
    refused(
        "version = \"1.0\"",
        "version = \"1 0\"",
        &["line 3, column 11", "`1 0`"],
    );
    refused(
        "\"build/nbody.wasm\"",
        "\"\"",
        &["line 4, column 10", "module: is empty"],
    );
    refused(
        "\"1000\"",
        "\"10\\u000000\"",
        &["line 5, column 20", "args[1]", "NUL"],
    );
    refused(
        "VERBOSE = ",
        "\"A=B\" = ",
        &["line 11, column 9", "env.A=B"],
    );
    refused(
        "\"/out\"",
        "\"out\"",
        &["line 19, column 9", "mounts[1].guest", "`out`"],
    );
    refused(
        "\"/out\"",
        "\"/data\"",
        &["mounts[1].guest", "another mount"],
    );
    refused("\"/out\"", "\"/work\"", &["mounts[1].guest"]);
    refused("\"/work\"", "\"/a/../b\"", &["scratch"]);
    refused(
        "\"256 MiB\"",
        "\"256 mib\"",
        &["line 25, column 10", "`256 mib`", "KiB"],
    );
    refused("\"10m\"", "\"soon\"", &["line 26, column 12", "`soon`"]);
    refused("\"10m\"", "600", &["line 26, column 12", "string"]);
    refused(
        "read_only",
        "readonly",
        &["line 15, column 1", "`readonly`", "`read_only`"],
    );
    refused("[limits]", "[limit]", &["line 24", "`limit`", "`limits`"]);
    refused("name = \"team/nbody\"\n", "", &["missing field `name`"]);
    refused("args = [", "args = [1, ", &["line 5, column 9"]);
    refused("[env]", "[env", &["line 10"]);
}

#[test]
fn sizes_are_limited() {
    let many = |count: usize| vec!["'x'"; count].join(",");
    refused("\"--steps\"", &many(4097), &["args", "at most 4096"]);
    refused(
        "\"--steps\"",
        &format!("'{}'", "x".repeat((32 << 10) + 1)),
        &["args[0]", "at most 32768"],
    );
    refused(
        "\"--steps\"",
        &vec![format!("'{}'", "x".repeat(32 << 10)); 33].join(","),
        &["1 MiB in all"],
    );
    refused("team/nbody", &"x".repeat(256), &["name"]);
    refused(
        "Planets",
        &"x".repeat(5000),
        &["description", "at most 4096"],
    );
    let mounts: String = (0..64)
        .map(|n| format!("[[mounts]]\nguest = '/m{n}'\n"))
        .collect();
    refused(
        "[scratch]",
        &format!("{mounts}[scratch]"),
        &["mounts", "at most 64"],
    );
    let huge = format!("{FULL}\n#{}", "x".repeat(3 << 20));
    assert!(matches!(
        WorkloadFile::parse(&huge),
        Err(WorkloadFileError::TooLarge)
    ));
}

#[test]
fn a_missing_or_binary_file_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let message = WorkloadFile::load(directory.path())
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("workload.toml") && message.contains("No such file"),
        "{message}"
    );
    std::fs::write(directory.path().join("workload.toml"), b"name = '\xff'").unwrap();
    let message = WorkloadFile::load(directory.path())
        .unwrap_err()
        .to_string();
    assert!(message.contains("UTF-8"), "{message}");
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in ".{0,400}") {
        let _ = WorkloadFile::parse(&text);
    }

    #[test]
    fn a_damaged_file_is_read_or_refused(at in any::<prop::sample::Index>(), insert in ".{0,3}", cut in 0usize..30) {
        let start = at.index(FULL.len());
        let end = (start + cut).min(FULL.len());
        let _ = WorkloadFile::parse(&format!("{}{insert}{}", &FULL[..start], &FULL[end..]));
    }

    #[test]
    fn nesting_does_not_overflow_the_stack(depth in 1usize..20_000) {
        let text = format!("name = 'a'\nversion = '1'\nmodule = 'a'\nargs = {}{}", "[".repeat(depth), "]".repeat(depth));
        prop_assert!(WorkloadFile::parse(&text).is_err());
    }
}
