//! A workload is packed here, pushed, pulled there and run, through a real registry.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;
use wherry_tests::{Done, Home, skip};

use crate::registry_server::{PASSWORD, RegistryServer, USER};

const NO_PERMISSION: i32 = 77;

/// Packs the program `show` as `team/show:1.0`, and returns its digest.
fn pack(home: &Home) -> String {
    home.write("project/show.wasm", wherry_tests::program("show"));
    let file = "name = 'team/show'\nversion = '1.0'\nmodule = 'show.wasm'\nargs = ['packed']\n";
    let file = home.write("project/workload.toml", file);
    let project = file.parent().expect("a directory").to_owned();
    let packed = home.wherry(["pack", "--json", project.to_str().expect("a name")]);
    let packed: Value = serde_json::from_str(&packed.expect(0).text()).expect("JSON");
    packed["digest"].as_str().expect("a digest").to_owned()
}

/// The digest of the only image in a home.
fn only_image(home: &Home) -> String {
    let images = home.wherry(["images", "--json"]).expect(0).text();
    let images: Value = serde_json::from_str(&images).expect("JSON");
    assert_eq!(images.as_array().map(Vec::len), Some(1), "{images}");
    images[0]["digest"].as_str().expect("a digest").to_owned()
}

#[test]
fn what_is_pushed_here_runs_there() {
    let Some(registry) = RegistryServer::plain() else {
        return;
    };
    let (here, there) = (Home::new(), Home::new());
    let digest = pack(&here);
    let name = format!("{}/team/show:1.0", registry.host);
    here.wherry(["push", "team/show:1.0", &name]).expect(0);
    there.wherry(["pull", &name]).expect(0);
    assert_eq!(only_image(&there), digest);
    let done = there.wherry(["run", "--env=K=V", &name, "more"]).expect(0);
    assert_eq!(done.text(), "team/show\0more\0K=V\0");
}

#[test]
fn a_guarded_registry_wants_a_login_and_its_authority() {
    let Some(registry) = RegistryServer::guarded() else {
        return;
    };
    let (here, there) = (Home::new(), Home::new());
    pack(&here);
    let name = format!("{}/team/show:1.0", registry.host);
    let ca = registry.ca_file();
    let ca = ["--ca-file", ca.to_str().expect("a name")];
    let push = ["push", "team/show:1.0", &name];

    here.wherry(push)
        .expect_refusal(NO_PERMISSION, &["certificate", &registry.host]);
    here.wherry(push.iter().chain(&ca))
        .expect_refusal(NO_PERMISSION, &[&registry.host, "wherry login"]);
    login(&here, &registry, "wrong", &ca).expect_refusal(NO_PERMISSION, &[&registry.host]);
    login(&here, &registry, PASSWORD, &ca).expect(0);
    here.wherry(push.iter().chain(&ca)).expect(0);

    login(&there, &registry, PASSWORD, &ca).expect(0);
    there.wherry(["pull", &name].iter().chain(&ca)).expect(0);
    let done = there.wherry(["run", &name]).expect(0);
    assert_eq!(done.text(), "team/show\0packed\0");
}

fn login(home: &Home, registry: &RegistryServer, password: &str, ca: &[&str]) -> Done {
    let arguments = [
        "login",
        &registry.host,
        "--username",
        USER,
        "--password-stdin",
    ];
    let mut login = home.start(arguments.iter().chain(ca));
    // It may refuse before it reads.
    let _ = login.stdin().write_all(password.as_bytes());
    login.wait()
}

#[test]
fn skopeo_copies_what_we_pushed_and_the_copy_runs() {
    let Some(registry) = RegistryServer::plain() else {
        return;
    };
    let (here, there) = (Home::new(), Home::new());
    let digest = pack(&here);
    let [name, copy] =
        ["team/show:1.0", "copied:2"].map(|name| format!("{}/{name}", registry.host));
    here.wherry(["push", "team/show:1.0", &name]).expect(0);
    let status = Command::new("skopeo")
        .args(["--insecure-policy", "copy", "--quiet"])
        .args(["--src-tls-verify=false", "--dest-tls-verify=false"])
        .args([&name, &copy].map(|name| format!("docker://{name}")))
        .stdin(Stdio::null())
        .status();
    let Ok(status) = status else {
        skip!("skopeo is not installed");
    };
    assert!(status.success());
    there.wherry(["pull", &copy]).expect(0);
    assert_eq!(only_image(&there), digest);
    let done = there.wherry(["run", &copy]).expect(0);
    assert_eq!(done.text(), "team/show\0packed\0");
}
