//! What once went wrong, or nearly did. `soak` writes such a file when it finds something: a
//! module whose first line names the call, see `case.rs`.

use std::{fs, path::Path};

use wasmtime::{Result, error::Context};
use wherry_conformance::{Engines, repeat_text};

#[test]
fn regressions() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/regressions");
    let mut cases = 0;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let text = fs::read_to_string(&path)?;
        for engines in [Engines::native()?, Engines::across()?] {
            let report = repeat_text(&engines, &text);
            let report = report.with_context(|| format!("{}", path.display()))?;
            assert!(
                report.round_trips > 0 || text.starts_with(";; no call"),
                "{} is never stopped",
                path.display()
            );
        }
        cases += 1;
    }
    assert!(cases > 0, "there are cases");
    Ok(())
}
