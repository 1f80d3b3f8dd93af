//! Which of its checkpoints a job keeps.

use std::fmt;
use std::fs;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::checkpoints::{self, Aside, Checkpoint, Standing};
use crate::store::ignore_missing;
use crate::{ActiveJob, Checkpointed, Error, bases};

/// Which of its own checkpoints a job keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// The newest ones, as many.
    pub last: NonZeroU32,
    /// Those whose number is a multiple of this, even after the job has ended.
    pub every: Option<NonZeroU64>,
}

impl Default for Retention {
    /// The newest, and the one before in case that the newest is damaged.
    fn default() -> Self {
        let last = NonZeroU32::MIN.saturating_add(1);
        Retention { last, every: None }
    }
}

/// Why a checkpoint is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The job goes on from it.
    Newest,
    /// It is one of the last, of which the job keeps as many.
    Last(u32),
    /// Its number is a multiple of this one.
    Every(u64),
    /// This one, which is kept, builds on it.
    Base(u64),
    /// It went where the user wanted it.
    Elsewhere,
    /// It was set aside, and the job has not come as far again.
    Aside,
}

impl Retention {
    /// Why each of `checkpoints`, which are in order, is kept; none for one that is not. Reads
    /// in their files what they build on.
    #[must_use]
    pub fn sort(&self, checkpoints: &[Checkpoint]) -> Vec<Option<Why>> {
        with_bases(checkpoints, self.by_number(checkpoints))
    }

    /// Why each of the checkpoints of a job that has exited is kept.
    pub(crate) fn sort_for_ever(&self, checkpoints: &[Checkpoint]) -> Vec<Option<Why>> {
        let reason = |one: &Checkpoint| match one.standing {
            Standing::Elsewhere => Some(Why::Elsewhere),
            Standing::Aside(_) => None,
            Standing::Own => self.reason_for_ever(one.sequence),
        };
        with_bases(checkpoints, checkpoints.iter().map(reason).collect())
    }

    fn by_number(&self, checkpoints: &[Checkpoint]) -> Vec<Option<Why>> {
        let newest = checkpoints
            .iter()
            .rfind(|one| one.is_usable())
            .map_or(0, |newest| newest.sequence);
        let mut own = 0;
        let reasons = checkpoints.iter().rev().map(|one| match one.standing {
            Standing::Elsewhere => Some(Why::Elsewhere),
            Standing::Aside(_) => (one.sequence > newest).then_some(Why::Aside),
            // Somebody else has deleted it.
            Standing::Own if one.bytes.is_none() => None,
            Standing::Own => {
                own += 1;
                self.reason(one.sequence, own)
            }
        });
        let mut reasons: Vec<_> = reasons.collect();
        reasons.reverse();
        reasons
    }

    /// Why the job's own checkpoint with this number is kept, the `nth` from the end.
    fn reason(&self, sequence: u64, nth: u32) -> Option<Why> {
        if nth == 1 {
            return Some(Why::Newest);
        }
        if nth <= self.last.get() {
            return Some(Why::Last(self.last.get()));
        }
        self.reason_for_ever(sequence)
    }

    /// Why a checkpoint outlives its job.
    fn reason_for_ever(&self, sequence: u64) -> Option<Why> {
        let every = self.every?.get();
        (sequence > 0 && sequence.is_multiple_of(every)).then_some(Why::Every(every))
    }
}

/// Keeps what something that is kept builds on.
fn with_bases(checkpoints: &[Checkpoint], mut reasons: Vec<Option<Why>>) -> Vec<Option<Why>> {
    let kept: Vec<bool> = reasons.iter().map(Option::is_some).collect();
    let needed = bases::needed_by(checkpoints, &kept);
    for (reason, needed) in reasons.iter_mut().zip(needed) {
        *reason = reason.take().or(needed.map(Why::Base));
    }
    reasons
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Newest => f.write_str("newest"),
            Why::Last(count) => write!(f, "one of the last {count}"),
            Why::Every(every) => write!(f, "one of every {every}"),
            Why::Base(sequence) => write!(f, "{sequence} builds on it"),
            Why::Elsewhere => f.write_str("the user's own file"),
            Why::Aside => f.write_str("set aside, nothing newer yet"),
        }
    }
}

impl ActiveJob {
    /// Notes a checkpoint that is on the disk. Returns those that the job keeps no longer, and
    /// which are to be deleted now.
    pub(crate) fn keep(&mut self, done: Checkpointed) -> Result<Vec<Checkpoint>, Error> {
        let directory = self.directory().to_owned();
        self.record
            .note(done, |one| one.path.starts_with(&directory));
        let mut doomed = self.not_kept()?;
        doomed.retain(|one| one.standing == Standing::Own);
        self.forget(&doomed);
        // First the record: a file that nobody knows is found, one that is gone is missed.
        self.save(true)?;
        Ok(doomed)
    }

    /// The checkpoints that the job does not keep.
    pub(crate) fn not_kept(&self) -> Result<Vec<Checkpoint>, Error> {
        let all = self.checkpoints()?;
        let reasons = self.record.retention.sort(&all);
        let all = all.into_iter().zip(reasons);
        Ok(all
            .filter_map(|(one, why)| why.is_none().then_some(one))
            .collect())
    }

    /// Deletes the checkpoints that are of no use when the job has exited.
    pub(crate) fn remove_checkpoints(&mut self) -> Result<(), Error> {
        let retention = self.record.retention;
        let all = self.checkpoints()?;
        let reasons = retention.sort_for_ever(&all);
        let mut doomed: Vec<_> = all
            .into_iter()
            .zip(reasons)
            .filter_map(|(one, why)| why.is_none().then_some(one))
            .collect();
        doomed.retain(|one| one.standing == Standing::Own);
        self.forget(&doomed);
        delete(&doomed)?;
        // Stays if something is in it.
        let _ = fs::remove_dir(self.directory().join(checkpoints::DIRECTORY));
        Ok(())
    }

    /// The job goes on from the checkpoint `from`. Those in `damaged` could not be used, and
    /// those after it are not what the job will have done: they are set aside. The user's
    /// files are only forgotten. Returns where the damaged ones are now.
    ///
    /// # Errors
    /// A file cannot be renamed.
    pub fn go_on_from(
        &mut self,
        from: u64,
        damaged: &[Checkpoint],
    ) -> Result<Vec<Option<PathBuf>>, Error> {
        let mut aside = Vec::new();
        for one in damaged {
            aside.push(self.leave(one, Aside::Damaged)?);
        }
        let newer = |one: &Checkpoint| one.is_usable() && one.sequence > from;
        for one in self.checkpoints()?.iter().filter(|one| newer(one)) {
            self.leave(one, Aside::Superseded)?;
        }
        Ok(aside)
    }

    fn leave(&mut self, one: &Checkpoint, reason: Aside) -> Result<Option<PathBuf>, Error> {
        self.forget(std::slice::from_ref(one));
        match one.standing {
            Standing::Own if one.bytes.is_some() => {
                Ok(Some(checkpoints::set_aside(&one.path, reason)?))
            }
            _ => Ok(None),
        }
    }

    fn forget(&mut self, gone: &[Checkpoint]) {
        let is_gone = |noted: &Checkpointed| gone.iter().any(|one| one.path == noted.path);
        self.record.checkpoints.retain(|noted| !is_gone(noted));
    }
}

/// Deletes the files of checkpoints.
pub(crate) fn delete(checkpoints: &[Checkpoint]) -> Result<(), Error> {
    checkpoints.iter().try_for_each(|one| {
        let path = &one.path;
        ignore_missing(fs::remove_file(path)).map_err(Error::io("remove", path))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Form, JobStore, Record};
    use proptest::prelude::*;

    fn checkpoint(sequence: u64, standing: Standing) -> Checkpoint {
        Checkpoint {
            sequence,
            path: sequence.to_string().into(),
            standing,
            bytes: Some(1),
            at: None,
            noted: None,
        }
    }

    fn retention(last: u32, every: Option<u64>) -> Retention {
        Retention {
            last: last.try_into().unwrap(),
            every: every.map(|every| every.try_into().unwrap()),
        }
    }

    #[test]
    fn the_last_and_every_kth_are_kept() {
        let own: Vec<_> = (1..=9).map(|n| checkpoint(n, Standing::Own)).collect();
        let kept = retention(2, Some(4)).sort(&own);
        let kept: Vec<_> = own.iter().zip(kept).collect();
        let kept: Vec<_> = kept
            .iter()
            .filter_map(|(one, why)| Some((one.sequence, why.clone()?)))
            .collect();
        let expected = [(4, Why::Every(4)), (8, Why::Last(2)), (9, Why::Newest)];
        assert_eq!(kept, expected);
    }

    #[test]
    fn what_is_set_aside_is_kept_until_the_job_is_as_far_again() {
        let aside = || Standing::Aside("damaged".into());
        let list = [
            checkpoint(3, aside()),
            checkpoint(3, Standing::Own),
            checkpoint(4, Standing::Elsewhere),
            checkpoint(5, aside()),
        ];
        let kept = retention(1, None).sort(&list);
        let expected = [
            None,
            Some(Why::Newest),
            Some(Why::Elsewhere),
            Some(Why::Aside),
        ];
        assert_eq!(kept, expected);
    }

    fn store() -> (tempfile::TempDir, JobStore) {
        let directory = tempfile::tempdir().unwrap();
        let store = JobStore::new(directory.path().join("jobs"));
        (directory, store)
    }

    fn new_job(store: &JobStore) -> ActiveJob {
        let record = Record::new("w".into(), "sha256:00".into(), vec!["w".into()]);
        let job = store.create(record).unwrap();
        fs::create_dir(job.directory().join(checkpoints::DIRECTORY)).unwrap();
        job
    }

    /// Writes what could be a checkpoint, and notes it.
    fn write(job: &mut ActiveJob, sequence: u64) {
        let path = checkpoints::own(job.directory(), sequence);
        fs::write(&path, sequence.to_string()).unwrap();
        keep(job, noted(sequence, path));
    }

    fn keep(job: &mut ActiveJob, done: Checkpointed) {
        delete(&job.keep(done).unwrap()).unwrap();
    }

    fn noted(sequence: u64, path: PathBuf) -> Checkpointed {
        Checkpointed {
            sequence,
            path,
            state_digest: format!("sha256:{sequence:064x}"),
            bytes: 1,
            raw_bytes: 1,
            pause_us: 1,
            write_us: 1,
            form: Form::Full,
            tracking: None,
            at: sequence,
        }
    }

    fn sequences(checkpoints: &[Checkpoint]) -> Vec<u64> {
        checkpoints.iter().map(|one| one.sequence).collect()
    }

    /// The names of the files of checkpoints.
    fn files(job: &ActiveJob) -> Vec<String> {
        let entries = fs::read_dir(job.directory().join(checkpoints::DIRECTORY));
        let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
        let mut names: Vec<_> = entries.into_iter().flatten().flatten().map(name).collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_not_kept_is_deleted() {
        let (directory, store) = store();
        let mut job = new_job(&store);
        job.record.retention.every = Some(3.try_into().unwrap());
        let theirs = directory.path().join("theirs");
        for sequence in 1..=5 {
            write(&mut job, sequence);
        }
        fs::write(&theirs, "6").unwrap();
        keep(&mut job, noted(6, theirs.clone()));
        write(&mut job, 7);
        fs::remove_file(checkpoints::own(job.directory(), 7)).unwrap();
        write(&mut job, 8);
        assert_eq!(files(&job), ["3", "5", "8"], "7 was lost");
        write(&mut job, 10);
        assert_eq!(files(&job), ["10", "3", "8"]);
        assert_eq!(sequences(&job.checkpoints().unwrap()), [3, 6, 8, 10]);
        job.remove_checkpoints().unwrap();
        assert_eq!(files(&job), ["3"], "for ever");
        assert!(theirs.exists());
    }

    /// A process is killed after it has renamed a file, or before it has deleted one.
    #[test]
    fn what_a_killed_process_left_is_found() {
        let (_directory, store) = store();
        let mut job = new_job(&store);
        for sequence in 1..=3 {
            write(&mut job, sequence);
        }
        let id = job.record.id.clone();
        for (name, content) in [
            ("1", "not deleted"),
            ("4", "not noted"),
            (".wherry-x", "part"),
        ] {
            let path = job.directory().join(checkpoints::DIRECTORY).join(name);
            fs::write(path, content).unwrap();
        }
        drop(job);
        let lost = store.find(&id).unwrap();
        assert_eq!(sequences(&lost.checkpoints().unwrap()), [1, 2, 3, 4]);
        assert_eq!(lost.last_checkpoint().unwrap().noted, None);
        let mut again = lost.activate().unwrap();
        write(&mut again, 5);
        assert_eq!(sequences(&again.checkpoints().unwrap()), [4, 5]);
    }

    #[test]
    fn what_the_job_goes_back_behind_is_set_aside() {
        let (directory, store) = store();
        let mut job = new_job(&store);
        job.record.retention.last = 9.try_into().unwrap();
        for sequence in 1..=4 {
            write(&mut job, sequence);
        }
        let theirs = directory.path().join("theirs");
        fs::write(&theirs, "5").unwrap();
        keep(&mut job, noted(5, theirs.clone()));
        let all = job.checkpoints().unwrap();
        job.go_on_from(2, &all[3..]).unwrap();
        assert_eq!(files(&job), ["1", "2", "3.superseded", "4.damaged"]);
        assert_eq!(sequences(&job.checkpoints().unwrap()), [1, 2, 3, 4]);
        assert!(theirs.exists());
        for sequence in 3..=4 {
            write(&mut job, sequence);
        }
        assert_eq!(
            files(&job),
            ["1", "2", "3", "3.superseded", "4", "4.damaged"]
        );
        let of_no_use = job.not_kept().unwrap();
        assert_eq!(sequences(&of_no_use), [3, 4], "it is as far again");
        assert!(of_no_use.iter().all(|one| !one.is_usable()));
    }

    /// As an older version left it: one file, and a record that does not know its number.
    #[test]
    fn the_only_checkpoint_of_an_older_version_is_found() {
        let (_directory, store) = store();
        let mut job = new_job(&store);
        let path = job.directory().join(checkpoints::BEFORE);
        fs::write(&path, "").unwrap();
        let own = Standing::Own;
        let found = |job: &ActiveJob| {
            let last = job.checkpoints().unwrap().pop().unwrap();
            (last.sequence, last.standing, last.path)
        };
        assert_eq!(found(&job), (0, own.clone(), path.clone()), "not noted");
        job.record.checkpoints = vec![noted(0, path.clone())];
        assert_eq!(found(&job), (0, own, path.clone()));
        write(&mut job, 8);
        assert!(path.exists());
        write(&mut job, 9);
        assert!(!path.exists(), "not one of the last two");
    }

    proptest! {
        /// Whatever the policy: the newest is kept, and at least as many as it says.
        #[test]
        fn a_job_never_loses_what_it_goes_on_from(
            numbers in prop::collection::btree_set(1..1000u64, 1..40),
            last in 1..10u32,
            every in prop::option::of(1..20u64),
        ) {
            let own: Vec<_> = numbers.iter().map(|n| checkpoint(*n, Standing::Own)).collect();
            let kept = retention(last, every).sort(&own);
            prop_assert_eq!(kept.last().unwrap(), &Some(Why::Newest));
            let count = kept.iter().flatten().count();
            prop_assert!(count >= own.len().min(last as usize));
            for (one, why) in own.iter().zip(&kept) {
                let regular = every.is_some_and(|every| one.sequence % every == 0);
                prop_assert!(!regular || why.is_some());
            }
        }
    }
}
