//! Checkpoints that build on others: what they store, what they say, what is refused.

use std::collections::HashMap;
use std::io::{Cursor, Read, Seek};

use proptest::prelude::*;
use sha2::{Digest as _, Sha256};
use wherry_snapshot::{
    Accounting, Base, Blob, BlobSink, BlobSource, CHUNK_SIZE, Contents, Digest, Error, Execution,
    Lineage, MAX_BASES, Memory, Outline, Phase, Reader, Settings, Workload, Writer, Written,
    flatten,
};

fn contents(memories: Vec<Memory>) -> Contents {
    Contents {
        workload: Workload {
            module: [1; 32],
            manifest: None,
            instrumentation: 1,
        },
        execution: Execution {
            phase: Phase::Main,
            frames: Vec::new(),
            globals: Vec::new(),
            tables: Vec::new(),
            dropped_data: Vec::new(),
            dropped_elements: Vec::new(),
        },
        memories,
        wasi: Vec::new(),
        settings: Settings::default(),
        accounting: Accounting::default(),
        lineage: Lineage::default(),
        profile: None,
        usage: None,
        gpu: None,
    }
}

/// A memory of which each page is full of a byte.
fn pages(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|&byte| [byte; CHUNK_SIZE]).collect()
}

/// Files by their digest, as a directory has them.
#[derive(Default)]
struct Files(HashMap<Digest, Vec<u8>>);

impl Files {
    /// Writes a checkpoint with the file `blob`, unless the base has it, and one memory.
    fn write(
        &mut self,
        base: Option<&Base>,
        memory: &[u8],
        changed: &[u64],
        blob: &[u8],
    ) -> (Written, Blob) {
        let mut file = Cursor::new(Vec::new());
        let mut writer = match base {
            Some(base) => Writer::delta(&mut file, base).expect("it begins"),
            None => Writer::new(&mut file).expect("it begins"),
        };
        let blob = writer.put(&mut &*blob).expect("it is stored");
        let before = base.map(|base| &base.memories()[0]);
        let memory = writer.changed_memory(memory, None, before, changed);
        let contents = contents(vec![memory.expect("it is stored")]);
        let written = writer.finish(&contents).expect("it is completed");
        let digest = written.summary.file_digest;
        self.0.insert(digest, file.into_inner());
        (written, blob)
    }

    fn full(&mut self, memory: &[u8], blob: &[u8]) -> (Written, Blob) {
        let pages: Vec<u64> = (0..(memory.len() / CHUNK_SIZE) as u64).collect();
        self.write(None, memory, &pages, blob)
    }

    fn open(&self, digest: &Digest) -> Result<Reader<Cursor<&[u8]>>, Error> {
        let find = |digest: &Digest| self.0.get(digest).map(|file| Cursor::new(&file[..]));
        Reader::open_with(Cursor::new(&self.0[digest]), |digest| Ok(find(digest)))
    }

    fn outline(&self, written: &Written) -> Outline {
        let mut file = Cursor::new(&self.0[&written.summary.file_digest]);
        Outline::read(&mut file).expect("it is one")
    }
}

fn memory_of<R: Read + Seek + Send>(reader: &Reader<R>) -> Result<Vec<u8>, Error> {
    let memory = &reader.contents().memories[0];
    let mut content = vec![0; usize::try_from(memory.pages).expect("small") * CHUNK_SIZE];
    reader.restore_memory(memory, &mut content)?;
    Ok(content)
}

#[test]
fn a_delta_stores_what_changed_and_is_the_same_state_as_a_full_file() {
    let mut files = Files::default();
    let (full, _) = files.full(&pages(&[1, 2, 0, 4, 5]), b"file");
    // Page 1 changes, page 3 becomes zero, page 4 as page 0 was, and one is new. What is said
    // to be as before is not even looked at.
    let seen = pages(&[99, 7, 99, 0, 1, 8]);
    let (delta, blob) = files.write(Some(&full.base), &seen, &[1, 3, 4, 5], b"file");
    let summary = delta.summary;
    assert_eq!((summary.bases, summary.chunks), (1, 2));
    assert_eq!(summary.chunk_bytes, 2 * CHUNK_SIZE as u64);

    let expected = pages(&[1, 7, 0, 0, 1, 8]);
    let (alone, _) = Files::default().full(&expected, b"file");
    assert_eq!(summary.state_digest, alone.summary.state_digest);
    let reader = files.open(&summary.file_digest).expect("it is complete");
    assert!(memory_of(&reader).expect("it is complete") == expected);
    let mut content = Vec::new();
    reader.read(&blob, &mut content).expect("the base has it");
    assert_eq!(content, b"file");
    assert_eq!(reader.state_digest(), summary.state_digest);
    assert_eq!(reader.bases(), [full.summary.file_digest]);
}

#[test]
fn a_file_names_only_what_it_needs() {
    let mut files = Files::default();
    let (first, _) = files.full(&pages(&[1, 2]), b"");
    let (second, _) = files.write(Some(&first.base), &pages(&[3, 2]), &[0], b"");
    let (third, _) = files.write(Some(&second.base), &pages(&[3, 4]), &[1], b"");
    // Nothing of the first is left.
    let digest = |written: &Written| written.summary.file_digest;
    assert!(files.outline(&first).bases.is_empty());
    assert_eq!(files.outline(&second).bases, [digest(&first)]);
    assert_eq!(files.outline(&third).bases, [digest(&second)]);
    assert_eq!(files.outline(&third).file, digest(&third));
    // What the base of a base has is there without it being looked for.
    let (fourth, _) = files.write(Some(&second.base), &pages(&[3, 2]), &[], b"");
    let bases = files.outline(&fourth).bases;
    assert_eq!(bases, [digest(&second), digest(&first)]);
    assert_eq!(fourth.summary.chunks, 0);
    let content = memory_of(&files.open(&digest(&fourth)).expect("complete"));
    assert!(content.expect("complete") == pages(&[3, 2]));
}

#[test]
fn what_is_read_can_be_built_on() {
    let mut files = Files::default();
    let (first, _) = files.full(&pages(&[1, 2]), b"");
    let (second, _) = files.write(Some(&first.base), &pages(&[3, 2]), &[0], b"");
    let base = files
        .open(&second.summary.file_digest)
        .expect("complete")
        .base();
    let (third, _) = files.write(Some(&base), &pages(&[3, 2, 5]), &[2], b"");
    let reader = files.open(&third.summary.file_digest).expect("complete");
    assert_eq!(reader.bases().len(), 2);
    assert!(memory_of(&reader).expect("complete") == pages(&[3, 2, 5]));
}

#[test]
fn what_is_missing_is_named() {
    let mut files = Files::default();
    let (full, _) = files.full(&pages(&[1, 2]), b"");
    let (other, _) = files.full(&pages(&[1, 9]), b"");
    let (delta, _) = files.write(Some(&full.base), &pages(&[3, 2]), &[0], b"");
    let delta = Cursor::new(&files.0[&delta.summary.file_digest]);
    let base = full.summary.file_digest;
    assert!(matches!(
        Reader::open(delta.clone()),
        Err(Error::MissingBase(missing)) if missing == base
    ));
    let wrong = Cursor::new(&files.0[&other.summary.file_digest]);
    assert!(matches!(
        Reader::open_with(delta, |_| Ok(Some(wrong.clone()))),
        Err(Error::WrongBase { found, expected })
            if found == other.summary.file_digest && expected == base
    ));
}

#[test]
fn a_file_that_was_kept_is_not_read_again() {
    let mut files = Files::default();
    let (full, blob) = files.full(&pages(&[1]), b"file");
    let mut file = Cursor::new(Vec::new());
    let mut writer = Writer::new(&mut file).expect("it begins");
    assert!(!writer.keep(&blob), "it stands on its own");
    drop(writer);
    let mut writer = Writer::delta(&mut file, &full.base).expect("it begins");
    assert!(writer.keep(&blob));
    let unknown = Blob {
        len: 1,
        digests: vec![[7; 32]],
    };
    assert!(!writer.keep(&unknown));
    let written = writer
        .finish(&contents(Vec::new()))
        .expect("it is complete");
    assert_eq!((written.summary.bases, written.summary.chunks), (1, 0));
}

#[test]
fn a_flattened_delta_is_the_full_file() {
    let (mut files, mut alone) = (Files::default(), Files::default());
    let big: Vec<u8> = (0..3 * CHUNK_SIZE + 5)
        .map(|byte| u8::try_from(byte / 999).expect("small"))
        .collect();
    let (full, _) = files.full(&pages(&[1, 2, 0, 4]), &big);
    let changed = pages(&[1, 7, 0, 2]);
    let (delta, blob) = files.write(Some(&full.base), &changed, &[1, 3], &big);
    let (expected, _) = alone.full(&changed, &big);
    let reader = files.open(&delta.summary.file_digest).expect("complete");
    let mut flat = Cursor::new(Vec::new());
    let written = flatten(&reader, [&blob], &mut flat).expect("complete");
    assert_eq!(written.summary, expected.summary);
    assert!(flat.into_inner() == alone.0[&expected.summary.file_digest]);
}

#[test]
fn a_chain_ends_before_it_is_too_long() {
    let mut files = Files::default();
    let mut memory: Vec<u8> = (1..=100).collect();
    let (mut last, _) = files.full(&pages(&memory), b"");
    let mut deltas = 0;
    while !last.base.is_exhausted() {
        memory[deltas] = 200;
        // Each differs, and only in one page.
        let mut content = pages(&memory);
        content[deltas * CHUNK_SIZE] = 0;
        content[deltas * CHUNK_SIZE + 1] = u8::try_from(deltas).expect("few");
        (last, _) = files.write(Some(&last.base), &content, &[deltas as u64], b"");
        deltas += 1;
    }
    assert_eq!(deltas, MAX_BASES);
    assert_eq!(last.summary.bases, MAX_BASES);
    assert!(files.open(&last.summary.file_digest).is_ok());
    assert!(Writer::delta(Cursor::new(Vec::new()), &last.base).is_err());
}

#[test]
fn a_chain_ends_when_its_deltas_outgrow_its_start() {
    let mut files = Files::default();
    let (full, _) = files.full(&pages(&[1]), b"");
    assert!(!full.base.is_exhausted());
    let (delta, _) = files.write(Some(&full.base), &pages(&[1, 2, 3]), &[1, 2], b"");
    assert!(delta.base.is_exhausted());
}

#[test]
fn changes_must_be_ascending_and_in_the_memory() {
    let memory = pages(&[1, 2, 3]);
    for changed in [&[3][..], &[1, 0], &[1, 1]] {
        let mut writer = Writer::new(Cursor::new(Vec::new())).expect("it begins");
        assert!(writer.changed_memory(&memory, None, None, changed).is_err());
    }
    let (foreign, _) = Files::default().full(&pages(&[9]), b"");
    let mut writer = Writer::new(Cursor::new(Vec::new())).expect("it begins");
    let before = Some(&foreign.base.memories()[0]);
    assert!(
        writer
            .changed_memory(&memory, None, before, &[1, 2])
            .is_err()
    );
}

/// Replaces the section *bases*, which is the last before the table, and the digests of it.
fn with_bases(file: &[u8], bases: &[u8]) -> Vec<u8> {
    let field = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("8 bytes"));
    let place = |value: u64| usize::try_from(value).expect("small");
    let table = place(field(&file[16..24]));
    let mut entries = file[table..].to_vec();
    let entry = entries.len() - 56;
    assert_eq!(entries[entry], 10);
    let start = place(field(&entries[entry + 8..entry + 16]));
    entries[entry + 16..entry + 24].copy_from_slice(&(bases.len() as u64).to_le_bytes());
    entries[entry + 24..].copy_from_slice(&Sha256::digest(bases));
    let mut changed = [&file[..start], bases, &entries].concat();
    let table = (start + bases.len()) as u64;
    changed[16..24].copy_from_slice(&table.to_le_bytes());
    changed[32..64].copy_from_slice(&Sha256::digest(&entries));
    changed
}

#[test]
fn the_list_of_bases_must_be_one() {
    let mut files = Files::default();
    let (full, _) = files.full(&pages(&[1, 2]), b"");
    let (other, _) = files.full(&pages(&[8, 9]), b"");
    let (delta, _) = files.write(Some(&full.base), &pages(&[3, 2]), &[0], b"");
    let file = files.0[&delta.summary.file_digest].clone();
    let refused = |bases: &[u8]| {
        let find = |digest: &Digest| files.0.get(digest).map(|file| Cursor::new(&file[..]));
        let file = with_bases(&file, bases);
        let read = Reader::open_with(Cursor::new(&file[..]), |digest| Ok(find(digest)));
        read.err().expect("it is refused").to_string()
    };
    let encoded = |bases: &[Digest]| postcard::to_stdvec(bases).expect("it is encoded");
    let base = full.summary.file_digest;
    for (bases, expected) in [
        (encoded(&[]), "names no file"),
        (encoded(&[base, base]), "names a file twice"),
        (encoded(&[base; MAX_BASES + 1]), "names too many files"),
        (
            [encoded(&[base]), vec![0]].concat(),
            "is not encoded canonically",
        ),
        (vec![2, 1, 2, 3], "section bases"),
        (vec![0; 5000], "larger than the limit"),
        (encoded(&[[5; 32]]), "which is not there"),
        (encoded(&[other.summary.file_digest]), "lacks chunk"),
    ] {
        let message = refused(&bases);
        assert!(
            message.contains(expected),
            "{message} instead of {expected}"
        );
    }
}

#[test]
fn every_flipped_bit_in_a_base_is_refused_or_changes_nothing() {
    let mut files = Files::default();
    let (full, _) = files.full(&pages(&[1, 2]), b"");
    let expected = pages(&[3, 2]);
    let (delta, _) = files.write(Some(&full.base), &expected, &[0], b"");
    let base = files.0[&full.summary.file_digest].clone();
    let delta = &files.0[&delta.summary.file_digest];
    for bit in 0..base.len() * 8 {
        let mut flipped = base.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let find = |_: &Digest| Ok(Some(Cursor::new(&flipped[..])));
        let read = Reader::open_with(Cursor::new(&delta[..]), find);
        if let Ok(content) = read.and_then(|reader| memory_of(&reader)) {
            assert!(content == expected, "bit {bit}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Each step of a job's life writes some pages, or grows the memory.
    #[test]
    fn any_chain_gives_back_every_state(
        steps in prop::collection::vec(
            (prop::collection::btree_map(0u64..40, any::<u8>(), 0..6), 0usize..4),
            1..60,
        ),
    ) {
        let mut files = Files::default();
        let mut memory = pages(&[1; 10]);
        let (mut last, _) = files.full(&memory, b"");
        for (writes, growth) in steps {
            memory.resize(memory.len() + growth * CHUNK_SIZE, 0);
            let count = (memory.len() / CHUNK_SIZE) as u64;
            let writes: Vec<_> = writes.into_iter().filter(|(page, _)| *page < count).collect();
            for (page, value) in &writes {
                let start = usize::try_from(*page).expect("small") * CHUNK_SIZE;
                memory[start..start + CHUNK_SIZE].fill(*value);
            }
            let changed: Vec<_> = writes.iter().map(|(page, _)| *page).collect();
            let base = Some(&last.base).filter(|base| !base.is_exhausted());
            (last, _) = match base {
                Some(base) => files.write(Some(base), &memory, &changed, b""),
                None => files.full(&memory, b""),
            };
            let reader = files.open(&last.summary.file_digest).expect("complete");
            prop_assert!(memory_of(&reader).expect("complete") == memory);
            let (alone, _) = Files::default().full(&memory, b"");
            prop_assert_eq!(last.summary.state_digest, alone.summary.state_digest);
            let mut flat = Cursor::new(Vec::new());
            let flat = flatten(&reader, [], &mut flat).expect("complete");
            prop_assert_eq!(flat.summary, alone.summary);
        }
    }
}
