//! Checkpoints that build on others, of which somebody took away, exchanged or made up some, with
//! digests that are right. Each is refused by its name, or what is restored is what it says.
//!
//! `WHERRY_FORGERIES` is the number of random ones (1,000 unless set), `WHERRY_SEED` the first seed.

#![expect(clippy::print_stdout, reason = "a test tells how much it did")]

use std::collections::HashMap;
use std::env;
use std::io::Cursor;

use wasmtime::{Result, ensure, error::Context, format_err};
use wherry_conformance::{Random, build_on, forge, forge_contents, garble};
use wherry_engine::{
    Command, Control, Engine, EngineConfig, Extent, Job, Limits, Module, Outcome, Settings, Stdio,
};
use wherry_snapshot::{Contents, Digest, Outline, Reader, hex};

/// Fills its memory with numbers that depend on `FIRST`; then every round writes to other places.
const PROGRAM: &str = r#"(module
    (memory (export "memory") 8)
    (func (export "_start") (local $at i32) (local $i i32)
        (loop $fill
            (i32.store (local.get $at) (i32.add (local.get $at) (i32.const FIRST)))
            (local.set $at (i32.add (local.get $at) (i32.const 4096)))
            (br_if $fill (i32.lt_u (local.get $at) (i32.const 0x80000))))
        (loop $write
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (local.set $at (i32.and (i32.mul (local.get $i) (i32.const 0x9e3779b1))
                (i32.const 0x7fffc)))
            (i32.store (local.get $at) (local.get $i))
            (br_if $write (i32.lt_u (local.get $i) (i32.const 100000))))))"#;

/// Safepoints of the loop that fills the memory.
const FILLED: u64 = 128;

/// The checkpoints of a job: the first stands on its own, and each builds on all before it.
struct Chain {
    module: Module,
    files: Vec<Vec<u8>>,
}

impl Chain {
    fn new(engine: &Engine, first: &str) -> Result<Self> {
        let module = engine.load(wat::parse_str(PROGRAM.replace("FIRST", first))?);
        let control = Control::new()?;
        let mut job = Job::start(&module, Command::default(), settings(FILLED + 2), &control)?;
        let mut files = Vec::new();
        for _ in 0..3 {
            ensure!(matches!(job.run()?, Outcome::Stopped(_)), "it goes on");
            let mut file = Cursor::new(Vec::new());
            let checkpoint = job.capture(&mut file, Extent::Delta)?.write()?;
            ensure!(checkpoint.summary.bases == files.len(), "it builds on all");
            job.written(&checkpoint, true);
            files.push(file.into_inner());
            job.set_countdown(Some(2));
        }
        Ok(Chain { module, files })
    }

    fn last(&self) -> &[u8] {
        self.files.last().map_or(&[], Vec::as_slice)
    }

    fn digests(&self) -> Result<Vec<Digest>> {
        self.files.iter().map(|file| digest(file)).collect()
    }

    /// The files that are found under their digests.
    fn found(&self) -> Result<Found> {
        Ok(self
            .digests()?
            .into_iter()
            .zip(self.files.clone())
            .collect())
    }

    fn contents(&self) -> Result<Contents> {
        let found = self.found()?;
        Ok(open(self.last(), &found)?.contents().clone())
    }

    /// Resumes from a checkpoint, and runs on for a while. If nothing refuses, what was restored
    /// must be what the checkpoint says.
    fn resume(&self, checkpoint: &[u8], found: &Found) -> Result<(), Refusal> {
        let reader = open(checkpoint, found).map_err(|error| Refusal(error.to_string()))?;
        let control = Control::new().expect("a control");
        let job = Job::resume(&self.module, &reader, settings(5_000), &control);
        let mut job = job.map_err(|error| Refusal(chain_of(&error)))?;
        let mut again = Cursor::new(Vec::new());
        let captured = job.checkpoint(&mut again);
        captured.map_err(|error| Refusal(chain_of(&error)))?;
        let again = Reader::open(again).expect("it stands on its own");
        let (says, restored) = (reader.contents(), again.contents());
        assert_eq!(
            restored.execution, says.execution,
            "it was restored otherwise"
        );
        assert_eq!(
            restored.memories, says.memories,
            "it was restored otherwise"
        );
        // Whether it traps, exits or is stopped is the forger's choice.
        let _ = job.run();
        Ok(())
    }

    #[track_caller]
    fn refuses(&self, checkpoint: &[u8], found: &Found, why: &str) {
        match self.resume(checkpoint, found) {
            Err(Refusal(reason)) => assert!(reason.contains(why), "{reason} instead of {why}"),
            Ok(()) => panic!("it was resumed, although {why}"),
        }
    }
}

type Found = HashMap<Digest, Vec<u8>>;

/// Why a checkpoint was refused.
#[derive(Debug)]
struct Refusal(String);

fn open<'a>(
    checkpoint: &'a [u8],
    found: &'a Found,
) -> std::result::Result<Reader<Cursor<&'a [u8]>>, wherry_snapshot::Error> {
    let find = |digest: &Digest| found.get(digest).map(|file| Cursor::new(&file[..]));
    Reader::open_with(Cursor::new(checkpoint), |digest| Ok(find(digest)))
}

fn digest(file: &[u8]) -> Result<Digest> {
    Ok(Outline::read(&mut Cursor::new(file))?.file)
}

fn settings(countdown: u64) -> Settings {
    Settings {
        countdown: Some(countdown),
        limits: Limits {
            memory_bytes: Some(64 << 20),
            ..Limits::default()
        },
        ..Settings::new(Stdio::null())
    }
}

fn chain_of(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn setting(name: &str, default: u64) -> u64 {
    let value = env::var(name).ok();
    value
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

fn chains() -> Result<(Chain, Chain)> {
    let engine = Engine::new(EngineConfig::default())?;
    Ok((Chain::new(&engine, "1")?, Chain::new(&engine, "77")?))
}

#[test]
fn a_chain_that_nobody_touched_is_resumed() -> Result<()> {
    let (chain, _) = chains()?;
    let found = chain.found()?;
    let resumed = chain.resume(chain.last(), &found);
    resumed.map_err(|Refusal(reason)| format_err!("{reason}"))
}

#[test]
fn each_base_that_is_missing_is_named() -> Result<()> {
    let (chain, _) = chains()?;
    for base in &chain.digests()?[..2] {
        let mut found = chain.found()?;
        found.remove(base);
        chain.refuses(chain.last(), &found, &hex(base));
    }
    Ok(())
}

#[test]
fn another_file_in_a_bases_place_is_refused() -> Result<()> {
    let (chain, other) = chains()?;
    let digests = chain.digests()?;
    for base in &digests[..2] {
        // Of another job, the delta itself, a file of no length, and one of another length.
        let own = &chain.found()?[base];
        let longer = [&own[..], b"more"].concat();
        let half = own[..own.len() / 2].to_vec();
        for (file, why) in [
            (other.last().to_vec(), "in its place"),
            (other.files[0].clone(), "in its place"),
            (chain.last().to_vec(), "in its place"),
            (Vec::new(), "truncated"),
            (half, "truncated"),
            (longer, "damaged"),
        ] {
            let mut found = chain.found()?;
            found.insert(*base, file);
            chain.refuses(chain.last(), &found, why);
        }
    }
    Ok(())
}

#[test]
fn a_list_that_names_other_files_is_refused() -> Result<()> {
    let (chain, other) = chains()?;
    let mut found = chain.found()?;
    found.extend(other.found()?);
    let (own, others) = (chain.digests()?, other.digests()?);
    // As near to a cycle as a digest lets anybody come: two deltas that name each other's place.
    let behind = build_on(chain.last(), &[own[1], own[0], own[2]])?;
    let around = digest(&behind)?;
    let before = build_on(&chain.files[1], &[around])?;
    found.insert(digest(&before)?, before.clone());
    for (bases, why) in [
        (vec![], "names no file"),
        (vec![own[0], own[0]], "names a file twice"),
        (vec![own[1]], "lacks chunk"),
        (vec![others[1], others[0]], "lacks chunk"),
        (vec![own[1], others[0]], "lacks chunk"),
        (vec![digest(&before)?], "lacks chunk"),
        (vec![[0; 32], own[1], own[0]], "not there"),
        (vec![own[0]; 33], "names too many files"),
    ] {
        chain.refuses(&build_on(chain.last(), &bases)?, &found, why);
    }
    // Who names more than it needs says nothing wrong; and what a base says of others is not looked
    // at, so nobody goes round and round.
    found.insert(around, behind.clone());
    let last = build_on(chain.last(), &[digest(&before)?, own[0], around])?;
    for unusual in [behind, last] {
        let resumed = chain.resume(&unusual, &found);
        resumed.map_err(|Refusal(reason)| format_err!("{reason}"))?;
    }
    Ok(())
}

/// The chain of another program of the same form: what fits is not enough.
#[test]
fn a_chain_of_another_job_is_refused() -> Result<()> {
    let (chain, other) = chains()?;
    let found = other.found()?;
    chain.refuses(other.last(), &found, "module");
    Ok(())
}

#[test]
fn forged_chains_are_refused_or_restored_as_they_say() -> Result<()> {
    let (chain, _) = chains()?;
    let contents = chain.contents()?;
    let (first, count) = (
        setting("WHERRY_SEED", 1),
        setting("WHERRY_FORGERIES", 1_000),
    );
    let (mut refused, mut resumed) = (0, 0);
    for seed in first..first + count {
        let attack = || -> Result<bool> {
            let random = &mut Random::new(seed);
            let (mut found, mut bases) = (chain.found()?, chain.digests()?);
            bases.pop();
            // A base is made up, and the delta names it.
            let which = usize::try_from(random.below(2))?;
            let forged = match random.below(4) {
                0 if which == 0 => forge(&chain.files[0], random)?,
                _ => garble(&chain.files[which], random)?,
            };
            if let Ok(digest) = digest(&forged) {
                bases[which] = digest;
            }
            found.insert(bases[which], forged);
            let last = match random.below(3) {
                0 => forge_contents(chain.last(), contents.clone(), random)?,
                _ => chain.last().to_vec(),
            };
            let last = build_on(&last, &bases).unwrap_or(last);
            Ok(chain.resume(&last, &found).is_ok())
        };
        let ok = attack().with_context(|| format!("WHERRY_SEED={seed}"))?;
        *(if ok { &mut resumed } else { &mut refused }) += 1;
    }
    println!("{refused} forged chains were refused, {resumed} resumed");
    ensure!(
        refused > count / 10 && resumed > count / 10,
        "too few of either"
    );
    Ok(())
}
