//! The GPU as one job sees it: what it is lent, its device and objects, and what it has used.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use wherry_gpu_abi::{
    AdapterRecord, CompilationInfo, Descriptor, ErrorRecord, Failure, Handle, Status,
};

use crate::adapter::Adapter;
use crate::create::Maker;
use crate::device::{Device, Watch};
use crate::fault::{Failed, Fault};
use crate::object::{Made, Object};
use crate::table::Table;
use crate::{Error, Interrupted, Settings, references, texels};

/// Bytes that the descriptors of a job's objects may have together. They take several times as much
/// of the host's memory.
pub(crate) const RECIPE_BYTES: u64 = 64 << 20;

const NO_GPU: &str = "there is no GPU";

/// The GPU as one job sees it.
pub struct Gpu {
    pub(crate) lent: Result<Lent, Absent>,
    pub(crate) settings: Settings,
    interrupted: Interrupted,
    pub(crate) open: Option<Open>,
    pub(crate) error: ErrorRecord,
    /// What devices that were closed, or were on other nodes, have used.
    pub(crate) used_before: Duration,
    pub(crate) peak_bytes: u64,
    /// What is left for it of the job's memory.
    memory_left: u64,
    /// Counts command streams.
    pub(crate) streams: u64,
    /// The driver does not answer, or wgpu has failed: what they hold is given up, not dropped.
    pub(crate) stuck: bool,
}

/// An adapter, and what the job sees of it.
pub(crate) struct Lent {
    pub(crate) adapter: Adapter,
    pub(crate) record: AdapterRecord,
}

/// Why there is no adapter.
pub(crate) struct Absent(String);

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
        let error = ErrorRecord {
            status: 0,
            message: String::new(),
        };
        let lent = Ok(Lent { adapter, record });
        Ok(Self::of(lent, settings, interrupted, error))
    }

    /// For a program that can do without: it finds no adapter.
    #[must_use]
    pub fn absent(why: String) -> Self {
        let settings = Settings::default();
        let error = ErrorRecord {
            status: Failure::DeviceLost as u32,
            message: NO_GPU.to_owned(),
        };
        Self::of(Err(Absent(why)), settings, Box::new(|| false), error)
    }

    fn of(
        lent: Result<Lent, Absent>,
        settings: Settings,
        interrupted: Interrupted,
        error: ErrorRecord,
    ) -> Self {
        Self {
            lent,
            settings,
            interrupted,
            open: None,
            error,
            used_before: Duration::ZERO,
            peak_bytes: 0,
            memory_left: u64::MAX,
            streams: 0,
            stuck: false,
        }
    }

    /// Why there is no adapter, if there is none.
    #[must_use]
    pub fn why_absent(&self) -> Option<&str> {
        self.lent.as_ref().err().map(|absent| absent.0.as_str())
    }

    /// Gives up the device, as a driver does that is reset: for tests of what is made of that.
    pub fn lose_device(&mut self, why: &str) {
        if let Some(open) = &self.open {
            open.device.lose(why);
        }
    }

    /// Bytes of buffers and textures now.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.table.bytes)
    }

    /// Buffers and textures get no more than `bytes`, besides what the quota says: what the job
    /// has of memory counts together.
    pub fn limit_memory(&mut self, bytes: u64) {
        self.memory_left = bytes;
    }

    /// What buffers and textures may have together.
    pub(crate) fn bytes_allowed(&self) -> u64 {
        self.settings.quota.bytes.min(self.memory_left)
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

    /// Makes an object for the guest, which has a descriptor of `len` bytes.
    pub(crate) fn create_object(
        &mut self,
        handle: Handle,
        mut recipe: Descriptor,
        len: u32,
    ) -> Result<(), Failed> {
        let (objects, all_bytes) = (self.settings.quota.objects, self.bytes_allowed());
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

    /// The device and its objects, if there is one that is not lost.
    pub(crate) fn usable(&mut self) -> Result<&mut Open, Failed> {
        self.lent()?;
        let open = self.open.as_mut();
        let open = open.ok_or_else(|| Failed::lost("there is no device"))?;
        match open.device.lost() {
            Some(why) => Err(Failed::lost(format!("the device is lost: {why}"))),
            None => Ok(open),
        }
    }

    /// The adapter, if there is one.
    pub(crate) fn lent(&self) -> Result<&Lent, Failed> {
        self.lent.as_ref().map_err(|_| Failed::lost(NO_GPU))
    }

    pub(crate) fn parts(&mut self) -> Result<(&mut Open, Watch<'_>), Failed> {
        self.usable()?;
        let open = self.open.as_mut();
        let open = open.ok_or_else(|| Failed::lost("there is no device"))?;
        let (settings, interrupted) = (&self.settings, &*self.interrupted);
        Ok((open, watch(settings, self.used_before, interrupted)))
    }

    /// Does what a function does, and makes a status of how that went.
    pub(crate) fn status(
        &mut self,
        call: impl FnOnce(&mut Self) -> Result<(), Failed>,
    ) -> Result<u32, Fault> {
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
        let mut watch = watch(&self.settings, self.used_before, &|| false);
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

fn watch<'a>(
    settings: &'a Settings,
    used_before: Duration,
    interrupted: &'a (dyn Fn() -> bool + Sync),
) -> Watch<'a> {
    Watch {
        quota: &settings.quota,
        used_before,
        interrupted,
        until: None,
    }
}
