//! Checkpoints that somebody made up: a real one with parts changed, and every digest made right
//! again, so that what stands behind the digests has to notice.

use std::collections::BTreeMap;
use std::io::Cursor;

use sha2::{Digest as _, Sha256};
use wasmtime::{Result, error::Context};
use wherry_snapshot::{
    Blob, Contents, Digest, Execution, Frame, FunctionRef, Global, Memory, Phase, Profile, Reader,
    Run, Slot, Table, Value,
};
use wherry_wasi::{Content, Location, Node, ObjectState, WasiState};

use crate::Random;

const HEADER: usize = 64;
const ENTRY: usize = 56;

/// Kinds of sections, see `docs/checkpoint-format.md`.
mod kind {
    pub(super) const WORKLOAD: u32 = 1;
    pub(super) const EXECUTION: u32 = 2;
    pub(super) const MEMORIES: u32 = 3;
    pub(super) const WASI: u32 = 4;
    pub(super) const SETTINGS: u32 = 5;
    pub(super) const CHUNKS: u32 = 9;
    pub(super) const BASES: u32 = 10;
    pub(super) const PROFILE: u32 = 11;
}

/// Makes another checkpoint of a valid one that stands on its own: one to three parts of its state are changed into
/// something that has the right form, and sometimes a byte of a section into any other.
///
/// # Errors
/// If the checkpoint is not valid.
pub fn forge(checkpoint: &[u8], random: &mut Random) -> Result<Vec<u8>> {
    let contents = Reader::open(Cursor::new(checkpoint))?.contents().clone();
    forge_contents(checkpoint, contents, random)
}

/// The same of one that may build on others, and whose contents are known.
///
/// # Errors
/// If the checkpoint is not valid.
pub fn forge_contents(
    checkpoint: &[u8],
    mut contents: Contents,
    random: &mut Random,
) -> Result<Vec<u8>> {
    let mut file = File::of(checkpoint);
    for _ in 0..=random.below(3) {
        match random.below(8) {
            0..4 => execution(&mut contents.execution, random),
            4 => memories(&mut contents.memories, random),
            5 | 6 => wasi(&mut contents, random)?,
            _ => rest(&mut contents, random),
        }
    }
    file.replace(&contents)?;
    if random.below(8) == 0 {
        file.flip(random);
    }
    Ok(file.bytes())
}

/// The same with every byte of the sections that decoders read likely to be another one: most
/// of these have no valid form.
///
/// # Errors
/// If the checkpoint is not valid.
pub fn garble(checkpoint: &[u8], random: &mut Random) -> Result<Vec<u8>> {
    let mut file = File::of(checkpoint);
    for _ in 0..=random.below(4) {
        file.flip(random);
    }
    Ok(file.bytes())
}

/// Makes a delta name these files as those that it builds on.
///
/// # Errors
/// If it is no delta.
pub fn build_on(delta: &[u8], bases: &[Digest]) -> Result<Vec<u8>> {
    let mut file = File::of(delta);
    let section = file.0.get_mut(&kind::BASES);
    section.context("it builds on nothing")?.1 = postcard::to_stdvec(bases)?;
    Ok(file.bytes())
}

/// Takes a checkpoint apart and puts it together again, as forging does, but changes nothing.
///
/// # Errors
/// If the checkpoint is not valid.
pub fn put_together_again(checkpoint: &[u8]) -> Result<Vec<u8>> {
    let mut file = File::of(checkpoint);
    file.replace(Reader::open(Cursor::new(checkpoint))?.contents())?;
    Ok(file.bytes())
}

/// The sections of a file by kind, with their flags.
struct File(BTreeMap<u32, (u32, Vec<u8>)>);

impl File {
    fn of(file: &[u8]) -> Self {
        let number = |at: usize, size: usize| {
            let bytes = file[at..at + size].iter().rev();
            bytes.fold(0_usize, |number, byte| number << 8 | usize::from(*byte))
        };
        let narrow = |at| u32::try_from(number(at, 4)).unwrap_or(0);
        let table = number(16, 8);
        let entries = (table..table + number(24, 8)).step_by(ENTRY);
        let sections = entries.map(|entry| {
            let (offset, length) = (number(entry + 8, 8), number(entry + 16, 8));
            let content = file[offset..offset + length].to_vec();
            (narrow(entry), (narrow(entry + 4), content))
        });
        Self(sections.collect())
    }

    fn replace(&mut self, contents: &Contents) -> Result<()> {
        let encoded = [
            (kind::WORKLOAD, postcard::to_stdvec(&contents.workload)?),
            (kind::EXECUTION, postcard::to_stdvec(&contents.execution)?),
            (kind::MEMORIES, postcard::to_stdvec(&contents.memories)?),
            (kind::WASI, contents.wasi.clone()),
            (kind::SETTINGS, postcard::to_stdvec(&contents.settings)?),
        ];
        for (kind, content) in encoded {
            self.0.get_mut(&kind).context("a section is missing")?.1 = content;
        }
        match contents.profile {
            Some(profile) => {
                let content = postcard::to_stdvec(&profile)?;
                // Mandatory, and part of the state's identity.
                self.0.insert(kind::PROFILE, (3, content));
            }
            None => drop(self.0.remove(&kind::PROFILE)),
        }
        Ok(())
    }

    /// Changes a byte, takes one away or adds one.
    fn flip(&mut self, random: &mut Random) {
        let section = index(random, self.0.len());
        let Some((_, content)) = self.0.values_mut().nth(section) else {
            return;
        };
        let (at, byte) = (
            index(random, content.len()),
            random.below(256).to_le_bytes()[0],
        );
        match random.below(6) {
            0 => content.insert(at, byte),
            1 if !content.is_empty() => drop(content.remove(at)),
            _ if !content.is_empty() => content[at] = byte,
            _ => content.push(byte),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let (mut file, mut entries) = (vec![0; HEADER], BTreeMap::new());
        // The chunks are written first, and the table is sorted.
        let mut sections: Vec<_> = self.0.iter().collect();
        sections.sort_by_key(|(kind, _)| **kind != kind::CHUNKS);
        for (kind, (flags, content)) in sections {
            let mut entry = [kind.to_le_bytes(), flags.to_le_bytes()].concat();
            entry.extend((file.len() as u64).to_le_bytes());
            entry.extend((content.len() as u64).to_le_bytes());
            let digest = Sha256::digest(content);
            let chunks = *kind == kind::CHUNKS;
            entry.extend(if chunks { [0; 32] } else { digest.into() });
            entries.insert(kind, entry);
            file.extend(content);
        }
        let table: Vec<u8> = entries.into_values().flatten().collect();
        file[..8].copy_from_slice(b"WHERRYCP");
        file[8..12].copy_from_slice(&1_u32.to_le_bytes());
        let offset = file.len() as u64;
        file[16..24].copy_from_slice(&offset.to_le_bytes());
        file[24..32].copy_from_slice(&(table.len() as u64).to_le_bytes());
        file[32..64].copy_from_slice(&Sha256::digest(&table));
        file.extend(table);
        file
    }
}

fn execution(execution: &mut Execution, random: &mut Random) {
    let Execution {
        phase,
        frames,
        globals,
        tables,
        dropped_data,
        dropped_elements,
    } = execution;
    match random.below(12) {
        0 => {
            *phase = match phase {
                Phase::Start => Phase::Main,
                Phase::Main => Phase::Start,
            }
        }
        1 => disorder(frames, random),
        // A deep stack of frames that call each other, or do not.
        2 => {
            let again: Vec<Frame> = frames.iter().cycle().take(2_000).cloned().collect();
            *frames = again;
        }
        3..6 => {
            if let Some(frame) = any(frames, random) {
                change_frame(frame, random);
            }
        }
        6 => disorder(globals, random),
        7 => match any(globals, random) {
            Some(global) if random.below(2) == 0 => global.index = number(random),
            Some(global) => global.value = value(random),
            None => globals.push(Global {
                index: number(random),
                value: value(random),
            }),
        },
        8 => disorder(tables, random),
        9 => match any(tables, random) {
            Some(table) => change_table(table, random),
            None => tables.push(Table {
                elements: vec![reference(random)],
            }),
        },
        10 => change_indices(dropped_data, random),
        _ => change_indices(dropped_elements, random),
    }
}

fn change_frame(frame: &mut Frame, random: &mut Random) {
    match random.below(7) {
        0 => frame.function = number(random),
        1 => frame.offset = number(random),
        2 => frame.offset = u32::try_from(random.below(120)).unwrap_or(0),
        3 => disorder(&mut frame.values, random),
        4 => frame.values.push((slot(random), value(random))),
        5 => {
            if let Some((_, content)) = any(&mut frame.values, random) {
                *content = value(random);
            }
        }
        _ => {
            if let Some((place, _)) = any(&mut frame.values, random) {
                *place = slot(random);
            }
        }
    }
}

fn change_table(table: &mut Table, random: &mut Random) {
    match (random.below(4), any(&mut table.elements, random)) {
        (0 | 1, Some(element)) => *element = reference(random),
        (2, _) => disorder(&mut table.elements, random),
        _ => {
            let length = usize::try_from(random.below(3_000)).unwrap_or(0);
            table.elements.resize(length, None);
        }
    }
}

fn change_indices(indices: &mut Vec<u32>, random: &mut Random) {
    match random.below(2) {
        0 => disorder(indices, random),
        _ => indices.push(number(random)),
    }
}

fn memories(memories: &mut Vec<Memory>, random: &mut Random) {
    let Some(memory) = any(memories, random) else {
        return memories.push(Memory {
            pages: random.below(3),
            maximum: None,
            runs: Vec::new(),
        });
    };
    match random.below(8) {
        0 => memory.pages = wide(random),
        1 => memory.maximum = random.below(2).eq(&0).then(|| wide(random)),
        2 => disorder(&mut memory.runs, random),
        3 => memory.runs.push(Run {
            first: wide(random),
            pages: vec![[7; 32]],
        }),
        4 => {
            if let Some(run) = any(&mut memory.runs, random) {
                run.first = wide(random);
            }
        }
        5 => {
            if let Some(run) = any(&mut memory.runs, random) {
                disorder(&mut run.pages, random);
            }
        }
        // It grew by a page that is zero: that is a state, too.
        6 => memory.pages = memory.pages.saturating_add(1),
        _ => disorder(memories, random),
    }
}

fn wasi(contents: &mut Contents, random: &mut Random) -> Result<()> {
    let mut state = wherry_engine::wasi_state(contents)?;
    change_wasi(&mut state, random);
    contents.wasi = postcard::to_stdvec(&state)?;
    Ok(())
}

fn change_wasi(state: &mut WasiState, random: &mut Random) {
    match random.below(12) {
        0 => {
            let blob = Blob {
                len: wide(random),
                digests: vec![[3; 32]],
            };
            let content = [
                Content::Directory,
                Content::File(blob),
                Content::Link(path(random)),
                Content::Symlink(path(random)),
            ];
            let content = content[index(random, 4)].clone();
            let id = state
                .scratch
                .values()
                .next()
                .map_or_else(|| wherry_wasi::FileId { dev: 1, ino: 2 }, |node| node.id);
            let (atime, mtime) = (wide(random), wide(random));
            let node = Node {
                id,
                atime,
                mtime,
                content,
            };
            state.scratch.insert(path(random), node);
        }
        1 => {
            let node = index(random, state.scratch.len());
            if let Some(node) = state.scratch.values_mut().nth(node) {
                if let Content::File(blob) = &mut node.content {
                    blob.len = wide(random);
                } else {
                    node.content = Content::Symlink(path(random));
                }
            }
        }
        2 => {
            let node = index(random, state.scratch.len());
            let name = state.scratch.keys().nth(node).cloned();
            let _ = name.map(|name| state.scratch.remove(&name));
        }
        3 => {
            let fd = index(random, state.descriptors.len());
            let fd = state.descriptors.keys().nth(fd).copied();
            if let Some(descriptor) = fd.and_then(|fd| state.descriptors.remove(&fd)) {
                state.descriptors.insert(number(random), descriptor);
            }
        }
        4..8 => change_descriptor(state, random),
        8 => disorder(&mut state.mounts, random),
        9 => {
            if let Some(mount) = any(&mut state.mounts, random) {
                match random.below(4) {
                    0 => mount.guest = String::from_utf8_lossy(&path(random)).into_owned(),
                    1 => mount.read_only = !mount.read_only,
                    2 => mount.scratch = !mount.scratch,
                    _ => mount.dev = wide(random),
                }
            }
        }
        10 => state.args.push(path(random)),
        _ => {
            state.clocks.monotonic = wide(random);
            state.random.position = u128::from(wide(random)) << random.below(64);
        }
    }
}

fn change_descriptor(state: &mut WasiState, random: &mut Random) {
    let fd = index(random, state.descriptors.len());
    let Some(descriptor) = state.descriptors.values_mut().nth(fd) else {
        return;
    };
    match (random.below(8), &mut descriptor.object) {
        (0, _) => descriptor.object = ObjectState::Stdout,
        (1, _) => {
            let position = Some(wide(random));
            descriptor.object = ObjectState::Stdin { position };
        }
        (2, ObjectState::File(file)) => file.location = location(random),
        (2, ObjectState::Directory(directory)) => directory.location = location(random),
        (3, ObjectState::File(file)) => file.position = Some((wide(random), wide(random))),
        (4, ObjectState::File(file)) => (file.read, file.write) = (file.write, !file.read),
        (5, ObjectState::Directory(directory)) => {
            directory.preopened = !directory.preopened;
            directory.listing = Some(vec![path(random), path(random)]);
        }
        (6, _) => {
            (descriptor.rights, descriptor.inheriting) = (descriptor.inheriting, descriptor.rights)
        }
        _ => {
            // Any bits, also those that mean nothing.
            let bits = postcard::to_stdvec(&wide(random)).unwrap_or_default();
            if let Ok(rights) = postcard::from_bytes(&bits) {
                descriptor.rights = rights;
            }
        }
    }
}

fn rest(contents: &mut Contents, random: &mut Random) {
    match random.below(5) {
        0 => contents.workload.instrumentation = number(random),
        1 => contents.workload.module[0] ^= 1,
        2 => contents.settings.limits.memory_bytes = Some(wide(random)),
        3 => disorder(&mut contents.settings.args, random),
        _ => {
            contents.profile = match contents.profile {
                Some(_) => None,
                None => Some(Profile {
                    version: 1,
                    position: wide(random),
                    start_time: wide(random),
                    memory_bytes: None,
                }),
            }
        }
    }
}

/// Takes an item away, doubles it, or moves it to the end.
fn disorder<T: Clone>(items: &mut Vec<T>, random: &mut Random) {
    let at = index(random, items.len());
    if at >= items.len() {
        return;
    }
    let item = items[at].clone();
    match random.below(3) {
        0 => drop(items.remove(at)),
        1 => items.insert(at, item),
        _ => {
            items.remove(at);
            items.push(item);
        }
    }
}

fn any<'a, T>(items: &'a mut [T], random: &mut Random) -> Option<&'a mut T> {
    let at = index(random, items.len());
    items.get_mut(at)
}

/// An index of one of so many, or 0 of none.
fn index(random: &mut Random, count: usize) -> usize {
    usize::try_from(random.below(count.max(1) as u64)).unwrap_or(0)
}

fn number(random: &mut Random) -> u32 {
    let odd = [u32::MAX, 1 << 31, 0x1_0000, 1_000];
    match random.below(12) {
        0..4 => odd[index(random, odd.len())],
        _ => u32::try_from(random.below(12)).unwrap_or(0),
    }
}

fn wide(random: &mut Random) -> u64 {
    let odd = [u64::MAX, 1 << 63, 1 << 48, 1 << 32, 1 << 16];
    match random.below(12) {
        0..5 => odd[index(random, odd.len())],
        _ => random.below(20),
    }
}

fn slot(random: &mut Random) -> Slot {
    match random.below(2) {
        0 => Slot::Local(number(random)),
        _ => Slot::Operand(number(random)),
    }
}

fn reference(random: &mut Random) -> FunctionRef {
    (random.below(4) > 0).then(|| number(random))
}

fn value(random: &mut Random) -> Value {
    match random.below(7) {
        0 => Value::I32(number(random)),
        1 => Value::I64(wide(random)),
        2 => Value::F32(number(random)),
        3 => Value::F64(wide(random)),
        4 => Value::V128(u128::from(wide(random)) << 64),
        5 => Value::FuncRef(reference(random)),
        _ => Value::NullExtern,
    }
}

/// Names that lead somewhere else, if they are followed.
fn path(random: &mut Random) -> Vec<u8> {
    let paths: [&[u8]; 12] = [
        b"",
        b".",
        b"..",
        b"../outside/file",
        b"/etc/passwd",
        b"a/../../outside/file",
        b"journal",
        b"journal/x",
        b"a\0b",
        b"\xff\xfe",
        b"a//b/",
        b"new",
    ];
    paths[index(random, paths.len())].to_vec()
}

fn location(random: &mut Random) -> Location {
    match random.below(3) {
        0 => Location::Orphan(number(random)),
        _ => Location::Path {
            mount: number(random),
            path: path(random),
        },
    }
}
