//! What the host's functions return.

use crate::wire::values;

/// How a call went. [`Status::OK`] is 0; the other numbers are below. The error's text is had from
/// `error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub u32);

impl Status {
    /// It did what was asked.
    pub const OK: Self = Self(0);

    /// Whether it did what was asked.
    #[must_use]
    pub const fn is_ok(self) -> bool {
        self.0 == 0
    }

    /// What went wrong, if something did and the number is known.
    #[must_use]
    pub const fn failure(self) -> Option<Failure> {
        Failure::from_number(self.0)
    }
}

impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        Self(failure as u32)
    }
}

values! {
    /// What went wrong in a call. The first three are the kinds of error that WebGPU has.
    Failure "failure" {
        /// Against the rules of WebGPU, or of the limits and features of the device.
        Validation = 1,
        /// There is not enough memory for it, or the job may not have that much.
        OutOfMemory = 2,
        /// The driver could not do it.
        Internal = 3,
        /// There is no device, or it is lost.
        DeviceLost = 4,
        /// The time is over, and the work goes on.
        Timeout = 5,
    }
}

values! {
    /// What kind of object `create` makes.
    Kind "kind of object" {
        /// A [`BufferDescriptor`](crate::BufferDescriptor) describes it.
        Buffer = 1,
        /// A [`TextureDescriptor`](crate::TextureDescriptor).
        Texture = 2,
        /// A [`TextureViewDescriptor`](crate::TextureViewDescriptor).
        TextureView = 3,
        /// A [`SamplerDescriptor`](crate::SamplerDescriptor).
        Sampler = 4,
        /// A [`QuerySetDescriptor`](crate::QuerySetDescriptor).
        QuerySet = 5,
        /// A [`ShaderModuleDescriptor`](crate::ShaderModuleDescriptor).
        ShaderModule = 6,
        /// A [`BindGroupLayoutDescriptor`](crate::BindGroupLayoutDescriptor).
        BindGroupLayout = 7,
        /// A bind group layout that a pipeline has: a
        /// [`PipelineBindGroupLayoutDescriptor`](crate::PipelineBindGroupLayoutDescriptor).
        PipelineBindGroupLayout = 8,
        /// A [`PipelineLayoutDescriptor`](crate::PipelineLayoutDescriptor).
        PipelineLayout = 9,
        /// A [`BindGroupDescriptor`](crate::BindGroupDescriptor).
        BindGroup = 10,
        /// A [`ComputePipelineDescriptor`](crate::ComputePipelineDescriptor).
        ComputePipeline = 11,
        /// A [`RenderPipelineDescriptor`](crate::RenderPipelineDescriptor).
        RenderPipeline = 12,
        /// A [`RenderBundleDescriptor`](crate::RenderBundleDescriptor).
        RenderBundle = 13,
    }
}

values! {
    /// What `submit` does with a command stream.
    SubmitMode "way to submit" {
        /// Runs it.
        Run = 1,
        /// Only says whether it would be run.
        Check = 2,
    }
}

values! {
    /// What state the device is in.
    DeviceState "state of a device" {
        /// There is none.
        Closed = 1,
        /// It can be used.
        Open = 2,
        /// It is lost: only `close` and what tells about it are of use.
        Lost = 3,
    }
}
