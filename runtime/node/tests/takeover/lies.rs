//! What a job's process can say that is not so, and what must come of it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};
use wherry_node::{Ending, Error, Used};

use crate::attacker::{Attacker, checkpointed};
use crate::scene::Told;

/// A lie, and whether what came of it is what must.
pub(crate) struct Lie {
    pub(crate) name: &'static str,
    tell: fn(&mut Attacker),
    pub(crate) is_found_out: fn(&Told) -> bool,
}

macro_rules! lies {
    ($($name:ident: $found_out:expr;)*) => {
        &[$(Lie { name: stringify!($name), tell: $name, is_found_out: $found_out },)*]
    };
}

pub(crate) const LIES: &[Lie] = lies! {
    nothing_but_the_truth: |told| told.exited(0);
    checkpoints_that_were_left: |told| told.exited(0) && told.events == 3;
    a_checkpoint_for_the_user: |told| told.exited(0) && told.for_the_user() == b"for the user";
    a_checkpoint_in_another_job: |told| told.reports("permission denied");
    a_checkpoint_in_the_place_of_the_record: |told| told.reports("permission denied");
    a_checkpoint_that_is_not_there: |told| told.reports("no such file");
    a_checkpoint_that_is_a_link: |told| told.reports("no file of its own");
    a_checkpoint_that_is_a_directory: |told| told.reports("no file of its own");
    a_checkpoint_that_has_another_name: |told| told.reports("no file of its own");
    a_link_for_the_user: |told| told.reports("no file of its own");
    a_checkpoint_of_the_far_future: |told| told.is_nonsense("checkpoint 9223372036854775808");
    a_checkpoint_once_more: |told| told.is_nonsense("checkpoint 1 is written, where 2 is next");
    a_state_with_a_name_of_megabytes: |told| told.is_nonsense("a name that no state has");
    an_end_as_a_checkpoint_that_was_not_written: |told| told.is_nonsense("was not written");
    an_end_as_a_failure_with_a_checkpoint: |told| told.is_nonsense("without a checkpoint");
    an_end_as_a_success_that_failed: |told| told.is_nonsense("failed with success");
    two_ends: |told| told.exited(3);
    a_checkpoint_after_the_end: |told| told.exited(3) && told.events == 0;
    an_event_of_a_checkpoint: |told| told.is_nonsense("an event that it cannot see");
    a_limit_that_there_is_not: |told| told.is_nonsense("a limit that there is not");
    events_without_end: |told| told.exited(0) && told.events <= 1 << 17;
    long_events_without_end: |told| told.exited(0) && told.events <= 16;
    answers_that_nobody_asked_for: |told| told.exited(0);
    code_without_end: |told| told.is_nonsense("one compiled form after the other");
    code_of_a_form_that_there_is_not: |told| told.is_nonsense("expected a tuple");
    that_it_is_ready_again: |told| told.is_nonsense("it is ready, again");
    that_it_is_confined_again: |told| told.is_nonsense("it is confined, again");
    a_word_that_there_is_not: |told| told.is_nonsense("unknown variant");
    half_a_word: |told| told.is_nonsense("EOF");
    no_text: |told| told.is_nonsense("expected");
    parentheses_without_end: |told| told.is_nonsense("expected");
    a_message_that_is_too_long: |told| told.is_nonsense("too long");
    bytes_that_no_word_has: |told| told.is_nonsense("too long");
    half_a_message: Told::died;
    that_it_has_gone: Told::died;
    that_it_took_no_time: |told| told.record().used.is_some_and(|used| used.cpu_ms >= BURNT_MS);
};

/// CPU time that is used for nothing.
const BURNT_MS: u64 = 200;

/// Tells a lie, in the process of a job.
pub(crate) fn tell(name: &str, attacker: &mut Attacker) {
    let lie = LIES.iter().find(|lie| lie.name == name);
    (lie.expect("a lie").tell)(attacker);
}

/// Says how the run ended.
fn end(attacker: &mut Attacker, ending: &Value, suspended: &Value) {
    let used = Used::default();
    let ended = json!({ "ending": ending, "suspended": suspended, "used": used });
    attacker.say(&json!({ "Ended": ended }));
}

fn exit(attacker: &mut Attacker, code: u32) {
    end(attacker, &json!({ "Ok": { "Exited": code } }), &Value::Null);
}

/// Says that a checkpoint is somewhere, and reports what came of that.
fn claim(attacker: &mut Attacker, sequence: u64, path: &Path) {
    let noted = attacker.write(sequence, path);
    attacker.fail(&noted.unwrap_or_default().to_string());
}

fn nothing_but_the_truth(attacker: &mut Attacker) {
    exit(attacker, 0);
}

fn checkpoints_that_were_left(attacker: &mut Attacker) {
    for sequence in 1..=3 {
        attacker.leave("its own");
        let own = attacker.own(sequence);
        let noted = attacker.write(sequence, &own);
        if noted != Some(json!({ "Ok": null })) {
            return attacker.fail(&noted.unwrap_or_default().to_string());
        }
    }
    exit(attacker, 0);
}

/// Where the user wants checkpoints.
fn wanted(attacker: &Attacker) -> std::path::PathBuf {
    attacker.home().join(crate::scene::FOR_THE_USER)
}

fn a_checkpoint_for_the_user(attacker: &mut Attacker) {
    attacker.leave("for the user");
    let wanted = wanted(attacker);
    attacker.write(1, &wanted);
    exit(attacker, 0);
}

fn a_checkpoint_in_another_job(attacker: &mut Attacker) {
    attacker.leave("forged");
    let theirs = attacker.other().join("checkpoints/1");
    claim(attacker, 1, &theirs);
}

fn a_checkpoint_in_the_place_of_the_record(attacker: &mut Attacker) {
    attacker.leave("{}");
    let record = attacker.directory().join("checkpoints/../job.json");
    claim(attacker, 1, &record);
}

fn a_checkpoint_that_is_not_there(attacker: &mut Attacker) {
    let own = attacker.own(1);
    claim(attacker, 1, &own);
}

fn a_checkpoint_that_is_a_link(attacker: &mut Attacker) {
    let theirs = attacker.other().join("checkpoints/1");
    symlink(theirs, attacker.outgoing()).expect("it may");
    let own = attacker.own(1);
    claim(attacker, 1, &own);
}

fn a_checkpoint_that_is_a_directory(attacker: &mut Attacker) {
    fs::create_dir(attacker.outgoing()).expect("it may");
    fs::write(attacker.outgoing().join("file"), "").expect("it may");
    let own = attacker.own(1);
    claim(attacker, 1, &own);
}

fn a_checkpoint_that_has_another_name(attacker: &mut Attacker) {
    attacker.leave("to be changed later");
    let kept = attacker.directory().join("scratch/kept");
    fs::hard_link(attacker.outgoing(), kept).expect("it may");
    let own = attacker.own(1);
    claim(attacker, 1, &own);
}

fn a_link_for_the_user(attacker: &mut Attacker) {
    symlink("/etc/passwd", attacker.outgoing()).expect("it may");
    let wanted = wanted(attacker);
    claim(attacker, 1, &wanted);
}

fn a_checkpoint_of_the_far_future(attacker: &mut Attacker) {
    attacker.leave("its own");
    let own = attacker.own(1 << 63);
    claim(attacker, 1 << 63, &own);
}

fn a_checkpoint_once_more(attacker: &mut Attacker) {
    let own = attacker.own(1);
    for _ in 0..2 {
        attacker.leave("its own");
        attacker.write(1, &own);
    }
    exit(attacker, 0);
}

fn a_state_with_a_name_of_megabytes(attacker: &mut Attacker) {
    attacker.leave("its own");
    let mut written = checkpointed(1, &attacker.own(1));
    written["state_digest"] = format!("sha256:{}", "0f".repeat(1 << 20)).into();
    attacker.say(&json!({ "Written": written }));
    attacker.hear();
}

fn an_end_as_a_checkpoint_that_was_not_written(attacker: &mut Attacker) {
    let never = checkpointed(1, &attacker.other().join("checkpoints/1"));
    let suspended = json!({ "Ok": { "Suspended": ["Checkpoint", never] } });
    end(attacker, &suspended, &Value::Null);
}

fn an_end_as_a_failure_with_a_checkpoint(attacker: &mut Attacker) {
    let failure = json!({ "message": "", "hint": null, "exit": 74, "damage": false });
    end(attacker, &json!({ "Err": failure }), &json!("it is there"));
}

fn an_end_as_a_success_that_failed(attacker: &mut Attacker) {
    let failure = json!({ "message": "", "hint": null, "exit": 0, "damage": false });
    attacker.say(&json!({ "Failed": failure }));
}

fn two_ends(attacker: &mut Attacker) {
    exit(attacker, 3);
    exit(attacker, 0);
}

fn a_checkpoint_after_the_end(attacker: &mut Attacker) {
    attacker.leave("its own");
    let own = attacker.own(1);
    exit(attacker, 3);
    attacker.write(1, &own);
}

fn an_event_of_a_checkpoint(attacker: &mut Attacker) {
    let forged = checkpointed(1, &attacker.other().join("checkpoints/1"));
    attacker.say(&json!({ "Event": { "Checkpointed": forged } }));
}

fn a_limit_that_there_is_not(attacker: &mut Attacker) {
    attacker.say(&json!({ "Event": { "LimitReached": "\u{1b}[2Jpatience" } }));
}

fn events_without_end(attacker: &mut Attacker) {
    let event = json!({ "Event": { "LimitReached": "log" } });
    for _ in 0..200_000 {
        attacker.say(&event);
    }
    exit(attacker, 0);
}

fn long_events_without_end(attacker: &mut Attacker) {
    let event = json!({ "Event": { "CheckpointFailed": "x".repeat(1 << 20) } });
    for _ in 0..100 {
        attacker.say(&event);
    }
    exit(attacker, 0);
}

fn answers_that_nobody_asked_for(attacker: &mut Attacker) {
    for id in (0..1000).chain([u64::MAX]) {
        let forged = checkpointed(1, &attacker.other().join("checkpoints/1"));
        attacker.say(&json!({ "Answer": [id, { "checkpointed": forged }] }));
        attacker.say(&json!({ "Answer": [id, "killed"] }));
    }
    exit(attacker, 0);
}

fn code_without_end(attacker: &mut Attacker) {
    let request = json!({ "form": [false, false, false], "stack": [] });
    while attacker.say(&json!({ "NeedCode": request })) && attacker.hear().is_some() {}
}

fn code_of_a_form_that_there_is_not(attacker: &mut Attacker) {
    attacker.say(&json!({ "NeedCode": { "form": 1 << 31, "stack": [] } }));
}

fn that_it_is_ready_again(attacker: &mut Attacker) {
    attacker.say(&json!({ "Ready": { "without_gpu": null } }));
}

fn that_it_is_confined_again(attacker: &mut Attacker) {
    attacker.say(&json!({ "Confined": [] }));
}

fn a_word_that_there_is_not(attacker: &mut Attacker) {
    attacker.say(&json!({ "Deliver": ["/etc/passwd", "/etc/shadow"] }));
}

fn half_a_word(attacker: &mut Attacker) {
    attacker.raw(b"{\"Ended\": {");
    attacker.hear();
}

fn no_text(attacker: &mut Attacker) {
    attacker.raw(&[0xff, 0xfe, 0]);
}

fn parentheses_without_end(attacker: &mut Attacker) {
    let event = format!("{{\"Event\": {}", "[".repeat(1 << 20));
    attacker.raw(event.as_bytes());
}

fn a_message_that_is_too_long(attacker: &mut Attacker) {
    attacker.bytes(&[&(9_u32 << 20).to_le_bytes()[..], &[0; 8]].concat());
    attacker.hear();
}

fn bytes_that_no_word_has(attacker: &mut Attacker) {
    attacker.bytes(&[&2_u32.to_le_bytes()[..], &1_u64.to_le_bytes(), b"{}x"].concat());
    attacker.hear();
}

fn half_a_message(attacker: &mut Attacker) {
    attacker.bytes(&[&9_u32.to_le_bytes()[..], &[0; 8], b"{"].concat());
    std::process::abort();
}

/// It hangs up, and lives on.
fn that_it_has_gone(attacker: &mut Attacker) {
    attacker.hang_up();
    loop {
        std::hint::spin_loop();
    }
}

fn that_it_took_no_time(attacker: &mut Attacker) {
    let used = || {
        use rustix::time::{ClockId, clock_gettime};
        let time = clock_gettime(ClockId::ProcessCPUTime);
        time.tv_sec * 1000 + time.tv_nsec / 1_000_000
    };
    // The system counts in steps of ten milliseconds.
    while u64::try_from(used()).unwrap_or(0) < BURNT_MS + 10 {}
    exit(attacker, 0);
}

impl Told {
    pub(crate) fn exited(&self, code: u32) -> bool {
        matches!(self.ending, Ok(Ending::Exited(found)) if found == code)
    }

    /// The process says itself what came of it.
    pub(crate) fn reports(&self, what: &str) -> bool {
        let Err(Error::Failed(failure)) = &self.ending else {
            return false;
        };
        let is_refusal = failure.message.contains("Err");
        is_refusal && failure.message.to_lowercase().contains(what)
    }

    pub(crate) fn is_nonsense(&self, what: &str) -> bool {
        matches!(&self.ending, Err(Error::Nonsense { what: said }) if said.contains(what))
    }

    pub(crate) fn died(&self) -> bool {
        matches!(self.ending, Err(Error::Died { .. }))
    }
}
