//! Small programs that find out whether an adapter can be trusted.

use crate::Adapter;

/// A way in which an adapter gives wrong results.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Defect {
    /// Loops end early, without a word. lavapipe up to Mesa 22 counts the iterations of all loops
    /// of a shader, and stops at 65,535.
    LoopLimit {
        /// After how many iterations.
        iterations: u32,
    },
    /// Integers are calculated wrongly.
    Arithmetic,
    /// A program of the self-test could not be run.
    Failed {
        /// What the driver said.
        why: String,
    },
}

impl std::fmt::Display for Defect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::LoopLimit { iterations } => write!(
                f,
                "its shaders stop looping after {iterations} iterations, and go on with wrong results"
            ),
            Self::Arithmetic => f.write_str("it calculates with integers wrongly"),
            Self::Failed { why } => write!(f, "the self-test cannot be run: {why}"),
        }
    }
}

/// Counts in a loop, further than old drivers on the CPU can.
const LOOPS: u32 = 100_000;

const LOOP_SHADER: &str = "
@group(0) @binding(0) var<storage, read_write> values: array<u32>;
@compute @workgroup_size(1) fn main() {
    var count = 0u;
    for (var i = 0u; i < values[0]; i++) { count += values[1]; }
    values[2] = count;
}";

/// Mixes integers in the ways that hashes do.
const MIX_SHADER: &str = "
@group(0) @binding(0) var<storage, read_write> values: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    var x = values[id.x];
    for (var i = 0u; i < 64u; i++) {
        x ^= x << 13u;
        x ^= x >> 17u;
        x ^= x << 5u;
        x = x * 2654435761u + (x / 7u) % 1013u;
    }
    values[id.x] = x;
}";

/// Whether loops end early.
pub(crate) fn loop_limit(adapter: &Adapter) -> Option<Defect> {
    match run(adapter, LOOP_SHADER, &[LOOPS, 1, 0, 0], 1) {
        Ok(values) if values.get(2) == Some(&LOOPS) => None,
        Ok(values) => Some(Defect::LoopLimit {
            iterations: values.get(2).copied().unwrap_or(0),
        }),
        Err(why) => Some(Defect::Failed { why }),
    }
}

/// Whether integers are calculated as anywhere.
pub(crate) fn arithmetic(adapter: &Adapter) -> Option<Defect> {
    let values: Vec<u32> = (0..4096_u32).map(|i| i.wrapping_mul(0x9e37_79b9)).collect();
    let expected: Vec<u32> = values.iter().map(|value| mix(*value)).collect();
    match run(adapter, MIX_SHADER, &values, 4096 / 64) {
        Ok(found) if found == expected => None,
        Ok(_) => Some(Defect::Arithmetic),
        Err(why) => Some(Defect::Failed { why }),
    }
}

fn mix(mut x: u32) -> u32 {
    for _ in 0..64 {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        x = x.wrapping_mul(2_654_435_761).wrapping_add((x / 7) % 1013);
    }
    x
}

/// Runs a shader on one buffer, and gives what is in it afterwards.
fn run(adapter: &Adapter, wgsl: &str, values: &[u32], groups: u32) -> Result<Vec<u32>, String> {
    let opened = pollster::block_on(adapter.adapter.request_device(&Default::default()));
    let (device, queue) = opened.map_err(|error| error.to_string())?;
    let failed = std::sync::Arc::new(std::sync::Mutex::new(None));
    let sink = std::sync::Arc::clone(&failed);
    device.on_uncaptured_error(std::sync::Arc::new(move |error: wgpu::Error| {
        if let Ok(mut failed) = sink.lock() {
            *failed = Some(error.to_string());
        }
    }));
    let size = values.len() as u64 * 4;
    let buffer = |usage| {
        device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size,
            usage,
            mapped_at_creation: false,
        })
    };
    use wgpu::BufferUsages as Usage;
    let storage = buffer(Usage::STORAGE | Usage::COPY_DST | Usage::COPY_SRC);
    let result = buffer(Usage::MAP_READ | Usage::COPY_DST);
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: None,
        source: wgpu::ShaderSource::Wgsl(wgsl.into()),
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
    let bytes: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    queue.write_buffer(&storage, 0, &bytes);
    let mut encoder = device.create_command_encoder(&Default::default());
    {
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups(groups, 1, 1);
    }
    encoder.copy_buffer_to_buffer(&storage, 0, &result, 0, size);
    queue.submit([encoder.finish()]);
    result.map_async(wgpu::MapMode::Read, .., |_| ());
    let waited = device.poll(wgpu::PollType::Wait {
        submission_index: None,
        timeout: Some(std::time::Duration::from_secs(20)),
    });
    if let Some(error) = failed.lock().ok().and_then(|mut failed| failed.take()) {
        return Err(error);
    }
    waited.map_err(|error| error.to_string())?;
    let view = result
        .get_mapped_range(..)
        .map_err(|error| error.to_string())?;
    let (words, _) = view.as_chunks::<4>();
    Ok(words.iter().map(|word| u32::from_le_bytes(*word)).collect())
}
