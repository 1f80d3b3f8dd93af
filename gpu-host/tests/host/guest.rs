//! A guest's library, as far as the tests need one, and its memory.

use std::io::{self, Read, Write};
use std::sync::Mutex;
use std::time::Duration;

use wherry_gpu_abi::*;
use wherry_gpu_host::{AdapterChoice, Error, Fault, Gpu, GpuState, Settings};
use wherry_snapshot::{Blob, BlobSink, BlobSource};

/// Where descriptors are put for a call.
const AT: u32 = 64;

pub(crate) struct Guest {
    pub(crate) gpu: Gpu,
    pub(crate) memory: Vec<u8>,
    handles: u32,
    /// What it had when it moved.
    store: Store,
}

pub(crate) fn noop() -> AdapterChoice {
    AdapterChoice {
        noop: true,
        ..AdapterChoice::default()
    }
}

/// An adapter of this machine, or a word that there is none.
pub(crate) fn driver(name: &str) -> Option<AdapterChoice> {
    let choice = AdapterChoice {
        name: Some(name.to_owned()),
        allow_cpu: true,
        allow_defects: true,
        ..AdapterChoice::default()
    };
    match Gpu::new(Settings::new(choice.clone()), Box::new(|| false)) {
        Ok(_) => Some(choice),
        Err(error) => {
            // Not `eprintln!`, which the harness keeps from view unless the test fails.
            let _ = writeln!(io::stderr(), "SKIPPED: no driver {name}: {error}");
            None
        }
    }
}

/// How many random cases a test tries: `WHERRY_GPU_CASES`, or so many.
pub(crate) fn cases(usual: u32) -> u32 {
    let asked = std::env::var("WHERRY_GPU_CASES").ok();
    asked.map_or(usual, |asked| asked.parse().expect("a number"))
}

pub(crate) const LAVAPIPE: &str = "llvmpipe";
pub(crate) const SWIFTSHADER: &str = "SwiftShader";

impl Guest {
    pub(crate) fn new(choice: AdapterChoice) -> Self {
        Self::with(Settings::new(choice))
    }

    /// With an open device.
    pub(crate) fn with(settings: Settings) -> Self {
        let mut guest = Self::closed(settings);
        guest.open(&[], Limits::DEFAULT);
        guest
    }

    pub(crate) fn closed(settings: Settings) -> Self {
        Self::of(Gpu::new(settings, Box::new(|| false)).unwrap())
    }

    pub(crate) fn of(gpu: Gpu) -> Self {
        Self {
            gpu,
            memory: vec![0; 1 << 20],
            handles: 0,
            store: Store::default(),
        }
    }

    pub(crate) fn open(&mut self, features: &[Feature], limits: Limits) {
        let descriptor = DeviceDescriptor {
            label: String::new(),
            features: features.to_vec(),
            limits,
        };
        let len = self.put(&descriptor.to_bytes());
        let status = self.gpu.open(&mut self.memory, AT, len).unwrap();
        assert_eq!(status, 0, "{}", self.message());
    }

    fn put(&mut self, bytes: &[u8]) -> u32 {
        let end = AT as usize + bytes.len();
        if self.memory.len() < end {
            self.memory.resize(end, 0);
        }
        self.memory[AT as usize..end].copy_from_slice(bytes);
        u32::try_from(bytes.len()).unwrap()
    }

    pub(crate) fn try_create(&mut self, recipe: impl Into<Descriptor>) -> (Handle, u32) {
        let recipe = recipe.into();
        self.handles += 1;
        let len = self.put(&recipe.to_bytes());
        let (kind, handle) = (recipe.kind() as u32, self.handles);
        let status = self.gpu.create(&mut self.memory, kind, handle, AT, len);
        (handle, status.unwrap())
    }

    pub(crate) fn create(&mut self, recipe: impl Into<Descriptor>) -> Handle {
        let (handle, status) = self.try_create(recipe);
        assert_eq!(status, 0, "{}", self.message());
        handle
    }

    /// What the last failure said.
    pub(crate) fn message(&mut self) -> String {
        let len = self.gpu.error(&mut self.memory, AT, 4096).unwrap();
        let record = &self.memory[AT as usize..(AT + len) as usize];
        ErrorRecord::decode(&mut Reader::new(record))
            .unwrap()
            .message
    }

    pub(crate) fn buffer(&mut self, size: u64, usage: BufferUsage) -> Handle {
        self.create(BufferDescriptor {
            label: String::new(),
            size,
            usage,
            mapped_at_creation: false,
        })
    }

    pub(crate) fn shader(&mut self, wgsl: &str) -> Handle {
        self.create(ShaderModuleDescriptor {
            label: "shader".into(),
            wgsl: wgsl.into(),
        })
    }

    pub(crate) fn compute(&mut self, wgsl: &str) -> Handle {
        let module = self.shader(wgsl);
        self.create(ComputePipelineDescriptor {
            label: "pipeline".into(),
            layout: 0,
            compute: ProgrammableStage {
                module,
                entry_point: String::new(),
                constants: Vec::new(),
            },
        })
    }

    /// A bind group of whole buffers, bound to 0 and on.
    pub(crate) fn group(&mut self, pipeline: Handle, buffers: &[Handle]) -> Handle {
        let layout = self.create(PipelineBindGroupLayoutDescriptor { pipeline, index: 0 });
        let entries = (0..).zip(buffers).map(|(binding, buffer)| BindGroupEntry {
            binding,
            resource: BindingResource::Buffer(BufferRange {
                buffer: *buffer,
                offset: 0,
                size: WHOLE_SIZE,
            }),
        });
        self.create(BindGroupDescriptor {
            label: String::new(),
            layout,
            entries: entries.collect(),
        })
    }

    /// The number of the submission, or minus the failure.
    pub(crate) fn try_submit(&mut self, commands: &[Command]) -> i64 {
        self.submit_as(commands, SubmitMode::Run)
    }

    pub(crate) fn submit_as(&mut self, commands: &[Command], mode: SubmitMode) -> i64 {
        self.call_submit(commands, mode).unwrap().cast_signed()
    }

    pub(crate) fn call_submit(
        &mut self,
        commands: &[Command],
        mode: SubmitMode,
    ) -> Result<u64, Fault> {
        let mut to = Writer::new();
        let begin = Command::BeginCommandBuffer {
            label: String::new(),
        };
        begin.encode(&mut to);
        for command in commands {
            command.encode(&mut to);
        }
        let len = self.put(&to.into_bytes());
        self.gpu.submit(&mut self.memory, AT, len, mode as u32)
    }

    pub(crate) fn submit(&mut self, commands: &[Command]) {
        let number = self.try_submit(commands);
        assert!(number > 0, "{}", self.message());
    }

    pub(crate) fn dispatch(&mut self, pipeline: Handle, group: Handle, x: u32) {
        self.submit(&dispatch(pipeline, group, x));
    }

    pub(crate) fn try_write(&mut self, buffer: Handle, offset: u64, data: &[u8]) -> u32 {
        let len = self.put(data);
        let status = self.gpu.write(&mut self.memory, buffer, offset, AT, len);
        status.unwrap()
    }

    pub(crate) fn write(&mut self, buffer: Handle, data: &[u8]) {
        let status = self.try_write(buffer, 0, data);
        assert_eq!(status, 0, "{}", self.message());
    }

    pub(crate) fn write_words(&mut self, buffer: Handle, words: &[u32]) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.write(buffer, &bytes);
    }

    /// What a buffer holds that can be copied from.
    pub(crate) fn read(&mut self, buffer: Handle, size: u64) -> Vec<u8> {
        let taken = self.buffer(size, BufferUsage::MAP_READ | BufferUsage::COPY_DST);
        self.submit(&[Command::CopyBufferToBuffer {
            source: buffer,
            source_offset: 0,
            destination: taken,
            destination_offset: 0,
            size,
        }]);
        let content = self.read_mapped(taken, size);
        self.gpu.drop_handle(&mut self.memory, taken).unwrap();
        content
    }

    /// What a buffer holds that can be mapped to be read.
    pub(crate) fn read_mapped(&mut self, buffer: Handle, size: u64) -> Vec<u8> {
        let memory = &mut self.memory;
        assert_eq!(self.gpu.map(memory, buffer, 1, 0, size).unwrap(), 0);
        let len = u32::try_from(size).unwrap();
        memory.resize(memory.len().max(AT as usize + len as usize), 0);
        let status = self.gpu.read(memory, buffer, 0, AT, len).unwrap();
        let content = memory[AT as usize..(AT + len) as usize].to_vec();
        assert_eq!(self.gpu.unmap(memory, buffer).unwrap(), 0);
        assert_eq!(status, 0, "{}", self.message());
        content
    }

    pub(crate) fn read_words(&mut self, buffer: Handle, count: usize) -> Vec<u32> {
        let bytes = self.read(buffer, count as u64 * 4);
        let (words, _) = bytes.as_chunks::<4>();
        words.iter().map(|word| u32::from_le_bytes(*word)).collect()
    }

    /// Moves to another adapter, as a job does that is resumed there.
    pub(crate) fn moved(mut self, to: AdapterChoice) -> (Self, GpuState) {
        let state = self.gpu.save(&mut &self.store).unwrap();
        let bytes = postcard::to_stdvec(&state).unwrap();
        let again: GpuState = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(again, state);
        let used = self.gpu.time_used();
        let gpu = restore(&again, used, Settings::new(to), &self.store).unwrap();
        (Self { gpu, ..self }, state)
    }

    pub(crate) fn save(&mut self) -> Result<GpuState, Error> {
        self.gpu.save(&mut &Store::default())
    }

    pub(crate) fn fault(result: Result<u32, Fault>) -> String {
        result.unwrap_err().to_string()
    }
}

pub(crate) fn restore(
    state: &GpuState,
    used: Duration,
    settings: Settings,
    store: &Store,
) -> Result<Gpu, Error> {
    let mut gpu = Gpu::resumed(state, used, settings, Box::new(|| false))?;
    gpu.restore(state, store)?;
    Ok(gpu)
}

pub(crate) fn dispatch(pipeline: Handle, group: Handle, x: u32) -> Vec<Command> {
    vec![
        Command::BeginComputePass {
            label: String::new(),
            timestamp_writes: None,
        },
        Command::SetComputePipeline { pipeline },
        Command::SetBindGroup {
            index: 0,
            group,
            offsets: Vec::new(),
        },
        Command::DispatchWorkgroups { x, y: 1, z: 1 },
        Command::EndComputePass {},
    ]
}

/// Keeps contents, each as one chunk with a number for a digest: what is in one store must not be
/// looked for in another one.
#[derive(Default)]
pub(crate) struct Store {
    contents: Mutex<Vec<Vec<u8>>>,
}

impl Store {
    /// How many contents were put.
    pub(crate) fn len(&self) -> usize {
        self.contents.lock().unwrap().len()
    }
}

impl BlobSink for &Store {
    fn put(&mut self, content: &mut (dyn Read + Send)) -> io::Result<Blob> {
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes)?;
        let len = bytes.len() as u64;
        let mut contents = self.contents.lock().unwrap();
        contents.push(bytes);
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&(contents.len() as u64 - 1).to_le_bytes());
        Ok(Blob {
            len,
            digests: vec![digest],
        })
    }

    fn keep(&mut self, blob: &Blob) -> bool {
        index(blob) < self.contents.lock().unwrap().len()
    }
}

impl BlobSource for Store {
    fn read(&self, blob: &Blob, out: &mut dyn Write) -> io::Result<()> {
        // In pieces that do not divide those of the host.
        let contents = self.contents.lock().unwrap();
        for piece in contents[index(blob)].chunks(65_521) {
            out.write_all(piece)?;
        }
        Ok(())
    }
}

fn index(blob: &Blob) -> usize {
    let (number, _) = blob.digests[0].split_first_chunk::<8>().unwrap();
    usize::try_from(u64::from_le_bytes(*number)).unwrap()
}
