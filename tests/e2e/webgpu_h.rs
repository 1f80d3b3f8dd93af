//! The library behind `webgpu.h`, held against the vectors of the GPU interface.

use wherry_tests::{Home, Workload, repository};

#[test]
fn it_encodes_as_the_vectors_have_it() {
    let Some(module) = Workload::Built("webgpu_vectors").module() else {
        return;
    };
    let vectors = repository().join("gpu-host/abi/vectors");
    let lent = format!("--dir={}::/vectors::ro", vectors.display());
    let done = Home::new().wherry(["run", &lent, module.to_str().unwrap(), "/vectors"]);
    let report = done.expect(0).text();
    assert!(
        report.lines().all(|line| line.starts_with("ok ")),
        "{report}"
    );
    for entry in vectors.read_dir().unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        // It is the same descriptor with less in it, which the host's own tests cover.
        let covered = name == "render_pipeline_least" || report.contains(&format!("ok {name}\n"));
        assert!(path.is_dir() || covered, "nothing was said of {name}");
    }
}
