//! The checkpoints that a job keeps, and what becomes of it when the newest is damaged.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::{Value, json};
use wherry_tests::{Done, Home, Running};

const CAPTURED: i32 = 85;
const BAD_DATA: i32 = 65;
const NO_INPUT: i32 = 66;

/// A suspended job with the checkpoints 1 and 2, and what the program writes from 1 on.
struct Setting {
    home: Home,
    id: String,
    code: i32,
    from_first: String,
    /// The job's directory as it is.
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl Setting {
    fn new() -> Self {
        let home = Home::new();
        let module = home.program("count");
        let module = module.to_str().expect("a name");
        home.wherry(["run", "--checkpoint-at=3000", module])
            .expect(CAPTURED);
        let id = only_job(&home)["id"].as_str().expect("an id").to_owned();
        home.wherry(["resume", "--checkpoint-at=2000", &id])
            .expect(CAPTURED);
        // Another job, which takes nothing away from this one.
        let first = home.file(&format!("home/jobs/{id}/checkpoints/1"));
        let rest = home.wherry(["resume", first.to_str().expect("a name")]);
        let code = rest.code.expect("it ends");
        let files = home.contents();
        let files = files
            .into_iter()
            .filter(|(path, _)| path.starts_with(job(&home, &id)));
        Setting {
            from_first: rest.text(),
            code,
            files: files.collect(),
            home,
            id,
        }
    }

    fn job(&self) -> PathBuf {
        job(&self.home, &self.id)
    }

    fn newest(&self) -> PathBuf {
        self.job().join("checkpoints/2")
    }

    /// Puts everything back as it was.
    fn reset(&self) {
        let _ = fs::remove_dir_all(self.job());
        for (path, content) in &self.files {
            fs::create_dir_all(path.parent().expect("a directory")).expect("made");
            fs::write(path, content).expect("written");
        }
    }

    fn resume(&self, options: &[&str]) -> Done {
        let arguments = ["resume"].into_iter().chain(options.iter().copied());
        self.home.wherry(arguments.chain([&*self.id]))
    }

    /// With the newest as it is now, the job goes on from the one before, and says so; if it
    /// must not, it does not.
    #[track_caller]
    fn falls_back(&self, what: &str, code: i32, words: &[&str]) {
        let newest = self.newest();
        let damaged = fs::read(&newest).ok();
        let before = self.home.contents();
        let named = newest.display().to_string();
        let words = [words, &[&named, "--checkpoint 1"]].concat();
        self.resume(&["--strict"]).expect_refusal(code, &words);
        let strict = self
            .home
            .command_with("WHERRY_STRICT", "1", ["resume", &self.id]);
        Done::of(strict).expect_refusal(code, &words);
        self.resume(&["--checkpoint=2"])
            .expect_refusal(code, &words);
        assert_eq!(self.home.contents(), before, "{what}");

        let done = self.resume(&[]).expect(self.code);
        assert_eq!(done.text(), self.from_first, "{what}");
        let words = [
            &words[..words.len() - 1],
            &["warning", "from checkpoint 1", "lost"],
        ]
        .concat();
        let told = done.stderr.to_lowercase();
        for word in words {
            assert!(
                told.contains(&word.to_lowercase()),
                "{what}: no `{word}`: {told}"
            );
        }
        // It is not deleted: somebody may want to know what happened to it.
        let aside = self.job().join("checkpoints/2.damaged");
        assert_eq!(fs::read(aside).ok(), damaged, "{what}");
        self.reset();
    }
}

fn job(home: &Home, id: &str) -> PathBuf {
    home.directory().join("jobs").join(id)
}

/// Where sections lie in a checkpoint, and the names of their kinds.
fn sections(file: &[u8]) -> Vec<(usize, usize)> {
    let number = |at: usize| {
        let bytes = file[at..at + 8].try_into().expect("eight bytes");
        usize::try_from(u64::from_le_bytes(bytes)).expect("in memory")
    };
    let entries = (0..number(24) / 56).map(|index| number(16) + index * 56);
    let entries = entries.map(|entry| (number(entry + 8), number(entry + 16)));
    entries.filter(|(_, length)| *length > 0).collect()
}

#[test]
fn a_flipped_bit_anywhere_in_the_newest_checkpoint() {
    let setting = Setting::new();
    let good = fs::read(setting.newest()).expect("readable");
    let sections = sections(&good);
    assert!(sections.len() >= 9, "{sections:?}");
    let places = sections.iter().map(|(offset, length)| offset + length / 2);
    for place in places.chain([0, 40, good.len() - 1]) {
        let mut bad = good.clone();
        bad[place] ^= 4;
        fs::write(setting.newest(), bad).expect("written");
        setting.falls_back(&format!("byte {place}"), BAD_DATA, &[]);
    }
}

#[test]
fn a_newest_checkpoint_that_ends_too_early_or_is_gone() {
    let setting = Setting::new();
    let good = fs::read(setting.newest()).expect("readable");
    for length in [0, 63, good.len() / 2, good.len() - 1] {
        fs::write(setting.newest(), &good[..length]).expect("written");
        setting.falls_back(&format!("{length} bytes"), BAD_DATA, &["truncated"]);
    }
    fs::remove_file(setting.newest()).expect("removed");
    setting.falls_back("gone", NO_INPUT, &["no such file"]);
}

#[test]
fn a_newest_checkpoint_that_is_another_one() {
    let setting = Setting::new();
    let first = setting.job().join("checkpoints/1");
    fs::copy(&first, setting.newest()).expect("copied");
    setting.falls_back(
        "the one before",
        BAD_DATA,
        &["is not checkpoint 2", "state"],
    );
    let other = setting.home.program("hello");
    let file = setting.home.file("other.ckpt");
    let to = format!("--checkpoint-to={}", file.display());
    let run = [
        "run",
        "--checkpoint-at=1",
        &to,
        other.to_str().expect("a name"),
    ];
    setting.home.wherry(run).expect(CAPTURED);
    fs::copy(&file, setting.newest()).expect("copied");
    setting.falls_back("of another job", BAD_DATA, &["of the module"]);
}

#[test]
fn when_no_checkpoint_is_good_all_are_named() {
    let setting = Setting::new();
    let names = ["1", "2"].map(|name| setting.job().join("checkpoints").join(name));
    for path in &names {
        fs::write(path, "damaged").expect("written");
    }
    let before = setting.home.contents();
    let words = names.each_ref().map(|path| path.to_str().expect("a name"));
    setting.resume(&[]).expect_refusal(BAD_DATA, &words);
    assert_eq!(setting.home.contents(), before);
}

#[test]
fn programs_are_told_which_one_was_used() {
    let setting = Setting::new();
    fs::write(setting.newest(), "damaged").expect("written");
    let done = setting.resume(&["--json", "--continue", "--checkpoint-at=1"]);
    let events = events(&done.expect(setting.code));
    let resumed = find(&events, "resumed");
    assert_eq!(resumed["from"]["sequence"], 1);
    let damaged = &resumed["damaged"][0];
    assert_eq!(damaged["sequence"], 2);
    assert_eq!(damaged["path"], json!(setting.newest()));
    assert!(
        damaged["reason"]
            .as_str()
            .expect("text")
            .contains("truncated")
    );
    let aside = setting.job().join("checkpoints/2.damaged");
    assert_eq!(damaged["set_aside"], json!(aside));
    // The number that is free again is taken.
    let written = find(&events, "checkpointed");
    assert_eq!(written["checkpoint"]["sequence"], 2);
    assert_eq!(written["checkpoint"]["path"], json!(setting.newest()));
}

#[test]
fn a_job_goes_back_to_an_older_checkpoint_on_request() {
    let setting = Setting::new();
    let done = setting.resume(&["--checkpoint=1"]).expect(setting.code);
    assert_eq!(
        (done.text(), done.stderr),
        (setting.from_first.clone(), String::new())
    );
    setting.reset();
    let missing = setting.resume(&["--checkpoint=3"]);
    missing.expect_refusal(NO_INPUT, &["no checkpoint 3", "wherry checkpoints"]);
    let second = setting.newest();
    let good = fs::read(&second).expect("readable");
    setting
        .resume(&["--checkpoint=1", "--checkpoint-at=500"])
        .expect(CAPTURED);
    assert_ne!(fs::read(&second).expect("a new one"), good);
    let aside = setting.job().join("checkpoints/2.superseded");
    assert_eq!(fs::read(aside).expect("set aside"), good);
}

/// A job that an older version left suspended.
#[test]
fn a_job_with_the_only_checkpoint_of_an_older_version() {
    let setting = Setting::new();
    let (before, record) = (
        setting.job().join("checkpoint"),
        setting.job().join("job.json"),
    );
    fs::rename(setting.newest(), &before).expect("renamed");
    fs::remove_dir_all(setting.job().join("checkpoints")).expect("removed");
    let mut old: Value = serde_json::from_slice(&fs::read(&record).expect("there")).expect("JSON");
    let fields = old.as_object_mut().expect("an object");
    fields.remove("retention");
    let mut last = fields.remove("checkpoints").expect("some")[1].clone();
    last.as_object_mut().expect("an object").remove("sequence");
    last["path"] = json!(before);
    fields.insert("checkpoint".to_owned(), last);
    fields.insert("format".to_owned(), json!(1));
    fs::write(&record, old.to_string()).expect("written");

    let listed = checkpoints(&setting.home, &setting.id);
    assert_eq!(listed[0]["path"], json!(before));
    setting.resume(&["--checkpoint-at=10"]).expect(CAPTURED);
    assert!(setting.job().join("checkpoints/3").exists());
    assert!(before.exists(), "the one before is kept");
    assert_eq!(setting.resume(&[]).code, Some(setting.code));
}

/// A job that waits for `stop`, with its id.
fn waiting(home: &Home, options: &[&str]) -> (Running, String) {
    fs::create_dir(home.file("mounted")).expect("a directory");
    let dir = format!("--dir={}::/", home.file("mounted").display());
    let module = home.program("until");
    let arguments = ["run", "--no-scratch", &dir].into_iter();
    let arguments = arguments.chain(options.iter().copied());
    let mut job = home.start(arguments.chain([module.to_str().expect("a name")]));
    job.wait_for("running");
    let id = only_job(home)["id"].as_str().expect("an id").to_owned();
    (job, id)
}

#[test]
fn a_job_keeps_the_last_and_every_kth() {
    let home = Home::new();
    let (job, id) = waiting(&home, &["--keep=2", "--keep-every=3"]);
    let theirs = home.file("theirs").display().to_string();
    for number in 1..=7 {
        let mut arguments = vec!["checkpoint", "--continue", "--json", &id];
        if number == 5 {
            arguments.extend(["--to", &theirs]);
        }
        let done = home.wherry(arguments).expect(0).text();
        let done: Value = serde_json::from_str(&done).expect("JSON");
        assert_eq!(done["checkpoint"]["sequence"], number);
    }
    let listed = checkpoints(&home, &id);
    let field = |one: &Value, name: &str| one[name].clone();
    let sequences: Vec<_> = listed.iter().map(|one| field(one, "sequence")).collect();
    assert_eq!(sequences, [1, 3, 5, 6, 7]);
    let reasons: Vec<_> = listed.iter().map(|one| field(one, "why")).collect();
    let expected = [
        "7 builds on it",
        "one of every 3",
        "the user's own file",
        "one of the last 2",
        "newest",
    ];
    assert_eq!(reasons, expected);
    let table = home.wherry(["checkpoints", &id]).expect(0).text();
    assert!(
        table.contains("newest") && table.contains(&theirs),
        "{table}"
    );

    fs::write(home.file("mounted/stop"), "").expect("written");
    assert_eq!(job.wait().expect(0).text(), "running\nstopped\n");
    let left = checkpoints(&home, &id);
    let left: Vec<_> = left.iter().map(|one| field(one, "sequence")).collect();
    assert_eq!(left, [1, 3, 5, 6], "for ever, its base, and the user's");
}

/// Whenever a process is killed while it writes a checkpoint, those before are good.
#[test]
fn killed_while_a_checkpoint_is_written() {
    let home = Home::new();
    let module = home.program("fill");
    let module = module.to_str().expect("a name");
    for _ in 0..4 {
        let mut job = home.start(["run", "--continue", "--checkpoint-after=1ms", module]);
        job.wait_for("filled");
        let id = running_job(&home);
        let of_the_job = home.directory().join("jobs").join(&id);
        // The second one at least: there is one before.
        until(|| whole(&of_the_job.join("checkpoints")).is_some());
        until(|| partial(&of_the_job.join("outgoing")).is_some());
        job.signal(Signal::KILL);
        assert_eq!(job.wait().code, None);

        let done = home.wherry(["resume", "--strict", &id]).expect(0);
        // The last good one may be from before it was filled.
        let text = done.text();
        assert!(["ended\n", "filled\nended\n"].contains(&&*text), "{text}");
        assert_eq!(done.stderr, "");
    }
}

#[test]
fn gc_removes_what_is_of_no_use_and_says_why_it_keeps_the_rest() {
    let setting = Setting::new();
    let at = |name: &str| setting.job().join(name);
    fs::copy(setting.newest(), at("checkpoints/2.damaged")).expect("copied");
    fs::write(at("checkpoints/.wherry-abc"), "half of it").expect("written");
    let blob = setting
        .home
        .directory()
        .join("store/blobs/sha256")
        .join("0".repeat(64));
    fs::write(&blob, "of nothing").expect("written");
    let cache = setting.home.directory().join("cache");
    fs::remove_file(&cache).expect("a link to that of all tests");
    fs::create_dir(&cache).expect("made");
    fs::write(cache.join("1".repeat(64)), [0; 2000]).expect("written");

    let before = setting.home.contents();
    let dry = setting
        .home
        .wherry(["gc", "--dry-run", "--json", "--cache-size=1000B"]);
    let dry: Value = serde_json::from_str(&dry.expect(0).text()).expect("JSON");
    assert_eq!(setting.home.contents(), before);
    let list = |name: &str| {
        let paths = dry[name].as_array().expect("a list").iter();
        let mine = paths.filter(|one| one["job"] == json!(setting.id));
        mine.map(|one| one["path"].clone()).collect::<Vec<_>>()
    };
    let paths = |names: &[&str]| names.iter().map(|name| json!(at(name))).collect::<Vec<_>>();
    let gone = paths(&["checkpoints/2.damaged", "checkpoints/.wherry-abc"]);
    assert_eq!(list("removed"), gone);
    assert_eq!(list("kept"), paths(&["checkpoints/1", "checkpoints/2"]));
    assert_eq!(dry["store"]["blobs"], 1);
    assert_eq!(
        (&dry["cache"]["entries"], &dry["cache"]["bytes"]),
        (&json!(1), &json!(2000))
    );

    let done = setting
        .home
        .wherry(["gc", "--cache-size=1000B"])
        .expect(0)
        .text();
    for word in [
        "2.damaged",
        "newest",
        "one of the last 2",
        "1 blobs",
        "compiled modules",
    ] {
        assert!(done.contains(word), "{word}: {done}");
    }
    assert!(!blob.exists() && !at("checkpoints/2.damaged").exists());
    let again = setting.home.wherry(["gc", "--json"]).expect(0).text();
    let again: Value = serde_json::from_str(&again).expect("JSON");
    assert_eq!(again["bytes"], 0, "{again}");
    assert_eq!(setting.resume(&[]).code, Some(setting.code));
}

#[test]
fn gc_leaves_a_job_alone_that_runs() {
    let home = Home::new();
    let (job, id) = waiting(&home, &[]);
    home.wherry(["checkpoint", "--continue", &id]).expect(0);
    let part = home
        .directory()
        .join(format!("jobs/{id}/checkpoints/.wherry-abc"));
    fs::write(&part, "as if it were being written").expect("written");
    let told = home.wherry(["gc"]).expect(0).text();
    assert!(told.contains("it is running"), "{told}");
    assert!(part.exists());
    fs::write(home.file("mounted/stop"), "").expect("written");
    assert_eq!(job.wait().expect(0).text(), "running\nstopped\n");
}

#[test]
fn the_module_of_a_suspended_job_is_not_removed() {
    let setting = Setting::new();
    let images = setting.home.wherry(["images", "--json"]).expect(0).text();
    let images: Value = serde_json::from_str(&images).expect("JSON");
    let image = images[0]["digest"].as_str().expect("the only one");
    let refused = setting.home.wherry(["rm", image]);
    refused.expect_refusal(69, &[&setting.id, "suspended", "--force"]);
    assert_eq!(setting.resume(&[]).code, Some(setting.code));
    setting.home.wherry(["rm", image]).expect(0);

    setting.reset();
    let module = setting.home.file("count.wasm");
    setting
        .resume(&[])
        .expect_refusal(NO_INPUT, &["module", "not in the store"]);
    let module = format!("--module={}", module.display());
    setting
        .resume(&[&module, "--checkpoint-at=1"])
        .expect(CAPTURED);
    setting.home.wherry(["rm", "--force", image]).expect(0);
}

/// The length of the file of a checkpoint that is being written.
fn partial(directory: &Path) -> Option<u64> {
    length(directory, |name| name.starts_with(".wherry-"))
}

/// The length of the file of a checkpoint.
fn whole(directory: &Path) -> Option<u64> {
    length(directory, |name| name.parse::<u64>().is_ok())
}

fn length(directory: &Path, fits: impl Fn(&str) -> bool) -> Option<u64> {
    let mut files = fs::read_dir(directory).ok()?.flatten();
    files.find_map(|file| {
        let name = file.file_name().into_string().ok()?;
        let metadata = file.metadata().ok()?;
        fits(&name).then_some(metadata.len())
    })
}

fn running_job(home: &Home) -> String {
    let listed = home.wherry(["ps", "--json"]).expect(0).text();
    let jobs: Vec<Value> = serde_json::from_str(&listed).expect("JSON");
    let running = jobs.iter().find(|job| job["state"] == "running");
    let id = running.expect("it runs")["id"].as_str().expect("an id");
    id.to_owned()
}

fn only_job(home: &Home) -> Value {
    let listed = home.wherry(["ps", "--all", "--json"]).expect(0).text();
    let mut jobs: Vec<Value> = serde_json::from_str(&listed).expect("JSON");
    assert_eq!(jobs.len(), 1, "{listed}");
    jobs.remove(0)
}

fn checkpoints(home: &Home, id: &str) -> Vec<Value> {
    let listed = home.wherry(["checkpoints", "--json", id]).expect(0).text();
    serde_json::from_str(&listed).expect("JSON")
}

/// What a run told programs.
fn events(done: &Done) -> Vec<Value> {
    let lines = done.stderr.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

fn find<'a>(events: &'a [Value], name: &str) -> &'a Value {
    let found = events.iter().find(|event| event["event"] == name);
    found.unwrap_or_else(|| panic!("no {name}: {events:?}"))
}

/// Waits for something that another process does.
fn until(happened: impl Fn() -> bool) {
    while !happened() {
        std::thread::yield_now();
    }
}
