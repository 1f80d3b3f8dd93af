//! Programs that try what they must not be able to do: each file of `tests/hostile` says in its first
//! lines what it tries, with which options it is run, and how that has to end. Whatever they do,
//! nothing outside what they were lent changes, no process of theirs is left, and the next job runs.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use wherry_tests::{Done, Home, repository};

/// How many there are at least.
const LEAST: usize = 60;

const REFUSED: i32 = 65;

/// A machine that somebody cares about.
struct Machine {
    home: Home,
    /// All files that no job was lent, with their content.
    before: BTreeMap<PathBuf, Vec<u8>>,
}

impl Machine {
    fn new() -> Self {
        let home = Home::new();
        home.write("outside/secret.txt", "secret");
        home.write("lent/in.txt", "mine");
        fs::create_dir(home.file("lent/deep")).unwrap();
        symlink("../outside/secret.txt", home.file("lent/link")).unwrap();
        symlink("/", home.file("lent/root")).unwrap();
        symlink("/proc", home.file("lent/proc")).unwrap();
        let fifo = home.file("lent/fifo");
        mknodat(CWD, fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let before = files(&home.file("outside"));
        let machine = Machine { home, before };
        machine.allow("10m", "8 GiB");
        machine
    }

    /// Writes the policy.
    fn allow(&self, compile_time: &str, compile_memory: &str) {
        let lent = self.home.file("lent");
        let policy = format!(
            "format = 1\n\
             [who]\nfiles = true\n\
             [signatures]\nunsigned = \"allow\"\n\
             [[mounts]]\nhost = {lent:?}\nread_only = false\n\
             [isolation]\ncompile_time = {compile_time:?}\ncompile_memory = {compile_memory:?}\n"
        );
        self.home.write("policy.toml", policy);
    }

    fn run(&self, module: &[u8], options: &str) -> Done {
        let module = self.home.write("module.wasm", module);
        let lent = self.home.file("lent");
        let lent = lent.display();
        let mut arguments = vec!["run".to_owned()];
        arguments.push(format!(
            "--policy={}",
            self.home.file("policy.toml").display()
        ));
        let (read_only, scratch) = ("--read-only", "--scratch");
        let mut options: Vec<&str> = options.split_whitespace().collect();
        if !options.contains(&scratch) {
            let suffix = if options.contains(&read_only) {
                "::ro"
            } else {
                ""
            };
            arguments.push(format!("--dir={lent}::/lent{suffix}"));
            arguments.push("--no-scratch".to_owned());
        }
        options.retain(|option| ![read_only, scratch].contains(option));
        arguments.extend(options.into_iter().map(str::to_owned));
        arguments.push(module.display().to_string());
        self.home.wherry(arguments)
    }

    /// Nothing has happened to it.
    #[track_caller]
    fn is_unharmed(&self, after: &str) {
        let outside = files(&self.home.file("outside"));
        assert_eq!(outside, self.before, "{after}: outside");
        let lent = fs::read(self.home.file("lent/in.txt")).expect("it is there");
        assert_eq!(lent, b"mine", "{after}: what is lent");
        let jobs = fs::read_dir(self.home.directory().join("jobs"));
        for job in jobs.into_iter().flatten().flatten() {
            let Ok(lock) = File::open(job.path().join("process.lock")) else {
                continue;
            };
            // The process of a job holds it while it lives.
            assert!(lock.try_lock().is_ok(), "{after}: a process is left");
        }
    }

    /// The next job runs.
    #[track_caller]
    fn works(&self) {
        let peaceful = Program::read(&repository().join("tests/hostile/what-is-lent.wat"));
        self.run(&peaceful.module, "").expect(0);
    }
}

fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(directory).expect("it is there").flatten();
    let paths = entries.map(|entry| entry.path());
    paths
        .map(|path| {
            let content = fs::read(&path).unwrap_or_default();
            (path, content)
        })
        .collect()
}

/// A file of `tests/hostile`.
struct Program {
    name: String,
    module: Vec<u8>,
    options: String,
    /// Exit codes, of which one has to come.
    exits: Vec<i32>,
    /// What is on standard error.
    says: String,
}

impl Program {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).expect("readable");
        let name = path
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let value = |key: &str| {
            let start = format!(";; {key}: ");
            let line = text.lines().find_map(|line| line.strip_prefix(&start));
            line.unwrap_or_default().to_owned()
        };
        let exits = value("exits");
        let exits: Vec<i32> = exits
            .split(' ')
            .map(|code| code.parse().expect("a code"))
            .collect();
        Program {
            module: assemble(&text).unwrap_or_else(|error| panic!("{name}: {error}")),
            options: value("options"),
            exits,
            says: value("says"),
            name,
        }
    }

    fn all() -> Vec<Self> {
        let directory = repository().join("tests/hostile");
        let files = fs::read_dir(directory).expect("readable").flatten();
        let paths = files.map(|file| file.path());
        let mut programs: Vec<_> = paths
            .filter(|path| path.file_stem().is_some_and(|name| name != "prelude"))
            .map(|path| Program::read(&path))
            .collect();
        programs.sort_by(|a, b| a.name.cmp(&b.name));
        programs
    }
}

/// A module of the prelude and `text`, in which `@"…"` is the place of a text and its length.
fn assemble(text: &str) -> wat::Result<Vec<u8>> {
    const TEXTS: usize = 4096;
    let prelude = fs::read_to_string(repository().join("tests/hostile/prelude.wat"));
    let (mut code, mut data, mut place) = (String::new(), String::new(), TEXTS);
    let mut parts = text.split("@\"");
    code.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (literal, rest) = part.split_once('"').expect("a text ends");
        let length = literal.len() - 2 * literal.matches('\\').count();
        code.push_str(&format!("(i32.const {place}) (i32.const {length}){rest}"));
        data.push_str(&format!("(data (i32.const {place}) \"{literal}\")\n"));
        place += length;
    }
    // Imports come first.
    let (imports, code): (Vec<&str>, Vec<&str>) =
        code.lines().partition(|line| line.starts_with("(import"));
    let prelude = prelude.expect("readable");
    let prelude = prelude.replace(";; IMPORTS", &imports.join("\n"));
    wat::parse_str(format!("(module {prelude}\n{data}\n{})", code.join("\n")))
}

#[test]
fn every_hostile_program_is_stopped() {
    let programs = Program::all();
    assert!(programs.len() > LEAST, "there are {}", programs.len());
    let machine = Machine::new();
    let mut wrong = Vec::new();
    for program in programs {
        let done = machine.run(&program.module, &program.options);
        let code = done.code.unwrap_or(-1);
        let stderr = done.stderr.to_lowercase();
        if !program.exits.contains(&code) || !stderr.contains(&program.says) {
            wrong.push(format!("{}: exit {code}: {}", program.name, done.stderr));
        }
        machine.is_unharmed(&program.name);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    machine.works();
}

/// Compiling stops when it has used what a compiler may.
#[test]
fn a_module_that_takes_too_long_to_compile() {
    let machine = Machine::new();
    machine.allow("1s", "8 GiB");
    let function = format!(
        "(func (result i32) i32.const 1 {})\n",
        "i32.const 7 i32.add ".repeat(200)
    );
    let bomb = format!("{}(func (export \"_start\"))", function.repeat(20_000));
    let done = machine.run(&assemble(&bomb).unwrap(), "");
    done.expect_refusal(REFUSED, &["cannot be compiled with 1s of cpu time"]);
    machine.is_unharmed("a module that takes too long");
    machine.works();
}

#[test]
fn a_module_that_takes_too_much_memory_to_compile() {
    let machine = Machine::new();
    machine.allow("10m", "256 MiB");
    let body = "local.get 0 i32.load i32.popcnt local.set 0 ".repeat(300_000);
    let bomb = format!("(func (param i32) {body})(func (export \"_start\"))");
    let done = machine.run(&assemble(&bomb).unwrap(), "");
    done.expect_refusal(REFUSED, &["cannot be compiled", "256 mib of memory"]);
    machine.allow("10m", "8 GiB");
    machine.is_unharmed("a module that takes too much memory");
    machine.works();
}

#[test]
fn modules_that_are_none_or_beyond_any_limit() {
    let machine = Machine::new();
    let many = format!("{}(func (export \"_start\"))", "(func)".repeat(1_000_000));
    let whole = assemble("(func (export \"_start\"))").unwrap();
    let bad: [(&str, Vec<u8>); 5] = [
        ("nothing", Vec::new()),
        ("text", b"(module)".to_vec()),
        ("the beginning", whole[..whole.len() / 2].to_vec()),
        (
            "another version",
            [&b"\0asm\x0d\0\x01\0"[..], &whole[8..]].concat(),
        ),
        ("a million functions", assemble(&many).unwrap()),
    ];
    for (name, module) in bad {
        let done = machine.run(&module, "");
        assert_eq!(done.code, Some(REFUSED), "{name}: {}", done.stderr);
        machine.is_unharmed(name);
    }
    machine.works();
}
