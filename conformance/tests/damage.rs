//! Every bit of the golden checkpoints, flipped one by one: none is ever gone on from.

use std::{fs, io::Cursor, path::Path};

use wasmtime::{Result, ensure, error::Context};
use wherry_conformance::Program;
use wherry_engine::{Engine, EngineConfig};
use wherry_snapshot::Reader;

#[test]
fn no_flipped_bit_is_resumed() -> Result<()> {
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
    let program = Program::new(engine, &path.with_extension("wasm"), &[])?;
    let whole = fs::read(path)?;
    let untouched = Reader::open(Cursor::new(&whole[..]))?.contents().clone();
    program.can_resume(&whole)?;
    let mut opened = 0;
    for bit in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let Ok(reader) = Reader::open(Cursor::new(&flipped[..])) else {
            continue;
        };
        // Chunks are verified when they are used: the rest is whole, or it would not open.
        opened += 1;
        ensure!(
            *reader.contents() == untouched,
            "bit {bit} changed the contents"
        );
        ensure!(
            program.can_resume(&flipped).is_err(),
            "bit {bit} is resumed"
        );
    }
    ensure!(opened > 0, "no flipped bit was in a chunk");
    Ok(())
}
