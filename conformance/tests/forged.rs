//! Checkpoints that somebody made up, with digests that are right: each is refused, or restored
//! as it says; and whatever runs then, runs in its sandbox.
//!
//! `WHERRY_FORGERIES` is the number of them for each program (100 unless set), `WHERRY_SEED` the
//! first seed: a failure names the seed that repeats it.

#![expect(clippy::print_stdout, reason = "a test tells how much it did")]

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::{env, fs};

use wasmtime::{Result, ensure, error::Context};
use wherry_conformance::{Program, Random, forge, garble};
use wherry_engine::{Engine, EngineConfig};
use wherry_snapshot::Reader;

const SECRET: &str = "what the job must not reach";

/// A program, its checkpoints, and what lies beside its scratch directories.
struct Target {
    program: Program,
    checkpoints: Vec<Vec<u8>>,
    place: tempfile::TempDir,
}

#[derive(Default)]
struct Tally {
    refused: u64,
    accepted: u64,
}

impl Target {
    fn new(engine: &Engine, path: &Path) -> Result<Self> {
        let place = tempfile::tempdir()?;
        for folder in ["outside", "input"] {
            fs::create_dir(place.path().join(folder))?;
            fs::write(place.path().join(folder).join("file"), SECRET)?;
        }
        let wasm = wat::parse_file(path)?;
        let program = Program::of(std::slice::from_ref(engine), &wasm, &[]);
        let program = program.in_directory(place.path());
        let program = program.with_input(&place.path().join("input"));
        let mut checkpoints = Vec::new();
        for safepoints in [1, 3, 20, 2_500] {
            checkpoints.extend(program.checkpoint_after(safepoints)?);
        }
        ensure!(!checkpoints.is_empty(), "it is never stopped");
        Ok(Target {
            program,
            checkpoints,
            place,
        })
    }

    fn attack(&self, random: &mut Random, tally: &mut Tally) -> Result<()> {
        let which = usize::try_from(random.below(self.checkpoints.len() as u64))?;
        let valid = &self.checkpoints[which];
        let forged = match random.below(4) {
            0 => garble(valid, random)?,
            _ => forge(valid, random)?,
        };
        let Ok(reader) = Reader::open(Cursor::new(&forged[..])) else {
            tally.refused += 1;
            return Ok(());
        };
        let Ok(resumed) = self.program.resumed(&forged) else {
            tally.refused += 1;
            return self.check_surroundings();
        };
        tally.accepted += 1;
        let contents = reader.contents();
        ensure!(
            resumed.execution == contents.execution,
            "{:#?} was restored as {:#?}",
            contents.execution,
            resumed.execution
        );
        ensure!(
            resumed.memories == contents.memories,
            "other memories were restored"
        );
        // Whether it traps, exits or is stopped is the forger's choice.
        let _ = self.program.goes_on(&forged, 20_000);
        self.check_surroundings()
    }

    fn check_surroundings(&self) -> Result<()> {
        for folder in ["outside", "input"] {
            let folder = self.place.path().join(folder);
            ensure!(fs::read_to_string(folder.join("file"))? == SECRET);
            ensure!(fs::read_dir(folder)?.count() == 1, "a file was made");
        }
        Ok(())
    }
}

fn setting(name: &str, default: u64) -> u64 {
    let value = env::var(name).ok();
    value
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

/// The programs of the engine's tests, and two that use files.
fn programs() -> Result<Vec<PathBuf>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut programs = Vec::new();
    for entry in fs::read_dir(root.join("runtime/engine/tests/programs"))? {
        programs.push(entry?.path());
    }
    programs.sort();
    programs
        .extend(["journal", "count"].map(|name| root.join(format!("tests/programs/{name}.wat"))));
    Ok(programs)
}

#[test]
fn forgeries_are_refused_or_restored_as_they_say() -> Result<()> {
    let engine = Engine::new(EngineConfig::default())?;
    let (first, count) = (setting("WHERRY_SEED", 1), setting("WHERRY_FORGERIES", 100));
    let mut total = Tally::default();
    for path in programs()? {
        let named = || path.display().to_string();
        let target = Target::new(&engine, &path).with_context(named)?;
        for seed in first..first + count {
            let mut attack = || target.attack(&mut Random::new(seed), &mut total);
            attack().with_context(|| format!("WHERRY_SEED={seed}: {}", named()))?;
        }
    }
    let Tally { refused, accepted } = total;
    println!("{refused} forgeries were refused, {accepted} restored");
    ensure!(refused > accepted && accepted > count, "too few of either");
    Ok(())
}

/// What forging itself changes is nothing.
#[test]
fn a_checkpoint_that_is_put_together_again_is_the_same() -> Result<()> {
    let engine = Engine::new(EngineConfig::default())?;
    for path in programs()? {
        let target = Target::new(&engine, &path)?;
        for checkpoint in &target.checkpoints {
            let again = wherry_conformance::put_together_again(checkpoint)?;
            ensure!(again == *checkpoint, "{}", path.display());
        }
    }
    Ok(())
}
