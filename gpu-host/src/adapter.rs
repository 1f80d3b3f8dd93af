//! The adapters of this machine, and which of them a job is given.

use std::fmt;

use serde::{Deserialize, Serialize};
use wherry_gpu_abi::{AdapterRecord, AdapterType, Backend, Limits};

use crate::{Defect, Error, Request, Settings, limits, probe};

/// Which adapter a job is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AdapterChoice {
    /// A part of its name, in any case.
    pub name: Option<String>,
    /// Whether a driver that runs on the CPU will do. One that is chosen by name does.
    pub allow_cpu: bool,
    /// Whether no driver on the CPU will do, not even by name.
    pub hardware_only: bool,
    /// Whether one will do that is known to give wrong results to some programs.
    pub allow_defects: bool,
    /// Takes wgpu's backend that does nothing, for tests of the host.
    pub noop: bool,
}

impl AdapterChoice {
    fn allows(&self, adapter: &Adapter) -> bool {
        let is_cpu = adapter.adapter_type() == AdapterType::Cpu;
        let is_named = self.name.as_ref().is_none_or(|name| {
            let (name, has) = (name.to_lowercase(), adapter.name().to_lowercase());
            has.contains(&name)
        });
        let may_be_cpu = self.allow_cpu || self.name.is_some();
        self.noop || is_named && (!is_cpu || may_be_cpu && !self.hardware_only)
    }
}

impl fmt::Display for AdapterChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, self.hardware_only) {
            (Some(name), false) => write!(f, "named {name:?}"),
            (Some(name), true) => write!(f, "named {name:?} and not a driver on the CPU"),
            (None, _) => f.write_str("more than a driver on the CPU"),
        }
    }
}

/// An adapter of this machine.
#[derive(Clone, Debug)]
pub struct Adapter {
    pub(crate) adapter: wgpu::Adapter,
}

impl Adapter {
    /// All that jobs can use, the fastest kind first. Never one over OpenGL: nothing keeps shaders
    /// within their buffers there.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
        Self::of(backends)
    }

    fn noop() -> Vec<Self> {
        Self::of(wgpu::Backends::NOOP)
    }

    fn of(backends: wgpu::Backends) -> Vec<Self> {
        let mut description = wgpu::InstanceDescriptor::new_without_display_handle();
        description.backends = backends;
        description.flags = wgpu::InstanceFlags::VALIDATION_INDIRECT_CALL
            | wgpu::InstanceFlags::AUTOMATIC_TIMESTAMP_NORMALIZATION;
        description.memory_budget_thresholds = wgpu::MemoryBudgetThresholds {
            for_resource_creation: Some(95),
            for_device_loss: None,
        };
        description.backend_options.noop.enable = backends == wgpu::Backends::NOOP;
        let instance = wgpu::Instance::new(description);
        let found = pollster::block_on(instance.enumerate_adapters(backends));
        let mut adapters: Vec<Self> = found.into_iter().map(|adapter| Self { adapter }).collect();
        adapters.sort_by_key(|adapter| match adapter.adapter_type() {
            AdapterType::DiscreteGpu => 0,
            AdapterType::IntegratedGpu => 1,
            AdapterType::Unknown => 2,
            AdapterType::Cpu => 3,
        });
        adapters
    }

    /// The one that is chosen.
    ///
    /// # Errors
    /// If there is none such.
    pub fn choose(choice: &AdapterChoice) -> Result<Self, Error> {
        let all = if choice.noop {
            Self::noop()
        } else {
            Self::all()
        };
        if all.is_empty() {
            return Err(Error::NoAdapter);
        }
        let found: Vec<String> = all.iter().map(Self::name).collect();
        let chosen = all.into_iter().find(|adapter| choice.allows(adapter));
        let wanted = choice.to_string();
        let chosen = chosen.ok_or(Error::NoSuchAdapter { wanted, found })?;
        if !(choice.allow_defects || choice.noop)
            && let Some(defect) = chosen.defect()
        {
            let adapter = chosen.name();
            return Err(Error::Defective { adapter, defect });
        }
        Ok(chosen)
    }

    /// The one that a job with these settings gets: it is as chosen, and has what the job declares.
    ///
    /// # Errors
    /// If there is none such.
    pub fn suitable(settings: &Settings) -> Result<Self, Error> {
        let adapter = Self::choose(&settings.adapter)?;
        adapter.record(&settings.request)?;
        Ok(adapter)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> String {
        self.adapter.get_info().name
    }

    /// What is known to be wrong with it: found out by a program that shows it.
    #[must_use]
    pub fn defect(&self) -> Option<Defect> {
        match self.adapter_type() {
            AdapterType::Cpu => probe::loop_limit(self),
            _ => None,
        }
    }

    pub(crate) fn adapter_type(&self) -> AdapterType {
        match self.adapter.get_info().device_type {
            wgpu::DeviceType::DiscreteGpu => AdapterType::DiscreteGpu,
            wgpu::DeviceType::IntegratedGpu => AdapterType::IntegratedGpu,
            wgpu::DeviceType::Cpu => AdapterType::Cpu,
            wgpu::DeviceType::VirtualGpu | wgpu::DeviceType::Other => AdapterType::Unknown,
        }
    }

    /// What a job that declares `request` sees of it.
    pub(crate) fn record(&self, request: &Request) -> Result<AdapterRecord, Error> {
        let info = self.adapter.get_info();
        let limits = limits::best(&request.limits, &Limits::DEFAULT);
        self.check(&request.features, &limits)?;
        let backend = match info.backend {
            wgpu::Backend::Vulkan => Backend::Vulkan,
            wgpu::Backend::Metal => Backend::Metal,
            wgpu::Backend::Dx12 => Backend::D3D12,
            _ => Backend::Null,
        };
        Ok(AdapterRecord {
            vendor: info.driver.clone(),
            architecture: String::new(),
            device: info.name,
            description: info.driver_info,
            backend,
            adapter_type: self.adapter_type(),
            vendor_id: info.vendor,
            device_id: info.device,
            subgroup_min_size: info.subgroup_min_size,
            subgroup_max_size: info.subgroup_max_size,
            features: request.features.clone(),
            limits,
        })
    }

    /// Whether it has these features and limits.
    pub(crate) fn check(
        &self,
        features: &[wherry_gpu_abi::Feature],
        wanted: &Limits,
    ) -> Result<(), Error> {
        let has = limits::features_from_wgpu(self.adapter.features());
        if let Some(feature) = features.iter().find(|feature| !has.contains(feature)) {
            return Err(Error::LacksFeature {
                adapter: self.name(),
                feature: feature.name(),
            });
        }
        let has = limits::from_wgpu(&self.adapter.limits());
        match limits::lacking(wanted, &has) {
            None => Ok(()),
            Some((limit, needed, has)) => Err(Error::LacksLimit {
                adapter: self.name(),
                limit,
                has,
                needed,
            }),
        }
    }
}
