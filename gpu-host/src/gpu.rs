//! The functions that a guest calls. Addresses and lengths are of the guest's memory.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use wherry_gpu_abi::{
    AdapterRecord, BufferUsage, CompilationInfo, Descriptor, DeviceDescriptor, DeviceState,
    ErrorRecord, Failure, Handle, Kind, MAX_STREAM, MapMode, Status, SubmitMode, TextureUsage,
    TextureWrite, VERSION, Wire, Writer,
};

use crate::adapter::Adapter;
use crate::create::Maker;
use crate::device::{Device, Watch};
use crate::fault::{Failed, Fault};
use crate::limits;
use crate::object::{Made, Mapped, Object};
use crate::staging::{self, Download};
use crate::table::Table;
use crate::{Error, Interrupted, Settings, references, submit, texels};

/// Bytes that the descriptors of a job's objects may have together. They take several times as much
/// of the host's memory.
pub(crate) const RECIPE_BYTES: u64 = 64 << 20;

/// The GPU as one job sees it.
pub struct Gpu {
    pub(crate) adapter: Adapter,
    pub(crate) record: AdapterRecord,
    pub(crate) settings: Settings,
    interrupted: Interrupted,
    pub(crate) open: Option<Open>,
    pub(crate) error: ErrorRecord,
    /// What devices that were closed have used.
    pub(crate) used_before: Duration,
    pub(crate) peak_bytes: u64,
    /// Counts command streams.
    streams: u64,
    /// The driver does not answer, or wgpu has failed: what they hold is given up, not dropped.
    stuck: bool,
}

/// An open device, and its objects.
pub(crate) struct Open {
    pub(crate) device: Device,
    pub(crate) table: Table,
}

/// What a job has used of the GPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// For how long work was under way.
    pub time: Duration,
    /// The most bytes of buffers and textures at a time.
    pub peak_bytes: u64,
}

impl Gpu {
    /// Chooses an adapter for a job. Calls that wait return when it is interrupted.
    ///
    /// # Errors
    /// If there is none that is as asked for, and has what the job declares.
    pub fn new(settings: Settings, interrupted: Interrupted) -> Result<Self, Error> {
        let adapter = Adapter::choose(&settings.adapter)?;
        let record = adapter.record(&settings.request)?;
        Ok(Self {
            adapter,
            record,
            settings,
            interrupted,
            open: None,
            error: ErrorRecord {
                status: 0,
                message: String::new(),
            },
            used_before: Duration::ZERO,
            peak_bytes: 0,
            streams: 0,
            stuck: false,
        })
    }

    /// The name of the adapter.
    #[must_use]
    pub fn adapter_name(&self) -> &str {
        &self.record.device
    }

    /// What the job has used so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let now = self
            .open
            .as_ref()
            .map_or(Duration::ZERO, |open| open.device.busy);
        Usage {
            time: self.used_before + now,
            peak_bytes: self.peak_bytes,
        }
    }

    /// `version`
    pub fn version(&mut self, _: &mut [u8]) -> Result<u32, Fault> {
        Ok(VERSION)
    }

    /// `adapter`
    pub fn adapter(&mut self, memory: &mut [u8], ptr: u32, cap: u32) -> Result<u32, Fault> {
        give(memory, &self.record, ptr, cap)
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
            let has = &gpu.record;
            let lacking = |feature| !has.features.contains(feature);
            if let Some(feature) = descriptor.features.iter().find(|feature| lacking(feature)) {
                let name = limits::feature_name(*feature);
                return Err(Failed::validation(format!(
                    "the job does not have the feature {name}: it has to be declared"
                )));
            }
            if let Some((limit, wanted, has)) = limits::lacking(&descriptor.limits, &has.limits) {
                return Err(Failed::validation(format!(
                    "{limit} is {has}, not {wanted}: what is beyond has to be declared"
                )));
            }
            let device = Device::open(&gpu.adapter, descriptor)
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
        let Some(mut open) = self.open.take() else {
            return Ok(());
        };
        let waited = open
            .device
            .wait_idle(&watch(&self.settings, &*self.interrupted));
        self.used_before += open.device.busy;
        match waited {
            Err(Failed::Fault(fault)) => {
                self.used_before -= open.device.busy;
                self.open = Some(open);
                self.stuck |= matches!(fault, Fault::Hung(_));
                Err(fault)
            }
            _ => Ok(()),
        }
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

    fn create_object(
        &mut self,
        handle: Handle,
        mut recipe: Descriptor,
        len: u32,
    ) -> Result<(), Failed> {
        let (objects, all_bytes) = (self.settings.quota.objects, self.settings.quota.bytes);
        let open = self.usable()?;
        if handle == 0 || open.table.has(handle) {
            return Err(Failed::misuse(format!("the handle {handle} is in use")));
        }
        if open.table.len() >= objects as usize || open.table.recipe_bytes >= RECIPE_BYTES {
            return Err(Failed::out_of_memory("the job may not have more objects"));
        }
        let made = open.make(&mut recipe, all_bytes);
        let (made, bytes, result) = match made {
            Ok((made, bytes)) => (made, bytes, Ok(())),
            Err(Failed::Fault(fault)) => return Err(fault.into()),
            Err(failed) => {
                let info = match &failed {
                    Failed::Shader(_, _, info) => info.clone(),
                    _ => CompilationInfo {
                        messages: Vec::new(),
                    },
                };
                recipe = references::nothing();
                (Made::Invalid(info), 0, Err(failed))
            }
        };
        open.table.mapped += u32::from(made.is_mapped());
        open.table.insert(Object {
            handle,
            parents: references::parents(&recipe),
            recipe,
            dependents: 0,
            order: 0,
            bytes,
            recipe_bytes: u64::from(len),
            made,
        });
        let bytes = open.table.bytes;
        self.peak_bytes = self.peak_bytes.max(bytes);
        result
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
            check_words(offset, u64::from(len))?;
            match buffer.mapped {
                Some(mapped) => check_mapped(mapped, true, offset, u64::from(len))?,
                None if buffer.destroyed => {
                    return Err(Failed::validation("the buffer is destroyed"));
                }
                None if !buffer.usage.contains(BufferUsage::COPY_DST) => {
                    return Err(Failed::validation("the buffer lacks the usage COPY_DST"));
                }
                None => {
                    buffer.size_of(offset, u64::from(len))?;
                }
            }
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
            check_words(offset, u64::from(len))?;
            let mapped = buffer.mapped;
            let mapped = mapped.ok_or_else(|| Failed::validation("the buffer is not mapped"))?;
            check_mapped(mapped, false, offset, u64::from(len))?;
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

    /// The device and its objects, if there is one that is not lost.
    fn usable(&mut self) -> Result<&mut Open, Failed> {
        let open = self.open.as_mut();
        let open = open.ok_or_else(|| Failed::lost("there is no device"))?;
        match open.device.lost() {
            Some(why) => Err(Failed::lost(format!("the device is lost: {why}"))),
            None => Ok(open),
        }
    }

    fn parts(&mut self) -> Result<(&mut Open, Watch<'_>), Failed> {
        self.usable()?;
        let open = self.open.as_mut();
        let open = open.ok_or_else(|| Failed::lost("there is no device"))?;
        Ok((open, watch(&self.settings, &*self.interrupted)))
    }

    /// Does what a function does, and makes a status of how that went.
    fn status(&mut self, call: impl FnOnce(&mut Self) -> Result<(), Failed>) -> Result<u32, Fault> {
        // That wgpu panics would be a defect of it. One job may suffer from that, the process not.
        let result = catch_unwind(AssertUnwindSafe(|| call(self)));
        let result = result.unwrap_or_else(|_| {
            self.stuck = true;
            if let Some(open) = &self.open {
                open.device.lose("the host's GPU library failed");
            }
            Err(Failed::lost("the host's GPU library failed"))
        });
        match result {
            Ok(()) => Ok(0),
            Err(Failed::Error(Failure::Timeout, _)) => Ok(Failure::Timeout as u32),
            Err(Failed::Error(failure, message) | Failed::Shader(failure, message, _)) => {
                self.error = ErrorRecord {
                    status: failure as u32,
                    message,
                };
                Ok(Status::from(failure).0)
            }
            Err(Failed::Fault(fault)) => {
                self.stuck |= matches!(fault, Fault::Hung(_));
                Err(fault)
            }
        }
    }
}

impl Drop for Gpu {
    /// Waiting for a driver that does not answer could take for ever. A process belongs to one
    /// job: what is left goes when it ends.
    fn drop(&mut self) {
        let Some(mut open) = self.open.take() else {
            return;
        };
        let mut watch = watch(&self.settings, &|| false);
        watch.until = Some(Instant::now() + Duration::from_millis(100));
        if self.stuck || (open.device.lost().is_none() && open.device.wait_idle(&watch).is_err()) {
            std::mem::forget(open);
        }
    }
}

impl Open {
    /// Makes an object of a recipe with handles, which become [`Id`]s. Says how many bytes it has.
    pub(crate) fn make(
        &mut self,
        recipe: &mut Descriptor,
        all_bytes: u64,
    ) -> Result<(Made, u64), Failed> {
        for handle in references::handles_mut(recipe) {
            if *handle != 0 {
                *handle = self.table.id(*handle)?;
            }
        }
        self.make_named(recipe, all_bytes)
    }

    /// Makes an object of a recipe with [`Id`]s.
    pub(crate) fn make_named(
        &mut self,
        recipe: &Descriptor,
        all_bytes: u64,
    ) -> Result<(Made, u64), Failed> {
        let bytes = match recipe {
            // One that is too large for any device is another error.
            Descriptor::Buffer(buffer) if buffer.size > self.device.limits().max_buffer_size => 0,
            Descriptor::Buffer(buffer) => buffer.size,
            Descriptor::Texture(texture) => {
                texels::check_size(texture, self.device.limits())?;
                texels::bytes(texture)
            }
            Descriptor::QuerySet(set) => u64::from(set.count) * 8,
            _ => 0,
        };
        let maker = Maker {
            device: &self.device,
            table: &self.table,
        };
        let is_within = self
            .table
            .bytes
            .checked_add(bytes)
            .is_some_and(|all| all <= all_bytes);
        if !is_within {
            return Err(Failed::out_of_memory(format!(
                "the job may have {all_bytes} bytes of buffers and textures"
            )));
        }
        Ok((maker.make(recipe)?, bytes))
    }
}

fn watch<'a>(settings: &'a Settings, interrupted: &'a (dyn Fn() -> bool + Sync)) -> Watch<'a> {
    Watch {
        quota: &settings.quota,
        interrupted,
        until: None,
    }
}

fn check_words(offset: u64, len: u64) -> Result<(), Failed> {
    if offset.is_multiple_of(4) && len.is_multiple_of(4) {
        return Ok(());
    }
    Err(Failed::validation("offsets and lengths are multiples of 4"))
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

fn range(memory: &[u8], ptr: u32, len: u32) -> Result<std::ops::Range<usize>, Fault> {
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
