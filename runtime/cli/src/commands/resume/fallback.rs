//! Going on with a job of this machine: from its newest checkpoint, or from the one before if
//! that is damaged.

use anyhow::{Context as _, Error};
use serde_json::{Value, json};
use wherry_node::{ActiveJob, Checkpoint, End, JobInfo, Standing, Status, open_checkpoint};
use wherry_snapshot::{Error as SnapshotError, Key};

use super::{Opened, Ready, Resume, scratch_of};
use crate::commands::Context;
use crate::exit;
use crate::failure::{self, Refusal, warn};
use crate::launch::Launch;
use crate::output::time;

/// A checkpoint that cannot be used, and why.
struct Damaged {
    checkpoint: Checkpoint,
    reason: Error,
}

/// Why a job does not go on from a checkpoint.
enum Refused {
    /// The file is missing or damaged. An older one may do.
    Damaged(Error),
    /// Something else is missing, which an older one needs as well.
    Elsewhere(Error),
}

impl Resume {
    /// Goes on with the job that was named.
    pub(super) fn job(&self, context: &Context, launch: Launch) -> anyhow::Result<u8> {
        let name = &self.what;
        let job = context.home.jobs().find(name);
        let job = job.with_context(|| format!("`{name}` is neither a file nor a job"))?;
        self.known(context, launch, job)
    }

    /// Goes on with a job.
    pub(in crate::commands) fn known(
        &self,
        context: &Context,
        launch: Launch,
        job: JobInfo,
    ) -> anyhow::Result<u8> {
        let mut active = job.activate()?;
        refuse_ended(&active)?;
        require_key(&active, launch.key.as_ref())?;
        let candidates = self.candidates(&active)?;
        let socket = launch.listen(&active)?;
        let mut damaged = Vec::new();
        let found = self.first_good(context, &launch, &mut active, candidates, &mut damaged);
        let (from, ready) = match found {
            Ok(found) => found,
            Err(error) => {
                // It is suspended as before.
                active.remove_scratch()?;
                return Err(error);
            }
        };
        let report = set_aside(&mut active, &from, ready.sequence, damaged)?;
        if !context.output.json && !report.is_empty() {
            warn(loss(&active, &from, &report));
        }
        let from = value(&from);
        self.go_on(context, launch, active, ready, socket, from, &report)
    }

    /// What the job could go on from, the newest first.
    fn candidates(&self, active: &ActiveJob) -> anyhow::Result<Vec<Checkpoint>> {
        let (id, mut all) = (&active.record.id, active.checkpoints()?);
        all.retain(Checkpoint::is_usable);
        all.reverse();
        if all.is_empty() {
            let message = format!("the job {id} has no checkpoint");
            let hint = "run it again; --checkpoint-after DURATION --continue makes checkpoints";
            return Err(Refusal::new(exit::NO_INPUT, message).hint(hint).into());
        }
        if let Some(wanted) = self.checkpoint {
            all.retain(|one| one.sequence == wanted);
            if all.is_empty() {
                let message = format!("the job {id} has no checkpoint {wanted}");
                let hint = format!("`wherry checkpoints {id}` lists them");
                return Err(Refusal::new(exit::NO_INPUT, message).hint(hint).into());
            }
        }
        Ok(all)
    }

    /// The first of `candidates` that can be used. Those before it are `damaged`.
    fn first_good(
        &self,
        context: &Context,
        launch: &Launch,
        active: &mut ActiveJob,
        candidates: Vec<Checkpoint>,
        damaged: &mut Vec<Damaged>,
    ) -> anyhow::Result<(Checkpoint, Ready)> {
        let strict = self.strict || self.checkpoint.is_some();
        let lent = active.record.mounts.clone();
        for candidate in candidates {
            active.record.mounts.clone_from(&lent);
            match self.attempt(context, launch, active, &candidate) {
                Ok(ready) => return Ok((candidate, ready)),
                Err(Refused::Elsewhere(error)) => {
                    let path = candidate.path.display();
                    return Err(error.context(format!("cannot resume {path}")));
                }
                Err(Refused::Damaged(reason)) => {
                    if !strict && !context.output.json {
                        warn(complaint(active, &candidate, &reason));
                    }
                    let checkpoint = candidate;
                    damaged.push(Damaged { checkpoint, reason });
                }
            }
            if strict {
                break;
            }
        }
        Err(self.nothing_good(active, damaged)?.into())
    }

    fn attempt(
        &self,
        context: &Context,
        launch: &Launch,
        active: &mut ActiveJob,
        candidate: &Checkpoint,
    ) -> Result<Ready, Refused> {
        let reader = open_checkpoint(&candidate.path, launch.key.as_ref());
        let reader = reader.map_err(|error| match error {
            SnapshotError::KeyNeeded { .. } | SnapshotError::WrongKey { .. } => {
                Refused::Elsewhere(error.into())
            }
            error => Refused::Damaged(error.into()),
        })?;
        let contents = reader.contents();
        candidate
            .check(&active.record, &reader)
            .map_err(|error| Refused::Damaged(error.into()))?;
        let wasm = self.module_of(context, contents);
        let wasm = wasm.map_err(Refused::Elsewhere)?;
        let mounts = self.mounts(&active.record.mounts, contents);
        active.record.mounts = mounts.map_err(Refused::Elsewhere)?;
        active.record.scratch = scratch_of(contents);
        let build_on = candidate.standing == Standing::Own;
        let from = Opened {
            reader: &reader,
            build_on,
        };
        let node = self
            .policy
            .load(&context.home)
            .map_err(Refused::Elsewhere)?;
        let ready = self.ready(context, launch, active, &from, wasm, node);
        ready.map_err(|error| {
            if error.chain().any(failure::is_damage) {
                Refused::Damaged(error)
            } else {
                Refused::Elsewhere(error)
            }
        })
    }

    /// Says that there is nothing to go on from, and what can be done.
    fn nothing_good(&self, active: &ActiveJob, damaged: &[Damaged]) -> anyhow::Result<Refusal> {
        let id = &active.record.id;
        let reasons: Vec<_> = damaged
            .iter()
            .map(|one| complaint(active, &one.checkpoint, &one.reason))
            .collect();
        let code = damaged
            .first()
            .map_or(exit::BAD_DATA, |newest| failure::exit_code(&newest.reason));
        let refusal = Refusal::new(code, reasons.join("; "));
        let tried = |one: &Checkpoint| damaged.iter().any(|tried| tried.checkpoint == *one);
        let mut others = active.checkpoints()?;
        others.retain(|one| one.is_usable() && one.bytes.is_some() && !tried(one));
        Ok(refusal.hint(match others.last() {
            Some(other) => format!(
                "`wherry resume --checkpoint {} {id}` goes on from the one of {}; `wherry checkpoints {id}` lists them",
                other.sequence,
                made(other),
            ),
            None => format!("the job {id} has no other checkpoint"),
        }))
    }
}

fn refuse_ended(active: &ActiveJob) -> anyhow::Result<()> {
    let id = &active.record.id;
    match &active.record.status {
        Status::Ended { end, .. } if matches!(end, End::Exited(_) | End::Trapped(_)) => {
            let message = format!("the job {id} has ended: it {end}");
            let hint = "a file that it kept can be resumed as another job: `wherry resume FILE`";
            Err(Refusal::new(exit::NO_INPUT, message).hint(hint).into())
        }
        _ => Ok(()),
    }
}

/// What was encrypted once is not written in the clear because somebody forgot the key.
fn require_key(active: &ActiveJob, given: Option<&Key>) -> anyhow::Result<()> {
    let (id, given) = (&active.record.id, given.map(|key| key.id().to_string()));
    let Some(wanted) = &active.record.key else {
        return Ok(());
    };
    let (code, message) = match given {
        Some(given) if given == *wanted => return Ok(()),
        Some(given) => {
            let message = format!("the job {id} is encrypted with the key {wanted}, not {given}");
            (exit::NO_PERMISSION, message)
        }
        None => {
            let message = format!("the job {id} is encrypted with the key {wanted}");
            (exit::CONFIG, message)
        }
    };
    Err(Refusal::new(code, message).hint(failure::GIVE_KEY).into())
}

fn complaint(active: &ActiveJob, one: &Checkpoint, reason: &Error) -> String {
    let (id, path) = (&active.record.id, one.path.display());
    let reason = failure::message(reason);
    let place = if reason.contains(&path.to_string()) {
        String::new()
    } else {
        format!("{path}: ")
    };
    let sequence = one.sequence;
    format!("checkpoint {sequence} of the job {id} cannot be used: {place}{reason}")
}

/// What the user loses by going on from an older checkpoint.
fn loss(active: &ActiveJob, from: &Checkpoint, damaged: &[Value]) -> String {
    let (id, sequence) = (&active.record.id, from.sequence);
    let newest = damaged.first().and_then(|newest| newest["at"].as_u64());
    let until = newest.map_or_else(|| "then".to_owned(), time);
    let lost = newest
        .zip(from.at)
        .map_or_else(String::new, |(newest, at)| {
            let lost = std::time::Duration::from_millis(newest.saturating_sub(at));
            format!(" ({})", humantime::format_duration(lost))
        });
    format!(
        "the job {id} goes on from checkpoint {sequence}, made {}: what it did from then until {until}{lost} is lost, and done again",
        made(from),
    )
}

fn made(one: &Checkpoint) -> String {
    one.at.map_or_else(|| "at an unknown time".to_owned(), time)
}

/// Sets aside what cannot be used. Returns what programs are told of it.
fn set_aside(
    active: &mut ActiveJob,
    from: &Checkpoint,
    sequence: u64,
    damaged: Vec<Damaged>,
) -> anyhow::Result<Vec<Value>> {
    let checkpoints: Vec<_> = damaged.iter().map(|one| one.checkpoint.clone()).collect();
    // An older version's has no number in its name.
    let sequence = sequence.max(from.sequence);
    let aside = active.go_on_from(sequence, &checkpoints)?;
    let told = damaged.into_iter().zip(aside).map(|(one, aside)| {
        let mut told = value(&one.checkpoint);
        told["reason"] = failure::message(&one.reason).into();
        told["set_aside"] = json!(aside);
        told
    });
    Ok(told.collect())
}

/// A checkpoint for programs.
fn value(one: &Checkpoint) -> Value {
    let state = one.noted.as_ref().map(|noted| &noted.state_digest);
    json!({ "sequence": one.sequence, "path": one.path, "at": one.at, "state": state })
}
