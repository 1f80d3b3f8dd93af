//! Policy files that are refused, each with all that is wrong with it. `BLESS=1` writes the
//! expected messages anew.

use std::fs;
use std::path::Path;

use wherry_policy::Policy;

#[test]
fn everything_that_is_wrong_is_named_with_its_place() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/refused");
    let mut files: Vec<_> = fs::read_dir(directory)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    files.sort();
    assert!(files.len() >= 10);
    for file in files {
        let text = fs::read_to_string(&file).expect("readable");
        let refused = Policy::parse(&text).expect_err(&file.display().to_string());
        let found = format!("{refused}\n");
        let expected = file.with_extension("expected");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&expected, &found).expect("written");
        }
        let expected = fs::read_to_string(&expected).unwrap_or_default();
        assert_eq!(found, expected, "{}", file.display());
    }
}
