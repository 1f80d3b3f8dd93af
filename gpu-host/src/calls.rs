//! The functions that a guest calls. Addresses and lengths are of the guest's memory.

use std::ops::Range;
use std::time::{Duration, Instant};

use wherry_gpu_abi::{
    BufferUsage, Descriptor, DeviceDescriptor, DeviceState, Failure, Handle, Kind, MAX_STREAM,
    MapMode, SubmitMode, TextureUsage, TextureWrite, VERSION, Wire, Writer,
};

use crate::device::Device;
use crate::fault::{Failed, Fault};
use crate::gpu::{Gpu, Lent, Open};
use crate::object::{Buffer, Made, Mapped};
use crate::staging::{self, Download};
use crate::table::Table;
use crate::{limits, submit, texels};

impl Gpu {
    /// `version`
    pub fn version(&mut self, _: &mut [u8]) -> Result<u32, Fault> {
        Ok(VERSION)
    }

    /// `adapter`
    pub fn adapter(&mut self, memory: &mut [u8], ptr: u32, cap: u32) -> Result<u32, Fault> {
        match &self.lent {
            Ok(lent) => give(memory, &lent.record, ptr, cap),
            Err(_) => Ok(0),
        }
    }

    /// `open`
    pub fn open(&mut self, memory: &mut [u8], ptr: u32, len: u32) -> Result<u32, Fault> {
        self.status(|gpu| {
            let descriptor = DeviceDescriptor::from_bytes(slice(memory, ptr, len)?)
                .map_err(|error| Failed::decode("the descriptor of a device", error))?;
            if gpu.open.is_some() {
                return Err(Failed::validation(
                    "a job has one device at a time, and one is open",
                ));
            }
            let Lent {
                adapter,
                record: has,
            } = gpu.lent()?;
            let lacking = |feature| !has.features.contains(feature);
            if let Some(feature) = descriptor.features.iter().find(|feature| lacking(feature)) {
                let name = feature.name();
                return Err(Failed::validation(format!(
                    "the job does not have the feature {name}: it has to be declared"
                )));
            }
            if let Some((limit, wanted, has)) = limits::lacking(&descriptor.limits, &has.limits) {
                return Err(Failed::validation(format!(
                    "{limit} is {has}, not {wanted}: what is beyond has to be declared"
                )));
            }
            let device = Device::open(adapter, descriptor)
                .map_err(|error| Failed::Error(Failure::Internal, error.to_string()))?;
            gpu.open = Some(Open {
                device,
                table: Table::new(),
            });
            Ok(())
        })
    }

    /// `close`
    pub fn close(&mut self, _: &mut [u8]) -> Result<(), Fault> {
        let waited = match self.parts() {
            Ok((open, watch)) => open.device.wait_idle(&watch),
            // What is lost is not waited for.
            Err(_) => Ok(()),
        };
        if let Err(Failed::Fault(fault)) = waited {
            self.stuck |= matches!(fault, Fault::Hung(_));
            return Err(fault);
        }
        if let Some(open) = self.open.take() {
            self.used_before += open.device.busy;
        }
        Ok(())
    }

    /// `state`
    pub fn state(&mut self, _: &mut [u8]) -> Result<u32, Fault> {
        Ok(match &self.open {
            None => DeviceState::Closed,
            Some(open) if open.device.lost().is_some() => DeviceState::Lost,
            Some(_) => DeviceState::Open,
        } as u32)
    }

    /// `create`
    pub fn create(
        &mut self,
        memory: &mut [u8],
        kind: u32,
        handle: Handle,
        ptr: u32,
        len: u32,
    ) -> Result<u32, Fault> {
        self.status(|gpu| {
            let kind = Kind::from_number(kind)
                .ok_or_else(|| Failed::misuse(format!("there are no objects of kind {kind}")))?;
            let recipe = Descriptor::from_bytes(kind, slice(memory, ptr, len)?)
                .map_err(|error| Failed::decode("a descriptor", error))?;
            gpu.create_object(handle, recipe, len)
        })
    }

    /// `destroy`
    pub fn destroy(&mut self, _: &mut [u8], handle: Handle) -> Result<u32, Fault> {
        self.status(|gpu| {
            let table = &mut gpu.usable()?.table;
            let id = table.id(handle)?;
            let object = table.object_mut(id)?;
            let was_mapped = object.made.is_mapped();
            match &mut object.made {
                Made::Buffer(buffer) => {
                    buffer.mapped = None;
                    buffer.destroyed = true;
                    buffer.buffer.destroy();
                }
                Made::Texture(texture) => {
                    texture.destroyed = true;
                    texture.texture.destroy();
                }
                Made::QuerySet(set) => set.destroyed = true,
                Made::Invalid(_) => {}
                other => {
                    let what = other.name();
                    return Err(Failed::validation(format!("a {what} cannot be destroyed")));
                }
            }
            let freed = std::mem::take(&mut object.bytes);
            table.bytes -= freed;
            table.mapped -= u32::from(was_mapped);
            Ok(())
        })
    }

    /// `drop`
    pub fn drop_handle(&mut self, _: &mut [u8], handle: Handle) -> Result<(), Fault> {
        if let Some(open) = &mut self.open {
            open.table.drop_handle(handle);
        }
        Ok(())
    }

    /// `write`
    pub fn write(
        &mut self,
        memory: &mut [u8],
        handle: Handle,
        offset: u64,
        ptr: u32,
        len: u32,
    ) -> Result<u32, Fault> {
        self.status(|gpu| {
            let data = slice(memory, ptr, len)?;
            let (open, watch) = gpu.parts()?;
            let buffer = open.table.buffer(open.table.id(handle)?)?;
            check_access(buffer, true, offset, u64::from(len))?;
            buffer.note_write();
            staging::write_buffer(&mut open.device, &watch, &buffer.buffer, offset, data)
        })
    }

    /// `read`
    pub fn read(
        &mut self,
        memory: &mut [u8],
        handle: Handle,
        offset: u64,
        ptr: u32,
        len: u32,
    ) -> Result<u32, Fault> {
        self.status(|gpu| {
            let to = slice_mut(memory, ptr, len)?;
            let (open, watch) = gpu.parts()?;
            let buffer = open.table.buffer(open.table.id(handle)?)?;
            check_access(buffer, false, offset, u64::from(len))?;
            let mut rest = to;
            let mut take = |part: &[u8]| {
                if let Some((front, back)) =
                    std::mem::take(&mut rest).split_at_mut_checked(part.len())
                {
                    front.copy_from_slice(part);
                    rest = back;
                }
            };
            let (device, wgpu_buffer) = (&mut open.device, &buffer.buffer);
            if len == 0 {
                return device.wait_idle(&watch);
            }
            let copies = staging::buffer_copies(wgpu_buffer, offset, u64::from(len));
            let mut download = Download::new(device, copies)?;
            while download.next(device, &watch, &mut take)? {}
            Ok(())
        })
    }

    /// `write_texture`
    pub fn write_texture(
        &mut self,
        memory: &mut [u8],
        descriptor: u32,
        descriptor_len: u32,
        ptr: u32,
        len: u32,
    ) -> Result<u32, Fault> {
        self.status(|gpu| {
            let write = TextureWrite::from_bytes(slice(memory, descriptor, descriptor_len)?)
                .map_err(|error| Failed::decode("what is to be written to a texture", error))?;
            let data = slice(memory, ptr, len)?;
            let (open, _) = gpu.parts()?;
            let texture = open
                .table
                .texture(open.table.id(write.destination.texture)?)?;
            texture.check_usable()?;
            if !texture.usage.contains(TextureUsage::COPY_DST) {
                return Err(Failed::validation("the texture lacks the usage COPY_DST"));
            }
            texture.note_write();
            texels::write_texture(&mut open.device, &texture.texture, &write, data)
        })
    }

    /// `map`
    pub fn map(
        &mut self,
        _: &mut [u8],
        handle: Handle,
        mode: u32,
        offset: u64,
        size: u64,
    ) -> Result<u32, Fault> {
        self.status(|gpu| {
            let usage = match MapMode::from_bits(mode) {
                Some(MapMode::READ) => BufferUsage::MAP_READ,
                Some(MapMode::WRITE) => BufferUsage::MAP_WRITE,
                _ => return Err(Failed::misuse(format!("{mode} is no way to map"))),
            };
            let table = &mut gpu.usable()?.table;
            let id = table.id(handle)?;
            let buffer = table.buffer(id)?;
            if !buffer.usage.contains(usage) {
                return Err(Failed::validation("the buffer lacks the usage for that"));
            }
            buffer.check_usable()?;
            let size = buffer.size_of(offset, size)?;
            if !offset.is_multiple_of(8) || !size.is_multiple_of(4) {
                return Err(Failed::validation(
                    "what is mapped begins at a multiple of 8, and has a multiple of 4 bytes",
                ));
            }
            table.set_mapped(
                id,
                Some(Mapped {
                    writes: usage == BufferUsage::MAP_WRITE,
                    start: offset,
                    end: offset + size,
                }),
            )
        })
    }

    /// `unmap`
    pub fn unmap(&mut self, _: &mut [u8], handle: Handle) -> Result<u32, Fault> {
        self.status(|gpu| {
            let table = &mut gpu.usable()?.table;
            let id = table.id(handle)?;
            table.buffer(id)?;
            table.set_mapped(id, None)
        })
    }

    /// `submit`
    pub fn submit(
        &mut self,
        memory: &mut [u8],
        ptr: u32,
        len: u32,
        mode: u32,
    ) -> Result<u64, Fault> {
        let mut number = 0;
        let status = self.status(|gpu| {
            let mode = SubmitMode::from_number(mode)
                .ok_or_else(|| Failed::misuse(format!("{mode} is no way to submit")))?;
            let stream = slice(memory, ptr, len)?;
            if stream.len() > MAX_STREAM {
                return Err(Failed::misuse("a command stream is too long"));
            }
            gpu.streams += 1;
            let streams = gpu.streams;
            let most = gpu.settings.quota.submissions as usize;
            let (open, watch) = gpu.parts()?;
            // Before anything is done: if the program is to leave here, it submits again.
            open.device.wait_until(&watch, |device| {
                device.submissions_under_way() < most.max(1)
            })?;
            let commands = submit::encode(&open.device, &open.table, streams, stream)?;
            if mode == SubmitMode::Run {
                open.device.hand_over(commands);
                number = open.device.number_submission();
                open.device.take_error()?;
            }
            Ok(())
        })?;
        Ok(match status {
            0 => number,
            failure => u64::from(failure).wrapping_neg(),
        })
    }

    /// `wait`
    pub fn wait(&mut self, _: &mut [u8], submission: u64, nanoseconds: u64) -> Result<u32, Fault> {
        self.status(|gpu| {
            let (open, mut watch) = gpu.parts()?;
            if submission > open.device.submitted {
                return Err(Failed::validation(format!(
                    "nothing has the number {submission}"
                )));
            }
            if nanoseconds != u64::MAX {
                watch.until = Instant::now().checked_add(Duration::from_nanos(nanoseconds));
            }
            match submission {
                0 => {
                    open.device.flush();
                    open.device.wait_idle(&watch)
                }
                number => open.device.wait_submission(number, &watch),
            }
        })
    }

    /// `error`
    pub fn error(&mut self, memory: &mut [u8], ptr: u32, cap: u32) -> Result<u32, Fault> {
        give(memory, &self.error, ptr, cap)
    }

    /// `messages`
    pub fn messages(
        &mut self,
        memory: &mut [u8],
        handle: Handle,
        ptr: u32,
        cap: u32,
    ) -> Result<u32, Fault> {
        let Some(open) = &self.open else {
            return Ok(0);
        };
        let object = open.table.id(handle).and_then(|id| open.table.object(id));
        match object.map(|object| &object.made) {
            Ok(Made::ShaderModule(_, info) | Made::Invalid(info)) => give(memory, info, ptr, cap),
            _ => Ok(0),
        }
    }
}

/// Checks that the guest may write to these bytes now, or read them.
fn check_access(buffer: &Buffer, writes: bool, offset: u64, len: u64) -> Result<(), Failed> {
    if !offset.is_multiple_of(4) || !len.is_multiple_of(4) {
        return Err(Failed::validation("offsets and lengths are multiples of 4"));
    }
    let refused = match buffer.mapped {
        Some(mapped) => return check_mapped(mapped, writes, offset, len),
        None if !writes => "the buffer is not mapped",
        None if buffer.destroyed => "the buffer is destroyed",
        None if !buffer.usage.contains(BufferUsage::COPY_DST) => {
            "the buffer lacks the usage COPY_DST"
        }
        None => return buffer.size_of(offset, len).map(drop),
    };
    Err(Failed::validation(refused))
}

fn check_mapped(mapped: Mapped, writes: bool, offset: u64, len: u64) -> Result<(), Failed> {
    let end = offset.checked_add(len);
    if offset < mapped.start || end.is_none_or(|end| end > mapped.end) {
        return Err(Failed::validation("that is not within what is mapped"));
    }
    if writes && !mapped.writes {
        return Err(Failed::validation("the buffer is mapped to be read"));
    }
    Ok(())
}

fn range(memory: &[u8], ptr: u32, len: u32) -> Result<Range<usize>, Fault> {
    let (start, end) = (ptr as usize, ptr as usize + len as usize);
    if end > memory.len() {
        return Err(Fault::Misuse(format!(
            "{len} bytes at {ptr} are not within the memory"
        )));
    }
    Ok(start..end)
}

fn slice(memory: &[u8], ptr: u32, len: u32) -> Result<&[u8], Failed> {
    Ok(&memory[range(memory, ptr, len)?])
}

fn slice_mut(memory: &mut [u8], ptr: u32, len: u32) -> Result<&mut [u8], Failed> {
    let range = range(memory, ptr, len)?;
    Ok(&mut memory[range])
}

/// Writes a record to the guest's memory if it fits, and gives its length.
fn give(memory: &mut [u8], record: &impl Wire, ptr: u32, cap: u32) -> Result<u32, Fault> {
    let mut to = Writer::new();
    record.encode(&mut to);
    let bytes = to.into_bytes();
    if bytes.len() <= cap as usize {
        let range = range(memory, ptr, cap)?;
        memory[range][..bytes.len()].copy_from_slice(&bytes);
    }
    Ok(u32::try_from(bytes.len()).unwrap_or(u32::MAX))
}

/// What calls [`Gpu`]'s functions from a guest is made with this: it passes the signature of each
/// to another macro.
#[macro_export]
macro_rules! for_each_gpu_function {
    ($macro:ident) => {
        $macro! {
            "version" version() -> u32;
            "adapter" adapter(ptr: u32, cap: u32) -> u32;
            "open" open(ptr: u32, len: u32) -> u32;
            "close" close() -> ();
            "state" state() -> u32;
            "create" create(kind: u32, handle: u32, ptr: u32, len: u32) -> u32;
            "destroy" destroy(handle: u32) -> u32;
            "drop" drop_handle(handle: u32) -> ();
            "write" write(handle: u32, offset: u64, ptr: u32, len: u32) -> u32;
            "read" read(handle: u32, offset: u64, ptr: u32, len: u32) -> u32;
            "write_texture" write_texture(descriptor: u32, descriptor_len: u32, ptr: u32, len: u32) -> u32;
            "map" map(handle: u32, mode: u32, offset: u64, size: u64) -> u32;
            "unmap" unmap(handle: u32) -> u32;
            "submit" submit(ptr: u32, len: u32, mode: u32) -> u64;
            "wait" wait(submission: u64, nanoseconds: u64) -> u32;
            "error" error(ptr: u32, cap: u32) -> u32;
            "messages" messages(handle: u32, ptr: u32, cap: u32) -> u32;
        }
    };
}
