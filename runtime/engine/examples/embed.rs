//! Embedding the engine: run a program that knows nothing of checkpoints, capture it in the
//! middle, and let a new job go on from the file.
//!
//! ```text
//! cargo run -p wherry-engine --example embed [MODULE.wasm [ARGS...]]
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::fs::File;

use wherry_engine::{
    Command, Control, Engine, EngineConfig, Job, LimitObserver, Limits, Outcome, Quota, Settings,
    Stdio, write_atomically,
};
use wherry_snapshot::{Reader, hex};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    if args.is_empty() {
        let prebuilt = "../../workloads/prebuilt/nbody.wasm";
        args.push(format!("{}/{prebuilt}", env!("CARGO_MANIFEST_DIR")));
        args.push("20000".to_owned());
    }
    let engine = Engine::new(EngineConfig::default())?;
    let module = engine.load(std::fs::read(&args[0])?);
    let command = Command {
        args,
        ..Command::default()
    };

    // Stop at the 10,000th safepoint. `Control::request_checkpoint`, called from another
    // thread, stops a job wherever it happens to be, and without counting.
    let control = Control::new()?;
    // What it may have counts over its whole life: it is in the checkpoint, too.
    let limits = Limits {
        memory_bytes: Some(256 << 20),
        quota: Quota {
            output_bytes: Some(1 << 20),
            ..Quota::default()
        },
        ..Limits::default()
    };
    let settings = Settings {
        countdown: Some(10_000),
        limits,
        limit_observer: LimitObserver::new(|what| println!("-- no more of {what:?}")),
        ..Settings::new(Stdio::inherit()?)
    };
    let mut job = Job::start(&module, command, settings, &control)?;
    match job.run()? {
        Outcome::Stopped(reason) => println!("-- stopped: {reason}"),
        ended => return Err(format!("it ended before it could be captured: {ended:?}").into()),
    }
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("job.checkpoint");
    let summary = write_atomically(&path, |file| job.checkpoint(file))?;
    println!(
        "-- captured: state {}, {} bytes",
        hex(&summary.state_digest),
        summary.bytes
    );
    drop(job);

    // This could as well be another process on another machine.
    let checkpoint = Reader::open(File::open(&path)?)?;
    println!(
        "-- resuming {} frames",
        checkpoint.contents().execution.frames.len()
    );
    let settings = Settings::new(Stdio::inherit()?);
    let mut job = Job::resume(&module, &checkpoint, settings, &Control::new()?)?;
    println!("-- ended: {:?}", job.run()?);
    let (time, usage) = (job.accounting(), job.usage()?);
    println!(
        "-- used: {} ms of CPU time, {} bytes of output, {} bytes of memory",
        time.cpu_ns / 1_000_000,
        usage.stdout_bytes,
        job.memory_bytes()
    );
    Ok(())
}
