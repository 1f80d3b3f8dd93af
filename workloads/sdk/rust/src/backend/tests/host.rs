//! A host without a GPU: it checks that descriptors and streams decode, keeps what they say, and
//! does the copying that mapping needs.
#![expect(
    unsafe_code,
    reason = "the functions have the signatures of the imports"
)]
#![allow(clippy::missing_safety_doc)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::slice;

use wherry_gpu_abi as abi;

use abi::{
    AdapterRecord, BufferDescriptor, Command, Commands, Descriptor, DeviceDescriptor, ErrorRecord,
    Failure, Handle, Kind, TextureWrite, Wire, Writer,
};

/// What a host has been told, and what it is to answer.
#[derive(Default)]
pub(crate) struct Host {
    pub(crate) device: Option<DeviceDescriptor>,
    pub(crate) objects: BTreeMap<Handle, Descriptor>,
    pub(crate) contents: BTreeMap<Handle, Vec<u8>>,
    pub(crate) mapped: BTreeMap<Handle, u32>,
    pub(crate) destroyed: Vec<Handle>,
    /// The commands of each submission.
    pub(crate) submissions: Vec<Vec<Command>>,
    pub(crate) checked: usize,
    /// How many submissions are done.
    pub(crate) done: u64,
    /// The next call that can fail does so.
    pub(crate) failure: Option<(Failure, &'static str)>,
    pub(crate) lost: bool,
    error: Option<ErrorRecord>,
}

thread_local! {
    static HOST: RefCell<Host> = RefCell::default();
}

/// The host of this thread: each test has its own.
pub(crate) fn host<T>(look: impl FnOnce(&mut Host) -> T) -> T {
    HOST.with_borrow_mut(look)
}

/// The next call that can fail does so.
pub(crate) fn fails(failure: Failure, message: &'static str) {
    host(|host| host.failure = Some((failure, message)));
}

impl Host {
    fn fail(&mut self, failure: Failure, message: &str) -> u32 {
        self.error = Some(ErrorRecord {
            status: failure as u32,
            message: message.to_owned(),
        });
        failure as u32
    }

    /// The status of a call that nothing else is wrong with.
    fn status(&mut self) -> u32 {
        if self.lost || self.device.is_none() {
            return self.fail(Failure::DeviceLost, "it is gone");
        }
        match self.failure.take() {
            Some((failure, message)) => self.fail(failure, message),
            None => 0,
        }
    }
}

fn give(record: &impl Wire, to: *mut u8, capacity: usize) -> usize {
    let mut writer = Writer::new();
    record.encode(&mut writer);
    let bytes = writer.into_bytes();
    if bytes.len() <= capacity {
        // SAFETY: the caller has that much room.
        unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) }
    }
    bytes.len()
}

unsafe fn bytes<'a>(from: *const u8, length: usize) -> &'a [u8] {
    // SAFETY: the caller's promise.
    unsafe { slice::from_raw_parts(from, length) }
}

pub(crate) fn version() -> u32 {
    abi::VERSION
}

pub(crate) unsafe fn adapter(to: *mut u8, capacity: usize) -> usize {
    let record = AdapterRecord {
        vendor: "vendor".into(),
        architecture: String::new(),
        // Longer than the buffer that is tried first.
        device: "a very long name".repeat(100),
        description: "driver".into(),
        backend: abi::Backend::Vulkan,
        adapter_type: abi::AdapterType::Cpu,
        vendor_id: 1,
        device_id: 2,
        subgroup_min_size: 8,
        subgroup_max_size: 8,
        features: vec![abi::Feature::TimestampQuery],
        limits: abi::Limits::DEFAULT,
    };
    give(&record, to, capacity)
}

pub(crate) unsafe fn open(descriptor: *const u8, length: usize) -> u32 {
    // SAFETY: the caller's promise.
    let descriptor = DeviceDescriptor::from_bytes(unsafe { bytes(descriptor, length) });
    host(|host| match host.device {
        Some(_) => host.fail(Failure::Validation, "a device is open"),
        None => {
            host.device = Some(descriptor.expect("it decodes"));
            0
        }
    })
}

pub(crate) fn close() {
    host(|host| {
        host.device = None;
        host.objects.clear();
    });
}

pub(crate) unsafe fn create(
    kind: u32,
    handle: Handle,
    descriptor: *const u8,
    length: usize,
) -> u32 {
    let kind = Kind::from_number(kind).expect("it exists");
    // SAFETY: the caller's promise.
    let descriptor = Descriptor::from_bytes(kind, unsafe { bytes(descriptor, length) });
    let descriptor = descriptor.expect("it decodes");
    host(|host| {
        assert!(handle != 0, "0 names nothing");
        let status = host.status();
        if let Descriptor::Buffer(BufferDescriptor { size, .. }) = &descriptor
            && status == 0
        {
            host.contents.insert(handle, vec![0; *size as usize]);
        }
        let before = host.objects.insert(handle, descriptor);
        assert!(before.is_none(), "handle {handle} is in use");
        status
    })
}

pub(crate) fn destroy(handle: Handle) -> u32 {
    host(|host| {
        host.destroyed.push(handle);
        host.status()
    })
}

pub(crate) fn drop_handle(handle: Handle) {
    host(|host| host.objects.remove(&handle));
}

pub(crate) unsafe fn write(buffer: Handle, offset: u64, from: *const u8, length: usize) -> u32 {
    // SAFETY: the caller's promise.
    let data = unsafe { bytes(from, length) };
    host(|host| {
        let status = host.status();
        match host.contents.get_mut(&buffer) {
            Some(content) if status == 0 => {
                content[offset as usize..][..length].copy_from_slice(data);
                0
            }
            Some(_) => status,
            None => host.fail(Failure::Validation, "it is no buffer"),
        }
    })
}

pub(crate) unsafe fn read(buffer: Handle, offset: u64, to: *mut u8, length: usize) -> u32 {
    host(|host| {
        let status = host.status();
        if status != 0 {
            return status;
        }
        if !host.mapped.contains_key(&buffer) {
            return host.fail(Failure::Validation, "it is not mapped");
        }
        let content = &host.contents[&buffer][offset as usize..][..length];
        // SAFETY: the caller has that much room.
        unsafe { to.copy_from_nonoverlapping(content.as_ptr(), length) }
        0
    })
}

pub(crate) unsafe fn write_texture(
    descriptor: *const u8,
    descriptor_length: usize,
    _: *const u8,
    _: usize,
) -> u32 {
    // SAFETY: the caller's promise.
    let write = TextureWrite::from_bytes(unsafe { bytes(descriptor, descriptor_length) });
    write.expect("it decodes");
    host(Host::status)
}

pub(crate) fn map(buffer: Handle, mode: u32, _: u64, _: u64) -> u32 {
    host(|host| {
        let status = host.status();
        if status == 0 {
            let before = host.mapped.insert(buffer, mode);
            assert!(before.is_none(), "it is mapped");
        }
        status
    })
}

pub(crate) fn unmap(buffer: Handle) -> u32 {
    host(|host| {
        host.mapped.remove(&buffer);
        host.status()
    })
}

pub(crate) unsafe fn submit(stream: *const u8, length: usize, mode: u32) -> i64 {
    // SAFETY: the caller's promise.
    let stream = unsafe { bytes(stream, length) };
    let commands: Vec<_> = Commands::new(stream)
        .expect("it is not too long")
        .map(|command| command.expect("it decodes"))
        .collect();
    host(|host| match (host.status(), mode) {
        (0, 1) => {
            host.submissions.push(commands);
            host.submissions.len() as i64
        }
        (0, _) => {
            host.checked += 1;
            0
        }
        (status, _) => -i64::from(status),
    })
}

pub(crate) fn wait(submission: u64, nanoseconds: u64) -> u32 {
    host(|host| {
        let last = host.submissions.len() as u64;
        if nanoseconds == u64::MAX {
            host.done = if submission == 0 { last } else { submission };
        }
        match host.status() {
            0 if submission > host.done => host.fail(Failure::Timeout, "it is not done"),
            status => status,
        }
    })
}

pub(crate) unsafe fn error(to: *mut u8, capacity: usize) -> usize {
    host(|host| {
        host.error
            .as_ref()
            .map_or(0, |error| give(error, to, capacity))
    })
}

pub(crate) unsafe fn messages(module: Handle, to: *mut u8, capacity: usize) -> usize {
    let info = abi::CompilationInfo {
        messages: vec![abi::CompilationMessage {
            ty: abi::MessageType::Error,
            line: 3,
            column: 4,
            offset: 20,
            length: 2,
            message: format!("of module {module}"),
        }],
    };
    give(&info, to, capacity)
}
