//! Checkpoints on their way: into the store and to a registry, and back into a file.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use wherry_node::{JobInfo, Made, Point, checkpoint_files, open_checkpoint, state_name};
use wherry_packager::{
    CheckpointNote, Descriptor, Digest, Reference, Store, StoreError, assemble_checkpoint,
    media_type, pack_checkpoint,
};
use wherry_registry_client::{Registry, RegistryError};
use wherry_snapshot::{Key, Outline};

use crate::commands::Context;
use crate::exit;
use crate::failure::{Refusal, warn};
use crate::home::Home;
use crate::origins;
use crate::transfer::Meter;
use crate::workload::text_of;

/// So many digits of a state's digest tell states apart in a tag.
const TAG_DIGITS: usize = 12;

/// A checkpoint that is to travel.
pub(crate) struct Luggage {
    path: PathBuf,
    pub(crate) note: CheckpointNote,
    /// The manifest that it is a state of, if it is in the store.
    pub(crate) subject: Option<Descriptor>,
    /// The job of this node that keeps it itself. What is anywhere else may have been changed.
    job: Option<JobInfo>,
}

/// What has got into the store.
pub(crate) struct Carried {
    pub(crate) digest: Digest,
    /// Bytes of it that no earlier checkpoint had.
    pub(crate) fresh: u64,
    /// Whether a node says that it made it.
    pub(crate) is_signed: bool,
}

impl Luggage {
    /// The checkpoint that `what` means: a file, or the last one of a job. `None` if it means
    /// neither.
    pub(crate) fn find(
        context: &Context,
        what: &str,
        key: Option<&Key>,
    ) -> anyhow::Result<Option<Self>> {
        if Path::new(what).is_file() {
            return Self::of(context, Path::new(what), None, key).map(Some);
        }
        let Ok(job) = context.home.jobs().find(what) else {
            return Ok(None);
        };
        let Some(last) = job.last_checkpoint() else {
            let message = format!("the job {} has no checkpoint yet", job.record.id);
            let hint = format!("wherry checkpoint {}", job.record.id);
            return Err(Refusal::new(exit::NO_INPUT, message).hint(hint).into());
        };
        Self::of(context, &last.path, Some(&job), key).map(Some)
    }

    fn of(
        context: &Context,
        path: &Path,
        job: Option<&JobInfo>,
        key: Option<&Key>,
    ) -> anyhow::Result<Self> {
        let failed = || format!("cannot push {}", path.display());
        let outline = File::open(path).map_err(anyhow::Error::from);
        let outline = outline.and_then(|mut file| Ok(Outline::read(&mut file)?));
        let is_sealed = outline.with_context(failed)?.key.is_some();
        let (note, manifest) = if is_sealed && key.is_none() {
            // It travels without its key, with what was noted in the clear.
            noted(job, path)
        } else {
            let reader = open_checkpoint(path, key).with_context(failed)?;
            let (contents, key) = (reader.contents(), reader.key());
            let parent = contents.lineage.parent.as_ref();
            let note = CheckpointNote {
                state: Some(state_name(&reader.state_digest(), key)),
                parent: parent.map(|parent| state_name(parent, key)),
                sequence: Some(contents.lineage.sequence),
                module: Some(text_of(&contents.workload.module)),
            };
            (note, contents.workload.manifest.as_ref().map(text_of))
        };
        let subject = subject(context, manifest.as_deref(), note.module.as_deref())?;
        Ok(Luggage {
            path: path.to_owned(),
            note,
            subject,
            job: keeper(context, path)?,
        })
    }

    /// Where it goes if nothing but a registry, or not even that, was said: beside its workload.
    pub(crate) fn destination(
        &self,
        context: &Context,
        registry: Option<&str>,
    ) -> anyhow::Result<Reference> {
        let state = self.note.state.as_deref().unwrap_or_default();
        let digits: String = state
            .chars()
            .skip_while(|c| *c != ':')
            .skip(1)
            .take(TAG_DIGITS)
            .collect();
        let names = self.names_of_subject(context)?;
        let name = match registry {
            Some(_) => names.first(),
            None => names.iter().find(|name| name.registry().is_some()),
        };
        let (Some(name), false) = (name, digits.is_empty()) else {
            let message = "it is not known where this checkpoint's workload came from";
            let hint = "wherry push CHECKPOINT REGISTRY/NAME:TAG";
            return Err(Refusal::new(exit::USAGE, message).hint(hint).into());
        };
        let to: Reference = format!("{}:checkpoint-{digits}", name.repository()).parse()?;
        match registry {
            Some(registry) => Ok(to.at_registry(registry)?),
            None => Ok(to),
        }
    }

    fn names_of_subject(&self, context: &Context) -> anyhow::Result<Vec<Reference>> {
        let (Some(subject), Some(store)) = (&self.subject, context.home.existing_store()?) else {
            return Ok(Vec::new());
        };
        let names = store.names_of(&subject.digest)?.into_iter();
        Ok(names.filter_map(|name| name.parse().ok()).collect())
    }

    /// Puts it into the store, with this node's word for it if it was made here.
    pub(crate) fn carry(
        &self,
        home: &Home,
        store: &Store,
        to: &Reference,
    ) -> anyhow::Result<Carried> {
        let failed = || format!("cannot push {}", self.path.display());
        let paths = checkpoint_files(&self.path).with_context(failed)?;
        let files: std::io::Result<Vec<File>> = paths.iter().map(File::open).collect();
        let mut files = files.with_context(failed)?;
        let subject = self.subject.as_ref();
        let packed = pack_checkpoint(store, &mut files, &self.note, subject, Some(to));
        let packed = packed.with_context(failed)?;
        let is_signed = match self.job.as_ref().zip(self.made(&packed.file)) {
            Some((job, made)) => {
                origins::sign(home, store, &packed.digest, job, made)?;
                true
            }
            None => origins::carry(store, &packed.digest, &self.path)?,
        };
        Ok(Carried {
            digest: packed.digest,
            fresh: packed.fresh,
            is_signed,
        })
    }

    fn made(&self, file: &Digest) -> Option<Made> {
        let note = self.note.clone();
        Some(Made {
            module: note.module?,
            file: file.to_string(),
            checkpoint: Point {
                sequence: note.sequence?,
                state: note.state?,
            },
        })
    }
}

/// The job of this node in whose directory the checkpoint lies, where only the node writes.
fn keeper(context: &Context, path: &Path) -> anyhow::Result<Option<JobInfo>> {
    let path = fs::canonicalize(path)?;
    let holds = |job: &JobInfo| {
        fs::canonicalize(job.directory()).is_ok_and(|directory| path.starts_with(directory))
    };
    Ok(context
        .home
        .jobs()
        .list()?
        .into_iter()
        .flatten()
        .find(holds))
}

/// What the job's record says of a checkpoint that cannot be opened here.
fn noted(job: Option<&JobInfo>, path: &Path) -> (CheckpointNote, Option<String>) {
    let Some(record) = job.map(|job| &job.record) else {
        return (CheckpointNote::default(), None);
    };
    let noted = record.checkpoints.iter().find(|one| one.path == path);
    let note = CheckpointNote {
        state: noted.map(|noted| noted.state_digest.clone()),
        parent: None,
        sequence: noted.map(|noted| noted.sequence),
        module: Some(record.module.clone()),
    };
    (note, record.manifest.clone())
}

/// The manifest of the workload: the one that the checkpoint names, or else one of its module
/// alone.
fn subject(
    context: &Context,
    manifest: Option<&str>,
    module: Option<&str>,
) -> anyhow::Result<Option<Descriptor>> {
    let Some(store) = context.home.existing_store()? else {
        return Ok(None);
    };
    if let Some(manifest) = manifest {
        return match store.stored(&manifest.parse()?) {
            Ok(stored) => Ok(Some(stored.descriptor)),
            Err(StoreError::MissingBlob { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        };
    }
    for image in store.images()? {
        let Ok(stored) = store.stored(&image.digest) else {
            continue;
        };
        let is_it = stored.document.runnable().is_ok_and(|runnable| {
            runnable.config.is_none() && Some(runnable.module.digest.to_string().as_str()) == module
        });
        if is_it {
            return Ok(Some(stored.descriptor));
        }
    }
    Ok(None)
}

/// Whether what was pulled is a checkpoint.
pub(crate) fn is_checkpoint(store: &Store, digest: &Digest) -> anyhow::Result<bool> {
    let kind = store.stored(digest)?.document.artifact_type();
    Ok(kind.as_deref() == Some(media_type::CHECKPOINT))
}

/// What has been fetched.
pub(crate) struct Fetched {
    pub(crate) digest: Digest,
    /// How many signatures and attestations came along.
    pub(crate) attachments: usize,
}

/// Fetches an artifact, and with a checkpoint the workload that it is a state of; and what is said
/// about both. Without that, they are not signed.
pub(crate) fn fetch(
    context: &Context,
    client: &Registry,
    store: &Store,
    from: &Reference,
) -> anyhow::Result<Fetched> {
    let digest = client.pull(store, from, &Meter::new(context.output.json))?;
    let subject = store.stored(&digest)?.document.subject();
    let subject = subject.filter(|_| is_checkpoint(store, &digest).unwrap_or(false));
    if let Some(subject) = &subject {
        fetch_workload(context, client, store, &from.at_digest(&subject.digest))?;
    }
    let about = std::iter::once(digest).chain(subject.map(|subject| subject.digest));
    let attachments = about.map(|digest| fetch_attachments(client, store, from, &digest));
    Ok(Fetched {
        digest,
        attachments: attachments.sum(),
    })
}

fn fetch_workload(
    context: &Context,
    client: &Registry,
    store: &Store,
    workload: &Reference,
) -> anyhow::Result<()> {
    let digest = workload.digest().map(|digest| digest.to_string());
    if digest.is_some_and(|digest| store.workload(&digest).is_ok()) {
        return Ok(());
    }
    match client.pull(store, workload, &Meter::new(context.output.json)) {
        Ok(_) => Ok(()),
        // The module may be at hand in a file: `wherry resume --module`.
        Err(RegistryError::NotFound { .. }) => {
            context
                .output
                .remark(format!("the workload {workload} is not there"));
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

fn fetch_attachments(client: &Registry, store: &Store, from: &Reference, digest: &Digest) -> usize {
    match client.pull_attachments(store, from, digest) {
        Ok(attachments) => {
            for (which, why) in attachments.refused {
                warn(format!("the signature {which} was not fetched: {why}"));
            }
            attachments.fetched.len()
        }
        Err(error) => {
            warn(format!("signatures were not fetched: {error}"));
            0
        }
    }
}

/// Writes a checkpoint of the store to a file, and those that it builds on beside it.
pub(crate) fn unpack(store: &Store, digest: &Digest, to: &Path) -> anyhow::Result<Vec<PathBuf>> {
    assemble_checkpoint(store, digest, to)
        .with_context(|| format!("cannot make a file of the checkpoint {digest}"))
}
