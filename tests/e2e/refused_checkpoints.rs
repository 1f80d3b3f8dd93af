//! Checkpoints that are damaged, hostile or of something else: refused by name, and nothing is
//! changed.

use std::fs;
use std::path::PathBuf;

use sha2::{Digest, Sha256};
use wherry_tests::{Home, Random};

const CAPTURED: i32 = 85;
const BAD_DATA: i32 = 65;

const HEADER: usize = 64;
const ENTRY: usize = 56;

/// A checkpoint as bytes, with the places that `docs/checkpoint-format.md` describes.
#[derive(Clone)]
struct File(Vec<u8>);

/// An entry of the section table.
struct Section {
    kind: u32,
    entry: usize,
    offset: usize,
    length: usize,
}

impl File {
    fn number(&self, at: usize) -> usize {
        let bytes = self.0[at..at + 8].try_into().expect("eight bytes");
        usize::try_from(u64::from_le_bytes(bytes)).expect("in memory")
    }

    fn sections(&self) -> Vec<Section> {
        let table = self.number(16);
        let count = self.number(24) / ENTRY;
        let entries = (0..count).map(|index| table + index * ENTRY);
        entries
            .map(|entry| Section {
                kind: u32::from_le_bytes(self.0[entry..entry + 4].try_into().expect("four")),
                entry,
                offset: self.number(entry + 8),
                length: self.number(entry + 16),
            })
            .collect()
    }

    fn flipped(&self, at: usize, mask: u8) -> File {
        let mut file = self.clone();
        file.0[at] ^= mask;
        file
    }

    /// With the digests that its sections have now, as a forger would do it.
    fn sealed(mut self) -> File {
        for Section {
            kind,
            entry,
            offset,
            length,
        } in self.sections()
        {
            let content = self.0.get(offset..offset.saturating_add(length));
            if let Some(content) = content.filter(|_| kind != CHUNKS) {
                let digest = Sha256::digest(content);
                self.0[entry + 24..entry + ENTRY].copy_from_slice(&digest);
            }
        }
        let table = self.number(16)..;
        let digest = Sha256::digest(&self.0[table]);
        self.0[32..HEADER].copy_from_slice(&digest);
        self
    }
}

const CHUNKS: u32 = 9;
const SECTIONS: [&str; 10] = [
    "workload",
    "execution",
    "memories",
    "wasi",
    "settings",
    "accounting",
    "lineage",
    "chunk index",
    "chunk",
    "usage",
];

/// A good checkpoint, the module it is of, and a home that does not know the job.
struct Setting {
    home: Home,
    module: PathBuf,
    good: File,
}

impl Setting {
    fn new() -> Self {
        let home = Home::new();
        let (module, file) = (home.program("count"), home.file("good.ckpt"));
        let to = format!("--checkpoint-to={}", file.display());
        let source = Home::new();
        let limits = ["--wall-time=2s", "--memory=16MiB"]; // for what forgers make of it
        let mut run = source.command(["run", "--checkpoint-at=5000", &to]);
        run.args(limits).arg(&module);
        wherry_tests::Done::of(run).expect(CAPTURED);
        let good = File(fs::read(&file).unwrap());
        Setting { home, module, good }
    }

    fn arguments(&self, file: &[u8]) -> [String; 4] {
        let path = self.home.write("bad.ckpt", file);
        [
            "resume".to_owned(),
            "--module".to_owned(),
            self.module.display().to_string(),
            path.display().to_string(),
        ]
    }

    /// Neither `resume` nor `inspect` takes it, and the home is as it was.
    #[track_caller]
    fn refuses(&self, file: &File, words: &[&str]) {
        let before = self.home.contents();
        let words = [words, &["bad.ckpt"]].concat();
        let arguments = self.arguments(&file.0);
        self.home
            .wherry(&arguments)
            .expect_refusal(BAD_DATA, &words);
        assert_eq!(self.home.contents(), before);
    }
}

#[test]
fn a_flipped_byte_in_any_section() {
    let setting = Setting::new();
    let sections = setting.good.sections();
    assert_eq!(sections.len(), SECTIONS.len());
    for (section, name) in sections.iter().zip(SECTIONS) {
        assert!(section.length > 0, "{name}");
        for at in [0, section.length / 2, section.length - 1] {
            let bad = setting.good.flipped(section.offset + at, 0x10);
            setting.refuses(&bad, &["damaged", name]);
        }
    }
}

#[test]
fn a_flipped_byte_in_the_header_and_the_table() {
    let setting = Setting::new();
    let good = &setting.good;
    setting.refuses(&good.flipped(0, 1), &["not a checkpoint"]);
    setting.refuses(&good.flipped(8, 2), &["format 3", "only 1"]);
    setting.refuses(&good.flipped(12, 1), &["header"]);
    setting.refuses(&good.flipped(40, 1), &["section table", "digest"]);
    let table = good.number(16);
    setting.refuses(&good.flipped(table + 30, 1), &["section table", "digest"]);
    // As if a later version had a section that must not be ignored.
    let last = table + 9 * ENTRY;
    let unknown = good.flipped(last, 0x40).flipped(last + 4, 1).sealed();
    setting.refuses(&unknown, &["78", "mandatory"]);
    // A section of 2^63 bytes.
    let huge = good.flipped(table + 16 + 7, 0x80).sealed();
    setting.refuses(&huge, &["workload", "limit"]);
}

#[test]
fn a_checkpoint_that_ends_too_early_or_too_late() {
    let setting = Setting::new();
    let good = &setting.good.0;
    for length in [0, 1, HEADER - 1, HEADER, good.len() / 2, good.len() - 1] {
        let bad = File(good[..length].to_vec());
        setting.refuses(&bad, &[]);
    }
    let longer = File([good.as_slice(), b"\0"].concat());
    setting.refuses(&longer, &["bytes follow"]);
}

#[test]
fn a_checkpoint_of_another_workload() {
    let setting = Setting::new();
    let Setting { home, good, .. } = &setting;
    let (other, file) = (home.program("hello"), home.write("good.ckpt", &good.0));
    let digest = |path| format!("{:x}", Sha256::digest(fs::read(path).unwrap()));
    let words = [&digest(&setting.module)[..], &digest(&other), "--module"];
    let arguments = [
        "resume",
        "--module",
        other.to_str().unwrap(),
        file.to_str().unwrap(),
    ];
    let before = home.contents();
    home.wherry(arguments).expect_refusal(BAD_DATA, &words);
    assert_eq!(home.contents(), before);
}

/// What a forger can make of a state: it is refused, or it runs in its sandbox.
#[test]
fn forged_states_never_break_the_runtime() {
    let setting = Setting::new();
    let mut random = Random::new();
    let mut refused = 0;
    let sections = setting.good.sections();
    for section in sections.iter().filter(|section| section.kind != CHUNKS) {
        for _ in 0..8 {
            let at = random.below(section.length as u64);
            let at = section.offset + usize::try_from(at).unwrap();
            let mask = 1 << random.below(8);
            let forged = setting.good.flipped(at, mask).sealed();
            let done = setting.home.wherry(setting.arguments(&forged.0));
            let kind = section.kind;
            let what = format!("section {kind}, byte {at}, mask {mask}: {}", done.stderr);
            assert!(!done.stderr.contains("panicked"), "{what}");
            assert!(!matches!(done.code, None | Some(70 | 101)), "{what}");
            refused += usize::from(done.code == Some(BAD_DATA));
        }
    }
    assert!(refused > 0, "some are refused");
}
