//! The format: round trips, the golden file, and everything that must be refused.

use std::io::{Cursor, Seek, SeekFrom, Write};
use std::path::PathBuf;

use proptest::prelude::*;
use sha2::{Digest as _, Sha256};
use wherry_snapshot::{
    Accounting, Blob, BlobSink, BlobSource, CHUNK_SIZE, Contents, Error, Execution, Frame, Global,
    Limits, Lineage, Memory, Mount, Phase, Profile, Reader, Settings, Slot, Summary, Table, Value,
    Workload, Writer, hex,
};

const HEADER: usize = 64;
const ENTRY: usize = 56;

fn execution() -> Execution {
    let values = vec![
        (Slot::Local(0), Value::I32(7)),
        (Slot::Local(2), Value::F64(0x7ff8_0000_0000_0001)),
        (Slot::Operand(1), Value::V128(1 << 100)),
        (Slot::Operand(3), Value::FuncRef(Some(4))),
    ];
    Execution {
        phase: Phase::Main,
        frames: vec![
            Frame {
                function: 9,
                offset: 300,
                values,
            },
            Frame {
                function: 3,
                offset: 0,
                values: Vec::new(),
            },
        ],
        globals: vec![Global {
            index: 0,
            value: Value::I32(65_536),
        }],
        tables: vec![Table {
            elements: vec![None, Some(3)],
        }],
        dropped_data: vec![1],
        dropped_elements: Vec::new(),
    }
}

/// What the host of WASI would write: this crate does not look into it.
fn wasi() -> Vec<u8> {
    let parts: [&[u8]; 10] = [
        b"\x01\x07program",
        b"\x01\x03KEY\x05value",
        b"\x01\x05/data\x01\x00\x01",
        b"\x03\x00\x02\x00\x00\x00\x00\x01\x40\x00\x00\x01\x02\x40\x00\x00\x02",
        b"\x00",
        b"\x00",
        b"\x80\x94\xeb\xdc\x03\x05",
        &[7; 32],
        b"\x02",
        b"\x00",
    ];
    parts.concat()
}

fn contents(memories: Vec<Memory>) -> Contents {
    Contents {
        workload: Workload {
            module: [1; 32],
            manifest: None,
            instrumentation: 1,
        },
        execution: execution(),
        memories,
        wasi: wasi(),
        settings: Settings {
            args: vec!["program".to_owned()],
            env: vec![("KEY".to_owned(), "value".to_owned())],
            mounts: vec![Mount {
                guest: "/data".to_owned(),
                read_only: true,
            }],
            limits: Limits {
                memory_bytes: Some(1 << 30),
                wall_ns: None,
                cpu_ns: None,
            },
        },
        accounting: Accounting {
            wall_ns: 3,
            cpu_ns: 2,
        },
        lineage: Lineage {
            sequence: 1,
            parent: None,
        },
        profile: None,
        usage: None,
        gpu: None,
    }
}

/// Page 0 is zero, 1 and 2 are alike, 3 is zero, 4 ends in a one.
fn memory() -> Vec<u8> {
    let mut memory = vec![0; 5 * CHUNK_SIZE];
    memory[CHUNK_SIZE..3 * CHUNK_SIZE].fill(5);
    memory[5 * CHUNK_SIZE - 1] = 1;
    memory
}

fn write(memory: &[u8], blob: &[u8]) -> (Vec<u8>, Contents, Blob, Summary) {
    write_with(memory, blob, None)
}

fn write_with(
    memory: &[u8],
    blob: &[u8],
    profile: Option<Profile>,
) -> (Vec<u8>, Contents, Blob, Summary) {
    let mut file = Cursor::new(Vec::new());
    let mut writer = Writer::new(&mut file).expect("memory is writable");
    let memory = writer.memory(memory, Some(10)).expect("it is stored");
    let blob = writer.put(&mut &*blob).expect("it is stored");
    let contents = Contents {
        profile,
        ..contents(vec![memory])
    };
    let summary = writer.finish(&contents).expect("it is completed").summary;
    (file.into_inner(), contents, blob, summary)
}

fn example() -> Vec<u8> {
    write(&memory(), b"a small file").0
}

/// Opens a checkpoint and reads everything that is in it.
fn read_all(file: &[u8]) -> Result<(Contents, Vec<u8>), Error> {
    let reader = Reader::open(Cursor::new(file))?;
    let memory = &reader.contents().memories[0];
    let mut content = vec![0; usize::try_from(memory.pages).expect("small") * CHUNK_SIZE];
    reader.restore_memory(memory, &mut content)?;
    Ok((reader.contents().clone(), content))
}

#[test]
fn what_was_written_is_read() {
    let (file, contents, blob, summary) = write(&memory(), b"a small file");
    assert_eq!(read_all(&file).expect("valid"), (contents, memory()));
    assert_eq!(summary.bytes, file.len() as u64);
    // Pages 1 and 2 are one chunk, pages 0 and 3 none.
    assert_eq!(
        (summary.chunks, summary.chunk_bytes),
        (3, 2 * CHUNK_SIZE as u64 + 12)
    );
    let reader = Reader::open(Cursor::new(&file[..])).expect("valid");
    assert_eq!(reader.state_digest(), summary.state_digest);
    let mut content = Vec::new();
    reader.read(&blob, &mut content).expect("it is there");
    assert_eq!(content, b"a small file");
}

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.wherry"))
}

/// The files of version 1: each with its profile and its state digest.
fn golden_files() -> [(&'static str, Option<Profile>, &'static str); 2] {
    let profile = Profile {
        version: 1,
        position: 300,
        start_time: 946_684_800_000_000_000,
        memory_bytes: Some(1 << 30),
    };
    // The first one is the test vector of docs/checkpoint-format.md.
    [
        ("format-1", None, FORMAT_1),
        ("format-1-profile", Some(profile), FORMAT_1_PROFILE),
    ]
}

const FORMAT_1: &str = "26f5a0c4e2ee4c1d4bb8ac552490e5ef15f6d77293eee7424286e9c19508d836";
const FORMAT_1_PROFILE: &str = "108c2825feae0b41dbdf24ffe9c82cfa5fda23385986e5296f373402d40bf9a7";

/// Files of every version that was ever released are read for ever: `tests/golden/README.md`.
#[test]
fn the_golden_files_are_read() {
    for (name, profile, expected) in golden_files() {
        let (file, contents, _, summary) = write_with(&memory(), b"a small file", profile);
        if std::env::var_os("WHERRY_BLESS").is_some() {
            std::fs::write(golden(name), &file).expect("it is written");
        }
        let golden = std::fs::read(golden(name)).expect("the golden file");
        assert_eq!(read_all(&golden).expect("valid"), (contents, memory()));
        let reader = Reader::open(Cursor::new(golden)).expect("valid");
        assert_eq!(reader.state_digest(), summary.state_digest);
        assert_eq!(hex(&summary.state_digest), expected, "{name}");
    }
}

#[test]
fn content_that_does_not_shrink_is_stored_as_it_is() {
    let mut noise = vec![0; 3 * CHUNK_SIZE];
    let mut digest = [0; 32];
    for part in noise.chunks_mut(32) {
        digest = Sha256::digest(digest).into();
        part.copy_from_slice(&digest);
    }
    let (file, contents, _, summary) = write(&noise, b"");
    assert_eq!(summary.chunks, 3);
    assert!(file.windows(noise.len()).any(|part| part == noise));
    assert_eq!(read_all(&file).expect("valid"), (contents, noise));
}

#[test]
fn every_truncation_is_refused() {
    let file = example();
    for length in 0..file.len() {
        let error = read_all(&file[..length]).expect_err("it is truncated");
        assert!(
            matches!(error, Error::Truncated { .. }),
            "{length}: {error}"
        );
        assert!(
            error
                .to_string()
                .contains(&format!("ends at byte {length}")),
            "{error}"
        );
    }
}

#[test]
fn every_flipped_bit_is_refused_or_changes_nothing() {
    let file = example();
    let (_, contents, blob, _) = write(&memory(), b"a small file");
    for byte in 0..file.len() {
        for bit in 0..8 {
            let mut flipped = file.clone();
            flipped[byte] ^= 1 << bit;
            let Ok(reader) = Reader::open(Cursor::new(&flipped[..])) else {
                continue;
            };
            // The bit is in a chunk. It need not mean anything there, as those that zstd
            // reserves; the digest of the content tells.
            assert_eq!(*reader.contents(), contents);
            let mut content = Vec::new();
            if reader.read(&blob, &mut content).is_ok() {
                assert_eq!(content, b"a small file", "byte {byte}, bit {bit}");
            }
            if let Ok((_, content)) = read_all(&flipped) {
                assert!(content == memory(), "byte {byte}, bit {bit}");
            }
        }
    }
}

#[test]
fn bytes_after_the_end_are_refused() {
    let mut file = example();
    file.push(0);
    assert!(
        read_all(&file)
            .expect_err("too long")
            .to_string()
            .contains("bytes follow")
    );
}

#[test]
fn another_version_is_refused_before_anything_else() {
    let mut file = example();
    file.truncate(HEADER);
    file[8] = 2;
    let error = read_all(&file).expect_err("another version");
    assert_eq!(
        error.to_string(),
        "checkpoint format 2 is not supported, only 1"
    );
    assert!(matches!(read_all(&[0; 100]), Err(Error::NotACheckpoint)));
}

/// A file in parts, to be put together in a way that no writer would.
struct Parts {
    bytes: Vec<u8>,
    table: Vec<[u8; ENTRY]>,
}

impl Parts {
    fn of(file: &[u8]) -> Self {
        let table_offset = usize::try_from(u64::from_le_bytes(file[16..24].try_into().expect("8")));
        let (bytes, table) = file.split_at(table_offset.expect("small"));
        let table = table.as_chunks::<ENTRY>().0.to_vec();
        Parts {
            bytes: bytes.to_vec(),
            table,
        }
    }

    /// Replaces a section by a copy at the end that `change` was applied to. The old bytes
    /// become an optional section, so that the file has no gap.
    fn change(&mut self, kind: u8, change: impl FnOnce(&mut Vec<u8>)) {
        let index = self
            .table
            .iter()
            .position(|entry| entry[0] == kind)
            .expect("it is there");
        let mut old = self.table[index];
        let field = |at: usize| u64::from_le_bytes(old[at..at + 8].try_into().expect("8"));
        let start = usize::try_from(field(8)).expect("small");
        let length = usize::try_from(field(16)).expect("small");
        let mut section = self.bytes[start..start + length].to_vec();
        change(&mut section);
        let new = &mut self.table[index];
        new[8..16].copy_from_slice(&(self.bytes.len() as u64).to_le_bytes());
        new[16..24].copy_from_slice(&(section.len() as u64).to_le_bytes());
        new[24..56].copy_from_slice(&Sha256::digest(&section));
        self.bytes.extend_from_slice(&section);
        old[0..8].copy_from_slice(&[200, 0, 0, 0, 0, 0, 0, 0]);
        self.table.push(old);
    }

    fn file(mut self) -> Vec<u8> {
        let table = self.table.concat();
        let offset = (self.bytes.len() as u64).to_le_bytes();
        self.bytes[16..24].copy_from_slice(&offset);
        self.bytes[24..32].copy_from_slice(&(table.len() as u64).to_le_bytes());
        self.bytes[32..64].copy_from_slice(&Sha256::digest(&table));
        self.bytes.extend_from_slice(&table);
        self.bytes
    }
}

/// The message with which a file is refused after one section was changed, digests and all.
fn refused(kind: u8, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut parts = Parts::of(&example());
    parts.change(kind, change);
    read_all(&parts.file())
        .expect_err("it is refused")
        .to_string()
}

#[test]
fn optional_sections_are_skipped_and_mandatory_ones_refused() {
    let mut parts = Parts::of(&example());
    parts.change(5, |_| ());
    assert!(read_all(&parts.file()).is_ok());
    for flags in [1, 2, 3] {
        let mut parts = Parts::of(&example());
        parts.change(5, |_| ());
        parts.table.last_mut().expect("the old section")[4] = flags;
        let error = read_all(&parts.file()).expect_err("it is unknown");
        assert!(
            matches!(error, Error::UnknownSection { kind: 200 }),
            "{error}"
        );
    }
}

#[test]
fn sections_must_be_canonical() {
    // 7, as two bytes instead of one.
    let message = refused(7, |section| {
        section.clear();
        section.extend_from_slice(&[0x87, 0x00, 0x00]);
    });
    assert!(
        message.contains("section lineage: is not encoded canonically"),
        "{message}"
    );
    let message = refused(6, |section| section.push(0));
    assert!(message.contains("section accounting"), "{message}");
}

#[test]
fn memories_must_be_canonical() {
    let zero: [u8; 32] = Sha256::digest([0; CHUNK_SIZE]).into();
    let page = |memory: &Memory| memory.runs[0].pages[0];
    type Change = fn(&mut Memory, [u8; 32]);
    let cases: [(&str, Change); 5] = [
        ("out of bounds", |memory, _| memory.pages = 4),
        ("not in order", |memory, _| memory.runs.swap(0, 1)),
        ("not in order", |memory, _| memory.runs[1].first = 3),
        ("not in order", |memory, _| memory.runs[1].pages.clear()),
        ("a page of zeros", |memory, zero| {
            memory.runs[1].pages[0] = zero
        }),
    ];
    for (expected, change) in cases {
        let message = refused(3, |section| {
            let mut memories: Vec<Memory> = postcard::from_bytes(section).expect("valid");
            assert_ne!(page(&memories[0]), zero);
            change(&mut memories[0], zero);
            *section = postcard::to_stdvec(&memories).expect("it is encoded");
        });
        assert!(
            message.contains(expected),
            "{message} instead of {expected}"
        );
    }
    let message = refused(3, |section| {
        let mut memories: Vec<Memory> = postcard::from_bytes(section).expect("valid");
        memories[0].runs[0].pages[0] = [3; 32];
        *section = postcard::to_stdvec(&memories).expect("it is encoded");
    });
    assert!(message.contains("lacks chunk 0303"), "{message}");
}

#[test]
fn the_chunk_index_must_describe_the_chunks() {
    for (expected, change) in [
        (
            "no whole number",
            (|index| index.truncate(71)) as fn(&mut Vec<u8>),
        ),
        ("does not describe", |index| index.truncate(2 * 72)),
        ("there twice", |index| index.extend_from_within(0..72)),
        ("too long", |index| index[64..68].fill(0xff)),
        ("too long", |index| index[68..72].fill(0xff)),
    ] {
        let message = refused(8, change);
        assert!(
            message.contains(expected),
            "{message} instead of {expected}"
        );
    }
}

#[test]
fn a_section_that_is_too_large_is_refused_unread() {
    let mut parts = Parts::of(&example());
    parts.change(7, |section| section.resize(5000, 0));
    let error = read_all(&parts.file()).expect_err("it is too large");
    let expected = "section lineage of 5000 bytes is larger than the limit of 4096";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_failing_disk_is_an_error() {
    struct Full(Cursor<Vec<u8>>);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            if self.0.position() + bytes.len() as u64 > 1000 {
                return Err(std::io::ErrorKind::StorageFull.into());
            }
            self.0.write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    impl Seek for Full {
        fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
            self.0.seek(to)
        }
    }
    let mut file = Full(Cursor::new(Vec::new()));
    let writer = Writer::new(&mut file).expect("it begins");
    let mut contents = contents(Vec::new());
    contents.wasi = vec![7; 2000];
    assert!(matches!(writer.finish(&contents), Err(Error::Io(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_memory_and_blob_come_back(
        pages in prop::collection::vec(prop::option::of(any::<(u8, u16)>()), 0..300),
        blob in prop::collection::vec(any::<u8>(), 0..3 * CHUNK_SIZE),
    ) {
        let mut memory = vec![0; pages.len() * CHUNK_SIZE];
        for (page, write) in memory.chunks_mut(CHUNK_SIZE).zip(pages) {
            if let Some((value, place)) = write {
                page[usize::from(place)] = value;
            }
        }
        let (file, contents, written, _) = write(&memory, &blob);
        let (read, restored) = read_all(&file).expect("valid");
        prop_assert_eq!(read, contents);
        prop_assert!(restored == memory);
        let mut content = Vec::new();
        let reader = Reader::open(Cursor::new(&file[..])).expect("valid");
        reader.read(&written, &mut content).expect("it is there");
        prop_assert!(content == blob);
    }

    #[test]
    fn any_bytes_are_refused_without_a_panic(
        start in 0usize..1200,
        bytes in prop::collection::vec(any::<u8>(), 1..100),
    ) {
        let mut file = example();
        let start = start.min(file.len());
        let end = (start + bytes.len()).min(file.len());
        file[start..end].copy_from_slice(&bytes[..end - start]);
        let _ = read_all(&file);
    }
}
