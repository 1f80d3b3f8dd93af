//! Who made a checkpoint: this node says so of its own when they leave it, and asks when a job is to
//! go on from one that came to it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use wherry_engine::write_atomically;
use wherry_node::{
    Chain, Checkpointed, JobInfo, Link, Made, Origin, Point, Record, node_key, node_public_key,
    state_name,
};
use wherry_packager::{Digest, MAX_DOCUMENT_SIZE, Store, StoreError, media_type};
use wherry_snapshot::{Anatomy, Reader};
use wherry_trust::{Bundle, PublicKey, TrustedKey, TrustedKeys, names};

use crate::commands::Context;
use crate::home::Home;
use crate::signatures::attach;
use crate::workload::{from_oci, text_of};

/// What tells a checkpoint that is open from all others.
pub(crate) fn made(reader: &Reader<File>) -> Made {
    let contents = reader.contents();
    Made {
        module: text_of(&contents.workload.module),
        file: text_of(&reader.file_digest()),
        checkpoint: Point {
            sequence: contents.lineage.sequence,
            state: state_name(&reader.state_digest(), reader.key()),
        },
    }
}

/// What is said of a checkpoint that is in a file: beside it, a list of bundles.
fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".origin.json");
    name.into()
}

/// States beside the checkpoint `done`, which went to a file of the user's, that this node made it.
pub(crate) fn sign_file(home: &Home, record: &Record, done: &Checkpointed) -> anyhow::Result<()> {
    let file = Anatomy::read(&mut File::open(&done.path)?)?.file;
    let made = Made {
        module: record.module.clone(),
        file: text_of(&file),
        checkpoint: Point {
            sequence: done.sequence,
            state: done.state_digest.clone(),
        },
    };
    let key = node_key(home.directory())?;
    let bundle = Bundle::sign(&key, &Origin::of(record, made).statement(file))?;
    let mut all = vec![bundle.to_value()];
    all.extend(before(record).iter().cloned());
    write_beside(&done.path, &all)
}

/// Writes what is said of a checkpoint of the store beside the file that was made of it.
pub(crate) fn unpack(store: &Store, digest: &Digest, file: &Path) -> anyhow::Result<()> {
    let mut bundles = statements(store, digest)?;
    bundles.retain(|bundle| Origin::unverified(bundle).is_some());
    if bundles.is_empty() {
        return Ok(());
    }
    let all: Vec<_> = bundles.iter().map(Bundle::to_value).collect();
    write_beside(file, &all)
}

fn write_beside(file: &Path, bundles: &[Value]) -> anyhow::Result<()> {
    let json = serde_json::to_vec(bundles)?;
    Ok(write_atomically(&beside(file), |file| {
        Ok(file.write_all(&json)?)
    })?)
}

/// What is said of a checkpoint in a file.
pub(crate) fn read_beside(file: &Path) -> Vec<Bundle> {
    let mut json = Vec::new();
    let opened = File::open(beside(file));
    // More than is read of one is no list of bundles.
    let read = opened.and_then(|list| list.take(MAX_DOCUMENT_SIZE).read_to_end(&mut json));
    read.map_or_else(|_| Vec::new(), |_| listed(&json))
}

fn before(record: &Record) -> &[Value] {
    let arrival = record.arrival.as_ref();
    arrival.map_or(&[], |arrival| &arrival.statements)
}

/// States in the store that this node made the checkpoint `digest`, of `job`. Once is enough.
pub(crate) fn sign(
    home: &Home,
    store: &Store,
    digest: &Digest,
    job: &JobInfo,
    made: Made,
) -> anyhow::Result<()> {
    let Some(subject) = from_oci(digest) else {
        return Ok(());
    };
    let key = node_key(home.directory())?;
    let own = TrustedKeys::new(vec![this_node(key.public())]);
    let origin = Origin::of(&job.record, made);
    let said = statements(store, digest)?;
    let known = Link::about(&subject, &said, &own);
    if known.is_some_and(|link| link.verdict.is_ok() && link.origin == origin) {
        return Ok(());
    }
    attach(store, digest, &key, &origin.statement(subject))?;
    attach_list(store, digest, before(&job.record))
}

/// Takes along what is said beside a checkpoint in a file. Returns whether anything is.
pub(crate) fn carry(store: &Store, digest: &Digest, file: &Path) -> anyhow::Result<bool> {
    let bundles = read_beside(file);
    let values: Vec<_> = bundles.iter().map(Bundle::to_value).collect();
    attach_list(store, digest, &values)?;
    Ok(!bundles.is_empty())
}

fn attach_list(store: &Store, digest: &Digest, bundles: &[Value]) -> anyhow::Result<()> {
    if !bundles.is_empty() {
        let json = serde_json::to_vec(bundles)?;
        let kind = media_type::CHECKPOINT_LINEAGE;
        store.attach(digest, kind, &json, &BTreeMap::new())?;
    }
    Ok(())
}

/// The nodes that the checkpoint `made` comes from, by what is attached to its artifact `digest`.
pub(crate) fn trace(
    store: &Store,
    digest: &Digest,
    made: &Made,
    keys: &TrustedKeys,
) -> Result<Chain, StoreError> {
    Ok(Chain::trace(made, &statements(store, digest)?, keys))
}

/// Who says that they made the checkpoint in the artifact `digest`, whichever that is.
pub(crate) fn maker(
    store: &Store,
    digest: &Digest,
    keys: &TrustedKeys,
) -> Result<Option<Link>, StoreError> {
    let subject = from_oci(digest).unwrap_or_default();
    Ok(Link::about(&subject, &statements(store, digest)?, keys))
}

/// Those keys, and this node's own.
pub(crate) fn with_own(home: &Home, mut keys: TrustedKeys) -> anyhow::Result<TrustedKeys> {
    if let Some(key) = node_public_key(home.directory())? {
        keys.add(this_node(key));
    }
    Ok(keys)
}

fn this_node(key: PublicKey) -> TrustedKey {
    TrustedKey {
        name: "this node".to_owned(),
        key,
    }
}

/// All bundles that are attached to a checkpoint. What cannot be read says nothing.
fn statements(store: &Store, digest: &Digest) -> Result<Vec<Bundle>, StoreError> {
    let mut bundles = Vec::new();
    for attachment in store.attachments(digest)? {
        for layer in attachment.manifest.document.layers().unwrap_or_default() {
            let content = || store.read_small(&layer.blob).unwrap_or_default();
            match layer.blob.media_type.as_str() {
                names::BUNDLE => bundles.extend(Bundle::parse(&content())),
                media_type::CHECKPOINT_LINEAGE => bundles.extend(listed(&content())),
                _ => {}
            }
        }
    }
    Ok(bundles)
}

fn listed(content: &[u8]) -> Vec<Bundle> {
    let listed: Vec<Value> = serde_json::from_slice(content).unwrap_or_default();
    let parse = |value: &Value| Bundle::parse(value.to_string().as_bytes()).ok();
    listed.iter().filter_map(parse).collect()
}

/// Who a link is by, for people.
pub(crate) fn signer(link: &Link) -> String {
    match &link.verdict {
        Ok(key) => key.to_string(),
        Err(_) => format!("NOT VERIFIED: {}", shown(&link.hint)),
    }
}

fn shown(hint: &str) -> String {
    match hint {
        "" => "a key without a name".to_owned(),
        hint => hint.escape_debug().take(80).collect(),
    }
}

/// A chain as programs read it, the newest checkpoint first.
pub(crate) fn value(chain: &Chain) -> Value {
    let links = chain.links.iter().map(link_value);
    let unknown = chain.unknown.iter().map(|point| {
        json!({
            "sequence": point.sequence, "state": point.state,
            "verified": false, "signer": null, "key": null, "reason": "nobody has signed it",
        })
    });
    links.chain(unknown).collect()
}

/// A link as programs read it.
pub(crate) fn link_value(link: &Link) -> Value {
    let key = link.verdict.as_ref().ok();
    json!({
        "sequence": link.origin.made.checkpoint.sequence,
        "state": link.origin.made.checkpoint.state,
        "verified": key.is_some(),
        "signer": key.map(|key| &key.name),
        "key": key.map_or_else(|| shown(&link.hint), |key| key.key.id().to_string()),
        "reason": link.verdict.as_ref().err().map(ToString::to_string),
    })
}

/// Tells people where a checkpoint comes from.
pub(crate) fn tell(context: &Context, chain: &Chain) {
    for link in &chain.links {
        let name = link.origin.made.checkpoint.name();
        context
            .output
            .remark(format!("checkpoint {name} was made by {}", signer(link)));
    }
    if let Some(point) = &chain.unknown {
        let name = point.name();
        context
            .output
            .remark(format!("checkpoint {name} is signed by nobody"));
    }
}
