//! `wherry demo`: the whole idea on a real program, with nothing but this binary.

mod child;
mod ship;

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;
use wherry_packager::{Packed, Reference, pack};

use super::Context;
use crate::exit;
use crate::failure::Refusal;
use crate::home::Home;
use crate::output::{Output, size};
use crate::transfer::RegistryArgs;
use child::{Leg, Wherry};
use ship::Way;

/// A C program that moves planets; how it is built is in `workloads/nbody`.
const MODULE: &[u8] = include_bytes!("../../../../workloads/prebuilt/nbody.wasm");
const WORKLOAD_FILE: &str = include_str!("../../../../workloads/nbody/workload.toml");

/// Lines that the program writes until it is interrupted.
const LINES_BEFORE: usize = 4;

/// See a job move from one home to another while it runs
///
/// Packs a real program, ships it to a second home (through a registry if one answers on
/// this machine), runs it once without interruption, runs it again, checkpoints it in the
/// middle of its loop, and goes on in another process with the other home. Both must have
/// written the same. Nothing is left behind, but what is pushed to a registry.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  wherry demo\n  wherry demo --registry localhost:5000")]
pub(crate) struct Demo {
    /// Ship through this registry [default: one that answers on localhost:5000, if any]
    #[arg(long, value_name = "HOST[:PORT]")]
    registry: Option<String>,
    /// How many steps the program computes: its run takes longer with more
    #[arg(long, value_name = "N", default_value_t = 10_000_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1000..))]
    steps: u64,
    #[command(flatten)]
    options: RegistryArgs,
}

/// What was seen.
#[derive(Debug, Serialize)]
struct Figures {
    digest: String,
    shipped: String,
    module_bytes: u64,
    artifact_bytes: u64,
    uninterrupted_us: u64,
    checkpoint_bytes: u64,
    pause_us: u64,
    resume_us: u64,
    output_bytes: u64,
    bytes_before: u64,
    equal: bool,
}

impl Demo {
    pub(crate) fn execute(self, context: &Context) -> anyhow::Result<()> {
        let directory = tempfile::tempdir().context("the demo needs a temporary directory")?;
        let home = |name| Home::find(Some(directory.path().join(name)));
        let (here, there) = (home("here")?, home("there")?);
        let output = context.output;

        let packed = pack_program(directory.path(), &here)?;
        let name = packed.reference.clone().context("a project has a name")?;
        let artifact = size(packed.size);
        output.step(format!("packed    {name}, {artifact}, {}", packed.digest))?;

        let way = self.ship(&packed, &name, (&here, &there))?;
        output.step(format!("shipped   to a second home, {way}"))?;

        let (name, steps) = (name.to_string(), self.steps.to_string());
        let whole = Wherry::run(&here, &name, &steps).finish()?;
        let time = rounded(whole.time);
        output.step(format!("ran       {steps} steps uninterrupted in {time}"))?;

        let file = directory.path().join("job.ckpt");
        let run = Wherry::run_to(&here, &name, &steps, &file);
        let first = run.interrupted_after(LINES_BEFORE)?;
        output.step("captured  the same in the middle of its loop: exit code 85".to_owned())?;
        let second = Wherry::resume(&there, &file).finish()?;
        output.step("resumed   in another process, with the other home".to_owned())?;

        let both = [first.stdout.as_slice(), &second.stdout].concat();
        let figures = Figures {
            digest: packed.digest.to_string(),
            shipped: way.to_string(),
            module_bytes: MODULE.len() as u64,
            artifact_bytes: packed.size,
            uninterrupted_us: micros(whole.time),
            checkpoint_bytes: first.number(&["checkpoint", "bytes"])?,
            pause_us: first.number(&["checkpoint", "pause_us"])?,
            resume_us: second.number(&["ready_us"])?,
            output_bytes: whole.stdout.len() as u64,
            bytes_before: first.stdout.len() as u64,
            equal: both == whole.stdout,
        };
        conclude(output, &figures, &whole, &both)
    }

    fn ship(
        &self,
        packed: &Packed,
        name: &Reference,
        (here, there): (&Home, &Home),
    ) -> anyhow::Result<Way> {
        let way = Way::choose(self.registry.as_deref());
        let stores = (&here.store()?, &there.store()?);
        match &way {
            Way::Registry(registry) => {
                let client = self.options.client(registry)?;
                ship::through_registry(&client, packed, &name.at_registry(registry)?, stores)?;
            }
            Way::Copy => ship::copy(packed, name, stores)?,
        }
        Ok(way)
    }
}

/// Makes the project as it is in the repository, and packs it.
fn pack_program(directory: &Path, home: &Home) -> anyhow::Result<Packed> {
    let project = directory.join("nbody");
    let module = directory.join("prebuilt");
    let write = || {
        fs::create_dir(&project)?;
        fs::create_dir(&module)?;
        fs::write(project.join("workload.toml"), WORKLOAD_FILE)?;
        fs::write(module.join("nbody.wasm"), MODULE)
    };
    write().context("the demo cannot write its files")?;
    Ok(pack(&project, &home.store()?)?)
}

fn conclude(output: Output, figures: &Figures, whole: &Leg, both: &[u8]) -> anyhow::Result<()> {
    if !figures.equal {
        let message = format!(
            "the output differs\nuninterrupted:\n{}\nin two processes:\n{}",
            String::from_utf8_lossy(&whole.stdout),
            String::from_utf8_lossy(both),
        );
        return Err(Refusal::new(exit::INTERNAL, message).into());
    }
    let (all, before) = (figures.output_bytes, figures.bytes_before);
    let (module, checkpoint) = (size(figures.module_bytes), size(figures.checkpoint_bytes));
    let pause = rounded(Duration::from_micros(figures.pause_us));
    let resume = rounded(Duration::from_micros(figures.resume_us));
    let text = format!(
        "equal     {all} bytes of output, {before} before and {} after the checkpoint, are those\n          \
         of the uninterrupted run, byte for byte\n\n\
         module {module} · checkpoint {checkpoint} · pause {pause} · time to resume {resume}",
        all - before,
    );
    output.result(&serde_json::to_value(figures)?, text)
}

impl Output {
    /// A step of the story, for people.
    fn step(self, text: String) -> anyhow::Result<()> {
        if self.json { Ok(()) } else { self.text(text) }
    }
}

fn rounded(time: Duration) -> String {
    format!("{time:.1?}")
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
