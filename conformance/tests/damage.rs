//! Bits of the golden checkpoints, flipped one by one: each is refused, or changes nothing.
//! One in 61, which is every bit of a byte and every section; all with `WHERRY_EVERY_BIT=1`.

use std::{fs, io::Cursor, path::Path};

use wasmtime::{Result, ensure, error::Context};
use wherry_conformance::Program;
use wherry_engine::{Engine, EngineConfig};
use wherry_snapshot::Reader;

#[test]
fn no_flipped_bit_changes_a_state() -> Result<()> {
    let engine = Engine::new(EngineConfig::default())?;
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden");
    let mut checkpoints = 0;
    for entry in fs::read_dir(golden)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "ckpt")
        {
            flip_all(&engine, &path).with_context(|| format!("{}", path.display()))?;
            checkpoints += 1;
        }
    }
    ensure!(checkpoints > 0, "there are golden files");
    Ok(())
}

fn flip_all(engine: &Engine, path: &Path) -> Result<()> {
    let program = Program::new(
        std::slice::from_ref(engine),
        &path.with_extension("wasm"),
        &[],
    )?;
    let whole = fs::read(path)?;
    let untouched = Reader::open(Cursor::new(&whole[..]))?.contents().clone();
    let expected = program.resumed(&whole)?;
    let (mut opened, mut harmless) = (0, 0);
    let step = if std::env::var_os("WHERRY_EVERY_BIT").is_some() {
        1
    } else {
        61
    };
    for bit in (0..whole.len() * 8).step_by(step) {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let Ok(reader) = Reader::open(Cursor::new(&flipped[..])) else {
            continue;
        };
        // The bit is in a chunk, which is verified when it is used. It may be one without a
        // meaning: zstd has some.
        opened += 1;
        ensure!(
            *reader.contents() == untouched,
            "bit {bit} changed the contents"
        );
        if let Ok(resumed) = program.resumed(&flipped) {
            ensure!(resumed == expected, "bit {bit} changed the state");
            harmless += 1;
        }
    }
    ensure!(
        harmless * 20 < opened,
        "{harmless} of {opened} bits in chunks mean nothing"
    );
    ensure!(opened > 0, "no flipped bit was in a chunk");
    Ok(())
}
