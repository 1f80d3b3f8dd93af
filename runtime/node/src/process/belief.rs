//! How far the process that runs a job is believed: it may be in a stranger's hands. What it says can
//! cost the one that answers for the job neither memory, disk nor work without end, and is about its
//! own job.

use super::message::{Ended, Word};
use crate::{Checkpointed, Ending, Error, Event, Failure, Record};

/// More than any word. What of it is kept in the record leaves that readable.
pub(super) const MAX_WORD: u32 = 8 << 20;

/// What a job reaches, by the names that it has in events.
const LIMITS: [&str; 5] = ["memory", "scratch", "files", "output", "log"];

/// Bytes of events that are passed on in a run. A job that has more to complain of has told enough.
const MOST_TOLD: usize = 16 << 20;

/// What one event counts at least: its name and its braces are written, too.
const LEAST_TOLD: usize = 128;

/// Compiled forms that are made or fetched for a run: it needs one, and two if it goes on from a
/// checkpoint of a form that has changed.
const MOST_FORMS: u32 = 16;

/// What the process of a job has said in a run.
#[derive(Default)]
pub(super) struct Belief {
    /// The last checkpoint that was noted before.
    last: u64,
    written: Option<Checkpointed>,
    told: usize,
    forms: u32,
}

impl Belief {
    /// Before a run of the job that `record` describes.
    pub(super) fn before(record: &Record) -> Self {
        let from = record.resumed_from.as_ref();
        Belief {
            last: from.map_or(0, |(sequence, _)| *sequence),
            ..Belief::default()
        }
    }

    /// Whether an event is passed on.
    ///
    /// # Errors
    /// The process of a job does not see such things.
    pub(super) fn event(&mut self, event: &Event) -> Result<bool, Error> {
        let length = match event {
            Event::CheckpointFailed(why) => why.len(),
            Event::LimitReached(limit) if LIMITS.contains(&limit.as_str()) => limit.len(),
            Event::LimitReached(_) => return Err(nonsense("it reached a limit that there is not")),
            Event::Checkpointed(_) | Event::NotDeleted(_) => {
                return Err(nonsense("an event that it cannot see"));
            }
        };
        let told = self.told.saturating_add(length.max(LEAST_TOLD));
        if told > MOST_TOLD {
            return Ok(false);
        }
        self.told = told;
        Ok(true)
    }

    /// Counts a compiled form that it asks for.
    ///
    /// # Errors
    /// There were too many.
    pub(super) fn form(&mut self) -> Result<(), Error> {
        self.forms += 1;
        match self.forms > MOST_FORMS {
            true => Err(nonsense("it needs one compiled form after the other")),
            false => Ok(()),
        }
    }

    /// Checks what it says of a checkpoint, before the file is looked at.
    ///
    /// # Errors
    /// It is not the next one, or its state has no name that a state can have.
    pub(super) fn checkpoint(&self, done: &Checkpointed) -> Result<(), Error> {
        let next = self.last.saturating_add(1);
        if done.sequence != next {
            let sequence = done.sequence;
            return Err(nonsense(&format!(
                "checkpoint {sequence} is written, where {next} is next"
            )));
        }
        if !is_name(&done.state_digest) {
            return Err(nonsense("a state with a name that no state has"));
        }
        if done.tracking.as_ref().is_some_and(|how| how.len() > 32) {
            return Err(nonsense("pages were found in a way that there is not"));
        }
        Ok(())
    }

    /// A checkpoint is noted.
    pub(super) fn noted(&mut self, done: &Checkpointed) {
        self.last = done.sequence;
        self.written = Some(done.clone());
    }

    /// Checks how it says that the run ended.
    ///
    /// # Errors
    /// It is suspended without the checkpoint that it names.
    pub(super) fn ended(&self, ended: &Ended) -> Result<(), Error> {
        match &ended.ending {
            Err(failure) if failure.exit == 0 => Err(nonsense(SUCCESSFUL)),
            Ok(Ending::Suspended(_, named)) => self.has_written(named),
            Ok(Ending::Killed(Some(named))) => self.has_written(named),
            _ if ended.suspended.is_some() && self.written.is_none() => {
                Err(nonsense("it is suspended without a checkpoint"))
            }
            _ => Ok(()),
        }
    }

    /// Takes what it says of why it cannot go on.
    pub(super) fn failed(failure: Failure) -> Error {
        match failure.exit {
            0 => nonsense(SUCCESSFUL),
            _ => Error::Failed(failure),
        }
    }

    fn has_written(&self, named: &Checkpointed) -> Result<(), Error> {
        match self.written.as_ref() == Some(named) {
            true => Ok(()),
            false => Err(nonsense(
                "it is suspended as a checkpoint that was not written",
            )),
        }
    }
}

/// Whoever asks for the exit code would take it for the end of the job.
const SUCCESSFUL: &str = "it failed with success";

/// Whether a state can have this name.
fn is_name(name: &str) -> bool {
    let digits = name.strip_prefix("keyed-").unwrap_or(name);
    let digits = digits.strip_prefix("sha256:").unwrap_or_default();
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    digits.len() == 64 && digits.bytes().all(is_digit)
}

/// A word that comes at the wrong time.
pub(super) fn out_of_turn(word: &Word) -> Error {
    nonsense(match word {
        Word::Confined(_) => "it is confined, again",
        Word::NeedCode(_) => "it needs code, before it runs",
        Word::Ready { .. } => "it is ready, again",
        Word::Failed(_) => "it failed, before it began",
        Word::Event(_) => "an event, before it runs",
        Word::Answer(..) => "an answer, before it runs",
        Word::Written(_) => "a checkpoint, before it runs",
        Word::Ended(_) => "it has ended, before it runs",
    })
}

/// What the process says cannot be.
pub(super) fn nonsense(what: &str) -> Error {
    Error::Nonsense {
        what: what.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_states() {
        let digits = "0f".repeat(32);
        assert!(is_name(&format!("sha256:{digits}")));
        assert!(is_name(&format!("keyed-sha256:{digits}")));
        for other in ["", "sha256:", &digits, &format!("sha256:{digits}0")] {
            assert!(!is_name(other), "{other}");
        }
        assert!(!is_name(&format!("sha256:{}", digits.to_uppercase())));
    }

    #[test]
    fn events_without_end_are_passed_on_to_an_end() {
        let record = Record::new("w".into(), "sha256:00".into(), Vec::new());
        let mut belief = Belief::before(&record);
        let long = Event::CheckpointFailed("x".repeat(1 << 20));
        let passed = (0..1000).filter(|_| belief.event(&long).unwrap());
        assert_eq!(passed.count(), MOST_TOLD >> 20);
        let mut belief = Belief::before(&record);
        let short = Event::LimitReached("log".to_owned());
        let passed = (0..1_000_000).filter(|_| belief.event(&short).unwrap());
        assert_eq!(passed.count(), MOST_TOLD / LEAST_TOLD);
    }
}
