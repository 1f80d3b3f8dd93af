//! What the pass makes of small modules, before and after.
//!
//! Each `forms/NAME.wat` has its instrumented forms beside it. A new case is a new file;
//! `WHERRY_BLESS=1 cargo test -p wherry-instrument` writes what is missing or has changed.

use std::{fs, path::Path};

use wherry_instrument::{Options, instrument};

#[test]
fn forms() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/forms");
    let mut cases = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let Some(stem) = name.strip_suffix(".wat").filter(|stem| !stem.contains('.')) else {
            continue;
        };
        let wasm = wat::parse_file(&path).unwrap();
        for (form, resumable, countdown) in [
            ("run", false, false),
            ("resumable", true, false),
            ("countdown", false, true),
        ] {
            let options = Options {
                resumable,
                countdown,
                unroll: !countdown,
                ..Options::default()
            };
            let instrumented = instrument(&wasm, &options).unwrap();
            let text = wasmprinter::print_bytes(&instrumented.wasm).unwrap();
            compare(&folder.join(format!("{stem}.{form}.wat")), &text);
            let options = Options {
                unshared_flag: true,
                ..options
            };
            let instrumented = instrument(&wasm, &options).unwrap();
            let text = wasmprinter::print_bytes(&instrumented.wasm).unwrap();
            assert!(
                !text.contains("shared") && !text.contains("atomic"),
                "{text}"
            );
            cases += 1;
        }
    }
    assert!(cases >= 15, "only {cases} cases found");
}

fn compare(golden: &Path, text: &str) {
    if std::env::var_os("WHERRY_BLESS").is_some() {
        fs::write(golden, text).unwrap();
    }
    let expected = fs::read_to_string(golden).unwrap_or_default();
    assert!(
        expected == text,
        "{} differs; bless it if that is right:\n{text}",
        golden.display()
    );
}
