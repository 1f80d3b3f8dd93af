//! Buffers. What is in a mapped range lives in the view of it: a view is filled from the host when
//! it is made, and one that was written to is handed back when it is dropped.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use wgpu::custom::{
    BufferInterface, BufferMapCallback, BufferMappedRangeInterface, DispatchBufferMappedRange,
};
use wgpu::{BufferAsyncError, BufferUsages, MapMode, MapRangeError, WriteOnly};

use super::context::{Context, Object};
use super::convert;
use super::device::Device;
use super::host;
use super::lock;
use super::progress::Waiting;

#[derive(Debug)]
pub(crate) struct Buffer {
    pub(crate) object: Arc<Object>,
    mapping: Arc<Mapping>,
    size: u64,
    usage: BufferUsages,
}

/// Whether the program can see the buffer's content.
#[derive(Debug, Default)]
pub(crate) struct Mapping(Mutex<State>);

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Unmapped,
    /// Mapped at creation, which failed.
    Invalid,
    /// Asked for; the GPU may still use it.
    Pending(MapMode),
    Mapped {
        mode: MapMode,
        /// Nothing was written since it was made, so that it is all zeros.
        fresh: bool,
    },
}

impl Mapping {
    /// What was asked for is there.
    pub(crate) fn is_ready(&self) {
        let mut state = lock(&self.0);
        if let State::Pending(mode) = *state {
            *state = State::Mapped { mode, fresh: false };
        }
    }
}

impl Buffer {
    #[track_caller]
    pub(crate) fn new(context: &Arc<Context>, descriptor: &wgpu::BufferDescriptor<'_>) -> Self {
        let object = context.create("Device::create_buffer", convert::buffer(descriptor));
        let state = match descriptor.mapped_at_creation {
            true if !object.is_valid => State::Invalid,
            true => State::Mapped {
                mode: MapMode::Write,
                fresh: true,
            },
            false => State::Unmapped,
        };
        Buffer {
            object: Arc::new(object),
            mapping: Arc::new(Mapping(Mutex::new(state))),
            size: descriptor.size,
            usage: descriptor.usage,
        }
    }

    /// Why `size` bytes cannot be written at `offset` by the queue, if they cannot.
    pub(crate) fn refuses_write(&self, offset: u64, size: u64) -> Option<String> {
        if !matches!(*lock(&self.mapping.0), State::Unmapped) {
            return Some("the buffer is mapped".to_owned());
        }
        if !self.usage.contains(BufferUsages::COPY_DST) {
            return Some(format!(
                "the buffer's usage {:?} lacks COPY_DST",
                self.usage
            ));
        }
        if offset % wgpu::COPY_BUFFER_ALIGNMENT != 0 || size % wgpu::COPY_BUFFER_ALIGNMENT != 0 {
            return Some(format!(
                "offset {offset} or size {size} is no multiple of 4"
            ));
        }
        if offset.checked_add(size).is_none_or(|end| end > self.size) {
            let end = self.size;
            return Some(format!(
                "{size} bytes at {offset} reach beyond the buffer's {end}"
            ));
        }
        None
    }

    /// The callback of a mapping that is given up before it was there.
    fn abort(&self) {
        if let Some(callback) = self.object.context.progress.forget(&self.mapping) {
            callback(Err(BufferAsyncError));
        }
    }
}

impl BufferInterface for Buffer {
    fn map_async(&self, mode: MapMode, range: Range<u64>, callback: BufferMapCallback) {
        let context = &self.object.context;
        if !context.is_open() {
            return callback(Err(BufferAsyncError));
        }
        let size = range.end - range.start;
        match host::map(
            self.object.handle,
            convert::map_mode(mode),
            range.start,
            size,
        ) {
            Ok(()) => {
                *lock(&self.mapping.0) = State::Pending(mode);
                context
                    .progress
                    .call_back(Waiting::Map(self.mapping.clone(), callback));
            }
            Err(failed) => {
                callback(Err(BufferAsyncError));
                context.report("Buffer::map_async", failed);
            }
        }
    }

    fn get_mapped_range(
        &self,
        range: Range<u64>,
    ) -> Result<DispatchBufferMappedRange, MapRangeError> {
        let (data, writable) = match *lock(&self.mapping.0) {
            State::Mapped { mode, fresh } => {
                let length = usize::try_from(range.end - range.start).map_err(|_| not_mapped())?;
                let data = match fresh {
                    true => vec![0; length],
                    false => host::read(self.object.handle, range.start, length)
                        .map_err(|_| not_mapped())?,
                };
                (data, mode == MapMode::Write)
            }
            // wgpu knows that it is not mapped, and refuses in its own words.
            State::Unmapped => (Vec::new(), false),
            State::Pending(_) | State::Invalid => return Err(not_mapped()),
        };
        Ok(DispatchBufferMappedRange::custom(MappedRange {
            object: self.object.clone(),
            mapping: self.mapping.clone(),
            offset: range.start,
            data,
            writable,
            written: false,
        }))
    }

    fn unmap(&self) {
        let state = std::mem::take(&mut *lock(&self.mapping.0));
        let context = &self.object.context;
        if context.is_open() && matches!(state, State::Mapped { .. } | State::Pending(_)) {
            context.check("Buffer::unmap", host::unmap(self.object.handle));
        }
        self.abort();
    }

    fn destroy(&self) {
        *lock(&self.mapping.0) = State::Unmapped;
        self.object.destroy("Buffer::destroy");
        self.abort();
    }
}

/// A view of a part of a mapped buffer.
#[derive(Debug)]
struct MappedRange {
    object: Arc<Object>,
    mapping: Arc<Mapping>,
    offset: u64,
    data: Vec<u8>,
    writable: bool,
    written: bool,
}

#[expect(unsafe_code, reason = "the trait's methods are unsafe")]
impl BufferMappedRangeInterface for MappedRange {
    fn len(&self) -> usize {
        self.data.len()
    }

    unsafe fn read_slice(&self) -> &[u8] {
        &self.data
    }

    unsafe fn write_slice(&mut self) -> WriteOnly<'_, [u8]> {
        self.written = true;
        WriteOnly::from_mut(&mut self.data)
    }
}

impl Drop for MappedRange {
    fn drop(&mut self) {
        let context = &self.object.context;
        if !(self.writable && self.written && context.is_open()) {
            return;
        }
        if let State::Mapped { fresh, .. } = &mut *lock(&self.mapping.0) {
            *fresh = false;
        }
        let outcome = host::write(self.object.handle, self.offset, &self.data);
        context.check("BufferViewMut::drop", outcome);
    }
}

/// wgpu's error for a range of a buffer that is not mapped. It can be made by wgpu alone, so that
/// this asks for one from a buffer of no device.
fn not_mapped() -> MapRangeError {
    let device = wgpu::Device::from_custom(Device::of_no_device());
    let buffer = device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: 8,
        usage: BufferUsages::MAP_READ,
        mapped_at_creation: false,
    });
    match buffer.get_mapped_range(..) {
        Err(error) => error,
        Ok(_) => unreachable!("the buffer is not mapped"),
    }
}
