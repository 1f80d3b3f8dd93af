//! The queue.

use std::sync::Arc;

use wgpu::custom::{
    BoxSubmittedWorkDoneCallback, DispatchBlas, DispatchBuffer, DispatchCommandBuffer,
    DispatchQueueWriteBuffer, DispatchSurfaceOutputDetail, QueueInterface,
    QueueWriteBufferInterface,
};
use wgpu::{BufferSize, WriteOnly};
use wherry_gpu_abi as abi;

use super::buffer::Buffer;
use super::context::Context;
use super::convert;
use super::encoder::CommandBuffer;
use super::errors::Unsupported;
use super::host;
use super::progress::Waiting;
use super::unsupported::Absent;

#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) context: Arc<Context>,
}

impl Queue {
    #[track_caller]
    fn write(&self, call: &str, buffer: &DispatchBuffer, offset: u64, data: &[u8]) {
        if !self.context.is_open() {
            return;
        }
        let buffer = buffer.as_custom::<Buffer>();
        let refused = buffer.and_then(|buffer| buffer.refuses_write(offset, data.len() as u64));
        if let Some(message) = refused {
            return self.context.errors.invalid(call, &message);
        }
        let handle = convert::handle(buffer.map(|buffer| buffer.object.handle));
        self.context.check(call, host::write(handle, offset, data));
    }

    #[track_caller]
    fn refuse_submission(&self, message: &str) {
        self.context.errors.invalid("Queue::submit", message);
    }
}

impl QueueInterface for Queue {
    fn write_buffer(&self, buffer: &DispatchBuffer, offset: u64, data: &[u8]) {
        self.write("Queue::write_buffer", buffer, offset, data);
    }

    fn create_staging_buffer(&self, size: BufferSize) -> Option<DispatchQueueWriteBuffer> {
        let size = usize::try_from(size.get()).ok()?;
        Some(DispatchQueueWriteBuffer::custom(StagingBuffer(vec![
            0;
            size
        ])))
    }

    fn validate_write_buffer(
        &self,
        buffer: &DispatchBuffer,
        offset: u64,
        size: BufferSize,
    ) -> Option<()> {
        match buffer
            .as_custom::<Buffer>()?
            .refuses_write(offset, size.get())
        {
            None => Some(()),
            Some(message) => {
                self.context
                    .errors
                    .invalid("Queue::write_buffer_with", &message);
                None
            }
        }
    }

    fn write_staging_buffer(
        &self,
        buffer: &DispatchBuffer,
        offset: u64,
        staging: &DispatchQueueWriteBuffer,
    ) {
        if let Some(StagingBuffer(data)) = staging.as_custom() {
            self.write("Queue::write_buffer_with", buffer, offset, data);
        }
    }

    fn write_texture(
        &self,
        texture: wgpu::TexelCopyTextureInfo<'_>,
        data: &[u8],
        layout: wgpu::TexelCopyBufferLayout,
        size: wgpu::Extent3d,
    ) {
        const CALL: &str = "Queue::write_texture";
        if !self.context.is_open() {
            return;
        }
        match convert::texture_texels(texture) {
            Err(Unsupported(message)) => self.context.errors.invalid(CALL, &message),
            Ok(destination) => {
                let write = abi::TextureWrite {
                    destination,
                    layout: convert::texel_layout(layout),
                    size: convert::extent(size),
                };
                self.context.check(CALL, host::write_texture(&write, data));
            }
        }
    }

    fn submit(&self, buffers: &mut dyn Iterator<Item = DispatchCommandBuffer>) -> u64 {
        // What they use is kept until the host has them.
        let buffers: Vec<_> = buffers.collect();
        let streams: Option<Vec<_>> = buffers
            .iter()
            .map(|buffer| buffer.as_custom::<CommandBuffer>()?.take())
            .collect();
        let Some(streams) = streams else {
            self.refuse_submission("a command buffer is invalid");
            return self.context.submitted();
        };
        let stream = streams.concat();
        if stream.len() > abi::MAX_STREAM {
            // The host ends a job that sends more.
            let (length, longest) = (stream.len(), abi::MAX_STREAM);
            self.refuse_submission(&format!(
                "{length} bytes of commands are more than {longest}"
            ));
            return self.context.submitted();
        }
        self.context.submit(&stream)
    }

    /// Timestamps are in nanoseconds already.
    fn get_timestamp_period(&self) -> f32 {
        1.0
    }

    fn on_submitted_work_done(&self, callback: BoxSubmittedWorkDoneCallback) {
        self.context.progress.call_back(Waiting::Work(callback));
    }

    fn compact_blas(&self, _: &DispatchBlas) -> (Option<u64>, DispatchBlas) {
        let refusal = Unsupported::new("an acceleration structure");
        self.context
            .errors
            .invalid("Queue::compact_blas", &refusal.0);
        (None, DispatchBlas::custom(Absent))
    }

    /// There is no surface that this could be about.
    fn present(&self, _: &DispatchSurfaceOutputDetail) {}
}

/// What `write_buffer_with` lets the program write to.
#[derive(Debug)]
struct StagingBuffer(Vec<u8>);

#[expect(unsafe_code, reason = "the trait's method is unsafe")]
impl QueueWriteBufferInterface for StagingBuffer {
    fn len(&self) -> usize {
        self.0.len()
    }

    unsafe fn write_slice(&mut self) -> WriteOnly<'_, [u8]> {
        WriteOnly::from_mut(&mut self.0)
    }
}
