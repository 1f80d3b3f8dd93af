//! Checking somebody's claim about a deterministic job: that it was in one state and then, so
//! many safepoints later, in another. The segment in between is run again and compared.

use std::io::{self, Read, Seek, Write};
use std::time::Duration;

use wherry_snapshot::{Blob, BlobSource, CHUNK_SIZE, Contents, Digest, Profile, Reader};
use wherry_wasi::Content;

use crate::difference::differences;
use crate::{
    Control, Difference, Error, Job, Limits, Module, Outcome, Reason, Settings, wasi_state,
};

/// What came of running a segment again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// Safepoints that the job had passed at the earlier and at the later checkpoint.
    pub positions: (u64, u64),
    /// State digests of the earlier and of the later checkpoint.
    pub states: (Digest, Digest),
    /// Whether the later checkpoint says that it is the very next one. Otherwise those in
    /// between are unknown.
    pub adjacent: bool,
    /// What came out.
    pub result: Rerun,
}

/// What came out of running a segment again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rerun {
    /// The state that the later checkpoint holds.
    Same,
    /// Another one.
    Different {
        /// Its state digest.
        found: Digest,
        /// What differs.
        differences: Vec<Difference>,
    },
    /// The job does not get that far.
    Ended(Outcome),
}

/// Goes on from `earlier` to the position of `later`, and compares the states. `settings` are
/// what the job is lent for it; its limits of time are not applied. What it is captured in is
/// `capture`, an empty file.
///
/// # Errors
/// A checkpoint is of no deterministic job, `later` does not say that it comes after
/// `earlier`, either is damaged, or the segment cannot be run here.
pub fn verify<A: Read + Seek + Send, B: Read + Seek + Send>(
    module: &Module,
    earlier: &Reader<A>,
    later: &Reader<B>,
    settings: Settings,
    mut capture: impl Read + Write + Seek + Send,
) -> Result<Verification, Error> {
    let (from, to) = (profile(earlier)?, profile(later)?);
    let steps = check_succession(earlier, later, from, to)?;
    check_chunks(later)?;
    let limits = Limits {
        wall: Some(Duration::MAX),
        cpu: Some(Duration::MAX),
        ..Limits::default()
    };
    let settings = Settings {
        limits,
        countdown: Some(steps),
        ..settings
    };
    let mut job = Job::resume(module, earlier, settings, &Control::new()?)?;
    let result = match job.run()? {
        Outcome::Stopped(Reason::Countdown) => {
            job.checkpoint(&mut capture)?;
            let found = Reader::open_sealed(capture, job.key(), |_| Ok(None))?;
            compare(later, &found)?
        }
        outcome => Rerun::Ended(outcome),
    };
    Ok(Verification {
        positions: (from.position, to.position),
        states: (earlier.state_digest(), later.state_digest()),
        adjacent: is_next(earlier.contents(), later.contents()),
        result,
    })
}

fn compare<A: Read + Seek + Send, B: Read + Seek + Send>(
    expected: &Reader<A>,
    found: &Reader<B>,
) -> Result<Rerun, Error> {
    if expected.state_digest() == found.state_digest() {
        return Ok(Rerun::Same);
    }
    Ok(Rerun::Different {
        found: found.state_digest(),
        differences: differences(expected, found)?,
    })
}

fn profile<R: Read + Seek + Send>(checkpoint: &Reader<R>) -> Result<Profile, Error> {
    let profile = checkpoint.contents().profile;
    profile.ok_or_else(|| not_comparable("a checkpoint is not of a deterministic job"))
}

/// Checks what the checkpoints say of each other, and returns how many safepoints lie between.
fn check_succession<A: Read + Seek + Send, B: Read + Seek + Send>(
    earlier: &Reader<A>,
    later: &Reader<B>,
    from: Profile,
    to: Profile,
) -> Result<u64, Error> {
    let (first, second) = (earlier.contents(), later.contents());
    if first.workload != second.workload {
        return Err(not_comparable("they are of different workloads"));
    }
    if to
        != (Profile {
            position: to.position,
            ..from
        })
    {
        return Err(not_comparable("they are of jobs that started differently"));
    }
    let steps = to.position.checked_sub(from.position);
    let steps = steps.filter(|steps| *steps > 0);
    let steps = steps.ok_or_else(|| {
        let (from, to) = (from.position, to.position);
        not_comparable(&format!(
            "the first is at safepoint {from}, the second at {to}"
        ))
    })?;
    if second.lineage.sequence <= first.lineage.sequence {
        let (first, second) = (first.lineage.sequence, second.lineage.sequence);
        return Err(not_comparable(&format!(
            "the first is number {first} of its job, the second number {second}"
        )));
    }
    if is_next(first, second) && second.lineage.parent != Some(earlier.state_digest()) {
        return Err(not_comparable(
            "the second names another checkpoint as the one before it",
        ));
    }
    Ok(steps)
}

fn is_next(first: &Contents, second: &Contents) -> bool {
    second.lineage.sequence == first.lineage.sequence.saturating_add(1)
}

fn not_comparable(reason: &str) -> Error {
    Error::NotComparable {
        reason: reason.to_owned(),
    }
}

/// Reads content: whether the checkpoint or the disk is to blame is told apart.
pub(crate) fn read<R: Read + Seek + Send>(
    checkpoint: &Reader<R>,
    blob: &Blob,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let read = checkpoint.read(blob, out);
    read.map_err(|error| match error.downcast::<wherry_snapshot::Error>() {
        Ok(error) => Error::Checkpoint(error),
        Err(error) => Error::Io(error),
    })
}

/// Reads all content, which checks it: the digests in a state are a claim until then.
fn check_chunks<R: Read + Seek + Send>(checkpoint: &Reader<R>) -> Result<(), Error> {
    let contents = checkpoint.contents();
    let check = |blob: &Blob| read(checkpoint, blob, &mut io::sink());
    for run in contents.memories.iter().flat_map(|memory| &memory.runs) {
        check(&Blob {
            len: run.pages.len() as u64 * CHUNK_SIZE as u64,
            digests: run.pages.clone(),
        })?;
    }
    let state = wasi_state(contents)?;
    for node in state.scratch.values() {
        if let Content::File(blob) = &node.content {
            check(blob)?;
        }
    }
    for blob in state
        .orphans
        .iter()
        .filter_map(|orphan| orphan.content.as_ref())
    {
        check(blob)?;
    }
    Ok(())
}
