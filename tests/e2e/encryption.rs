//! Jobs whose checkpoints are encrypted: nothing is resumed without the key, nothing is written
//! in the clear because somebody forgot it, and damage is found as ever.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::Value;
use wherry_tests::{Done, Home};

const CAPTURED: i32 = 85;
const BAD_DATA: i32 = 65;
const NO_PERMISSION: i32 = 77;
const CONFIG: i32 = 78;

const SECRET: &str = "an-argument-that-nobody-may-see";

/// A suspended job with the checkpoints 1 and 2, encrypted, and the key.
struct Setting {
    home: Home,
    key: String,
    /// Of the job.
    id: String,
    module: String,
}

impl Setting {
    fn new() -> Self {
        let home = Home::new();
        let module = home.program("count").display().to_string();
        let key = home.file("key").display().to_string();
        home.wherry(["key", "new", &key]).expect(0);
        let run = [
            "run",
            "--key",
            &key,
            "--checkpoint-at=3000",
            &module,
            SECRET,
        ];
        home.wherry(run).expect(CAPTURED);
        let listed = home.wherry(["ps", "--json"]).expect(0).text();
        let listed: Value = serde_json::from_str(&listed).expect("JSON");
        let id = listed[0]["id"].as_str().expect("an id").to_owned();
        let setting = Setting {
            home,
            key,
            id,
            module,
        };
        setting.resume(&["--checkpoint-at=2000"]).expect(CAPTURED);
        setting
    }

    fn resume(&self, options: &[&str]) -> Done {
        let with_key = ["resume", "--key", &self.key].into_iter();
        let options = options.iter().copied();
        self.home.wherry(with_key.chain(options).chain([&*self.id]))
    }

    fn job(&self) -> PathBuf {
        self.home.directory().join("jobs").join(&self.id)
    }

    fn checkpoint(&self, sequence: u32) -> PathBuf {
        self.job().join(format!("checkpoints/{sequence}"))
    }

    fn id_of(&self, key: &str) -> String {
        let id = self.home.wherry(["key", "id", "--key", key]).expect(0);
        id.text().trim().to_owned()
    }

    #[track_caller]
    fn refuses<const N: usize>(&self, arguments: [&str; N], code: i32, words: &[&str]) {
        let before = self.home.contents();
        self.home.wherry(arguments).expect_refusal(code, words);
        assert_eq!(self.home.contents(), before);
    }
}

fn contains(file: &[u8], text: &str) -> bool {
    file.windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[test]
fn what_is_in_a_checkpoint_needs_the_key() {
    let setting = Setting::new();
    let whole = setting.home.wherry(["run", &setting.module, SECRET]);
    let file = fs::read(setting.checkpoint(2)).expect("there");
    assert!(!contains(&file, SECRET));
    let plain = setting.home.file("plain.ckpt");
    let to = format!("--checkpoint-to={}", plain.display());
    let run = ["run", "--checkpoint-at=3000", &to, &setting.module, SECRET];
    setting.home.wherry(run).expect(CAPTURED);
    let plain = fs::read(&plain).expect("there");
    assert!(contains(&plain, SECRET), "as it is without a key");

    let id = setting.id_of(&setting.key);
    let file = setting.checkpoint(2).display().to_string();
    setting.refuses(["resume", &setting.id], CONFIG, &[&id, "--key"]);
    setting.refuses(["resume", &file], CONFIG, &[&id, "--key"]);
    let other = setting.home.file("other").display().to_string();
    setting.home.wherry(["key", "new", &other]).expect(0);
    let other_id = setting.id_of(&other);
    for what in [&setting.id, &file] {
        let arguments = ["resume", "--key", &other, what];
        setting.refuses(arguments, NO_PERMISSION, &[&id, &other_id]);
    }

    let rest = setting.resume(&[]);
    assert_eq!((rest.code, &rest.stderr[..]), (whole.code, ""));
    assert!(whole.text().ends_with(&rest.text()), "{whole:?}: {rest:?}");
}

#[test]
fn inspect_shows_the_outline_without_the_key_and_all_with_it() {
    let setting = Setting::new();
    let file = setting.checkpoint(2).display().to_string();
    let outline = setting.home.wherry(["inspect", &file]).expect(0).text();
    let id = setting.id_of(&setting.key);
    assert!(
        outline.contains(&id) && outline.contains("chunk index"),
        "{outline}"
    );
    assert!(!outline.contains(SECRET), "{outline}");
    let with_key = ["inspect", "--key", &setting.key, &file];
    let all = setting.home.wherry(with_key).expect(0).text();
    assert!(
        all.contains(SECRET) && all.contains("encrypted with"),
        "{all}"
    );
    // What is noted in the clear does not tell which state it is.
    let json = setting
        .home
        .wherry(["inspect", "--json", "--key", &setting.key, &file]);
    let json: Value = serde_json::from_str(&json.expect(0).text()).expect("JSON");
    let state = json["state_digest"].as_str().expect("a digest");
    let record = fs::read_to_string(setting.job().join("job.json")).expect("there");
    assert!(
        record.contains("keyed-sha256:") && !record.contains(state),
        "{record}"
    );
}

#[test]
fn a_damaged_or_forged_newest_one_falls_back() {
    let setting = Setting::new();
    let newest = setting.checkpoint(2);
    let good = fs::read(&newest).expect("there");
    // Another file of the same job, and one that is not encrypted.
    let first = fs::read(setting.checkpoint(1)).expect("there");
    let plain = setting.home.file("plain.ckpt");
    let to = format!("--checkpoint-to={}", plain.display());
    let run = ["run", "--checkpoint-at=5000", &to, &setting.module, SECRET];
    setting.home.wherry(run).expect(CAPTURED);
    let plain = fs::read(plain).expect("there");
    let mut flipped = good.clone();
    flipped[good.len() / 3] ^= 1;
    for bad in [flipped, good[..good.len() / 2].to_vec(), first, plain] {
        fs::write(&newest, &bad).expect("written");
        let strict = ["resume", "--strict", "--key", &setting.key, &setting.id];
        setting.refuses(strict, BAD_DATA, &["--checkpoint 1"]);
    }
    let done = setting.resume(&["--checkpoint-at=10"]).expect(CAPTURED);
    assert!(
        done.stderr.contains("goes on from checkpoint 1"),
        "{}",
        done.stderr
    );
    assert!(!contains(&fs::read(&newest).expect("a new one"), SECRET));
}

#[test]
fn a_job_that_gets_a_key_keeps_it() {
    let setting = Setting::new();
    let home = &setting.home;
    let file = home.file("job.ckpt").display().to_string();
    let to = format!("--checkpoint-to={file}");
    let run = ["run", "--checkpoint-at=1000", &to, &setting.module, SECRET];
    home.wherry(run).expect(CAPTURED);
    let resume = [
        "resume",
        "--key",
        &setting.key,
        "--checkpoint-at=1000",
        &to,
        &file,
    ];
    home.wherry(resume).expect(CAPTURED);
    assert!(!contains(&fs::read(&file).expect("there"), SECRET));
    setting.refuses(["resume", &file], CONFIG, &["--key"]);
}

/// A segment of a deterministic job is checked as if it were not encrypted.
#[test]
fn encrypted_checkpoints_are_verified() {
    let setting = Setting::new();
    let home = &setting.home;
    let file = |name: &str| home.file(name).display().to_string();
    let (first, second) = (file("1.ckpt"), file("2.ckpt"));
    let run = [
        "run",
        "--deterministic",
        "--key",
        &setting.key,
        "--checkpoint-at=1000",
    ];
    let to = ["--checkpoint-to", &first, &setting.module];
    home.wherry(run.into_iter().chain(to)).expect(CAPTURED);
    let resume = ["resume", "--key", &setting.key, "--checkpoint-at=1000"];
    let to = ["--checkpoint-to", &second, &first];
    home.wherry(resume.into_iter().chain(to)).expect(CAPTURED);
    home.wherry(["verify", "--key", &setting.key, &first, &second])
        .expect(0);
    setting.refuses(["verify", &first, &second], CONFIG, &["--key"]);
}

#[test]
fn keys_come_from_files_commands_and_the_environment() {
    let setting = Setting::new();
    let (home, key) = (&setting.home, &setting.key);
    let id = setting.id_of(key);
    let named = |done: Done| assert_eq!(done.expect(0).text().trim(), id);
    named(Done::of(home.command_with(
        "WHERRY_KEY_FILE",
        key,
        ["key", "id"],
    )));
    let command = format!("cat {key}");
    named(home.wherry(["key", "id", "--key-command", &command]));
    // Without a shell this is no second command, but names of files.
    let two = format!("cat {key} ; cat {key}");
    setting.refuses(
        ["key", "id", "--key-command", &two],
        CONFIG,
        &["exit status: 1"],
    );
    setting.refuses(
        ["key", "id", "--key-command", "false"],
        CONFIG,
        &["exit status: 1"],
    );
    let failing = home.write("fails", format!("cat {key}; exit 3"));
    let failing = format!("/bin/sh {}", failing.display());
    setting.refuses(
        ["key", "id", "--key-command", &failing],
        CONFIG,
        &["exit status: 3"],
    );

    setting.refuses(["key", "new", key], 73, &["exists"]);
    let short = home.write("short", "0123");
    fs::set_permissions(&short, Permissions::from_mode(0o600)).expect("ours");
    let short = short.display().to_string();
    setting.refuses(
        ["key", "id", "--key", &short],
        BAD_DATA,
        &["64 hexadecimal"],
    );
    for mode in [0o640, 0o604, 0o620] {
        fs::set_permissions(key, Permissions::from_mode(mode)).expect("ours");
        let arguments = ["resume", "--key", key, &setting.id];
        setting.refuses(arguments, NO_PERMISSION, &[key, "chmod 600"]);
    }
}
