//! What runs in the place of a job's process: started as that is and confined as that is, and then
//! in the hands of an attacker. It shares no code with what it attacks but the confinement.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use wherry_sandbox::{Confinement, passed_on};

use crate::attempts::{self, ATTEMPTS, REMAINS, WORKS};
use crate::{lies, own};

/// What the process of a job is called.
pub(crate) const NAME: &str = "wherry-job";

/// Comes before the plan, in the module.
pub(crate) const PLAN: &str = "the plan: ";

/// The plan to try everything natively. All others are lies.
pub(crate) const ATTEMPT: &str = "attempt";

/// The process of a job, taken over.
pub(crate) struct Attacker {
    stream: UnixStream,
    /// What it was told first.
    pub(crate) first: Value,
}

/// Does what the module says.
pub(crate) fn serve() {
    let number = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let stream = passed_on(number.expect("a descriptor")).expect("it was passed on");
    let mut attacker = Attacker {
        stream: UnixStream::from(stream),
        first: Value::Null,
    };
    attacker.first = attacker.hear().expect("the first message").0;
    let (_, module) = attacker.hear().expect("the module");
    attempts::look_around();
    let confinement: Confinement =
        serde_json::from_value(attacker.first["confinement"].clone()).expect("a confinement");
    let report = confinement.apply().expect("it is confined");
    attacker.say(&json!({ "Confined": report }));
    let module = String::from_utf8_lossy(&module).into_owned();
    let (_, plan) = module.split_once(PLAN).expect("a plan");
    if plan == ATTEMPT {
        let done = attempt_all(&attacker);
        attacker.fail(&serde_json::to_string(&done).expect("JSON"));
    } else {
        attacker.say(&json!({ "Ready": { "without_gpu": null } }));
        while attacker.hear().expect("an order").0.get("Run").is_none() {}
        lies::tell(plan, &mut attacker);
    }
}

/// What came of each attempt: an error's number, 0 if it worked.
fn attempt_all(attacker: &Attacker) -> Vec<(String, i32)> {
    let directory = attacker.directory();
    let code = |done: io::Result<()>| match done {
        Ok(()) => 0,
        Err(error) => error.raw_os_error().unwrap_or(-1),
    };
    let all = ATTEMPTS.iter().chain(WORKS).chain(REMAINS);
    let known = all.filter(|attempt| own::is_tried(attempt));
    let mut done: Vec<_> = known
        .map(|attempt| (attempt.name.to_owned(), code((attempt.action)(&directory))))
        .collect();
    let known = own::ATTEMPTS.iter();
    done.extend(known.map(|(name, action)| ((*name).to_owned(), code(action(attacker)))));
    done
}

impl Attacker {
    /// The job's directory.
    pub(crate) fn directory(&self) -> PathBuf {
        PathBuf::from(self.first["directory"].as_str().expect("a path"))
    }

    /// Where checkpoints are left.
    pub(crate) fn outgoing(&self) -> PathBuf {
        self.directory().join("outgoing/checkpoint")
    }

    /// A directory of another job.
    pub(crate) fn other(&self) -> PathBuf {
        self.home().join("jobs").join(crate::OTHER)
    }

    pub(crate) fn home(&self) -> PathBuf {
        let directory = self.directory();
        let home = directory.parent().and_then(Path::parent);
        home.expect("a home").to_owned()
    }

    /// A message with its bytes, or nothing if the other side has gone.
    pub(crate) fn hear(&mut self) -> Option<(Value, Vec<u8>)> {
        let (mut length, mut count) = ([0; 4], [0; 8]);
        self.stream.read_exact(&mut length).ok()?;
        self.stream.read_exact(&mut count).ok()?;
        let mut text = vec![0; u32::from_le_bytes(length) as usize];
        let mut bytes = vec![0; usize::try_from(u64::from_le_bytes(count)).ok()?];
        self.stream.read_exact(&mut text).ok()?;
        self.stream.read_exact(&mut bytes).ok()?;
        Some((serde_json::from_slice(&text).expect("JSON"), bytes))
    }

    /// Says something. Returns whether anybody listens.
    pub(crate) fn say(&mut self, word: &Value) -> bool {
        self.raw(word.to_string().as_bytes())
    }

    /// Says something that may not even be a word.
    pub(crate) fn raw(&mut self, text: &[u8]) -> bool {
        let length = u32::try_from(text.len()).expect("short");
        self.bytes(&[&length.to_le_bytes()[..], &[0; 8], text].concat())
    }

    /// Says something that may not even be a message.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Closes the channel.
    pub(crate) fn hang_up(&mut self) {
        let (unused, _other) = std::io::pipe().expect("it may");
        self.stream = UnixStream::from(std::os::fd::OwnedFd::from(unused));
    }

    /// Says that the job failed, which is how it reports.
    pub(crate) fn fail(&mut self, message: &str) {
        let failure = json!({ "message": message, "hint": null, "exit": 70, "damage": false });
        self.say(&json!({ "Failed": failure }));
    }

    /// Says that a checkpoint was written. Returns what comes of it.
    pub(crate) fn write(&mut self, sequence: u64, path: &Path) -> Option<Value> {
        let written = checkpointed(sequence, path);
        if !self.say(&json!({ "Written": written })) {
            return None;
        }
        Some(self.hear()?.0["Noted"].clone())
    }

    /// A file where checkpoints are left.
    pub(crate) fn leave(&self, content: &str) {
        fs::write(self.outgoing(), content).expect("it may");
    }

    /// The path of the job's own checkpoint.
    pub(crate) fn own(&self, sequence: u64) -> PathBuf {
        self.directory().join(format!("checkpoints/{sequence}"))
    }
}

pub(crate) fn checkpointed(sequence: u64, path: &Path) -> Value {
    json!({
        "sequence": sequence,
        "path": path,
        "state_digest": format!("sha256:{}", "0f".repeat(32)),
        "bytes": 7,
        "raw_bytes": 7,
        "pause_us": 1,
        "write_us": 1,
        "form": "full",
        "tracking": null,
        "at": 1,
    })
}
