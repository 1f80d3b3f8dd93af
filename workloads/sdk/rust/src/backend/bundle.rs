//! Render bundles: recorded here, kept by the host.

use std::ops::Range;
use std::sync::Arc;

use wgpu::custom::{
    DispatchBindGroup, DispatchBuffer, DispatchRenderBundle, DispatchRenderPipeline,
    RenderBundleEncoderInterface,
};
use wherry_gpu_abi as abi;

use abi::{Command, RenderBundleDescriptor, WHOLE_SIZE};

use super::compute_pass::bind_group;
use super::context::{Context, Recording};
use super::convert::{self, handle};
use super::encoder::buffer;
use super::errors::Unsupported;
use super::formats;
use super::objects::{RenderBundle, RenderPipeline};
use super::render_commands::render_commands;

#[derive(Debug)]
pub(crate) struct RenderBundleEncoder {
    recording: Recording,
    descriptor: Result<RenderBundleDescriptor, Unsupported>,
}

impl RenderBundleEncoder {
    pub(crate) fn new(
        context: &Arc<Context>,
        descriptor: &wgpu::RenderBundleEncoderDescriptor<'_>,
    ) -> Self {
        RenderBundleEncoder {
            recording: Recording::new(context),
            descriptor: empty(descriptor),
        }
    }

    fn push(&mut self, command: Command) {
        if let Ok(descriptor) = &mut self.descriptor {
            descriptor.commands.push(command);
        }
    }

    fn refuse(&mut self, what: &str) {
        if self.descriptor.is_ok() {
            self.descriptor = Err(Unsupported::new(what));
        }
    }
}

/// A bundle without commands.
fn empty(
    descriptor: &wgpu::RenderBundleEncoderDescriptor<'_>,
) -> Result<RenderBundleDescriptor, Unsupported> {
    if descriptor.multiview.is_some() {
        return Err(Unsupported::new("a render bundle with several views"));
    }
    let colors = descriptor.color_formats.iter().map(|format| {
        let format = format.map(formats::texture);
        format.transpose().map(abi::Slot)
    });
    let depth_stencil = descriptor.depth_stencil;
    Ok(RenderBundleDescriptor {
        label: convert::label(descriptor.label),
        color_formats: colors.collect::<Result<_, _>>()?,
        depth_stencil_format: depth_stencil
            .map(|state| formats::texture(state.format))
            .transpose()?,
        sample_count: descriptor.sample_count,
        depth_read_only: depth_stencil.is_some_and(|state| state.depth_read_only),
        stencil_read_only: depth_stencil.is_some_and(|state| state.stencil_read_only),
        commands: Vec::new(),
    })
}

impl RenderBundleEncoderInterface for RenderBundleEncoder {
    render_commands! {}

    #[track_caller]
    fn finish(mut self, descriptor: &wgpu::RenderBundleDescriptor<'_>) -> DispatchRenderBundle {
        if let (Ok(bundle), Some(label)) = (&mut self.descriptor, descriptor.label) {
            bundle.label = convert::label(Some(label));
        }
        let context = &self.recording.context;
        let bundle = context.create("RenderBundleEncoder::finish", self.descriptor);
        DispatchRenderBundle::custom(RenderBundle(bundle))
    }

    #[track_caller]
    fn finish_boxed(
        self: Box<Self>,
        descriptor: &wgpu::RenderBundleDescriptor<'_>,
    ) -> DispatchRenderBundle {
        (*self).finish(descriptor)
    }
}
