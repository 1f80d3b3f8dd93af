//! What calls do to handles, mappings, errors and quotas: none of it takes a GPU.

use std::collections::BTreeMap;

use wherry_gpu_abi::*;
use wherry_gpu_host::{Quota, Request, Settings};

use crate::guest::{Guest, noop};

const COPY: BufferUsage = BufferUsage::COPY_SRC;

fn status(failure: Failure) -> u32 {
    failure as u32
}

#[test]
fn the_adapter_has_the_portable_profile_and_what_is_declared() {
    let mut guest = Guest::closed(Settings::new(noop()));
    let len = guest.gpu.adapter(&mut guest.memory, 0, 0).unwrap();
    assert_eq!(guest.gpu.adapter(&mut guest.memory, 16, len).unwrap(), len);
    let record = AdapterRecord::decode(&mut Reader::new(&guest.memory[16..])).unwrap();
    assert_eq!((record.features, record.limits), (vec![], Limits::DEFAULT));

    let mut settings = Settings::new(noop());
    let limits = BTreeMap::from([("max_buffer_size".to_owned(), 1 << 30)]);
    settings.request = Request::new(&["shader-f16".to_owned()], &limits).unwrap();
    let mut guest = Guest::closed(settings);
    guest.gpu.adapter(&mut guest.memory, 16, len + 64).unwrap();
    let record = AdapterRecord::decode(&mut Reader::new(&guest.memory[16..])).unwrap();
    assert_eq!(record.features, [Feature::ShaderF16]);
    assert_eq!(record.limits.max_buffer_size, 1 << 30);
}

#[test]
fn what_is_not_declared_is_refused() {
    let mut guest = Guest::closed(Settings::new(noop()));
    let mut open = |features: Vec<Feature>, limits| {
        let label = String::new();
        let descriptor = DeviceDescriptor {
            label,
            features,
            limits,
        };
        let bytes = descriptor.to_bytes();
        guest.memory[..bytes.len()].copy_from_slice(&bytes);
        let len = u32::try_from(bytes.len()).unwrap();
        let status = guest.gpu.open(&mut guest.memory, 0, len).unwrap();
        (status, guest.message())
    };
    let (result, message) = open(vec![Feature::Subgroups], Limits::DEFAULT);
    assert_eq!(result, status(Failure::Validation));
    assert!(message.contains("subgroups"), "{message}");
    let more = Limits {
        max_buffer_size: 1 << 40,
        ..Limits::DEFAULT
    };
    let (result, message) = open(vec![], more);
    assert_eq!(result, status(Failure::Validation));
    assert!(message.contains("max_buffer_size"), "{message}");
    assert_eq!(open(vec![], Limits::DEFAULT).0, 0);
    assert_eq!(open(vec![], Limits::DEFAULT).0, status(Failure::Validation));
}

#[test]
fn without_a_device_there_are_no_objects() {
    let mut guest = Guest::closed(Settings::new(noop()));
    let (handle, result) = guest.try_create(BufferDescriptor {
        label: String::new(),
        size: 16,
        usage: COPY,
        mapped_at_creation: false,
    });
    assert_eq!(result, status(Failure::DeviceLost));
    assert_eq!(
        guest.try_submit(&[]),
        -i64::from(status(Failure::DeviceLost))
    );
    guest.gpu.drop_handle(&mut guest.memory, handle).unwrap();
    assert_eq!(
        guest.gpu.state(&mut guest.memory).unwrap(),
        DeviceState::Closed as u32
    );
}

#[test]
fn an_object_that_could_not_be_made_is_invalid() {
    let mut guest = Guest::new(noop());
    let (buffer, result) = guest.try_create(BufferDescriptor {
        label: String::new(),
        size: 16,
        usage: BufferUsage::MAP_READ | BufferUsage::STORAGE,
        mapped_at_creation: false,
    });
    assert_eq!(result, status(Failure::Validation));
    assert_eq!(
        guest.try_write(buffer, 0, &[0; 4]),
        status(Failure::Validation)
    );
    let message = guest.message();
    assert!(message.contains("invalid"), "{message}");
    guest.gpu.drop_handle(&mut guest.memory, buffer).unwrap();
    guest.try_write(buffer, 0, &[0; 4]);
    let message = guest.message();
    assert!(message.contains("no object"), "{message}");
}

#[test]
fn a_shader_says_where_it_is_wrong() {
    let mut guest = Guest::new(noop());
    let (module, result) = guest.try_create(ShaderModuleDescriptor {
        label: "broken".into(),
        wgsl: "fn f() {\n  let x = y;\n}".into(),
    });
    assert_eq!(result, status(Failure::Validation));
    let len = guest
        .gpu
        .messages(&mut guest.memory, module, 0, 4096)
        .unwrap();
    let info = &guest.memory[..len as usize];
    let info = CompilationInfo::decode(&mut Reader::new(info)).unwrap();
    assert_eq!(info.messages[0].ty, MessageType::Error);
    assert_eq!((info.messages[0].line, info.messages[0].column), (2, 11));
}

#[test]
fn misuse_ends_the_job() {
    let mut guest = Guest::new(noop());
    let buffer = guest.buffer(16, COPY);
    let (gpu, memory) = (&mut guest.gpu, &mut guest.memory);
    let end = u32::try_from(memory.len()).unwrap();
    let faults = [
        gpu.create(memory, 1, buffer, 0, 0),
        gpu.create(memory, 99, 7, 0, 0),
        gpu.create(memory, 1, 7, end - 4, 8),
        gpu.create(memory, 1, 7, u32::MAX, u32::MAX),
        gpu.write(memory, buffer, 0, end, 4),
        gpu.map(memory, buffer, 3, 0, 16),
        gpu.error(memory, end - 2, 4096),
        gpu.submit(memory, 0, 4, 1).map(|_| 0),
        gpu.submit(memory, 0, 0, 7).map(|_| 0),
    ];
    for fault in faults {
        let text = Guest::fault(fault);
        assert!(
            text.starts_with("the GPU interface was misused: "),
            "{text}"
        );
    }
}

#[test]
fn what_is_mapped_cannot_be_used_by_the_gpu() {
    let mut guest = Guest::new(noop());
    let target = guest.buffer(16, BufferUsage::COPY_DST | BufferUsage::MAP_READ);
    let source = guest.create(BufferDescriptor {
        label: String::new(),
        size: 16,
        usage: COPY,
        mapped_at_creation: true,
    });
    let copy = [Command::CopyBufferToBuffer {
        source,
        source_offset: 0,
        destination: target,
        destination_offset: 0,
        size: 16,
    }];
    let refused = -i64::from(status(Failure::Validation));
    assert_eq!(guest.try_submit(&copy), refused);
    assert_eq!(guest.try_write(source, 8, &[1; 8]), 0);
    assert_eq!(
        guest.try_write(source, 8, &[1; 12]),
        status(Failure::Validation)
    );
    assert_eq!(guest.gpu.unmap(&mut guest.memory, source).unwrap(), 0);
    assert_eq!(guest.submit_as(&copy, SubmitMode::Check), 0);
    assert_eq!(guest.try_submit(&copy), 1);
    assert_eq!(
        guest.try_write(source, 8, &[1; 8]),
        status(Failure::Validation)
    );
    assert_eq!(
        guest.gpu.map(&mut guest.memory, target, 1, 8, 8).unwrap(),
        0
    );
    let twice = guest.gpu.map(&mut guest.memory, target, 1, 0, 8).unwrap();
    assert_eq!(twice, status(Failure::Validation));
    assert_eq!(
        guest.gpu.read(&mut guest.memory, target, 8, 0, 8).unwrap(),
        0
    );
    let before = guest.gpu.read(&mut guest.memory, target, 4, 0, 8).unwrap();
    assert_eq!(before, status(Failure::Validation));
    assert_eq!(guest.try_submit(&copy), refused);
}

/// Everything can be copied on the host; the guest may only what it asked for.
#[test]
fn hidden_usages_stay_hidden() {
    let mut guest = Guest::new(noop());
    let (storage, copied) = (
        guest.buffer(16, BufferUsage::STORAGE),
        guest.buffer(16, COPY),
    );
    let copy = |source, destination| Command::CopyBufferToBuffer {
        source,
        source_offset: 0,
        destination,
        destination_offset: 0,
        size: 16,
    };
    let clear = Command::ClearBuffer {
        buffer: copied,
        offset: 0,
        size: 16,
    };
    for command in [copy(storage, copied), copy(copied, storage), clear] {
        assert_eq!(
            guest.try_submit(&[command]),
            -i64::from(status(Failure::Validation))
        );
    }
    assert_eq!(
        guest.try_write(storage, 0, &[0; 4]),
        status(Failure::Validation)
    );
    let mapped = guest.gpu.map(&mut guest.memory, storage, 1, 0, 16).unwrap();
    assert_eq!(mapped, status(Failure::Validation));
}

#[test]
fn what_a_job_may_have_is_limited() {
    let mut settings = Settings::new(noop());
    settings.quota = Quota {
        bytes: 1000,
        objects: 3,
        ..Quota::default()
    };
    let mut guest = Guest::with(settings);
    let buffer = |size| BufferDescriptor {
        label: String::new(),
        size,
        usage: COPY,
        mapped_at_creation: false,
    };
    let first = guest.create(buffer(600));
    assert_eq!(
        guest.try_create(buffer(600)).1,
        status(Failure::OutOfMemory)
    );
    guest.gpu.destroy(&mut guest.memory, first).unwrap();
    guest.create(buffer(600));
    assert_eq!(guest.try_create(buffer(8)).1, status(Failure::OutOfMemory));
    guest.gpu.drop_handle(&mut guest.memory, first).unwrap();
    guest.create(buffer(8));
    assert_eq!(guest.gpu.usage().peak_bytes, 608);
    let huge = guest.try_create(buffer(u64::MAX)).1;
    assert_eq!(
        huge,
        status(Failure::OutOfMemory),
        "there are three objects"
    );
}

/// 8192 x 8192 texels of 16 bytes in 256 layers are 256 GiB, within every limit of WebGPU.
#[test]
fn a_texture_counts_with_all_its_texels() {
    let mut guest = Guest::new(noop());
    let texture = |layers| TextureDescriptor {
        label: String::new(),
        size: Extent3d {
            width: 8192,
            height: 8192,
            depth_or_array_layers: layers,
        },
        mip_level_count: 1,
        sample_count: 1,
        dimension: TextureDimension::D2,
        format: TextureFormat::Rgba32Float,
        usage: TextureUsage::COPY_SRC,
        view_formats: Vec::new(),
    };
    assert_eq!(
        guest.try_create(texture(256)).1,
        status(Failure::OutOfMemory)
    );
    guest.create(texture(3));
    assert_eq!(guest.gpu.usage().peak_bytes, 3 << 30);
    assert_eq!(guest.try_create(texture(2)).1, status(Failure::OutOfMemory));
}

#[test]
fn huge_sizes_are_errors() {
    let mut guest = Guest::new(noop());
    for size in [u64::MAX, u64::MAX - 3, 1 << 63, (256 << 20) + 1] {
        let (_, result) = guest.try_create(BufferDescriptor {
            label: String::new(),
            size,
            usage: COPY,
            mapped_at_creation: false,
        });
        assert_eq!(result, status(Failure::Validation), "{size}");
    }
    for (width, levels, samples) in [
        (u32::MAX, 1, 1),
        (64, u32::MAX, 1),
        (64, 1, u32::MAX),
        (0, 1, 1),
    ] {
        let (_, result) = guest.try_create(TextureDescriptor {
            label: String::new(),
            size: Extent3d {
                width,
                height: 64,
                depth_or_array_layers: 1,
            },
            mip_level_count: levels,
            sample_count: samples,
            dimension: TextureDimension::D2,
            format: TextureFormat::Rgba8Unorm,
            usage: TextureUsage::COPY_SRC,
            view_formats: Vec::new(),
        });
        assert_eq!(
            result,
            status(Failure::Validation),
            "{width} {levels} {samples}"
        );
    }
}

/// The handle can be used again while the first object is still needed.
#[test]
fn objects_live_as_long_as_something_depends_on_them() {
    let mut guest = Guest::new(noop());
    let pipeline = guest.compute("@compute @workgroup_size(1) fn main() {}");
    let module = pipeline - 1;
    guest.gpu.drop_handle(&mut guest.memory, module).unwrap();
    let bytes = Descriptor::from(SamplerDescriptor {
        label: String::new(),
        address_mode_u: AddressMode::Repeat,
        address_mode_v: AddressMode::Repeat,
        address_mode_w: AddressMode::Repeat,
        mag_filter: FilterMode::Linear,
        min_filter: FilterMode::Linear,
        mipmap_filter: FilterMode::Linear,
        lod_min_clamp: 0.0,
        lod_max_clamp: 1.0,
        compare: None,
        max_anisotropy: 1,
    });
    let bytes = bytes.to_bytes();
    guest.memory[..bytes.len()].copy_from_slice(&bytes);
    let len = u32::try_from(bytes.len()).unwrap();
    let kind = Kind::Sampler as u32;
    assert_eq!(
        guest
            .gpu
            .create(&mut guest.memory, kind, module, 0, len)
            .unwrap(),
        0
    );
    let (mut guest, _) = guest.moved(noop());
    guest.submit(&[
        Command::BeginComputePass {
            label: String::new(),
            timestamp_writes: None,
        },
        Command::SetComputePipeline { pipeline },
        Command::DispatchWorkgroups { x: 1, y: 1, z: 1 },
        Command::EndComputePass {},
    ]);
}

#[test]
fn errors_mappings_and_numbers_move() {
    let mut guest = Guest::new(noop());
    let buffer = guest.buffer(64, BufferUsage::MAP_READ | BufferUsage::COPY_DST);
    let destroyed = guest.buffer(64, BufferUsage::COPY_DST);
    guest.gpu.destroy(&mut guest.memory, destroyed).unwrap();
    guest.submit(&[]);
    guest.gpu.map(&mut guest.memory, buffer, 1, 8, 16).unwrap();
    let (broken, _) = guest.try_create(ShaderModuleDescriptor {
        label: String::new(),
        wgsl: "broken".into(),
    });
    let said = guest.message();
    let messages = guest.gpu.messages(&mut guest.memory, broken, 0, 0).unwrap();
    assert!(messages > 8);
    let (mut guest, _) = guest.moved(noop());
    assert_eq!(guest.message(), said);
    assert_eq!(
        guest.gpu.messages(&mut guest.memory, broken, 0, 0).unwrap(),
        messages
    );
    assert_eq!(
        guest.gpu.read(&mut guest.memory, buffer, 8, 0, 16).unwrap(),
        0
    );
    assert_eq!(
        guest.gpu.read(&mut guest.memory, buffer, 8, 0, 20).unwrap(),
        1
    );
    assert_eq!(
        guest.try_write(destroyed, 0, &[0; 4]),
        status(Failure::Validation)
    );
    assert_eq!(guest.try_submit(&[]), 2);
    assert_eq!(guest.gpu.wait(&mut guest.memory, 2, u64::MAX).unwrap(), 0);
    assert_eq!(guest.gpu.wait(&mut guest.memory, 3, u64::MAX).unwrap(), 1);
}
