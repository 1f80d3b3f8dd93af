//! Transfers between the host's memory and the GPU's, through small buffers that are used again:
//! fresh ones of the size of the content are many times slower.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::device::{Device, Watch};
use crate::fault::Failed;

/// Bytes of a staging buffer.
pub(crate) const STAGE_BYTES: u64 = 4 << 20;

/// How many are under way at a time, in each direction.
const STAGES: usize = 3;

/// What is smaller goes through wgpu's own staging.
const SMALL: usize = 64 << 10;

/// The staging buffers of a device, made when they are first needed.
#[derive(Default)]
pub(crate) struct Staging {
    up: Vec<Stage>,
    down: Vec<Stage>,
}

/// A staging buffer, mapped or on its way to be.
#[derive(Clone)]
struct Stage {
    buffer: wgpu::Buffer,
    state: Arc<AtomicU8>,
}

const PENDING: u8 = 0;
const MAPPED: u8 = 1;
const FAILED: u8 = 2;

impl Stage {
    fn new(device: &wgpu::Device, usage: wgpu::BufferUsages) -> Self {
        let mapped = usage.contains(wgpu::BufferUsages::MAP_WRITE);
        let buffer = device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: STAGE_BYTES,
            usage,
            mapped_at_creation: mapped,
        });
        let state = if mapped { MAPPED } else { PENDING };
        Self {
            buffer,
            state: Arc::new(AtomicU8::new(state)),
        }
    }

    /// Maps it, as soon as what uses it is done.
    fn map(&self, mode: wgpu::MapMode) {
        map(&self.buffer, mode, 0..STAGE_BYTES, &self.state);
    }

    fn wait(&self, device: &mut Device, watch: &Watch<'_>) -> Result<(), Failed> {
        wait_mapped(&self.state, device, watch)
    }
}

fn map(
    buffer: &wgpu::Buffer,
    mode: wgpu::MapMode,
    range: std::ops::Range<u64>,
    state: &Arc<AtomicU8>,
) {
    state.store(PENDING, Ordering::SeqCst);
    let state = Arc::clone(state);
    buffer.map_async(mode, range, move |result| {
        let new = if result.is_ok() { MAPPED } else { FAILED };
        state.store(new, Ordering::SeqCst);
    });
}

fn wait_mapped(state: &AtomicU8, device: &mut Device, watch: &Watch<'_>) -> Result<(), Failed> {
    device.wait_until(watch, |_| state.load(Ordering::SeqCst) != PENDING)?;
    match state.load(Ordering::SeqCst) {
        MAPPED => Ok(()),
        _ => Err(device
            .take_error()
            .err()
            .unwrap_or_else(|| Failed::out_of_memory("a buffer cannot be mapped"))),
    }
}

/// Copies `data`, whose length is a multiple of 4, into a buffer that can be copied to.
pub(crate) fn write_buffer(
    device: &mut Device,
    watch: &Watch<'_>,
    buffer: &wgpu::Buffer,
    offset: u64,
    data: &[u8],
) -> Result<(), Failed> {
    if data.len() <= SMALL {
        device.queue.write_buffer(buffer, offset, data);
        device.has_writes = true;
        return device.take_error();
    }
    let mut at = offset;
    for part in data.chunks(as_usize(STAGE_BYTES)) {
        let length = part.len() as u64;
        upload(device, watch, part, |encoder, stage| {
            encoder.copy_buffer_to_buffer(stage, 0, buffer, at, length);
        })?;
        at += length;
    }
    device.take_error()
}

/// Puts up to a stage of data where `copy` can copy it from.
pub(crate) fn upload(
    device: &mut Device,
    watch: &Watch<'_>,
    data: &[u8],
    copy: impl FnOnce(&mut wgpu::CommandEncoder, &wgpu::Buffer),
) -> Result<(), Failed> {
    if device.staging.up.len() < STAGES {
        let usage = wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC;
        let stage = Stage::new(&device.device, usage);
        device.take_error()?;
        device.staging.up.insert(0, stage);
    }
    let stage = device.staging.up[0].clone();
    stage.wait(device, watch)?;
    device.staging.up.rotate_left(1);
    {
        let mut view = stage
            .buffer
            .get_mapped_range_mut(0..data.len() as u64)
            .map_err(|error| Failed::out_of_memory(error.to_string()))?;
        view.copy_from_slice(data);
    }
    stage.buffer.unmap();
    let mut encoder = device.device.create_command_encoder(&Default::default());
    copy(&mut encoder, &stage.buffer);
    device.hand_over([encoder.finish()]);
    stage.map(wgpu::MapMode::Write);
    Ok(())
}

/// A copy into a staging buffer, and how many bytes it has.
pub(crate) type Copy<'a> = (
    u64,
    Box<dyn Fn(&mut wgpu::CommandEncoder, &wgpu::Buffer) + Send + 'a>,
);

/// The copies that bytes of a buffer come in, which can be copied from.
pub(crate) fn buffer_copies(buffer: &wgpu::Buffer, offset: u64, length: u64) -> Vec<Copy<'_>> {
    let mut copies: Vec<Copy<'_>> = Vec::new();
    let mut at = offset;
    while at < offset + length {
        let (from, part) = (at, STAGE_BYTES.min(offset + length - at));
        let copy = move |encoder: &mut wgpu::CommandEncoder, stage: &wgpu::Buffer| {
            encoder.copy_buffer_to_buffer(buffer, from, stage, 0, part.next_multiple_of(4));
        };
        copies.push((part, Box::new(copy)));
        at += part;
    }
    copies
}

/// Content on its way from the GPU, copy by copy. The next ones are under way while one is read.
pub(crate) struct Download<'a> {
    copies: std::vec::IntoIter<Copy<'a>>,
    under_way: VecDeque<(u64, Stage)>,
    free: Vec<Stage>,
}

impl<'a> Download<'a> {
    pub(crate) fn new(device: &mut Device, copies: Vec<Copy<'a>>) -> Result<Self, Failed> {
        // Those that are under way when something fails are not used again.
        let mut free = std::mem::take(&mut device.staging.down);
        while free.len() < STAGES.min(copies.len()) {
            let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
            free.push(Stage::new(&device.device, usage));
            device.take_error()?;
        }
        Ok(Self {
            copies: copies.into_iter(),
            under_way: VecDeque::new(),
            free,
        })
    }

    /// Gives the next copy to `take`. Says whether there was one.
    pub(crate) fn next(
        &mut self,
        device: &mut Device,
        watch: &Watch<'_>,
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<bool, Failed> {
        while let Some(stage) = self.free.pop() {
            let Some((length, copy)) = self.copies.next() else {
                self.free.push(stage);
                break;
            };
            let mut encoder = device.device.create_command_encoder(&Default::default());
            copy(&mut encoder, &stage.buffer);
            device.hand_over([encoder.finish()]);
            device.take_error()?;
            stage.map(wgpu::MapMode::Read);
            self.under_way.push_back((length, stage));
        }
        let Some((length, stage)) = self.under_way.pop_front() else {
            device.staging.down.append(&mut self.free);
            return Ok(false);
        };
        stage.wait(device, watch)?;
        take_mapped(&stage.buffer, 0, length, take)?;
        stage.buffer.unmap();
        self.free.push(stage);
        Ok(true)
    }
}

/// Gives `length` bytes from `offset` on to `take`; wgpu maps in steps of 8 and 4 bytes.
fn take_mapped(
    buffer: &wgpu::Buffer,
    offset: u64,
    length: u64,
    take: &mut dyn FnMut(&[u8]),
) -> Result<(), Failed> {
    let start = offset / 8 * 8;
    let end = (offset + length).next_multiple_of(4);
    let view = buffer
        .get_mapped_range(start..end)
        .map_err(|error| Failed::out_of_memory(error.to_string()))?;
    let skip = as_usize(offset - start);
    take(&view[skip..skip + as_usize(length)]);
    Ok(())
}

fn as_usize(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
