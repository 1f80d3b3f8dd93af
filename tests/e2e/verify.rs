//! Deterministic jobs: the same everywhere, and checked by running them again.

use std::fs::{self, File};
use std::io::Cursor;
use std::path::{Path, PathBuf};

use serde_json::Value;
use wherry_snapshot::{Contents, Global, Reader, Slot, Value as Wasm, Writer};
use wherry_tests::{Done, Home, repository};

const CAPTURED: i32 = 85;
const DIFFERENT: i32 = 1;
const USAGE: i32 = 64;
const BAD_DATA: i32 = 65;

/// A program, and two checkpoints of it that follow each other, each made by another process.
struct Setting {
    home: Home,
    module: PathBuf,
    first: PathBuf,
    second: PathBuf,
}

impl Setting {
    fn new(program: &str, position: u64, steps: u64) -> Self {
        let home = Home::new();
        let module = home.program(program);
        Self::with(home, module, position, steps)
    }

    /// Planets in floating point, with a heap.
    fn nbody() -> Self {
        let module = repository().join("workloads/prebuilt/nbody.wasm");
        Self::with(Home::new(), module, 20_000, 30_000)
    }

    fn with(home: Home, module: PathBuf, position: u64, steps: u64) -> Self {
        let (first, second) = (home.file("1.ckpt"), home.file("2.ckpt"));
        run(&home, &module, position, &first);
        let mut resume = home.command(["resume", "--checkpoint-at", &steps.to_string()]);
        resume.arg("--checkpoint-to").args([&second, &first]);
        Done::of(resume).expect(CAPTURED);
        Setting {
            home,
            module,
            first,
            second,
        }
    }

    /// Verifies in a home that does not know the job.
    fn verify(&self, later: &Path) -> Done {
        let home = Home::new();
        let mut verify = home.command(["verify", "--json", "--module"]);
        Done::of(verify.args([&self.module, &self.first, &later.to_owned()]))
    }

    /// Makes something else of the second checkpoint, with digests that are right.
    fn forged(&self, forge: impl FnOnce(&mut Contents, &mut Vec<u8>)) -> PathBuf {
        let reader = Reader::open(File::open(&self.second).unwrap()).unwrap();
        let mut contents = reader.contents().clone();
        let memory = contents.memories[0].clone();
        let mut content = vec![0; usize::try_from(memory.pages).unwrap() << 16];
        reader.restore_memory(&memory, &mut content).unwrap();
        forge(&mut contents, &mut content);
        let mut file = Cursor::new(Vec::new());
        let mut writer = Writer::new(&mut file).unwrap();
        contents.memories[0] = writer.memory(&content, memory.maximum).unwrap();
        writer.finish(&contents).unwrap();
        self.home.write("forged.ckpt", file.into_inner())
    }

    /// Verifying finds out that this is not what the job does, and shows where.
    #[track_caller]
    fn finds(&self, section: &str, place: &str, forge: impl FnOnce(&mut Contents, &mut Vec<u8>)) {
        let forged = self.forged(forge);
        let done = json(&self.verify(&forged).expect(DIFFERENT));
        assert_eq!(done["verified"], false);
        let rows = done["differences"].as_array().expect("rows");
        let row = rows.iter().find(|row| row["section"] == section);
        let row = row.unwrap_or_else(|| panic!("no {section} in {done:#}"));
        assert!(row["place"].as_str().unwrap().starts_with(place), "{row}");
        assert_ne!(row["checkpoint"], row["rerun"]);
    }
}

fn run(home: &Home, module: &Path, position: u64, to: &Path) -> Value {
    let position = position.to_string();
    let mut run = home.command([
        "run",
        "--json",
        "--deterministic",
        "--checkpoint-at",
        &position,
    ]);
    run.arg("--checkpoint-to").args([to, module]);
    let done = Done::of(run.arg("100000")).expect(CAPTURED);
    serde_json::from_str(done.stderr.lines().last().expect("a line")).expect("JSON")
}

fn json(done: &Done) -> Value {
    serde_json::from_str(&done.text()).expect("JSON")
}

#[test]
fn what_a_job_does_is_verified() {
    for setting in [
        Setting::nbody(),
        Setting::new("count", 1500, 2000),
        // It has a file open in its scratch directory.
        Setting::new("journal", 3500, 2500),
    ] {
        let done = json(&setting.verify(&setting.second).expect(0));
        assert_eq!(done["verified"], true, "{done}");
        assert_eq!(done["adjacent"], true, "{done}");
        let positions = [&done["earlier"]["position"], &done["later"]["position"]];
        let [from, to] = positions.map(|position| position.as_u64().unwrap());
        assert!(from > 0 && to > from, "{done}");
    }
}

#[test]
fn forged_checkpoints_are_found_out() {
    let setting = Setting::nbody();
    // A byte that the program has written, on its stack.
    setting.finds("memories", "memory 0, page", |_, memory| {
        let written = memory.iter().rposition(|byte| *byte != 0).unwrap();
        memory[written] ^= 1;
    });
    // A byte that it has never touched.
    setting.finds("memories", "memory 0, page", |_, memory| {
        let untouched = memory.iter().rposition(|byte| *byte == 0).unwrap();
        memory[untouched] = 1;
    });
    setting.finds("execution", "frame", |contents, _| {
        let values = contents
            .execution
            .frames
            .iter_mut()
            .flat_map(|frame| &mut frame.values);
        let local =
            |(slot, value): &(Slot, Wasm)| matches!((slot, value), (Slot::Local(_), Wasm::F64(_)));
        let (_, value) = values
            .into_iter()
            .find(|value| local(value))
            .expect("a float");
        *value = Wasm::F64(0);
    });
    setting.finds("execution", "global", |contents, _| {
        let Global { value, .. } = &mut contents.execution.globals[0];
        *value = Wasm::I32(64);
    });
    // A state of one place that says that it is of another.
    setting.finds("execution", "frame", |contents, _| {
        let profile = contents.profile.as_mut().expect("deterministic");
        profile.position -= 1;
    });
}

/// The content is not what the digests in the state say. A reader that trusts them would not
/// see it before it resumes.
#[test]
fn content_that_is_not_what_it_says_is_refused() {
    let setting = Setting::nbody();
    let mut file = fs::read(&setting.second).unwrap();
    // Chunks come first.
    file[100] ^= 1;
    let damaged = setting.home.write("damaged.ckpt", file);
    let done = setting.verify(&damaged);
    done.expect_refusal(BAD_DATA, &["damaged.ckpt", "chunk", "digest"]);
}

#[test]
fn what_is_no_segment_of_a_deterministic_job_is_refused() {
    let setting = Setting::new("count", 1500, 2000);
    let Setting {
        home,
        module,
        first,
        second,
    } = &setting;
    let verify = |earlier: &Path, later: &Path| {
        let mut verify = home.command(["verify", "--module"]);
        Done::of(verify.args([module, &earlier.to_owned(), &later.to_owned()]))
    };
    verify(second, first).expect_refusal(BAD_DATA, &["3500", "1500"]);
    let plain = home.file("plain.ckpt");
    let mut run = home.command(["run", "--checkpoint-at=4000", "--checkpoint-to"]);
    Done::of(run.args([&plain, module])).expect(CAPTURED);
    verify(first, &plain).expect_refusal(BAD_DATA, &["not of a deterministic job"]);
    let mut command = home.command(["verify"]);
    let other = Done::of(
        command
            .args([first, second])
            .arg("--module")
            .arg(home.program("hello")),
    );
    other.expect_refusal(BAD_DATA, &["--module"]);
    let forged = setting.forged(|contents, _| contents.lineage.parent = Some([7; 32]));
    verify(first, &forged).expect_refusal(BAD_DATA, &["names another"]);
}

#[test]
fn what_would_depend_on_the_machine_is_refused() {
    let home = Home::new();
    let module = home.program("hello");
    let module = module.to_str().unwrap();
    let input = home.write("input", "typed by somebody");
    let run = |arguments: &[&str]| home.command(arguments.iter().chain(&[module]));
    let dir = format!(
        "--dir={}::/data",
        home.directory().parent().unwrap().display()
    );
    let refused = |arguments: &[&str], words: &[&str]| {
        Done::of(run(arguments)).expect_refusal(USAGE, words);
    };
    refused(&["run", "--deterministic", &dir], &["/data", "::ro"]);
    refused(&["run", "--seed=x"], &["--deterministic"]);
    refused(&["run", "--checkpoint-every=5"], &["--deterministic"]);
    let mut with_input = run(&["run", "--deterministic"]);
    with_input.stdin(File::open(input).unwrap());
    Done::of(with_input).expect_refusal(USAGE, &["standard input"]);
    Done::of(run(&["run", "--deterministic", &format!("{dir}::ro")])).expect(0);
}

/// Neither the home, the process, nor where the output goes makes a difference.
#[test]
fn two_captures_of_one_state_are_one_file() {
    let module = repository().join("workloads/prebuilt/nbody.wasm");
    let capture = |name: &str| {
        let home = Home::new();
        let to = home.file(name);
        let reported = run(&home, &module, 20_000, &to);
        (
            fs::read(to).unwrap(),
            reported["checkpoint"]["state_digest"].clone(),
        )
    };
    let (one, state) = capture("one.ckpt");
    let (other, other_state) = capture("the other.ckpt");
    assert_eq!(state, other_state);
    assert!(
        state
            .as_str()
            .is_some_and(|state| state.starts_with("sha256:"))
    );
    // But for the time that it took.
    assert_eq!(without_accounting(&one), without_accounting(&other));
}

const HEADER: usize = 64;
const ENTRY: usize = 56;

/// All sections but *accounting*, byte by byte.
fn without_accounting(file: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let number = |at: usize, size: usize| {
        let bytes = file[at..at + size].iter().rev();
        bytes.fold(0, |number, byte| number << 8 | u64::from(*byte))
    };
    let table = usize::try_from(number(16, 8)).unwrap();
    assert!(table > HEADER);
    let entries = (table..file.len()).step_by(ENTRY);
    let mut sections = Vec::new();
    for entry in entries {
        let [start, length] = [8, 16].map(|at| usize::try_from(number(entry + at, 8)).unwrap());
        sections.push((number(entry, 8), file[start..start + length].to_vec()));
    }
    let before = sections.len();
    sections.retain(|(kind, _)| kind & 0xffff_ffff != 6);
    assert_eq!(sections.len(), before - 1);
    sections
}

#[test]
fn checkpoints_at_regular_positions() {
    let home = Home::new();
    let (module, to) = (home.program("count"), home.file("last.ckpt"));
    let mut whole = home.command(["run", "--deterministic"]);
    let whole = Done::of(whole.arg(&module));
    let mut run = home.command([
        "run",
        "--json",
        "--deterministic",
        "--checkpoint-every=3000",
    ]);
    let done = Done::of(run.arg("--checkpoint-to").args([&to, &module]));
    assert_eq!((done.code, &done.stdout), (whole.code, &whole.stdout));
    let written = done
        .stderr
        .lines()
        .filter(|line| line.contains("checkpointed"));
    assert_eq!(written.count(), 3, "{}", done.stderr);
    let mut inspect = home.command(["inspect", "--json"]);
    let last = json(&Done::of(inspect.arg(&to)).expect(0));
    assert_eq!(last["profile"]["position"], 9000);
    // After a resume they are where they were.
    let from = home.file("from.ckpt");
    let mut run = home.command(["run", "--deterministic", "--checkpoint-at=2000"]);
    Done::of(run.arg("--checkpoint-to").args([&from, &module])).expect(CAPTURED);
    let mut resume = home.command(["resume", "--json", "--checkpoint-every=3000"]);
    let resumed = Done::of(resume.arg("--checkpoint-to").args([&to, &from]));
    assert_eq!(resumed.code, whole.code);
    let mut inspect = home.command(["inspect", "--json"]);
    let again = json(&Done::of(inspect.arg(&to)).expect(0));
    assert_eq!(again["state_digest"], last["state_digest"]);
}

#[test]
fn the_seed_and_the_start_time_are_the_jobs() {
    let module = repository().join("workloads/prebuilt/nbody.wasm");
    let state = |options: &[&str]| {
        let home = Home::new();
        let to = home.file("job.ckpt");
        let mut run = home.command(["run", "--json", "--deterministic", "--checkpoint-at=500"]);
        run.args(options)
            .arg("--checkpoint-to")
            .args([&to, &module]);
        Done::of(run.arg("100000")).expect(CAPTURED);
        let reader = Reader::open(File::open(to).unwrap()).unwrap();
        (reader.state_digest(), reader.contents().profile.unwrap())
    };
    let (plain, profile) = state(&[]);
    assert_eq!(profile.start_time, 946_684_800_000_000_000);
    let (same, _) = state(&["--seed=", "--start-time=2000-01-01T00:00:00Z"]);
    assert_eq!(plain, same);
    assert_ne!(state(&["--seed=other"]).0, plain);
    let (later, profile) = state(&["--start-time=2026-01-01T00:00:00Z"]);
    assert_ne!(later, plain);
    assert_eq!(profile.start_time, 1_767_225_600_000_000_000);
    let (_, limited) = state(&["--memory=64MiB"]);
    assert_eq!(limited.memory_bytes, Some(64 << 20));
}

/// A workload says that it wants to be deterministic.
#[test]
fn a_workload_asks_for_the_profile() {
    let home = Home::new();
    let project = home.file("project");
    home.write("project/count.wasm", wherry_tests::program("count"));
    let toml = "name = \"count\"\nversion = \"1\"\nmodule = \"count.wasm\"\ndeterministic = true\n";
    home.write("project/workload.toml", toml);
    let to = home.file("job.ckpt");
    let mut run = home.command(["run", "--checkpoint-every=4000", "--checkpoint-to"]);
    let done = Done::of(run.args([&to, &project]));
    assert!(to.exists(), "{}", done.stderr);
}

/// What `forged` does besides forging is no damage.
#[test]
fn forging_nothing_changes_nothing() {
    let setting = Setting::nbody();
    let same = setting.forged(|_, _| ());
    assert_eq!(json(&setting.verify(&same).expect(0))["verified"], true);
}
