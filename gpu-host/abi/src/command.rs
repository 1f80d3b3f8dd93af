//! Command streams: what `submit` runs, and what a render bundle holds.
//!
//! A command begins with a word: its number (16 bits), and its length in words with this one (16
//! bits). A stream is one command after another. What is between [`Command::BeginCommandBuffer`]
//! and the next one is a command buffer.

use alloc::string::String;
use alloc::vec::Vec;

use crate::wire::{DecodeError, Reader, Wire, Writer, record};
use crate::{
    Extent3d, Handle, IndexFormat, LoadOp, MAX_STREAM, Origin3d, Slot, StoreOp, TextureAspect,
    TextureFormat,
};

macro_rules! commands {
    ($($(#[$doc:meta])* $number:literal $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {
        /// One command.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Command {
            $($(#[$doc])* $name { $($(#[$field_doc])* $field: $type,)* },)*
        }

        impl Command {
            /// The numbers of all commands, with their names.
            pub const NAMES: &[(u16, &str)] = &[$(($number, stringify!($name)),)*];

            fn opcode(&self) -> u16 {
                match self {
                    $(Self::$name { .. } => $number,)*
                }
            }

            #[inline]
            fn encode_fields(&self, to: &mut Writer) {
                match self {
                    $(Self::$name { $($field,)* } => { $($field.encode(to);)* let _ = to; })*
                }
            }

            #[inline]
            fn decode_fields(opcode: u16, from: &mut Reader<'_>) -> Result<Self, DecodeError> {
                match opcode {
                    $($number => Ok(Self::$name { $($field: <$type>::decode(from)?,)* }),)*
                    other => Err(DecodeError::Opcode(other)),
                }
            }
        }
    };
}

commands! {
    /// Begins a command buffer, and ends the one before it.
    1 BeginCommandBuffer {
        /// For messages.
        label: String,
    }

    /// `GPUDebugCommandsMixin.pushDebugGroup`
    2 PushDebugGroup {
        /// For messages.
        label: String,
    }

    /// `GPUDebugCommandsMixin.popDebugGroup`
    3 PopDebugGroup {}

    /// `GPUDebugCommandsMixin.insertDebugMarker`
    4 InsertDebugMarker {
        /// For messages.
        label: String,
    }

    /// `GPUCommandEncoder.copyBufferToBuffer`
    10 CopyBufferToBuffer {
        /// From.
        source: Handle,
        /// In bytes.
        source_offset: u64,
        /// To.
        destination: Handle,
        /// In bytes.
        destination_offset: u64,
        /// In bytes, or [`WHOLE_SIZE`](crate::WHOLE_SIZE): to the source's end.
        size: u64,
    }

    /// `GPUCommandEncoder.copyBufferToTexture`
    11 CopyBufferToTexture {
        /// From.
        source: BufferTexels,
        /// To.
        destination: TextureTexels,
        /// How much.
        size: Extent3d,
    }

    /// `GPUCommandEncoder.copyTextureToBuffer`
    12 CopyTextureToBuffer {
        /// From.
        source: TextureTexels,
        /// To.
        destination: BufferTexels,
        /// How much.
        size: Extent3d,
    }

    /// `GPUCommandEncoder.copyTextureToTexture`
    13 CopyTextureToTexture {
        /// From.
        source: TextureTexels,
        /// To.
        destination: TextureTexels,
        /// How much.
        size: Extent3d,
    }

    /// `GPUCommandEncoder.clearBuffer`
    14 ClearBuffer {
        /// Which buffer.
        buffer: Handle,
        /// In bytes.
        offset: u64,
        /// In bytes, or [`WHOLE_SIZE`](crate::WHOLE_SIZE).
        size: u64,
    }

    /// `GPUCommandEncoder.resolveQuerySet`
    15 ResolveQuerySet {
        /// Which queries.
        query_set: Handle,
        /// The first.
        first_query: u32,
        /// How many.
        query_count: u32,
        /// Where the results go: eight bytes for each.
        destination: Handle,
        /// In bytes.
        destination_offset: u64,
    }

    /// `GPUCommandEncoder.beginComputePass`
    20 BeginComputePass {
        /// For messages.
        label: String,
        /// Queries that take the time.
        timestamp_writes: Option<PassTimestampWrites>,
    }

    /// `GPUComputePassEncoder.end`
    21 EndComputePass {}

    /// `GPUComputePassEncoder.setPipeline`
    22 SetComputePipeline {
        /// Which pipeline.
        pipeline: Handle,
    }

    /// `GPUComputePassEncoder.dispatchWorkgroups`
    23 DispatchWorkgroups {
        /// Along x.
        x: u32,
        /// Along y.
        y: u32,
        /// Along z.
        z: u32,
    }

    /// `GPUComputePassEncoder.dispatchWorkgroupsIndirect`
    24 DispatchWorkgroupsIndirect {
        /// Holds the numbers.
        buffer: Handle,
        /// In bytes.
        offset: u64,
    }

    /// `GPUBindingCommandsMixin.setBindGroup`: in compute passes, render passes and bundles.
    30 SetBindGroup {
        /// The number of the group.
        index: u32,
        /// The bind group; 0 for none.
        group: Handle,
        /// The dynamic offsets, in bytes.
        offsets: Vec<u32>,
    }

    /// `GPUCommandEncoder.beginRenderPass`
    40 BeginRenderPass {
        /// For messages.
        label: String,
        /// What is drawn to, or that there is nothing in this place.
        color_attachments: Vec<Slot<ColorAttachment>>,
        /// Depth and stencil.
        depth_stencil_attachment: Option<DepthStencilAttachment>,
        /// Takes the results of occlusion queries; 0 for none.
        occlusion_query_set: Handle,
        /// Queries that take the time.
        timestamp_writes: Option<PassTimestampWrites>,
    }

    /// `GPURenderPassEncoder.end`
    41 EndRenderPass {}

    /// `GPURenderPassEncoder.setViewport`
    42 SetViewport {
        /// In pixels.
        x: f32,
        /// In pixels.
        y: f32,
        /// In pixels.
        width: f32,
        /// In pixels.
        height: f32,
        /// From 0 to 1.
        min_depth: f32,
        /// From 0 to 1.
        max_depth: f32,
    }

    /// `GPURenderPassEncoder.setScissorRect`
    43 SetScissorRect {
        /// In pixels.
        x: u32,
        /// In pixels.
        y: u32,
        /// In pixels.
        width: u32,
        /// In pixels.
        height: u32,
    }

    /// `GPURenderPassEncoder.setBlendConstant`
    44 SetBlendConstant {
        /// The colour.
        color: Color,
    }

    /// `GPURenderPassEncoder.setStencilReference`
    45 SetStencilReference {
        /// What is compared with.
        reference: u32,
    }

    /// `GPURenderPassEncoder.beginOcclusionQuery`
    46 BeginOcclusionQuery {
        /// Which query.
        index: u32,
    }

    /// `GPURenderPassEncoder.endOcclusionQuery`
    47 EndOcclusionQuery {}

    /// `GPURenderPassEncoder.executeBundles`
    48 ExecuteBundles {
        /// Which bundles.
        bundles: Vec<Handle>,
    }

    /// `GPURenderCommandsMixin.setPipeline`: from here on, in render passes and bundles.
    50 SetRenderPipeline {
        /// Which pipeline.
        pipeline: Handle,
    }

    /// `GPURenderCommandsMixin.setVertexBuffer`
    51 SetVertexBuffer {
        /// For which slot.
        slot: u32,
        /// Which buffer; 0 for none, and then the offset and the size are 0.
        buffer: Handle,
        /// In bytes.
        offset: u64,
        /// In bytes, or [`WHOLE_SIZE`](crate::WHOLE_SIZE).
        size: u64,
    }

    /// `GPURenderCommandsMixin.setIndexBuffer`
    52 SetIndexBuffer {
        /// Which buffer.
        buffer: Handle,
        /// Of the indices.
        format: IndexFormat,
        /// In bytes.
        offset: u64,
        /// In bytes, or [`WHOLE_SIZE`](crate::WHOLE_SIZE).
        size: u64,
    }

    /// `GPURenderCommandsMixin.draw`
    53 Draw {
        /// How many vertices.
        vertex_count: u32,
        /// How many instances.
        instance_count: u32,
        /// The first vertex.
        first_vertex: u32,
        /// The first instance.
        first_instance: u32,
    }

    /// `GPURenderCommandsMixin.drawIndexed`
    54 DrawIndexed {
        /// How many indices.
        index_count: u32,
        /// How many instances.
        instance_count: u32,
        /// The first index.
        first_index: u32,
        /// Added to each index.
        base_vertex: i32,
        /// The first instance.
        first_instance: u32,
    }

    /// `GPURenderCommandsMixin.drawIndirect`
    55 DrawIndirect {
        /// Holds the numbers.
        buffer: Handle,
        /// In bytes.
        offset: u64,
    }

    /// `GPURenderCommandsMixin.drawIndexedIndirect`
    56 DrawIndexedIndirect {
        /// Holds the numbers.
        buffer: Handle,
        /// In bytes.
        offset: u64,
    }
}

record! {
    /// Texels in a buffer.
    BufferTexels {
        /// Which buffer.
        buffer: Handle,
        /// How they lie in it.
        layout: TexelLayout,
    }
}

record! {
    /// How texels lie in memory.
    TexelLayout {
        /// Where they begin, in bytes.
        offset: u64,
        /// From one row of blocks to the next, or [`UNDEFINED`](crate::UNDEFINED) if there is one.
        bytes_per_row: u32,
        /// From one image to the next, or [`UNDEFINED`](crate::UNDEFINED) if there is one.
        rows_per_image: u32,
    }
}

record! {
    /// Texels of a texture.
    TextureTexels {
        /// Which texture.
        texture: Handle,
        /// Which level.
        mip_level: u32,
        /// Where they begin.
        origin: Origin3d,
        /// Which aspect.
        aspect: TextureAspect,
    }
}

record! {
    /// What `write_texture` writes.
    TextureWrite {
        /// Where to.
        destination: TextureTexels,
        /// How the texels lie in the guest's memory.
        layout: TexelLayout,
        /// How many.
        size: Extent3d,
    }
}

record! {
    /// Queries that take the time when a pass begins and ends.
    PassTimestampWrites {
        /// Which queries.
        query_set: Handle,
        /// That which takes the time of the beginning, or [`UNDEFINED`](crate::UNDEFINED).
        beginning_of_pass: u32,
        /// That which takes the time of the end, or [`UNDEFINED`](crate::UNDEFINED).
        end_of_pass: u32,
    }
}

record! {
    /// A colour.
    #[derive(Copy)]
    Color {
        /// Red.
        r: f64,
        /// Green.
        g: f64,
        /// Blue.
        b: f64,
        /// Alpha.
        a: f64,
    }
}

record! {
    /// What is drawn to.
    ColorAttachment {
        /// A texture view.
        view: Handle,
        /// Which slice of a 3D texture, or [`UNDEFINED`](crate::UNDEFINED).
        depth_slice: u32,
        /// A texture view that takes the mean of the samples; 0 for none.
        resolve_target: Handle,
        /// What is there at the beginning.
        load_op: LoadOp,
        /// What is left at the end.
        store_op: StoreOp,
        /// What it is cleared to.
        clear_value: Color,
    }
}

record! {
    /// Depth and stencil. An operation is absent when the format lacks the aspect, or it is only
    /// read.
    DepthStencilAttachment {
        /// A texture view.
        view: Handle,
        /// What depth is at the beginning.
        depth_load_op: Option<LoadOp>,
        /// What is left of depth at the end.
        depth_store_op: Option<StoreOp>,
        /// What depth is cleared to.
        depth_clear_value: f32,
        /// Depth is only read.
        depth_read_only: bool,
        /// What the stencil is at the beginning.
        stencil_load_op: Option<LoadOp>,
        /// What is left of the stencil at the end.
        stencil_store_op: Option<StoreOp>,
        /// What the stencil is cleared to.
        stencil_clear_value: u32,
        /// The stencil is only read.
        stencil_read_only: bool,
    }
}

record! {
    /// A render bundle. Its commands are those from 50 on, `SetBindGroup`, and those of debugging.
    RenderBundleDescriptor {
        /// For messages.
        label: String,
        /// Of the colour attachments, or that there is none in this place.
        color_formats: Vec<Slot<TextureFormat>>,
        /// Of the attachment for depth and stencil.
        depth_stencil_format: Option<TextureFormat>,
        /// Samples of each pixel.
        sample_count: u32,
        /// It does not write depth.
        depth_read_only: bool,
        /// It does not write the stencil.
        stencil_read_only: bool,
        /// What it does.
        commands: Vec<Command>,
    }
}

impl Wire for Command {
    #[inline]
    fn encode(&self, to: &mut Writer) {
        let at = to.len();
        to.word(0);
        self.encode_fields(to);
        // A command of more than 65,535 words is truncated in its length, and refused by the host.
        let words = u32::try_from((to.len() - at) / 4).unwrap_or(0) & 0xffff;
        to.patch(at, u32::from(self.opcode()) | words << 16);
    }

    #[inline]
    fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let [opcode_low, opcode_high, words_low, words_high] = from.word()?.to_le_bytes();
        let words = usize::from(u16::from_le_bytes([words_low, words_high]));
        let length = words.checked_sub(1).ok_or(DecodeError::Short)? * 4;
        let mut fields = Reader::new(from.bytes(length)?);
        let opcode = u16::from_le_bytes([opcode_low, opcode_high]);
        let command = Self::decode_fields(opcode, &mut fields)?;
        fields.end()?;
        Ok(command)
    }
}

/// The commands of a stream, in order. After an error there are no more.
#[derive(Clone, Debug)]
pub struct Commands<'a> {
    from: Reader<'a>,
}

impl<'a> Commands<'a> {
    /// Of this stream.
    ///
    /// # Errors
    ///
    /// It is too long.
    pub fn new(stream: &'a [u8]) -> Result<Self, DecodeError> {
        if stream.len() > MAX_STREAM {
            return Err(DecodeError::Size);
        }
        Ok(Self {
            from: Reader::new(stream),
        })
    }
}

impl Iterator for Commands<'_> {
    type Item = Result<Command, DecodeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.from.rest().is_empty() {
            return None;
        }
        let command = Command::decode(&mut self.from);
        if command.is_err() {
            self.from = Reader::new(&[]);
        }
        Some(command)
    }
}
