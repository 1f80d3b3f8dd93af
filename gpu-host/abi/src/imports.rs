//! The functions that a guest imports. Pointers and lengths are of the guest's memory 0, which it
//! exports as `memory`; a status is that of [`Status`](crate::Status).
#![expect(
    unsafe_code,
    reason = "functions of the host are declared, each with what its pointers must be"
)]

use crate::Handle;

#[link(wasm_import_module = "wherry_gpu")]
unsafe extern "C" {
    /// [`VERSION`](crate::VERSION) of the host.
    pub safe fn version() -> u32;

    /// Writes an [`AdapterRecord`](crate::AdapterRecord) to `to`, if it fits into `capacity` bytes.
    /// Returns its length in bytes, 0 if there is no adapter.
    pub fn adapter(to: *mut u8, capacity: usize) -> usize;

    /// Opens the device, from a [`DeviceDescriptor`](crate::DeviceDescriptor). Returns a status.
    pub fn open(descriptor: *const u8, length: usize) -> u32;

    /// Closes the device: all its objects are gone.
    pub safe fn close();

    /// The [`DeviceState`](crate::DeviceState).
    pub safe fn state() -> u32;

    /// Makes an object of the [`Kind`](crate::Kind) `kind`, named `handle`, from a
    /// [`Descriptor`](crate::Descriptor). Returns a status; if it is an error the handle names an
    /// invalid object.
    pub fn create(kind: u32, handle: Handle, descriptor: *const u8, length: usize) -> u32;

    /// Frees the memory of a buffer, texture or query set; the handle stays. Returns a status.
    pub safe fn destroy(handle: Handle) -> u32;

    /// The handle names nothing any more.
    #[link_name = "drop"]
    pub safe fn drop_handle(handle: Handle);

    /// Writes to a buffer. Returns a status.
    pub fn write(buffer: Handle, offset: u64, from: *const u8, length: usize) -> u32;

    /// Reads from a mapped buffer, when what was submitted before is done. Returns a status.
    pub fn read(buffer: Handle, offset: u64, to: *mut u8, length: usize) -> u32;

    /// Writes to a texture, as a [`TextureWrite`](crate::TextureWrite) says. Returns a status.
    pub fn write_texture(
        descriptor: *const u8,
        descriptor_length: usize,
        from: *const u8,
        length: usize,
    ) -> u32;

    /// Maps a part of a buffer, for a [`MapMode`](crate::MapMode). Returns a status.
    pub safe fn map(buffer: Handle, mode: u32, offset: u64, size: u64) -> u32;

    /// Unmaps a buffer. Returns a status.
    pub safe fn unmap(buffer: Handle) -> u32;

    /// Hands over a command stream. Returns the number of the submission, counted from 1; or a
    /// failure, negated.
    pub fn submit(stream: *const u8, length: usize, mode: u32) -> i64;

    /// Waits until a submission (0: all of them) and all before it are done, for `nanoseconds`
    /// (`u64::MAX`: for ever). Returns a status.
    pub safe fn wait(submission: u64, nanoseconds: u64) -> u32;

    /// Writes an [`ErrorRecord`](crate::ErrorRecord) about the last call that failed to `to`, if it
    /// fits into `capacity` bytes. Returns its length in bytes.
    pub fn error(to: *mut u8, capacity: usize) -> usize;

    /// Writes the [`CompilationInfo`](crate::CompilationInfo) of a shader module to `to`, if it
    /// fits into `capacity` bytes. Returns its length in bytes, 0 if it is no shader module.
    pub fn messages(module: Handle, to: *mut u8, capacity: usize) -> usize;
}
