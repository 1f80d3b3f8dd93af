//! The commands that render passes and render bundles have in common.

/// Methods of the traits for passes and bundles, which have the same names and arguments in both. They
/// use `self.push(Command)` and `self.refuse(what)`.
macro_rules! render_commands {
    () => {
        fn set_pipeline(&mut self, pipeline: &DispatchRenderPipeline) {
            let pipeline = pipeline.as_custom::<RenderPipeline>();
            self.push(Command::SetRenderPipeline {
                pipeline: handle(pipeline.map(|pipeline| pipeline.0.handle)),
            });
        }

        fn set_bind_group(
            &mut self,
            index: u32,
            group: Option<&DispatchBindGroup>,
            offsets: &[u32],
        ) {
            self.push(bind_group(index, group, offsets));
        }

        fn set_index_buffer(
            &mut self,
            indices: &DispatchBuffer,
            format: wgpu::IndexFormat,
            offset: u64,
            size: Option<wgpu::BufferSize>,
        ) {
            self.push(Command::SetIndexBuffer {
                buffer: buffer(indices),
                format: convert::index_format(format),
                offset,
                size: size.map_or(WHOLE_SIZE, wgpu::BufferSize::get),
            });
        }

        fn set_vertex_buffer(
            &mut self,
            slot: u32,
            vertices: Option<&DispatchBuffer>,
            offset: u64,
            size: Option<wgpu::BufferSize>,
        ) {
            self.push(match vertices {
                None => Command::SetVertexBuffer {
                    slot,
                    buffer: 0,
                    offset: 0,
                    size: 0,
                },
                Some(vertices) => Command::SetVertexBuffer {
                    slot,
                    buffer: buffer(vertices),
                    offset,
                    size: size.map_or(WHOLE_SIZE, wgpu::BufferSize::get),
                },
            });
        }

        fn set_immediates(&mut self, _: u32, _: &[u8]) {
            self.refuse("set_immediates");
        }

        fn draw(&mut self, vertices: Range<u32>, instances: Range<u32>) {
            self.push(Command::Draw {
                vertex_count: vertices.end.saturating_sub(vertices.start),
                instance_count: instances.end.saturating_sub(instances.start),
                first_vertex: vertices.start,
                first_instance: instances.start,
            });
        }

        fn draw_indexed(&mut self, indices: Range<u32>, base_vertex: i32, instances: Range<u32>) {
            self.push(Command::DrawIndexed {
                index_count: indices.end.saturating_sub(indices.start),
                instance_count: instances.end.saturating_sub(instances.start),
                first_index: indices.start,
                base_vertex,
                first_instance: instances.start,
            });
        }

        fn draw_indirect(&mut self, arguments: &DispatchBuffer, offset: u64) {
            self.push(Command::DrawIndirect {
                buffer: buffer(arguments),
                offset,
            });
        }

        fn draw_indexed_indirect(&mut self, arguments: &DispatchBuffer, offset: u64) {
            self.push(Command::DrawIndexedIndirect {
                buffer: buffer(arguments),
                offset,
            });
        }
    };
}
pub(crate) use render_commands;
