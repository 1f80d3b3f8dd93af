use std::sync::{Arc, Mutex};

use pollster::block_on;
use wgpu::{BufferUsages, Error, ErrorFilter, PollType};
use wherry_gpu_abi::Failure;

use super::host::{fails, host};
use super::{adapter, buffer, caught, open};

#[test]
fn an_error_goes_to_the_innermost_scope_of_its_kind() {
    let (device, _queue) = open();
    let outer = device.push_error_scope(ErrorFilter::Validation);
    let inner = device.push_error_scope(ErrorFilter::OutOfMemory);
    fails(Failure::Validation, "first");
    let _invalid = buffer(&device, 4, BufferUsages::UNIFORM);
    fails(Failure::Validation, "second");
    let _invalid = buffer(&device, 4, BufferUsages::UNIFORM);
    fails(Failure::OutOfMemory, "too much");
    let _invalid = buffer(&device, 4, BufferUsages::UNIFORM);
    assert!(matches!(
        block_on(inner.pop()),
        Some(Error::OutOfMemory { .. })
    ));
    let error = block_on(outer.pop()).expect("an error").to_string();
    assert!(
        error.contains("Device::create_buffer") && error.contains("first"),
        "{error}"
    );
}

#[test]
fn an_error_outside_of_scopes_goes_to_the_handler() {
    let (device, _queue) = open();
    let errors = Arc::new(Mutex::new(Vec::new()));
    let log = errors.clone();
    device.on_uncaptured_error(Arc::new(move |error: Error| {
        log.lock().unwrap().push(error.to_string());
    }));
    fails(Failure::Internal, "the driver failed");
    let _invalid = buffer(&device, 4, BufferUsages::UNIFORM);
    let errors = errors.lock().unwrap();
    assert!(errors[0].contains("the driver failed"), "{errors:?}");
}

#[test]
#[cfg_attr(target_family = "wasm", ignore = "a panic ends the job")]
#[should_panic(expected = "wgpu error: Validation Error")]
fn an_error_that_nobody_takes_is_a_panic() {
    let (device, _queue) = open();
    fails(Failure::Validation, "no");
    let _invalid = buffer(&device, 4, BufferUsages::UNIFORM);
}

#[test]
fn a_lost_device_is_told_once_and_is_no_error() {
    let (device, queue) = open();
    let told = Arc::new(Mutex::new(Vec::new()));
    let log = told.clone();
    device.set_device_lost_callback(move |reason, message| {
        log.lock().unwrap().push((reason, message));
    });
    let buffer = buffer(&device, 8, BufferUsages::MAP_READ | BufferUsages::COPY_DST);
    queue.submit([device.create_command_encoder(&Default::default()).finish()]);
    let (sender, mapped) = std::sync::mpsc::channel();
    buffer.map_async(wgpu::MapMode::Read, .., move |result| {
        sender.send(result).unwrap()
    });

    host(|host| host.lost = true);
    device.poll(PollType::wait_indefinitely()).unwrap();
    assert!(mapped.try_recv().unwrap().is_err());
    queue.write_buffer(&buffer, 0, &[0; 8]);
    queue.submit([device.create_command_encoder(&Default::default()).finish()]);
    let _ = device.create_sampler(&Default::default());
    let told = told.lock().unwrap();
    assert_eq!(
        *told,
        [(wgpu::DeviceLostReason::Unknown, "it is gone".to_owned())]
    );
}

#[test]
fn a_destroyed_device_is_closed_and_another_can_be_opened() {
    let adapter = adapter();
    let (device, queue) = block_on(adapter.request_device(&Default::default())).unwrap();
    let second = block_on(adapter.request_device(&Default::default()));
    assert!(second.unwrap_err().to_string().contains("a device is open"));
    let buffer = buffer(&device, 8, BufferUsages::COPY_DST);
    device.destroy();
    queue.write_buffer(&buffer, 0, &[0; 8]);
    drop(buffer);
    let (_device, _queue) = block_on(adapter.request_device(&Default::default())).unwrap();
    drop((device, queue));
    host(|host| assert!(host.device.is_some(), "the second one stays open"));
}

#[test]
fn all_that_a_device_made_keeps_it_open() {
    let (device, queue) = open();
    let buffer = buffer(&device, 8, BufferUsages::COPY_DST);
    drop((device, queue));
    host(|host| assert!(host.device.is_some()));
    drop(buffer);
    host(|host| assert!(host.device.is_none()));
}

#[test]
fn what_the_adapter_lacks_is_refused_by_name() {
    let adapter = adapter();
    assert_eq!(adapter.features(), wgpu::Features::TIMESTAMP_QUERY);
    let refusal = |descriptor: wgpu::DeviceDescriptor<'_>| {
        let refused = block_on(adapter.request_device(&descriptor));
        refused.expect_err("it is refused").to_string()
    };
    let text = refusal(wgpu::DeviceDescriptor {
        required_features: wgpu::Features::SHADER_F16 | wgpu::Features::TIMESTAMP_QUERY,
        ..Default::default()
    });
    assert!(
        text.contains("SHADER_F16") && !text.contains("TIMESTAMP"),
        "{text}"
    );
    let text = refusal(wgpu::DeviceDescriptor {
        required_limits: wgpu::Limits {
            max_buffer_size: 1 << 40,
            max_immediate_size: 16,
            ..Default::default()
        },
        ..Default::default()
    });
    assert!(
        text.contains("max_buffer_size") && text.contains("max_immediate_size"),
        "{text}"
    );
}

#[test]
fn what_a_node_has_not_is_an_error_that_names_it() {
    let (device, queue) = open();
    let expect = |name: &str, work: &dyn Fn()| {
        let error = caught(&device, work).expect(name);
        assert!(error.contains(name), "{error}");
        assert!(error.contains("not available on a Wherry node"), "{error}");
    };
    let texture = |format| {
        let _ = device.create_texture(&wgpu::TextureDescriptor {
            label: None,
            size: Default::default(),
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format,
            usage: wgpu::TextureUsages::COPY_DST,
            view_formats: &[],
        });
    };
    expect("NV12", &|| texture(wgpu::TextureFormat::NV12));
    expect("ClampToBorder", &|| {
        let _ = device.create_sampler(&wgpu::SamplerDescriptor {
            address_mode_u: wgpu::AddressMode::ClampToBorder,
            ..Default::default()
        });
    });
    expect("BLAS_INPUT", &|| {
        drop(buffer(&device, 4, BufferUsages::BLAS_INPUT))
    });
    expect("acceleration structure", &|| {
        let _ = device.create_tlas(&wgpu::CreateTlasDescriptor {
            label: None,
            max_instances: 1,
            flags: wgpu::AccelerationStructureFlags::empty(),
            update_mode: wgpu::AccelerationStructureUpdateMode::Build,
        });
    });
    expect("immediates", &|| {
        let _ = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: None,
            bind_group_layouts: &[],
            immediate_size: 4,
        });
    });
    expect("pipeline statistics", &|| {
        let mut encoder = device.create_command_encoder(&Default::default());
        encoder
            .begin_compute_pass(&Default::default())
            .end_pipeline_statistics_query();
        let buffer = encoder.finish();
        let error = caught(&device, || drop(queue.submit([buffer])));
        assert!(error.expect("it is invalid").contains("invalid"));
    });
    host(|host| assert_eq!(host.submissions.len(), 0));
}

#[test]
fn there_are_no_surfaces() {
    let error = super::super::unsupported::no_surface();
    assert!(error.to_string().contains("not available"), "{error}");
}
