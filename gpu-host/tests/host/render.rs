//! Rendering without a surface, and moving what was rendered.

use wherry_gpu_abi::*;

use crate::guest::{Guest, LAVAPIPE, SWIFTSHADER, driver};

const SHADER: &str = "
@vertex fn vs(@builtin(vertex_index) i: u32) -> @builtin(position) vec4<f32> {
    let x = f32(i32(i & 1u) * 4 - 1);
    let y = f32(i32(i >> 1u) * 4 - 1);
    return vec4<f32>(x, y, 0.5, 1.0);
}
@fragment fn fs(@builtin(position) p: vec4<f32>) -> @location(0) vec4<f32> {
    return vec4<f32>(floor(p.x) / 255.0, floor(p.y) / 255.0, 1.0, 1.0);
}";

const SIZE: u32 = 100;

fn target(format: TextureFormat, sample_count: u32) -> TextureDescriptor {
    TextureDescriptor {
        label: "target".into(),
        size: Extent3d {
            width: SIZE,
            height: SIZE,
            depth_or_array_layers: 1,
        },
        mip_level_count: 1,
        sample_count,
        dimension: TextureDimension::D2,
        format,
        usage: TextureUsage::RENDER_ATTACHMENT | TextureUsage::COPY_SRC,
        view_formats: Vec::new(),
    }
}

fn view(guest: &mut Guest, texture: Handle) -> Handle {
    guest.create(TextureViewDescriptor {
        label: String::new(),
        texture,
        format: None,
        dimension: None,
        usage: TextureUsage::NONE,
        aspect: TextureAspect::All,
        base_mip_level: 0,
        mip_level_count: UNDEFINED,
        base_array_layer: 0,
        array_layer_count: UNDEFINED,
    })
}

fn pipeline(guest: &mut Guest, samples: u32, depth: bool) -> Handle {
    let module = guest.shader(SHADER);
    let stage = |entry_point: &str| ProgrammableStage {
        module,
        entry_point: entry_point.into(),
        constants: Vec::new(),
    };
    let keep = StencilFace {
        compare: CompareFunction::Always,
        fail_op: StencilOperation::Keep,
        depth_fail_op: StencilOperation::Keep,
        pass_op: StencilOperation::Keep,
    };
    guest.create(RenderPipelineDescriptor {
        label: String::new(),
        layout: 0,
        vertex: VertexState {
            stage: stage("vs"),
            buffers: Vec::new(),
        },
        primitive: PrimitiveState {
            topology: PrimitiveTopology::TriangleList,
            strip_index_format: None,
            front_face: FrontFace::Ccw,
            cull_mode: CullMode::None,
            unclipped_depth: false,
        },
        depth_stencil: depth.then(|| DepthStencilState {
            format: TextureFormat::Depth24Plus,
            depth_write_enabled: true,
            depth_compare: Some(CompareFunction::Less),
            stencil_front: keep.clone(),
            stencil_back: keep.clone(),
            stencil_read_mask: 0,
            stencil_write_mask: 0,
            depth_bias: 0,
            depth_bias_slope_scale: 0.0,
            depth_bias_clamp: 0.0,
        }),
        multisample: MultisampleState {
            count: samples,
            mask: u32::MAX,
            alpha_to_coverage_enabled: false,
        },
        fragment: Some(FragmentState {
            stage: stage("fs"),
            targets: vec![Slot(Some(ColorTargetState {
                format: TextureFormat::Rgba8Unorm,
                blend: None,
                write_mask: ColorWrites::ALL,
            }))],
        }),
    })
}

fn color(view: Handle, resolve_target: Handle, store_op: StoreOp) -> Slot<ColorAttachment> {
    Slot(Some(ColorAttachment {
        view,
        depth_slice: UNDEFINED,
        resolve_target,
        load_op: LoadOp::Clear,
        store_op,
        clear_value: Color {
            r: 0.0,
            g: 0.0,
            b: 0.0,
            a: 0.0,
        },
    }))
}

fn begin(
    color: Slot<ColorAttachment>,
    depth: Option<(Handle, StoreOp)>,
    occlusion_query_set: Handle,
) -> Command {
    Command::BeginRenderPass {
        label: String::new(),
        color_attachments: vec![color],
        depth_stencil_attachment: depth.map(|(view, store)| DepthStencilAttachment {
            view,
            depth_load_op: Some(LoadOp::Clear),
            depth_store_op: Some(store),
            depth_clear_value: 1.0,
            depth_read_only: false,
            stencil_load_op: None,
            stencil_store_op: None,
            stencil_clear_value: 0,
            stencil_read_only: false,
        }),
        occlusion_query_set,
        timestamp_writes: None,
    }
}

const DRAW: Command = Command::Draw {
    vertex_count: 3,
    instance_count: 1,
    first_vertex: 0,
    first_instance: 0,
};

fn picture(guest: &mut Guest, texture: Handle) -> Vec<u8> {
    let stride = 512;
    let size = u64::from(stride * SIZE);
    let taken = guest.buffer(size, BufferUsage::COPY_DST | BufferUsage::COPY_SRC);
    let Extent3d { .. } = target(TextureFormat::Rgba8Unorm, 1).size;
    guest.submit(&[Command::CopyTextureToBuffer {
        source: TextureTexels {
            texture,
            mip_level: 0,
            origin: Origin3d { x: 0, y: 0, z: 0 },
            aspect: TextureAspect::All,
        },
        destination: BufferTexels {
            buffer: taken,
            layout: TexelLayout {
                offset: 0,
                bytes_per_row: stride,
                rows_per_image: UNDEFINED,
            },
        },
        size: target(TextureFormat::Rgba8Unorm, 1).size,
    }]);
    let content = guest.read(taken, size);
    let rows = content.chunks(stride as usize);
    rows.flat_map(|row| &row[..SIZE as usize * 4])
        .copied()
        .collect()
}

fn expected() -> Vec<u8> {
    let texels = (0..SIZE).flat_map(|y| (0..SIZE).map(move |x| (x, y)));
    let bytes = |(x, y)| [u8::try_from(x).unwrap(), u8::try_from(y).unwrap(), 255, 255];
    texels.flat_map(bytes).collect()
}

fn on_pairs(test: impl Fn(Guest, wherry_gpu_host::AdapterChoice)) {
    let (Some(a), Some(b)) = (driver(LAVAPIPE), driver(SWIFTSHADER)) else {
        return;
    };
    test(Guest::new(a.clone()), b.clone());
    test(Guest::new(b), a);
}

#[test]
fn a_picture_moves() {
    on_pairs(|mut guest, to| {
        let texture = guest.create(target(TextureFormat::Rgba8Unorm, 1));
        let view = view(&mut guest, texture);
        let pipeline = pipeline(&mut guest, 1, false);
        guest.submit(&[
            begin(color(view, 0, StoreOp::Store), None, 0),
            Command::SetRenderPipeline { pipeline },
            DRAW,
            Command::EndRenderPass {},
        ]);
        let (mut guest, _) = guest.moved(to);
        assert!(picture(&mut guest, texture) == expected());
    });
}

/// Samples and depth that are discarded need not be moved.
#[test]
fn discarded_attachments_move() {
    on_pairs(|mut guest, to| {
        let texture = guest.create(target(TextureFormat::Rgba8Unorm, 1));
        let mut samples = target(TextureFormat::Rgba8Unorm, 4);
        let mut depth = target(TextureFormat::Depth24Plus, 4);
        samples.usage = TextureUsage::RENDER_ATTACHMENT;
        depth.usage = TextureUsage::RENDER_ATTACHMENT;
        let (samples, depth) = (guest.create(samples), guest.create(depth));
        let views = [texture, samples, depth].map(|texture| view(&mut guest, texture));
        let pipeline = pipeline(&mut guest, 4, true);
        let draw = |store| {
            [
                begin(color(views[1], views[0], store), Some((views[2], store)), 0),
                Command::SetRenderPipeline { pipeline },
                DRAW,
                Command::EndRenderPass {},
            ]
        };
        guest.submit(&draw(StoreOp::Discard));
        let (mut guest, _) = guest.moved(to);
        assert!(picture(&mut guest, texture) == expected());
        guest.submit(&draw(StoreOp::Store));
        let refused = guest.save().unwrap_err().to_string();
        assert!(
            refused.starts_with("texture 2 \"target\" cannot be moved"),
            "{refused}"
        );
    });
}

#[test]
fn bundles_and_the_results_of_queries_move() {
    on_pairs(|mut guest, to| {
        let texture = guest.create(target(TextureFormat::Rgba8Unorm, 1));
        let view = view(&mut guest, texture);
        let pipeline = pipeline(&mut guest, 1, false);
        let bundle = guest.create(RenderBundleDescriptor {
            label: String::new(),
            color_formats: vec![Slot(Some(TextureFormat::Rgba8Unorm))],
            depth_stencil_format: None,
            sample_count: 1,
            depth_read_only: false,
            stencil_read_only: false,
            commands: vec![Command::SetRenderPipeline { pipeline }, DRAW],
        });
        let queries = guest.create(QuerySetDescriptor {
            label: String::new(),
            query_type: QueryType::Occlusion,
            count: 8,
        });
        let query = |index, draws: bool| {
            let mut commands = vec![
                begin(color(view, 0, StoreOp::Store), None, queries),
                Command::BeginOcclusionQuery { index },
            ];
            if draws {
                let bundles = vec![bundle];
                commands.push(Command::ExecuteBundles { bundles });
            }
            commands.extend([Command::EndOcclusionQuery {}, Command::EndRenderPass {}]);
            commands
        };
        guest.submit(&query(1, true));
        let (mut guest, _) = guest.moved(to);
        guest.submit(&query(2, true));
        guest.submit(&query(3, false));
        let usage = BufferUsage::QUERY_RESOLVE | BufferUsage::COPY_SRC;
        let results = guest.buffer(64, usage);
        guest.submit(&[Command::ResolveQuerySet {
            query_set: queries,
            first_query: 1,
            query_count: 4,
            destination: results,
            destination_offset: 0,
        }]);
        let results = guest.read_words(results, 8);
        assert!(results[0] != 0, "it was drawn before the move");
        assert!(results[2] != 0, "it was drawn after the move");
        assert_eq!(results[4..], [0; 4]);
        // What a bundle has set is not set any more.
        let refused = guest.try_submit(&[
            begin(color(view, 0, StoreOp::Store), None, 0),
            Command::ExecuteBundles {
                bundles: vec![bundle],
            },
            DRAW,
            Command::EndRenderPass {},
        ]);
        assert_eq!(refused, -1);
    });
}
