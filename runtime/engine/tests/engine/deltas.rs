//! Checkpoints that build on earlier ones, and captures that are written while the job runs on.

use std::collections::HashMap;
use std::io::{self, Cursor, Seek, SeekFrom, Write};

use wherry_engine::{Checkpoint, Control, Error, Extent, Job, Outcome, Reason, Settings};
use wherry_snapshot::{Digest, Reader};

use crate::common::{Captured, checkpoint, command, module, reader};

/// Writes a number to a place of its memory that depends on it, in every round another, and
/// now and then grows the memory. At the end the exit code says something about all of it.
const WALKER: &str = r#"(module
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 40)
    (memory $other 3)
    (func (export "_start") (local $i i32) (local $at i32) (local $sum i32)
        (loop $fill
            (i32.store (local.get $at) (i32.add (local.get $at) (i32.const 1)))
            (local.set $at (i32.add (local.get $at) (i32.const 4096)))
            (br_if $fill (i32.lt_u (local.get $at) (i32.const 0x200000))))
        (loop $walk
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (local.set $at (i32.and (i32.mul (local.get $i) (i32.const 0x9e3779b1))
                (i32.const 0x27fffc)))
            (i32.store (local.get $at) (local.get $i))
            (i32.store $other (i32.const 70000) (local.get $i))
            (if (i32.eqz (i32.rem_u (local.get $i) (i32.const 50)))
                (then (drop (memory.grow (i32.const 1)))))
            (br_if $walk (i32.lt_u (local.get $i) (i32.const 200))))
        (loop $add
            (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 31))
                (i32.load (local.get $at))))
            (local.set $at (i32.add (local.get $at) (i32.const 4)))
            (br_if $add (i32.lt_u (local.get $at)
                (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 4)))))
        (call $exit (i32.and (local.get $sum) (i32.const 0x7f)))))"#;

/// Safepoints of the loop that fills the memory.
const FILLED: u64 = 520;

/// Files by their digest, as a directory has them.
#[derive(Default)]
struct Files(HashMap<Digest, Vec<u8>>);

impl Files {
    fn add(&mut self, file: Cursor<Vec<u8>>, checkpoint: &Checkpoint) {
        let digest = checkpoint.summary.file_digest;
        self.0.insert(digest, file.into_inner());
    }

    fn open(&self, checkpoint: &Checkpoint) -> Reader<Cursor<&[u8]>> {
        let file = &self.0[&checkpoint.summary.file_digest];
        let find = |digest: &Digest| self.0.get(digest).map(|file| Cursor::new(&file[..]));
        Reader::open_with(Cursor::new(&file[..]), |digest| Ok(find(digest))).expect("complete")
    }
}

fn settings(countdown: u64) -> Settings {
    Settings {
        countdown: Some(countdown),
        ..Captured::default().settings()
    }
}

fn stopped_at(countdown: u64) -> (Job, Control) {
    let control = Control::new().expect("a control");
    let settings = settings(countdown);
    let mut job = Job::start(&module(WALKER), command(), settings, &control).expect("it starts");
    run_on(&mut job);
    (job, control)
}

fn run_on(job: &mut Job) {
    let outcome = job.run().expect("it runs");
    assert_eq!(outcome, Outcome::Stopped(Reason::Countdown));
}

/// A checkpoint that may build on others, after which others may build on it.
fn extend(job: &mut Job, files: &mut Files) -> Checkpoint {
    let mut file = Cursor::new(Vec::new());
    let capture = job
        .capture(&mut file, Extent::Delta)
        .expect("it is captured");
    let checkpoint = capture.write().expect("it is written");
    job.written(&checkpoint, true);
    files.add(file, &checkpoint);
    checkpoint
}

/// The clocks have gone on, all else is the same.
fn assert_same(found: &Reader<Cursor<&[u8]>>, full: &[u8]) {
    let expected = reader(full);
    let (found, expected) = (found.contents(), expected.contents());
    assert_eq!(found.execution, expected.execution);
    assert_eq!(found.memories, expected.memories);
}

#[test]
fn every_delta_is_the_state_that_a_full_checkpoint_has() {
    let (mut job, _control) = stopped_at(FILLED);
    let mut files = Files::default();
    let mut deltas = 0;
    for round in 0..12 {
        // One more, which is the user's: nothing builds on it, and nothing is lost by it.
        let exported = (round % 3 == 1).then(|| checkpoint(&mut job));
        let delta = extend(&mut job, &mut files);
        deltas += usize::from(delta.summary.bases > 0);
        assert!(
            round > 0 || delta.summary.bases == 0,
            "there was nothing to build on"
        );
        if delta.summary.bases > 0 {
            assert!(delta.summary.chunks < 12, "{} of 40", delta.summary.chunks);
        }
        let full = exported.unwrap_or_else(|| checkpoint(&mut job));
        assert_same(&files.open(&delta), &full);
        job.set_countdown(Some(5));
        run_on(&mut job);
    }
    assert!(deltas > 6, "{deltas} of 12");
}

#[test]
fn a_capture_is_what_the_job_was_while_that_runs_on() {
    let (mut job, _control) = stopped_at(FILLED);
    let mut files = Files::default();
    extend(&mut job, &mut files);
    for _ in 0..4 {
        let full = checkpoint(&mut job);
        let mut file = Cursor::new(Vec::new());
        let capture = job
            .capture(&mut file, Extent::Delta)
            .expect("it is captured");
        job.set_countdown(Some(9));
        run_on(&mut job);
        let early = job.capture(Cursor::new(Vec::new()), Extent::Full);
        assert!(matches!(
            early.err(),
            Some(Error::Memory(wherry_memory::Error::ImageInUse))
        ));
        let written = capture.write().expect("it is written");
        job.written(&written, true);
        files.add(file, &written);
        assert_same(&files.open(&written), &full);
    }
}

#[test]
fn a_resumed_job_builds_on_the_checkpoint_it_came_from() {
    let (mut job, control) = stopped_at(FILLED);
    let mut files = Files::default();
    let mut last = extend(&mut job, &mut files);
    for _ in 0..4 {
        let reader = files.open(&last);
        let resumed = Job::resume(&module(WALKER), &reader, settings(7), &control);
        job = resumed.expect("it resumes");
        job.build_on(&reader);
        drop(reader);
        run_on(&mut job);
        last = extend(&mut job, &mut files);
        assert!(last.summary.bases > 0);
        assert_same(&files.open(&last), &checkpoint(&mut job));
    }
}

/// Takes so many bytes and no more.
struct Full(Cursor<Vec<u8>>, u64);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.position() + bytes.len() as u64 > self.1 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Full {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

#[test]
fn what_could_not_be_written_is_in_the_next_one() {
    let (mut job, _control) = stopped_at(FILLED);
    let mut files = Files::default();
    extend(&mut job, &mut files);
    for room in [0, 100, 300] {
        job.set_countdown(Some(5));
        run_on(&mut job);
        let out = Full(Cursor::new(Vec::new()), room);
        let capture = job.capture(out, Extent::Delta);
        assert!(capture.and_then(|capture| capture.write()).is_err());
        job.set_countdown(Some(5));
        run_on(&mut job);
        let delta = extend(&mut job, &mut files);
        assert!(delta.summary.bases > 0);
        assert_same(&files.open(&delta), &checkpoint(&mut job));
    }
}
