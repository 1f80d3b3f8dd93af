//! The programs of `workloads/gpu` in Rust, and those in C and C++, each of which checks its result against the
//! processor: run through, and stopped in the middle and gone on with elsewhere, on the same driver and on another one.

use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use wherry_tests::{Done, Driver, Home, Running, Workload};

const CAPTURED: i32 = 85;

/// A program that says how far it is.
struct Program {
    module: PathBuf,
    arguments: &'static [&'static str],
    /// What it says in the middle.
    halfway: &'static str,
}

/// What a program did.
struct Effect {
    stdout: String,
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl Effect {
    fn new(stdout: String, home: &Home) -> Self {
        let files = home.contents().into_iter().filter_map(|(path, content)| {
            let name = path.file_name()?.to_owned();
            let in_scratch = path.components().any(|part| part.as_os_str() == "scratch");
            in_scratch.then(|| (PathBuf::from(name), content))
        });
        let files = files.collect();
        Effect { stdout, files }
    }

    fn file(&self, name: &Path) -> &[u8] {
        let found = self.files.iter().find(|(other, _)| other == name);
        &found.unwrap_or_else(|| panic!("no {}", name.display())).1
    }
}

impl Program {
    fn new(
        name: &'static str,
        arguments: &'static [&'static str],
        halfway: &'static str,
    ) -> Option<Self> {
        Some(Program {
            module: Workload::Built(name).module()?,
            arguments,
            halfway,
        })
    }

    /// Runs through on lavapipe, moves there, and moves from there to SwiftShader and back.
    #[track_caller]
    fn moves(&self) {
        let Some(lavapipe) = Driver::lavapipe() else {
            return;
        };
        let reference = self.uninterrupted(&lavapipe);
        let moved = self.moved(&lavapipe, &lavapipe);
        assert_eq!(moved.stdout, reference.stdout);
        for (name, content) in &reference.files {
            assert!(moved.file(name) == content, "{}", name.display());
        }
        let Some(swiftshader) = Driver::swiftshader() else {
            return;
        };
        for (from, to) in [(&lavapipe, &swiftshader), (&swiftshader, &lavapipe)] {
            let moved = self.moved(from, to);
            assert_eq!(moved.stdout, reference.stdout, "to {}", to.name);
            for (name, content) in &reference.files {
                is_like(name, moved.file(name), content);
            }
        }
    }

    fn uninterrupted(&self, driver: &Driver) -> Effect {
        let home = Home::new();
        let done = Done::of(&mut self.run(driver, &home, &[])).expect(0);
        Effect::new(done.text(), &home)
    }

    /// Stopped in the middle on one driver, and gone on with in another home on another one.
    fn moved(&self, from: &Driver, to: &Driver) -> Effect {
        let (home, other) = (Home::new(), Home::new());
        let checkpoint = other.file("job.ckpt");
        let capture = format!("--checkpoint-to={}", checkpoint.display());
        let mut job = Running::of(&mut self.run(from, &home, &[&capture]));
        job.wait_for(self.halfway);
        job.signal(Signal::TERM);
        let before = job.wait().expect(CAPTURED).text();

        let mut resume = to.command(&other, "resume", ["--keep-scratch", "--module"]);
        let done = Done::of(resume.arg(&self.module).arg(&checkpoint));
        let after = done.expect(0).text();
        assert!(!after.is_empty(), "it was stopped in the middle");
        Effect::new(before + &after, &other)
    }

    fn run(&self, driver: &Driver, home: &Home, options: &[&str]) -> Command {
        let mut command = driver.command(home, "run", ["--keep-scratch"]);
        command.args(options).arg(&self.module).args(self.arguments);
        command
    }
}

/// Numbers in a table are near each other; of pictures, the program has checked the pixels.
#[track_caller]
fn is_like(name: &Path, got: &[u8], expected: &[u8]) {
    if name.extension().is_none_or(|extension| extension != "csv") {
        return;
    }
    let cells = |bytes: &[u8]| -> Vec<String> {
        let text = String::from_utf8_lossy(bytes).into_owned();
        text.split([',', '\n']).map(str::to_owned).collect()
    };
    let (got, expected) = (cells(got), cells(expected));
    assert_eq!(got.len(), expected.len(), "{}", name.display());
    for (got, expected) in got.iter().zip(&expected) {
        match (got.parse::<f64>(), expected.parse::<f64>()) {
            // An image of 360 that is read another way is 0.003.
            (Ok(a), Ok(b)) => assert!((a - b).abs() < 0.01, "{got} is not {expected}"),
            _ => assert_eq!(got, expected),
        }
    }
}

#[test]
fn matrices_are_multiplied() {
    if let Some(program) = Program::new("gpu/matmul", &["128", "24"], "product 12 of 24\n") {
        program.moves();
    }
}

#[test]
fn substances_react() {
    if let Some(program) = Program::new("gpu/gray-scott", &["160", "4000"], "step 500 of 4000\n") {
        program.moves();
    }
}

#[test]
fn a_network_is_trained() {
    if let Some(program) = Program::new("gpu/digits", &["20"], "epoch 3 of 20\n") {
        program.moves();
    }
}

#[test]
fn frames_are_rendered() {
    if let Some(program) = Program::new("gpu/frames", &["60", "160"], "frame 8 of 60\n") {
        program.moves();
    }
}

#[test]
fn bodies_attract_each_other_in_c() {
    if let Some(program) = Program::new("galaxy", &["512", "400"], "step 40 of 400\n") {
        program.moves();
    }
}

#[test]
fn numbers_are_doubled_in_cpp() {
    let (Some(module), Some(driver)) = (
        Workload::Built("webgpu_doubled").module(),
        Driver::lavapipe(),
    ) else {
        return;
    };
    let home = Home::new();
    let done = Done::of(driver.command(&home, "run", [&module])).expect(0);
    let expected = "the sum is 1998000\na buffer that is mapped both ways is refused: yes\n";
    assert_eq!(done.text(), expected);
}

/// What it checks is the same natively, on both drivers.
#[test]
fn the_rest_of_wgpu_is_as_it_is_natively() {
    let Some(module) = Workload::Built("gpu/api").module() else {
        return;
    };
    for driver in [Driver::lavapipe(), Driver::swiftshader()] {
        let Some(driver) = driver else { continue };
        let home = Home::new();
        let done = Done::of(driver.command(&home, "run", [&module])).expect(0);
        let text = done.text();
        assert!(text.lines().all(|line| line.starts_with("ok ")), "{text}");
    }
}
