//! The host's functions, with slices for pointers and results for statuses.

#![expect(unsafe_code, reason = "the host is handed pointers")]

use wherry_gpu_abi as abi;

#[cfg(test)]
use super::tests::host as imports;
#[cfg(not(test))]
use abi::imports;

use abi::{Descriptor, Failure, Handle, Reader, Status, Wire};

/// What the host could not do, and its words for it.
#[derive(Clone, Debug)]
pub(crate) struct Failed {
    pub(crate) failure: Failure,
    pub(crate) message: String,
}

pub(crate) type Outcome<T = ()> = Result<T, Failed>;

/// The version of the interface that the host has.
pub(crate) fn version() -> u32 {
    imports::version()
}

/// The adapter, if there is one.
pub(crate) fn adapter() -> Option<abi::AdapterRecord> {
    // SAFETY: the host writes at most `capacity` bytes.
    decoded(&record(|to, capacity| unsafe {
        imports::adapter(to, capacity)
    }))
}

pub(crate) fn open(descriptor: &abi::DeviceDescriptor) -> Outcome {
    let bytes = descriptor.to_bytes();
    // SAFETY: the host reads these bytes and nothing else.
    outcome(unsafe { imports::open(bytes.as_ptr(), bytes.len()) })
}

pub(crate) fn close() {
    imports::close();
}

pub(crate) fn create(handle: Handle, descriptor: &Descriptor) -> Outcome {
    let bytes = descriptor.to_bytes();
    if bytes.len() > abi::MAX_DESCRIPTOR {
        // The host ends a job that sends more.
        return Err(Failed {
            failure: Failure::Validation,
            message: format!(
                "it is described in {} bytes, more than {}",
                bytes.len(),
                abi::MAX_DESCRIPTOR
            ),
        });
    }
    let kind = descriptor.kind() as u32;
    // SAFETY: the host reads these bytes and nothing else.
    outcome(unsafe { imports::create(kind, handle, bytes.as_ptr(), bytes.len()) })
}

pub(crate) fn destroy(handle: Handle) -> Outcome {
    outcome(imports::destroy(handle))
}

pub(crate) fn drop_handle(handle: Handle) {
    imports::drop_handle(handle);
}

pub(crate) fn write(buffer: Handle, offset: u64, data: &[u8]) -> Outcome {
    // SAFETY: the host reads these bytes and nothing else.
    outcome(unsafe { imports::write(buffer, offset, data.as_ptr(), data.len()) })
}

/// The `length` bytes of a mapped buffer from `offset`.
pub(crate) fn read(buffer: Handle, offset: u64, length: usize) -> Outcome<Vec<u8>> {
    let mut data = Vec::with_capacity(length);
    // SAFETY: the capacity is at least `length`, and when the host says that it has read, it has
    // written that many bytes.
    unsafe {
        outcome(imports::read(buffer, offset, data.as_mut_ptr(), length))?;
        data.set_len(length);
    }
    Ok(data)
}

pub(crate) fn write_texture(write: &abi::TextureWrite, data: &[u8]) -> Outcome {
    let descriptor = write.to_bytes();
    // SAFETY: the host reads these bytes and nothing else.
    outcome(unsafe {
        imports::write_texture(
            descriptor.as_ptr(),
            descriptor.len(),
            data.as_ptr(),
            data.len(),
        )
    })
}

pub(crate) fn map(buffer: Handle, mode: abi::MapMode, offset: u64, size: u64) -> Outcome {
    outcome(imports::map(buffer, mode.bits(), offset, size))
}

pub(crate) fn unmap(buffer: Handle) -> Outcome {
    outcome(imports::unmap(buffer))
}

/// The number of the submission.
pub(crate) fn submit(stream: &[u8], mode: abi::SubmitMode) -> Outcome<u64> {
    // SAFETY: the host reads these bytes and nothing else.
    let number = unsafe { imports::submit(stream.as_ptr(), stream.len(), mode as u32) };
    u64::try_from(number).map_err(|_| {
        let status = u32::try_from(number.unsigned_abs()).unwrap_or(u32::MAX);
        failed(Status(status))
    })
}

pub(crate) fn wait(submission: u64, nanoseconds: u64) -> Outcome {
    outcome(imports::wait(submission, nanoseconds))
}

/// What the compiler says of a shader module.
pub(crate) fn messages(module: Handle) -> Vec<abi::CompilationMessage> {
    // SAFETY: the host writes at most `capacity` bytes.
    let bytes = record(|to, capacity| unsafe { imports::messages(module, to, capacity) });
    decoded::<abi::CompilationInfo>(&bytes).map_or_else(Vec::new, |info| info.messages)
}

fn outcome(status: u32) -> Outcome {
    match Status(status) {
        Status::OK => Ok(()),
        status => Err(failed(status)),
    }
}

fn failed(status: Status) -> Failed {
    if status.failure() == Some(Failure::Timeout) {
        return Failed {
            failure: Failure::Timeout,
            message: String::new(),
        };
    }
    // SAFETY: the host writes at most `capacity` bytes.
    let bytes = record(|to, capacity| unsafe { imports::error(to, capacity) });
    let message =
        decoded::<abi::ErrorRecord>(&bytes).map_or_else(String::new, |error| error.message);
    Failed {
        failure: status.failure().unwrap_or(Failure::Internal),
        message,
    }
}

/// What a function gives that returns how many bytes it has, and writes them if they fit.
fn record(get: impl Fn(*mut u8, usize) -> usize) -> Vec<u8> {
    let mut bytes = vec![0; 1024];
    loop {
        let length = get(bytes.as_mut_ptr(), bytes.len());
        let fits = length <= bytes.len();
        bytes.resize(length, 0);
        if fits {
            return bytes;
        }
    }
}

fn decoded<T: Wire>(bytes: &[u8]) -> Option<T> {
    if bytes.is_empty() {
        return None;
    }
    T::decode(&mut Reader::new(bytes)).ok()
}
