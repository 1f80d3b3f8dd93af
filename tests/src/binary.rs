//! The `wherry` binary under test.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use crate::repository;

static BINARY: LazyLock<PathBuf> =
    LazyLock::new(|| env::var_os("WHERRY").map_or_else(build, PathBuf::from));

/// The binary that `WHERRY` names, or else this repository's, built once.
///
/// # Panics
/// If it cannot be built.
#[must_use]
pub fn binary() -> &'static Path {
    &BINARY
}

static CACHE: LazyLock<PathBuf> = LazyLock::new(|| {
    let (_, target) = profile_and_target();
    let cache = target.join("tmp/e2e-cache");
    // What another version of the binary compiled proves nothing about this one.
    let _ = fs::remove_dir_all(&cache);
    fs::create_dir_all(&cache).expect("a directory");
    cache
});

/// A cache of compiled modules that all homes share: nearly every test would compile the same
/// ones.
pub(crate) fn shared_cache() -> &'static Path {
    &CACHE
}

/// Builds the binary in the profile and target directory that the tests were built in.
fn build() -> PathBuf {
    let (profile, target) = profile_and_target();
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--locked", "--package", "wherry-cli"]);
    cargo.arg("--target-dir").arg(&target);
    match profile.file_name().and_then(|name| name.to_str()) {
        Some("debug") => {}
        Some(name) => drop(cargo.args(["--profile", name])),
        None => panic!("{} is no profile's directory", profile.display()),
    }
    let status = cargo.current_dir(repository()).status().expect("cargo");
    assert!(status.success(), "wherry cannot be built");
    profile
        .join("wherry")
        .with_extension(env::consts::EXE_EXTENSION)
}

/// `target/PROFILE` and `target`, from where the test itself lies.
fn profile_and_target() -> (PathBuf, PathBuf) {
    let test = env::current_exe().expect("the test has a path");
    let mut above = test.ancestors().skip(2).map(Path::to_owned);
    let found = above.next().zip(above.next());
    found.expect("target/PROFILE/deps/test")
}
