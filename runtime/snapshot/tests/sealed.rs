//! Encrypted checkpoints: what they give away, and everything that must be refused.

use std::io::{Cursor, Read, Seek};
use std::path::PathBuf;

use proptest::prelude::*;
use sha2::{Digest as _, Sha256};
use wherry_snapshot::{
    Accounting, Base, Blob, BlobSink, BlobSource, CHUNK_SIZE, Contents, Digest, Error, Execution,
    Key, Limits, Lineage, Memory, Outline, Phase, Reader, Settings, Workload, Writer, Written,
    flatten, hex,
};

const ENTRY: usize = 56;

const SECRETS: [&[u8]; 4] = [
    b"state of the host",
    b"an argument",
    b"a file with a secret",
    &[0x11; 32],
];

fn key() -> Key {
    Key::new(std::array::from_fn(|index| {
        u8::try_from(index).expect("small")
    }))
}

fn contents(memories: Vec<Memory>) -> Contents {
    Contents {
        workload: Workload {
            module: [0x11; 32],
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
        wasi: SECRETS[0].to_vec(),
        settings: Settings {
            args: vec!["an argument".to_owned()],
            limits: Limits::default(),
            ..Settings::default()
        },
        accounting: Accounting::default(),
        lineage: Lineage::default(),
        profile: None,
        usage: None,
        gpu: None,
    }
}

/// Pages that are full of a byte each, but for the first, which do not compress alike.
fn memory(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|&byte| [byte; CHUNK_SIZE]).collect()
}

fn write(base: Option<&Base>, key: Option<&Key>, memory: &[u8]) -> (Vec<u8>, Written, Blob) {
    let mut file = Cursor::new(Vec::new());
    let mut writer = match (base, key) {
        (base, Some(key)) => Writer::sealed(&mut file, base, key),
        (Some(base), None) => Writer::delta(&mut file, base),
        (None, None) => Writer::new(&mut file),
    }
    .expect("it begins");
    let blob = writer.put(&mut &*SECRETS[2]).expect("it is stored");
    let memory = writer.memory(memory, Some(10)).expect("it is stored");
    let written = writer.finish(&contents(vec![memory]));
    (file.into_inner(), written.expect("it is completed"), blob)
}

fn example() -> Vec<u8> {
    write(None, Some(&key()), &memory(&[0, 5, 6, 0, 5])).0
}

fn open<'a>(file: &'a [u8], key: Option<&Key>) -> Result<Reader<Cursor<&'a [u8]>>, Error> {
    Reader::open_sealed(Cursor::new(file), key, |_| Ok(None))
}

/// Opens a checkpoint and reads every chunk of it.
fn read_all<R: Read + Seek + Send>(reader: &Reader<R>, blob: &Blob) -> Result<Vec<u8>, Error> {
    let memory = &reader.contents().memories[0];
    let mut content = vec![0; usize::try_from(memory.pages).expect("small") * CHUNK_SIZE];
    reader.restore_memory(memory, &mut content)?;
    reader.read(blob, &mut content)?;
    Ok(content)
}

fn read(file: &[u8], key: &Key) -> Result<Vec<u8>, Error> {
    let blob = Blob {
        len: SECRETS[2].len() as u64,
        digests: vec![Sha256::digest(SECRETS[2]).into()],
    };
    read_all(&open(file, Some(key))?, &blob)
}

#[test]
fn what_was_encrypted_is_read_with_the_key_and_is_the_same_state() {
    let memory = memory(&[0, 5, 6, 0, 5]);
    let (file, written, _) = write(None, Some(&key()), &memory);
    let plain = write(None, None, &memory).1;
    assert_eq!(written.summary.state_digest, plain.summary.state_digest);
    assert_eq!(written.summary.bytes, file.len() as u64);
    let reader = open(&file, Some(&key())).expect("valid");
    assert_eq!(reader.state_digest(), plain.summary.state_digest);
    assert_eq!(reader.key(), Some(&key()));
    assert_eq!(
        *reader.contents(),
        contents(reader.contents().memories.clone())
    );
    let content = read(&file, &key()).expect("valid");
    assert_eq!(content, [&memory, SECRETS[2]].concat());
}

#[test]
fn nothing_of_the_content_is_in_the_file() {
    let memory = memory(&[0, 5, 6, 0, 5]);
    let (plain, written, _) = write(None, None, &memory);
    let sealed = example();
    let digests = [
        written.summary.state_digest,
        Sha256::digest(&memory[..CHUNK_SIZE]).into(),
    ];
    let pages = written.base.memories()[0]
        .runs
        .iter()
        .flat_map(|run| &run.pages);
    let digests = pages.chain(&digests).map(|digest| &digest[..]);
    let is_in = |file: &[u8], part: &[u8]| file.windows(part.len()).any(|window| window == part);
    for secret in SECRETS.into_iter().chain(digests) {
        assert!(
            !is_in(&sealed, secret),
            "{}",
            String::from_utf8_lossy(secret)
        );
    }
    assert!(
        SECRETS.iter().all(|secret| is_in(&plain, secret)),
        "what is looked for is found"
    );
    let again = example();
    let same = sealed
        .iter()
        .zip(&again)
        .filter(|(one, other)| one == other);
    assert!(
        same.count() < sealed.len() / 2,
        "the same state, encrypted anew"
    );
}

#[test]
fn without_its_key_only_the_outline_can_be_read() {
    let file = example();
    let needed = open(&file, None).err().expect("it needs the key");
    assert!(
        matches!(needed, Error::KeyNeeded { key: id } if id == key().id()),
        "{needed}"
    );
    let other = Key::new([9; 32]);
    let wrong = open(&file, Some(&other)).err().expect("it is another key");
    let words = [key().id().to_string(), other.id().to_string()];
    assert!(matches!(wrong, Error::WrongKey { .. }), "{wrong}");
    assert!(
        words.iter().all(|word| wrong.to_string().contains(word)),
        "{wrong}"
    );
    let outline = Outline::read(&mut Cursor::new(&file)).expect("it is one");
    assert_eq!(outline.key, Some(key().id()));
    assert_eq!(outline.sections.len(), 10);
    // A key that is not needed does no harm.
    let plain = write(None, None, &memory(&[1])).0;
    assert!(open(&plain, Some(&other)).expect("plain").key().is_none());
}

#[test]
fn every_flipped_bit_is_refused() {
    let file = example();
    for byte in 0..file.len() {
        let mut flipped = file.clone();
        flipped[byte] ^= 1 << (byte % 8);
        assert!(read(&flipped, &key()).is_err(), "byte {byte}");
        let forged = sealed_anew(flipped);
        let same = forged == file; // a digest was flipped, and put right
        assert!(
            same || read(&forged, &key()).is_err(),
            "byte {byte}, forged"
        );
    }
}

#[test]
fn every_truncation_is_refused() {
    let file = example();
    for length in 0..file.len() {
        assert!(read(&file[..length], &key()).is_err(), "{length}");
    }
}

/// An entry of the section table: kind, offset, length.
fn table(file: &[u8]) -> Vec<(u8, usize, usize)> {
    let number = |at: usize| {
        let bytes = file[at..at + 8].try_into().expect("eight bytes");
        usize::try_from(u64::from_le_bytes(bytes)).expect("small")
    };
    let entries = (0..number(24) / ENTRY).map(|index| number(16) + index * ENTRY);
    let entries = entries.filter(|entry| entry + ENTRY <= file.len());
    entries
        .map(|entry| (file[entry], number(entry + 8), number(entry + 16)))
        .collect()
}

fn section(file: &[u8], kind: u8) -> std::ops::Range<usize> {
    let entry = table(file).into_iter().find(|entry| entry.0 == kind);
    let (_, offset, length) = entry.expect("it is there");
    offset..offset + length
}

/// With digests that fit, as somebody makes them who has not got the key.
fn sealed_anew(mut file: Vec<u8>) -> Vec<u8> {
    let Some(bytes) = file.get(16..24).and_then(|bytes| bytes.try_into().ok()) else {
        return file;
    };
    let start = usize::try_from(u64::from_le_bytes(bytes)).unwrap_or(usize::MAX);
    let fits = |file: &[u8]| start < file.len() && (file.len() - start).is_multiple_of(ENTRY);
    let whole = file.len() - start.min(file.len());
    if !fits(&file) || file[24..32] != (whole as u64).to_le_bytes() {
        return file;
    }
    for (index, (kind, offset, length)) in table(&file).into_iter().enumerate() {
        let content = offset
            .checked_add(length)
            .and_then(|end| file.get(offset..end));
        if let Some(content) = content.filter(|_| kind != 9) {
            let digest = Sha256::digest(content);
            file[start + index * ENTRY + 24..][..32].copy_from_slice(&digest);
        }
    }
    let digest = Sha256::digest(&file[start..]);
    file[32..64].copy_from_slice(&digest);
    file
}

#[track_caller]
fn is_not_authentic(file: &[u8], part: &str) {
    let error = read(file, &key()).expect_err("it is forged");
    assert!(matches!(error, Error::NotAuthentic { .. }), "{error}");
    assert!(error.to_string().contains(part), "{error}");
}

#[test]
fn parts_of_another_file_or_place_are_refused() {
    let (good, other) = (example(), example());
    assert_eq!(good.len(), other.len());
    for (kind, name) in [
        (1, "workload"),
        (2, "execution"),
        (4, "wasi"),
        (8, "chunk index"),
    ] {
        let mut forged = good.clone();
        forged[section(&good, kind)].copy_from_slice(&other[section(&other, kind)]);
        is_not_authentic(&sealed_anew(forged), name);
    }
    // All chunks of another file, and the salt of another one.
    let mut forged = good.clone();
    forged[section(&good, 9)].copy_from_slice(&other[section(&other, 9)]);
    is_not_authentic(&forged, "chunks");
    let mut forged = good.clone();
    forged[section(&good, 12)].copy_from_slice(&other[section(&other, 12)]);
    is_not_authentic(&sealed_anew(forged), "workload");
}

/// Two chunks that are stored in as many bytes change places.
#[test]
fn chunks_that_changed_places_are_refused() {
    let (file, _, _) = write(None, Some(&key()), &memory(&[5, 6]));
    let chunks = section(&file, 9);
    let pages = (chunks.len() - SECRETS[2].len() - 9 - 16) / 2;
    let (second, first) = (chunks.end - pages, chunks.end - 2 * pages);
    let mut forged = file.clone();
    forged.copy_within(second..chunks.end, first);
    forged[second..chunks.end].copy_from_slice(&file[first..second]);
    assert_ne!(forged, file);
    is_not_authentic(&forged, "chunks");
}

#[test]
fn another_algorithm_is_named() {
    let mut file = example();
    let place = section(&file, 12).start;
    assert_eq!(file[place], 1);
    file[place] = 2;
    let error = read(&sealed_anew(file), &key()).expect_err("it is unknown");
    assert!(
        matches!(error, Error::UnknownEncryption { algorithm: 2 }),
        "{error}"
    );
}

#[test]
fn a_delta_has_the_key_of_its_base() {
    let (first, base, _) = write(None, Some(&key()), &memory(&[1, 2, 3]));
    let (second, delta, blob) = write(Some(&base.base), Some(&key()), &memory(&[1, 9, 3]));
    assert_eq!((delta.summary.bases, delta.summary.chunks), (1, 1));
    let with = |base: &[u8]| {
        let base = base.to_vec();
        Reader::open_sealed(Cursor::new(second.clone()), Some(&key()), move |_| {
            Ok(Some(Cursor::new(base.clone())))
        })
    };
    let reader = with(&first).expect("valid");
    let content = read_all(&reader, &blob).expect("valid");
    assert_eq!(content, [&memory(&[1, 9, 3])[..], SECRETS[2]].concat());
    assert_eq!(reader.base().key(), Some(key().id()));

    // One file of both, which is encrypted as they are.
    let mut flat = Cursor::new(Vec::new());
    let written = flatten(&reader, [&blob], &mut flat).expect("written");
    assert_eq!(written.summary.state_digest, delta.summary.state_digest);
    let flat = flat.into_inner();
    assert!(matches!(open(&flat, None), Err(Error::KeyNeeded { .. })));
    assert_eq!(read(&flat, &key()).expect("valid"), content);

    let refused = |base: &Base, key: Option<&Key>| {
        let out = Cursor::new(Vec::new());
        match key {
            Some(key) => Writer::sealed(out, Some(base), key).is_err(),
            None => Writer::delta(out, base).is_err(),
        }
    };
    let plain = write(None, None, &memory(&[1])).1.base;
    assert!(refused(&base.base, None) && refused(&base.base, Some(&Key::new([9; 32]))));
    assert!(refused(&plain, Some(&key())));
}

/// A forger gives an encrypted checkpoint a base that is not.
#[test]
fn a_base_that_is_not_encrypted_is_refused() {
    let (plain, base, _) = write(None, None, &memory(&[1, 2, 3]));
    let (delta, ..) = write(Some(&base.base), None, &memory(&[1, 9, 3]));
    let list = delta[section(&delta, 10)].to_vec();
    let mut file = example();
    // The section goes before the table, and its entry into it.
    let end = table(&file)
        .iter()
        .map(|(_, offset, length)| offset + length)
        .max();
    let end = end.expect("sections");
    let mut entries = file.split_off(end);
    let place = 9 * ENTRY;
    let mut entry = Vec::new();
    entry.extend_from_slice(&10u32.to_le_bytes());
    entry.extend_from_slice(&1u32.to_le_bytes());
    entry.extend_from_slice(&(end as u64).to_le_bytes());
    entry.extend_from_slice(&(list.len() as u64).to_le_bytes());
    entry.extend_from_slice(&[0; 32]);
    entries.splice(place..place, entry);
    file.extend_from_slice(&list);
    file[16..24].copy_from_slice(&((end + list.len()) as u64).to_le_bytes());
    file[24..32].copy_from_slice(&(entries.len() as u64).to_le_bytes());
    file.extend_from_slice(&entries);
    let file = sealed_anew(file);
    let opened = Reader::open_sealed(Cursor::new(&file[..]), Some(&key()), |_| {
        Ok(Some(Cursor::new(&plain[..])))
    });
    let error = opened.err().expect("it is refused");
    assert!(error.to_string().contains("encrypted otherwise"), "{error}");
}

fn golden() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/format-1-sealed.wherry")
}

/// As the golden file that is not encrypted. To make it, run this with `WHERRY_BLESS=1`; never
/// replace one that was released.
#[test]
fn the_golden_file_is_read() {
    if std::env::var_os("WHERRY_BLESS").is_some() {
        std::fs::write(golden(), example()).expect("it is written");
    }
    let file = std::fs::read(golden()).expect("the golden file");
    let content = read(&file, &key()).expect("valid");
    assert_eq!(
        content,
        [&memory(&[0, 5, 6, 0, 5])[..], SECRETS[2]].concat()
    );
    let state = open(&file, Some(&key())).expect("valid").state_digest();
    // The test vector of docs/checkpoint-format.md.
    assert_eq!(key().id().to_string(), KEY_ID);
    assert_eq!(hex(&state), STATE);
    let name: Digest = key().name(&state);
    assert_eq!(hex(&name), NAME);
}

const KEY_ID: &str = "0b1756db3d14c43c5d8e0b527d419a12";
const STATE: &str = "a2aaab15b02ce77f54f9a404bf3dbcbe176584d9e191ef2724b6e6e9e2379f12";
const NAME: &str = "66429fd8eb5501ed9e87fefc7bd183267535acbc7930418a99c3b6c747cc5552";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn any_memory_comes_back(
        pages in prop::collection::vec(prop::option::of(any::<(u8, u16)>()), 0..200),
        key: [u8; 32],
    ) {
        let mut memory = vec![0; pages.len() * CHUNK_SIZE];
        for (page, write) in memory.chunks_mut(CHUNK_SIZE).zip(pages) {
            if let Some((value, place)) = write {
                page[usize::from(place)] = value;
            }
        }
        let key = Key::new(key);
        let (file, _, _) = write(None, Some(&key), &memory);
        let content = read(&file, &key).expect("valid");
        prop_assert!(content == [&memory[..], SECRETS[2]].concat());
    }

    #[test]
    fn any_bytes_are_refused_without_a_panic(
        start in 0usize..1200,
        bytes in prop::collection::vec(any::<u8>(), 1..100),
    ) {
        let good = example();
        let start = start.min(good.len() - 1);
        let end = (start + bytes.len()).min(good.len());
        let mut file = good.clone();
        file[start..end].copy_from_slice(&bytes[..end - start]);
        prop_assert!(file == good || read(&file, &key()).is_err());
        let file = sealed_anew(file);
        prop_assert!(file == good || read(&file, &key()).is_err());
    }
}
