use wgpu::BufferUsages;
use wgpu::util::DeviceExt;
use wherry_gpu_abi as abi;

use abi::{Command, Descriptor, Failure, LoadOp, Slot, StoreOp, UNDEFINED, WHOLE_SIZE};

use super::host::{fails, host};
use super::{buffer, caught, open};

fn pipeline(device: &wgpu::Device) -> wgpu::ComputePipeline {
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some("shader"),
        source: wgpu::ShaderSource::Wgsl("@compute @workgroup_size(1) fn main() {}".into()),
    });
    device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: None,
        layout: None,
        module: &module,
        entry_point: None,
        compilation_options: wgpu::PipelineCompilationOptions {
            constants: &[("SCALE", 2.5)],
            ..Default::default()
        },
        cache: None,
    })
}

/// The handle of the object that this finds.
fn handle(of: impl Fn(&Descriptor) -> bool) -> u32 {
    host(|host| {
        let found = host.objects.iter().find(|(_, object)| of(object));
        *found.expect("it was made").0
    })
}

#[test]
fn a_compute_pass_is_recorded_as_it_was_asked_for() {
    let (device, queue) = open();
    let pipeline = pipeline(&device);
    let data = buffer(&device, 256, BufferUsages::STORAGE | BufferUsages::COPY_SRC);
    let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: None,
        layout: &pipeline.get_bind_group_layout(0),
        entries: &[wgpu::BindGroupEntry {
            binding: 3,
            resource: data.as_entire_binding(),
        }],
    });
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor {
        label: Some("work"),
    });
    let mut pass = encoder.begin_compute_pass(&Default::default());
    pass.set_pipeline(&pipeline);
    pass.set_bind_group(0, &group, &[256, 512]);
    pass.set_bind_group(1, None, &[]);
    pass.dispatch_workgroups(1, 2, 3);
    pass.dispatch_workgroups_indirect(&data, 12);
    drop(pass);
    encoder.clear_buffer(&data, 4, None);
    encoder.copy_buffer_to_buffer(&data, 0, &data, 128, 64);
    queue.submit([encoder.finish()]);

    let buffer = handle(|object| matches!(object, Descriptor::Buffer(_)));
    let pipeline = handle(|object| {
        matches!(object, Descriptor::ComputePipeline(pipeline)
            if pipeline.compute.constants[0].value == 2.5 && pipeline.compute.entry_point.is_empty())
    });
    let group = handle(|object| {
        matches!(object, Descriptor::BindGroup(group) if group.entries == [abi::BindGroupEntry {
            binding: 3,
            resource: abi::BindingResource::Buffer(abi::BufferRange {
                buffer,
                offset: 0,
                size: WHOLE_SIZE,
            }),
        }])
    });
    let expected = [
        Command::BeginCommandBuffer {
            label: "work".into(),
        },
        Command::BeginComputePass {
            label: String::new(),
            timestamp_writes: None,
        },
        Command::SetComputePipeline { pipeline },
        Command::SetBindGroup {
            index: 0,
            group,
            offsets: vec![256, 512],
        },
        Command::SetBindGroup {
            index: 1,
            group: 0,
            offsets: vec![],
        },
        Command::DispatchWorkgroups { x: 1, y: 2, z: 3 },
        Command::DispatchWorkgroupsIndirect { buffer, offset: 12 },
        Command::EndComputePass {},
        Command::ClearBuffer {
            buffer,
            offset: 4,
            size: WHOLE_SIZE,
        },
        Command::CopyBufferToBuffer {
            source: buffer,
            source_offset: 0,
            destination: buffer,
            destination_offset: 128,
            size: 64,
        },
    ];
    host(|host| assert_eq!(host.submissions, [expected]));
}

#[test]
fn a_render_pass_is_recorded_as_it_was_asked_for() {
    let (device, queue) = open();
    let texture = device.create_texture(&wgpu::TextureDescriptor {
        label: None,
        size: Default::default(),
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: wgpu::TextureFormat::Rgba8Unorm,
        usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::TRANSIENT_ATTACHMENT,
        view_formats: &[],
    });
    let target = texture.create_view(&Default::default());
    let vertices = device.create_buffer_init(&wgpu::util::BufferInitDescriptor {
        label: None,
        contents: &[0; 64],
        usage: BufferUsages::VERTEX | BufferUsages::INDEX | BufferUsages::INDIRECT,
    });
    let mut encoder = device.create_command_encoder(&Default::default());
    let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
        color_attachments: &[
            None,
            Some(wgpu::RenderPassColorAttachment {
                view: &target,
                depth_slice: None,
                resolve_target: None,
                ops: wgpu::Operations {
                    load: wgpu::LoadOp::Clear(wgpu::Color::RED),
                    store: wgpu::StoreOp::Discard,
                },
            }),
        ],
        ..Default::default()
    });
    pass.set_vertex_buffer(1, vertices.slice(16..48));
    pass.set_index_buffer(vertices.slice(..), wgpu::IndexFormat::Uint32);
    pass.draw(1..4, 2..7);
    pass.draw_indexed(3..9, -1, 0..1);
    pass.multi_draw_indirect(&vertices, 8, 2);
    drop(pass);
    queue.submit([encoder.finish()]);

    let view = handle(
        |object| matches!(object, Descriptor::TextureView(view) if view.mip_level_count == UNDEFINED),
    );
    let buffer = handle(|object| matches!(object, Descriptor::Buffer(_)));
    let expected = [
        Command::BeginCommandBuffer {
            label: String::new(),
        },
        Command::BeginRenderPass {
            label: String::new(),
            color_attachments: vec![
                Slot(None),
                Slot(Some(abi::ColorAttachment {
                    view,
                    depth_slice: UNDEFINED,
                    resolve_target: 0,
                    load_op: LoadOp::Clear,
                    store_op: StoreOp::Discard,
                    clear_value: abi::Color {
                        r: 1.0,
                        g: 0.0,
                        b: 0.0,
                        a: 1.0,
                    },
                })),
            ],
            depth_stencil_attachment: None,
            occlusion_query_set: 0,
            timestamp_writes: None,
        },
        Command::SetVertexBuffer {
            slot: 1,
            buffer,
            offset: 16,
            size: 32,
        },
        Command::SetIndexBuffer {
            buffer,
            format: abi::IndexFormat::Uint32,
            offset: 0,
            size: 64,
        },
        Command::Draw {
            vertex_count: 3,
            instance_count: 5,
            first_vertex: 1,
            first_instance: 2,
        },
        Command::DrawIndexed {
            index_count: 6,
            instance_count: 1,
            first_index: 3,
            base_vertex: -1,
            first_instance: 0,
        },
        Command::DrawIndirect { buffer, offset: 8 },
        Command::DrawIndirect { buffer, offset: 24 },
        Command::EndRenderPass {},
    ];
    host(|host| assert_eq!(host.submissions, [expected]));
}

#[test]
fn several_command_buffers_are_one_submission() {
    let (device, queue) = open();
    let encoder = |label| {
        let label = Some(label);
        device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label })
    };
    queue.submit([encoder("a").finish(), encoder("b").finish()]);
    queue.submit([]);
    host(|host| {
        let begin = |label: &str| Command::BeginCommandBuffer {
            label: label.into(),
        };
        assert_eq!(host.submissions, [vec![begin("a"), begin("b")], vec![]]);
    });
}

#[test]
fn what_a_recording_uses_stays_on_the_host_until_it_is_submitted() {
    let (device, queue) = open();
    let source = buffer(&device, 8, BufferUsages::COPY_SRC);
    let kept = handle(|object| matches!(object, Descriptor::Buffer(_)));
    let mut encoder = device.create_command_encoder(&Default::default());
    encoder.clear_buffer(&source, 0, None);
    let later = device.create_command_encoder(&Default::default());
    drop(source);
    let commands = encoder.finish();
    drop(later);
    host(|host| assert!(host.objects.contains_key(&kept)));
    queue.submit([commands]);
    host(|host| assert!(!host.objects.contains_key(&kept)));
}

#[test]
fn misuse_of_an_encoder_is_told_by_finish() {
    let (device, queue) = open();
    let error = caught(&device, || {
        let mut encoder = device.create_command_encoder(&Default::default());
        let pass = encoder
            .begin_compute_pass(&Default::default())
            .forget_lifetime();
        encoder.insert_debug_marker("too early");
        drop(pass);
        let _invalid = encoder.finish();
    });
    assert!(
        error
            .expect("an error")
            .contains("while a pass of it is open")
    );
    let error = caught(&device, || {
        let mut encoder = device.create_command_encoder(&Default::default());
        let _pass = encoder
            .begin_compute_pass(&Default::default())
            .forget_lifetime();
        queue.submit([encoder.finish()]);
    });
    assert!(
        error
            .expect("an error")
            .contains("a pass of the encoder is open")
    );
    host(|host| assert!(host.submissions.is_empty()));
}

#[test]
fn a_scope_around_finish_is_told_what_the_host_would_say() {
    let (device, queue) = open();
    let mut invalid = None;
    let error = caught(&device, || {
        let encoder = device.create_command_encoder(&Default::default());
        fails(Failure::Validation, "out of bounds");
        invalid = Some(encoder.finish());
    });
    assert!(error.expect("an error").contains("out of bounds"));
    let error = caught(&device, || drop(queue.submit(invalid)));
    assert!(error.expect("an error").contains("invalid"));
    // Nobody listens: no need to ask.
    let commands = device.create_command_encoder(&Default::default()).finish();
    queue.submit([commands]);
    host(|host| assert_eq!((host.checked, host.submissions.len()), (0, 1)));
}

#[test]
fn a_bundle_is_made_of_its_commands() {
    let (device, _queue) = open();
    let vertices = buffer(&device, 64, BufferUsages::VERTEX);
    let mut encoder = device.create_render_bundle_encoder(&wgpu::RenderBundleEncoderDescriptor {
        label: None,
        color_formats: &[Some(wgpu::TextureFormat::Rgba8Unorm)],
        depth_stencil: None,
        sample_count: 4,
        multiview: None,
    });
    encoder.set_vertex_buffer(0, vertices.slice(..));
    encoder.draw(0..3, 0..1);
    let _bundle = encoder.finish(&wgpu::RenderBundleDescriptor {
        label: Some("bundle"),
    });
    let buffer = handle(|object| matches!(object, Descriptor::Buffer(_)));
    handle(|object| {
        let Descriptor::RenderBundle(bundle) = object else {
            return false;
        };
        let set = Command::SetVertexBuffer {
            slot: 0,
            buffer,
            offset: 0,
            size: 64,
        };
        bundle.label == "bundle" && bundle.commands.len() == 2 && bundle.commands[0] == set
    });
}

#[test]
fn the_compiler_is_heard() {
    let (device, _queue) = open();
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: None,
        source: wgpu::ShaderSource::Wgsl("nonsense".into()),
    });
    let info = pollster::block_on(module.get_compilation_info());
    assert!(info.messages[0].message.contains("of module"));
    assert_eq!(info.messages[0].location.unwrap().line_number, 3);
}

#[test]
fn a_descriptor_that_the_host_would_not_take_is_an_error() {
    let (device, _queue) = open();
    let error = caught(&device, || {
        let _ = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: None,
            source: wgpu::ShaderSource::Wgsl(" ".repeat(abi::MAX_DESCRIPTOR).into()),
        });
    });
    assert!(error.expect("an error").contains("more than"));
}
