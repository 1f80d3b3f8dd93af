//! Linear memories that can be frozen while a program runs on, and that know what was
//! written since.
//!
//! A [`Memory`] starts as ordinary private memory inside a reservation. When it is frozen,
//! its content moves into a file in memory, and the program goes on over a private mapping
//! of that file: the kernel copies a page when it is first written. So the file stays what
//! the memory was at that moment, an [`Image`] that another thread can read at leisure, and
//! only pages that are written exist twice. [`Tracking`] says how the next freeze learns
//! which those are.
//!
//! ```
//! use wherry_memory::{Changed, Memory};
//!
//! # fn main() -> Result<(), wherry_memory::Error> {
//! let mut memory = Memory::new(2 << 16, 16 << 16, 1 << 16)?;
//! # #[expect(unsafe_code, reason = "what a program would do")]
//! // SAFETY: within the length, and nobody else uses the memory.
//! let mut write = |at: usize, byte| unsafe { *memory.as_ptr().add(at) = byte };
//! write(5, 1);
//! let first = memory.freeze()?;
//! assert_eq!(first.changed, Changed::Everything);
//! # #[expect(unsafe_code, reason = "what a program would do")]
//! # let write = |at: usize, byte| unsafe { *memory.as_ptr().add(at) = byte };
//! write(70_000, 2);
//! assert_eq!((first.image.bytes()[5], first.image.bytes()[70_000]), (1, 0));
//! drop(first);
//! assert_eq!(memory.freeze()?.changed, Changed::Chunks(vec![1]));
//! # Ok(())
//! # }
//! ```
//!
//! Whoever lets a program write through [`Memory::as_ptr`] must have stopped it during every
//! call that takes the memory mutably.

mod content;
mod error;
mod freeze;
mod image;
mod memory;
mod pages;
mod reservation;
mod tracking;

#[cfg(any(target_os = "linux", target_os = "android"))]
mod pagemap;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod write_protect;

pub use error::Error;
pub use freeze::{Changed, Frozen};
pub use image::Image;
pub use memory::Memory;
pub use tracking::Tracking;

/// The unit in which changes are told and images are read, in bytes. Host pages are not
/// larger on any machine.
pub const CHUNK_SIZE: usize = 1 << 16;
