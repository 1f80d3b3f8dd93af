//! Decoding any bytes ends, without a panic, in an error or in a value with exactly this encoding.

#[path = "vectors/samples.rs"]
#[expect(dead_code, reason = "the vectors use the others")]
mod samples;

use proptest::prelude::*;
use wherry_gpu_abi::{Commands, Descriptor, Kind, Wire, Writer};

fn encoded(stream: &[u8]) -> Vec<u8> {
    let mut to = Writer::new();
    for command in Commands::new(stream).unwrap() {
        match command {
            Ok(command) => command.encode(&mut to),
            Err(_) => break,
        }
    }
    to.into_bytes()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_descriptor_has_one_encoding(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
        is_cut in prop::bool::weighted(0.2),
    ) {
        let samples = samples::descriptors();
        let (_, sample) = &samples[which.index(samples.len())];
        let mut bytes = sample.to_bytes();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if is_cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(descriptor) = Descriptor::from_bytes(sample.kind(), &bytes) {
            prop_assert_eq!(descriptor.to_bytes(), bytes);
        }
    }

    #[test]
    fn any_bytes_are_a_descriptor_or_refused(
        kind in prop::sample::select(Kind::ALL),
        body in prop::collection::vec(0_u32..6, 0..64),
    ) {
        let mut bytes = (1 | (kind as u32) << 16).to_le_bytes().to_vec();
        bytes.extend(u32::try_from(body.len() * 4).unwrap().to_le_bytes());
        bytes.extend(body.iter().flat_map(|word| word.to_le_bytes()));
        if let Ok(descriptor) = Descriptor::from_bytes(kind, &bytes) {
            prop_assert_eq!(descriptor.to_bytes(), bytes);
        }
    }

    #[test]
    fn a_stream_has_one_encoding(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let samples = samples::streams();
        let (_, sample) = &samples[which.index(samples.len())];
        let mut to = Writer::new();
        for command in sample {
            command.encode(&mut to);
        }
        let mut bytes = to.into_bytes();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let again = encoded(&bytes);
        prop_assert_eq!(&bytes[..again.len()], &again[..]);
    }
}
