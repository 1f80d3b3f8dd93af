//! `wherry history`

use clap::Args;
use serde_json::{Value, json};
use wherry_node::{Link, open_checkpoint, state_name};
use wherry_packager::{CheckpointNote, Reference, Store, media_type};

use super::Context;
use crate::failure::warn;
use crate::key::KeyArgs;
use crate::origins;
use crate::output::table;
use crate::policy::PolicyArgs;
use crate::transfer::RegistryArgs;

/// Show the checkpoints that a checkpoint comes from, or those of a workload or job
///
/// REF is a checkpoint or a workload in a registry: what is listed are all checkpoints there of
/// that workload. JOB is a job of this machine. A line with a `*` belongs to the line of states
/// that leads to REF, or to the job's last one. NODE is who has signed that they made it: this
/// node, a key of the policy, or a key that is not known here.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wherry history ghcr.io/team/nbody:checkpoint-26f5a0c4e2ee
  wherry history ghcr.io/team/nbody:1.0.0
  wherry history 3f9c2a11")]
pub(crate) struct History {
    /// What to show the history of
    #[arg(value_name = "REF|JOB")]
    what: String,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    policy: PolicyArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// A checkpoint, by what is noted about it.
struct Entry {
    note: CheckpointNote,
    /// Digest of its manifest, or its file.
    place: String,
    /// Who says that they made it; nobody has to say so of a job's own.
    made_by: Option<Link>,
}

impl History {
    pub(crate) fn execute(self, context: &Context) -> anyhow::Result<()> {
        let is_reference = self.what.contains(['/', ':']);
        let (mut entries, last) = if is_reference {
            self.in_registry(context)?
        } else {
            self.of_job(context)?
        };
        entries.sort_by(|a, b| {
            (a.note.sequence, &a.note.state).cmp(&(b.note.sequence, &b.note.state))
        });
        let line = line_to(last.as_ref(), &entries);
        let is_in_line = |entry: &Entry| {
            entry
                .note
                .state
                .as_ref()
                .is_some_and(|it| line.contains(&it))
        };
        if context.output.json {
            let listed = entries.iter().map(|entry| {
                let CheckpointNote {
                    state,
                    parent,
                    sequence,
                    module,
                } = &entry.note;
                json!({
                    "sequence": sequence, "state": state, "parent": parent, "module": module,
                    "place": entry.place, "in_line": is_in_line(entry),
                    "made_by": entry.made_by.as_ref().map(origins::link_value),
                })
            });
            return context.output.text(Value::from_iter(listed));
        }
        let rows = entries.iter().map(|entry| {
            let sequence = entry.note.sequence.map(|sequence| sequence.to_string());
            vec![
                if is_in_line(entry) { "*" } else { " " }.to_owned(),
                sequence.unwrap_or_else(|| "-".to_owned()),
                short(entry.note.state.as_deref()),
                short(entry.note.parent.as_deref()),
                entry
                    .made_by
                    .as_ref()
                    .map_or("-".to_owned(), origins::signer),
                entry.place.clone(),
            ]
        });
        let header = ["", "SEQUENCE", "STATE", "PARENT", "NODE", "PLACE"];
        context.output.text(table(&header, rows.collect()))
    }

    fn in_registry(&self, context: &Context) -> anyhow::Result<(Vec<Entry>, Option<String>)> {
        let reference: Reference = self.what.parse()?;
        let client = self.registry.client_for(&reference)?;
        let (descriptor, document) = client.describe(&reference)?;
        let own = CheckpointNote::of(&document.annotations());
        let is_checkpoint = document.checkpoint().is_ok_and(|parts| parts.is_some());
        let subject = document.subject().filter(|_| is_checkpoint);
        let mut listed = Vec::new();
        if is_checkpoint {
            listed.push((own.clone(), descriptor.digest));
        }
        let subject = subject.map_or(descriptor.digest, |subject| subject.digest);
        let kind = media_type::CHECKPOINT;
        for referrer in client.referrers(&reference, &subject, Some(kind))? {
            let digest = referrer.descriptor.digest;
            let is_new = listed.iter().all(|(_, known)| *known != digest);
            if is_new && referrer.artifact_type.as_deref() == Some(kind) {
                listed.push((CheckpointNote::of(&referrer.annotations), digest));
            }
        }
        // What is said about them is only looked at.
        let directory = tempfile::tempdir()?;
        let store = Store::open(directory.path())?;
        let keys = self.policy.load(&context.home)?.nodes(&context.home)?;
        let mut entries = Vec::new();
        for (note, digest) in listed {
            if let Err(error) = client.pull_attachments(&store, &reference, &digest) {
                warn(format!("who made {digest} cannot be told: {error}"));
            }
            entries.push(Entry {
                note,
                place: digest.to_string(),
                made_by: origins::maker(&store, &digest, &keys)?,
            });
        }
        Ok((entries, own.state.filter(|_| is_checkpoint)))
    }

    fn of_job(&self, context: &Context) -> anyhow::Result<(Vec<Entry>, Option<String>)> {
        let job = context.home.jobs().find(&self.what)?;
        let key = self.key.load()?;
        let mut entries = Vec::new();
        for one in job.checkpoints()? {
            let reader = open_checkpoint(&one.path, key.as_ref()).ok();
            let parent = reader.as_ref().and_then(|reader| {
                let parent = reader.contents().lineage.parent.as_ref()?;
                Some(state_name(parent, reader.key()))
            });
            let state = reader
                .as_ref()
                .map(|reader| state_name(&reader.state_digest(), reader.key()));
            let note = CheckpointNote {
                state: state.or_else(|| Some(one.noted.as_ref()?.state_digest.clone())),
                parent,
                sequence: Some(one.sequence),
                module: Some(job.record.module.clone()),
            };
            let place = one.path.display().to_string();
            entries.push(Entry {
                note,
                place,
                made_by: None,
            });
        }
        let last = job.record.last_checkpoint();
        let last = last.map(|last| last.state_digest.clone());
        Ok((entries, last))
    }
}

/// The states from the first one that is known to `last`.
fn line_to<'a>(last: Option<&'a String>, entries: &'a [Entry]) -> Vec<&'a String> {
    let mut line = Vec::new();
    let mut next = last;
    while let Some(state) = next.filter(|state| !line.contains(state)) {
        line.push(state);
        let entry = entries
            .iter()
            .find(|entry| entry.note.state.as_ref() == Some(state));
        next = entry.and_then(|entry| entry.note.parent.as_ref());
    }
    line
}

/// As much of a state's name as tells states apart.
fn short(state: Option<&str>) -> String {
    match state.and_then(|state| state.split_once(':')) {
        Some((_, digits)) => digits
            .chars()
            .filter(char::is_ascii_hexdigit)
            .take(12)
            .collect(),
        None => "-".to_owned(),
    }
}
