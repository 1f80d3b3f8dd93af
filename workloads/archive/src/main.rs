//! `archive INPUT OUTPUT [LEVEL]`: packs the files below INPUT into OUTPUT, a `.tar.gz`, and prints
//! each file's SHA-256, size and name. The same input gives the same output, byte for byte.

use std::env;
use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let Some((input, output, level)) = parse(&arguments) else {
        eprintln!("usage: archive INPUT OUTPUT [LEVEL 0-9]");
        return ExitCode::from(2);
    };
    match archive(input, output, level) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("archive: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(arguments: &[String]) -> Option<(&Path, &Path, Compression)> {
    let (input, output, level) = match arguments {
        [input, output] => (input, output, 9),
        [input, output, level] => (
            input,
            output,
            level.parse().ok().filter(|level| *level <= 9)?,
        ),
        _ => return None,
    };
    Some((Path::new(input), Path::new(output), Compression::new(level)))
}

fn archive(input: &Path, output: &Path, level: Compression) -> Result<(), Box<dyn Error>> {
    let mut files = Vec::new();
    collect(input, &mut files).map_err(|error| format!("{}: {error}", input.display()))?;
    files.sort();

    let file = File::create(output).map_err(|error| format!("{}: {error}", output.display()))?;
    let mut builder = tar::Builder::new(GzEncoder::new(BufWriter::new(file), level));
    let mut total = 0;
    for path in &files {
        let name = path.strip_prefix(input)?;
        total += append(&mut builder, path, name)
            .map_err(|error| format!("{}: {error}", path.display()))?;
    }
    builder.into_inner()?.finish()?.flush()?;

    let size = fs::metadata(output)?.len();
    println!("{} files, {total} bytes, compressed to {size}", files.len());
    println!("{}  {}", digest(File::open(output)?)?, output.display());
    Ok(())
}

/// Adds the regular files below `directory`; links and special files are left out.
fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            collect(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// Appends one file, hashing what is read on its way into the archive. Returns its size.
fn append<W: Write>(builder: &mut tar::Builder<W>, path: &Path, name: &Path) -> io::Result<u64> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o644);
    let mut reader = HashingReader {
        inner: file.take(size),
        hasher: Sha256::new(),
    };
    builder.append_data(&mut header, name, &mut reader)?;
    println!(
        "{}  {size:>9}  {}",
        hex(&reader.hasher.finalize()),
        name.display()
    );
    Ok(size)
}

struct HashingReader<R> {
    inner: R,
    hasher: Sha256,
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

fn digest(file: File) -> io::Result<String> {
    let mut reader = HashingReader {
        inner: file,
        hasher: Sha256::new(),
    };
    io::copy(&mut reader, &mut io::sink())?;
    Ok(hex(&reader.hasher.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
