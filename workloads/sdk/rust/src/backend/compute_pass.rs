//! Compute passes.

use std::sync::Arc;

use wgpu::custom::{
    ComputePassInterface, DispatchBindGroup, DispatchBuffer, DispatchComputePipeline,
    DispatchQuerySet, DispatchTextureView,
};
use wgpu::wgt;
use wherry_gpu_abi::Command;

use super::convert::{self, handle};
use super::encoder::{Commands, Encoding, buffer};
use super::objects::{BindGroup, ComputePipeline};

#[derive(Debug)]
pub(crate) struct ComputePass {
    pub(crate) commands: Commands,
    pub(crate) home: Option<Arc<Encoding>>,
}

impl ComputePassInterface for ComputePass {
    fn set_pipeline(&mut self, pipeline: &DispatchComputePipeline) {
        let pipeline = pipeline.as_custom::<ComputePipeline>();
        self.commands.push(&Command::SetComputePipeline {
            pipeline: handle(pipeline.map(|pipeline| pipeline.0.handle)),
        });
    }

    fn set_bind_group(&mut self, index: u32, group: Option<&DispatchBindGroup>, offsets: &[u32]) {
        self.commands.push(&bind_group(index, group, offsets));
    }

    fn set_immediates(&mut self, _: u32, _: &[u8]) {
        self.commands.refuse("set_immediates");
    }

    fn insert_debug_marker(&mut self, label: &str) {
        self.commands.push(&Command::InsertDebugMarker {
            label: convert::label(Some(label)),
        });
    }

    fn push_debug_group(&mut self, label: &str) {
        self.commands.push(&Command::PushDebugGroup {
            label: convert::label(Some(label)),
        });
    }

    fn pop_debug_group(&mut self) {
        self.commands.push(&Command::PopDebugGroup {});
    }

    fn write_timestamp(&mut self, _: &DispatchQuerySet, _: u32) {
        self.commands.refuse("write_timestamp inside of a pass");
    }

    fn begin_pipeline_statistics_query(&mut self, _: &DispatchQuerySet, _: u32) {
        self.commands.refuse("a query of pipeline statistics");
    }

    fn end_pipeline_statistics_query(&mut self) {
        self.commands.refuse("a query of pipeline statistics");
    }

    fn dispatch_workgroups(&mut self, x: u32, y: u32, z: u32) {
        self.commands.push(&Command::DispatchWorkgroups { x, y, z });
    }

    fn dispatch_workgroups_indirect(&mut self, arguments: &DispatchBuffer, offset: u64) {
        self.commands.push(&Command::DispatchWorkgroupsIndirect {
            buffer: buffer(arguments),
            offset,
        });
    }

    /// See the encoder's.
    fn transition_resources<'a>(
        &mut self,
        _: &mut dyn Iterator<Item = wgt::BufferTransition<&'a DispatchBuffer>>,
        _: &mut dyn Iterator<Item = wgt::TextureTransition<&'a DispatchTextureView>>,
    ) {
    }
}

impl Drop for ComputePass {
    fn drop(&mut self) {
        self.commands.push(&Command::EndComputePass {});
        if let Some(home) = &self.home {
            home.give_back(std::mem::take(&mut self.commands));
        }
    }
}

pub(crate) fn bind_group(
    index: u32,
    group: Option<&DispatchBindGroup>,
    offsets: &[u32],
) -> Command {
    let group = group.and_then(|group| group.as_custom::<BindGroup>());
    Command::SetBindGroup {
        index,
        group: handle(group.map(|group| group.0.handle)),
        offsets: offsets.to_vec(),
    }
}
