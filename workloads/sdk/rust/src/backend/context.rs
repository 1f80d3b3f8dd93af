//! What a device and all that was made from it share.

use std::fmt;
use std::sync::{Arc, Mutex};

use wgpu::DeviceLostReason;
use wgpu::custom::BoxDeviceLostCallback;
use wherry_gpu_abi::{Descriptor, Failure, Handle};

use super::errors::{Errors, Unsupported};
use super::handles::Handles;
use super::host::{self, Failed, Outcome};
use super::lock;
use super::progress::Progress;

#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) errors: Errors,
    pub(crate) progress: Progress,
    handles: Mutex<Handles>,
    life: Mutex<Life>,
}

#[derive(Default)]
struct Life {
    /// Why the device cannot be used any more.
    end: Option<End>,
    callback: Option<BoxDeviceLostCallback>,
}

#[derive(Clone, Debug)]
struct End {
    reason: DeviceLostReason,
    message: String,
}

impl Context {
    /// For the device that was opened on the host.
    pub(crate) fn of_open_device() -> Arc<Self> {
        Arc::new(Context {
            errors: Errors::default(),
            progress: Progress::default(),
            handles: Mutex::default(),
            life: Mutex::default(),
        })
    }

    /// Of no device: the host never hears of what is made with it.
    pub(crate) fn of_no_device() -> Arc<Self> {
        let context = Context::of_open_device();
        lock(&context.life).end = Some(End {
            reason: DeviceLostReason::Destroyed,
            message: String::new(),
        });
        context
    }

    /// Whether the host still has the device, and it works.
    pub(crate) fn is_open(&self) -> bool {
        lock(&self.life).end.is_none()
    }

    /// Makes an object; `call` is the wgpu function that asked for it. On an error, which is reported, it
    /// is an invalid one.
    #[track_caller]
    pub(crate) fn create<T: Into<Descriptor>>(
        self: &Arc<Self>,
        call: &str,
        descriptor: Result<T, Unsupported>,
    ) -> Object {
        let mut object = Object {
            context: self.clone(),
            handle: 0,
            is_valid: false,
        };
        match descriptor {
            _ if !self.is_open() => {}
            Err(Unsupported(message)) => self.errors.invalid(call, &message),
            Ok(descriptor) => {
                object.handle = lock(&self.handles).take();
                object.is_valid = self.check(call, host::create(object.handle, &descriptor.into()));
            }
        }
        object
    }

    /// Reports what went wrong in the wgpu function `call`, and says whether all went well.
    #[track_caller]
    pub(crate) fn check(&self, call: &str, outcome: Outcome) -> bool {
        match outcome {
            Ok(()) => true,
            Err(failed) => {
                self.report(call, failed);
                false
            }
        }
    }

    /// A lost device is no error: the program is told by its callback.
    #[track_caller]
    pub(crate) fn report(&self, call: &str, failed: Failed) {
        match failed.failure {
            Failure::DeviceLost => self.end(DeviceLostReason::Unknown, failed.message),
            _ => self.errors.failed(call, failed),
        }
    }

    /// Closes the device.
    pub(crate) fn destroy(&self) {
        if self.is_open() {
            host::close();
            self.end(DeviceLostReason::Destroyed, "Device destroyed".to_owned());
        }
    }

    /// Calls back when the device is lost, or now if it is.
    pub(crate) fn when_lost(&self, callback: BoxDeviceLostCallback) {
        let mut life = lock(&self.life);
        match life.end.clone() {
            None => life.callback = Some(callback),
            Some(End { reason, message }) => {
                drop(life);
                callback(reason, message);
            }
        }
    }

    fn end(&self, reason: DeviceLostReason, message: String) {
        let mut life = lock(&self.life);
        if life.end.is_some() {
            return;
        }
        life.end = Some(End {
            reason,
            message: message.clone(),
        });
        let callback = life.callback.take();
        drop(life);
        if let Some(callback) = callback {
            callback(reason, message);
        }
    }

    fn release(&self, handle: Handle) {
        lock(&self.handles).give_up(handle);
        self.drop_unused();
    }

    fn drop_unused(&self) {
        let mut handles = lock(&self.handles);
        while let Some(handle) = handles.unused() {
            if self.is_open() {
                host::drop_handle(handle);
            }
        }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        if self.is_open() {
            host::close();
        }
    }
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Life")
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

/// Something on the host that this owns.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) context: Arc<Context>,
    /// 0 if it is invalid and unknown to the host.
    pub(crate) handle: Handle,
    pub(crate) is_valid: bool,
}

impl Object {
    /// Frees its memory; the handle stays.
    pub(crate) fn destroy(&self, call: &str) {
        if self.handle != 0 && self.context.is_open() {
            self.context.check(call, host::destroy(self.handle));
        }
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        if self.handle != 0 {
            self.context.release(self.handle);
        }
    }
}

/// Commands that are being recorded or wait to be submitted. What they use stays on the host until
/// this is dropped.
#[derive(Debug)]
pub(crate) struct Recording {
    pub(crate) context: Arc<Context>,
    number: u64,
}

impl Recording {
    pub(crate) fn new(context: &Arc<Context>) -> Self {
        let number = lock(&context.handles).begin_recording();
        Recording {
            context: context.clone(),
            number,
        }
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        lock(&self.context.handles).end_recording(self.number);
        self.context.drop_unused();
    }
}
