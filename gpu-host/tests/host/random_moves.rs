//! Random work, moved from driver to driver at random submissions: in the end, every bit is as if it had
//! stayed where it began. `WHERRY_GPU_CASES` says how many programs are tried.

use proptest::prelude::*;
use wherry_gpu_abi::*;
use wherry_gpu_host::AdapterChoice;

use crate::compute::{STEP, STORAGE};
use crate::guest::{Guest, LAVAPIPE, SWIFTSHADER, cases, driver};

/// Bytes of each buffer, and of the texture: 16 rows of 64 texels.
const BYTES: u64 = 4096;
const BUFFERS: usize = 4;

/// Mixes one buffer into another.
const MIX: &str = "
@group(0) @binding(0) var<storage, read_write> to: array<u32>;
@group(0) @binding(1) var<storage, read> other: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    to[id.x] = to[id.x] * 31u + other[(id.x * 7u + 3u) % arrayLength(&other)];
}";

#[derive(Clone, Debug)]
enum Work {
    Write(usize, u64, Vec<u8>),
    Step(usize, u32),
    Mix(usize, usize, u32),
    Copy(usize, usize, u64, u64),
    Clear(usize),
    Replace(usize),
    ToTexture(usize),
    FromTexture(usize),
    Move,
}

fn work() -> impl Strategy<Value = Work> {
    let one = || 0..BUFFERS;
    let words = || 0..BYTES / 4;
    let bytes = prop::collection::vec(any::<u8>(), 4..64);
    prop_oneof![
        3 => (one(), words(), bytes).prop_map(|(to, at, mut bytes)| {
            bytes.truncate(usize::try_from(BYTES - at * 4).unwrap().min(bytes.len()) / 4 * 4);
            Work::Write(to, at * 4, bytes)
        }),
        4 => (one(), 1_u32..17).prop_map(|(on, groups)| Work::Step(on, groups)),
        4 => (one(), one(), 1_u32..17).prop_map(|(to, from, groups)| Work::Mix(to, from, groups)),
        2 => (one(), one(), words(), words()).prop_map(|(from, to, at, count)| {
            Work::Copy(from, to, at * 4, (count * 4).min(BYTES - at * 4))
        }),
        1 => one().prop_map(Work::Clear),
        1 => one().prop_map(Work::Replace),
        1 => one().prop_map(Work::ToTexture),
        1 => one().prop_map(Work::FromTexture),
        3 => Just(Work::Move),
    ]
}

/// A guest with what the work is done on.
struct Worker {
    guest: Guest,
    buffers: [Handle; BUFFERS],
    texture: Handle,
    step: Handle,
    mix: Handle,
}

impl Worker {
    fn new(on: AdapterChoice) -> Self {
        let mut guest = Guest::new(on);
        let buffers = [(); BUFFERS].map(|()| buffer(&mut guest));
        let texture = guest.create(TextureDescriptor {
            label: String::new(),
            size: EXTENT,
            mip_level_count: 1,
            sample_count: 1,
            dimension: TextureDimension::D2,
            format: TextureFormat::R32Uint,
            usage: TextureUsage::COPY_SRC | TextureUsage::COPY_DST,
            view_formats: Vec::new(),
        });
        let (step, mix) = (guest.compute(STEP), guest.compute(MIX));
        Worker {
            guest,
            buffers,
            texture,
            step,
            mix,
        }
    }

    fn dispatch(&mut self, pipeline: Handle, buffers: &[Handle], groups: u32) {
        let group = self.guest.group(pipeline, buffers);
        self.guest.dispatch(pipeline, group, groups);
        let Guest { gpu, memory, .. } = &mut self.guest;
        gpu.drop_handle(memory, group).unwrap();
    }

    /// Whatever is submitted is not waited for.
    fn do_one(&mut self, work: &Work) {
        match work {
            Work::Write(to, at, bytes) => {
                let status = self.guest.try_write(self.buffers[*to], *at, bytes);
                assert_eq!(status, 0, "{}", self.guest.message());
            }
            Work::Mix(to, from, groups) if to != from => {
                self.dispatch(self.mix, &[self.buffers[*to], self.buffers[*from]], *groups);
            }
            Work::Step(on, groups) | Work::Mix(on, _, groups) => {
                self.dispatch(self.step, &[self.buffers[*on]], *groups);
            }
            Work::Copy(from, to, at, size) if from != to => {
                self.guest.submit(&[Command::CopyBufferToBuffer {
                    source: self.buffers[*from],
                    source_offset: *at,
                    destination: self.buffers[*to],
                    destination_offset: BYTES - at - size,
                    size: *size,
                }]);
            }
            Work::Clear(buffer) | Work::Copy(buffer, ..) => {
                self.guest.submit(&[Command::ClearBuffer {
                    buffer: self.buffers[*buffer],
                    offset: 0,
                    size: WHOLE_SIZE,
                }]);
            }
            Work::Replace(which) => {
                let before = self.buffers[*which];
                let Guest { gpu, memory, .. } = &mut self.guest;
                gpu.drop_handle(memory, before).unwrap();
                self.buffers[*which] = buffer(&mut self.guest);
            }
            Work::ToTexture(from) => {
                let (source, destination) = (self.texels(*from), self.texture());
                self.guest.submit(&[Command::CopyBufferToTexture {
                    source,
                    destination,
                    size: EXTENT,
                }]);
            }
            Work::FromTexture(to) => {
                let (source, destination) = (self.texture(), self.texels(*to));
                self.guest.submit(&[Command::CopyTextureToBuffer {
                    source,
                    destination,
                    size: EXTENT,
                }]);
            }
            Work::Move => {}
        }
    }

    fn texels(&self, buffer: usize) -> BufferTexels {
        BufferTexels {
            buffer: self.buffers[buffer],
            layout: TexelLayout {
                offset: 0,
                bytes_per_row: 256,
                rows_per_image: 16,
            },
        }
    }

    fn texture(&self) -> TextureTexels {
        TextureTexels {
            texture: self.texture,
            mip_level: 0,
            origin: Origin3d { x: 0, y: 0, z: 0 },
            aspect: TextureAspect::All,
        }
    }

    /// All buffers, and the texture by way of the first one.
    fn contents(mut self) -> Vec<Vec<u8>> {
        let read = |guest: &mut Guest, buffer: Handle| guest.read(buffer, BYTES);
        let mut contents: Vec<_> = self
            .buffers
            .iter()
            .map(|buffer| read(&mut self.guest, *buffer))
            .collect();
        self.do_one(&Work::FromTexture(0));
        contents.push(read(&mut self.guest, self.buffers[0]));
        contents
    }
}

const EXTENT: Extent3d = Extent3d {
    width: 64,
    height: 16,
    depth_or_array_layers: 1,
};

fn buffer(guest: &mut Guest) -> Handle {
    guest.buffer(
        BYTES,
        STORAGE | BufferUsage::COPY_SRC | BufferUsage::COPY_DST,
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(8), max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn work_moves_at_any_submission(work in prop::collection::vec(work(), 1..60)) {
        let (Some(a), Some(b)) = (driver(LAVAPIPE), driver(SWIFTSHADER)) else {
            return Ok(());
        };
        let mut stays = Worker::new(a.clone());
        let mut moves = Worker::new(a.clone());
        let mut places = [b, a].into_iter().cycle();
        for one in &work {
            stays.do_one(one);
            moves.do_one(one);
            if matches!(one, Work::Move) {
                let to = places.next().expect("there is no end of them");
                moves.guest = moves.guest.moved(to).0;
            }
        }
        for (place, (stayed, moved)) in std::iter::zip(stays.contents(), moves.contents()).enumerate() {
            let differ = stayed.iter().zip(&moved).position(|(a, b)| a != b);
            prop_assert_eq!(differ, None, "content {}", place);
        }
    }
}
