//! Whatever a guest sends ends in an error value, or in a named end of its job: never in a panic.
//! `WHERRY_GPU_CASES` says how many series of calls are tried.

use std::panic::{self, AssertUnwindSafe};

use proptest::prelude::*;
use wherry_gpu_abi::*;
use wherry_gpu_host::Settings;

use crate::guest::{Guest, Store, cases, noop, restore};
use crate::samples;

/// A descriptor of any kind, with some of its words changed.
fn descriptor() -> impl Strategy<Value = Descriptor> {
    let words = prop_oneof![0_u32..8, Just(256), Just(1 << 16), any::<u32>()];
    let changes = prop::collection::vec((any::<prop::sample::Index>(), words), 0..4);
    let samples = samples::descriptors();
    (prop::sample::select(samples), changes).prop_filter_map(
        "it is decoded",
        |((_, sample), changes)| {
            let mut bytes = sample.to_bytes();
            for (at, word) in changes {
                let at = 8 + at.index((bytes.len() - 8) / 4) * 4;
                bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
            }
            Descriptor::from_bytes(sample.kind(), &bytes).ok()
        },
    )
}

fn command() -> impl Strategy<Value = Vec<u8>> {
    let all: Vec<Command> = samples::streams()
        .into_iter()
        .flat_map(|(_, all)| all)
        .collect();
    let words = prop_oneof![0_u32..24, Just(256), Just(u32::MAX), any::<u32>()];
    let changes = prop::collection::vec((any::<prop::sample::Index>(), words), 0..3);
    (prop::sample::select(all), changes).prop_map(|(command, changes)| {
        let mut to = Writer::new();
        command.encode(&mut to);
        let mut bytes = to.into_bytes();
        for (at, word) in changes {
            if bytes.len() > 4 {
                let at = 4 + at.index((bytes.len() - 4) / 4) * 4;
                bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
            }
        }
        bytes
    })
}

#[derive(Clone, Debug)]
enum Call {
    Create(Box<Descriptor>),
    Submit(Vec<Vec<u8>>),
    Write(u32, u64, u32),
    Map(u32, u32, u64, u64),
    Read(u32, u64, u32),
    WriteTexture(TextureWrite, u32),
    Unmap(u32),
    Destroy(u32),
    Drop(u32),
    Save,
}

fn call() -> impl Strategy<Value = Call> {
    let size = prop_oneof![0_u64..64, Just(u64::MAX), any::<u64>()];
    let size = move || size.clone();
    prop_oneof![
        8 => descriptor().prop_map(Box::new).prop_map(Call::Create),
        4 => prop::collection::vec(command(), 0..12).prop_map(Call::Submit),
        1 => (0_u32..24, size(), 0_u32..64).prop_map(|(h, o, l)| Call::Write(h, o, l)),
        1 => (0_u32..24, 1_u32..3, size(), size()).prop_map(|(h, m, o, s)| Call::Map(h, m, o, s)),
        1 => (0_u32..24, size(), 0_u32..64).prop_map(|(h, o, l)| Call::Read(h, o, l)),
        1 => (0_u32..24, any::<[u8; 9]>(), 0_u32..4096).prop_map(|(h, bytes, l)| {
            let mut write = samples::texture_write();
            write.destination.texture = h;
            write.destination.mip_level = u32::from(bytes[0] & 3);
            write.destination.origin.x = u32::from(bytes[1] & 7);
            write.size.width = u32::from(bytes[2]);
            write.size.height = u32::from(bytes[3] & 7);
            write.layout.bytes_per_row = u32::from(bytes[4]) << (bytes[5] & 31);
            write.layout.offset = u64::from(bytes[6]) << (bytes[7] & 63);
            Call::WriteTexture(write, l)
        }),
        1 => (0_u32..24).prop_map(Call::Unmap),
        1 => (0_u32..24).prop_map(Call::Destroy),
        1 => (0_u32..24).prop_map(Call::Drop),
        1 => Just(Call::Save),
    ]
}

impl Guest {
    /// Makes a call. What ends the job is as good as an error.
    fn make(&mut self, call: Call) {
        let memory = &mut self.memory;
        match call {
            Call::Create(descriptor) => {
                self.try_create(*descriptor);
            }
            Call::Submit(commands) => {
                let begin = Command::BeginCommandBuffer {
                    label: String::new(),
                };
                let mut to = Writer::new();
                begin.encode(&mut to);
                let mut stream = to.into_bytes();
                stream.extend(commands.into_iter().flatten());
                let len = u32::try_from(stream.len()).unwrap();
                memory[64..64 + stream.len()].copy_from_slice(&stream);
                let _ = self.gpu.submit(memory, 64, len, 1);
            }
            Call::Write(handle, offset, len) => {
                let _ = self.gpu.write(memory, handle, offset, 64, len);
            }
            Call::Map(handle, mode, offset, size) => {
                let _ = self.gpu.map(memory, handle, mode, offset, size);
            }
            Call::Read(handle, offset, len) => {
                let _ = self.gpu.read(memory, handle, offset, 64, len);
            }
            Call::WriteTexture(write, len) => {
                let bytes = write.to_bytes();
                let descriptor_len = u32::try_from(bytes.len()).unwrap();
                memory[64..64 + bytes.len()].copy_from_slice(&bytes);
                let _ = self
                    .gpu
                    .write_texture(memory, 64, descriptor_len, 4096, len);
            }
            Call::Unmap(handle) => {
                let _ = self.gpu.unmap(memory, handle);
            }
            Call::Destroy(handle) => {
                let _ = self.gpu.destroy(memory, handle);
            }
            Call::Drop(handle) => {
                let _ = self.gpu.drop_handle(memory, handle);
            }
            Call::Save => {
                let store = Store::default();
                if let Ok(state) = self.gpu.save(&mut &store) {
                    let used = self.gpu.time_used();
                    let settings = Settings::new(noop());
                    self.gpu = restore(&state, used, settings, &store).unwrap();
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(400), max_shrink_iters: 2000, ..ProptestConfig::default() })]

    /// The host catches a panic of wgpu, and gives up the device: here that is a failure, too.
    #[test]
    fn no_call_panics(calls in prop::collection::vec(call(), 1..40)) {
        let mut guest = Guest::new(noop());
        let result = panic::catch_unwind(AssertUnwindSafe(|| {
            for call in calls {
                guest.make(call);
            }
        }));
        prop_assert!(result.is_ok());
        let state = guest.gpu.state(&mut guest.memory).unwrap();
        prop_assert_eq!(state, DeviceState::Open as u32, "{}", guest.message());
    }
}
