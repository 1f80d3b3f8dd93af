//! Two states, compared part by part: what differs first in each, in words.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::{Read, Seek};

use wherry_snapshot::{
    Blob, CHUNK_SIZE, Digest, Execution, Frame, Memory, Reader, Slot, Value, hex,
};
use wherry_wasi::{Content, WasiState};

use crate::verify::read;
use crate::{Error, wasi_state};

/// Something in which two states differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The section of the checkpoint.
    pub section: &'static str,
    /// Where in it.
    pub place: String,
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub found: String,
}

/// What differs, the first thing of each kind.
pub(crate) fn differences<A: Read + Seek + Send, B: Read + Seek + Send>(
    expected: &Reader<A>,
    found: &Reader<B>,
) -> Result<Vec<Difference>, Error> {
    let (one, other) = (expected.contents(), found.contents());
    let mut rows = Rows::default();
    rows.fields("workload", "workload", &one.workload, &other.workload);
    rows.execution(&one.execution, &other.execution);
    let memories = list("memory", &one.memories, &other.memories);
    for (index, (one, other)) in one.memories.iter().zip(&other.memories).enumerate() {
        rows.memory(index, (expected, one), (found, other))?;
    }
    rows.0.extend(
        memories
            .filter(|(_, one, other)| one.is_none() || other.is_none())
            .map(|(place, one, other)| row("memories", place, &one.is_some(), &other.is_some())),
    );
    let (one_host, other_host) = (wasi_state(one)?, wasi_state(other)?);
    rows.host(&one_host, &other_host);
    rows.files((expected, &one_host), (found, &other_host))?;
    rows.fields("profile", "profile", &one.profile, &other.profile);
    Ok(rows.0)
}

#[derive(Default)]
struct Rows(Vec<Difference>);

impl Rows {
    fn fields<T: PartialEq + Debug>(
        &mut self,
        section: &'static str,
        place: &str,
        expected: &T,
        found: &T,
    ) {
        if expected != found {
            self.0.push(row(section, place.to_owned(), expected, found));
        }
    }

    /// The first elements that differ, and how many do.
    fn first<T: PartialEq>(
        &mut self,
        section: &'static str,
        name: &str,
        expected: &[T],
        found: &[T],
        text: impl Fn(&T) -> String,
    ) {
        let different: Vec<_> = list(name, expected, found).collect();
        let Some((place, one, other)) = different.first() else {
            return;
        };
        let text = |item: &Option<&T>| item.map_or_else(|| "none".to_owned(), &text);
        self.0.push(Difference {
            section,
            place: and_more(place, different.len()),
            expected: text(one),
            found: text(other),
        });
    }

    fn execution(&mut self, expected: &Execution, found: &Execution) {
        let section = "execution";
        self.fields(section, "phase", &expected.phase, &found.phase);
        self.frames(&expected.frames, &found.frames);
        let (one, other) = (&expected.globals, &found.globals);
        self.first(section, "global", one, other, |global| {
            format!("global {}: {}", global.index, text_of(&global.value))
        });
        for (index, (one, other)) in expected.tables.iter().zip(&found.tables).enumerate() {
            let name = format!("table {index}, element");
            self.first(section, &name, &one.elements, &other.elements, |element| {
                element.map_or_else(|| "null".to_owned(), |index| format!("function {index}"))
            });
        }
        let tables = (expected.tables.len(), found.tables.len());
        self.fields(section, "tables", &tables.0, &tables.1);
        let (one, other) = (&expected.dropped_data, &found.dropped_data);
        self.fields(section, "dropped data segments", one, other);
        let (one, other) = (&expected.dropped_elements, &found.dropped_elements);
        self.fields(section, "dropped element segments", one, other);
    }

    fn frames(&mut self, expected: &[Frame], found: &[Frame]) {
        let different: Vec<_> = list("frame", expected, found).collect();
        let Some((place, one, other)) = different.first() else {
            return;
        };
        let place = and_more(place, different.len());
        if let (Some(one), Some(other)) = (one, other)
            && (one.function, one.offset) == (other.function, other.offset)
        {
            let text = |(slot, value): &(Slot, Value)| match slot {
                Slot::Local(index) => format!("local {index}: {}", text_of(value)),
                Slot::Operand(index) => format!("operand {index}: {}", text_of(value)),
            };
            let place = format!("{place}, value");
            return self.first("execution", &place, &one.values, &other.values, text);
        }
        let text = |frame: &Option<&Frame>| {
            frame.map_or_else(
                || "none".to_owned(),
                |frame| format!("function {} at +{:#x}", frame.function, frame.offset),
            )
        };
        self.0.push(Difference {
            section: "execution",
            place,
            expected: text(one),
            found: text(other),
        });
    }

    fn memory<A: Read + Seek + Send, B: Read + Seek + Send>(
        &mut self,
        index: usize,
        (expected, one): (&Reader<A>, &Memory),
        (found, other): (&Reader<B>, &Memory),
    ) -> Result<(), Error> {
        let name = format!("memory {index}");
        let sizes = ((one.pages, one.maximum), (other.pages, other.maximum));
        self.fields("memories", &format!("{name}, pages"), &sizes.0, &sizes.1);
        let (one, other) = (pages(one), pages(other));
        let mut numbers: Vec<u64> = one.keys().chain(other.keys()).copied().collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.retain(|page| one.get(page) != other.get(page));
        let Some(first) = numbers.first() else {
            return Ok(());
        };
        let one = page(expected, one.get(first))?;
        let other = page(found, other.get(first))?;
        let place = format!("{name}, page {first}");
        self.bytes("memories", &and_more(&place, numbers.len()), &one, &other);
        Ok(())
    }

    /// The first byte that differs.
    fn bytes(&mut self, section: &'static str, place: &str, expected: &[u8], found: &[u8]) {
        let same = expected.iter().zip(found).take_while(|(a, b)| a == b);
        let at = same.count();
        let text = |bytes: &[u8]| match bytes.get(at) {
            Some(byte) => format!("{byte:#04x}"),
            None => "the end".to_owned(),
        };
        self.0.push(Difference {
            section,
            place: format!("{place}, byte {at:#x}"),
            expected: text(expected),
            found: text(found),
        });
    }

    fn host(&mut self, expected: &WasiState, found: &WasiState) {
        let section = "wasi";
        self.fields(section, "arguments", &expected.args, &found.args);
        self.fields(section, "environment", &expected.env, &found.env);
        self.fields(section, "directories", &expected.mounts, &found.mounts);
        let (one, other) = (&expected.clocks, &found.clocks);
        self.fields(section, "monotonic clock", &one.monotonic, &other.monotonic);
        self.fields(section, "CPU time", &one.cpu, &other.cpu);
        let (one, other) = (&expected.random, &found.random);
        self.fields(section, "seed", &hex(&one.seed), &hex(&other.seed));
        let (one, other) = (&one.position, &other.position);
        self.fields(section, "random numbers taken", one, other);
        let (one, other) = (&expected.pending_poll, &found.pending_poll);
        self.fields(section, "wait", one, other);
        let descriptors = |state: &WasiState| -> Vec<_> {
            let descriptors = state.descriptors.iter();
            descriptors.map(|(fd, open)| (*fd, open.clone())).collect()
        };
        let (one, other) = (descriptors(expected), descriptors(found));
        self.first(section, "descriptor", &one, &other, |(fd, open)| {
            format!("{fd}: {open:?}")
        });
    }

    /// The first file of the scratch directory that differs, and the first without a name.
    fn files<A: Read + Seek + Send, B: Read + Seek + Send>(
        &mut self,
        (expected, one): (&Reader<A>, &WasiState),
        (found, other): (&Reader<B>, &WasiState),
    ) -> Result<(), Error> {
        let mut paths: Vec<_> = one.scratch.keys().chain(other.scratch.keys()).collect();
        paths.sort_unstable();
        paths.dedup();
        paths.retain(|path| one.scratch.get(*path) != other.scratch.get(*path));
        if let Some(path) = paths.first() {
            let name = format!("file {:?}", String::from_utf8_lossy(path));
            let place = and_more(&name, paths.len());
            let nodes = (one.scratch.get(*path), other.scratch.get(*path));
            match nodes {
                (Some(a), Some(b)) => match (&a.content, &b.content) {
                    (Content::File(a), Content::File(b)) if a != b => {
                        let (a, b) = (content(expected, a)?, content(found, b)?);
                        self.bytes("wasi", &place, &a, &b);
                    }
                    (a, b) if a != b => self.fields("wasi", &place, a, b),
                    _ => {
                        let (a, b) = ((a.id, a.atime, a.mtime), (b.id, b.atime, b.mtime));
                        self.fields("wasi", &format!("{place}, number and times"), &a, &b);
                    }
                },
                (a, b) => self.fields("wasi", &place, &a.is_some(), &b.is_some()),
            }
        }
        let text =
            |orphan: &wherry_wasi::Orphan| String::from_utf8_lossy(&orphan.path).into_owned();
        self.first("wasi", "deleted file", &one.orphans, &other.orphans, text);
        Ok(())
    }
}

/// The elements in which two lists differ, with where they are.
fn list<'a, T: PartialEq>(
    name: &str,
    one: &'a [T],
    other: &'a [T],
) -> impl Iterator<Item = (String, Option<&'a T>, Option<&'a T>)> {
    let length = one.len().max(other.len());
    let pairs = (0..length).map(|index| (index, one.get(index), other.get(index)));
    let different = pairs.filter(|(_, one, other)| one != other);
    different.map(move |(index, one, other)| (format!("{name} {index}"), one, other))
}

fn row<T: Debug>(section: &'static str, place: String, expected: &T, found: &T) -> Difference {
    Difference {
        section,
        place,
        expected: format!("{expected:?}"),
        found: format!("{found:?}"),
    }
}

fn and_more(place: &str, count: usize) -> String {
    match count {
        1 => place.to_owned(),
        count => format!("{place} (the first of {count})"),
    }
}

fn pages(memory: &Memory) -> BTreeMap<u64, Digest> {
    let runs = memory.runs.iter();
    runs.flat_map(|run| (run.first..).zip(run.pages.iter().copied()))
        .collect()
}

/// The content of a page; one without a digest is zero.
fn page<R: Read + Seek + Send>(
    reader: &Reader<R>,
    digest: Option<&Digest>,
) -> Result<Vec<u8>, Error> {
    let Some(digest) = digest else {
        return Ok(vec![0; CHUNK_SIZE]);
    };
    let len = CHUNK_SIZE as u64;
    let digests = vec![*digest];
    content(reader, &Blob { len, digests })
}

fn content<R: Read + Seek + Send>(reader: &Reader<R>, blob: &Blob) -> Result<Vec<u8>, Error> {
    let mut content = Vec::new();
    read(reader, blob, &mut content)?;
    Ok(content)
}

fn text_of(value: &Value) -> String {
    match value {
        Value::I32(bits) => format!("i32 {}", bits.cast_signed()),
        Value::I64(bits) => format!("i64 {}", bits.cast_signed()),
        Value::F32(bits) => format!("f32 {:?} ({bits:#010x})", f32::from_bits(*bits)),
        Value::F64(bits) => format!("f64 {:?} ({bits:#018x})", f64::from_bits(*bits)),
        Value::V128(bits) => format!("v128 {bits:#034x}"),
        Value::FuncRef(Some(function)) => format!("function {function}"),
        Value::FuncRef(None) | Value::NullExtern => "null".to_owned(),
    }
}
