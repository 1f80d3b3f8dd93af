//! Failures as people and programs see them: what was refused, why, what to do next, and an
//! exit code.

use std::io::{ErrorKind, IsTerminal};
use std::process::ExitCode;

use clap::error::ErrorKind as UsageKind;
use serde_json::json;
use wherry_engine::Error as EngineError;
use wherry_gpu_host::Error as GpuError;
use wherry_node::{Error as NodeError, Failure};
use wherry_packager::{
    CheckpointError, InitError, PackError, ReferenceError, StoreError, WorkloadFileError,
};
use wherry_registry_client::RegistryError;
use wherry_snapshot::Error as SnapshotError;

use crate::{exit, output};

/// Something that the command line itself refuses.
#[derive(Debug)]
pub(crate) struct Refusal {
    code: u8,
    message: String,
    hint: Option<String>,
}

impl Refusal {
    pub(crate) fn new(code: u8, message: impl Into<String>) -> Self {
        Refusal {
            code,
            message: message.into(),
            hint: None,
        }
    }

    /// What to do next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}

/// Prints a failure, and returns the exit code.
pub(crate) fn report(error: &anyhow::Error, json: bool) -> u8 {
    let (code, hint) = classify(error);
    let message = message(error);
    if json {
        output::note(json!({ "error": { "code": code, "message": message, "hint": hint } }));
        return code;
    }
    output::note(format!("{} {message}", label("error:", "31")));
    if let Some(hint) = hint {
        output::note(format!("{} {hint}", label("hint:", "36")));
    }
    code
}

/// Prints what is wrong with the command line, or the help that was asked for.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    let wanted = matches!(
        error.kind(),
        UsageKind::DisplayHelp | UsageKind::DisplayVersion
    );
    let json = std::env::args_os()
        .take_while(|arg| arg != "--")
        .any(|arg| arg == "--json");
    if json && !wanted {
        let message = error.render().to_string();
        let message = message.trim().trim_start_matches("error: ");
        output::note(json!({ "error": { "code": exit::USAGE, "message": message } }));
    } else if error.print().is_err() {
        // Nobody reads it.
    }
    ExitCode::from(if wanted { 0 } else { exit::USAGE })
}

/// A warning: something failed, and the job goes on.
pub(crate) fn warn(message: impl std::fmt::Display) {
    output::note(format!("{} {message}", label("warning:", "33")));
}

/// A word in a colour, where colours are wanted.
fn label(word: &str, colour: &str) -> String {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if plain || !std::io::stderr().is_terminal() {
        return word.to_owned();
    }
    format!("\x1b[1;{colour}m{word}\x1b[0m")
}

/// What a process that works for a job says of an error.
pub(crate) fn describe(error: &NodeError) -> Failure {
    let (exit, hint) = node(error);
    // An error that says what another does is not in its chain.
    let cause: &(dyn std::error::Error + 'static) = match error {
        NodeError::Engine(error) => error,
        other => other,
    };
    Failure {
        message: message_of(error),
        hint: hint.map(Into::into),
        exit,
        damage: chain(cause).any(is_damage),
    }
}

/// Whether a checkpoint's file is to blame: not the machine, or what it lends the job.
pub(crate) fn is_damage(cause: &(dyn std::error::Error + 'static)) -> bool {
    let within = cause.downcast_ref::<std::io::Error>();
    let within = within.and_then(std::io::Error::get_ref);
    within.is_some_and(|inner| inner.is::<SnapshotError>())
        || cause.is::<SnapshotError>()
        || cause
            .downcast_ref()
            .is_some_and(|failure: &Failure| failure.damage)
        || matches!(
            cause.downcast_ref(),
            Some(
                EngineError::Checkpoint(_)
                    | EngineError::Frames(_)
                    | EngineError::Restore(wherry_wasi::RestoreError::Invalid { .. })
            )
        )
}

/// An error and its causes.
fn chain<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

/// The exit code that a failure has.
pub(crate) fn exit_code(error: &anyhow::Error) -> u8 {
    classify(error).0
}

/// The chain of causes in one line, without those that a message before has said already.
pub(crate) fn message(error: &anyhow::Error) -> String {
    message_of(error.as_ref())
}

fn message_of(error: &(dyn std::error::Error + 'static)) -> String {
    let mut message = String::new();
    for cause in chain(error).map(ToString::to_string) {
        if message.is_empty() {
            message = cause;
        } else if !message.contains(&cause) {
            message = format!("{message}: {cause}");
        }
    }
    message
}

/// The exit code, and what to do next if that is known.
fn classify(error: &anyhow::Error) -> (u8, Option<String>) {
    let known = error.chain().find_map(|cause| {
        None.or_else(|| cause.downcast_ref().map(refusal))
            .or_else(|| cause.downcast_ref().map(engine))
            .or_else(|| cause.downcast_ref().map(gpu))
            .or_else(|| cause.downcast_ref().map(node))
            .or_else(|| cause.downcast_ref().map(snapshot))
            .or_else(|| cause.downcast_ref().map(registry))
            .or_else(|| cause.downcast_ref().map(store))
            .or_else(|| cause.downcast_ref().map(pack))
            .or_else(|| cause.downcast_ref().map(checkpoint))
            .or_else(|| cause.downcast_ref().map(init))
            .or_else(|| {
                cause
                    .downcast_ref()
                    .map(|_: &ReferenceError| (exit::USAGE, None))
            })
            .or_else(|| cause.downcast_ref().map(|cause| (io(cause), None)))
    });
    let (code, hint) = known.unwrap_or((exit::INTERNAL, None));
    (code, hint.map(Into::into))
}

type Class = (u8, Option<Hint>);

enum Hint {
    Fixed(&'static str),
    Made(String),
}

impl From<Hint> for String {
    fn from(hint: Hint) -> Self {
        match hint {
            Hint::Fixed(hint) => hint.to_owned(),
            Hint::Made(hint) => hint,
        }
    }
}

fn refusal(refusal: &Refusal) -> Class {
    (refusal.code, refusal.hint.clone().map(Hint::Made))
}

fn io(error: &std::io::Error) -> u8 {
    match error.kind() {
        ErrorKind::NotFound => exit::NO_INPUT,
        ErrorKind::PermissionDenied => exit::NO_PERMISSION,
        ErrorKind::InvalidData => exit::BAD_DATA,
        _ => exit::IO,
    }
}

/// The code for a file that could not be written.
fn writing(error: &std::io::Error) -> u8 {
    match error.kind() {
        ErrorKind::NotFound
        | ErrorKind::NotADirectory
        | ErrorKind::IsADirectory
        | ErrorKind::AlreadyExists
        | ErrorKind::ReadOnlyFilesystem => exit::CANNOT_CREATE,
        ErrorKind::PermissionDenied => exit::NO_PERMISSION,
        _ => exit::IO,
    }
}

fn engine(error: &EngineError) -> Class {
    const OTHER_MODULE: &str = "give the module that the checkpoint names with --module";
    match error {
        EngineError::Module(_)
        | EngineError::Instantiate { .. }
        | EngineError::UnknownImport { .. }
        | EngineError::NoEntryPoint
        | EngineError::Frames(_)
        | EngineError::DoesNotFit { .. } => (exit::BAD_DATA, None),
        EngineError::WrongModule { .. } => (exit::BAD_DATA, Some(Hint::Fixed(OTHER_MODULE))),
        EngineError::InstrumentationVersion(_) => (
            exit::BAD_DATA,
            Some(Hint::Fixed("resume it with a newer version of Wherry")),
        ),
        EngineError::MemoryLimit { .. } => (
            exit::CONFIG,
            Some(Hint::Fixed(
                "grant more with --memory, if the workload allows it",
            )),
        ),
        EngineError::ProfileVersion(_) => (
            exit::BAD_DATA,
            Some(Hint::Fixed(
                "resume it with the version of Wherry that made it",
            )),
        ),
        EngineError::NotComparable { .. } => (exit::BAD_DATA, None),
        EngineError::NoGpu => (
            exit::CONFIG,
            Some(Hint::Fixed("lend it one with --gpu or --gpu=NAME")),
        ),
        EngineError::Gpu(error) => gpu(error),
        EngineError::NotDeterministic { what } if what == "a GPU" => (exit::USAGE, None),
        EngineError::NotDeterministic { .. } => (
            exit::USAGE,
            Some(Hint::Fixed(
                "lend directories read-only: --dir HOST::GUEST::ro",
            )),
        ),
        EngineError::MissingMount { guest, read_only } => {
            (exit::CONFIG, Some(missing_mount(guest, *read_only)))
        }
        EngineError::Config(error) => config(error),
        EngineError::Restore(error) => restore(error),
        EngineError::Checkpoint(error) => snapshot(error),
        EngineError::File { source, .. } => (writing(source), None),
        EngineError::Save(wherry_wasi::SaveError::Io { source, .. }) | EngineError::Io(source) => {
            (writing(source), None)
        }
        EngineError::Save(_) => (exit::BAD_DATA, None),
        _ => (exit::INTERNAL, None),
    }
}

fn gpu(error: &GpuError) -> Class {
    let (code, hint) = match error {
        GpuError::NoAdapter => (
            exit::CONFIG,
            "install a Vulkan driver; Debian's mesa-vulkan-drivers and libvulkan1 have one that runs on the CPU",
        ),
        GpuError::NoSuchAdapter { .. } => (
            exit::CONFIG,
            "--gpu=NAME takes one by a part of its name, also a driver on the CPU",
        ),
        GpuError::Defective { .. } => (
            exit::CONFIG,
            "update the driver; --gpu-allow-defects takes it as it is",
        ),
        GpuError::LacksFeature { .. } | GpuError::LacksLimit { .. } => {
            (exit::CONFIG, "the job can go to a node whose GPU has it")
        }
        GpuError::Quota { .. } => (exit::CONFIG, "grant more with --gpu-memory"),
        GpuError::Unknown(_) => return (exit::USAGE, None),
        GpuError::NotSaveable { .. } | GpuError::Damaged(_) => return (exit::BAD_DATA, None),
        GpuError::Io(source) => return (writing(source), None),
        _ => return (exit::INTERNAL, None),
    };
    (code, Some(Hint::Fixed(hint)))
}

fn missing_mount(guest: &str, read_only: bool) -> Hint {
    let suffix = if read_only { "::ro" } else { "" };
    Hint::Made(format!("give it one with --dir HOST::{guest}{suffix}"))
}

fn config(error: &wherry_wasi::ConfigError) -> Class {
    match error {
        wherry_wasi::ConfigError::Mount { source, .. } => (io(source), None),
        _ => (exit::USAGE, None),
    }
}

fn restore(error: &wherry_wasi::RestoreError) -> Class {
    use wherry_wasi::RestoreError;
    match error {
        RestoreError::Config(error) => config(error),
        RestoreError::MissingMount { guest } => (exit::CONFIG, Some(missing_mount(guest, false))),
        RestoreError::ReadOnlyMount { guest } => (exit::CONFIG, Some(missing_mount(guest, false))),
        RestoreError::UnknownMount { .. } => (exit::USAGE, None),
        RestoreError::MissingFile { source, .. } => (io(source), None),
        RestoreError::Scratch { source, .. } => (writing(source), None),
        RestoreError::ReplacedFile { .. } | RestoreError::ShrunkFile { .. } => (
            exit::CONFIG,
            Some(Hint::Fixed("the directory must be as the job left it")),
        ),
        _ => (exit::BAD_DATA, None),
    }
}

fn node(error: &NodeError) -> Class {
    match error {
        NodeError::NoSuchJob(_) => (
            exit::NO_INPUT,
            Some(Hint::Fixed("`wherry ps -a` lists the jobs")),
        ),
        NodeError::Ambiguous { .. } => (exit::USAGE, None),
        NodeError::Running(id) => (
            exit::UNAVAILABLE,
            Some(Hint::Made(format!("stop it first: wherry checkpoint {id}"))),
        ),
        NodeError::NotRunning { .. } => (
            exit::UNAVAILABLE,
            Some(Hint::Fixed(
                "`wherry ps` lists the jobs that can be resumed",
            )),
        ),
        NodeError::NodeKey { .. } => (exit::CONFIG, None),
        NodeError::StateInUse(_) => (
            exit::UNAVAILABLE,
            Some(Hint::Fixed(
                "wait until it has ended, or choose another --state DIR",
            )),
        ),
        NodeError::ForeignState { .. } => (
            exit::USAGE,
            Some(Hint::Fixed(
                "choose an empty or a new directory with --state DIR",
            )),
        ),
        NodeError::NoAnswer { .. } => (exit::UNAVAILABLE, None),
        NodeError::Refused { .. } => (exit::UNAVAILABLE, None),
        NodeError::Record { .. } | NodeError::OtherCheckpoint { .. } => (exit::BAD_DATA, None),
        NodeError::Io { source, .. } => (writing(source), None),
        NodeError::Failed(failure) => (failure.exit, failure.hint.clone().map(Hint::Made)),
        NodeError::OutOfMemory { .. } => (
            exit::CONFIG,
            Some(Hint::Fixed(
                "grant more with --memory, if the workload allows it",
            )),
        ),
        NodeError::Compiler { .. } => (exit::BAD_DATA, None),
        NodeError::Confinement(wherry_sandbox::Error::Incomplete(_)) => (
            exit::CONFIG,
            Some(Hint::Fixed(
                "`wherry doctor` says what this machine lacks; --isolation auto does without",
            )),
        ),
        NodeError::Confinement(_) => (exit::CONFIG, None),
        NodeError::Engine(error) | NodeError::Checkpoint { source: error, .. } => engine(error),
        _ => (exit::INTERNAL, None),
    }
}

/// For those who have not given the key that is needed.
pub(crate) const GIVE_KEY: &str =
    "give the key with --key FILE or --key-command COMMAND; `wherry key id` names keys";

fn snapshot(error: &SnapshotError) -> Class {
    match error {
        SnapshotError::KeyNeeded { .. } => (exit::CONFIG, Some(Hint::Fixed(GIVE_KEY))),
        SnapshotError::WrongKey { .. } => (exit::NO_PERMISSION, Some(Hint::Fixed(GIVE_KEY))),
        SnapshotError::UnknownEncryption { .. } => (
            exit::BAD_DATA,
            Some(Hint::Fixed("a newer version of Wherry may know it")),
        ),
        SnapshotError::Io(error) => (io(error), None),
        SnapshotError::MissingBase(_) => (
            exit::BAD_DATA,
            Some(Hint::Fixed(
                "checkpoints in a job's directory build on others there; `wherry checkpoint --to FILE` writes one that stands on its own",
            )),
        ),
        _ => (exit::BAD_DATA, None),
    }
}

fn store(error: &StoreError) -> Class {
    match error {
        StoreError::NotFound { .. } => (
            exit::NO_INPUT,
            Some(Hint::Fixed(
                "`wherry images` lists what is there; `wherry pull REGISTRY/NAME:TAG` fetches more",
            )),
        ),
        StoreError::Ambiguous { .. } => (exit::USAGE, None),
        StoreError::Quota { .. } => (
            exit::IO,
            Some(Hint::Fixed(
                "`wherry gc` and `wherry rm` make place; `wherry store quota SIZE` allows more",
            )),
        ),
        StoreError::InUse => (exit::UNAVAILABLE, None),
        StoreError::Io { action, source, .. } if *action == "read" => (io(source), None),
        StoreError::Io { source, .. } => (writing(source), None),
        StoreError::MissingBlob { .. } | StoreError::WrongDigest { .. } => {
            (exit::BAD_DATA, Some(Hint::Fixed("pack or pull it again")))
        }
        _ => (exit::BAD_DATA, None),
    }
}

fn checkpoint(error: &CheckpointError) -> Class {
    match error {
        CheckpointError::Snapshot(error) => snapshot(error),
        CheckpointError::Store(error) => store(error),
        CheckpointError::Io { source, .. } => (writing(source), None),
        _ => (exit::BAD_DATA, None),
    }
}

fn pack(error: &PackError) -> Class {
    match error {
        PackError::Store(error) => store(error),
        PackError::ReadModule { source, .. } => (
            io(source),
            Some(Hint::Fixed("build the module first, then pack it")),
        ),
        PackError::WorkloadFile(WorkloadFileError::Read { source, .. }) => (
            io(source),
            Some(Hint::Fixed("`wherry init` makes a new project")),
        ),
        _ => (exit::BAD_DATA, None),
    }
}

fn init(error: &InitError) -> Class {
    match error {
        InitError::Exists(_) => (exit::CANNOT_CREATE, None),
        InitError::Name(_) => (exit::USAGE, Some(Hint::Fixed("choose one with --name"))),
        InitError::Write { source, .. } => (writing(source), None),
    }
}

fn registry(error: &RegistryError) -> Class {
    match error {
        RegistryError::NoRegistry(_) | RegistryError::Reference(_) => (exit::USAGE, None),
        RegistryError::NotFound { .. } => (exit::NO_INPUT, None),
        RegistryError::Unauthorized { registry, .. } => (
            exit::NO_PERMISSION,
            Some(Hint::Made(format!(
                "wherry login {registry} --username USER --password-stdin"
            ))),
        ),
        RegistryError::Tls { .. } => (
            exit::NO_PERMISSION,
            Some(Hint::Fixed("--ca-file FILE trusts a private CA")),
        ),
        RegistryError::Protocol { .. }
        | RegistryError::WrongDigest { .. }
        | RegistryError::WrongLength { .. } => (exit::PROTOCOL, None),
        RegistryError::Artifact { .. } => (exit::BAD_DATA, None),
        RegistryError::Store(error) => store(error),
        RegistryError::Blocked(_) => (exit::NO_PERMISSION, None),
        RegistryError::Registries { .. }
        | RegistryError::Credentials { .. }
        | RegistryError::NoCredentialsFile
        | RegistryError::CaFile { .. } => (exit::CONFIG, None),
        RegistryError::Setup(_) => (exit::INTERNAL, None),
        _ => (exit::UNAVAILABLE, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    #[test]
    fn the_cause_decides_and_is_said_once() {
        let error = NodeError::NoSuchJob("abc".into());
        let error = Err::<(), _>(error).context("cannot resume").unwrap_err();
        let (code, hint) = classify(&error);
        assert_eq!(code, exit::NO_INPUT);
        assert!(hint.unwrap().contains("wherry ps"));
        assert_eq!(message(&error), "cannot resume: there is no job `abc`");
    }

    #[test]
    fn a_full_disk_is_not_a_bad_checkpoint() {
        let full = || std::io::Error::from(ErrorKind::StorageFull);
        let path = "f".into();
        let error = EngineError::File {
            path,
            source: full(),
        };
        assert_eq!(classify(&NodeError::Engine(error).into()).0, exit::IO);
        let error = EngineError::Checkpoint(SnapshotError::Io(full()));
        assert_eq!(classify(&error.into()).0, exit::IO);
        let error = EngineError::Checkpoint(SnapshotError::NotACheckpoint);
        assert_eq!(classify(&error.into()).0, exit::BAD_DATA);
    }
}
