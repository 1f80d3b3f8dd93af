//! Each sample is encoded as its file in `vectors/` says, and decoded from it: `NAME.txt` has the
//! fields, `NAME.hex` the bytes. `WHERRY_BLESS=1 cargo test -p wherry-gpu-abi` writes new ones.

#[path = "vectors/samples.rs"]
mod samples;

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::{env, fs};

use wherry_gpu_abi::{
    AdapterRecord, Command, Commands, CompilationInfo, DecodeError, Descriptor, DeviceDescriptor,
    ErrorRecord, Kind, Reader, TextureWrite, Wire, Writer,
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for line in bytes.chunks(16) {
        let words: Vec<String> = line
            .chunks(4)
            .map(|word| word.iter().map(|byte| format!("{byte:02x}")).collect())
            .collect();
        text += &words.join(" ");
        text.push('\n');
    }
    text
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// Compares with the file, or writes it; gives the bytes that the file has.
fn golden(name: &str, sample: &impl Debug, encoded: &[u8]) -> Vec<u8> {
    let text = folder().join(name).with_extension("txt");
    let binary = folder().join(name).with_extension("hex");
    if env::var_os("WHERRY_BLESS").is_some() {
        fs::write(&text, format!("{sample:#?}\n")).unwrap();
        fs::write(&binary, hex(encoded)).unwrap();
    }
    let fields = fs::read_to_string(&text).unwrap();
    assert_eq!(fields, format!("{sample:#?}\n"), "{name}.txt");
    let expected = fs::read_to_string(&binary).unwrap();
    assert_eq!(expected, hex(encoded), "{name}.hex");
    bytes(&expected)
}

fn record<T: Wire + Debug + PartialEq>(name: &str, sample: &T) {
    let mut to = Writer::new();
    sample.encode(&mut to);
    let file = golden(name, sample, &to.into_bytes());
    let mut from = Reader::new(&file);
    assert_eq!(&T::decode(&mut from).unwrap(), sample);
    from.end().unwrap();
}

#[test]
fn descriptors_are_encoded_as_their_vectors_say() {
    let samples = samples::descriptors();
    for kind in Kind::ALL {
        let of_kind = samples.iter().filter(|(_, sample)| sample.kind() == *kind);
        assert!(of_kind.count() > 0, "there is no sample of {kind:?}");
    }
    for (name, sample) in samples {
        let file = golden(name, &sample, &sample.to_bytes());
        assert_eq!(Descriptor::from_bytes(sample.kind(), &file), Ok(sample));
    }
}

#[test]
fn what_describes_no_object_is_encoded_as_its_vector_says() {
    let device = samples::device();
    let file = golden("device", &device, &device.to_bytes());
    assert_eq!(DeviceDescriptor::from_bytes(&file), Ok(device));
    let write = samples::texture_write();
    let file = golden("texture_write", &write, &write.to_bytes());
    assert_eq!(TextureWrite::from_bytes(&file), Ok(write));
}

#[test]
fn records_are_encoded_as_their_vectors_say() {
    record::<AdapterRecord>("record_adapter", &samples::adapter());
    record::<ErrorRecord>("record_error", &samples::error());
    record::<CompilationInfo>("record_messages", &samples::messages());
}

#[test]
fn streams_are_encoded_as_their_vectors_say() {
    let mut seen = Vec::new();
    for (name, sample) in samples::streams() {
        let mut to = Writer::new();
        for command in &sample {
            command.encode(&mut to);
        }
        let file = golden(name, &sample, &to.into_bytes());
        let decoded: Result<Vec<Command>, _> = Commands::new(&file).unwrap().collect();
        seen.extend(sample.iter().map(|command| format!("{command:?}")));
        assert_eq!(decoded, Ok(sample));
    }
    for (_, name) in Command::NAMES {
        assert!(
            seen.iter()
                .any(|command| command.split(' ').next() == Some(name)),
            "no stream has {name}"
        );
    }
}

/// `malformed/` has bytes that are to be refused. The name is the kind or `stream`, and why.
#[test]
fn malformed_bytes_are_refused() {
    let files: Vec<PathBuf> = fs::read_dir(folder().join("malformed"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(files.len() >= 12);
    for file in files {
        let refused = bytes(&fs::read_to_string(&file).unwrap());
        let name = file.file_stem().unwrap().to_str().unwrap();
        let (of, why) = name.split_once('-').unwrap();
        let error = match of {
            "stream" => Commands::new(&refused).unwrap().find_map(Result::err),
            number => {
                let kind = Kind::from_number(number.parse().unwrap()).unwrap();
                Descriptor::from_bytes(kind, &refused).err()
            }
        };
        let expected = match why.split('-').next().unwrap() {
            "short" => matches!(error, Some(DecodeError::Short)),
            "long" => matches!(error, Some(DecodeError::Long)),
            "version" => matches!(error, Some(DecodeError::Version(_))),
            "kind" => matches!(error, Some(DecodeError::Kind(_))),
            "opcode" => matches!(error, Some(DecodeError::Opcode(_))),
            "value" => matches!(error, Some(DecodeError::Value(..))),
            "text" => matches!(error, Some(DecodeError::Text)),
            "padding" => matches!(error, Some(DecodeError::Padding)),
            other => panic!("{other} is no reason"),
        };
        assert!(expected, "{name}: {error:?}");
    }
}
