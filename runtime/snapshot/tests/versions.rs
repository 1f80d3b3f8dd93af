//! What a reader of this version does with files of other versions: the rules of
//! `docs/checkpoint-format.md`, over all combinations of format version, kinds and flags.

use std::io::Cursor;

use sha2::{Digest as _, Sha256};
use wherry_snapshot::{
    Contents, Error, Execution, Frame, Gpu, Lineage, Phase, Profile, Reader, Settings, Workload,
    Writer,
};

const HEADER: usize = 64;
const ENTRY: usize = 56;
const MANDATORY: u32 = 1;
const IDENTITY: u32 = 2;

/// The sections of version 1, with their flags, and whether every file has them.
const KNOWN: [(u32, u32, bool); 14] = [
    (1, MANDATORY | IDENTITY, true),
    (2, MANDATORY | IDENTITY, true),
    (3, MANDATORY | IDENTITY, true),
    (4, MANDATORY | IDENTITY, true),
    (5, MANDATORY, true),
    (6, MANDATORY, true),
    (7, MANDATORY, true),
    (8, MANDATORY, true),
    (9, MANDATORY, true),
    (10, MANDATORY, false),
    (11, MANDATORY | IDENTITY, false),
    (12, MANDATORY, false),
    (13, MANDATORY | IDENTITY, false),
    (15, MANDATORY, false),
];

/// Kinds that a later version may have.
const UNKNOWN: [u32; 3] = [16, 200, u32::MAX];

/// A file as its parts, which are put together whatever they are.
#[derive(Clone)]
struct Parts {
    version: u32,
    /// Kind, flags, content.
    sections: Vec<(u32, u32, Vec<u8>)>,
}

impl Parts {
    /// A small job, deterministic so that it has all sections but *bases* and
    /// *encryption*.
    fn example() -> Self {
        let frame = Frame {
            function: 0,
            offset: 0,
            values: Vec::new(),
        };
        let contents = Contents {
            workload: Workload {
                module: [1; 32],
                manifest: None,
                instrumentation: 77,
            },
            execution: Execution {
                phase: Phase::Main,
                frames: vec![frame],
                globals: Vec::new(),
                tables: Vec::new(),
                dropped_data: Vec::new(),
                dropped_elements: Vec::new(),
            },
            memories: Vec::new(),
            wasi: vec![5],
            settings: Settings::default(),
            accounting: Default::default(),
            lineage: Lineage {
                sequence: 1,
                parent: None,
            },
            profile: Some(Profile {
                version: 88,
                position: 1,
                start_time: 2,
                memory_bytes: None,
            }),
            usage: None,
            gpu: Some(Gpu {
                state: vec![6],
                used_ns: 3,
            }),
        };
        let mut file = Cursor::new(Vec::new());
        let writer = Writer::new(&mut file).expect("memory is writable");
        writer.finish(&contents).expect("it is written");
        Self::of(&file.into_inner())
    }

    fn of(file: &[u8]) -> Self {
        let number = |at: usize, size: usize| {
            let bytes = file[at..at + size].iter().rev();
            bytes.fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
        };
        let index = |at| usize::try_from(number(at, 8)).expect("small");
        let narrow = |at| u32::try_from(number(at, 4)).expect("four bytes");
        let entries = (index(16)..file.len()).step_by(ENTRY);
        let section = |entry| {
            let (start, length) = (index(entry + 8), index(entry + 16));
            let content = file[start..start + length].to_vec();
            (narrow(entry), narrow(entry + 4), content)
        };
        let sections = entries.map(section).collect();
        let version = narrow(8);
        Parts { version, sections }
    }

    fn file(&self) -> Vec<u8> {
        let mut file = vec![0; HEADER];
        let mut table = Vec::new();
        let mut sections: Vec<_> = self.sections.iter().collect();
        sections.sort_by_key(|section| section.0);
        for (kind, flags, content) in sections {
            table.extend(kind.to_le_bytes());
            table.extend(flags.to_le_bytes());
            table.extend((file.len() as u64).to_le_bytes());
            table.extend((content.len() as u64).to_le_bytes());
            let digest = Sha256::digest(content);
            table.extend(if *kind == 9 { [0; 32] } else { digest.into() });
            file.extend(content);
        }
        file[..8].copy_from_slice(b"WHERRYCP");
        file[8..12].copy_from_slice(&self.version.to_le_bytes());
        let offset = file.len() as u64;
        file[16..24].copy_from_slice(&offset.to_le_bytes());
        file[24..32].copy_from_slice(&(table.len() as u64).to_le_bytes());
        file[32..64].copy_from_slice(&Sha256::digest(&table));
        file.extend(table);
        file
    }

    fn open(&self) -> Result<Reader<Cursor<Vec<u8>>>, Error> {
        Reader::open(Cursor::new(self.file()))
    }

    fn with(&self, kind: u32, flags: u32, content: &[u8]) -> Self {
        let mut parts = self.without(kind);
        parts.sections.push((kind, flags, content.to_vec()));
        parts
    }

    fn without(&self, kind: u32) -> Self {
        let mut parts = self.clone();
        parts.sections.retain(|section| section.0 != kind);
        parts
    }

    fn content(&self, kind: u32) -> Vec<u8> {
        let found = self.sections.iter().find(|section| section.0 == kind);
        found.map_or_else(Vec::new, |section| section.2.clone())
    }
}

/// All flags that version 1 knows, and some that it does not.
fn flags() -> impl Iterator<Item = u32> {
    (0..8).chain([1 << 8, 1 << 31, u32::MAX])
}

#[test]
fn files_of_this_version_are_read() {
    let parts = Parts::example();
    let reader = parts.open().expect("it is read");
    // Who cannot resume it can still show it.
    assert_eq!(reader.contents().workload.instrumentation, 77);
    assert_eq!(
        reader.contents().profile.map(|profile| profile.version),
        Some(88)
    );
}

/// Whatever else is in it: nothing of it can be known.
#[test]
fn another_format_version_is_refused_by_its_number() {
    for version in [0, 2, 3, 1 << 16, u32::MAX] {
        let mut example = Parts::example();
        example.version = version;
        let variants = UNKNOWN.map(|kind| example.with(kind, MANDATORY, b"later"));
        let variants = variants
            .into_iter()
            .chain(KNOWN.map(|(kind, ..)| example.without(kind)));
        for parts in variants.chain([example.clone()]) {
            let refused = parts.open().err();
            assert!(
                matches!(refused, Some(Error::FormatVersion { found }) if found == version),
                "{version}: {refused:?}"
            );
        }
    }
}

#[test]
fn an_unknown_section_is_ignored_only_without_flags() {
    let example = Parts::example();
    let digest = example.open().expect("it is read").state_digest();
    for kind in UNKNOWN {
        for flags in flags() {
            for content in [&b""[..], b"of a later version"] {
                let opened = example.with(kind, flags, content).open();
                if flags == 0 {
                    let reader = opened.expect("it is ignored");
                    assert_eq!(reader.state_digest(), digest);
                    continue;
                }
                let refused = opened.err();
                assert!(
                    matches!(refused, Some(Error::UnknownSection { kind: found }) if found == kind),
                    "{kind}, {flags:#x}: {refused:?}"
                );
            }
        }
    }
}

#[test]
fn a_known_section_has_its_own_flags() {
    let example = Parts::example();
    for (kind, expected, always) in KNOWN {
        for flags in flags().filter(|flags| *flags != expected) {
            let refused = example
                .with(kind, flags, &example.content(kind))
                .open()
                .err();
            assert!(
                matches!(refused, Some(Error::Damaged { .. })),
                "{kind}, {flags:#x}: {refused:?}"
            );
        }
        let without = example.without(kind).open();
        match without {
            Ok(_) => assert!(!always, "{kind}"),
            Err(Error::Damaged { reason, .. }) => {
                let expected = match kind {
                    13 | 15 => !always && reason == "there is one of gpu and gpu use",
                    _ => always && reason == "is missing",
                };
                assert!(expected, "{kind}: {reason}");
            }
            Err(other) => panic!("{kind}: {other}"),
        }
    }
}

/// A section cannot be given a field more: an older version would not see it.
#[test]
fn a_section_that_says_more_is_refused() {
    let example = Parts::example();
    // The engine decodes *wasi* and *gpu*; the chunk sections are not encoded in this way.
    let encoded = KNOWN
        .iter()
        .filter(|(kind, ..)| ![4, 8, 9, 10, 12, 13].contains(kind));
    for (kind, flags, _) in encoded {
        let longer = [example.content(*kind), vec![1]].concat();
        let refused = example.with(*kind, *flags, &longer).open().err();
        assert!(
            matches!(refused, Some(Error::Damaged { .. })),
            "{kind}: {refused:?}"
        );
    }
}
