//! Translation between stored frames and the frames of a checkpoint.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use wherry_snapshot::{Frame, FunctionRef, Slot, Value};

use crate::{STACK_BASE, assemble::STATE_PAGES, export, layout::Layout};

/// A passive segment whose dropping is recorded in a global of the instrumented module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentFlag {
    /// Index of the segment in the original module.
    pub segment: u32,
    /// Export name of the i32 global that is 1 once it was dropped.
    pub global: String,
}

/// Describes an instrumented module to the engine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Map {
    /// Number of memories of the original module; see [`crate::export::memory`].
    pub memories: u32,
    /// Indices of the mutable globals that are exported; see [`crate::export::global`].
    pub globals: Vec<u32>,
    /// For each table of the original module, whether it holds function references
    /// (tables of `externref` hold nulls only); see [`crate::export::table`].
    pub tables: Vec<bool>,
    /// The functions behind [`crate::export::FUNCTIONS`], as original indices.
    pub referenced_functions: Vec<u32>,
    /// Droppable data segments.
    pub data_segments: Vec<SegmentFlag>,
    /// Droppable element segments.
    pub element_segments: Vec<SegmentFlag>,
    /// Whether the module had a start section.
    pub has_start: bool,
    /// Where each kind of frame lies in the code, and what it holds, by number of the site.
    pub(crate) sites: Vec<Site>,
    /// The slots of all sites, one after the other.
    pub(crate) slots: Vec<(Slot, Type)>,
    /// Functions that a dynamic call can resume, with a number for their result types.
    pub(crate) resumers: Vec<(u32, u32)>,
}

/// A place where a frame is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Site {
    pub(crate) function: u32,
    pub(crate) offset: u32,
    pub(crate) kind: Kind,
    /// End of the site's slots; they begin where those of the site before end.
    pub(crate) slots_end: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// The innermost frame.
    Poll,
    /// A call of this function.
    Call(u32),
    /// A call of any function whose result types have this number.
    Dynamic(u32),
}

/// A type, as far as a frame's layout goes. Values lie in a frame in the order of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Type {
    I32,
    I64,
    F32,
    F64,
    V128,
    FuncRef,
}

/// Why stored frames, or the frames of a checkpoint, do not fit the module.
#[derive(Debug, thiserror::Error)]
pub enum MapError {
    /// The state memory does not hold what the instrumented module writes.
    #[error("the stored frames are damaged at byte {0}")]
    Damaged(usize),
    /// A checkpoint has no frames.
    #[error("there is no frame to resume")]
    Empty,
    /// A checkpoint's frame names a place that is no safepoint.
    #[error("frame {frame}: function {function} has no such safepoint at byte {offset}")]
    NoSafepoint {
        /// Index of the frame, outermost first.
        frame: usize,
        /// Original function index.
        function: u32,
        /// Byte offset in the original body.
        offset: u32,
    },
    /// A checkpoint's frame holds other values than its safepoint needs.
    #[error("frame {frame}: its values do not fit the safepoint in function {function}")]
    WrongValues {
        /// Index of the frame, outermost first.
        frame: usize,
        /// Original function index.
        function: u32,
    },
    /// A checkpoint's frame calls another function than the next frame belongs to.
    #[error("frame {frame}: function {function} does not call the function of the next frame")]
    WrongCallee {
        /// Index of the frame, outermost first.
        frame: usize,
        /// Original function index.
        function: u32,
    },
    /// The frames do not fit the state memory.
    #[error("the call stack is too deep to restore")]
    TooDeep,
}

impl Map {
    /// Reads the stored frames, outermost first. `state` is the state memory up to the stack
    /// pointer; `references` are the elements of [`crate::export::REFERENCES`].
    ///
    /// # Errors
    /// [`MapError::Damaged`] if the bytes are not frames of this module.
    pub fn read_frames(
        &self,
        state: &[u8],
        references: &[FunctionRef],
    ) -> Result<Vec<Frame>, MapError> {
        let base = STACK_BASE as usize;
        let mut rest = state.get(base..).ok_or(MapError::Damaged(state.len()))?;
        let mut frames = Vec::new();
        while !rest.is_empty() {
            let damaged = MapError::Damaged(base + rest.len());
            match self.read_frame(rest, references) {
                Some((frame, before)) => {
                    frames.push(frame);
                    rest = before;
                }
                None => return Err(damaged),
            }
        }
        Ok(frames)
    }

    /// The element of [`crate::export::RESUMERS`] that rewinds into `function`.
    #[must_use]
    pub fn resumer(&self, function: u32) -> Option<u32> {
        let place = self
            .resumers
            .binary_search_by_key(&function, |&(f, _)| f)
            .ok()?;
        u32::try_from(place).ok()
    }

    /// The frame at the end of `stack`, and what lies before it.
    fn read_frame<'a>(
        &self,
        stack: &'a [u8],
        references: &[FunctionRef],
    ) -> Option<(Frame, &'a [u8])> {
        let (stack, number) = stack.split_last_chunk::<4>()?;
        let number = u32::from_le_bytes(*number);
        let site = self.sites.get(number as usize)?;
        let slots = self.slots_of(number as usize)?;
        let length: usize = slots.iter().map(|(_, ty)| ty.size() as usize).sum();
        let (before, mut bytes) = stack.split_at_checked(stack.len().checked_sub(length)?)?;
        let mut values = Vec::with_capacity(slots.len());
        for &(slot, ty) in slots {
            values.push((slot, ty.read(&mut bytes, references)?));
        }
        values.sort_unstable_by_key(|&(slot, _)| slot);
        Some((
            Frame {
                function: site.function,
                offset: site.offset,
                values,
            },
            before,
        ))
    }

    /// The inverse of [`Map::read_frames`]: the bytes of the state memory, to its stack
    /// pointer, and the elements for [`crate::export::REFERENCES`]. The bytes are laid out
    /// for rewinding, and cannot be read back.
    ///
    /// # Errors
    /// If the frames are not ones that the module can rewind to.
    pub fn write_frames(&self, frames: &[Frame]) -> Result<(Vec<u8>, Vec<FunctionRef>), MapError> {
        if frames.is_empty() {
            return Err(MapError::Empty);
        }
        let places = self.places();
        let mut layouts = HashMap::new();
        let mut state = vec![0; STACK_BASE as usize];
        // Place 0 is null: what a frame does not hold is restored as that.
        let mut references = vec![None];
        for (depth, frame) in frames.iter().enumerate().rev() {
            let next = frames.get(depth + 1);
            let number = self.find_site(&places, depth, frame, next)?;
            let layout = layouts
                .entry(frame.function)
                .or_insert_with(|| self.layout(number));
            let start = state.len();
            state.resize(start + layout.size() as usize, 0);
            if state.len() as u64 > STATE_PAGES << 16 {
                return Err(MapError::TooDeep);
            }
            let bytes = &mut state[start..];
            self.write_values(number, depth, frame, layout, bytes, &mut references)?;
            let callee = next
                .and_then(|next| self.resumer(next.function))
                .unwrap_or(u32::MAX);
            put(bytes, layout.callee(), &callee.to_le_bytes());
            put(
                bytes,
                layout.site(),
                &u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes(),
            );
        }
        Ok((state, references))
    }

    /// The layout of the function that has this site. Its sites lie together.
    fn layout(&self, site: usize) -> Layout {
        let function = self.sites[site].function;
        let same = |&number: &usize| {
            self.sites
                .get(number)
                .is_some_and(|s| s.function == function)
        };
        let before = (0..site).rev().take_while(same);
        let all = before.chain((site..).take_while(same));
        Layout::of(all.flat_map(|site| self.slots_of(site).unwrap_or(&[]).iter().copied()))
    }

    fn find_site(
        &self,
        places: &HashMap<(u32, u32), Vec<usize>>,
        depth: usize,
        frame: &Frame,
        next: Option<&Frame>,
    ) -> Result<usize, MapError> {
        let &Frame {
            function, offset, ..
        } = frame;
        // A place may be two sites: a body whose first instruction is a loop polls twice.
        let candidates = places
            .get(&(function, offset))
            .map_or(&[][..], Vec::as_slice);
        let fitting = |&&site: &&usize| (self.sites[site].kind == Kind::Poll) == next.is_none();
        let Some(&site) = candidates.iter().find(fitting) else {
            return Err(MapError::NoSafepoint {
                frame: depth,
                function,
                offset,
            });
        };
        let fits = match (self.sites[site].kind, next) {
            (Kind::Call(callee), Some(next)) => callee == next.function,
            (Kind::Dynamic(results), Some(next)) => self
                .resumers
                .binary_search(&(next.function, results))
                .is_ok(),
            _ => true,
        };
        if fits {
            Ok(site)
        } else {
            Err(MapError::WrongCallee {
                frame: depth,
                function,
            })
        }
    }

    fn write_values(
        &self,
        number: usize,
        depth: usize,
        frame: &Frame,
        layout: &Layout,
        bytes: &mut [u8],
        references: &mut Vec<FunctionRef>,
    ) -> Result<(), MapError> {
        let wrong = || MapError::WrongValues {
            frame: depth,
            function: frame.function,
        };
        let slots = self.slots_of(number).ok_or_else(wrong)?;
        if slots.len() != frame.values.len() || !frame.values.is_sorted_by_key(|&(slot, _)| slot) {
            return Err(wrong());
        }
        for &(slot, ty) in slots {
            let place = frame.values.binary_search_by_key(&slot, |&(slot, _)| slot);
            let value = frame.values[place.map_err(|_| wrong())?].1;
            let offset = layout.offset(slot, ty).ok_or_else(wrong)?;
            let encoded = ty.encode(value, references).ok_or_else(wrong)?;
            put(bytes, offset, &encoded[..ty.size() as usize]);
        }
        Ok(())
    }

    fn slots_of(&self, site: usize) -> Option<&[(Slot, Type)]> {
        let end = self.sites.get(site)?.slots_end as usize;
        let start = match site {
            0 => 0,
            _ => self.sites.get(site - 1)?.slots_end as usize,
        };
        self.slots.get(start..end)
    }

    /// Sites by function and offset.
    fn places(&self) -> HashMap<(u32, u32), Vec<usize>> {
        let mut places: HashMap<(u32, u32), Vec<usize>> = HashMap::new();
        for (number, site) in self.sites.iter().enumerate() {
            places
                .entry((site.function, site.offset))
                .or_default()
                .push(number);
        }
        places
    }
}

impl Type {
    pub(crate) fn of(ty: wasm_encoder::ValType) -> Self {
        match ty {
            wasm_encoder::ValType::I32 => Self::I32,
            wasm_encoder::ValType::I64 => Self::I64,
            wasm_encoder::ValType::F32 => Self::F32,
            wasm_encoder::ValType::F64 => Self::F64,
            wasm_encoder::ValType::V128 => Self::V128,
            wasm_encoder::ValType::Ref(_) => Self::FuncRef,
        }
    }

    /// Bytes of a value in a frame.
    pub(crate) fn size(self) -> u32 {
        match self {
            Self::I32 | Self::F32 | Self::FuncRef => 4,
            Self::I64 | Self::F64 => 8,
            Self::V128 => 16,
        }
    }

    fn read(self, bytes: &mut &[u8], references: &[FunctionRef]) -> Option<Value> {
        fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
            let (value, rest) = bytes.split_first_chunk()?;
            *bytes = rest;
            Some(*value)
        }
        Some(match self {
            Self::I32 => Value::I32(u32::from_le_bytes(take(bytes)?)),
            Self::I64 => Value::I64(u64::from_le_bytes(take(bytes)?)),
            Self::F32 => Value::F32(u32::from_le_bytes(take(bytes)?)),
            Self::F64 => Value::F64(u64::from_le_bytes(take(bytes)?)),
            Self::V128 => Value::V128(u128::from_le_bytes(take(bytes)?)),
            Self::FuncRef => {
                let place = u32::from_le_bytes(take(bytes)?);
                Value::FuncRef(*references.get(place as usize)?)
            }
        })
    }

    /// The value's bytes, padded with zeros.
    fn encode(self, value: Value, references: &mut Vec<FunctionRef>) -> Option<[u8; 16]> {
        let bits = match (self, value) {
            (Self::I32, Value::I32(bits)) | (Self::F32, Value::F32(bits)) => bits.into(),
            (Self::I64, Value::I64(bits)) | (Self::F64, Value::F64(bits)) => bits.into(),
            (Self::V128, Value::V128(bits)) => bits,
            (Self::FuncRef, Value::FuncRef(None)) => 0,
            (Self::FuncRef, Value::FuncRef(function)) => {
                references.push(function);
                references.len() as u128 - 1
            }
            _ => return None,
        };
        Some(bits.to_le_bytes())
    }
}

/// Writes at an offset that the layout of `frame` gave.
fn put(frame: &mut [u8], offset: u32, bytes: &[u8]) {
    let offset = offset as usize;
    frame[offset..offset + bytes.len()].copy_from_slice(bytes);
}

/// The passive segments that the module drops, each with a flag.
pub(crate) struct Segments {
    pub(crate) data: Vec<u32>,
    pub(crate) elements: Vec<u32>,
}

impl Segments {
    pub(crate) fn new(mut data: Vec<u32>, mut elements: Vec<u32>) -> Self {
        for list in [&mut data, &mut elements] {
            list.sort_unstable();
            list.dedup();
        }
        Self { data, elements }
    }

    pub(crate) fn count(&self) -> usize {
        self.data.len() + self.elements.len()
    }

    /// Number of a data segment's flag.
    pub(crate) fn data_flag(&self, segment: u32) -> Option<u32> {
        let place = self.data.binary_search(&segment).ok()?;
        u32::try_from(place).ok()
    }

    /// Number of an element segment's flag.
    pub(crate) fn element_flag(&self, segment: u32) -> Option<u32> {
        let place = self.elements.binary_search(&segment).ok()?;
        u32::try_from(self.data.len() + place).ok()
    }

    /// Numbers and export names of all flags.
    pub(crate) fn names(&self) -> impl Iterator<Item = (u32, String)> + '_ {
        let data = self
            .data
            .iter()
            .map(|segment| format!("{}data_{segment}", export::PREFIX));
        let elements = self
            .elements
            .iter()
            .map(|segment| format!("{}element_{segment}", export::PREFIX));
        (0..).zip(data.chain(elements))
    }

    /// What the engine needs to know of them: data segments, then element segments.
    pub(crate) fn flags(&self) -> (Vec<SegmentFlag>, Vec<SegmentFlag>) {
        let named = |segments: &[u32], skip: usize| {
            let names = self.names().map(|(_, global)| global).skip(skip);
            segments
                .iter()
                .copied()
                .zip(names)
                .map(|(segment, global)| SegmentFlag { segment, global })
                .collect()
        };
        (named(&self.data, 0), named(&self.elements, self.data.len()))
    }
}
