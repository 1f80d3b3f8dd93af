//! What the GPUs of this machine can do, and whether they do it right: what `wherry doctor` shows,
//! and a node says of itself.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use wherry_gpu_abi::{AdapterType, Feature, Limits};

use crate::device::{Device, Watch};
use crate::fault::Failed;
use crate::staging::{self, Download, buffer_copies};
use crate::{Adapter, Defect, Error, Quota, Request, limits, probe};

/// All GPUs of a machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Capabilities {
    /// The fastest kind first.
    pub adapters: Vec<AdapterCapabilities>,
}

/// One GPU, or a driver that does its work on the CPU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdapterCapabilities {
    /// Its name.
    pub name: String,
    /// `discrete`, `integrated`, `cpu` or `unknown`.
    pub kind: String,
    /// The interface that it is driven through: `vulkan`, `metal` or `dx12`.
    pub backend: String,
    /// The driver and its version.
    pub driver: String,
    /// The vendor's number.
    pub vendor_id: u32,
    /// The device's number.
    pub device_id: u32,
    /// The smallest and the largest subgroup.
    pub subgroup_sizes: [u32; 2],
    /// Features that a job can declare, by their names in the WebGPU standard.
    pub features: Vec<String>,
    /// Limits that a job can declare.
    pub limits: BTreeMap<String, u64>,
    /// Whether it has WebGPU's default limits, so that every job without declarations can run.
    pub portable: bool,
    /// What was found when it was tried out.
    pub self_test: SelfTest,
}

impl AdapterCapabilities {
    /// Whether a job that declares `request` gets right results on it.
    ///
    /// # Errors
    /// If it lacks something, which is named, or does something wrongly.
    pub fn check(&self, request: &Request) -> Result<(), Error> {
        let adapter = || self.name.clone();
        if let Some(defect) = self.self_test.defects.first() {
            let (adapter, defect) = (adapter(), defect.clone());
            return Err(Error::Defective { adapter, defect });
        }
        let mut features = request.features().into_iter();
        let has = |feature: &str| self.features.iter().any(|known| known == feature);
        if let Some(feature) = features.find(|feature| !has(feature)) {
            let adapter = adapter();
            return Err(Error::LacksFeature { adapter, feature });
        }
        let mut limits = Limits::DEFAULT;
        for (name, value) in &self.limits {
            // One that this version does not know, no job of it declares.
            let _ = limits.set(name, *value);
        }
        match limits::lacking(&request.limits, &limits) {
            None => Ok(()),
            Some((limit, needed, has)) => Err(Error::LacksLimit {
                adapter: adapter(),
                limit,
                has,
                needed,
            }),
        }
    }
}

/// What was found when an adapter was tried out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SelfTest {
    /// What it does wrongly.
    pub defects: Vec<Defect>,
    /// How fast content gets to it, in bytes per second.
    pub upload: Option<f64>,
    /// How fast content comes back, in bytes per second.
    pub readback: Option<f64>,
}

/// Finds and tries out all GPUs of this machine, which takes about a second for each.
#[must_use]
pub fn capabilities() -> Capabilities {
    let adapters = Adapter::all();
    Capabilities {
        adapters: adapters.iter().map(Adapter::capabilities).collect(),
    }
}

impl Adapter {
    fn capabilities(&self) -> AdapterCapabilities {
        let info = self.adapter.get_info();
        let limits = limits::from_wgpu(&self.adapter.limits());
        let features = limits::features_from_wgpu(self.adapter.features());
        let features = features.into_iter().map(Feature::name);
        let kind = match self.adapter_type() {
            AdapterType::DiscreteGpu => "discrete",
            AdapterType::IntegratedGpu => "integrated",
            AdapterType::Cpu => "cpu",
            AdapterType::Unknown => "unknown",
        };
        let by_name = limits.by_name().into_iter();
        AdapterCapabilities {
            name: info.name,
            kind: kind.to_owned(),
            backend: info.backend.to_str().to_owned(),
            driver: format!("{} {}", info.driver, info.driver_info)
                .trim()
                .to_owned(),
            vendor_id: info.vendor,
            device_id: info.device,
            subgroup_sizes: [info.subgroup_min_size, info.subgroup_max_size],
            features: features.map(str::to_owned).collect(),
            limits: by_name
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            portable: limits::lacking(&Limits::DEFAULT, &limits).is_none(),
            self_test: self.self_test(),
        }
    }

    fn self_test(&self) -> SelfTest {
        let defects = [probe::arithmetic(self), probe::loop_limit(self)];
        let (upload, readback) = self.transfer_rates().unwrap_or_default();
        SelfTest {
            defects: defects.into_iter().flatten().collect(),
            upload,
            readback,
        }
    }

    /// Bytes per second to the GPU and back, of what fits into every adapter.
    fn transfer_rates(&self) -> Option<(Option<f64>, Option<f64>)> {
        const BYTES: usize = 64 << 20;
        let descriptor = wherry_gpu_abi::DeviceDescriptor {
            label: String::new(),
            features: Vec::new(),
            limits: Limits::DEFAULT,
        };
        let mut device = Device::open(self, descriptor).ok()?;
        let quota = Quota::default();
        let watch = Watch {
            quota: &quota,
            used_before: std::time::Duration::ZERO,
            interrupted: &|| false,
            until: None,
        };
        let buffer = device.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: BYTES as u64,
            usage: wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut data = vec![1; BYTES];
        let up = |device: &mut Device, data: &[u8]| -> Result<(), Failed> {
            staging::write_buffer(device, &watch, &buffer, 0, data)?;
            device.wait_idle(&watch)
        };
        let down = |device: &mut Device, data: &mut [u8]| -> Result<(), Failed> {
            let mut at = 0;
            let copies = buffer_copies(&buffer, 0, BYTES as u64);
            let mut download = Download::new(device, copies)?;
            while download.next(device, &watch, &mut |part| {
                data[at..at + part.len()].copy_from_slice(part);
                at += part.len();
            })? {}
            Ok(())
        };
        // Whole bytes, so that it is the same number when it is read again.
        let rate = |start: Instant| (BYTES as f64 / start.elapsed().as_secs_f64()).round();
        // The first time memory is set up.
        up(&mut device, &data).ok()?;
        let start = Instant::now();
        up(&mut device, &data).ok()?;
        let upload = rate(start);
        down(&mut device, &mut data).ok()?;
        let start = Instant::now();
        down(&mut device, &mut data).ok()?;
        Some((Some(upload), Some(rate(start))))
    }
}
