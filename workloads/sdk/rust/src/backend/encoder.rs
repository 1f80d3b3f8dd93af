//! Command encoders and what they give: commands as the host takes them, in the guest's memory.

use std::fmt;
use std::mem::take;
use std::sync::{Arc, Mutex};

use wgpu::custom::{
    CommandBufferInterface, CommandEncoderInterface, DispatchBuffer, DispatchCommandBuffer,
    DispatchComputePass, DispatchQuerySet, DispatchRenderPass, DispatchTexture,
};
use wgpu::wgt;
use wherry_gpu_abi as abi;

use abi::{Command, Handle, Wire, Writer};

use super::buffer::Buffer;
use super::compute_pass::ComputePass;
use super::context::{Context, Recording};
use super::convert;
use super::errors::Unsupported;
use super::host;
use super::lock;
use super::objects::QuerySet;
use super::render_pass::RenderPass;

/// Commands that are being recorded. What is wrong with them is kept for `finish`.
#[derive(Default)]
pub(crate) struct Commands {
    stream: Writer,
    error: Option<String>,
}

impl Commands {
    #[inline]
    pub(crate) fn push(&mut self, command: &Command) {
        /// The host ends a job that sends a longer one.
        const LONGEST: usize = 4 * 0xffff;
        let start = self.stream.len();
        command.encode(&mut self.stream);
        if self.stream.len() - start > LONGEST {
            self.fail("a command is longer than 262,140 bytes");
        }
    }

    pub(crate) fn fail(&mut self, message: impl fmt::Display) {
        self.error.get_or_insert_with(|| message.to_string());
    }

    pub(crate) fn refuse(&mut self, what: impl fmt::Display) {
        self.fail(Unsupported::new(what).0);
    }

    fn try_push(&mut self, command: Result<Command, Unsupported>) {
        match command {
            Ok(command) => self.push(&command),
            Err(Unsupported(message)) => self.fail(message),
        }
    }
}

impl fmt::Debug for Commands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Commands")
            .field("bytes", &self.stream.len())
            .field("error", &self.error)
            .finish()
    }
}

/// An encoder's commands. A pass takes them out, so that recording in it locks nothing, and puts them
/// back when it ends.
#[derive(Debug)]
pub(crate) struct Encoding(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Not there while a pass is open, and after `finish`.
    commands: Option<Commands>,
    /// What is wrong with the encoder while it has no commands.
    error: Option<String>,
}

impl Encoding {
    pub(crate) fn give_back(&self, commands: Commands) {
        lock(&self.0).commands = Some(commands);
    }
}

#[derive(Debug)]
pub(crate) struct CommandEncoder {
    context: Arc<Context>,
    recording: Option<Recording>,
    encoding: Arc<Encoding>,
}

impl CommandEncoder {
    pub(crate) fn new(context: &Arc<Context>, label: wgpu::Label<'_>) -> Self {
        let mut commands = Commands::default();
        commands.push(&Command::BeginCommandBuffer {
            label: convert::label(label),
        });
        CommandEncoder {
            context: context.clone(),
            recording: Some(Recording::new(context)),
            encoding: Arc::new(Encoding(Mutex::new(State {
                commands: Some(commands),
                error: None,
            }))),
        }
    }

    fn edit(&self, edit: impl FnOnce(&mut Commands)) {
        let mut state = lock(&self.encoding.0);
        match &mut state.commands {
            Some(commands) => edit(commands),
            None => {
                let message = "the encoder is used while a pass of it is open";
                state.error.get_or_insert_with(|| message.to_owned());
            }
        }
    }

    fn push(&self, command: Command) {
        self.edit(|commands| commands.push(&command));
    }

    fn try_push(&self, command: Result<Command, Unsupported>) {
        self.edit(|commands| commands.try_push(command));
    }

    fn refuse(&self, what: &str) {
        self.edit(|commands| commands.refuse(what));
    }

    /// Begins a pass: takes the commands, and the place where they go back to. If another pass has
    /// them, what is recorded in this one goes nowhere.
    fn begin(&self, begin: Command) -> (Commands, Option<Arc<Encoding>>) {
        let mut taken = None;
        self.edit(|commands| taken = Some(take(commands)));
        let home = taken.is_some().then(|| self.encoding.clone());
        lock(&self.encoding.0).commands = None;
        let mut commands = taken.unwrap_or_default();
        commands.push(&begin);
        (commands, home)
    }

    /// The stream, if the commands are well-formed and, where that can be known by now, valid.
    #[track_caller]
    fn stream(&self) -> Option<Vec<u8>> {
        const CALL: &str = "CommandEncoder::finish";
        let errors = &self.context.errors;
        let State { commands, error } = &mut *lock(&self.encoding.0);
        let Some(Commands {
            stream,
            error: command_error,
        }) = commands.take()
        else {
            errors.invalid(CALL, "a pass of the encoder is open");
            return None;
        };
        if let Some(message) = error.take().or(command_error) {
            errors.invalid(CALL, &message);
            return None;
        }
        let stream = stream.into_bytes();
        if stream.len() > abi::MAX_STREAM {
            let (length, longest) = (stream.len(), abi::MAX_STREAM);
            errors.invalid(
                CALL,
                &format!("{length} bytes of commands are more than {longest}"),
            );
            return None;
        }
        if errors.are_watched() && self.context.is_open() {
            // The program wants to know whether it is valid before it submits it.
            if let Err(failed) = host::submit(&stream, abi::SubmitMode::Check) {
                self.context.report(CALL, failed);
                return None;
            }
        }
        Some(stream)
    }
}

impl CommandEncoderInterface for CommandEncoder {
    fn copy_buffer_to_buffer(
        &self,
        source: &DispatchBuffer,
        source_offset: u64,
        destination: &DispatchBuffer,
        destination_offset: u64,
        size: Option<u64>,
    ) {
        self.push(Command::CopyBufferToBuffer {
            source: buffer(source),
            source_offset,
            destination: buffer(destination),
            destination_offset,
            size: size.unwrap_or(abi::WHOLE_SIZE),
        });
    }

    fn copy_buffer_to_texture(
        &self,
        source: wgpu::TexelCopyBufferInfo<'_>,
        destination: wgpu::TexelCopyTextureInfo<'_>,
        size: wgpu::Extent3d,
    ) {
        self.try_push(convert::texture_texels(destination).map(|destination| {
            Command::CopyBufferToTexture {
                source: convert::buffer_texels(source),
                destination,
                size: convert::extent(size),
            }
        }));
    }

    fn copy_texture_to_buffer(
        &self,
        source: wgpu::TexelCopyTextureInfo<'_>,
        destination: wgpu::TexelCopyBufferInfo<'_>,
        size: wgpu::Extent3d,
    ) {
        self.try_push(
            convert::texture_texels(source).map(|source| Command::CopyTextureToBuffer {
                source,
                destination: convert::buffer_texels(destination),
                size: convert::extent(size),
            }),
        );
    }

    fn copy_texture_to_texture(
        &self,
        source: wgpu::TexelCopyTextureInfo<'_>,
        destination: wgpu::TexelCopyTextureInfo<'_>,
        size: wgpu::Extent3d,
    ) {
        let ends = convert::texture_texels(source)
            .and_then(|source| Ok((source, convert::texture_texels(destination)?)));
        self.try_push(
            ends.map(|(source, destination)| Command::CopyTextureToTexture {
                source,
                destination,
                size: convert::extent(size),
            }),
        );
    }

    fn begin_compute_pass(
        &self,
        descriptor: &wgpu::ComputePassDescriptor<'_>,
    ) -> DispatchComputePass {
        let writes = descriptor.timestamp_writes.as_ref();
        let (commands, home) = self.begin(Command::BeginComputePass {
            label: convert::label(descriptor.label),
            timestamp_writes: writes.map(|writes| {
                timestamp_writes(
                    writes.query_set,
                    writes.beginning_of_pass_write_index,
                    writes.end_of_pass_write_index,
                )
            }),
        });
        DispatchComputePass::custom(ComputePass { commands, home })
    }

    fn begin_render_pass(&self, descriptor: &wgpu::RenderPassDescriptor<'_>) -> DispatchRenderPass {
        let (mut commands, home) = self.begin(RenderPass::begin(descriptor));
        if descriptor.multiview_mask.is_some() {
            commands.refuse("a render pass with several views");
        }
        DispatchRenderPass::custom(RenderPass { commands, home })
    }

    #[track_caller]
    fn finish(&mut self) -> DispatchCommandBuffer {
        DispatchCommandBuffer::custom(CommandBuffer {
            stream: Mutex::new(self.stream()),
            _recording: self.recording.take(),
        })
    }

    fn clear_texture(&self, _: &DispatchTexture, _: &wgpu::ImageSubresourceRange) {
        self.refuse("clear_texture");
    }

    fn clear_buffer(&self, target: &DispatchBuffer, offset: u64, size: Option<u64>) {
        self.push(Command::ClearBuffer {
            buffer: buffer(target),
            offset,
            size: size.unwrap_or(abi::WHOLE_SIZE),
        });
    }

    fn insert_debug_marker(&self, label: &str) {
        self.push(Command::InsertDebugMarker {
            label: convert::label(Some(label)),
        });
    }

    fn push_debug_group(&self, label: &str) {
        self.push(Command::PushDebugGroup {
            label: convert::label(Some(label)),
        });
    }

    fn pop_debug_group(&self) {
        self.push(Command::PopDebugGroup {});
    }

    fn write_timestamp(&self, _: &DispatchQuerySet, _: u32) {
        self.refuse("write_timestamp outside of a pass's beginning and end");
    }

    fn resolve_query_set(
        &self,
        queries: &DispatchQuerySet,
        first_query: u32,
        query_count: u32,
        destination: &DispatchBuffer,
        destination_offset: u64,
    ) {
        let queries = queries.as_custom::<QuerySet>();
        self.push(Command::ResolveQuerySet {
            query_set: convert::handle(queries.map(|queries| queries.0.handle)),
            first_query,
            query_count,
            destination: buffer(destination),
            destination_offset,
        });
    }

    fn mark_acceleration_structures_built<'a>(
        &self,
        _: &mut dyn Iterator<Item = &'a wgpu::Blas>,
        _: &mut dyn Iterator<Item = &'a wgpu::Tlas>,
    ) {
        self.refuse("an acceleration structure");
    }

    fn build_acceleration_structures<'a>(
        &self,
        _: &mut dyn Iterator<Item = &'a wgpu::BlasBuildEntry<'a>>,
        _: &mut dyn Iterator<Item = &'a wgpu::Tlas>,
    ) {
        self.refuse("an acceleration structure");
    }

    /// A hint for those who use the driver beside wgpu; the node's wgpu does what is needed.
    fn transition_resources<'a>(
        &mut self,
        _: &mut dyn Iterator<Item = wgt::BufferTransition<&'a DispatchBuffer>>,
        _: &mut dyn Iterator<Item = wgt::TextureTransition<&'a DispatchTexture>>,
    ) {
    }
}

pub(crate) fn buffer(buffer: &DispatchBuffer) -> Handle {
    let buffer = buffer.as_custom::<Buffer>();
    convert::handle(buffer.map(|buffer| buffer.object.handle))
}

pub(crate) fn timestamp_writes(
    queries: &wgpu::QuerySet,
    beginning: Option<u32>,
    end: Option<u32>,
) -> abi::PassTimestampWrites {
    abi::PassTimestampWrites {
        query_set: query_set(queries),
        beginning_of_pass: beginning.unwrap_or(abi::UNDEFINED),
        end_of_pass: end.unwrap_or(abi::UNDEFINED),
    }
}

pub(crate) fn query_set(queries: &wgpu::QuerySet) -> Handle {
    let queries = queries.as_custom::<QuerySet>();
    convert::handle(queries.map(|queries| queries.0.handle))
}

/// What an encoder gives, until it is submitted.
#[derive(Debug)]
pub(crate) struct CommandBuffer {
    /// Not there if it is invalid.
    stream: Mutex<Option<Vec<u8>>>,
    _recording: Option<Recording>,
}

impl CommandBuffer {
    pub(crate) fn take(&self) -> Option<Vec<u8>> {
        lock(&self.stream).take()
    }
}

impl CommandBufferInterface for CommandBuffer {}
