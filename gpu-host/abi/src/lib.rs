//! What passes between a guest and the GPU host of Wherry: the functions a guest imports, the
//! descriptors and records it exchanges with them, and the command streams it submits. Guests and
//! the host use the same code; `gpu-host/ABI.md` is the specification, `vectors/` holds an
//! implementation in another language to it.
//!
//! Everything is little-endian, in words of four bytes. Every value has exactly one encoding, and a
//! decoder accepts only that one: what it accepts, encoded again, gives the same bytes.
#![no_std]

extern crate alloc;

mod binding;
mod command;
mod descriptor;
mod device;
mod format;
#[cfg(target_arch = "wasm32")]
pub mod imports;
mod names;
mod pipeline;
mod resource;
mod status;
mod value;
mod wire;

pub use binding::*;
pub use command::*;
pub use descriptor::*;
pub use device::*;
pub use format::{TextureFormat, VertexFormat};
pub use pipeline::*;
pub use resource::*;
pub use status::*;
pub use value::*;
pub use wire::{DecodeError, Reader, Wire, Writer};

/// The module that a guest imports the functions from.
pub const MODULE: &str = "wherry_gpu";

/// The version of this interface, which `version` returns.
pub const VERSION: u32 = 1;

/// Every function that a guest can import: its name, and its type.
pub const FUNCTIONS: &[(&str, &str)] = &[
    ("version", "[] -> [i32]"),
    ("adapter", "[i32 i32] -> [i32]"),
    ("open", "[i32 i32] -> [i32]"),
    ("close", "[] -> []"),
    ("state", "[] -> [i32]"),
    ("create", "[i32 i32 i32 i32] -> [i32]"),
    ("destroy", "[i32] -> [i32]"),
    ("drop", "[i32] -> []"),
    ("write", "[i32 i64 i32 i32] -> [i32]"),
    ("read", "[i32 i64 i32 i32] -> [i32]"),
    ("write_texture", "[i32 i32 i32 i32] -> [i32]"),
    ("map", "[i32 i32 i64 i64] -> [i32]"),
    ("unmap", "[i32] -> [i32]"),
    ("submit", "[i32 i32 i32] -> [i64]"),
    ("wait", "[i64 i64] -> [i32]"),
    ("error", "[i32 i32] -> [i32]"),
    ("messages", "[i32 i32 i32] -> [i32]"),
];

/// The longest descriptor, in bytes with its header: 16 MiB.
pub const MAX_DESCRIPTOR: usize = 16 << 20;

/// The longest command stream, in bytes: 64 MiB.
pub const MAX_STREAM: usize = 64 << 20;

/// Names an object. The guest chooses it; 0 names none.
pub type Handle = u32;

/// In place of a size: up to the end.
pub const WHOLE_SIZE: u64 = u64::MAX;

/// In place of a count, a stride, an index or a slice: not given.
pub const UNDEFINED: u32 = u32::MAX;
