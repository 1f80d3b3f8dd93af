//! The compiled form of a module as bytes: for the cache, and from one process to another.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use wherry_instrument::Map;
use wherry_snapshot::{Contents, Frame};

use crate::module::{Reach, Variant};
use crate::{Error, Form};

const MAGIC: &[u8; 8] = b"WHERRYCC";

/// What is needed of a module: a form, which can be rewound into some of its functions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeRequest {
    /// How it is instrumented and compiled.
    pub form: Form,
    /// The functions that have frames on the stack; none if nothing is to be rewound.
    pub stack: BTreeSet<u32>,
}

impl CodeRequest {
    /// What a deterministic job needs that goes on from a checkpoint.
    #[must_use]
    pub fn to_run_again(contents: &Contents) -> Self {
        CodeRequest {
            form: Form::new(true, true, true),
            stack: functions_of(&contents.execution.frames),
        }
    }
}

/// The functions that have frames.
pub(crate) fn functions_of(frames: &[Frame]) -> BTreeSet<u32> {
    frames.iter().map(|frame| frame.function).collect()
}

/// Gives an engine the compiled forms of its modules, as [`Module::compile_code`] made them in
/// another process. They are native code, which is run as it is: whoever gives it can do
/// whatever this process can.
///
/// [`Module::compile_code`]: crate::Module::compile_code
#[derive(Clone)]
pub struct CodeSource(Arc<Supply>);

type Supply = dyn Fn(&CodeRequest) -> Result<Vec<u8>, Error> + Send + Sync;

impl CodeSource {
    /// Calls `supply` when something is needed.
    pub fn new(
        supply: impl Fn(&CodeRequest) -> Result<Vec<u8>, Error> + Send + Sync + 'static,
    ) -> Self {
        CodeSource(Arc::new(supply))
    }

    pub(crate) fn get(&self, request: &CodeRequest) -> Result<Vec<u8>, Error> {
        (self.0)(request)
    }
}

impl fmt::Debug for CodeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeSource")
    }
}

/// What an entry holds of a variant beside its code: the map, and the functions that it can rewind
/// into, if those are not all.
type Described = (Map, Option<BTreeSet<u32>>);

/// Magic, SHA-256 of all that follows, length of the map, map and way back, compiled module.
pub(crate) fn encode(variant: &Variant) -> Option<Vec<u8>> {
    let artifact = variant.compiled.serialize().ok()?;
    let map = postcard::to_stdvec(&(&variant.map, &variant.way_back)).ok()?;
    let mut body = (map.len() as u64).to_le_bytes().to_vec();
    body.extend_from_slice(&map);
    body.extend_from_slice(&artifact);
    let mut entry = MAGIC.to_vec();
    entry.extend_from_slice(&Sha256::digest(&body));
    entry.extend_from_slice(&body);
    Some(entry)
}

/// Whether nothing of it was changed or cut off since it was made.
pub(crate) fn is_whole(entry: &[u8]) -> bool {
    body(entry).is_some_and(|(digest, body)| Sha256::digest(body)[..] == digest[..])
}

/// What an entry that [is whole](is_whole) says, if it is of this version of wasmtime, and for this
/// processor.
pub(crate) fn decode(engine: &wasmtime::Engine, entry: &[u8], form: Form) -> Option<Variant> {
    let ((map, way_back), artifact) = parts(entry)?;
    Some(Variant {
        compiled: deserialize(engine, artifact)?,
        map,
        form,
        way_back,
    })
}

/// How much of the module an entry can be rewound into.
pub(crate) fn reach(entry: &[u8]) -> Option<Reach> {
    let ((_, way_back), _) = parts(entry)?;
    Some(Reach::of(way_back.as_ref()))
}

/// Whether an entry can be rewound into all of `stack`.
pub(crate) fn reaches(entry: &[u8], stack: &BTreeSet<u32>) -> bool {
    parts(entry)
        .is_some_and(|((_, way_back), _)| way_back.is_none_or(|into| stack.is_subset(&into)))
}

fn parts(entry: &[u8]) -> Option<(Described, &[u8])> {
    let (_, body) = body(entry)?;
    let (length, body) = body.split_first_chunk::<8>()?;
    let (map, artifact) =
        body.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    Some((postcard::from_bytes(map).ok()?, artifact))
}

fn body(entry: &[u8]) -> Option<(&[u8; 32], &[u8])> {
    entry.strip_prefix(MAGIC)?.split_first_chunk::<32>()
}

#[expect(unsafe_code, reason = "wasmtime cannot verify native code")]
fn deserialize(engine: &wasmtime::Engine, artifact: &[u8]) -> Option<wasmtime::Module> {
    // SAFETY: the bytes are what `Module::serialize` returned. Either they come from a cache to
    // which only this user can write, and their digest, which stands beside them, was verified;
    // or from a `CodeSource`, whose maker answers for them. That they are of this version of
    // wasmtime and for this CPU is checked by wasmtime.
    unsafe { wasmtime::Module::deserialize(engine, artifact) }.ok()
}
