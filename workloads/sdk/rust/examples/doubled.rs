//! Doubles some numbers on the GPU.

const DOUBLE: &str = "
@group(0) @binding(0) var<storage, read_write> numbers: array<f32>;

@compute @workgroup_size(64)
fn double(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < arrayLength(&numbers) {
        numbers[id.x] *= 2.0;
    }
}
";

fn main() {
    println!(
        "{:?}",
        pollster::block_on(doubled(&[1.0, 2.0, 3.0, 4.0, 5.0]))
    );
}

async fn doubled(numbers: &[f32]) -> Vec<f32> {
    let instance = wherry_gpu::instance();
    let adapter = instance
        .request_adapter(&Default::default())
        .await
        .expect("no GPU");
    let (device, queue) = adapter
        .request_device(&Default::default())
        .await
        .expect("no device");

    let size = size_of_val(numbers) as u64;
    let buffer = |usage| {
        device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size,
            usage: usage | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        })
    };
    let storage = buffer(wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC);
    let result = buffer(wgpu::BufferUsages::MAP_READ);
    let bytes: Vec<u8> = numbers
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect();
    queue.write_buffer(&storage, 0, &bytes);

    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: None,
        source: wgpu::ShaderSource::Wgsl(DOUBLE.into()),
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: None,
        layout: None,
        module: &module,
        entry_point: None,
        compilation_options: Default::default(),
        cache: None,
    });
    let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: None,
        layout: &pipeline.get_bind_group_layout(0),
        entries: &[wgpu::BindGroupEntry {
            binding: 0,
            resource: storage.as_entire_binding(),
        }],
    });

    let mut encoder = device.create_command_encoder(&Default::default());
    let mut pass = encoder.begin_compute_pass(&Default::default());
    pass.set_pipeline(&pipeline);
    pass.set_bind_group(0, &group, &[]);
    pass.dispatch_workgroups(numbers.len().div_ceil(64) as u32, 1, 1);
    drop(pass);
    encoder.copy_buffer_to_buffer(&storage, 0, &result, 0, size);
    queue.submit([encoder.finish()]);

    result.map_async(wgpu::MapMode::Read, .., |mapped| {
        mapped.expect("it can be mapped")
    });
    device
        .poll(wgpu::PollType::wait_indefinitely())
        .expect("the GPU works");
    let bytes = result.get_mapped_range(..).expect("it is mapped");
    let words = bytes.chunks_exact(4);
    words
        .map(|word| f32::from_le_bytes(word.try_into().expect("four bytes")))
        .collect()
}
